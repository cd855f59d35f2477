"""Values of JSON tables that anybody may have written, as what they are to be: else they say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pypx.actions.smdb.table_files import NOT_DEFINED
from pypx.actions.smdb.tables import TIME_FORMAT
from pypx.basemount import schema
from pypx.dicom.numbers import whole_number

#: Longest value that is taken: more than any attribute that is described may have (PS3.5, 6.2).
_LONGEST_VALUE = 1024


def texts(told: object) -> dict[str, str]:
    """The attributes that the catalogue describes, as far as a table defines them."""
    if not isinstance(told, dict):
        return {}
    found = {keyword: text(told.get(keyword)) for keyword in schema.ATTRIBUTES if keyword in told}
    return {keyword: value for keyword, value in found.items() if value}


def texts_of_image(told: object) -> dict[str, str]:
    """The attributes of an image as the table of a series in a study has them: each with its value."""
    members = told.get("DICOM") if isinstance(told, dict) else None
    if not isinstance(members, dict):
        return {}
    return texts({name: one.get("value") if isinstance(one, dict) else one for name, one in members.items()})


def text(value: object) -> str:
    """A text or number as text; "" for what is something else, undefined or too long."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    try:
        written = str(value)
    except ValueError:
        # A number of thousands of digits.
        return ""
    return "" if written == NOT_DEFINED or len(written) > _LONGEST_VALUE else written


def count(value: object) -> int | None:
    """A number of images; None for what is none."""
    return whole_number(text(value).strip())


def time_of(told: Mapping[str, Any], modified: float) -> datetime:
    """When something happened, as its table says, else when the table was written.

    Parameters
    ----------
    told : mapping
        With ``time`` (ISO 8601) or ``timestamp``, as earlier releases wrote it.
    modified : float
        Seconds since 1970.
    """
    for name, read in (("time", datetime.fromisoformat), ("timestamp", _timestamp)):
        try:
            return read(text(told.get(name))).astimezone(UTC)
        except (ValueError, OverflowError, OSError):
            continue
    return datetime.fromtimestamp(modified, UTC)


def _timestamp(written: str) -> datetime:
    return datetime.strptime(written, TIME_FORMAT)
