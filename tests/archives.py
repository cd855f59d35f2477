"""What the C-FIND provider of the tests holds."""

from __future__ import annotations

from servers.find_provider import HeldStudy


def study_uid(number: int) -> str:
    return f"1.2.826.0.1.{number}"


def series_uid(number: int, place: int) -> str:
    return f"{study_uid(number)}.{place}"


def a_study(number: int, series: int = 2, **values: str | bytes) -> HeldStudy:
    """A study that differs from the others in its number; its series are CT and MR in turns."""
    return HeldStudy(
        {
            "StudyInstanceUID": study_uid(number),
            "PatientID": f"P-{number}",
            "PatientName": f"Doe^Number {number}",
            "PatientBirthDate": f"19{number % 100:02}0101",
            "StudyDate": f"2020{number % 12 + 1:02}01",
            "StudyDescription": f"Study {number}",
            "ModalitiesInStudy": "\\".join(["CT", "MR"][:series]),
            "NumberOfStudyRelatedSeries": str(series),
            "NumberOfStudyRelatedInstances": str(10 * series),
            **values,
        },
        [a_series(number, place) for place in range(1, series + 1)],
    )


def a_series(number: int, place: int, **values: str | bytes) -> dict[str, str | bytes]:
    return {
        "SeriesInstanceUID": series_uid(number, place),
        "SeriesNumber": str(place),
        "SeriesDescription": f"Series {place}",
        "Modality": "MR" if place % 2 == 0 else "CT",
        "NumberOfSeriesRelatedInstances": "10",
        **values,
    }


def archive(studies: int = 3, series: int = 2) -> list[HeldStudy]:
    return [a_study(number, series) for number in range(1, studies + 1)]
