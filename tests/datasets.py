"""Data sets of the tests, made on the fly, with what must come back to the last character.

Each :class:`~demo.studies.Study` here has a patient of its own, so that one PACS holds them all.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    EnhancedMRImageStorage,
    ImplicitVRLittleEndian,
)

from demo.studies import Study, stable_uid

#: Texts that have broken one tool or another, by what is odd about them.
AWKWARD_TEXTS = {
    "brackets": "T2 [TSE], axial] [ ]]",
    "quotes": "say \"hi\", it's `id` \\ 'x'",
    "shell": "$(touch pwned); touch pwned && `touch pwned` | tee pwned >x &",
    "lines": "one\ttab\nline 2\r\nline 3",
    "dots": "..",
    "path": "../../../etc/passwd",
    "option": "--help",
    "template": "%PatientID %_md5|7_SOPInstanceUID {0} %s",
    "wildcards": "a*b?c*",
    "markup": "<script>alert(1)</script> &amp; <b>",
    "formula": "=1+1",
    "terminal": "red\x1b[31m, title\x1b]0;pwned\x07",
    "bidi": "abc\u202edef\u2066ghi",
    "wide": "頭部CT 山田🩻 größe",
    "long": "x" * 60 + "-end",
    "quiet": "",
}

#: Names of people in the character set that they are sent in (PS3.3, C.12.1.1.2).
NAMES: dict[str, tuple[str | list[str], str]] = {
    "latin": ("ISO_IR 100", "Müller^Jürgen"),
    "utf8": ("ISO_IR 192", "山田^太郎"),
    "utf8-german": ("ISO_IR 192", "Müller^Jürgen^^Dr."),
    "iso2022": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "cyrillic": ("ISO_IR 144", "Люкceмбypг"),
    "ascii": ("ISO_IR 6", "Doe^John"),
}


def awkward_study(kind: str) -> Study:
    """A study whose descriptions are one of :data:`AWKWARD_TEXTS`, at the study's and the series' level."""
    text = AWKWARD_TEXTS[kind]
    return Study(
        f"AWKWARD-{kind}",
        attributes={
            "PatientName": "Odd^Value",
            "StudyDate": "20200102",
            "AccessionNumber": "A-1",
            "StudyDescription": text,
        },
    ).series(1, instances=2, SeriesDescription=text, ProtocolName="plain")


def named_study(kind: str) -> Study:
    """A study of a patient in :data:`NAMES`, the same letters in the series' description."""
    character_set, name = NAMES[kind]
    return Study(
        f"NAMED-{kind}",
        character_set=character_set,
        attributes={"PatientName": name, "StudyDate": "20200103", "StudyDescription": name.split("^")[0]},
    ).series(1, instances=2, SeriesDescription=name.split("^")[0])


def awkward_identifier() -> Study:
    """A patient whose ID would leave the tree, with a name that is one more command."""
    return Study(
        "../../AWKWARD/ID",
        attributes={"PatientName": "..^$(touch pwned)", "StudyDate": "20200104", "StudyDescription": "."},
    ).series(1, instances=1, SeriesDescription="/")


def plain_study() -> Study:
    """Two studies' worth of nothing odd: three series of different lengths."""
    return (
        Study(
            "PLAIN-1",
            attributes={
                "PatientName": "Doe^Jane",
                "PatientBirthDate": "19800229",
                "PatientSex": "F",
                "PatientAge": "040Y",
                "StudyDate": "20200229",
                "AccessionNumber": "P-1",
                "StudyDescription": "Plain study",
            },
        )
        .series(1, instances=3, SeriesDescription="Localizer", Modality="MR")
        .series(2, instances=12, SeriesDescription="T1", Modality="MR")
        .series(3, instances=5, SeriesDescription="T2", Modality="MR")
    )


def plain_follow_up() -> Study:
    """A later study of the patient of :func:`plain_study`."""
    return Study(
        "PLAIN-1",
        name="follow-up",
        attributes={"PatientName": "Doe^Jane", "StudyDate": "20210301", "StudyDescription": "Follow-up"},
    ).series(1, instances=4, SeriesDescription="CT", Modality="CT")


def large_study(series: int = 12, instances: int = 40) -> Study:
    """Enough instances that a retrieve of it can be interrupted in the middle."""
    study = Study("LARGE-1", attributes={"PatientName": "Large^Study", "StudyDate": "20200501"})
    for number in range(1, series + 1):
        study.series(number, instances=instances, SeriesDescription=f"Series {number}")
    return study


def all_studies() -> list[Study]:
    """Everything that the shared PACS of the tests hold."""
    return [
        plain_study(),
        plain_follow_up(),
        awkward_identifier(),
        *(awkward_study(kind) for kind in AWKWARD_TEXTS),
        *(named_study(kind) for kind in NAMES),
    ]


