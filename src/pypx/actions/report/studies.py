"""What a report is made of: the studies and series of one or several documents, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pypx.actions.found import Found, FoundSeries, FoundStudy, from_json
from pypx.actions.report import outcomes
from pypx.errors import InvalidInput, PypxError

#: The study's member that says which PACS answered, where the documents came from several.
PACS = "PACS"


@dataclass(frozen=True, slots=True)
class Reported:
    """The studies of a report.

    Parameters
    ----------
    studies : tuple of FoundStudy
        In the order of the documents. What px-status, px-move and ``then`` say of a series is among its
        values, under the names of :mod:`pypx.actions.report.outcomes`.
    tags : mapping of str to str
        Keyword to tag, as "0010,0020".
    failures : tuple of PypxError
        Why documents are not part of the report: finds that failed.
    """

    studies: tuple[FoundStudy, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[PypxError, ...] = ()

    def names(self) -> frozenset[str]:
        """Every attribute that somebody returned, at either level."""
        names: set[str] = set()
        for study in self.studies:
            names.update(study.values)
            for series in study.series:
                names.update(series.values)
        return frozenset(names)


def read(documents: Iterable[object]) -> Reported:
    """Take the JSON documents of px-find, px-do, px-status and px-move into one report.

    A study that several documents hold is there once, with the series of all; what one PACS says is not
    mixed with what another says. What px-status and px-move say of a series stands beside what px-find says.

    Raises
    ------
    InvalidInput
        When a document is something else, or when every find in them failed.
    """
    founds: list[Found] = []
    statuses: list[outcomes.SeriesOutcome] = []
    failures: list[PypxError] = []
    for document in documents:
        if outcomes.has_rows(document):
            statuses += outcomes.of_rows(document)
            continue
        found = found_or_failure(document)
        if isinstance(found, PypxError):
            failures.append(found)
            continue
        founds.append(found)
        statuses += outcomes.of_then(document, found)
    if failures and not founds and not statuses:
        raise failures[0]
    gathered = gather(founds)
    studies = tuple(_with_outcomes(gathered.studies, statuses)) if statuses else gathered.studies
    return Reported(studies, gathered.tags, tuple(failures))


def found_or_failure(document: object) -> Found | PypxError:
    """What a find's JSON tells: what it found, or why it failed.

    Raises
    ------
    InvalidInput
        When it is something else.
    """
    try:
        return from_json(document)
    except InvalidInput as error:
        if isinstance(document, dict) and document.get("status") == "error":
            return error
        raise


def gather(founds: Sequence[Found]) -> Reported:
    """The studies of several finds as one report, each study once."""
    sources = [_pacs_of(found) for found in founds]
    several = len({source for source in sources if source}) > 1
    gathered: dict[object, FoundStudy] = {}
    tags: dict[str, str] = {}
    for found, source in zip(founds, sources, strict=True):
        tags.update(found.tags)
        for study in found.studies:
            one = replace(study, values={**study.values, PACS: source}) if several else study
            key: object = (several and source, study.uid, study.patient_id) if study.uid else len(gathered)
            known = gathered.get(key)
            gathered[key] = one if known is None else _joined(known, one)
    return Reported(tuple(gathered.values()), tags)


def _pacs_of(found: Found) -> str:
    """The PACS in the one-word form of the command line, from what the find was called with."""
    if word := found.arguments.get("pacs"):
        return str(word)
    parts = (found.arguments.get(name) or "" for name in ("serverIP", "aec", "serverPort"))
    return ":".join(str(part) for part in parts).strip(":")


def _joined(first: FoundStudy, second: FoundStudy) -> FoundStudy:
    series: dict[object, FoundSeries] = {}
    for one in (*first.series, *second.series):
        key = one.uid or len(series)
        known = series.get(key)
        series[key] = one if known is None else FoundSeries(_filled(known.values, one.values))
    return FoundStudy(_filled(first.values, second.values), tuple(series.values()))


def _filled(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    return {name: first.get(name) or second.get(name, "") for name in {**first, **second}}


def _with_outcomes(
    studies: Iterable[FoundStudy], statuses: Iterable[outcomes.SeriesOutcome]
) -> Iterator[FoundStudy]:
    """The studies with what is known of their series, then the studies that only they know of."""
    of_series: dict[str, dict[str, str]] = {}
    study_of_series: dict[str, str] = {}
    for status in statuses:
        of_series.setdefault(status.series_uid, {}).update(status.values)
        study_of_series[status.series_uid] = status.study_uid
    for study in studies:
        yield replace(study, series=tuple(_with_outcome(one, of_series) for one in study.series))
        for one in study.series:
            study_of_series.pop(one.uid, None)
    others: dict[str, list[FoundSeries]] = {}
    for series_uid, study_uid in study_of_series.items():
        others.setdefault(study_uid, []).append(FoundSeries(of_series[series_uid]))
    for study_uid, series in others.items():
        yield FoundStudy({"StudyInstanceUID": study_uid}, tuple(series))


def _with_outcome(series: FoundSeries, of_series: Mapping[str, Mapping[str, str]]) -> FoundSeries:
    known = of_series.get(series.uid)
    return FoundSeries({**known, **series.values}) if known else series
