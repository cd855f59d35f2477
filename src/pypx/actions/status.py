"""How far each series is: requested, received, packed, pushed, registered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pypx.actions.found import Found
from pypx.basemount.records import SeriesRecord
from pypx.basemount.smdb import Catalogue
from pypx.errors import NothingFound

#: A count that nobody recorded.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """How far series are, in the order in which they were asked for."""

    series: tuple[SeriesRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-status."""
        return {"status": "success", "data": [_series_json(record) for record in self.series]}


def status_of_series(catalogue: Catalogue, series_uids: Sequence[str], in_study: str | None = None) -> Status:
    """What the catalogue knows of series.

    Parameters
    ----------
    catalogue : Catalogue
        To ask.
    series_uids : sequence of str
        SeriesInstanceUID (0020,000E).
    in_study : str, optional
        The StudyInstanceUID (0020,000D) that they must be of.

    Raises
    ------
    NothingFound
        When nothing is known of one, or it is of another study.
    """
    records = catalogue.series_status(series_uids)
    for uid in series_uids:
        if uid not in records:
            raise NothingFound(f"The catalogue has nothing of the series {uid}")
        if in_study is not None and records[uid].study_uid != in_study:
            raise NothingFound(
                f"The series {uid} is not of the study {in_study}",
                f"It is of the study {records[uid].study_uid or UNKNOWN}.",
            )
    return Status(tuple(records[uid] for uid in series_uids))


def status_of_studies(catalogue: Catalogue, study_uids: Iterable[str]) -> Status:
    """What the catalogue knows of all series of studies.

    Raises
    ------
    NothingFound
        When nothing is known of a study.
    """
    series_uids: list[str] = []
    for study_uid in study_uids:
        of_study = catalogue.series_of_study(study_uid)
        if not of_study:
            raise NothingFound(f"The catalogue has nothing of the study {study_uid}")
        series_uids += of_study
    return status_of_series(catalogue, series_uids)


def status_of_found(catalogue: Catalogue, founds: Iterable[Found]) -> Status:
    """What the catalogue knows of the series that finds found; what it does not know is not here.

    Of a study that was found without its series, those are shown that the catalogue has.
    """
    wanted: dict[str, SeriesRecord] = {}
    for found in founds:
        for study in found.studies:
            for series in study.series:
                wanted[series.uid] = SeriesRecord(
                    series_uid=series.uid,
                    study_uid=series.study_uid or study.uid,
                    description=series.values.get("SeriesDescription", ""),
                    modality=series.values.get("Modality", ""),
                )
            if not study.series:
                for uid in catalogue.series_of_study(study.uid):
                    wanted.setdefault(uid, SeriesRecord(uid, study.uid))
    known = catalogue.series_status(wanted)
    return Status(tuple(_described(known.get(uid, record), record) for uid, record in wanted.items()))


def _described(record: SeriesRecord, found: SeriesRecord) -> SeriesRecord:
    """Before anything of a series has come, what the PACS says of it is all that is known."""
    return replace(
        record,
        study_uid=record.study_uid or found.study_uid,
        description=record.description or found.description,
        modality=record.modality or found.modality,
    )


def state(record: SeriesRecord) -> str:
    """How far a series is, in words."""
    words = [_arrival(record)]
    if record.quarantined:
        words.append(f"{record.quarantined} damaged, in quarantine")
    for word, count in (("pushed", record.pushed), ("registered", record.registered)):
        if count:
            words.append(word if count >= record.packed else f"{count} {word}")
    if record.failure:
        words.append(f"last failure: {record.failure}")
    return ", ".join(words)


def _arrival(record: SeriesRecord) -> str:
    if record.requested is None:
        return "packed" if record.packed else "not here"
    if not record.packed:
        return f"requested, none of {record.requested} here"
    if record.packed < record.requested:
        return f"incomplete, {record.packed} of {record.requested} here"
    return "complete"


def _series_json(record: SeriesRecord) -> dict[str, Any]:
    return {
        "StudyInstanceUID": record.study_uid,
        "SeriesInstanceUID": record.series_uid,
        "SeriesDescription": record.description,
        "Modality": record.modality,
        **{name: UNKNOWN if count is None else count for name, count in counts(record).items()},
        "state": state(record),
    }


def counts(record: SeriesRecord) -> dict[str, int | None]:
    """The counts of a series, in the order in which they come about; None is what nobody recorded."""
    return {
        "requested": record.requested,
        "received": record.received,
        "packed": record.packed,
        "pushed": record.pushed,
        "registered": record.registered,
    }
