"""Which instances a PACS has of a series, where its answers at series level do not tell, or tell wrong."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from pypx.actions.plan import Wanted
from pypx.dcmtk import findscu
from pypx.dcmtk.caller import Caller
from pypx.dicom.query import Level, Query
from pypx.dicom.uid import is_uid
from pypx.errors import PypxError

logger = logging.getLogger(__name__)


def with_counts(caller: Caller, wanted: Sequence[Wanted]) -> list[Wanted]:
    """The series, those without a count with the one that the PACS gives at IMAGE level."""
    told = {one.series_uid: one for one in counted(caller, [one for one in wanted if one.expected is None])}
    return [told.get(one.series_uid, one) for one in wanted]


def counted(caller: Caller, wanted: Sequence[Wanted]) -> list[Wanted]:
    """The series with as many instances as the PACS lists; as they were where it does not list them."""
    instances = listed(caller, wanted)
    return [
        replace(series, expected=len(instances[series.series_uid]))
        if series.series_uid in instances
        else series
        for series in wanted
    ]


def listed(caller: Caller, wanted: Sequence[Wanted]) -> dict[str, set[str]]:
    """The SOPInstanceUIDs that the PACS has of these series (PS3.4, C.6.2.1), all over one association.

    A series of which it lists none, or does not answer, is not in the result: not every PACS knows the IMAGE
    level.
    """
    if not wanted:
        return {}
    queries = [
        Query(
            Level.IMAGE,
            {"StudyInstanceUID": series.study_uid, "SeriesInstanceUID": series.series_uid},
            ("SOPInstanceUID",),
        )
        for series in wanted
    ]
    instances: list[set[str]] = [set() for _ in wanted]

    def take(answer: findscu.Answer) -> None:
        if is_uid(uid := answer.values.get("SOPInstanceUID", "")):
            instances[answer.query].add(uid)

    try:
        outcome = findscu.find(caller, queries, take)
    except PypxError as error:
        logger.info("The PACS does not list instances (%s)", error.message)
        return {}
    return {
        series.series_uid: uids
        for series, uids, final in zip(wanted, instances, outcome.finals, strict=True)
        if final.is_success and uids
    }
