"""DICOM studies made on the spot: small images with the attributes one asks for.

The same arguments give the same files, UIDs included, so that a test can name what it expects.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundImageStorage,
    generate_uid,
)

_CLASS_OF_MODALITY = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "CR": ComputedRadiographyImageStorage,
    "US": UltrasoundImageStorage,
}


def stable_uid(*parts: object) -> UID:
    """A valid UID that is always the same for the same parts (PS3.5, 9.1)."""
    # One text of all: generate_uid joins several without anything between, and (1, 11) became (11, 1).
    return generate_uid(entropy_srcs=[f"pypx {parts!r}"])


@dataclass
class Series:
    """One series of a :class:`Study`: how many instances, and what they say beside the study's attributes."""

    number: int
    instances: int
    uid: UID
    attributes: dict[str, Any]


@dataclass
class Study:
    """A study to be written as files.

    Parameters
    ----------
    patient_id : str
        PatientID (0010,0020); with ``name``, what the UIDs are made from.
    name : str
        Tells two studies of one patient apart.
    character_set : str or list of str
        SpecificCharacterSet (0008,0005): what texts are written in.
    size : int
        Rows and columns of each image, 16 bits a pixel.
    attributes : dict of str to object
        Any keyword of the DICOM dictionary and its value, the same in all instances.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> study = Study("7654321", attributes={"StudyDescription": "Brain"}).series(1, instances=3)
    >>> len(study.write(Path(mkdtemp())))
    3
    """

    patient_id: str
    name: str = "study"
    character_set: str | list[str] = "ISO_IR 192"
    size: int = 16
    attributes: dict[str, Any] = field(default_factory=dict)
    all_series: list[Series] = field(default_factory=list)

    @property
    def uid(self) -> UID:
        return stable_uid(self.patient_id, self.name)

    @property
    def instances(self) -> int:
        return sum(series.instances for series in self.all_series)

    def series(self, number: int, instances: int = 1, **attributes: object) -> Self:
        """Add a series; attributes that it names win over those of the study."""
        uid = stable_uid(self.patient_id, self.name, number)
        self.all_series.append(Series(number, instances, uid, attributes))
        return self

    def datasets(self) -> Iterator[Dataset]:
        """Every instance, ready to be saved."""
        for series in self.all_series:
            for number in range(1, series.instances + 1):
                yield self._instance(series, number)

    def write(self, directory: Path) -> list[Path]:
        """Write one file an instance into a directory and give back their paths."""
        directory.mkdir(parents=True, exist_ok=True)
        paths = []
        for instance in self.datasets():
            path = directory / f"{instance.SOPInstanceUID}.dcm"
            with warnings.catch_warnings():
                # Values that break their VR are what some of these files are for.
                warnings.simplefilter("ignore")
                instance.save_as(path, enforce_file_format=True)
            paths.append(path)
        return paths

    def _instance(self, series: Series, number: int) -> Dataset:
        instance = Dataset()
        instance.file_meta = FileMetaDataset()
        instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        instance.SpecificCharacterSet = self.character_set
        instance.PatientID = self.patient_id
        instance.Modality = "CT"
        instance.StudyInstanceUID = self.uid
        instance.SeriesInstanceUID = series.uid
        instance.SeriesNumber = series.number
        instance.InstanceNumber = number
        instance.SOPInstanceUID = stable_uid(self.patient_id, self.name, series.number, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for keyword, value in {**self.attributes, **series.attributes}.items():
                setattr(instance, keyword, value)
        instance.SOPClassUID = _CLASS_OF_MODALITY.get(instance.Modality, CTImageStorage)
        _draw(instance, self.size)
        return instance


def _draw(instance: Dataset, size: int) -> None:
    """A slanted gradient that differs from instance to instance."""
    shift = int(instance.InstanceNumber or 0) * 16
    line = b"".join(((column * 32 + shift) % 4096).to_bytes(2, "little") for column in range(2 * size))
    instance.SamplesPerPixel = 1
    instance.PhotometricInterpretation = "MONOCHROME2"
    instance.Rows = instance.Columns = size
    instance.BitsAllocated, instance.BitsStored, instance.HighBit = 16, 12, 11
    instance.PixelRepresentation = 0
    instance.PixelData = b"".join(line[2 * row : 2 * (row + size)] for row in range(size))


def invented_studies() -> list[Study]:
    """The demo's patients; none of them lives anywhere."""
    return [
        Study(
            "7654321",
            size=64,
            attributes={
                "PatientName": "Lovelace^Ada",
                "PatientBirthDate": "19841210",
                "PatientSex": "F",
                "PatientAge": "041Y",
                "StudyDate": "20260314",
                "StudyTime": "091500",
                "AccessionNumber": "26-0314-7",
                "StudyDescription": "MR brain without contrast",
                "ReferringPhysicianName": "Babbage^Charles",
                "PerformedStationAETitle": "MR3T",
            },
        )
        .series(1, instances=3, Modality="MR", SeriesDescription="Localizer", ProtocolName="localizer")
        .series(2, instances=24, Modality="MR", SeriesDescription="T1 MPRAGE sag", ProtocolName="t1_mprage")
        .series(3, instances=16, Modality="MR", SeriesDescription="T2 [TSE], axial", ProtocolName="t2_tse"),
        Study(
            "7654321",
            name="follow-up",
            size=64,
            attributes={
                "PatientName": "Lovelace^Ada",
                "PatientBirthDate": "19841210",
                "PatientSex": "F",
                "PatientAge": "042Y",
                "StudyDate": "20261102",
                "StudyTime": "140200",
                "AccessionNumber": "26-1102-3",
                "StudyDescription": "CT chest, low dose",
                "PerformedStationAETitle": "CT2",
            },
        )
        .series(1, instances=2, SeriesDescription="Topogram", ProtocolName="chest_low_dose")
        .series(2, instances=30, SeriesDescription="Lung 1.0 mm", ProtocolName="chest_low_dose"),
        Study(
            "8200417",
            size=64,
            attributes={
                "PatientName": "Müller^Jürgen",
                "PatientBirthDate": "19590417",
                "PatientSex": "M",
                "PatientAge": "067Y",
                "StudyDate": "20260702",
                "StudyTime": "103000",
                "AccessionNumber": "26-0702-11",
                "StudyDescription": "Thorax p.a. und seitlich",
                "PerformedStationAETitle": "DX1",
            },
        ).series(1, instances=2, Modality="CR", SeriesDescription="Thorax", ProtocolName="thorax"),
        Study(
            "9100258",
            size=64,
            attributes={
                "PatientName": "Yamada^Taro=山田^太郎",
                "PatientBirthDate": "19910228",
                "PatientSex": "M",
                "PatientAge": "035Y",
                "StudyDate": "20260915",
                "StudyTime": "161500",
                "AccessionNumber": "26-0915-2",
                "StudyDescription": "腹部エコー",
                "PerformedStationAETitle": "US4",
            },
        ).series(1, instances=6, Modality="US", SeriesDescription="腹部", ProtocolName="abdomen"),
    ]
