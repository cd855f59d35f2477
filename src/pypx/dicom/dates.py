"""DICOM dates and ages (PS3.5, 6.2: DA and AS), read from values that may hold anything."""

from __future__ import annotations

import re
from datetime import date

#: DA as it is now, and as ACR-NEMA wrote it (PS3.5, 6.2, note on DA).
_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})|([0-9]{4})\.([0-9]{2})\.([0-9]{2})")

_AGE = re.compile(r"([0-9]{1,3})([DWMY])")

#: Mean lengths in the Gregorian calendar's short cycle of four years.
_DAYS_OF_UNIT = {"D": 1.0, "W": 7.0, "M": 365.25 / 12, "Y": 365.25}

_PADDING = " \0"


def parse_date(text: str) -> date | None:
    """The day that a DA value names (PS3.5, 6.2).

    Parameters
    ----------
    text : str
        "20200131", or "2020.01.31" as earlier writers had it.

    Returns
    -------
    datetime.date or None
        None where the text is no such date.

    Examples
    --------
    >>> parse_date("20200131")
    datetime.date(2020, 1, 31)
    """
    match = _DATE.fullmatch(text.strip(_PADDING))
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups() if part)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def iso_date(text: str) -> str | None:
    """A DA value as "YYYY-MM-DD" (ISO 8601); None where it is no date.

    Examples
    --------
    >>> iso_date("2020.01.31")
    '2020-01-31'
    """
    day = parse_date(text)
    return day.isoformat() if day else None


def days_between(earlier: str, later: str) -> int | None:
    """Whole days from one DA value to another, such as from birth to study.

    Parameters
    ----------
    earlier, later : str
        DA values, as :func:`parse_date` reads them.

    Returns
    -------
    int or None
        None where one of them is no date or they are the wrong way round.

    Examples
    --------
    >>> days_between("20200131", "20200201")
    1
    """
    first, last = parse_date(earlier), parse_date(later)
    if first is None or last is None or last < first:
        return None
    return (last - first).days


def age_in_days(text: str) -> int | None:
    """An AS value (PatientAge) as whole days, rounded down (PS3.5, 6.2).

    Parameters
    ----------
    text : str
        "034Y", "006M", "003W" or "012D"; leading zeros may be missing. A year counts as 365.25 days, a month
        as a twelfth of that.

    Returns
    -------
    int or None
        None where the text is no age.

    Examples
    --------
    >>> age_in_days("006M")
    182
    """
    match = _AGE.fullmatch(text.strip(_PADDING))
    return int(int(match[1]) * _DAYS_OF_UNIT[match[2]]) if match else None
