"""The header of an instance: the attributes one asks for, from a pass that also sees whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword

from pypx.dicom.elements import Damage
from pypx.dicom.fileformat import DECISIVE_META, DicomFile, RegularFile, begun, meta_text, opened_file
from pypx.dicom.form import form_of
from pypx.dicom.integrity import (
    PIXEL_DATA,
    PIXEL_DATA_PROVIDER_URL,
    PixelData,
    PixelDescription,
    check_pixel_data,
)
from pypx.dicom.pattern import Pattern, Patterns
from pypx.dicom.values import (
    BULK_VRS,
    SPECIFIC_CHARACTER_SET,
    RawValue,
    character_sets,
    text_of,
    texts_of,
)

#: A value longer than any that names something is bulk data; an explicit LO or PN cannot be as long.
LONGEST_VALUE = 64 * 1024

_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID")

_ROWS, _COLUMNS, _SAMPLES, _BITS = 0x00280010, 0x00280011, 0x00280002, 0x00280100
_FRAMES, _INTERPRETATION = 0x00280008, 0x00280004
_SOP_CLASS = 0x00080016

#: What describes the pixel data: in the order of the parameters of :func:`_description`.
_DESCRIPTION = (_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES, _INTERPRETATION)

#: What has a part in how a file is read, and in whether it is whole.
_DECISIVE = frozenset({SPECIFIC_CHARACTER_SET, _SOP_CLASS, *_DESCRIPTION, PIXEL_DATA_PROVIDER_URL})

_META_GROUP = 0x0002

#: Stricter ones (PS3.5, 9.1) are broken by too many writers; these can become part of a path.
_UID = re.compile(r"[0-9][0-9.]{0,63}")

#: Bytes that are looked at of a value that describes the pixel data; they are kept in mind. None is as long.
_LONGEST_DESCRIBING = 64

#: Digits of an IS (PS3.5, 6.2).
_LONGEST_INTEGER = 12


@dataclass(frozen=True, slots=True)
class Header:
    """What an instance says about itself.

    Parameters
    ----------
    values : mapping of str to str
        Keyword to text, of the attributes that were asked for and are there.
    sop_class_uid : str
        "" where the instance does not say.
    sop_instance_uid, study_instance_uid, series_instance_uid : str
        Digits and dots only.
    patient_id : str
        "" where the instance does not say. Any text.
    transfer_syntax : str
        UID of the transfer syntax; where the file has no meta information, that of the encoding found.
    size : int
        Of the file, in bytes.
    """

    values: Mapping[str, str]
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str
    transfer_syntax: str
    size: int


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to read.

    Parameters
    ----------
    tags : frozenset of int
        Of the data set.
    names : mapping of int to str
        The keywords of those that become text.
    meta : mapping of int to str
        The same of the file meta information.
    unasked : tuple of str
        Keywords that are read for the header alone.
    """

    tags: frozenset[int]
    names: Mapping[int, str]
    meta: Mapping[int, str]
    unasked: tuple[str, ...]


def _wanted(keywords: Collection[str]) -> _Wanted:
    numbers = {tag_for_keyword(keyword): keyword for keyword in {*keywords, *_IDENTIFIERS}}
    names = {
        tag: keyword
        for tag, keyword in numbers.items()
        if tag is not None and dictionary_VR(tag)[:2].encode() not in BULK_VRS
    }
    return _Wanted(
        tags=frozenset({*names, *_DECISIVE}),
        names=names,
        meta={tag: keyword for tag, keyword in names.items() if tag >> 16 == _META_GROUP},
        unasked=tuple(keyword for keyword in _IDENTIFIERS if keyword not in keywords),
    )


def read_header(path: Path, keywords: Collection[str]) -> Header:
    """Read the header of an instance, and go through the rest of the file to see that all of it is there.

    Values of bulk data are passed over, so neither time nor memory grows with the pixels.

    Parameters
    ----------
    path : pathlib.Path
        A file with file meta information (PS3.10, 7.1), or a bare data set.
    keywords : collection of str
        The attributes to read, those of file meta information included. What DICOM's dictionary does not
        know, and what has no text (sequences, bulk data), is not there.

    Raises
    ------
    NotDicom
        When the file is something else, or empty.
    MediaDirectory
        When it is a DICOMDIR; a kind of NotDicom.
    FileDamaged
        When it is cut short, lacks one of its UIDs, has a UID that is none, or is an image without (all of)
        its pixels.
    FileUnreadable
        When the operating system does not give it away.
    """
    return _reader(frozenset(keywords)).read(path)


@lru_cache(maxsize=64)
def _reader(keywords: frozenset[str]) -> _Reader:
    return _Reader(_wanted(keywords))


@dataclass(frozen=True, slots=True)
class _Told:
    """What all files of a pattern have in common."""

    texts: Mapping[str, str]
    transfer_syntax: str
    encodings: tuple[str, ...]
    little_endian: bool


