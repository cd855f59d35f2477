"""What is to be registered: series, what they say of themselves, and where they are in storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pypx.cube.fields import SERVICES
from pypx.errors import InvalidValue, PypxError

#: What CUBE takes for an image.
EXTENSION = ".dcm"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A series that CUBE is to know.

    Parameters
    ----------
    series_uid, study_uid : str
    values : mapping of str to str
        Keyword to text, those of :data:`pypx.cube.fields.ATTRIBUTES`.
    folder : str
        Where its files are in storage: ``SERVICES/PACS/<name>/…``.
    names : tuple of str
        Files of it that must be there.
    at_least : int
        How many there must be, where their names are not all known.
    is_its_own : bool
        Whether the folder is known to hold nothing but this series.
    target : str
        The storage, and perhaps the place in it, as the catalogue has it; "" where nobody knows.
    error : PypxError or None
        Why it cannot be registered.
    """

    series_uid: str
    study_uid: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    names: tuple[str, ...] = ()
    at_least: int = 0
    is_its_own: bool = False
    target: str = ""
    error: PypxError | None = None

    @property
    def description(self) -> str:
        return self.values.get("SeriesDescription", "")


def folder_of(name: str) -> str:
    """The folder that an object is in."""
    return name.rpartition("/")[0]


def only_as(wanted: Wanted, pacs_name: str) -> Wanted:
    """The series, refused where it is in storage under another name of a PACS than a person says.

    Parameters
    ----------
    wanted : Wanted
    pacs_name : str
        "" where nobody says.
    """
    parts = wanted.folder.split("/")
    if wanted.error or not pacs_name or "/".join(parts[:2]) != SERVICES or parts[2:3] in ([], [pacs_name]):
        return wanted
    error = InvalidValue(
        f"The series {wanted.series_uid} was pushed as one of {parts[2]!r}, and not of {pacs_name!r}",
        "Leave --swiftServicesPACS out, or push the series again under that name.",
    )
    return replace(wanted, error=error)
