"""The functions of naming templates, by name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

#: What a function, its arguments read, does to a value.
Apply: TypeAlias = Callable[[str], str]

#: No name can be wider.
_WIDEST = 255


def _pad(arguments: str) -> Apply:
    width, comma, char = arguments.partition(",")
    char = char if comma else "0"
    if not _is_number(width, _WIDEST) or len(char) != 1:
        raise ValueError("a width and one character, as in %_pad|5,0_SeriesNumber")
    return lambda value: value.rjust(int(width), char)


def _md5(arguments: str) -> Apply:
    if arguments and not _is_number(arguments, 32):
        raise ValueError("a number of digits from 1 to 32, as in %_md5|7_SeriesInstanceUID")
    digits = int(arguments or 32)
    return lambda value: hashlib.md5(_encoded(value), usedforsecurity=False).hexdigest()[:digits]


def _strmsk(mask: str) -> Apply:
    if not mask:
        raise ValueError("a mask, as in %_strmsk|******01_PatientBirthDate")
    return lambda value: "".join(kept if by == "*" else by for kept, by in zip(value, mask, strict=False))


def _nospc(char: str) -> Apply:
    if len(char) > 1:
        raise ValueError("one character, as in %_nospc|-_ProtocolName")
    return lambda value: char.join(re.findall(r"\w+", value))


def _is_number(text: str, most: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= most


_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aeio"


def invented_name(seed: str) -> str:
    """A name as DICOM writes it (PS3.5, 6.2.1: Family^Given) that stands for a text, always the same.

    It hides the text from a reader; it does not keep it from one who can guess and try.
    """
    number = int.from_bytes(hashlib.sha256(_encoded(seed)).digest())
    words = []
    for _ in range(2):
        word = ""
        for _ in range(4):
            number, consonant = divmod(number, len(_CONSONANTS))
            number, vowel = divmod(number, len(_VOWELS))
            word += _CONSONANTS[consonant] + _VOWELS[vowel]
        words.append(word.capitalize())
    return "^".join(words)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


#: From a function's arguments to what it does; a ValueError says what it takes. The argument of ``name`` is
#: the attribute whose value it is done to.
FUNCTIONS: Mapping[str, Callable[[str], Apply]] = {
    "pad": _pad,
    "md5": _md5,
    "strmsk": _strmsk,
    "nospc": _nospc,
    "name": lambda _arguments: invented_name,
}
