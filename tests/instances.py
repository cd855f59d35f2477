"""DICOM files in every form that a file may come in, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom.data
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

import datasets
from demo.studies import Study

#: What every instance of :data:`FORMS` but those of the shared data sets says.
PATIENT_NAME = "Müller^Jürgen"


def image(**attributes: object) -> Dataset:
    """A CT image whose SeriesInstanceUID is the last element before those that describe its pixels."""
    study = Study("FORM-1", attributes={"PatientName": PATIENT_NAME, "StudyDate": "20200101"})
    instance = next(study.series(1).datasets())
    del instance.SeriesNumber, instance.InstanceNumber
    instance.update(attributes)
    return instance


def save(instance: Dataset, path: Path, transfer_syntax: UID = ExplicitVRLittleEndian) -> Path:
    instance.file_meta.TransferSyntaxUID = transfer_syntax
    instance.save_as(path, enforce_file_format=True)
    return path


def save_bare(instance: Dataset, path: Path, *, implicit: bool, little_endian: bool = True) -> Path:
    """Without preamble and file meta information."""
    del instance.file_meta
    instance.save_as(path, implicit_vr=implicit, little_endian=little_endian)
    return path


def with_sequences(instance: Dataset, *, undefined_length: bool) -> Dataset:
    """With a sequence that holds a sequence, before its identifiers and again after its pixels."""
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "T-A0100", "Brain"
    outer.PurposeOfReferenceCodeSequence = [inner, inner]
    outer.ReferencedSOPInstanceUID = "1.2.3"
    instance.ReferencedImageSequence = [outer, outer]
    instance.DigitalSignaturesSequence = [outer]
    for keyword in ("ReferencedImageSequence", "DigitalSignaturesSequence"):
        instance[keyword].is_undefined_length = undefined_length
        outer["PurposeOfReferenceCodeSequence"].is_undefined_length = undefined_length
    for item in (inner, outer):
        item.is_undefined_length_sequence_item = undefined_length  # type: ignore[attr-defined]
    return instance


def encapsulated(fragments: list[bytes], frames: int = 1) -> Dataset:
    """With pixel data of these frames, whatever a decoder would say to them."""
    instance = image(NumberOfFrames=frames)
    instance.PixelData = encapsulate(fragments)
    instance["PixelData"].is_undefined_length = True
    return instance


#: A sequence delimiter as it may stand within compressed data by chance (PS3.5, A.4).
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"

#: Each form by its name, and what writes a file of it.
FORMS: dict[str, Callable[[Path], Path]] = {
    "explicit": lambda path: save(image(), path),
    "implicit": lambda path: save(image(), path, ImplicitVRLittleEndian),
    "deflated": lambda path: save(image(), path, DeflatedExplicitVRLittleEndian),
    "big endian": lambda path: save(image(), path, ExplicitVRBigEndian),
    "bare explicit": lambda path: save_bare(image(), path, implicit=False),
    "bare implicit": lambda path: save_bare(image(), path, implicit=True),
    "bare big endian": lambda path: save_bare(image(), path, implicit=False, little_endian=False),
    "sequences": lambda path: save(with_sequences(image(), undefined_length=False), path),
    "undefined sequences": lambda path: save(with_sequences(image(), undefined_length=True), path),
    "undefined implicit sequences": lambda path: save(
        with_sequences(image(), undefined_length=True), path, ImplicitVRLittleEndian
    ),
    "undefined deflated sequences": lambda path: save(
        with_sequences(image(), undefined_length=True), path, DeflatedExplicitVRLittleEndian
    ),
    "jpeg": lambda path: save(
        encapsulated([b"\xff\xd8" + _DELIMITER + bytes(40), bytes(30)], 2), path, JPEGBaseline8Bit
    ),
    "rle": lambda path: save(encapsulated([bytes(64) + b"\1" * 64]), path, RLELossless),
    "enhanced multi-frame": datasets.write_enhanced_multiframe,
    "encapsulated pdf": datasets.write_encapsulated_pdf,
}


def shipped() -> list[Path]:
    """The DICOM files within pydicom's package."""
    root = Path(pydicom.data.__file__).parent
    return sorted([*root.glob("test_files/*.dcm"), *root.glob("charset_files/*.dcm")])
