"""Files that are written alike, as those of a series are: what one that was read tells of the others.

Which elements a file has, and that all of them are there, follows from their headers alone. A file with the
headers of one that was gone through, in the same order, need not be gone through as well: it is cut where
that was cut, and compared. Only the lengths that differ among such files are looked up one at a time.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Generic, TypeAlias, TypeVar

from pypx.dicom.elements import UNDEFINED_LENGTH
from pypx.dicom.fileformat import META_START
from pypx.dicom.form import PREFIX_START, Form, Kind, Part, ends_meta

#: What is kept in mind: a peer that makes up one form after another does not fill the memory.
_MOST_PATTERNS = 8

#: Files in a row that are not of a pattern before that is forgotten.
_MOST_FAILURES = 100

#: To learn a form takes as long as to read a few files: that goes on for as long as it pays, and is tried
#: again now and then. A file of a form that is known is worth 1.
_CREDIT = 100.0
_PRICE = 5.0
_WORTH_OF_OTHERS = 0.1

_Told = TypeVar("_Told")

#: Bytes of a file: where they start and end, and whether they may be others in other files.
_Piece: TypeAlias = tuple[int, int, bool]

_Picking: TypeAlias = Callable[[tuple[Any, ...]], tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Elements that follow each other, up to one that is not as long in all files.

    Parameters
    ----------
    cut : callable
        From the first bytes of a file, and where the segment begins, to its pieces; the last of them is the
        length, where that is not the same in all.
    pick_same, pick_free : callable
        Of the pieces, those that are the same in all files, and the values that are not.
    same : tuple of bytes
        What those are.
    size : int
        Bytes that it takes, but for the value that is not as long in all.
    varies : bool
        Whether there is such a value.
    is_asked : bool
        Whether that is wanted.
    ends_meta : bool
        Whether it is the end of the file meta information, and where that ends is not the same in all.
    """

    cut: Callable[[bytes, int], tuple[Any, ...]]
    pick_same: _Picking
    pick_free: _Picking
    same: tuple[bytes, ...]
    size: int
    varies: bool
    is_asked: bool
    ends_meta: bool


class Pattern:
    """What files of one form have in common, as far as they were seen.

    Parameters
    ----------
    form : Form
        Of one of them.
    head : bytes
        Its first bytes.
    varying, free : collection of int
        Which of its parts are not as long in all files; and of those that are asked for, which have not the
        same value in all.
    """

    def __init__(
        self, form: Form, head: bytes, varying: Collection[int] = (), free: Collection[int] = ()
    ) -> None:
        self._form = form
        self._outline = form.outline
        self._head = head[: max(part.needed_end for part in form.parts)]
        self._varying = frozenset(varying)
        self._free = frozenset(free)
        self._segments = tuple(_segments(form, self._head, self._varying, self._free))
        #: Tag and VR of each of the values that :meth:`values` gives.
        self.asked = tuple((form.parts[number].tag, form.parts[number].vr) for number in sorted(self._free))

    def values(self, size: int, head: bytes) -> list[bytes] | None:
        """The values of a file that are not the same in all; None where it is not like the others.

        Parameters
        ----------
        size : int
            Of the file, in bytes.
        head : bytes
            Its first bytes.
        """
        position = PREFIX_START
        values: list[bytes] = []
        for segment in self._segments:
            try:
                pieces = segment.cut(head, position)
            except struct.error:
                return None  # it ends before
            if segment.pick_same(pieces) != segment.same:
                return None
            values += segment.pick_free(pieces)
            position += segment.size
            if segment.varies:
                length = pieces[-1]
                if length == UNDEFINED_LENGTH:
                    return None  # to be gone through
                start, position = position, position + length
                if segment.is_asked:
                    if position > len(head):
                        return None
                    values.append(head[start:position])
            if segment.ends_meta and not ends_meta(head, position):
                return None
        return values if position == size else None

    def widened(self, form: Form, head: bytes) -> Pattern | None:
        """The pattern of these files and one more; None where that is written in another way."""
        if form.outline != self._outline:
            return None
        varying, free = set(self._varying), set(self._free)
        for number, (mine, its) in enumerate(zip(self._form.parts, form.parts, strict=True)):
            if mine.end - mine.start != its.end - its.start:
                varying.add(number)
            if mine.is_compared and self._head[mine.start : mine.end] != head[its.start : its.end]:
                if mine.kind is Kind.FIXED:
                    return None
                free.add(number)
        return Pattern(self._form, self._head, varying, free)


