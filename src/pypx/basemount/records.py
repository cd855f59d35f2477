"""What goes into the catalogue and comes out of it, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

#: What can happen to a series.
EventKind: TypeAlias = Literal["requested", "received", "packed", "pushed", "registered", "failed"]


def now() -> datetime:
    """The time of an event, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a series.

    Parameters
    ----------
    series_uid : str
        SeriesInstanceUID (0020,000E).
    kind : str
        ``requested``, ``received``, ``packed``, ``pushed``, ``registered`` or ``failed``.
    study_uid : str
        StudyInstanceUID (0020,000D).
    count : int or None
        Of ``received`` and ``packed``: how many instances came to those before. Of ``requested``, ``pushed``
        and ``registered``: how many instances of the series now are. None where nobody knows.
    target : str
        Where to: an AE title, a storage, a CUBE.
    detail : str
        For a person: why it failed, which way it went.
    time : datetime.datetime
        When, with its time zone. The same event recorded twice is one event.
    """

    series_uid: str
    kind: EventKind
    study_uid: str = ""
    count: int | None = None
    target: str = ""
    detail: str = ""
    time: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class PackedInstance:
    """An instance that has its place in data/.

    Parameters
    ----------
    values : mapping of str to str
        Keyword to text: the attributes in :mod:`pypx.basemount.schema`, as far as the instance has them.
    variant : str
        "" for the first content held under its SOP Instance UID, a digest for each other content.
    path : str
        Below data/.
    size : int
        Of the file, in bytes.
    digest : str
        Of its data set; "" where nobody had to ask.
    """

    values: Mapping[str, str]
    variant: str
    path: str
    size: int
    digest: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What the catalogue knows it by: SOP Instance UID and variant."""
        return self.values["SOPInstanceUID"], self.variant


@dataclass(frozen=True, slots=True)
class Added:
    """What became of instances that were to be written down, by their keys.

    Parameters
    ----------
    new : frozenset of (str, str)
        Those that were not known before.
    strays : frozenset of (str, str)
        Those that say that they are of another study or patient than their series.
    """

    new: frozenset[tuple[str, str]] = frozenset()
    strays: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """An instance that the catalogue knows.

    Parameters
    ----------
    sop_uid, variant : str
        What it is known by.
    path : str
        Below data/.
    size : int
        Of the file, in bytes.
    """

    sop_uid: str
    variant: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was put into quarantine/.

    Parameters
    ----------
    name : str
        In quarantine/.
    reason : str
        Why, as a sentence without the final stop.
    sop_uid, series_uid, study_uid : str
        As far as they could be read; else "".
    """

    name: str
    reason: str
    sop_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """What the catalogue knows of a series; None is what nobody recorded.

    Parameters
    ----------
    series_uid, study_uid, description, modality : str
        The series; "" where it is not known yet.
    packed : int
        Instances in data/, strays left out.
    quarantined : int
        Instances of which there is only a damaged file.
    requested, pushed, registered : int or None
        Instances that were asked for, are in storage, are registered, as last recorded.
    failure : str
        What failed, where that is the last that happened to the series; else "".
    strays : int
        Files in data/ that have its UID, and say that they are of another study or patient.
    """

    series_uid: str
    study_uid: str = ""
    description: str = ""
    modality: str = ""
    packed: int = 0
    quarantined: int = 0
    requested: int | None = None
    pushed: int | None = None
    registered: int | None = None
    failure: str = ""
    strays: int = 0

    @property
    def received(self) -> int:
        """Instances that arrived, in whatever state."""
        return self.packed + self.quarantined