class _Reader:
    """Reads headers, those of files that are written alike by comparison."""

    def __init__(self, wanted: _Wanted) -> None:
        self._wanted = wanted
        self._patterns: Patterns[_Told] = Patterns()

    def read(self, path: Path) -> Header:
        with opened_file(path) as file:
            if found := self._patterns.find(file.size, file.head):
                pattern, told, values = found
                return self._header(self._texts_of(pattern, told, values), told.transfer_syntax, file.size)
            return self._read_whole(file)

    def _texts_of(self, pattern: Pattern, told: _Told, values: Iterable[bytes]) -> dict[str, str]:
        texts, names = dict(told.texts), self._wanted.names
        for (tag, vr), value in zip(pattern.asked, values, strict=True):
            texts[names[tag]] = text_of(tag, vr, value, told.encodings, told.little_endian)
        return texts

    def _read_whole(self, file: RegularFile) -> Header:
        wanted = self._wanted
        instance = begun(file)
        elements, pixels = _collect(instance, wanted.tags)
        little_endian = instance.encoding.little_endian
        texts = {
            name: meta_text(instance.meta, tag) for tag, name in wanted.meta.items() if tag in instance.meta
        }
        texts |= texts_of(elements, wanted.names, little_endian=little_endian)
        header = self._header(texts, instance.transfer_syntax, file.size)
        if PIXEL_DATA_PROVIDER_URL not in elements:
            described = _described(elements, little_endian)
            check_pixel_data(header.sop_class_uid, instance.transfer_syntax, described, pixels)
        # Other file meta information than what decides how a file is read is not compared.
        if wanted.meta.keys() <= DECISIVE_META and self._patterns.are_to_learn():
            _, declared = elements.get(SPECIFIC_CHARACTER_SET, (b"", b""))
            told = _Told(dict(texts), instance.transfer_syntax, character_sets(declared), little_endian)
            self._learn(file, instance, told)
        return header

    def _learn(self, file: RegularFile, instance: DicomFile, told: _Told) -> None:
        form = form_of(instance, file.head, self._wanted.names, _DECISIVE)
        if form:
            self._patterns.add(form, file.head, told)

    def _header(self, texts: Mapping[str, str], transfer_syntax: str, size: int) -> Header:
        values, unasked = texts, self._wanted.unasked
        if unasked:
            values = {keyword: text for keyword, text in texts.items() if keyword not in unasked}
        return Header(
            values=values,
            sop_class_uid=texts.get("SOPClassUID", ""),
            sop_instance_uid=_uid(texts, "SOPInstanceUID"),
            study_instance_uid=_uid(texts, "StudyInstanceUID"),
            series_instance_uid=_uid(texts, "SeriesInstanceUID"),
            patient_id=texts.get("PatientID", ""),
            transfer_syntax=transfer_syntax,
            size=size,
        )


def _collect(file: DicomFile, wanted: Collection[int]) -> tuple[dict[int, RawValue], PixelData | None]:
    """The values wanted, and the pixel data element."""
    found: dict[int, RawValue] = {}
    pixels = None
    bytes_at = file.source.bytes_at
    for tag, vr, length, start, end in file.elements():
        if tag in wanted:
            if length <= LONGEST_VALUE and vr not in BULK_VRS:
                found[tag] = vr, bytes_at(start, length)
        elif tag in PIXEL_DATA:
            pixels = PixelData(length, end - start)
    return found, pixels


def _uid(texts: Mapping[str, str], keyword: str) -> str:
    uid = texts.get(keyword, "")
    if not uid:
        raise Damage(f"it has no {keyword}")
    if not _UID.fullmatch(uid):
        raise Damage(f"its {keyword} is no UID")
    return uid


def _described(elements: Mapping[int, RawValue], little_endian: bool) -> PixelDescription | None:
    """The Image Pixel Module from raw values, None where nothing of it is there."""
    if elements.keys().isdisjoint(_DESCRIPTION):
        return None

    raw = (elements[tag][1][:_LONGEST_DESCRIBING] if tag in elements else b"" for tag in _DESCRIPTION)
    return _description(little_endian, *raw)


@lru_cache(maxsize=16)
def _description(
    little_endian: bool,
    rows: bytes,
    columns: bytes,
    samples: bytes,
    bits: bytes,
    frames: bytes,
    interpretation: bytes,
) -> PixelDescription:
    """The Image Pixel Module, which the images of a series have in common."""

    def number(raw: bytes, default: int) -> int:
        return int.from_bytes(raw[:2], "little" if little_endian else "big") if len(raw) >= 2 else default

    digits = frames.strip(b" \0")
    return PixelDescription(
        rows=number(rows, 0),
        columns=number(columns, 0),
        samples=number(samples, 1),
        bits=number(bits, 1),
        frames=int(digits) if digits.isdigit() and len(digits) <= _LONGEST_INTEGER else 1,
        interpretation=interpretation.strip(b" \0").decode("ascii", "replace"),
    )
