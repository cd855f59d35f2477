"""What CUBE is told of a series, held against what CUBE demands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.cube_rules import Interface, checked
from pypx.cube.address import CubeAddress
from pypx.cube.documents import is_page, items, links, message
from pypx.cube.fields import (
    ATTRIBUTES,
    LONGEST_FILE_PATH,
    check_pacs_name,
    check_path,
    fields_of,
    pacs_name_of,
)
from pypx.errors import AttributeMissing, InvalidValue

LEAST = {"PatientID": "P", "StudyDate": "20200229", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}


def accepted(values: dict[str, str]) -> dict[str, Any]:
    """What CUBE keeps of a series with these attributes."""
    said = {**fields_of(values).values, "path": "SERVICES/PACS/HERE/a/b/c", "pacs_name": "HERE"}
    return checked(Interface.SERIES, {**said, "ndicom": 3})


def test_dates_and_ages_are_as_cube_has_them() -> None:
    kept = accepted({**LEAST, "PatientBirthDate": "19800229", "PatientAge": "040Y", "PatientSex": "F"})
    assert kept["StudyDate"] == "2020-02-29"
    assert kept["PatientBirthDate"] == "1980-02-29"
    assert kept["PatientAge"] == 14610
    assert kept["PatientSex"] == "F"


def test_an_age_that_is_missing_follows_from_the_dates() -> None:
    assert fields_of({**LEAST, "PatientBirthDate": "20200101"}).values["PatientAge"] == 59


def test_an_age_that_is_told_is_believed() -> None:
    values = {**LEAST, "PatientBirthDate": "19000101", "PatientAge": "003W"}
    assert fields_of(values).values["PatientAge"] == 21


def test_what_is_missing_is_empty_or_left_out() -> None:
    fields = fields_of(LEAST).values
    assert {name for name, value in fields.items() if value == ""} == {
        "PatientName",
        "AccessionNumber",
        "Modality",
        "ProtocolName",
        "StudyDescription",
        "SeriesDescription",
        "PatientSex",
    }
    assert "PatientAge" not in fields
    assert "PatientBirthDate" not in fields
    assert fields_of(LEAST).notes == ()


@pytest.mark.parametrize("keyword", LEAST)
@pytest.mark.parametrize("value", ["", "   ", "\0"])
def test_without_what_cube_requires_nothing_is_sent(keyword: str, value: str) -> None:
    with pytest.raises(AttributeMissing, match=keyword):
        fields_of({**LEAST, keyword: value})
    with pytest.raises(AttributeMissing, match=keyword):
        fields_of({name: text for name, text in LEAST.items() if name != keyword})


@pytest.mark.parametrize("date", ["20201301", "2020", "yesterday", "20200101\\20200102"])
def test_a_study_needs_a_date_that_is_one(date: str) -> None:
    with pytest.raises(AttributeMissing, match="StudyDate is no date"):
        fields_of({**LEAST, "StudyDate": date})


def test_an_identifier_is_never_cut() -> None:
    with pytest.raises(AttributeMissing, match="100"):
        fields_of({**LEAST, "PatientID": "x" * 101})


def test_a_text_that_is_too_long_is_cut_and_said() -> None:
    fields = fields_of({**LEAST, "ProtocolName": "p" * 65, "SeriesDescription": "山" * 401})
    assert fields.values["ProtocolName"] == "p" * 64
    assert fields.values["SeriesDescription"] == "山" * 400
    assert fields.notes == (
        "ProtocolName cut to 64 characters",
        "SeriesDescription cut to 400 characters",
    )


def test_what_is_no_sex_and_no_date_is_left_out_and_said() -> None:
    fields = fields_of({**LEAST, "PatientSex": "U", "PatientBirthDate": "unknown"})
    assert fields.values["PatientSex"] == ""
    assert len(fields.notes) == 2


@given(st.fixed_dictionaries({}, optional={keyword: st.text(max_size=450) for keyword in ATTRIBUTES}))
def test_cube_takes_whatever_a_series_says(values: dict[str, str]) -> None:
    accepted({**values, **LEAST})


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
def test_cube_takes_what_is_not_refused_here(patient: str, uid: str) -> None:
    try:
        fields_of({**LEAST, "PatientID": patient, "StudyInstanceUID": uid})
    except AttributeMissing:
        return
    accepted({**LEAST, "PatientID": patient, "StudyInstanceUID": uid})


@pytest.mark.parametrize(
    "name", ["", " ", "A/B", "A,B", "x" * 21, " A", "A ", "A\nB", "..", ".", "A\x1b[31m", "A\u202eB"]
)
def test_names_that_cube_refuses(name: str) -> None:
    with pytest.raises(InvalidValue):
        check_pacs_name(name)


@pytest.mark.parametrize("name", ["HERE", "x" * 20, "Site A", "org.example-pacs_1", "山田"])
def test_names_that_cube_takes(name: str) -> None:
    check_pacs_name(name)
    assert pacs_name_of(f"SERVICES/PACS/{name}/a.dcm") == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a/b",
        "SERVICES/PACS",
        "SERVICES/PACS/X",
        "SERVICES/PACS//a",
        "/SERVICES/PACS/X/a",
        "uploads/PACS/X/a",
    ],
)
def test_places_where_cube_has_no_images(path: str) -> None:
    with pytest.raises(InvalidValue):
        pacs_name_of(path)


def test_paths_that_cube_refuses() -> None:
    check_path("SERVICES/PACS/X/a/b c/d.dcm", LONGEST_FILE_PATH)
    for path in ("S/a,b", "S/" + "x" * 511, "S/a/", " S/a", "S/a\n"):
        with pytest.raises(InvalidValue):
            check_path(path, LONGEST_FILE_PATH)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("http://localhost:8000/api/v1/", "http://localhost:8000/api/v1/"),
        ("https://cube.example.org", "https://cube.example.org/api/v1/"),
        ("https://Cube.example.org/api/v1", "https://cube.example.org/api/v1/"),
        (" https://[::1]:8000/x/api/v1/ ", "https://[::1]:8000/x/api/v1/"),
    ],
)
def test_addresses_as_people_write_them(written: str, url: str) -> None:
    assert CubeAddress.parse(written, "chris", "secret").url == url


@pytest.mark.parametrize(
    "written",
    [
        "",
        "localhost:8000",
        "ftp://cube/",
        "http://",
        "http://a b/",
        "http://cube:x/",
        "http://cube/?a=b",
        "http://cube/#x",
        "http://[::1/",
        "http://chris:geheim@cube/api/v1/",
        "http://cube/a\r\nb",
        "http://-x/",
    ],
)
def test_addresses_that_are_none(written: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        CubeAddress.parse(written, "chris", "secret")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("chris", "")])
def test_a_user_needs_a_name_and_a_password(user: str, password: str) -> None:
    with pytest.raises(InvalidValue):
        CubeAddress.parse("http://cube/", user, password)


_PAGES: list[dict[str, Any]] = [
    {
        "count": 1,
        "next": "http://cube/2",
        "previous": None,
        "results": [{"fname": "a"}],
        "collection_links": {"pacsfiles": "http://cube/f"},
    },
    {
        "collection": {
            "items": [{"data": [{"name": "fname", "value": "a"}], "href": "x"}],
            "links": [
                {"rel": "next", "href": "http://cube/2"},
                {"rel": "pacsfiles", "href": "http://cube/f"},
            ],
        }
    },
]


@pytest.mark.parametrize("page", _PAGES, ids=["plain", "collection"])
def test_both_kinds_of_json_say_the_same(page: dict[str, Any]) -> None:
    assert is_page(page)
    assert items(page) == [{"fname": "a"}]
    assert links(page) == {"next": "http://cube/2", "pacsfiles": "http://cube/f"}


@pytest.mark.parametrize(
    "told",
    [
        {"path": ["It is not there."]},
        {"collection": {"error": {"message": '{"path": ["It is not there."]}'}}},
    ],
)
def test_what_cube_says_is_wrong(told: dict[str, Any]) -> None:
    assert message(told) == "path: It is not there"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "collection",
                    "items",
                    "links",
                    "data",
                    "name",
                    "value",
                    "results",
                    "next",
                    "error",
                    "message",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_json_of_any_shape_is_read(document: object) -> None:
    is_page(document)
    assert all(isinstance(item, dict) for item in items(document))
    assert all(isinstance(url, str) for url in links(document).values())
    assert len(message(document)) <= 301
