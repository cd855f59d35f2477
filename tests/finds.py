"""Finds and the JSON of the suite, made by hand: what px-report and others read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pypx.actions.found import Found, FoundSeries, FoundStudy, to_json

TAGS = {
    "AccessionNumber": "0008,0050",
    "Modality": "0008,0060",
    "ModalitiesInStudy": "0008,0061",
    "NumberOfSeriesRelatedInstances": "0020,1209",
    "NumberOfStudyRelatedInstances": "0020,1208",
    "PatientAge": "0010,1010",
    "PatientBirthDate": "0010,0030",
    "PatientID": "0010,0020",
    "PatientName": "0010,0010",
    "PatientSex": "0010,0040",
    "SeriesDescription": "0008,103E",
    "SeriesInstanceUID": "0020,000E",
    "SeriesNumber": "0020,0011",
    "StudyDate": "0008,0020",
    "StudyDescription": "0008,1030",
    "StudyInstanceUID": "0020,000D",
}


def series(uid: str = "1.2.1", **values: str) -> FoundSeries:
    return FoundSeries({"SeriesInstanceUID": uid, **values})


def study(uid: str = "1.2", *of_it: FoundSeries, **values: str) -> FoundStudy:
    return FoundStudy({"StudyInstanceUID": uid, **values}, of_it)


def found(*studies: FoundStudy, **arguments: object) -> Found:
    return Found(studies, TAGS, arguments, command="findscu …")


def plain_find() -> Found:
    """Two patients, three studies, one of them without series."""
    mri = study(
        "1.2.3",
        series(
            "1.2.3.1",
            SeriesNumber="1",
            SeriesDescription="T1",
            Modality="MR",
            NumberOfSeriesRelatedInstances="12",
        ),
        series(
            "1.2.3.2",
            SeriesNumber="2",
            SeriesDescription="T2",
            Modality="MR",
            NumberOfSeriesRelatedInstances="5",
        ),
        PatientName="Doe^Jane",
        PatientID="P-1",
        PatientBirthDate="19800229",
        PatientSex="F",
        StudyDate="20200229",
        StudyDescription="Brain",
        AccessionNumber="A-1",
        ModalitiesInStudy="MR",
    )
    follow_up = study(
        "1.2.4",
        series("1.2.4.1", SeriesNumber="1", SeriesDescription="Thorax", Modality="CT"),
        PatientName="Doe^Jane",
        PatientID="P-1",
        StudyDate="20210301",
        StudyDescription="Follow-up",
    )
    empty = study("1.2.5", PatientName="Müller^Jürgen", PatientID="P-2", StudyDate="20190101")
    return found(mri, follow_up, empty, serverIP="127.0.0.1", aec="ARCHIVE", serverPort=104)


def status_row(study_uid: str, series_uid: str, **values: object) -> dict[str, object]:
    """One series as px-status writes it."""
    return {
        "StudyInstanceUID": study_uid,
        "SeriesInstanceUID": series_uid,
        "SeriesDescription": "T1",
        "requested": 12,
        "received": 12,
        "packed": 12,
        "pushed": 0,
        "registered": 0,
        "state": "packed",
        **values,
    }


def status_document(*rows: Mapping[str, object]) -> dict[str, Any]:
    return {"status": "success", "data": [dict(row) for row in rows]}


def text_of(*finds: Found | Mapping[str, Any], indent: int | None = None) -> str:
    """Documents one after another, as they come through a pipe."""
    documents = (to_json(one) if isinstance(one, Found) else dict(one) for one in finds)
    return "".join(json.dumps(document, ensure_ascii=False, indent=indent) + "\n" for document in documents)
