"""px-smdb: searching what is held, and where it lies."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

import catalogues
import datasets
from demo.studies import Study
from held import action, found, found_series, smdb
from packed import repack
from pypx.actions.smdb.search import search
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event, PackedInstance
from pypx.basemount.smdb import Catalogue
from pypx.dicom.fitting import fits
from tools import run_in_terminal, run_tool

pytestmark = pytest.mark.databases("sqlite", "postgresql")

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def held(basemount: Path, tmp_path: Path) -> Path:
    """A BASEMOUNT with studies of four patients."""
    studies = (
        datasets.plain_study(),
        datasets.plain_follow_up(),
        datasets.named_study("latin"),
        datasets.named_study("iso2022"),
        datasets.awkward_study("brackets"),
    )
    for study in studies:
        study.write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    return basemount


def _described(number: int, **values: str) -> PackedInstance:
    of_it = {
        "SOPInstanceUID": f"9.{number}",
        "SeriesInstanceUID": f"8.{number}",
        "StudyInstanceUID": f"7.{number}",
    }
    return PackedInstance({**of_it, **values}, "", f"{number}.dcm", 1)


#: What is asked for, and the PatientIDs of what fits.
_QUERIES = {
    ("PatientID", "P-1"): ["P-1"],
    ("PatientID", "p*"): ["P-1", "P-2", "P_3"],
    ("PatientID", "*-?"): ["P-1", "P-2"],
    ("PatientID", "?-1"): ["P-1"],
    ("PatientID", "P"): [],
    ("PatientID", "100%"): ["100%"],
    ("PatientID", "1%"): [],
    ("PatientID", "P_1"): [],
    ("PatientID", "P_3\\P-1"): ["P-1", "P_3"],
    ("PatientID", "*"): ["100%", "P-1", "P-2", "P_3"],
    ("PatientID", "'; drop table patient; --"): [],
    ("PatientName", "Muller^J*"): ["P-2"],
    ("PatientName", "müller^jürgen"): ["P-2"],
    ("PatientName", "MÜL*"): ["P-2"],
    ("PatientName", "山田*"): ["P_3"],
    ("PatientName", "Yamada"): [],
    ("PatientName", "Yamada*"): ["P_3"],
    ("PatientName", "doe, jane"): ["P-1"],
    ("PatientBirthDate", "19800229"): ["P-1"],
    ("StudyDate", "20200229"): ["P-1", "P-2"],
    ("StudyDate", "20200101-20201231"): ["P-1", "P-2"],
    ("StudyDate", "20210101-"): ["P_3"],
    ("StudyDate", "-20200228"): [],
    ("StudyDescription", "brain [tse]*"): ["P-1"],
    ("SeriesDescription", "größe"): ["P-2"],
    ("SeriesDescription", "GROSSE"): ["P-2"],
    ("Modality", "MR"): ["P-1"],
    ("ModalitiesInStudy", "M?"): ["P-1"],
    ("SeriesNumber", "7"): ["P-1"],
    ("PatientAge", "040Y"): ["P-1"],
    ("StudyInstanceUID", "7.1\\7.3"): ["P-1", "P_3"],
    ("SeriesInstanceUID", "8.2"): ["P-2"],
    ("SOPInstanceUID", "9.4"): ["100%"],
    ("SOPClassUID", "1.2.3"): ["P_3"],
}


def test_each_kind_of_attribute_is_matched_as_in_a_find(basemount):
    """Whatever SQL can tell of it: no more is found, and no less."""
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.add(
            [
                _described(
                    1,
                    PatientID="P-1",
                    PatientName="Doe^Jane^^",
                    PatientBirthDate="1980.02.29",
                    StudyDate="20200229",
                    StudyDescription="Brain [TSE], axial] ",
                    Modality="MR",
                    SeriesNumber=" 07",
                    PatientAge="040Y",
                ),
                _described(
                    2,
                    PatientID="P-2",
                    PatientName="Müller^Jürgen",
                    StudyDate="2020.02.29",
                    SeriesDescription="Größe",
                    Modality="CT\\PT",
                ),
                _described(
                    3,
                    PatientID="P_3",
                    PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
                    StudyDate="20210301",
                    SOPClassUID="1.2.3",
                ),
                _described(4, PatientID="100%"),
            ]
        )
        answers = {
            query: [study.patient_id for study in search(catalogue, dict([query])).studies]
            for query in _QUERIES
        }
    assert answers == _QUERIES


_LETTERS = "aAbB1 -^=,%_\\\\éÉßＡ山*?["


_DAYS = ["20200101", "19991231-20200101", "20000101-", "-20000101", "01012000"]


def _random_text(random: Random, letters: str) -> str:
    return "".join(random.choices(letters, k=random.randint(0, 6)))


def test_no_query_finds_less_than_what_fits(basemount):
    """SQL only narrows down: what it leaves out, no reading of the query can mean."""
    random = Random(7)  # noqa: S311
    held = [
        _described(
            number,
            PatientID=_random_text(random, _LETTERS),
            PatientName=_random_text(random, _LETTERS),
            StudyDate="".join(random.choices("0129.: -", k=random.choice([8, 8, 10]))),
        )
        for number in range(300)
    ]
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.add(held)
        for _ in range(200):
            keyword = random.choice(["PatientID", "PatientName", "StudyDate"])
            asked = _random_text(random, _LETTERS) if keyword != "StudyDate" else random.choice(_DAYS)
            found = {study.uid for study in search(catalogue, {keyword: asked}).studies}
            expected = {
                one.values["StudyInstanceUID"] for one in held if fits(keyword, asked, one.values[keyword])
            }
            assert found == expected, (keyword, asked)


@pytest.mark.parametrize(
    ("query", "studies"),
    [
        (["--PatientID", "plain*"], 2),
        (["--PatientName", "Muller^J*", "--StudyDate", "2020-01-01"], 0),
        (["--query", "0010,0020=PLAIN-1", "--PatientSex", "F"], 1),
    ],
)
def test_the_query_options_of_px_find_search_what_is_held(held, query, studies):
    assert len(smdb(held, "search", *query).json["data"]) == studies


def test_series_that_do_not_match_are_not_shown(held):
    ran = smdb(held, "search", "--SeriesDescription", "T?", "--PatientID", "PLAIN-1")
    assert found_series(ran, "SeriesDescription") == ["T1", "T2"]
    assert found(ran, "NumberOfStudyRelatedSeries") == ["3"]
    assert found(ran, "NumberOfStudyRelatedInstances") == ["20"]
    assert found_series(ran, "NumberOfSeriesRelatedInstances") == ["12", "5"]


def test_all_that_is_held_of_a_study_is_in_the_order_of_numbers(held):
    ran = smdb(held, "search", "--PatientID", "PLAIN-1", "--Modality", "MR")
    assert found_series(ran, "SeriesDescription") == ["Localizer", "T1", "T2"]
    assert found(ran, "ModalitiesInStudy") == ["MR"]
    study = ran.json["data"][0]
    assert study["PatientName"] == {"tag": "0010,0010", "value": "Doe^Jane", "label": "PatientName"}
    assert study["series"][0]["label"]["value"] == "SERIES"


def test_an_instance_can_be_asked_for_by_its_uid(held):
    (uid,) = catalogues.rows(held, "select SOPInstanceUID from instance order by SOPInstanceUID limit 1")[0]
    ran = smdb(held, "search", "--query", f"SOPInstanceUID={uid}")
    assert len(found_series(ran, "SeriesInstanceUID")) == 1


def test_several_uids(held):
    everything = found(smdb(held, "search"), "StudyInstanceUID")
    ran = smdb(held, "search", "--StudyInstanceUID", ",".join(everything[:2]))
    assert found(ran, "StudyInstanceUID") == everything[:2]


def test_no_more_studies_than_asked_for(held):
    ran = smdb(held, "search", "--limit", 2)
    assert len(ran.json["data"]) == 2
    assert "Stopped after 2 studies, as --limit says" in ran.json["notes"][0]
    ran = smdb(held, "search", "--limit", 1)
    assert "Stopped after 1 study, as --limit says" in ran.json["notes"][0]


def test_a_search_without_a_match_is_a_success(held):
    ran = smdb(held, "search", "--PatientID", "NOBODY")
    assert (ran.json["status"], ran.json["data"], ran.json["returncode"]) == ("success", [], 0)


@on_sqlite
def test_a_basemount_without_a_catalogue_holds_nothing_and_stays_without(basemount):
    assert smdb(basemount, "search").json["data"] == []
    assert not basemount.exists()


def test_what_the_catalogue_does_not_know_is_wrong_usage(held):
    ran = smdb(held, "search", "--query", "Manufacturer=ACME", status=2)
    assert "Manufacturer" in ran.stderr
    assert "PatientID" in ran.stderr


def test_series_of_which_nothing_is_here_are_not_found(held):
    with Catalogue.open(Basemount.of_log_directory(held / "log")) as catalogue:
        catalogue.record([Event("1.2.3.4", "requested", "1.2.3", 7, target="PACS")])
    assert smdb(held, "search", "--SeriesInstanceUID", "1.2.3.4").json["data"] == []


def test_the_other_tools_read_what_was_found(held):
    search = smdb(held, "search", "--PatientID", "PLAIN-1", "--Modality", "MR")
    status = run_tool("px-status", stdin=search.stdout)
    assert [row["packed"] for row in status.json["data"]] == [3, 12, 5]
    report = run_tool("px-report", stdin=search.stdout)
    assert report.status == 0
    assert "Localizer" in report.stdout
    move = run_tool("px-move", "--get", stdin=search.stdout)
    assert (move.status, "Which PACS?" in move.stderr) == (2, True)


@on_sqlite
def test_at_a_terminal_a_search_is_a_report(held):
    ran = run_in_terminal(["px-smdb", "--db", held / "log", "--action", "search", "--PatientID", "PLAIN-1"])
    assert ran.status == 0
    assert "Localizer" in ran.stdout
    assert '"uid"' not in ran.stdout
    nothing = run_in_terminal(["px-smdb", "--db", held / "log", "--action", "search", "--PatientID", "X"])
    assert "No study matches." in nothing.stdout


def test_where_the_images_of_a_patient_lie(held):
    rows = action(held, "imageDirsPatientID", "PLAIN-1").json["data"]
    assert [row["images"] for row in rows] == [3, 12, 5, 4]
    for row in rows:
        assert row["PatientID"] == "PLAIN-1"
        assert len(list(Path(row["directory"]).iterdir())) == row["images"]
    assert smdb(held, "imageDirsPatientID", "--PatientID", "PLAIN-1").json["data"] == rows
    assert action(held, "imageDirsPatientID", {"PatientID": "PLAIN-1"}).json["data"] == rows


def test_where_the_images_of_a_series_lie(held):
    series = datasets.plain_study().all_series[1]
    (row,) = action(held, "imageDirsSeriesInstanceUID", str(series.uid)).json["data"]
    assert (row["SeriesDescription"], row["images"]) == ("T1", 12)
    (same,) = action(held, "seriesDirLocation", str(series.uid)).json["data"]
    assert same == row
    (again,) = smdb(held, "seriesDirLocation", "--SeriesDescription", "T1").json["data"]
    assert again == row


def test_a_series_that_lies_in_two_directories(basemount, tmp_path):
    study = Study("TWO").series(1, 4)
    files = study.write(tmp_path / "source")
    repack(basemount, "--xcrdirfile", files[0])
    for file in files[1:]:
        repack(basemount, "--xcrdirfile", file, "--seriesDirTemplate", "elsewhere")
    rows = action(basemount, "imageDirsPatientID", "TWO").json["data"]
    assert sorted(row["images"] for row in rows) == [1, 3]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("imageDirsPatientID", "NOBODY"),
        ("imageDirsSeriesInstanceUID", "1.2.3"),
        ("seriesDirLocation", "1.2.3"),
    ],
)
def test_nothing_is_held_of_what_is_asked_for(held, name, given):
    ran = action(held, name, given, status=1)
    assert ran.error == "nothing-found"
    assert given in ran.json["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["imageDirsPatientID"], "needs a PatientID"),
        (["imageDirsSeriesInstanceUID"], "needs a SeriesInstanceUID"),
        (["imageDirsSeriesInstanceUID", "--actionArgs", "no-uid"], "is not a UID"),
        (["seriesDirLocation"], "needs to know which series"),
        (["imageDirsPatientID", "--actionArgs", '{"PatientID": '], "begins like JSON"),
        (["imageDirsPatientID", "--actionArgs", "{}"], "needs a PatientID"),
        (["seriesMap_DBtablesGet"], "needs a SeriesInstanceUID"),
        (["mapsUpdateForFile"], "needs to know which files"),
        (["mapsUpdateForPatient"], "needs a PatientID"),
        (["endOfStudy"], "needs a StudyInstanceUID"),
        (["export"], "needs a directory"),
        (["imageDirPatientID"], "Did you mean imageDirsPatientID?"),
        (["pacs"], "Did you mean PACS?"),
        (["xyz"], "The actions are: search"),
        (["search", "--StudyDate", "20201301"], "StudyDate"),
        (["search", "--actionArgs", "foo"], "search takes query options or a JSON object"),
    ],
)
@on_sqlite
def test_what_is_missing_is_told_before_anything_is_made(basemount, arguments, says):
    ran = smdb(basemount, *arguments, status=2)
    assert says in ran.stderr
    assert ran.stdout == ""
    assert not basemount.exists()


@on_sqlite
def test_without_an_action_the_actions_are_named():
    ran = run_tool("px-smdb")
    assert ran.status == 2
    assert "imageDirsPatientID" in ran.stderr


@on_sqlite
def test_options_of_earlier_releases_that_meant_nothing_are_taken(basemount):
    ran = run_tool("px-smdb", "--logdir", basemount / "log", "--action", "search", "--debug", "-v", 2)
    assert ran.status == 0
    assert "--debug means nothing to px-smdb" in ran.stderr


@on_sqlite
def test_arguments_may_come_as_json(held):
    given = {"db": str(held / "log"), "action": "imageDirsPatientID", "actionArgs": "PLAIN-1"}
    ran = run_tool("px-smdb", "--JSONargs", json.dumps(given))
    assert len(ran.json["data"]) == 4


@on_sqlite
def test_a_catalogue_that_is_damaged_says_so(held):
    (held / "log" / "smdb.sqlite").write_bytes(b"no database" * 1000)
    for name in ("search", "imageDirsPatientID", "patientMap_DBtablesGet"):
        ran = action(held, name, "PLAIN-1" if name != "search" else "", status=1)
        assert ran.error == "catalogue-damaged"
        assert "--action check --repair" in ran.json["error"]["hint"]
