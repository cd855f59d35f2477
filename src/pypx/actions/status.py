"""How far each series is: requested, received, packed, pushed, registered."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pypx.actions.found import Found
from pypx.basemount.records import SeriesRecord
from pypx.basemount.smdb import Catalogue
from pypx.errors import NothingFound
from pypx.wording import counted

#: A count that nobody recorded.
UNKNOWN = "unknown"

#: Seconds between two looks, for somebody who follows.
INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """How far series are, in the order in which they were asked for.

    Parameters
    ----------
    series : tuple of SeriesRecord
    in_study : mapping of str to bool or None
        Where it was to be verified: by SeriesInstanceUID whether the series is of the study that it was said
        to be of; None where the catalogue knows no study of it yet.
    told : mapping of str to int
        By SeriesInstanceUID how many instances a PACS said that it has.
    awaited : tuple of str
        Studies of which nothing is known yet.
    unknown : frozenset of str
        Series and studies, each with a record among the others, of which nothing is known and that are not
        awaited; that of a study has no UID of a series.
    """

    series: tuple[SeriesRecord, ...]
    in_study: Mapping[str, bool | None] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    awaited: tuple[str, ...] = ()
    unknown: frozenset[str] = frozenset()

    @property
    def error(self) -> NothingFound | None:
        """What is wrong: UIDs of which nothing is known, or series that are not of their study."""
        unknown = [error for record in self.series if (error := self._error_of(record))]
        if unknown:
            return NothingFound(f"{unknown[0].message}{_likewise(len(unknown) - 1)}")
        foreign = [record for record in self.series if self.in_study.get(record.series_uid) is False]
        if not foreign:
            return None
        first = foreign[0]
        return NothingFound(
            f"The series {first.series_uid} is not of the study that was named{_likewise(len(foreign) - 1)}",
            f"It is of the study {first.study_uid or UNKNOWN}.",
        )

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for, or that the PACS has, is here."""
        return not self.awaited and all(self._is_complete(record) for record in self.series)

    @property
    def without_end(self) -> int:
        """Series of which nobody knows how many instances they will have."""
        return sum(self.expected(record) is None for record in self.series)

    def expected(self, record: SeriesRecord) -> int | None:
        """How many instances of a series are to be here in the end."""
        return record.requested if record.requested is not None else self.told.get(record.series_uid)

    def _error_of(self, record: SeriesRecord) -> NothingFound | None:
        uid = record.series_uid or record.study_uid
        if uid not in self.unknown:
            return None
        return NothingFound(
            f"The catalogue has nothing of the {'series' if record.series_uid else 'study'} {uid}"
        )

    def _is_complete(self, record: SeriesRecord) -> bool:
        expected = self.expected(record)
        return expected is not None and record.packed >= expected

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-status."""
        document: dict[str, Any] = {
            "status": "error" if self.error else "success",
            "data": [self._series_json(record) for record in self.series],
        }
        if self.error:
            document["error"] = self.error.to_json()
        return document

    def _series_json(self, record: SeriesRecord) -> dict[str, Any]:
        document = series_json(record)
        if record.series_uid in self.in_study:
            verdict = self.in_study[record.series_uid]
            document["inStudy"] = UNKNOWN if verdict is None else verdict
        if error := self._error_of(record):
            document["error"] = error.to_json()
        return document


def _likewise(more: int) -> str:
    return f" ({counted(more, 'other', 'others')} likewise)" if more else ""


def status_of_series(
    catalogue: Catalogue,
    series_uids: Sequence[str],
    in_studies: Collection[str] = (),
    *,
    awaiting: bool = False,
) -> Status:
    """What the catalogue knows of series.

    Parameters
    ----------
    catalogue : Catalogue
        To ask.
    series_uids : sequence of str
        SeriesInstanceUID (0020,000E).
    in_studies : collection of str
        The StudyInstanceUIDs (0020,000D) that they must be of; none to let that be.
    awaiting : bool
        Whether what is not known is on its way, and no error.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    records = catalogue.series_status(series_uids)
    unknown = frozenset() if awaiting else frozenset(series_uids) - records.keys()
    series = tuple(records.get(uid, SeriesRecord(uid)) for uid in series_uids)
    studies = dict.fromkeys(series_uids, in_studies) if in_studies else {}
    return Status(series, _verified(series, studies), unknown=unknown)


def status_of_studies(
    catalogue: Catalogue, study_uids: Collection[str], *, awaiting: bool = False, verify: bool = False
) -> Status:
    """What the catalogue knows of all series of studies; those come last of which it knows nothing.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    series_uids: list[str] = []
    unknown: list[str] = []
    for study_uid in study_uids:
        of_study = catalogue.series_of_study(study_uid)
        if not of_study:
            unknown.append(study_uid)
        series_uids += of_study
    known = status_of_series(catalogue, series_uids, list(study_uids) if verify else (), awaiting=awaiting)
    if awaiting:
        return replace(known, awaited=tuple(unknown))
    absent = (SeriesRecord("", study_uid) for study_uid in unknown)
    return replace(known, series=(*known.series, *absent), unknown=known.unknown.union(unknown))


def status_of_found(catalogue: Catalogue, founds: Iterable[Found], *, verify: bool = False) -> Status:
    """What the catalogue knows of the series that finds found; what it does not know is not here.

    Of a study whose series were not asked for, those are shown that the catalogue has.

    Parameters
    ----------
    catalogue : Catalogue
        To ask.
    founds : iterable of Found
    verify : bool
        Hold the study that each series was found in against the one that the catalogue has for it.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    wanted: dict[str, SeriesRecord] = {}
    told: dict[str, int] = {}
    awaited: list[str] = []
    for found in founds:
        for study in found.studies:
            for series in study.series:
                wanted[series.uid] = SeriesRecord(
                    series_uid=series.uid,
                    study_uid=series.study_uid or study.uid,
                    description=series.values.get("SeriesDescription", ""),
                    modality=series.values.get("Modality", ""),
                )
                if series.instances is not None:
                    told[series.uid] = series.instances
        for study_uid in found.studies_alone:
            of_study = catalogue.series_of_study(study_uid)
            awaited += [] if of_study else [study_uid]
            for uid in of_study:
                wanted.setdefault(uid, SeriesRecord(uid, study_uid))
    known = catalogue.series_status(wanted)
    records = tuple(_described(known.get(uid, record), record) for uid, record in wanted.items())
    studies = {uid: (record.study_uid,) for uid, record in wanted.items()} if verify else {}
    verdicts = _verified([known.get(uid, SeriesRecord(uid)) for uid in studies], studies)
    return Status(records, verdicts, told, tuple(awaited))


def follow(ask: Callable[[], Status], wait: Callable[[float], object] = time.sleep) -> Iterator[Status]:
    """One status after another, until all that was asked for is here.

    Parameters
    ----------
    ask : callable
        Gives the status of this moment.
    wait : callable
        Gets the seconds until the next look.
    """
    while True:
        status = ask()
        yield status
        if status.is_complete:
            return
        wait(INTERVAL)


def _verified(
    records: Iterable[SeriesRecord], studies: Mapping[str, Collection[str]]
) -> dict[str, bool | None]:
    """Whether each series is of one of its studies; None where that is not known."""
    return {
        record.series_uid: record.study_uid in studies[record.series_uid] if record.study_uid else None
        for record in records
        if record.series_uid in studies
    }


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
    if record.strays:
        words.append(f"{record.strays} of another patient or study beside it")
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


def series_json(record: SeriesRecord) -> dict[str, Any]:
    """One member of "data" in the JSON of px-status."""
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
