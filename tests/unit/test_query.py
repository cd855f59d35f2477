"""Queries and the values that people give them."""

from datetime import date

import pytest

from pypx.dicom.attributes import attribute
from pypx.dicom.matching import matches, matching_value
from pypx.dicom.node import Node
from pypx.dicom.query import Level, Query
from pypx.errors import InvalidValue, UnknownAttribute

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20200131", "20200131"),
        ("2020-01-31", "20200131"),
        ("2020/01/31", "20200131"),
        (" 2020.01.31 ", "20200131"),
        ("20200101-20201231", "20200101-20201231"),
        ("2020-01-01-2020-12-31", "20200101-20201231"),
        ("-20201231", "-20201231"),
        ("20200101-", "20200101-"),
        ("-2020-12-31", "-20201231"),
        ("2020-01-01-", "20200101-"),
        ("2020/01/01-2020/12/31", "20200101-20201231"),
        ("today", "20260301"),
        ("yesterday", "20260228"),
        ("last-7-days", "20260222-"),
    ],
)
def test_dates(text: str, value: str) -> None:
    assert matching_value("StudyDate", text, TODAY) == value


@pytest.mark.parametrize(
    "text",
    [
        "2020-13-45",
        "20200231",
        "2020",
        "tomorrow",
        "20200101-2020",
        "*",
        "２０２００１０１",
        "20201231-20200101",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="StudyDate"):
        matching_value("StudyDate", text, TODAY)


def test_several_uids() -> None:
    assert matching_value("StudyInstanceUID", "1.2.3, 1.2.4\\1.2.5", TODAY) == "1.2.3\\1.2.4\\1.2.5"


@pytest.mark.parametrize("text", ["1.2.x", "1..2", "../1", "1.2 3", "1" * 65, "1.2*"])
def test_what_is_no_uid_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="StudyInstanceUID"):
        matching_value("StudyInstanceUID", text, TODAY)


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31m", "a\0", "\x7f"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="control character"):
        matching_value("PatientName", text, TODAY)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AccessionNumber", "x" * 17),
        ("PatientID", "x" * 65),
        ("PatientName", "x" * 65),
        ("PatientSex", "male"),
        ("Modality", "mr"),
        ("PerformedStationAETitle", "x" * 17),
        ("SeriesNumber", "three"),
        ("NumberOfStudyRelatedInstances", "1.5"),
        ("StudyTime", "noon"),
    ],
)
def test_a_value_that_its_vr_cannot_hold_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidValue, match=name):
        matching_value(name, text, TODAY)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PatientName", "山田^太郎=Yamada^Tarou"),
        ("PatientName", "O'Brien^$(id)"),
        ("StudyDescription", "br]ack[et, with 'quotes' and `ticks`"),
        ("Modality", "CT\\MR"),
        ("ModalitiesInStudy", "?T"),
        ("StudyTime", "080000-120000"),
        ("SeriesNumber", "3"),
    ],
)
def test_any_other_text_goes_to_the_pacs_as_it_is(name: str, text: str) -> None:
    assert matching_value(name, text, TODAY) == text


@pytest.mark.parametrize(
    ("name", "asked", "answered"),
    [
        ("PatientName", "M*", "Müller^Jürgen"),
        ("PatientName", "muller^*", "Müller^Jürgen"),
        ("PatientName", "MÜLLER^JÜRGEN", "Müller^Jürgen^^"),
        ("PatientName", "Yamada^*", "山田^太郎=Yamada^Tarou"),
        ("PatientName", "山田*", "Yamada^Tarou=山田^太郎"),
        ("PatientID", "X?", "X1"),
        ("PatientID", "*", ""),
        ("PatientID", "[1]*", "[1]23"),
        ("StudyDate", "20200101", "20200101"),
        ("StudyDate", "20200101-", "20200101"),
        ("StudyDate", "-20200101", "20200101"),
        ("StudyDate", "20200101-20201231", "20200615"),
        ("StudyDate", "20200101", "2020.01.01"),
        ("StudyTime", "080000-120000", "0930"),
        ("StudyTime", "0800-1200", "120000.5"),
        ("Modality", "CT\\MR", "MR"),
        ("ModalitiesInStudy", "MR", "CT\\MR"),
        ("StudyDescription", "a\\b", "a\\b"),
        ("StudyDescription", "HEAD*", "head\nwith a line break"),
        ("StudyInstanceUID", "1.2\\1.3", "1.3"),
        ("SeriesNumber", "3", "03"),
    ],
)
def test_what_fits(name: str, asked: str, answered: str) -> None:
    assert matches(name, asked, answered)


