"""The DICOM file format (PS3.10, 7): what stands before a data set, and how the data set is written."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pypx.dicom.elements import VRS, Damage, Element, Encoding, Source, elements, is_explicit
from pypx.dicom.uid import is_uid
from pypx.errors import FileDamaged, FileUnreadable, MediaDirectory, NotDicom

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

#: Deflated Explicit VR Little Endian, and the JPIP ones written in the same way (PS3.5, A.5, A.7, A.10).
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

#: How file meta information is written, and where it starts, after the preamble and the prefix (PS3.10, 7.1).
META_ENCODING = Encoding(implicit=False)
META_START = 132
PREFIX = b"DICM"

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"

_PREAMBLE = 128
GROUP_LENGTH = 0x00020000
_MEDIA_CLASS = 0x00020002
_TRANSFER_SYNTAX = 0x00020010
_LONGEST_META_VALUE = 1024

#: What of the file meta information, beside its length, has a part in how a file is read.
DECISIVE_META = frozenset({_MEDIA_CLASS, _TRANSFER_SYNTAX})

_PIECE = 1024 * 1024

#: Bytes that a deflated data set may inflate to, or so many times the bytes of its file if that is more.
#: Images become 50 times as large at most; masks, zeros mostly, up to 1000 times, but none as large as this.
#: Without a bound a file of some MB would keep us busy for minutes.
_MOST_INFLATED = 2 * 1024**3
_MOST_TIMES = 200

#: Bytes of a file that are read at once when it is opened: the header of most.
_HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class DicomFile:
    """An open file, its file meta information read.

    Parameters
    ----------
    source : Source
        Of the data set; inflated where the file is deflated.
    start : int
        Where in it the data set starts.
    encoding : Encoding
    meta : mapping of int to bytes
        File meta information: tag to value; :func:`meta_text` makes text of it.
    transfer_syntax : str
        Its UID; where the file does not say, that of the encoding found.
    size : int
        Of the file, in bytes.
    """

    source: Source
    start: int
    encoding: Encoding
    meta: Mapping[int, bytes]
    transfer_syntax: str
    size: int

    def elements(self) -> Iterator[Element]:
        """The elements of the data set, as :func:`pypx.dicom.elements.elements` has them."""
        if self.start >= self.source.size:
            raise Damage("it ends before the data set")
        return elements(self.source, self.start, self.encoding)

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the data set, a piece at a time."""
        position = self.start
        while piece := self.source.bytes_at(position, _PIECE):
            yield piece
            position += len(piece)


@dataclass(frozen=True, slots=True)
class RegularFile:
    """A file that is open for reading.

    Parameters
    ----------
    path : pathlib.Path
    descriptor : int
    size : int
        In bytes.
    head : bytes
        Its first bytes.
    """

    path: Path
    descriptor: int
    size: int
    head: bytes


@contextmanager
def opened_file(path: Path) -> Iterator[RegularFile]:
    """Open a file of which it is to be seen whether it is one of DICOM.

    Raises
    ------
    NotDicom
        When it is no file.
    FileDamaged
        When Damage is raised in the ``with`` block.
    FileUnreadable
        When the operating system does not give it away, here and all along the ``with`` block.
    """
    try:
        # Opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise FileUnreadable(f"{str(path)!r} is no path") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotDicom(f"{path} is not a regular file")
        yield RegularFile(path, descriptor, status.st_size, os.pread(descriptor, _HEAD, 0))
    except Damage as damage:
        raise FileDamaged(f"{path} is damaged: {damage}") from damage
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)


@contextmanager
def opened(path: Path) -> Iterator[DicomFile]:
    """Open a DICOM file, with file meta information or without.

    Raises
    ------
    NotDicom
        When it is something else, or nothing at all.
    MediaDirectory
        When it is a DICOMDIR.
    FileDamaged
        When its beginning is that of a DICOM file and the rest is not, here and all along the ``with`` block.
    FileUnreadable
        When the operating system does not give it away.
    """
    with opened_file(path) as file:
        yield begun(file)


def begun(file: RegularFile) -> DicomFile:
    """Read what stands before the data set of a file.

    Raises
    ------
    NotDicom, MediaDirectory
        As :func:`opened`.
    Damage
        When its beginning is that of a DICOM file and the rest is not.
    OSError
    """
    path, size, descriptor = file.path, file.size, file.descriptor
    source = Source(size, lambda position, length: os.pread(descriptor, length, position), file.head)
    if file.head[_PREAMBLE:META_START] == PREFIX:
        start = META_START
    elif _may_be_bare(file.head[:8], size):
        start = 0
    else:
        raise NotDicom(f"{path} is {'empty' if size == 0 else 'not a DICOM file'}")
    meta, start = _read_meta(source, start)
    if meta_text(meta, _MEDIA_CLASS) == _MEDIA_DIRECTORY:
        raise MediaDirectory(f"{path} is a DICOMDIR")
    transfer_syntax = meta_text(meta, _TRANSFER_SYNTAX)
    if transfer_syntax and not is_uid(transfer_syntax):
        raise Damage("its transfer syntax is no UID")
    if transfer_syntax in DEFLATED:
        source, start = _inflated(descriptor, start, size), 0
    encoding = _encoding(source.bytes_at(start, 8), transfer_syntax)
    return DicomFile(source, start, encoding, meta, transfer_syntax or _syntax_of(encoding), size)


