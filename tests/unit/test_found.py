"""The find's JSON: what is written is read, and what is read is a find or refused."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finds import plain_find
from pypx.actions.found import (
    Found,
    FoundSeries,
    FoundStudy,
    from_json,
    json_pieces,
    read_documents,
    read_stream,
    to_json,
)
from pypx.errors import InvalidInput, RequestFailed

_KEYWORDS = st.sampled_from(
    ["PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "0009,1001"]
)
_VALUES = st.dictionaries(_KEYWORDS, st.text())
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_MEMBERS = st.sampled_from(
    ["status", "data", "args", "series", "value", "label", "uid", "tag", "error", "message", "PatientID"]
)

#: JSON that has the words of a find in it, in the right places and in wrong ones.
_ALMOST = st.recursive(
    st.sampled_from(["success", "error", "1.2.3", "", 0, None, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=5),
    max_leaves=25,
)


@st.composite
def finds(draw: st.DrawFn) -> Found:
    series = st.lists(st.builds(FoundSeries, _VALUES), max_size=3).map(tuple)
    studies = draw(st.lists(st.builds(FoundStudy, _VALUES, series), max_size=3))
    names = {name for study in studies for one in (study, *study.series) for name in one.values}
    return Found(
        tuple(studies),
        {name: draw(st.text(max_size=9)) for name in names},
        draw(st.dictionaries(st.text(max_size=5), st.text() | st.integers() | st.booleans(), max_size=3)),
        draw(st.text()),
        draw(st.text()),
        draw(st.integers()),
        tuple(draw(st.lists(st.text(), max_size=2))),
    )


@settings(deadline=None)
@given(finds())
def test_what_is_written_is_read_again(found: Found) -> None:
    again = from_json(json.loads(json.dumps(to_json(found))))
    assert again.studies == found.studies
    assert again.tags == found.tags
    assert again.arguments == found.arguments
    assert again.command == found.command


@settings(deadline=None)
@given(finds(), st.sampled_from([None, 2]))
@example(Found(), None)
@example(Found(), 2)
@example(plain_find(), 2)
@example(Found(notes=("a",), error=RequestFailed("b")), 2)
@example(Found((FoundStudy({"PatientName": "a\n \u2028b\x85c\ud800"}),), notes=('"data": []',)), 2)
def test_pieces_are_the_whole_document(found: Found, indent: int | None) -> None:
    text = "".join(json_pieces(found, indent))
    assert text == json.dumps(to_json(found), ensure_ascii=False, indent=indent)


def is_find_or_refused(document: object) -> bool:
    try:
        return isinstance(from_json(document), Found)
    except InvalidInput as refusal:
        return bool(refusal.message and refusal.hint)


@settings(deadline=None)
@given(_JSON)
def test_any_json_is_a_find_or_refused(document: object) -> None:
    assert is_find_or_refused(document)


@settings(deadline=None)
@given(_ALMOST, _ALMOST)
@example(None, {"status": "success", "data": [{"series": None}]})
@example(None, {"status": "success", "data": [{"PatientID": {"value": ["a"]}}], "args": []})
@example(None, {"status": ["success"], "data": []})
@example(None, {"status": "error", "error": {"message": {}}})
def test_any_json_that_looks_like_a_find_is_one_or_refused(status: object, data: object) -> None:
    assert is_find_or_refused(data)
    assert is_find_or_refused({"status": status, "data": data})
    assert is_find_or_refused({"status": "success", "data": [data]})
    assert is_find_or_refused({"status": "success", "data": [{"series": [data], "PatientID": data}]})


@pytest.mark.parametrize("value", ["text", 7, 7.5, True, None])
def test_a_value_is_a_text(value: object) -> None:
    document = {"status": "success", "data": [{"PatientID": {"value": value}}]}
    (study,) = from_json(document).studies
    assert isinstance(study.values["PatientID"], str)
    assert study.patient_id == ("" if value is None else str(value))


@pytest.mark.parametrize("value", [["a"], {"b": 1}])
def test_a_value_of_several_parts_is_no_value(value: object) -> None:
    with pytest.raises(InvalidInput, match="PatientID"):
        from_json({"status": "success", "data": [{"PatientID": {"value": value}}]})


def documents_of(read: Iterable[object]) -> list[object] | None:
    try:
        return list(read)
    except InvalidInput:
        return None


@settings(deadline=None)
@given(st.text())
@example("")
@example("[" * 100_000)
@example("1" * 5000)
@example("{}{}")
@example("nul")
@example('"\\ud800"')
@example("NaN -Infinity")
@example("{\n}\n}\n{")
def test_any_text_is_documents_or_refused(text: str) -> None:
    at_once = documents_of(read_documents(text))
    line_by_line = documents_of(read_stream(text.splitlines(keepends=True)))
    assert (at_once is None) == (line_by_line is None) or "}" in text


@settings(deadline=None)
@given(
    st.lists(_JSON, min_size=1, max_size=4),
    st.sampled_from([None, 2]),
    st.sampled_from(["\n", " ", "\r\n", "\t\n\n"]),
)
def test_documents_one_after_another(documents: list[object], indent: int | None, between: str) -> None:
    text = between.join(json.dumps(document, indent=indent) for document in documents)
    expected = [json.dumps(document) for document in documents]
    assert [json.dumps(document) for document in read_documents(text)] == expected
    lines = text.splitlines(keepends=True)
    assert [json.dumps(document) for document in read_stream(lines)] == expected
