"""What becomes of one file."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pypx.errors import PypxError
from pypx.wording import counted


class Source(enum.Enum):
    """What is to become of the files once their instances are safe: they go, or they stay."""

    TAKE = "take"
    KEEP = "keep"


class Fate(enum.StrEnum):
    """What became of a file."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Handling:
    """How files are to be treated.

    Parameters
    ----------
    source : Source
        What is to become of them once their instances are safe.
    missing, foreign : Fate
        What one counts as that is not there, and one that is something else than DICOM: ``SKIPPED`` or
        ``FAILED``.
    """

    source: Source
    missing: Fate = Fate.SKIPPED
    foreign: Fate = Fate.SKIPPED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Parameters
    ----------
    path : pathlib.Path
        As it was named.
    fate : Fate
        ``CONFLICT`` is stored as well, beside other content of the same SOP Instance UID.
    values : mapping of str to str
        Its attributes, as far as they could be read.
    size : int
        Bytes that were stored.
    error : PypxError or None
        What is wrong with it.
    quarantined : pathlib.Path or None
        Where it is in quarantine/.
    is_stray : bool
        Whether it is new, and says that it is of another study or patient than its series.
    """

    path: Path
    fate: Fate
    values: Mapping[str, str]
    size: int = 0
    error: PypxError | None = None
    quarantined: Path | None = None
    is_stray: bool = False


def words_of_strays(series_uid: str, count: int) -> str:
    """What a person is told of images that are new and contradict the description of their series."""
    is_one = count == 1
    says = "says that it is" if is_one else "say that they are"
    kept = "it is kept, and does" if is_one else "they are kept, and do"
    return (
        f"{counted(count, 'image', 'images')} with the UID of the series {series_uid} {says} of another"
        f" patient or study; {kept} not count as of that series (px-smdb --action check tells where)"
    )