def _may_be_bare(first: bytes, size: int) -> bool:
    """Whether a file without prefix begins as file meta information or a data set does.

    What must be in a data set (SOP Class UID, SOP Instance UID) is in group 0008, so that is where it begins.
    """
    if len(first) < 8:
        return False
    if first[4:6] in VRS:
        return first[:2] in (b"\x08\0", b"\0\x08", b"\x02\0")
    tag = int.from_bytes(first[:2], "little") << 16 | int.from_bytes(first[2:4], "little")
    length = int.from_bytes(first[4:], "little")
    return first[:2] == b"\x08\0" and _is_in_dictionary(tag) and 8 + length <= size


def _is_in_dictionary(tag: int) -> bool:
    from pydicom.datadict import dictionary_has_tag

    return tag & 0xFFFF == 0 or dictionary_has_tag(tag)


def meta_text(meta: Mapping[int, bytes], tag: int) -> str:
    """A text of the file meta information; "" where it is not there."""
    return meta[tag].decode("ascii", "replace").strip(" \0") if tag in meta else ""


def _read_meta(source: Source, position: int) -> tuple[dict[int, bytes], int]:
    """The file meta information and where it ends; there are files without it."""
    meta: dict[int, bytes] = {}
    declared_end = -1
    following = elements(source, position, META_ENCODING)
    bytes_at = source.bytes_at
    while position != declared_end and bytes_at(position, 2) == b"\x02\0":
        tag, _, _, start, position = next(following)
        meta[tag] = value = bytes_at(start, min(position - start, _LONGEST_META_VALUE))
        if tag == GROUP_LENGTH:
            declared_end = position + int.from_bytes(value, "little")
    return meta, position


def _encoding(first: bytes, transfer_syntax: str) -> Encoding:
    """How the data set is written, judged by its first element wherever a writer may have erred."""
    if transfer_syntax == EXPLICIT_BIG or (not transfer_syntax and first[:2] == b"\0\x08"):
        return Encoding(implicit=False, little_endian=False)
    return Encoding(implicit=not is_explicit(first))


def _syntax_of(encoding: Encoding) -> str:
    if not encoding.little_endian:
        return EXPLICIT_BIG
    return IMPLICIT_LITTLE if encoding.implicit else EXPLICIT_LITTLE


class _Inflater:
    """The deflated data set of a file, read forwards: a position before that of the last call is lost."""

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor = descriptor
        self._deflated_position = start
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._held = b""
        self._held_start = 0

    def read(self, position: int, length: int) -> bytes:
        while True:
            dropped = min(position - self._held_start, len(self._held))
            self._held = self._held[dropped:]
            self._held_start += dropped
            if self._held_start == position and len(self._held) >= length:
                break
            more = self._more()
            if not more:
                break
            self._held += more
        return self._held[:length] if self._held_start == position else b""

    def _more(self) -> bytes:
        """The next bytes, at most a piece of them; none at the end."""
        while not self._inflate.eof:
            deflated = self._inflate.unconsumed_tail
            if not deflated:
                deflated = os.pread(self._descriptor, _PIECE, self._deflated_position)
                self._deflated_position += len(deflated)
            try:
                inflated = self._inflate.decompress(deflated, _PIECE)
            except zlib.error as error:
                raise Damage(f"its deflated data set cannot be inflated ({error})") from error
            if inflated:
                return inflated
            # Not before: bytes that were taken in earlier may stand for more than a piece.
            if not deflated and not self._inflate.eof:
                raise Damage("it ends within its deflated data set")
        return b""


def _inflated(descriptor: int, start: int, file_size: int) -> Source:
    """The data set of a deflated file (PS3.5, A.5), gone through once to know that it is all there."""
    most = max(_MOST_INFLATED, _MOST_TIMES * file_size)
    measured = _Inflater(descriptor, start)
    size = 0
    while piece := measured.read(size, _PIECE):
        size += len(piece)
        if size > most:
            raise Damage(f"its deflated data set inflates to more than {most} bytes")
    return Source(size, _Inflater(descriptor, start).read)
