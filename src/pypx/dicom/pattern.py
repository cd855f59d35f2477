"""Files that are written alike, as those of a series are: what one that was read tells of the others.

Which elements a file has, and that all of them are there, follows from their headers alone. A file with the
headers of one that was gone through, in the same order, need not be gone through as well: it is cut where
that was cut, and compared. Only the lengths that differ among such files are looked up one at a time.
"""

from __future__ import annotations

import enum
import struct
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Generic, TypeAlias, TypeVar

from pypx.dicom.elements import UNDEFINED_LENGTH, Damage, Encoding, Source, elements
from pypx.dicom.fileformat import DECISIVE_META, GROUP_LENGTH, META_ENCODING, META_START, PREFIX, DicomFile
from pypx.dicom.integrity import PIXEL_DATA
from pypx.dicom.values import BULK_VRS

#: Where the prefix stands (PS3.10, 7.1), and the length of the file meta information behind it.
_PREFIX_START = META_START - 4
_META_LENGTH = slice(META_START + 8, META_START + 12)

#: Elements of which another length is another file: the pixels must be as many as their description has.
_RIGID = PIXEL_DATA | {0, GROUP_LENGTH}

#: What is kept in mind: a peer that makes up one form after another does not fill the memory.
_MOST_PATTERNS = 8
_MOST_PARTS = 1000

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


class _Kind(enum.Enum):
    """What of an element must be the same in two files for both to be read in the same way.

    Beside its tag and its VR that is its value, its length, or neither.
    """

    FIXED = "fixed"
    RIGID = "rigid"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class _Part:
    """An element of a file, with all that is within it.

    Parameters
    ----------
    tag : int
    vr : bytes
        As written; b"" where there is none.
    begin, start, end : int
        Where its header begins, where its value starts, and where that ends.
    kind : _Kind
    is_asked : bool
        Whether its value is wanted, and may be another in another file.
    """

    tag: int
    vr: bytes
    begin: int
    start: int
    end: int
    kind: _Kind
    is_asked: bool

    @property
    def outline(self) -> tuple[object, ...]:
        length = None if self.kind is _Kind.PLAIN else self.end - self.start
        return self.tag, self.vr, self.start - self.begin, self.kind, length

    @property
    def is_compared(self) -> bool:
        """Whether its value is of interest."""
        return self.is_asked or self.kind is _Kind.FIXED

    @property
    def told(self) -> int:
        """Where that ends which is of interest."""
        return self.end if self.is_compared else self.start

    @property
    def length_place(self) -> tuple[int, str]:
        """Where its length stands, and how the struct module names that (PS3.5, 7.1)."""
        if self.start - self.begin == _LONG_HEADER:
            return self.begin + 8, "L"
        return (self.begin + 6, "H") if self.vr else (self.begin + 4, "L")