#: Files that pydicom's package holds, by the transfer syntax that they are in.
_SHIPPED = {
    "rle": "MR_small_RLE.dcm",
    "jpeg-lossless": "SC_rgb_jpeg_gdcm.dcm",
    "jpeg-baseline": "SC_rgb_jpeg_dcmtk.dcm",
    "jpeg-ls": "MR_small_jpeg_ls_lossless.dcm",
    "jpeg-2000": "MR_small_jp2klossless.dcm",
}

#: All transfer syntaxes that :func:`write_transfer_syntaxes` makes a series of.
TRANSFER_SYNTAXES = ("explicit", "implicit", "deflated", *_SHIPPED)

_MIXED_PATIENT = "MIXED-1"


def write_transfer_syntaxes(directory: Path, which: tuple[str, ...] = TRANSFER_SYNTAXES) -> dict[str, Path]:
    """One study with a series for each transfer syntax, one instance each."""
    directory.mkdir(parents=True, exist_ok=True)
    return {kind: _write_in_syntax(directory, number, kind) for number, kind in enumerate(which, 1)}


def _write_in_syntax(directory: Path, number: int, kind: str) -> Path:
    path = directory / f"{kind}.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind in _SHIPPED:
            instance = dcmread(str(get_testdata_file(_SHIPPED[kind])))
        else:
            instance = next(Study(_MIXED_PATIENT).series(number).datasets())
            uncompressed = {"implicit": ImplicitVRLittleEndian, "deflated": DeflatedExplicitVRLittleEndian}
            instance.file_meta.TransferSyntaxUID = uncompressed.get(
                kind, instance.file_meta.TransferSyntaxUID
            )
        _adopt(instance, number, kind)
        # The encoding follows from the transfer syntax; pydicom would keep that of the file read.
        instance.save_as(path, enforce_file_format=True)
    return path


def write_enhanced_multiframe(path: Path) -> Path:
    """An Enhanced MR instance of three frames with per-frame functional groups (PS3.3, A.36.2)."""
    instance = next(Study(_MIXED_PATIENT).series(21, Modality="MR").datasets())
    frame = instance.PixelData
    instance.SOPClassUID = EnhancedMRImageStorage
    instance.NumberOfFrames = 3
    instance.PixelData = frame * 3
    instance.SharedFunctionalGroupsSequence = [Dataset()]
    instance.PerFrameFunctionalGroupsSequence = [_frame_content(number) for number in (1, 2, 3)]
    return _save(_adopt(instance, 21, "enhanced"), path)


def _frame_content(number: int) -> Dataset:
    content = Dataset()
    content.DimensionIndexValues = [1, number]
    group = Dataset()
    group.FrameContentSequence = [content]
    return group


def write_encapsulated_pdf(path: Path) -> Path:
    """An Encapsulated PDF instance: no pixels, a document (PS3.3, A.45.1)."""
    pixels = {"Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"}
    instance = next(Study(_MIXED_PATIENT).series(22, Modality="DOC").datasets())
    for keyword in pixels | {"PixelData", "SamplesPerPixel", "PhotometricInterpretation"}:
        delattr(instance, keyword)
    instance.SOPClassUID = EncapsulatedPDFStorage
    instance.MIMETypeOfEncapsulatedDocument = "application/pdf"
    instance.DocumentTitle = "Report"
    instance.EncapsulatedDocument = b"%PDF-1.4\n%%EOF\n\0"
    return _save(_adopt(instance, 22, "pdf"), path)


def _adopt(instance: Dataset, number: int, kind: str) -> Dataset:
    """Make an instance one of the mixed study, in a series of its own."""
    instance.PatientID = _MIXED_PATIENT
    instance.PatientName = "Mixed^Syntaxes"
    instance.StudyInstanceUID = Study(_MIXED_PATIENT).uid
    instance.StudyDate = "20200601"
    instance.SeriesInstanceUID = stable_uid(_MIXED_PATIENT, kind)
    instance.SeriesNumber = number
    instance.SeriesDescription = kind
    instance.InstanceNumber = 1
    instance.SOPInstanceUID = stable_uid(_MIXED_PATIENT, kind, 1)
    instance.file_meta.MediaStorageSOPClassUID = UID(instance.SOPClassUID)
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    return instance


def _save(instance: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    instance.save_as(path, enforce_file_format=True)
    return path


def text_of(value: Any) -> str:
    """A value given to a :class:`Study` as the text that must come back."""
    return "\\".join(str(part) for part in value) if isinstance(value, list) else str(value)
