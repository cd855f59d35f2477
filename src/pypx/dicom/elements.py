"""The data elements of a data set one after another (PS3.5, 7): where each lies, and that it is all there.

pydicom's reader takes a value that the file cuts short for the value, ends without a word within an element
header, and keeps all that is within a sequence of undefined length. Here nothing but headers is read, so that
memory does not grow with the file, and each end is checked against the end of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from struct import Struct
from typing import TypeAlias

from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

#: One data element: tag, VR (b"" where the encoding has none), length as written, where its value starts,
#: where the element ends. A plain tuple, as there are hundreds in each file.
Element: TypeAlias = tuple[int, bytes, int, int, int]

#: The length of a value that ends with a delimiter (PS3.5, 7.1.1).
UNDEFINED_LENGTH = 0xFFFFFFFF

_ITEM = 0xFFFEE000
_ITEM_DELIMITER = 0xFFFEE00D
_SEQUENCE_DELIMITER = 0xFFFEE0DD

#: VRs whose explicit form has 2 bytes of length, and those with 4 after 2 reserved ones (PS3.5, 7.1.2).
VRS = frozenset(vr.encode() for vr in VR)
_LONG_VRS = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)
_SHORT_VRS = VRS - _LONG_VRS

#: Longest element header, and how much is read at once.
_HEADER = 12
_WINDOW = 16 * 1024

#: Sequences in sequences that no real object has, and that a hostile one could go on with for ever.
_DEEPEST = 64


class Damage(Exception):
    """What is wrong with a file, in words that go after the file's name."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How data elements are written (PS3.5, 7.1 and 7.3)."""

    implicit: bool
    little_endian: bool = True


class Source:
    """Bytes that are read forwards, a window at a time.

    Parameters
    ----------
    size : int
        How many bytes there are.
    read : callable
        From position and length to the bytes there, fewer only where the source ends.
    head : bytes
        The first of its bytes, where they are read already.
    """

    __slots__ = ("_read", "_window", "_window_start", "size")

    def __init__(self, size: int, read: Callable[[int, int], bytes], head: bytes = b"") -> None:
        self.size = size
        self._read = read
        self._window = head
        self._window_start = 0

    def window(self, position: int) -> tuple[bytes, int]:
        """Bytes, and where among them the position is: a whole element header, if the source has it."""
        offset = position - self._window_start
        if not 0 <= offset <= len(self._window) - _HEADER:
            self._window = self._read(position, _WINDOW)
            self._window_start = position
            offset = 0
        return self._window, offset

    def bytes_at(self, position: int, length: int) -> bytes:
        """The bytes at this position, fewer only where the source ends."""
        offset = position - self._window_start
        if offset < 0 or offset + length > len(self._window):
            window, offset = self.window(position)
            if offset + length > len(window):
                return self._read(position, length)
        return self._window[offset : offset + length]


@dataclass(frozen=True, slots=True)
class _Structs:
    explicit: Struct
    implicit: Struct
    length: Struct


_LITTLE = _Structs(Struct("<HH2sH"), Struct("<HHL"), Struct("<L"))
_BIG = _Structs(Struct(">HH2sH"), Struct(">HHL"), Struct(">L"))


def elements(source: Source, position: int, encoding: Encoding, depth: int = 0) -> Iterator[Element]:
    """The data elements from a position on.

    Parameters
    ----------
    source : Source
    position : int
        Where the first element starts.
    encoding : Encoding
    depth : int
        0 for a data set, which ends with the source (or zeros that pad it); else how deep in sequences the
        item is, which ends with a delimiter: that is the last element.

    Raises
    ------
    Damage
        When an element is not all there, before it is yielded.
    """
    structs = _LITTLE if encoding.little_endian else _BIG
    explicit_header, implicit_header = structs.explicit.unpack_from, structs.implicit.unpack_from
    long_length = structs.length.unpack_from
    size = source.size
    window, offset = source.window(position)
    window_start = position - offset
    while position < size:
        offset = position - window_start
        if offset > len(window) - _HEADER:
            window, offset = source.window(position)
            window_start = position - offset
            if offset > len(window) - 8:
                if depth == 0 and _only_zeros(source, position):
                    return
                raise Damage("it ends within the header of an element")
        start = position + 8
        if encoding.implicit:
            vr = b""
            group, number, length = implicit_header(window, offset)
        else:
            group, number, vr, length = explicit_header(window, offset)
            if vr in _LONG_VRS:
                if offset > len(window) - _HEADER:
                    raise Damage("it ends within the header of an element")
                length = long_length(window, offset + 8)[0]
                start += 4
            elif vr not in _SHORT_VRS and not b"AA" <= vr <= b"ZZ":
                # Delimiters have no VR, nor have the elements of some writers that forget it now and then.
                vr = b""
                length = long_length(window, offset + 4)[0]
        tag = group << 16 | number
        if tag == 0 and length == 0 and depth == 0:
            if _only_zeros(source, position):
                return
            raise Damage("it has zeros where an element was due")
        end = start + length
        if length == UNDEFINED_LENGTH:
            end = _end_of_items(source, start, encoding, depth)
        if end > size:
            raise Damage(f"it ends within the element ({group:04X},{number:04X})")
        yield tag, vr, length, start, end
        if tag == _ITEM_DELIMITER and depth > 0:
            return
        position = end


def _only_zeros(source: Source, position: int) -> bool:
    while position < source.size:
        piece = source.bytes_at(position, _WINDOW)
        if not piece or piece.strip(b"\0"):
            return False
        position += len(piece)
    return True


def _end_of_items(source: Source, position: int, encoding: Encoding, depth: int) -> int:
    """Where a value of undefined length ends: a sequence (PS3.5, 7.5) or encapsulated pixel data (A.4)."""
    if depth >= _DEEPEST:
        raise Damage(f"it has more than {_DEEPEST} sequences one in another")
    header = (_LITTLE if encoding.little_endian else _BIG).implicit
    while True:
        window, offset = source.window(position)
        if offset > len(window) - 8:
            raise Damage("it ends within a sequence or encapsulated pixel data")
        group, number, length = header.unpack_from(window, offset)
        position += 8
        tag = group << 16 | number
        if tag == _SEQUENCE_DELIMITER:
            return position
        if tag != _ITEM:
            raise Damage(f"it has the element ({group:04X},{number:04X}) where an item of a sequence was due")
        if length == UNDEFINED_LENGTH:
            position = _end_of_item(source, position, encoding, depth + 1)
        else:
            position += length


def _end_of_item(source: Source, position: int, encoding: Encoding, depth: int) -> int:
    # The items of a UN, and those of some writers, are implicit in a data set that is not (PS3.5, 6.2.2).
    implicit = encoding.implicit or not is_explicit(source.bytes_at(position, 6))
    for tag, _, _, _, end in elements(source, position, replace(encoding, implicit=implicit), depth):
        if tag == _ITEM_DELIMITER:
            return end
    raise Damage("it ends within an item of a sequence")


def is_explicit(header: bytes) -> bool:
    """Whether the first bytes of an element have the two capital letters of a VR."""
    return len(header) >= 6 and header[4:6].isalpha() and header[4:6].isupper()
