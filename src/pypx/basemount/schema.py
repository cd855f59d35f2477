"""The tables of the catalogue.

Columns that hold an attribute are named by its keyword in DICOM's dictionary, and hold its text; several
values are joined by a backslash.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

#: Written into the catalogue; raised, and a step added to the migrations, with every change of the tables.
VERSION = 4

#: What tells one patient as described from another, in the order that the key is made of.
PATIENT_ATTRIBUTES = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex")

STUDY_ATTRIBUTES = (
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "InstitutionName",
    "PatientAge",
)

SERIES_ATTRIBUTES = (
    "Modality",
    "SeriesNumber",
    "SeriesDate",
    "SeriesDescription",
    "ProtocolName",
    "BodyPartExamined",
    "PerformedStationAETitle",
    "AcquisitionProtocolName",
    "AcquisitionProtocolDescription",
)

INSTANCE_ATTRIBUTES = ("SOPClassUID", "InstanceNumber", "TransferSyntaxUID")

#: All that the catalogue wants to know of an instance; TransferSyntaxUID is in the file meta information.
ATTRIBUTES = frozenset(
    {
        *PATIENT_ATTRIBUTES,
        "StudyInstanceUID",
        *STUDY_ATTRIBUTES,
        "SeriesInstanceUID",
        *SERIES_ATTRIBUTES,
        "SOPInstanceUID",
        *INSTANCE_ATTRIBUTES,
    }
)

metadata = MetaData()


def _texts(keywords: Iterable[str]) -> list[Column[str]]:
    return [_text(keyword) for keyword in keywords]


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


version = Table("smdb_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

#: Patients as instances describe them: two hospitals may use one PatientID for two people.
patient = Table("patient", metadata, _key("patient"), *_texts(PATIENT_ATTRIBUTES))
Index("patient_by_id", patient.c.PatientID)

study = Table("study", metadata, _key("StudyInstanceUID"), _text("patient"), *_texts(STUDY_ATTRIBUTES))
Index("study_by_patient", study.c.patient)

series = Table(
    "series", metadata, _key("SeriesInstanceUID"), _text("StudyInstanceUID"), *_texts(SERIES_ATTRIBUTES)
)
Index("series_by_study", series.c.StudyInstanceUID)

instance = Table(
    "instance",
    metadata,
    _key("SOPInstanceUID"),
    _key("variant"),
    _text("SeriesInstanceUID"),
    *_texts(INSTANCE_ATTRIBUTES),
    _text("path"),
    Column("size", BigInteger, nullable=False),
    _text("digest"),
)
Index("instance_by_series", instance.c.SeriesInstanceUID, instance.c.SOPInstanceUID)

#: Instances that say that they are of another study or patient than their series, which the first of it
#: describes; and what they say.
stray = Table(
    "stray", metadata, _key("SOPInstanceUID"), _key("variant"), _text("StudyInstanceUID"), _text("patient")
)
Index("stray_by_study", stray.c.StudyInstanceUID)

quarantined = Table(
    "quarantined",
    metadata,
    _key("name"),
    _text("SOPInstanceUID"),
    _text("SeriesInstanceUID"),
    _text("StudyInstanceUID"),
    _text("reason"),
    _text("time"),
)
Index("quarantined_by_series", quarantined.c.SeriesInstanceUID, quarantined.c.SOPInstanceUID)

event = Table(
    "event",
    metadata,
    _key("SeriesInstanceUID"),
    _key("kind"),
    _key("time"),
    _key("target"),
    _text("StudyInstanceUID"),
    Column("count", BigInteger),
    _text("detail"),
)
Index("event_by_study", event.c.StudyInstanceUID)

#: Which patient's a directory at the top of data/ is, where its name is made from the PatientID.
folder = Table("folder", metadata, _key("name"), _text("PatientID"))

#: The JSON tables of releases before 4 as they were imported: whose each is (a patient, study or series), its
#: path in their tree, and what stood there.
document = Table("document", metadata, _key("owner"), _key("path"), _text("content"))

#: Where the files of a series are in a storage: one folder a series, and one series a folder.
storage_folder = Table("storage_folder", metadata, _key("target"), _key("SeriesInstanceUID"), _text("folder"))
Index("storage_folder_by_name", storage_folder.c.target, storage_folder.c.folder, unique=True)