_LONG_HEADER = 12


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written.

    Parameters
    ----------
    meta, dataset : tuple of _Part
        The elements of its file meta information, and those of its data set.
    encoding : Encoding
        Of the data set.
    """

    meta: tuple[_Part, ...]
    dataset: tuple[_Part, ...]
    encoding: Encoding

    @property
    def parts(self) -> tuple[_Part, ...]:
        return self.meta + self.dataset

    @property
    def outline(self) -> tuple[object, ...]:
        """The same for files that are written alike."""
        return self.encoding, len(self.meta), *(part.outline for part in self.parts)

    @property
    def says_meta_length(self) -> bool:
        return self.meta[0].tag == GROUP_LENGTH


def form_of(file: DicomFile, head: bytes, asked: Collection[int], decisive: Collection[int]) -> Form | None:
    """How a file is written that was gone through, and is whole.

    Parameters
    ----------
    file : DicomFile
    head : bytes
        Its first bytes.
    asked, decisive : collection of int
        Tags of the data set: of values that are wanted, and of those that have a part in how a file is read
        or in whether it is whole.

    Returns
    -------
    Form or None
        None where its first bytes do not tell all of it.
    """
    if file.start <= META_START or head[_PREFIX_START:META_START] != PREFIX:
        return None  # without preamble or file meta information, or deflated
    source = Source(file.size, lambda position, length: head[position : position + length])
    try:
        meta = tuple(_parts(source, META_START, file.start, META_ENCODING, (), DECISIVE_META))
        first, *others = _parts(source, file.start, file.size, file.encoding, asked, decisive)
    except Damage:
        return None
    # Where its length stands, a file without VRs may seem to have one.
    first = replace(first, kind=_Kind.RIGID) if first.kind is _Kind.PLAIN else first
    form = Form(meta, (first, *others), file.encoding)
    return form if _is_told(form, head) else None


def _parts(
    source: Source,
    begin: int,
    last: int,
    encoding: Encoding,
    asked: Collection[int],
    fixed: Collection[int],
) -> Iterator[_Part]:
    for tag, vr, length, start, end in elements(source, begin, encoding):
        kind = _Kind.PLAIN
        if tag in fixed or length == UNDEFINED_LENGTH:
            kind = _Kind.FIXED
        elif tag in _RIGID or not (vr or encoding.implicit):
            kind = _Kind.RIGID
        is_asked = tag in asked and vr not in BULK_VRS and kind is not _Kind.FIXED
        yield _Part(tag, vr, begin, start, end, kind, is_asked)
        begin = end
        if begin == last:
            return
    raise Damage("something else than elements stands at its end")


def _is_told(form: Form, head: bytes) -> bool:
    """Whether all there is to know of a form is in the first bytes of its file."""
    parts = form.parts
    asked = [part.tag for part in parts if part.is_asked]
    if len(parts) > _MOST_PARTS or max(part.told for part in parts) > len(head):
        return False
    if len(set(asked)) < len(asked):
        return False  # the last of them counts, and nobody is to keep in mind which that is
    if any(part.tag == GROUP_LENGTH for part in form.meta[1:]):
        return False
    return not form.says_meta_length or _ends_meta(head, form.meta[-1].end)


def _ends_meta(head: bytes, end: int) -> bool:
    """Whether the file meta information ends where it says."""
    return _META_LENGTH.stop + int.from_bytes(head[_META_LENGTH], "little") == end


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
        self._head = head[: max(part.told for part in form.parts)]
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
        position = _PREFIX_START
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
            if segment.ends_meta and not _ends_meta(head, position):
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
                if mine.kind is _Kind.FIXED:
                    return None
                free.add(number)
        return Pattern(self._form, self._head, varying, free)


def _segments(form: Form, head: bytes, varying: Collection[int], free: Collection[int]) -> Iterator[_Segment]:
    begin = _PREFIX_START
    pieces: list[_Piece] = [(begin, META_START, False)]
    # It says how long it is: where that is always the same, it need only be compared.
    meta_varies = form.says_meta_length and any(number < len(form.meta) for number in varying)
    for number, part in enumerate(form.parts):
        ends_meta = meta_varies and number == len(form.meta) - 1
        varies = number in varying
        length = ""
        size = part.end - begin
        if varies:
            place, kind = part.length_place
            order = "<" if number < len(form.meta) or form.encoding.little_endian else ">"
            pieces.append((part.begin, min(place, part.begin + 6), False))
            length = f"{order}{place - pieces[-1][1]}x{kind}"
            size = part.start - begin
        else:
            pieces.append((part.begin, part.start, False))
            says_meta_length = number == 0 and form.says_meta_length
            if part.is_compared or (says_meta_length and not meta_varies):
                pieces.append((part.start, part.end, number in free))
        if varies or ends_meta or number == len(form.parts) - 1:
            yield _segment(head, begin, list(_joined(pieces)), length, size, part.is_asked, ends_meta)
            begin, pieces = part.end, []


def _segment(
    head: bytes, begin: int, pieces: list[_Piece], length: str, size: int, is_asked: bool, ends_meta: bool
) -> _Segment:
    ends = [begin, *(end for _, end, _ in pieces)]
    form = "".join(
        f"{start - last}x{end - start}s" for last, (start, end, _) in zip(ends, pieces, strict=False)
    )
    cut = struct.Struct(f"{length[:1] or '<'}{form}{length[1:]}").unpack_from
    pick_same = _picking([number for number, (_, _, is_free) in enumerate(pieces) if not is_free])
    pick_free = _picking([number for number, (_, _, is_free) in enumerate(pieces) if is_free])
    same = pick_same(cut(head, begin))
    return _Segment(cut, pick_same, pick_free, same, size, bool(length), is_asked, ends_meta)


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
