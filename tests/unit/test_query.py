"""Queries and the values that people give them."""

from datetime import date
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from pypx.dicom.attributes import attribute
from pypx.dicom.fitting import fits
from pypx.dicom.matching import matching_value
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
        ("2020-01-01-20201231", "20200101-20201231"),
        ("20200101 - 2020-12-31", "20200101-20201231"),
        ("2020-01-01-2020-01-01", "20200101-20200101"),
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
        "20200101 20201231",
        "20200101--20201231",
        "2020-0101",
        "-",
        "last-week",
        "today-",
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
        ("StudyTime", "2500"),
        ("StudyTime", "-"),
        ("PatientAge", "34"),
        ("PatientAge", "34Y"),
        ("AcquisitionDateTime", "yesterday"),
        ("Rows", "70000"),
        ("Rows", "-1"),
        ("Rows", "1.5"),
        ("EventElapsedTimes", "much"),
        ("RequestAttributesSequence", "x"),
        ("SelectorATValue", "0010,0020"),
        ("PixelData", "x"),
        ("QueryRetrieveLevel", "IMAGE"),
        ("SpecificCharacterSet", "ISO_IR 100"),
        ("0002,0010", "1.2"),
        ("0000,0900", "0"),
        ("0008,0000", "8"),
        ("FFFE,E000", "x"),
        ("PatientName", "M\udcfcller"),
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
        ("StudyTime", "-12"),
        ("SeriesNumber", "3"),
        ("PatientAge", "034Y"),
        ("AcquisitionDateTime", "20200101120000-"),
        ("Rows", "512\\1024"),
        ("EventElapsedTimes", "1.5e3"),
        ("RequestAttributesSequence", ""),
        ("0009,1001", "whatever it means"),
        ("StudyDescription", "x" * 64 + "\\" + "y" * 64),
    ],
)
def test_any_other_text_goes_to_the_pacs_as_it_is(name: str, text: str) -> None:
    assert matching_value(name, text, TODAY) == text


def test_times_may_have_colons() -> None:
    assert matching_value("StudyTime", "08:00-12:30:15", TODAY) == "0800-123015"


