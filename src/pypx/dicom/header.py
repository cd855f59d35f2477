"""The header of an instance: the attributes one asks for, from a pass that also sees whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pypx.dicom.elements import VRS, Damage
from pypx.dicom.fileformat import DicomFile, opened
from pypx.dicom.integrity import (
    PIXEL_DATA,
    PIXEL_DATA_PROVIDER_URL,
    PixelData,
    PixelDescription,
    check_pixel_data,
)
from pypx.dicom.values import texts_of

#: A value longer than any that names something is bulk data; an explicit LO or PN cannot be as long.
LONGEST_VALUE = 64 * 1024

#: VRs that have no text.
_BULK_VRS = frozenset({b"SQ", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW"})

_IDENTIFIERS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID")

_ROWS, _COLUMNS, _SAMPLES, _BITS = 0x00280010, 0x00280011, 0x00280002, 0x00280100
_FRAMES, _INTERPRETATION = 0x00280008, 0x00280004
_PIXEL_TAGS = (_ROWS, _COLUMNS, _SAMPLES, _BITS, _FRAMES, _INTERPRETATION, PIXEL_DATA_PROVIDER_URL)

#: Stricter ones (PS3.5, 9.1) are broken by too many writers; these can become part of a path.
_UID = re.compile(r"[0-9][0-9.]{0,63}")

_SPECIFIC_CHARACTER_SET = 0x00080005

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
    """The attributes to read: by tag, and in the order in which they are asked for."""

    tags: Mapping[int, BaseTag]
    by_keyword: tuple[tuple[str, BaseTag], ...]


@lru_cache(maxsize=64)
def _wanted(keywords: frozenset[str]) -> _Wanted:
    numbers = {keyword: tag_for_keyword(keyword) for keyword in {*keywords, *_IDENTIFIERS}}
    tags = {
        keyword: BaseTag(number)
        for keyword, number in numbers.items()
        if number is not None and dictionary_VR(number)[:2].encode() not in _BULK_VRS
    }
    others = (_SPECIFIC_CHARACTER_SET, *_PIXEL_TAGS)
    return _Wanted({int(tag): tag for tag in (*tags.values(), *map(BaseTag, others))}, tuple(tags.items()))


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
    wanted = _wanted(frozenset(keywords))
    with opened(path) as file:
        elements, pixels = _collect(file, wanted.tags)
        texts = _meta_texts(file, wanted) | texts_of(Dataset(elements), wanted.by_keyword)
        header = Header(
            values={keyword: texts[keyword] for keyword in keywords if keyword in texts},
            sop_class_uid=texts.get("SOPClassUID", ""),
            sop_instance_uid=_uid(texts, "SOPInstanceUID"),
            study_instance_uid=_uid(texts, "StudyInstanceUID"),
            series_instance_uid=_uid(texts, "SeriesInstanceUID"),
            patient_id=texts.get("PatientID", ""),
            transfer_syntax=file.transfer_syntax,
            size=file.size,
        )
        if PIXEL_DATA_PROVIDER_URL not in elements:
            described = _described(elements, file.encoding.little_endian)
            check_pixel_data(header.sop_class_uid, file.transfer_syntax, described, pixels)
    return header


def _collect(
    file: DicomFile, wanted: Mapping[int, BaseTag]
) -> tuple[dict[BaseTag, RawDataElement | DataElement], PixelData | None]:
    """The elements wanted, as pydicom has them raw, and the pixel data element."""
    found: dict[BaseTag, RawDataElement | DataElement] = {}
    pixels = None
    little_endian = file.encoding.little_endian
    for tag, vr, length, start, end in file.elements():
        if tag in wanted:
            if length <= LONGEST_VALUE and vr not in _BULK_VRS:
                value = file.source.bytes_at(start, length)
                name = vr.decode() if vr in VRS else None
                known = wanted[tag]
                found[known] = RawDataElement(known, name, length, value, start, not vr, little_endian)
        elif tag in PIXEL_DATA:
            pixels = PixelData(length, end - start)
    return found, pixels


def _meta_texts(file: DicomFile, wanted: _Wanted) -> dict[str, str]:
    return {keyword: file.meta[tag] for keyword, tag in wanted.by_keyword if tag in file.meta}


def _uid(texts: Mapping[str, str], keyword: str) -> str:
    uid = texts.get(keyword, "")
    if not uid:
        raise Damage(f"it has no {keyword}")
    if not _UID.fullmatch(uid):
        raise Damage(f"its {keyword} is no UID")
    return uid


def _described(
    elements: Mapping[BaseTag, RawDataElement | DataElement], little_endian: bool
) -> PixelDescription | None:
    """The Image Pixel Module from raw elements, None where nothing of it is there."""
    if not any(tag in elements for tag in _PIXEL_TAGS):
        return None

    def value(tag: int) -> bytes:
        element = elements.get(BaseTag(tag))
        return element.value if element is not None and isinstance(element.value, bytes) else b""

    def number(tag: int, default: int) -> int:
        raw = value(tag)[:2]
        return int.from_bytes(raw, "little" if little_endian else "big") if len(raw) == 2 else default

    frames = value(_FRAMES).strip(b" \0")
    return PixelDescription(
        rows=number(_ROWS, 0),
        columns=number(_COLUMNS, 0),
        samples=number(_SAMPLES, 1),
        bits=number(_BITS, 1),
        frames=int(frames) if frames.isdigit() and len(frames) <= _LONGEST_INTEGER else 1,
        interpretation=value(_INTERPRETATION).strip(b" \0").decode("ascii", "replace"),
    )
