"""Which attributes a report shows."""

import logging

import pytest

from finds import found, plain_find, series, status_document, status_row, study
from pypx.actions.report import cells
from pypx.actions.report.layout import SERIES_TAGS, STUDY_TAGS, Asked, Layout, for_report, from_json, tag_list
from pypx.actions.report.studies import gather, read
from pypx.errors import UnknownAttribute, UsageError


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("PatientID", ("PatientID",)),
        (" PatientID , StudyDate ", ("PatientID", "StudyDate")),
        ("0010,0020", ("0010,0020",)),
        ("PatientID,0010,0020,(0008,103e),Modality", ("PatientID", "0010,0020", "(0008,103e)", "Modality")),
        ("0010,00200008,103E", ("0010", "00200008", "103E")),
        (",,PatientID,,", ("PatientID",)),
        ("", ()),
    ],
)
def test_lists_of_tags(text: str, tags: tuple[str, ...]) -> None:
    assert tag_list(text) == tags


def layout_of(**asked: object) -> Layout:
    return for_report(Asked(**asked), gather([plain_find()]))


def test_default() -> None:
    layout = layout_of()
    assert (layout.study, layout.header_series, layout.series) == (STUDY_TAGS, (), SERIES_TAGS)


def test_default_leaves_out_what_nobody_returned() -> None:
    layout = for_report(Asked(), gather([found(study("1", PatientID="P"))]))
    assert layout.shown(layout.study) == ("PatientID", "StudyInstanceUID")


def test_default_shows_what_is_computed_of_what_somebody_returned() -> None:
    dated = found(study("1", series("1.1", Modality="MR"), PatientBirthDate="19800101", StudyDate="20200101"))
    layout = for_report(Asked(), gather([dated]))
    assert {"PatientAge", "ModalitiesInStudy"} <= set(layout.shown(layout.study))


def test_keywords_and_tags_in_the_order_asked_for_each_once() -> None:
    layout = layout_of(study=("0010,0020", "(0008,0020)", "PatientID", "PatientName"))
    assert layout.study == ("PatientID", "StudyDate", "PatientName")


def test_what_nobody_returned_is_shown_empty_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pypx.report"):
        layout = layout_of(study=("StationName", "PatientID"), series=("StationName", "EchoTime"))
    assert layout.shown(layout.study) == ("StationName", "PatientID")
    assert [record.getMessage() for record in caplog.records] == [
        "Nobody returned EchoTime, StationName: they are shown empty."
    ]
    assert cells.of_study(plain_find().studies[0], "StationName") == ""


def test_nothing_is_said_of_what_nobody_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pypx.report"):
        for_report(Asked(), gather([found(study())]))
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "near"),
    [("PatientNam", "PatientName"), ("seriesdescription", "SeriesDescription"), ("qqq", "keyword")],
)
def test_unknown_name(name: str, near: str) -> None:
    with pytest.raises(UnknownAttribute) as raised:
        layout_of(series=(name,))
    assert name in raised.value.message
    assert near in raised.value.hint


def test_private_tag_is_found_by_its_number() -> None:
    private = found(study("1", series("1.1", **{"0009,1001": "secret"})))
    layout = for_report(Asked(series=("(0009,1001)",)), gather([private]))
    (only,) = private.studies
    assert cells.of_series(only, only.series[0], layout.series[0]) == "secret"


def test_columns_of_status_come_with_a_status() -> None:
    reported = read([status_document(status_row("1", "1.1"))])
    layout = for_report(Asked(), reported)
    assert layout.shown(layout.series) == (
        "SeriesDescription",
        "requested",
        "received",
        "packed",
        "pushed",
        "registered",
        "state",
        "SeriesInstanceUID",
    )


def test_status_in_one_column() -> None:
    reported = read([status_document(status_row("1", "1.1"))])
    layout = for_report(Asked(status_column=True), reported)
    assert layout.shown(layout.series) == ("SeriesDescription", "SeriesInstanceUID", "seriesStatus")
    (only,) = reported.studies
    text = cells.of_series(only, only.series[0], "seriesStatus")
    assert text == "packed: requested 12, received 12, packed 12, pushed 0, registered 0"


