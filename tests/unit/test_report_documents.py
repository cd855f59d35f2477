"""What becomes one report: documents in a stream, finds, statuses and the steps of then."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finds import found, plain_find, series, status_document, status_row, study
from pypx.actions.found import read_stream, to_json
from pypx.actions.report.studies import gather, read
from pypx.errors import InvalidInput

_FAILED = {"status": "error", "error": {"code": "peer-timeout", "message": "No answer", "hint": "Wait."}}


@pytest.mark.parametrize("indent", [None, 0, 2])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_documents_come_one_by_one(indent: int | None, count: int) -> None:
    documents = [{"number": number, "text": "}\n{"} for number in range(count)]
    text = "\n".join(json.dumps(document, indent=indent) for document in documents)
    assert list(read_stream(text.splitlines(keepends=True))) == documents
    assert list(read_stream([text])) == documents


def test_documents_may_stand_on_one_line() -> None:
    assert list(read_stream(['{"a": 1}{"b": 2} [3]\n', "\ufeff {}"])) == [{"a": 1}, {"b": 2}, [3], {}]


def test_a_document_is_there_before_the_next_is_read() -> None:
    read_so_far = []

    def lines() -> Iterator[str]:
        for line in ('{"a": 1}\n', "{\n", '"b": 2\n', "}\n", '{"c": 3}\n'):
            read_so_far.append(line)
            yield line

    documents = read_stream(lines())
    assert next(documents) == {"a": 1}
    assert len(read_so_far) == 1
    assert next(documents) == {"b": 2}
    assert len(read_so_far) == 4


@pytest.mark.parametrize(
    "text", ["", " \n\t\n", "no", "{", '{"a": 1}\n{"b"', "[" * 100_000, '{"a": 1} x', "\0"]
)
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(InvalidInput):
        list(read_stream(text.splitlines(keepends=True)))


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_document_comes_back(document: object) -> None:
    text = json.dumps({"data": document}, indent=1) + "\n"
    assert list(read_stream((text + text).splitlines(keepends=True))) == [{"data": document}] * 2


@pytest.mark.parametrize(
    "document",
    [
        [],
        "text",
        3,
        None,
        {},
        {"status": "success"},
        {"status": "success", "data": {}},
        {"status": "success", "data": ["study"]},
        {"status": "success", "data": [{"PatientID": "plain"}]},
        {"status": "success", "data": [{"series": {}}]},
        {"status": "success", "data": [{"series": ["no"]}]},
        {"status": "success", "data": [{"SeriesInstanceUID": "1.2"}, "no"]},
        {"status": "success", "data": [], "then": []},
        {"status": "success", "data": [], "then": {"00-status": []}},
        {"status": "success", "data": [], "then": {"00-status": {"study": ["no"]}}},
        {"status": "success", "data": [], "then": {"00-push": {"study": [{"1.2": "no"}]}}},
    ],
)
def test_what_is_not_ours(document: object) -> None:
    with pytest.raises(InvalidInput):
        read([document])


def test_several_finds_are_one_report() -> None:
    first = found(study("1.1"), serverIP="a", aec="B", serverPort=104)
    second = found(study("1.2"), study("1.3"), serverIP="a", aec="B", serverPort=104)
    reported = read([to_json(first), to_json(second)])
    assert [one.uid for one in reported.studies] == ["1.1", "1.2", "1.3"]
    assert "PACS" not in reported.names()


def test_a_study_found_twice_is_there_once_with_the_series_of_both() -> None:
    first = found(study("1", series("1.1", Modality="MR"), PatientID="P", PatientSex=""))
    second = found(
        study(
            "1",
            series("1.1", Modality="", BodyPartExamined="HEAD"),
            series("1.2"),
            PatientID="P",
            PatientSex="F",
        )
    )
    (one,) = gather([first, second]).studies
    assert [(each.uid, each.values.get("Modality")) for each in one.series] == [("1.1", "MR"), ("1.2", None)]
    assert one.series[0].values["BodyPartExamined"] == "HEAD"
    assert one.values["PatientSex"] == "F"


def test_the_same_study_of_another_patient_or_pacs_stays_apart() -> None:
    here = found(study("1", PatientID="P"), study("1", PatientID="Q"), aec="HERE")
    there = found(study("1", PatientID="P"), aec="THERE")
    reported = gather([here, there])
    assert [(one.patient_id, one.values["PACS"]) for one in reported.studies] == [
        ("P", "HERE"),
        ("Q", "HERE"),
        ("P", "THERE"),
    ]


def test_studies_without_uid_are_never_taken_for_each_other() -> None:
    assert len(gather([found(study("", PatientID="P"), study("", PatientID="P"))]).studies) == 2


def test_status_stands_beside_what_was_found() -> None:
    status = status_document(status_row("1.2.3", "1.2.3.2", packed=4), status_row("9", "9.1"))
    reported = read([status, to_json(plain_find())])
    mri = reported.studies[0]
    assert "packed" not in mri.series[0].values
    assert (mri.series[1].values["packed"], mri.series[1].values["SeriesDescription"]) == ("4", "T2")
    other = reported.studies[-1]
    assert (other.uid, other.series[0].uid, other.series[0].values["state"]) == ("9", "9.1", "packed")


def test_then_is_read_in_the_order_of_the_series() -> None:
    document = to_json(plain_find())
    incomplete = {"state": "incomplete", "error": {"code": "x", "message": "5 of 12 are here"}}
    document["then"] = {
        "00-retrieve": {"study": [{"1.2.3": [{"state": "complete"}, incomplete]}, {"1.2.4": []}]},
        "01-status": {
            "study": [{"1.2.3": [{"SeriesInstanceUID": "1.2.3.2", "packed": 7, "state": "packed"}]}]
        },
        "02-report": {"study": [{"1.2.3": ["a report is no verdict"]}]},
    }
    first, second = read([document]).studies[0].series
    assert first.values["retrieve"] == "complete"
    assert second.values["retrieve"] == "incomplete: 5 of 12 are here"
    assert ("packed" in first.values, second.values["packed"]) == (False, "7")


def test_verdicts_of_a_retrieve_that_is_not_complete_are_shown() -> None:
    row = {
        "StudyInstanceUID": "1",
        "SeriesInstanceUID": "1.1",
        "state": "failed",
        "expected": "unknown",
        "held": 0,
    }
    document = {"status": "error", "data": [{**row, "error": {"message": "No route"}}]}
    (only,) = read([document]).studies[0].series
    assert (only.values["expected"], only.values["held"], only.values["error"]) == (
        "unknown",
        "0",
        "No route",
    )


def test_a_find_that_failed_does_not_hide_the_others() -> None:
    reported = read([_FAILED, to_json(plain_find())])
    assert len(reported.studies) == 3
    assert [failure.code for failure in reported.failures] == ["invalid-input"]
    assert "No answer" in reported.failures[0].message


def test_finds_that_all_failed_are_a_failure() -> None:
    with pytest.raises(InvalidInput, match="No answer"):
        read([_FAILED, _FAILED])


_NAMES = st.sampled_from(["data", "status", "series", "then", "study", "00-status", "value", "error"])
_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | _NAMES, inner),
    max_leaves=20,
)


@given(_ANY_JSON)
def test_no_json_at_all_is_more_than_our_error(document: Any) -> None:
    for candidate in (
        document,
        {"status": "success", "data": document},
        {"status": "success", "data": [], "then": document},
    ):
        try:
            read([candidate])
        except InvalidInput:
            pass
