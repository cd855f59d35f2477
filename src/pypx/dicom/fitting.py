"""Whether an answer fits what was asked for (PS3.4, C.2.2.2): not every PACS looks at every key."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from pypx.dicom.attributes import Attribute, attribute

_NUMBERS = frozenset({"IS", "DS", "US", "UL", "SS", "SL", "UV", "SV", "FL", "FD"})


def is_demanding(asked: str) -> bool:
    """Whether a value that was asked for can be missed: an empty one, and ``*``, match all there is."""
    return bool(asked.strip("*"))


def fits(name: str, asked: str, answered: str) -> bool:
    """Whether an answer's value fits what was asked for.

    Generous where the standard lets a PACS be: names and texts match whatever their case and accents, names
    in any component group and with any delimiter (PS3.4, C.2.2.2.1, C.2.2.2.4). What this refuses, no reading
    of the query can mean.

    Parameters
    ----------
    name : str
        Keyword or gggg,eeee.
    asked : str
        As of :func:`pypx.dicom.matching.matching_value`.
    answered : str
        As the PACS returned it; several values joined by a backslash.
    """
    known = attribute(name)
    if not is_demanding(asked):
        return True
    if known.vr in ("DA", "TM", "DT"):
        return any(_in_range(asked, value) for value in answered.split("\\"))
    if known.vr == "UI":
        return not set(asked.split("\\")).isdisjoint(value.strip() for value in answered.split("\\"))
    if known.vr in _NUMBERS:
        return any(_same_number(part, value) for part in asked.split("\\") for value in answered.split("\\"))
    return _text_fits(known, asked, answered)


def _in_range(asked: str, answered: str) -> bool:
    begin, dash, end = asked.partition("-")
    value = _of_digits(answered)
    if not value:
        return False
    if not dash:
        return value.startswith(begin) or begin.startswith(value)
    return (not begin or value >= begin[: len(value)]) and (not end or value[: len(end)] <= end)


def _of_digits(value: str) -> str:
    """A date or time without what earlier writers put between its parts (PS3.5, 6.2, notes on DA and TM)."""
    value = value.strip().replace(":", "")
    return value.replace(".", "") if len(value) == 10 and value[4] == value[7] == "." else value


def _same_number(asked: str, answered: str) -> bool:
    try:
        return float(asked) == float(answered)
    except ValueError:
        return False


def _text_fits(known: Attribute, asked: str, answered: str) -> bool:
    # LO and the like may hold the backslash as a letter, in ISO 2022 and where a site breaks the rule.
    values = [value.strip(" ") for value in (*answered.split("\\"), answered)]
    is_name = known.vr == "PN"
    if is_name:
        values = [_name(group) for value in values for group in (value, *value.split("="))]
        # "Doe^*" asks for no more than a family name.
        values += [f"{value} " for value in values]
    return any(
        pattern.fullmatch(reading(value))
        for reading in _READINGS
        for pattern in _patterns(asked, is_name, reading)
        for value in values
    )


@lru_cache(maxsize=64)
def _patterns(asked: str, is_name: bool, reading: Callable[[str], str]) -> tuple[re.Pattern[str], ...]:
    """One pattern for each of several values, and one for the whole."""
    parts = dict.fromkeys(part.strip(" ") for part in (asked, *asked.split("\\")))
    return tuple(_pattern(reading(_name(part) if is_name else part)) for part in parts)


def _pattern(asked: str) -> re.Pattern[str]:
    # A bracket means nothing in DICOM. fnmatch's patterns are linear, however many wildcards there are.
    return re.compile(fnmatch.translate(asked.replace("[", "[[]")))


def _name(text: str) -> str:
    """A name with one space between its components, however it delimits them."""
    return re.sub(r"[\^,\s]+", " ", text).strip()


def _letter_by_letter(text: str) -> str:
    """Without case and accents, each letter still one: ``?`` stands for one."""
    return unicodedata.normalize("NFC", _without_accents(unicodedata.normalize("NFD", text.lower())))


def _as_it_is(text: str) -> str:
    """Without case; accents that are characters of their own (Unicode's decomposed form) count as such."""
    return text.lower()


def _folded(text: str) -> str:
    """As equal as Unicode can tell: ß is ss, a ligature its letters."""
    return _without_accents(unicodedata.normalize("NFKD", text.casefold()))


def _byte_by_byte(text: str) -> str:
    """As a PACS sees it that knows nothing of UTF-8: ``?`` stands for one byte."""
    return text.encode("utf-8", "replace").decode("latin-1").lower()


def _without_accents(decomposed: str) -> str:
    return "".join(character for character in decomposed if not unicodedata.combining(character))


_READINGS = (_letter_by_letter, _as_it_is, _folded, _byte_by_byte)