def test_status_column_without_a_status_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pypx.report"):
        layout = layout_of(status_column=True)
    assert layout.shown(layout.series)[-1] == "seriesStatus"
    assert "seriesStatus" in caplog.text


def test_pacs_is_shown_where_there_are_several() -> None:
    several = gather([found(study("1"), aec="HERE"), found(study("2"), pacs="host:THERE:104")])
    layout = for_report(Asked(), several)
    assert layout.study[-1] == "PACS"
    assert [cells.of_study(one, "PACS") for one in several.studies] == ["HERE", "host:THERE:104"]


def test_layout_as_json() -> None:
    text = '{"header": {"study": ["PatientID"], "series": ["Modality"]}, "body": {"series": ["EchoTime"]}}'
    assert from_json(text) == Asked(("PatientID",), ("Modality",), ("EchoTime",))
    assert from_json("{}") == Asked()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"foot": {}}',
        '{"header": []}',
        '{"header": {"image": []}}',
        '{"body": {"study": ["PatientID"]}}',
        '{"body": {"series": "Modality"}}',
        '{"body": {"series": [1]}}',
    ],
)
def test_layout_that_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        from_json(text)


@pytest.mark.parametrize(
    ("born", "examined", "age"),
    [
        ("19800229", "20200228", "039Y"),
        ("19800229", "20200229", "040Y"),
        ("20200101", "20200101", "000D"),
        ("20200131", "20200229", "029D"),
        ("20200101", "20200301", "002M"),
        ("20200115", "20220114", "023M"),
        ("20200115", "20220115", "002Y"),
        ("1980.02.29", "20200229", "040Y"),
        ("", "20200101", ""),
        ("19800101", "", ""),
        ("20200101", "20190101", ""),
        ("19801345", "20200101", ""),
        ("00010101", "20200101", ""),
    ],
)
def test_age_is_computed_from_two_dates(born: str, examined: str, age: str) -> None:
    assert cells.age(born, examined) == age
    assert cells.of_study(study("1", PatientBirthDate=born, StudyDate=examined), "PatientAge") == age


def test_age_that_the_pacs_returns_is_taken() -> None:
    assert (
        cells.of_study(
            study("1", PatientAge="007W", PatientBirthDate="19800101", StudyDate="20200101"), "PatientAge"
        )
        == "007W"
    )


def test_modalities_come_from_the_series_where_the_pacs_does_not_say() -> None:
    mixed = study(
        "1", series("1.1", Modality="MR"), series("1.2", Modality="SR"), series("1.3", Modality="MR")
    )
    assert cells.of_study(mixed, "ModalitiesInStudy") == "MR\\SR"
    assert cells.in_header(mixed, "Modality") == "MR\\SR"


def test_each_level_lends_what_the_other_lacks() -> None:
    one = study("1", series("1.1", StationName="MR1"), StudyDate="20200101")
    assert cells.of_study(one, "StationName") == "MR1"
    assert cells.of_series(one, one.series[0], "StudyDate") == "20200101"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (("3", "4"), "1 study, 2 series, 7 images"),
        (("1", "0"), "1 study, 2 series, 1 image"),
        (("3", ""), "1 study, 2 series, unknown images"),
        (("3", "many"), "1 study, 2 series, unknown images"),
        (("3", "9" * 5000), "1 study, 2 series, unknown images"),
        (("3", "-1"), "1 study, 2 series, unknown images"),
        (("1000", "204"), "1 study, 2 series, 1,204 images"),
    ],
)
def test_counts(counts: tuple[str, str], words: str) -> None:
    of_it = [series(f"1.{number}", NumberOfSeriesRelatedInstances=text) for number, text in enumerate(counts)]
    assert cells.counts([study("1", *of_it)]) == words


def test_counts_of_studies_whose_series_are_not_listed() -> None:
    told = study("1", NumberOfStudyRelatedSeries="3", NumberOfStudyRelatedInstances="40")
    assert cells.counts([told]) == "1 study, 3 series, 40 images"
    assert cells.counts([told, study("2")]) == "2 studies, unknown series, unknown images"
    assert cells.counts([]) == "0 studies, 0 series, 0 images"
