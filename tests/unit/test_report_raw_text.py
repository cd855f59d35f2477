"""rawText: lines for grep and awk."""

from datasets import AWKWARD_TEXTS
from finds import found, plain_find, series, study
from pypx.actions.found import Found
from pypx.actions.report.layout import Asked, for_report
from pypx.actions.report.raw_text import raw_text
from pypx.actions.report.studies import gather
from pypx.printable import printable


def lines_of(find: Found, **asked: object) -> list[str]:
    reported = gather([find])
    return list(raw_text(reported, for_report(Asked(**asked), reported)))


def test_a_line_a_fact_and_a_line_a_series() -> None:
    lines = lines_of(
        plain_find(), study=("PatientID", "PatientSex"), series=("Modality", "SeriesDescription")
    )
    assert lines == [
        "PatientID: P-1",
        "PatientSex: F",
        "Modality: MR\tSeriesDescription: T1",
        "Modality: MR\tSeriesDescription: T2",
        "",
        "PatientID: P-1",
        "PatientSex:",
        "Modality: CT\tSeriesDescription: Thorax",
        "",
        "PatientID: P-2",
        "PatientSex:",
    ]


def test_attributes_of_series_in_the_header() -> None:
    assert "Modality: MR" in lines_of(plain_find(), header_series=("Modality",), series=("SeriesNumber",))


def test_no_value_adds_a_line_or_a_column() -> None:
    of_it = [
        series(f"1.{number}", SeriesDescription=text) for number, text in enumerate(AWKWARD_TEXTS.values())
    ]
    lines = lines_of(
        found(study("1", *of_it)),
        study=("StudyInstanceUID",),
        series=("SeriesDescription", "SeriesInstanceUID"),
    )
    assert lines[0] == "StudyInstanceUID: 1"
    for number, (text, line) in enumerate(zip(AWKWARD_TEXTS.values(), lines[1:], strict=True)):
        description, uid = line.split("\t")
        assert description == f"SeriesDescription: {printable(text)}".rstrip()
        assert uid == f"SeriesInstanceUID: 1.{number}"
