"""Matching keys (PS3.4, C.2.2.2): the values that queries send, from what people write."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TypeAlias

from pypx.dicom.attributes import Attribute, attribute
from pypx.dicom.uid import is_uid
from pypx.errors import InvalidValue

_DAY = r"\d{4}(?:\d{4}|-\d\d-\d\d|/\d\d/\d\d|\.\d\d\.\d\d)"
_DAYS = re.compile(rf"(?P<begin>{_DAY})?\s*(?P<dash>-?)\s*(?P<end>{_DAY})?", re.ASCII)
_TIME = r"(?:[01]\d|2[0-3])(?:(?::?[0-5]\d)(?::?(?:[0-5]\d|60)(?:\.\d{1,6})?)?)?"
_TIMES = re.compile(rf"(?:{_TIME})?\s*-?\s*(?:{_TIME})?", re.ASCII)
_DATE_TIMES = re.compile(r"[0-9.+\- ]*", re.ASCII)
_AGE = re.compile(r"\d{3}[DWMY]", re.ASCII)
_CODE_STRING = re.compile(r"[A-Z0-9 _*?]*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

#: Longest value in characters, one of several (PS3.5, 6.2); of a person name, each component group.
_LONGEST = {
    **{
        "AE": 16,
        "AS": 4,
        "CS": 16,
        "DS": 16,
        "IS": 12,
        "LO": 64,
        "LT": 10240,
        "PN": 64,
        "SH": 16,
        "ST": 1024,
    },
}

#: How the struct module names the numbers in binary.
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}

#: What has no value that could be written on a command line.
_WITHOUT_TEXT = frozenset({"SQ", "AT", "OB", "OD", "OF", "OL", "OV", "OW"})

#: Below it are commands, file meta information and media directories (PS3.5, 7.1).
_FIRST_GROUP = 0x0008
_ITEMS = 0xFFFE

_Check: TypeAlias = Callable[[Attribute, str, date], str]


def returned_attribute(name: str) -> Attribute:
    """An attribute that a query can ask for.

    Parameters
    ----------
    name : str
        Keyword or gggg,eeee.

    Raises
    ------
    InvalidValue
        When it belongs to messages or files rather than to what a PACS knows.
    UnknownAttribute
    """
    asked = attribute(name)
    if not _FIRST_GROUP <= asked.tag.group < _ITEMS or asked.tag.element == 0:
        raise InvalidValue(
            f"{name} is no attribute of a patient, study or series",
            "Leave it out: a PACS cannot be asked for it.",
        )
    return asked


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
    asked = returned_attribute(name)
    if asked.keyword in ("SpecificCharacterSet", "QueryRetrieveLevel"):
        raise InvalidValue(f"{asked.keyword} is set by the tool itself", f"Leave {asked.keyword} out.")
    if any(character < " " or character == "\x7f" for character in text):
        raise InvalidValue(
            f"{asked.keyword} cannot hold a control character", "Write ? for a character you cannot type."
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValue(
            f"{asked.keyword} holds bytes that are no UTF-8 text",
            "Set your terminal and locale to UTF-8, or write ? for the character.",
        )
    if not text:
        return ""
    if asked.vr in _WITHOUT_TEXT:
        raise InvalidValue(
            f"{asked.keyword} cannot be matched by a value", f"Leave the value out: {asked.keyword}=."
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
    """A check of each of several values."""

    def check(asked: Attribute, text: str, today: date) -> str:
        for part in text.split("\\"):
            if not form.fullmatch(part.strip()):
                raise InvalidValue(
                    f"{asked.keyword} {part!r} is not {words}", f"{asked.keyword} takes {words}."
                )
        return _text(asked, text, today)

    return check


def _binary(form: re.Pattern[str], words: str) -> _Check:
    """A check of numbers that are sent in binary, in so many bytes."""
    check = _of_form(form, words)

    def check_range(asked: Attribute, text: str, today: date) -> str:
        check(asked, text, today)
        kind = float if asked.vr in ("FL", "FD") else int
        try:
            for part in text.split("\\"):
                struct.pack(f"<{_NUMBERS[asked.vr]}", kind(part))
        except (struct.error, OverflowError, ValueError) as error:
            raise InvalidValue(
                f"{asked.keyword} cannot hold a number like {text}", "Correct the number."
            ) from error
        return text

    return check_range


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
    text = text.strip()
    words = {"today": 0, "yesterday": 1}
    if text in words:
        return f"{today - timedelta(days=words[text]):%Y%m%d}"
    if last := re.fullmatch(r"last-(\d{1,6})-days", text, re.ASCII):
        return f"{today - timedelta(days=min(int(last[1]), today.toordinal() - 1)):%Y%m%d}-"
    written = _DAYS.fullmatch(text)
    if not written or not (written["begin"] or written["end"]) or (written["end"] and not written["dash"]):
        raise _not_a_date(asked, text)
    begin, end = _date(asked, written["begin"]), _date(asked, written["end"])
    if begin and end and begin > end:
        raise InvalidValue(f"{asked.keyword} {text!r} ends before it begins", "Give the earlier date first.")
    return f"{begin}{written['dash']}{end}"


def _date(asked: Attribute, text: str | None) -> str:
    if text is None:
        return ""
    digits = re.sub(r"\D", "", text)
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError as error:
        raise _not_a_date(asked, text) from error
    return digits


def _not_a_date(asked: Attribute, text: str) -> InvalidValue:
    return InvalidValue(
        f"{asked.keyword} {text!r} is not a date",
        "Write YYYYMMDD, YYYY-MM-DD, a range as 20200101-20201231, or today, yesterday, last-7-days.",
    )


def _times(asked: Attribute, text: str, _today: date) -> str:
    if not _TIMES.fullmatch(text.strip()) or not re.search(r"\d", text):
        raise InvalidValue(
            f"{asked.keyword} {text!r} is not a time",
            "Write HHMM, HHMMSS or HH:MM:SS, or a range as 0800-1200.",
        )
    return re.sub(r"[:\s]", "", text)


def _code_strings(asked: Attribute, text: str, today: date) -> str:
    capitals = text.upper()
    if capitals != text and all(_CODE_STRING.fullmatch(part) for part in capitals.split("\\")):
        raise InvalidValue(f"{asked.keyword} {text!r} is not in capital letters", f"Write {capitals}.")
    return _of_form(_CODE_STRING, "capital letters, digits, space and underscore, or * and ?")(
        asked, text, today
    )


_WHOLE, _NUMBER = "a whole number", "a number"

_CHECKS: Mapping[str, _Check] = {
    "AS": _of_form(_AGE, "an age as 034Y, 006M, 002W or 003D"),
    "CS": _code_strings,
    "DA": _dates,
    "DS": _of_form(_DECIMAL, _NUMBER),
    "DT": _of_form(_DATE_TIMES, "a date and time as 20200131120000, or a range of them"),
    "FD": _binary(_DECIMAL, _NUMBER),
    "FL": _binary(_DECIMAL, _NUMBER),
    "IS": _of_form(_INTEGER, _WHOLE),
    "TM": _times,
    "UI": _uids,
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), _binary(_INTEGER, _WHOLE)),
}