@pytest.mark.parametrize("text", ["mr", "Ct\\mr"])
def test_small_letters_are_answered_with_the_capitals(text: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        matching_value("Modality", text, TODAY)
    assert text.upper() in raised.value.hint


@pytest.mark.parametrize(
    ("name", "asked", "answered"),
    [
        ("PatientName", "M*", "Müller^Jürgen"),
        ("PatientName", "Doe^*", "Doe"),
        ("PatientName", "Doe, Jane", "DOE^JANE"),
        ("PatientName", "Doe^Jane", "Doe Jane"),
        ("PatientName", "*", ""),
        ("PatientName", "Gro?", "Groß"),
        ("PatientName", "GROSS", "Groß"),
        ("PatientName", "M??ller*", "Müller^Jürgen"),
        ("PatientName", "?^??", "홍^길동"),
        ("StudyTime", "0930", "09:30:00"),
        ("StudyDescription", "", "whatever"),
        ("PatientID", "a\\b", "b"),
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
    assert fits(name, asked, answered)


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
    assert not fits(name, asked, answered)


def test_many_wildcards_take_no_time() -> None:
    assert not fits("StudyDescription", "*a" * 30 + "*b", "a" * 64)


def read(query: Query) -> Dataset:
    """A query as whoever gets it reads it."""
    return decode(BytesIO(query.encoded()), is_implicit_vr=True, is_little_endian=True)


def test_a_query_in_ascii_asks_for_the_character_set_and_does_not_claim_one() -> None:
    data_set = read(Query(Level.STUDY, {"PatientName": "M*"}, ("PatientID",)))
    assert not data_set.SpecificCharacterSet
    assert data_set.QueryRetrieveLevel == "STUDY"
    assert data_set.PatientName == "M*"
    assert data_set.PatientID == ""


def test_a_query_beyond_ascii_is_in_utf_8() -> None:
    data_set = read(Query(Level.STUDY, {"PatientName": "山田^*"}))
    assert data_set.SpecificCharacterSet == "ISO_IR 192"
    assert data_set.PatientName == "山田^*"


def test_a_query_holds_each_attribute_once_and_in_order() -> None:
    query = Query(Level.SERIES, {"0020,000D": "1.2.3", "Modality": "MR"}, ("Modality", "StudyInstanceUID"))
    tags = [element.tag for element in read(query)]
    assert tags == sorted(set(tags))
    assert read(query).StudyInstanceUID == "1.2.3"
    assert read(query).Modality == "MR"


def test_a_query_of_every_kind_of_value_is_read_as_it_was_meant() -> None:
    matching = {
        "StudyInstanceUID": "1.2.3\\1.2.40",
        "Rows": "512\\1024",
        "EventElapsedTimes": "1.5",
        "SeriesNumber": "3",
        "0009,1001": "private",
        "RequestAttributesSequence": "",
    }
    data_set = read(Query(Level.SERIES, matching))
    assert data_set.StudyInstanceUID == ["1.2.3", "1.2.40"]
    assert data_set.Rows == [512, 1024]
    assert data_set.EventElapsedTimes == 1.5
    assert data_set.SeriesNumber == 3
    assert data_set[0x0009, 0x1001].value == b"private "
    assert data_set.RequestAttributesSequence == []


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
        f"pacs.example.org:ORTHANC:{'1' * 5000}",
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


#: Attributes of every kind, one of each VR that can be asked for.
_NAMES = [
    "PatientName",
    "PatientID",
    "PatientAge",
    "StudyDate",
    "StudyTime",
    "AcquisitionDateTime",
    "Modality",
    "StudyInstanceUID",
    "SeriesNumber",
    "SliceThickness",
    "Rows",
    "EventElapsedTimes",
    "RetrieveAETitle",
    "AdditionalPatientHistory",
    "RequestAttributesSequence",
    "0009,1001",
]


@settings(deadline=None)
@given(name=st.sampled_from(_NAMES), text=st.text())
@example("StudyDate", "²0200101")
@example("SeriesNumber", "٣")
@example("Rows", "1e5")
@example("EventElapsedTimes", "1e999")
def test_a_value_is_refused_or_can_be_sent(name: str, text: str) -> None:
    try:
        value = matching_value(name, text, TODAY)
    except InvalidValue:
        return
    data_set = read(Query(Level.STUDY, {name: value}))
    assert attribute(name).tag in data_set
    assert matching_value(name, value, TODAY) == value


@settings(deadline=None)
@given(name=st.sampled_from(_NAMES), asked=st.text(max_size=80), answered=st.text(max_size=80))
@example("PatientName", "[", "[")
@example("PatientName", "a" * 40 + "*" * 40, "a" * 80)
@example("SliceThickness", "1", "nan")
@example("SliceThickness", "1", "9" * 5000)
def test_whether_any_answer_fits_is_always_told(name: str, asked: str, answered: str) -> None:
    assert fits(name, asked, answered) in (True, False)


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\*?"), max_size=60))
@example("ß")
@example("[a]")
@example("İ")
@example("^")
@example("ﬁ")
@example("Mu\u0308ller")
@example("a꛰=b")
def test_what_a_pacs_holds_fits_a_query_for_exactly_that(text: str) -> None:
    for name in ("PatientName", "PatientID", "StudyDescription"):
        assert fits(name, text, text)
        assert fits(name, text, text.casefold())
        assert fits(name, f"{text[:5].rstrip()}*", text)
        assert fits(name, "?" * len(text), text) or set(text) & set(" ^,") or len(text.lower()) != len(text)


_DATES = st.dates(min_value=date(1000, 1, 1))


@settings(deadline=None)
@given(_DATES, _DATES, _DATES)
def test_a_date_fits_a_range_that_it_is_in(first: date, last: date, day: date) -> None:
    begin, end = sorted((first, last))
    asked = matching_value("StudyDate", f"{begin:%Y-%m-%d}-{end:%Y/%m/%d}", TODAY)
    assert fits("StudyDate", asked, f"{day:%Y%m%d}") == (begin <= day <= end)
