"""How a file is written: its elements, and what of each must be as it is for another to be written alike."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from pypx.dicom.elements import UNDEFINED_LENGTH, Damage, Encoding, Source, elements
from pypx.dicom.fileformat import DECISIVE_META, GROUP_LENGTH, META_ENCODING, META_START, PREFIX, DicomFile
from pypx.dicom.integrity import PIXEL_DATA
from pypx.dicom.values import BULK_VRS

#: Where the prefix stands (PS3.10, 7.1), and the length of the file meta information behind it.
PREFIX_START = META_START - len(PREFIX)
_META_LENGTH = slice(META_START + 8, META_START + 12)

#: Elements of which another length is another file: the pixels must be as many as their description has.
_RIGID = PIXEL_DATA | {0, GROUP_LENGTH}

#: Elements of a file; of one that has more nothing is kept in mind, so that made up ones fill no memory.
_MOST_PARTS = 1000

#: Bytes of an element header with 4 bytes of length after 2 reserved ones (PS3.5, 7.1.2).
_LONG_HEADER = 12


class Kind(enum.Enum):
    """What of an element must be the same in two files for both to be read in the same way.

    Beside its tag and its VR that is its value, its length, or neither.
    """

    #: Its value: that decides how a file is read, or it is of undefined length, and ends where that says.
    FIXED = "fixed"
    #: Its length.
    RIGID = "rigid"
    #: Neither. Its length may be any number, as nothing within is read: so many bytes are passed over. But an
    #: undefined one is no number: an element that has it is FIXED, and a file that has it here is not alike.
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Part:
    """An element of a file, with all that is within it.

    Parameters
    ----------
    tag : int
    vr : bytes
        As written; b"" where there is none.
    begin, start, end : int
        Where its header begins, where its value starts, and where that ends.
    kind : Kind
    is_asked : bool
        Whether its value is wanted, and may be another in another file.
    """

    tag: int
    vr: bytes
    begin: int
    start: int
    end: int
    kind: Kind
    is_asked: bool

    @property
    def outline(self) -> tuple[object, ...]:
        length = None if self.kind is Kind.PLAIN else self.end - self.start
        return self.tag, self.vr, self.start - self.begin, self.kind, length

    @property
    def is_compared(self) -> bool:
        """Whether its value is of interest."""
        return self.is_asked or self.kind is Kind.FIXED

    @property
    def needed_end(self) -> int:
        """Up to where its bytes are needed."""
        return self.end if self.is_compared else self.start

    @property
    def length_place(self) -> tuple[int, str]:
        """Where its length stands, and how the struct module names that (PS3.5, 7.1)."""
        if self.start - self.begin == _LONG_HEADER:
            return self.begin + 8, "L"
        return (self.begin + 6, "H") if self.vr else (self.begin + 4, "L")


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written.

    Parameters
    ----------
    meta, dataset : tuple of Part
        The elements of its file meta information, and those of its data set.
    encoding : Encoding
        Of the data set.
    """

    meta: tuple[Part, ...]
    dataset: tuple[Part, ...]
    encoding: Encoding

    @property
    def parts(self) -> tuple[Part, ...]:
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
    if file.start <= META_START or head[PREFIX_START:META_START] != PREFIX:
        return None  # without preamble or file meta information, or deflated
    source = Source(file.size, lambda position, length: head[position : position + length])
    try:
        meta = tuple(_parts(source, META_START, file.start, META_ENCODING, (), DECISIVE_META))
        first, *others = _parts(source, file.start, file.size, file.encoding, asked, decisive)
    except Damage:
        return None
    # Where its length stands, a file without VRs may seem to have one.
    first = replace(first, kind=Kind.RIGID) if first.kind is Kind.PLAIN else first
    form = Form(meta, (first, *others), file.encoding)
    return form if _is_told(form, head) else None


def _parts(
    source: Source,
    begin: int,
    last: int,
    encoding: Encoding,
    asked: Collection[int],
    fixed: Collection[int],
) -> Iterator[Part]:
    for tag, vr, length, start, end in elements(source, begin, encoding):
        kind = Kind.PLAIN
        if tag in fixed or length == UNDEFINED_LENGTH:
            kind = Kind.FIXED
        elif tag in _RIGID or not (vr or encoding.implicit):
            kind = Kind.RIGID
        is_asked = tag in asked and vr not in BULK_VRS and kind is not Kind.FIXED
        yield Part(tag, vr, begin, start, end, kind, is_asked)
        begin = end
        if begin == last:
            return
    raise Damage("something else than elements stands at its end")


def _is_told(form: Form, head: bytes) -> bool:
    """Whether all there is to know of a form is in the first bytes of its file."""
    parts = form.parts
    asked = [part.tag for part in parts if part.is_asked]
    if len(parts) > _MOST_PARTS or max(part.needed_end for part in parts) > len(head):
        return False
    if len(set(asked)) < len(asked):
        return False  # the last of them counts, and nobody is to keep in mind which that is
    if any(part.tag == GROUP_LENGTH for part in form.meta[1:]):
        return False
    return not form.says_meta_length or ends_meta(head, form.meta[-1].end)


def ends_meta(head: bytes, end: int) -> bool:
    """Whether the file meta information ends where it says."""
    return _META_LENGTH.stop + int.from_bytes(head[_META_LENGTH], "little") == end
