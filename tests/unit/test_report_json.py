"""json: the documents as they came, several as one that the tools of the suite read."""

from finds import found, plain_find, series, status_document, status_row, study
from pypx.actions.found import from_json, to_json
from pypx.actions.report.json_document import merged
from pypx.actions.report.studies import read


def test_one_document_stays_as_it_is() -> None:
    document = {**to_json(plain_find()), "kept": {"what": ["ever"]}}
    assert merged([document]) == (document, ())


def test_finds_become_one_find() -> None:
    first = {
        **to_json(found(study("1"), aec="HERE")),
        "notes": ["a"],
        "then": {"00-status": {"study": [{"1": [1]}]}},
    }
    second = {**to_json(found(study("2"), study("3"), aec="THERE")), "notes": ["b"]}
    whole, failures = merged([first, second])
    assert failures == ()
    assert [one.uid for one in from_json(whole).studies] == ["1", "2", "3"]
    assert [one["uid"]["value"] for one in whole["data"]] == [0, 1, 2]
    assert whole["args"] == {"aec": "HERE"}
    assert [one["args"] for one in whole["merged"]] == [{"aec": "HERE"}, {"aec": "THERE"}]
    assert whole["notes"] == ["a", "b"]
    assert whole["then"] == {"00-status": {"study": [{"1": [1]}, {"2": []}, {"3": []}]}}


def test_statuses_become_one_status() -> None:
    rows = [status_row("1", "1.1"), status_row("1", "1.2"), status_row("2", "2.1")]
    whole, _ = merged([status_document(*rows[:2]), status_document(rows[2])])
    assert whole == {"status": "success", "data": rows}


def test_status_beside_a_find_becomes_a_step_of_then() -> None:
    find = to_json(found(study("1", series("1.1")), study("2")))
    row = status_row("1", "1.1", packed=3)
    whole, _ = merged([status_document(row), find])
    assert whole["then"] == {"00-status": {"study": [{"1": [row]}, {"2": []}]}}
    assert read([whole]).studies[0].series[0].values["packed"] == "3"


def test_failures_beside_a_status() -> None:
    failed = {"status": "error", "error": {"message": "No answer"}}
    row = status_row("1", "1.1")
    whole, failures = merged([status_document(row), failed])
    assert whole == {"status": "error", "data": [row], "error": failures[0].to_json()}


def test_the_error_of_a_verb_stays() -> None:
    own = {"code": "connection-lost", "message": "Gone", "hint": "Again."}
    find = {**to_json(plain_find()), "status": "error", "error": own, "then": {}}
    assert merged([find, {"status": "error", "error": {"message": "No answer"}}])[0]["error"] == own


def test_failures_are_told_apart() -> None:
    failed = {"status": "error", "error": {"message": "No answer"}}
    find = to_json(plain_find())
    whole, failures = merged([failed, find])
    assert whole == {**find, "status": "error", "error": failures[0].to_json()}
    assert ["No answer" in failure.message for failure in failures] == [True]
