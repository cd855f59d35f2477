"""Attribute matching (PS3.4, C.2.2.2): the values that queries send, and whether an answer fits them."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeAlias

from pypx.dicom.attributes import Attribute, attribute
from pypx.dicom.uid import is_uid
from pypx.errors import InvalidValue

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_CODE_STRING = re.compile(r"[A-Z0-9 _*?\\]*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"[0-9:.\-]*", re.ASCII)

#: Longest value in characters, one of several (PS3.5, 6.2); of a person name, each component group.
_LONGEST = {"AE": 16, "AS": 4, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "PN": 64, "SH": 16, "TM": 28}

_Check: TypeAlias = Callable[[Attribute, str, date], str]


def matching_value(name: str, text: str, today: date) -> str:
    """A value as a person gives it, as the value that a query sends.

    Parameters
    ----------
    name : str
        Keyword or gggg,eeee of the attribute.
    text : str
        For dates YYYYMMDD, YYYY/MM/DD, YYYY-MM-DD, ranges of them with a dash, today, yesterday, last-N-days.
        For UIDs one or several, with commas or backslashes between. For texts ``*`` and ``?`` match as in
        DICOM.
    today : datetime.date
        What "today" means.

    Raises
    ------
    InvalidValue
        When the attribute cannot hold it.
    UnknownAttribute
    """
    asked = attribute(name)
    if any(character < " " or character == "\x7f" for character in text):
        raise InvalidValue(
            f"{asked.keyword} cannot hold a control character", "Write ? for a character you cannot type."
        )
    return _CHECKS.get(asked.vr, _text)(asked, text, today)


def _text(asked: Attribute, text: str, _today: date) -> str:
    longest = _LONGEST.get(asked.vr)
    parts = re.split(r"[\\=]" if asked.vr == "PN" else r"\\", text)
    if longest and any(len(part) > longest for part in parts):
        raise InvalidValue(
            f"{asked.keyword} takes {longest} characters at most",
            "Shorten it, and end it with * for the rest.",
        )
    return text


def _of_form(form: re.Pattern[str], words: str) -> _Check:
    def check(asked: Attribute, text: str, today: date) -> str:
        for part in text.split("\\"):
            if not form.fullmatch(part.strip()):
                raise InvalidValue(
                    f"{asked.keyword} {part!r} is not {words}", f"{asked.keyword} takes {words}."
                )
        return _text(asked, text, today)

    return check


def _uids(asked: Attribute, text: str, _today: date) -> str:
    uids = [part.strip() for part in text.replace("\\", ",").split(",") if part.strip()]
    for uid in uids:
        if not is_uid(uid):
            wildcard = " A UID takes no wildcard." if set(uid) & {"*", "?"} else ""
            raise InvalidValue(
                f"{asked.keyword} {uid!r} is not a UID",
                f"A UID is digits and dots, 64 at most; several stand with commas between.{wildcard}",
            )
    return "\\".join(dict.fromkeys(uids))


def _dates(asked: Attribute, text: str, today: date) -> str:
    words = {"today": 0, "yesterday": 1}
    text = text.strip()
    if text in words:
        return f"{today - timedelta(days=words[text]):%Y%m%d}"
    if last := re.fullmatch(r"last-(\d{1,6})-days", text, re.ASCII):
        return f"{today - timedelta(days=min(int(last[1]), today.toordinal() - 1)):%Y%m%d}-"
    begin, dash, end = _split_range(text)
    first, last_day = _date(asked, begin), _date(asked, end)
    if first and last_day and first > last_day:
        raise InvalidValue(f"{asked.keyword} {text!r} ends before it begins", "Give the earlier date first.")
    return f"{first}{dash}{last_day}"


def _split_range(text: str) -> tuple[str, str, str]:
    """Begin, dash and end of a range whose dates may have dashes of their own."""
    dashes = [place for place, character in enumerate(text) if character == "-"]
    middle: int | None = None
    if len(dashes) in (1, 5):
        middle = dashes[len(dashes) // 2]
    elif len(dashes) == 3 and text.startswith("-"):
        middle = 0
    elif len(dashes) == 3 and text.endswith("-"):
        middle = len(text) - 1
    return (text, "", "") if middle is None else (text[:middle], "-", text[middle + 1 :])


def _date(asked: Attribute, text: str) -> str:
    digits = text.strip().replace("-", "").replace("/", "").replace(".", "")
    if not digits:
        return ""
    written = _DATE.fullmatch(digits)
    try:
        if written:
            return f"{date(int(written[1]), int(written[2]), int(written[3])):%Y%m%d}"
    except ValueError:
        pass  # as 20200231: no such day, the same to say as for what is no date at all
    raise InvalidValue(
        f"{asked.keyword} {text!r} is not a date",
        "Write YYYYMMDD, YYYY-MM-DD, a range as 20200101-20201231, or today, yesterday, last-7-days.",
    )


_CHECKS: Mapping[str, _Check] = {
    "UI": _uids,
    "DA": _dates,
    "CS": _of_form(_CODE_STRING, "capital letters, digits, space and underscore, or * and ?"),
    "IS": _of_form(_INTEGER, "a whole number"),
    "US": _of_form(_INTEGER, "a whole number"),
    "UL": _of_form(_INTEGER, "a whole number"),
    "SS": _of_form(_INTEGER, "a whole number"),
    "SL": _of_form(_INTEGER, "a whole number"),
    "DS": _of_form(_DECIMAL, "a number"),
    "FL": _of_form(_DECIMAL, "a number"),
    "FD": _of_form(_DECIMAL, "a number"),
    "TM": _of_form(_TIME, "a time as HHMMSS, or a range of times"),
}


def matches(name: str, asked: str, answered: str) -> bool:
    """Whether an answer's value fits what was asked for.

    Generous where the standard lets a PACS be: names and texts match whatever their case and accents, and in
    any component group (PS3.4, C.2.2.2.1, C.2.2.2.4). What this refuses, no reading of the query can mean.

    Parameters
    ----------
    name : str
        Keyword or gggg,eeee.
    asked : str
        As of :func:`matching_value`.
    answered : str
        As the PACS returned it; several values joined by a backslash.
    """
    known = attribute(name)
    if not asked.strip("*"):
        return True
    if known.vr in ("DA", "TM", "DT"):
        return any(_in_range(asked, value.strip()) for value in answered.split("\\"))
    if known.vr == "UI":
        return not set(asked.split("\\")).isdisjoint(answered.split("\\"))
    if known.vr in ("IS", "DS", "US", "UL", "SS", "SL", "FL", "FD"):
        return any(_same_number(asked, value) for value in answered.split("\\"))
    return _text_matches(known, asked, answered)


def _in_range(asked: str, value: str) -> bool:
    begin, dash, end = asked.partition("-")
    value = value.replace(".", "") if len(value) == 10 else value
    if not value:
        return False
    if not dash:
        return value.startswith(begin) or begin.startswith(value)
    return (not begin or value >= begin[: len(value)]) and (not end or value[: len(end)] <= end)


def _same_number(asked: str, value: str) -> bool:
    try:
        return any(float(part) == float(value) for part in asked.split("\\"))
    except ValueError:
        return False


def _text_matches(known: Attribute, asked: str, answered: str) -> bool:
    values = answered.split("\\")
    if known.vr == "PN":
        values = [group for value in values for group in (value, *value.split("="))]
    # LO and the like may hold the backslash as a letter, in ISO 2022 and where a site breaks the rule.
    return any(
        pattern.fullmatch(_plain(value)) for pattern in _patterns(asked) for value in (*values, answered)
    )


@lru_cache(maxsize=64)
def _patterns(asked: str) -> tuple[re.Pattern[str], ...]:
    """One pattern for each of several values, and one for the whole."""
    return tuple(_pattern(_plain(part)) for part in dict.fromkeys((asked, *asked.split("\\"))))


def _pattern(asked: str) -> re.Pattern[str]:
    # A bracket means nothing in DICOM. fnmatch's patterns are linear, however many wildcards there are.
    return re.compile(fnmatch.translate(asked.replace("[", "[[]")))


def _plain(text: str) -> str:
    """Without case, accents, and the spaces and carets at the end that mean nothing."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().strip().rstrip("^ ")
