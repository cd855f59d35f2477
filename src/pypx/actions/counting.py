"""Which instances a PACS has of a series, where its answers at series level do not tell, or tell wrong."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from pydicom.uid import UID

from pypx.actions.plan import Wanted
from pypx.dcmtk import findscu
from pypx.dcmtk.caller import Caller
from pypx.dicom.query import Level, Query
from pypx.dicom.uid import is_uid
from pypx.errors import PypxError

logger = logging.getLogger(__name__)


def with_counts(caller: Caller, wanted: Sequence[Wanted]) -> list[Wanted]:
    """The series, those without a count with the one that the PACS gives at IMAGE level.

    None at all is no count either: a PACS that lists a series has something of it.
    """
    instances = listed(caller, [series for series in wanted if not series.expected])
    return [
        series
        if series.expected
        else replace(series, expected=len(instances.get(series.series_uid, ())) or None)
        for series in wanted
    ]


def listed(caller: Caller, wanted: Sequence[Wanted]) -> dict[str, set[str]]:
    """The SOPInstanceUIDs that the PACS has of these series (PS3.4, C.6.2.1), all over one association.

    A series of which it lists none, or does not answer, is not in the result: not every PACS knows the IMAGE
    level.
    """
    instances: dict[str, set[str]] = {}

    def take(series: Wanted, values: Mapping[str, str]) -> None:
        instances.setdefault(series.series_uid, set()).add(values["SOPInstanceUID"])

    complete = _list(caller, wanted, (), take)
    return {uid: uids for uid, uids in instances.items() if uid in complete}


def _list(
    caller: Caller,
    wanted: Sequence[Wanted],
    returning: Sequence[str],
    take: Callable[[Wanted, Mapping[str, str]], None],
) -> set[str]:
    """Have the PACS list the instances of series; the UIDs of those series that it listed to the end."""
    if not wanted:
        return set()
    queries = [
        Query(
            Level.IMAGE,
            {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.series_uid},
            ("SOPInstanceUID", *returning),
        )
        for series in wanted
    ]

    def check(answer: findscu.Answer) -> None:
        if is_uid(answer.values.get("SOPInstanceUID", "")):
            take(wanted[answer.query], answer.values)

    try:
        outcome = findscu.find(caller, queries, check)
    except PypxError as error:
        logger.info("The PACS does not list instances (%s)", error.message)
        return set()
    return {
        series.series_uid for series, final in zip(wanted, outcome.finals, strict=True) if final.is_success
    }


def missing_kinds(
    caller: Caller, wanted: Sequence[Wanted], held_instances: Callable[[str], Collection[str]]
) -> dict[str, Counter[str]]:
    """What the instances are that the PACS has of these series and that are not here.

    Parameters
    ----------
    caller : Caller
    wanted : sequence of Wanted
    held_instances : callable
        Gives the SOPInstanceUIDs that are here of a series.

    Returns
    -------
    dict
        SeriesInstanceUID to kinds, and how many there are of each: the name of the SOP class and, where the
        PACS tells, of the transfer syntax. A series of which it lists nothing is not in it.
    """
    kinds: dict[str, Counter[str]] = {}
    held = {series.series_uid: held_instances(series.series_uid) for series in wanted}

    def take(series: Wanted, values: Mapping[str, str]) -> None:
        if values.get("SOPInstanceUID", "") not in held[series.series_uid]:
            kinds.setdefault(series.series_uid, Counter())[_kind(values)] += 1

    _list(caller, wanted, ("SOPClassUID", "AvailableTransferSyntaxUID"), take)
    return kinds


def _kind(values: Mapping[str, str]) -> str:
    sop_class, syntaxes = (
        [UID(uid).name for uid in values.get(keyword, "").split("\\") if is_uid(uid)]
        for keyword in ("SOPClassUID", "AvailableTransferSyntaxUID")
    )
    words = sop_class[0] if sop_class else "of a kind that the PACS does not tell"
    return f"{words} ({', '.join(syntaxes)})" if syntaxes else words