@pytest.mark.parametrize(
    ("name", "asked", "answered"),
    [
        ("PatientName", "M*", "Smith^Anna"),
        ("PatientID", "X?", "X12"),
        ("PatientID", "X1", ""),
        ("PatientID", "X.", "X1"),
        ("StudyDate", "20200101", "20200102"),
        ("StudyDate", "20200101-20201231", "20210101"),
        ("StudyDate", "20200101-", "20191231"),
        ("StudyDate", "20200101", ""),
        ("StudyTime", "080000-120000", "130000"),
        ("Modality", "CT", "MR"),
        ("StudyInstanceUID", "1.2", "1.20"),
        ("SeriesNumber", "3", "30"),
        ("SeriesNumber", "3", "three"),
    ],
)
def test_what_does_not_fit(name: str, asked: str, answered: str) -> None:
    assert not matches(name, asked, answered)


def test_many_wildcards_take_no_time() -> None:
    assert not matches("StudyDescription", "*a" * 30 + "*b", "a" * 64)


def test_a_query_in_ascii_asks_for_the_character_set_and_does_not_claim_one() -> None:
    data_set = Query(Level.STUDY, {"PatientName": "M*"}, ("PatientID",)).data_set()
    assert data_set["SpecificCharacterSet"].value is None
    assert data_set.QueryRetrieveLevel == "STUDY"
    assert data_set.PatientName == "M*"
    assert data_set.PatientID == ""


def test_a_query_beyond_ascii_is_in_utf_8() -> None:
    data_set = Query(Level.STUDY, {"PatientName": "山田^*"}).data_set()
    assert data_set.SpecificCharacterSet == "ISO_IR 192"


def test_attributes_by_keyword_and_tag() -> None:
    assert attribute("PatientID").number == "0010,0020"
    assert attribute("0010,0020").keyword == "PatientID"
    assert attribute("(0010,0020)") == attribute("PatientID")
    assert attribute("0009,1001").keyword == "0009,1001"


def test_an_unknown_keyword_gets_a_suggestion() -> None:
    with pytest.raises(UnknownAttribute) as raised:
        attribute("PatientId")
    assert "PatientID" in raised.value.hint


def test_a_node_in_one_word() -> None:
    node = Node.parse("pacs.example.org:ORTHANC:4242")
    assert (node.host, node.called_ae_title, node.port) == ("pacs.example.org", "ORTHANC", 4242)
    assert str(node) == "pacs.example.org:ORTHANC:4242"


def test_a_node_with_an_ipv6_address() -> None:
    node = Node.parse("[::1]:ORTHANC:4242")
    assert (node.host, node.called_ae_title, node.port) == ("::1", "ORTHANC", 4242)
    assert str(node) == "[::1]:ORTHANC:4242"


@pytest.mark.parametrize(
    "text",
    [
        "pacs.example.org",
        "pacs.example.org:4242",
        "pacs.example.org:ORTHANC:port",
        "pacs.example.org:ORTHANC:0",
        "pacs.example.org:ORTHANC:70000",
        "--help:ORTHANC:4242",
        "pacs.example.org:-k:4242",
        "pacs.example.org:SEVENTEENLETTERSX:4242",
        "pacs.example.org:A\\B:4242",
        "pacs example:ORTHANC:4242",
        "$(id):ORTHANC:4242",
        "pacs.example.org:ÄÖ:4242",
        ":ORTHANC:4242",
        "",
    ],
)
def test_what_cannot_be_a_node_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        Node.parse(text)
