"""A catalogue of many instances, of which there are no files: what is asked of it never looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from demo.studies import stable_uid
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event, PackedInstance
from pypx.basemount.smdb import Catalogue

#: Written down in one transaction.
_TOGETHER = 5000

_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


@dataclass(frozen=True, slots=True)
class LargeCatalogue:
    """How many instances, and how they belong together.

    Parameters
    ----------
    instances : int
        In all.
    per_series, series_per_study, studies_per_patient : int
        Whatever is left over makes a last one that is smaller.
    """

    instances: int = 1_000_000
    per_series: int = 100
    series_per_study: int = 4
    studies_per_patient: int = 2

    @property
    def series(self) -> int:
        return -(-self.instances // self.per_series)

    @property
    def studies(self) -> int:
        return -(-self.series // self.series_per_study)

    @property
    def patients(self) -> int:
        return -(-self.studies // self.studies_per_patient)

    def series_uid(self, number: int) -> str:
        return str(stable_uid("large catalogue", "series", number))

    def patient_id(self, number: int) -> str:
        return f"P{number:06d}"

    def fill(self, log: Path) -> None:
        """Write it into the catalogue of this log directory; of each series that it was requested."""
        with Catalogue.open(Basemount.of_log_directory(log)) as catalogue:
            written: list[PackedInstance] = []
            requested: list[Event] = []
            for series in range(self.series):
                first = series * self.per_series
                numbers = range(first, min(first + self.per_series, self.instances))
                values = self._of_series(series)
                written += [self._instance(number, number - first + 1, values) for number in numbers]
                uids = values["SeriesInstanceUID"], values["StudyInstanceUID"]
                requested.append(Event(uids[0], "requested", uids[1], len(numbers), target="PACS"))
                if len(written) >= _TOGETHER or series == self.series - 1:
                    catalogue.record(requested)
                    catalogue.add(written)
                    written, requested = [], []

    def _of_series(self, series: int) -> dict[str, str]:
        study = series // self.series_per_study
        patient = study // self.studies_per_patient
        number = series % self.series_per_study + 1
        return {
            "PatientID": self.patient_id(patient),
            "PatientName": f"Bench^Patient {patient}",
            "PatientBirthDate": "19700101",
            "PatientSex": "O",
            "StudyInstanceUID": str(stable_uid("large catalogue", "study", study)),
            "StudyDate": f"{2000 + study % 25}0101",
            "StudyDescription": f"Study {study}",
            "AccessionNumber": f"A{study}",
            "SeriesInstanceUID": self.series_uid(series),
            "SeriesNumber": str(number),
            "SeriesDescription": f"Series {number}",
            "Modality": "MR",
        }

    def _instance(self, number: int, in_series: int, values: dict[str, str]) -> PackedInstance:
        # A UID of its own would take most of the time to make.
        uid = f"2.25.{number}"
        folder = f"{values['PatientID']}-Bench/{values['AccessionNumber']}/{values['SeriesInstanceUID']}"
        of_it = {
            "SOPInstanceUID": uid,
            "SOPClassUID": _MR_IMAGE,
            "InstanceNumber": str(in_series),
            "TransferSyntaxUID": _EXPLICIT_LITTLE_ENDIAN,
        }
        return PackedInstance({**values, **of_it}, "", f"{folder}/{in_series:04d}-{uid}.dcm", 512 * 1024)
