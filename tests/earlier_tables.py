"""Trees of JSON tables as releases before 4 kept them, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydicom import dcmread

from trees import files_below

_ABSENT = "Not defined"

#: What an image's table told of the file besides where it is.
_STATUS = {
    **{"atime": "2022-05-11 15:41:49.123456", "blksize": 4096, "blocks": 8, "dev": 66306, "gid": 1000},
    **{
        "ino": 42,
        "mode": 33188,
        "mtime": "2022-05-11 15:41:49.123456",
        "nlink": 1,
        "size": 1234,
        "uid": 1000,
    },
}

_SERIES = (
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SeriesNumber",
    "SeriesDate",
)


def write_tree(root: Path, tables: dict[str, Any]) -> None:
    """Write tables, path in the tree to content."""
    for path, content in tables.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=4))


def read_tree(root: Path) -> dict[str, Any]:
    """All tables of a tree."""
    return {str(path.relative_to(root)): json.loads(path.read_text()) for path in files_below(root)}


def tables_of(files: list[Path], **locations: Path) -> dict[str, Any]:
    """The tables that an earlier release would have of these instances.

    Parameters
    ----------
    files : list of pathlib.Path
        Where each lies.
    locations : pathlib.Path
        By name of the file, where its table says that it lies instead.
    """
    tables: dict[str, Any] = {}
    for file in files:
        instance = dcmread(file, stop_before_pixels=True)
        values = {
            element.keyword: str(element.value)
            for element in instance
            if element.keyword and element.VR != "SQ" and element.keyword != "PixelData"
        }
        patient, study, series = values["PatientID"], values["StudyInstanceUID"], values["SeriesInstanceUID"]
        of_patient = tables.setdefault(
            f"patientData/{patient}.json",
            {
                patient: {
                    **_model(
                        values, "PatientID", "PatientName", "PatientAge", "PatientSex", "PatientBirthDate"
                    ),
                    "StudyList": [],
                }
            },
        )
        if study not in of_patient[patient]["StudyList"]:
            of_patient[patient]["StudyList"].append(study)
        tables[f"studyData/{study}-meta.json"] = {
            study: _model(
                values,
                "PatientID",
                "StudyDescription",
                "StudyDate",
                "StudyInstanceUID",
                "PerformedStationAETitle",
            )
        }
        tables.setdefault(
            f"studyData/{study}-series/{series}-meta.json",
            {
                study: {
                    "SeriesInstanceUID": series,
                    "SeriesBaseDir": str(file.parent),
                    "DICOM": {name: {"value": value, "label": name} for name, value in values.items()},
                }
            },
        )
        model = _model(values, *_SERIES, "Modality")
        tables[f"seriesData/{series}-meta.json"] = {series: model}
        tables[f"seriesData/{series}-pack.json"] = {"seriesPack": True}
        location = str(locations.get(file.name, file))
        tables[f"seriesData/{series}-img/{file.name}.json"] = {
            series: {
                **model,
                "outputFile": file.name,
                "imageObj": {file.name: {**_STATUS, "FSlocation": location}},
            }
        }
    return tables


def told_of_series(uid: str, requested: int) -> dict[str, Any]:
    """The tables of a series that was requested, pushed and registered."""
    timestamp = "2022-05-11, 15:43:10"
    return {
        f"seriesData/{uid}-retrieve.json": {
            "NumberOfSeriesRelatedInstances": requested,
            "command": {"raw": "movescu …", "stdout": "I: ok", "returncode": 0},
        },
        f"seriesData/{uid}-push.json": {
            "store": {"status": True, "containerPath": "SERVICES/PACS/orthanc"},
            "timestamp": timestamp,
            "swift": {"ip": "192.0.2.1", "port": "8080", "login": "chris:chris1234"},
        },
        f"seriesData/{uid}-register.json": {
            "info": {"PatientID": "PLAIN-1", "pacs_identifier": "orthanc"},
            "timestamp": timestamp,
            "CUBE": {"url": "http://192.0.2.1:8000/api/v1/", "username": "chris", "password": "chris1234"},
        },
    }


def _model(values: dict[str, str], *keywords: str) -> dict[str, str]:
    return {keyword: values.get(keyword, _ABSENT) for keyword in keywords}
