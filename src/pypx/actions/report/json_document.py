"""The documents of a report as one: what px-find, px-do, px-status and px-move wrote, nothing of it lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pypx.actions.report import outcomes
from pypx.actions.report.studies import found_or_failure
from pypx.errors import PypxError

#: What a document says of itself rather than of studies.
_OF_ITSELF = ("command", "returncode", "args")


def merged(documents: Iterable[object]) -> tuple[dict[str, Any], tuple[PypxError, ...]]:
    """Join documents into one of the first find's shape; a single one stays as it came.

    Studies follow each other in the order of the documents, numbered anew. What the documents say of
    themselves (command, args, returncode) is the first's, and that of each stands under "merged". The series
    of px-status and px-move, beside finds, become steps of "then". The error is that of the first failure.

    Returns
    -------
    document : dict
        Ready to be written.
    failures : tuple of PypxError
        Why documents are not part of it: finds that failed.

    Raises
    ------
    InvalidInput
        When a document is something else, or when every find in them failed.
    """
    finds: list[dict[str, Any]] = []
    with_rows: list[dict[str, Any]] = []
    failures: list[PypxError] = []
    for document in documents:
        if outcomes.has_rows(document):
            for _ in outcomes.of_rows(document):
                pass  # only to be sure that each of them is one
            with_rows.append(document)
            continue
        found = found_or_failure(document)
        if isinstance(found, PypxError):
            failures.append(found)
        elif isinstance(document, dict):
            finds.append(document)
    if failures and not finds and not with_rows:
        raise failures[0]
    if not finds:
        whole = {**with_rows[0], "data": [row for one in with_rows for row in one["data"]]}
        return _telling(whole, failures), tuple(failures)
    whole = finds[0] if len(finds) == 1 else _joined(finds)
    for verb in dict.fromkeys(map(outcomes.verb_of, with_rows)):
        told = [row for one in with_rows if outcomes.verb_of(one) == verb for row in one["data"]]
        whole = _with_step(whole, verb, told)
    return _telling(whole, failures), tuple(failures)


def _telling(whole: dict[str, Any], failures: Sequence[PypxError]) -> dict[str, Any]:
    """The document with why it is not all, unless it says so of itself."""
    if not failures:
        return whole
    return {**whole, "status": "error", "error": whole.get("error") or failures[0].to_json()}


def _joined(finds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    studies = [study for find in finds for study in find["data"]]
    whole = {
        **finds[0],
        "data": [
            {**study, "uid": {"tag": 0, "value": index, "label": "uid"}}
            for index, study in enumerate(studies)
        ],
        "merged": [{name: find[name] for name in _OF_ITSELF if name in find} for find in finds],
    }
    if notes := [note for find in finds if isinstance(find.get("notes"), list) for note in find["notes"]]:
        whole["notes"] = notes
    if steps := dict.fromkeys(step for find in finds for step in _then(find)):
        whole["then"] = {
            step: {"study": [told for find in finds for told in _told(find, step)]} for step in steps
        }
    return whole


def _then(find: dict[str, Any]) -> dict[str, Any]:
    then = find.get("then")
    return then if isinstance(then, dict) else {}


def _told(find: dict[str, Any], step: str) -> list[Any]:
    """What one step says of each study of a find; nothing said keeps the place of the studies after it."""
    part = _then(find).get(step)
    studies = part.get("study") if isinstance(part, dict) else None
    return studies if isinstance(studies, list) else [{_uid(study): []} for study in find["data"]]


def _uid(study: dict[str, Any]) -> str:
    member = study.get("StudyInstanceUID")
    return str(member["value"]) if isinstance(member, dict) else ""


def _with_step(whole: dict[str, Any], verb: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    then = _then(whole)
    of_study: dict[str, list[dict[str, Any]]] = {_uid(study): [] for study in whole["data"]}
    for row in rows:
        of_study.setdefault(str(row.get("StudyInstanceUID", "")), []).append(row)
    step = {"study": [{uid: results} for uid, results in of_study.items()]}
    return {**whole, "then": {**then, f"{len(then):02d}-{verb}": step}}