def _segments(form: Form, head: bytes, varying: Collection[int], free: Collection[int]) -> Iterator[_Segment]:
    begin = PREFIX_START
    pieces: list[_Piece] = [(begin, META_START, False)]
    last_of_meta, last = len(form.meta) - 1, len(form.parts) - 1
    # It says how long it is: where that is always the same, it need only be compared.
    meta_varies = form.says_meta_length and any(number <= last_of_meta for number in varying)
    for number, part in enumerate(form.parts):
        is_meta_end = meta_varies and number == last_of_meta
        varies = number in varying
        length = ""
        if varies:
            place, letter = part.length_place
            # Up to its length: of that, the two bytes before are reserved where it has four.
            fixed_end = min(place, part.begin + 6)
            pieces.append((part.begin, fixed_end, False))
            length = f"{place - fixed_end}x{letter}"
        else:
            pieces.append((part.begin, part.start, False))
            says_meta_length = number == 0 and form.says_meta_length
            if part.is_compared or (says_meta_length and not meta_varies):
                pieces.append((part.start, part.end, number in free))
        if varies or is_meta_end or number == last:
            byte_order = "<" if number <= last_of_meta or form.encoding.little_endian else ">"
            yield _segment(head, begin, list(_joined(pieces)), byte_order, length, part, is_meta_end)
            begin, pieces = part.end, []


def _segment(
    head: bytes, begin: int, pieces: list[_Piece], byte_order: str, length: str, last: Part, is_meta_end: bool
) -> _Segment:
    """A segment of these pieces; where its last part is not as long in all files, with the length of that.

    The byte order is that of the length, and as the struct module has it; so is the length.
    """
    ends = [begin, *(end for _, end, _ in pieces)]
    form = "".join(
        f"{start - end}x{stop - start}s" for end, (start, stop, _) in zip(ends, pieces, strict=False)
    )
    cut = struct.Struct(byte_order + form + length).unpack_from
    pick_same = _picking([number for number, (_, _, is_free) in enumerate(pieces) if not is_free])
    pick_free = _picking([number for number, (_, _, is_free) in enumerate(pieces) if is_free])
    return _Segment(
        cut,
        pick_same,
        pick_free,
        same=pick_same(cut(head, begin)),
        size=(last.start if length else last.end) - begin,
        varies=bool(length),
        is_asked=last.is_asked,
        ends_meta=is_meta_end,
    )


def _joined(pieces: list[_Piece]) -> Iterator[_Piece]:
    """Pieces in their order, those in one that follow each other at once and are the same in all files."""
    joined: _Piece | None = None
    for start, end, is_free in pieces:
        if joined and joined[1] == start and not (joined[2] or is_free):
            joined = joined[0], end, False
        else:
            if joined:
                yield joined
            joined = start, end, is_free
    if joined:
        yield joined


def _picking(numbers: list[int]) -> _Picking:
    """What picks these of some pieces."""
    if len(numbers) > 1:
        return itemgetter(*numbers)
    return itemgetter(slice(numbers[0], numbers[0] + 1)) if numbers else lambda _: ()


@dataclass(slots=True)
class _Known(Generic[_Told]):
    """A pattern, what is told of it, and how many files were not of it since the last that was."""

    pattern: Pattern
    told: _Told
    failures: int = 0


class Patterns(Generic[_Told]):
    """The patterns of files that were read, with what is told of each; may be used by several threads."""

    def __init__(self) -> None:
        self._known: tuple[_Known[_Told], ...] = ()
        self._credit = _CREDIT
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, size: int, head: bytes) -> tuple[Pattern, _Told, list[bytes]] | None:
        """The pattern of a file, what is told of it, and the file's own values; None where it is not known.

        Parameters
        ----------
        size : int
            Of the file, in bytes.
        head : bytes
            Its first bytes.
        """
        for known in self._known:
            values = known.pattern.values(size, head)
            if values is not None:
                known.failures = 0
                self._credit += 1
                return known.pattern, known.told, values
            known.failures += 1
        return None

    def are_to_learn(self) -> bool:
        """Whether to look at the form of a file that was not found, and to add it if it has one."""
        with self._lock:
            self._known = tuple(known for known in self._known if known.failures < _MOST_FAILURES)
            self._credit = min(self._credit, _CREDIT) + _WORTH_OF_OTHERS
            if self._credit < _PRICE:
                return False
            self._credit -= _PRICE
            return True

    def add(self, form: Form, head: bytes, told: _Told) -> None:
        """Keep in mind how a file is written that was not found, and what is told of it."""
        with self._lock:
            added, others = Pattern(form, head), []
            for known in self._known:
                if widened := known.pattern.widened(form, head):
                    added = widened
                else:
                    others.append(known)
            self._known = (_Known(added, told), *others[: _MOST_PATTERNS - 1])
