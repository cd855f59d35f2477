"""csv: what went in comes out of Python's csv module, and no spreadsheet runs it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import AWKWARD_TEXTS
from finds import found, plain_find, series, study
from pypx.actions.found import Found
from pypx.actions.report.csv_table import Dialect, csv_table, defused, restored
from pypx.actions.report.layout import SERIES_TAGS, STUDY_TAGS, Asked, for_report
from pypx.actions.report.studies import gather
from pypx.errors import UsageError

_STARTS = "=+-@\t\r\n＝＋－＠"


def written(find: Found, asked: Asked | None = None, **dialect: object) -> str:
    reported = gather([find])
    return "".join(csv_table(reported, for_report(asked or Asked(), reported), Dialect(**dialect)))


def read_back(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))


def descriptions(texts: list[str]) -> Found:
    of_it = [series(f"1.{number}", SeriesDescription=text) for number, text in enumerate(texts)]
    return found(study("1", *of_it))


_TWO = Asked(study=("StudyInstanceUID",), series=("SeriesDescription",))


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "│"])
@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_awkward_values_come_back(separator: str, line_end: str) -> None:
    texts = [*AWKWARD_TEXTS.values(), "山田^太郎", "Müller^Jürgen", "x" * 10_000, "a|b;c│d", '""', "'", "\0"]
    text = written(descriptions(texts), _TWO, separator=separator, line_end=line_end)
    # Two of these would be run as formulas; those alone have an apostrophe before them.
    expected = [{"=1+1": "'=1+1", "--help": "'--help"}.get(value, value) for value in texts]
    assert [row[1] for row in read_back(text, separator)] == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.sampled_from(",;|\t "))
def test_any_values_come_back(texts: list[str], separator: str) -> None:
    rows = read_back(written(descriptions(texts), _TWO, separator=separator), separator)
    assert [restored(row[1]) for row in rows] == texts


@given(st.text(), st.sampled_from(_STARTS), st.integers(0, 3))
def test_formulas_are_defused_and_restored(text: str, start: str, apostrophes: int) -> None:
    value = "'" * apostrophes + start + text
    assert defused(value) == f"'{value}"
    assert restored(defused(value)) == value


@given(st.text())
def test_nothing_starts_a_formula(text: str) -> None:
    assert not defused(text).startswith(tuple(_STARTS))
    assert restored(defused(text)) == text


def test_rows_end_as_rfc_4180_says() -> None:
    assert written(descriptions(["a", 'say "b"']), _TWO) == '1,a\r\n1,"say ""b"""\r\n'


def test_a_row_a_series_with_its_study_and_one_for_a_study_without() -> None:
    rows = read_back(written(plain_find(), headings=True))
    headings, *rows = rows
    assert tuple(headings) == (*STUDY_TAGS, *SERIES_TAGS)
    by_name = [dict(zip(headings, row, strict=True)) for row in rows]
    assert [row["SeriesDescription"] for row in by_name] == ["T1", "T2", "Thorax", ""]
    assert [row["PatientID"] for row in by_name] == ["P-1", "P-1", "P-1", "P-2"]
    assert [row["PatientAge"] for row in by_name] == ["040Y", "040Y", "", ""]
    assert [row["StudyInstanceUID"] for row in by_name] == ["1.2.3", "1.2.3", "1.2.4", "1.2.5"]


def test_no_headings_unless_asked_for() -> None:
    assert read_back(written(plain_find()))[0][0] == "Doe^Jane"


def test_columns_are_there_whatever_a_pacs_returns() -> None:
    (row,) = read_back(written(found(study("1"))))
    assert len(row) == len(STUDY_TAGS) + len(SERIES_TAGS)


def test_summary_has_a_row_a_study() -> None:
    asked = Asked(study=("PatientID", "StudyDate"))
    assert read_back(written(plain_find(), asked, summarized=True, headings=True)) == [
        ["PatientID", "StudyDate", "Series", "Instances", "Modalities"],
        ["P-1", "20200229", "2", "17", "MR"],
        ["P-1", "20210301", "1", "", "CT"],
        ["P-2", "20190101", "", "", ""],
    ]


def test_aligned_columns() -> None:
    asked = Asked(study=("PatientName",), series=("SeriesDescription", "Modality"))
    wide = found(study("1", series("1.1", SeriesDescription="頭部", Modality="CT"), PatientName="A\nB"))
    assert written(wide, asked, headings=True, aligned=True, separator="|") == (
        "PatientName | SeriesDescription | Modality\nA\\nB        | 頭部              | CT\n"
    )


@pytest.mark.parametrize("separator", ["", ",,", '"', "\n", "\r", "\0", "\\t"])
def test_separator_that_can_be_none(separator: str) -> None:
    with pytest.raises(UsageError):
        Dialect(separator=separator)


def test_nothing_found_is_no_row() -> None:
    assert written(found()) == ""
    assert read_back(written(found(), headings=True)) == [[*STUDY_TAGS, *SERIES_TAGS]]
    assert written(found(), aligned=True) == ""
