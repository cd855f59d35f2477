"""px-smdb: the JSON tables of earlier releases, taken in, written and shown."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

import catalogues
import datasets
import packed
from demo.studies import Study
from earlier_tables import read_tree, tables_of, told_of_series, write_tree
from held import action, findings, smdb
from packed import repack
from pypx.actions.smdb.table_files import LARGEST
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from tools import Ran, run_tool
from trees import files_below, fingerprint

pytestmark = pytest.mark.databases("sqlite", "postgresql")

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def study(basemount: Path) -> Study:
    """The plain study in data/, under names that another release gave; no catalogue."""
    study = datasets.plain_study()
    for number, file in enumerate(study.write(basemount / "data" / "PLAIN-1-Doe" / "study" / "series")):
        file.rename(file.with_name(f"{number:04d}.dcm"))
    return study


@pytest.fixture
def tree(basemount: Path, study: Study, tmp_path: Path) -> Path:
    """The tables of the plain study, whose second series was requested, pushed and registered."""
    root = tmp_path / "old" / "log"
    write_tree(root, tables_of(files_below(basemount / "data")))
    write_tree(root, told_of_series(str(study.all_series[1].uid), requested=14))
    return root


def _import(basemount: Path, root: Path, status: int = 0) -> Ran:
    return action(basemount, "import", root, status=status)


def _export(basemount: Path, directory: Path) -> dict[str, Any]:
    action(basemount, "export", directory)
    return read_tree(directory)


def _status(basemount: Path, study: Study) -> list[dict[str, Any]]:
    ran = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid)
    assert ran.status == 0, ran.stderr
    return list(ran.json["data"])


def test_a_tree_that_is_imported_and_exported_again_says_the_same(basemount, study, tree, tmp_path):
    summary = _import(basemount, tree).json["summary"]
    assert summary.pop("seconds") >= 0
    assert summary == {
        **{"patients": 1, "studies": 1, "series": 3, "images": 20, "missing": 0, "outside": 0},
        **{"new": 20, "known": 0, "damaged": 0, "refused": 0},
    }
    assert _export(basemount, tmp_path / "export") == read_tree(tree)


def test_it_says_the_same_where_the_images_are_elsewhere_by_now(basemount, study, tree, tmp_path):
    shutil.rmtree(basemount / "data")
    ran = _import(basemount, tree)
    assert (ran.json["summary"]["missing"], ran.json["summary"]["new"]) == (20, 0)
    assert _export(basemount, tmp_path / "export") == read_tree(tree)


def test_what_is_imported_is_known(basemount, study, tree):
    before = fingerprint(basemount)
    _import(basemount, tree)
    rows = _status(basemount, study)
    assert [row["packed"] for row in rows] == [3, 12, 5]
    assert [row["requested"] for row in rows] == ["unknown", 14, "unknown"]
    assert [row["pushed"] for row in rows] == ["unknown", 12, "unknown"]
    assert [row["registered"] for row in rows] == ["unknown", 12, "unknown"]
    assert [row["SeriesDescription"] for row in rows] == ["Localizer", "T1", "T2"]
    assert fingerprint(basemount) == before
    packed.assert_catalogue_is_exact(basemount)
    assert findings(smdb(basemount, "check")) == {}


def test_importing_again_changes_nothing(basemount, study, tree):
    _import(basemount, tree)
    tables = ("instance", "series", "study", "patient", "event", "document", "folder")
    before = [sorted(catalogues.rows(basemount, f"select * from {table}")) for table in tables]  # noqa: S608
    summary = _import(basemount, tree).json["summary"]
    assert (summary["new"], summary["known"]) == (0, 20)
    after = [sorted(catalogues.rows(basemount, f"select * from {table}")) for table in tables]  # noqa: S608
    assert after == before


def test_without_a_directory_that_of_the_log_is_meant(basemount, study, tree):
    shutil.copytree(tree, basemount / "log", dirs_exist_ok=True)
    assert smdb(basemount, "import").json["summary"]["new"] == 20


def test_a_tree_of_another_basemount_finds_the_images_below_this_ones_data(basemount, study, tmp_path):
    """A container that mounted the BASEMOUNT elsewhere had written it."""
    files = files_below(basemount / "data")
    there = {file.name: Path("/home/dicom/data") / file.relative_to(basemount / "data") for file in files}
    write_tree(tmp_path / "old", tables_of(files, **there))
    assert _import(basemount, tmp_path / "old").json["summary"]["new"] == 20
    packed.assert_catalogue_is_exact(basemount)


def test_what_came_later_is_added_to_what_was_imported(basemount, study, tree, tmp_path):
    _import(basemount, tree)
    datasets.plain_follow_up().write(tmp_path / "more")
    repack(basemount, "-p", tmp_path / "more")
    uid = str(study.all_series[1].uid)
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.record([Event(uid, "requested", str(study.uid), 15, target="PACS")])
    before, after = read_tree(tree), _export(basemount, tmp_path / "export")
    follow_up = datasets.plain_follow_up()
    assert after["patientData/PLAIN-1.json"]["PLAIN-1"]["StudyList"] == [str(study.uid), str(follow_up.uid)]
    retrieve = f"seriesData/{uid}-retrieve.json"
    assert after[retrieve]["NumberOfSeriesRelatedInstances"] == 15
    unchanged = set(before) - {"patientData/PLAIN-1.json", retrieve}
    assert {path: after[path] for path in unchanged} == {path: before[path] for path in unchanged}
    new = {path for path in after if path not in before}
    assert len([path for path in new if "-img/" in path]) == 4
    assert f"studyData/{follow_up.uid}-meta.json" in new


def test_a_catalogue_that_was_never_imported_is_written_as_tables(basemount, tmp_path):
    study = datasets.plain_study()
    study.write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    uid = str(study.all_series[0].uid)
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.record(
            [
                Event(uid, kind, str(study.uid), 3, target="there")
                for kind in ("requested", "pushed", "registered")
            ]
        )
    tables = _export(basemount, tmp_path / "export")
    files = files_below(basemount / "data")
    expected = tables_of(files)
    parts = ("retrieve", "push", "register")
    assert set(tables) == set(expected) | {f"seriesData/{uid}-{part}.json" for part in parts}
    assert tables["patientData/PLAIN-1.json"] == {
        "PLAIN-1": {**expected["patientData/PLAIN-1.json"]["PLAIN-1"], "StudyList": [str(study.uid)]}
    }
    assert tables[f"studyData/{study.uid}-meta.json"] == expected[f"studyData/{study.uid}-meta.json"]
    assert tables[f"seriesData/{uid}-meta.json"] == expected[f"seriesData/{uid}-meta.json"]
    assert tables[f"seriesData/{uid}-retrieve.json"]["NumberOfSeriesRelatedInstances"] == 3
    for file in files:
        (path,) = (path for path in tables if path.endswith(f"-img/{file.name}.json"))
        (image,) = tables[path].values()
        assert image["imageObj"][file.name] == {"size": file.stat().st_size, "FSlocation": str(file)}
    for path in files_below(tmp_path / "export"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_exported_can_be_imported_where_there_is_no_catalogue(basemount, tmp_path):
    datasets.plain_study().write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    tables = _export(basemount, tmp_path / "export")
    other = tmp_path / "other"
    shutil.copytree(basemount / "data", other / "data")
    assert _import(other, tmp_path / "export").json["summary"]["new"] == 20
    again = _export(other, tmp_path / "again")
    assert again == tables
    assert packed.instances(other) == packed.instances(basemount)


def test_awkward_values_are_written_and_read_again(basemount, sample_files, tmp_path):
    repack(basemount, "-p", sample_files[0].parent)
    tables = _export(basemount, tmp_path / "export")
    names = {path for path in tables if path.startswith("patientData/")}
    assert len(names) == len(catalogues.rows(basemount, "select distinct PatientID from patient"))
    shutil.copytree(basemount / "data", tmp_path / "other" / "data")
    assert _import(tmp_path / "other", tmp_path / "export").json["summary"]["refused"] == 0
    assert _export(tmp_path / "other", tmp_path / "again") == tables
    assert not (tmp_path / "AWKWARD").exists()


def _poisoned(tree: Path, victim: Path) -> dict[str, str]:
    """Put hostile files into a tree; path to a word of the reason that is given for each."""
    series = next(path for path in sorted((tree / "seriesData").glob("*-img"))).name.removesuffix("-img")
    images = tree / "seriesData" / f"{series}-img"
    image = json.loads(next(iter(sorted(images.iterdir()))).read_text())[series]

    def locate(name: str, location: object) -> str:
        told = {series: {**image, "outputFile": name, "imageObj": {name: {"FSlocation": location}}}}
        (images / f"{name}.json").write_text(json.dumps(told))
        return f"seriesData/{series}-img/{name}.json"

    for number, location in enumerate(
        [
            str(victim),
            f"/x/data/../../{victim}",
            "relative.dcm",
            "",
            "/etc/passwd",
            "/data/\0",
            "/data/\ud800",
        ]
    ):
        locate(f"outside-{number}", location)
    refused = {
        locate(f"typed-{number}", location): "where" for number, location in enumerate([7, None, [], {}])
    }

    def write(path: str, text: str | bytes, reason: str) -> None:
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        refused[path] = reason

    write("patientData/list.json", "[1]", "not a JSON object")
    write("patientData/cut.json", '{"a": ', "not JSON")
    write("patientData/deep.json", "[" * 100_000, "not JSON")
    write("patientData/nan.json", '{"a": NaN}', "not JSON")
    write("patientData/bytes.json", b"\xff\xfe", "not JSON")
    write("patientData/notes.txt", "notes", "does not belong")
    write("patientData/large.json", b" " * (LARGEST + 1), "larger than")
    write("studyData/1.2.3-meta.json", '{"1.2.4": {}}', "does not tell of 1.2.3")
    write("studyData/1.2.3-series/x-meta.json", "{}", "does not belong")
    write("studyData/..-meta.json", "{}", "does not belong")
    write("seriesData/1.2.3-meta.json", '{"1.2.3": "text"}', "does not tell of 1.2.3")
    write(f"seriesData/{'1' * 65}-meta.json", "{}", "does not belong")
    write("seriesData/1.2.3-img/deeper/x.json", "{}", "does not belong")
    del refused["seriesData/1.2.3-img/deeper/x.json"]
    refused["seriesData/1.2.3-img/deeper"] = "does not belong"
    (tree / "patientData" / "link.json").symlink_to(victim)
    os.mkfifo(tree / "patientData" / "pipe.json")
    (tree / "studyData" / "1.2.5-series").symlink_to(victim.parent, target_is_directory=True)
    for path in ("patientData/link.json", "patientData/pipe.json", "studyData/1.2.5-series"):
        refused[path] = "does not belong"
    # These hold nothing that can be used, and nothing that must not be kept.
    odd = {"NumberOfSeriesRelatedInstances": [1], "timestamp": "never", "target": {"a": 1}}
    for number, told in enumerate([odd, {}, {"NumberOfSeriesRelatedInstances": "9" * 5000}]):
        (tree / "seriesData" / f"1.2.9.{number}-retrieve.json").write_text(json.dumps(told))
    study = {
        "StudyInstanceUID": "../../../../tmp",
        "PatientID": "../../secrets",
        "SeriesDescription": {"a": 1},
    }
    (tree / "seriesData" / "1.2.8-meta.json").write_text(json.dumps({"1.2.8": study}))
    return refused


def test_hostile_content_leads_nowhere_and_the_rest_is_taken_in(basemount, study, tree, tmp_path):
    victim = Study("VICTIM").series(1).write(tmp_path / "elsewhere" / "data")[0]
    (tmp_path / "old" / "secrets.json").write_text('{"../../secrets": {"PatientName": "leaked"}}')
    outside = basemount / "data" / "link"
    outside.symlink_to(victim.parent, target_is_directory=True)
    reasons = _poisoned(tree, victim)
    series = sorted((tree / "seriesData").glob("*-img"))[0].name.removesuffix("-img")
    linked = {series: {"imageObj": {"linked": {"FSlocation": str(outside / victim.name)}}}}
    (tree / "seriesData" / f"{series}-img" / "linked.json").write_text(json.dumps(linked))
    ran = _import(basemount, tree, status=1)
    told = {one["file"]: one["reason"] for one in ran.json["refused"]}
    assert set(told) == set(reasons)
    for path, reason in reasons.items():
        assert reason in told[path], (path, told[path])
    assert ran.json["summary"]["new"] == 20
    assert {row[0] for row in catalogues.rows(basemount, "select PatientID from patient")} == {"PLAIN-1"}
    assert "leaked" not in str(catalogues.rows(basemount, "select * from patient"))
    assert victim.exists()
    assert [row["packed"] for row in _status(basemount, study)] == [3, 12, 5]
    exported = _export(basemount, tmp_path / "export")
    assert all(path.split("/")[0] in ("patientData", "studyData", "seriesData") for path in exported)


def test_a_directory_without_tables_is_told_of(basemount, tmp_path):
    (tmp_path / "empty").mkdir()
    for directory in (tmp_path / "empty", tmp_path / "nowhere"):
        ran = _import(basemount, directory, status=1)
        assert ran.error == "file-unreadable"
        assert "patientData" in ran.stderr


@on_sqlite
def test_an_export_that_cannot_be_written_is_told_of(basemount, study, tree, tmp_path):
    _import(basemount, tree)
    (tmp_path / "file").write_text("in the way")
    ran = action(basemount, "export", tmp_path / "file", status=1)
    assert ran.error == "basemount-unusable"
    assert "--actionArgs" in ran.json["error"]["hint"]
    assert "--db" not in ran.stderr


def test_the_tables_of_a_file_and_of_its_study_and_patient(basemount, study, tree):
    _import(basemount, tree)
    expected = read_tree(tree)
    uid = str(study.all_series[1].uid)
    file = next(path for path in files_below(basemount / "data") if path.name == "0003.dcm")
    for name, given, prefix in (
        ("seriesMap_DBtablesGet", uid, f"seriesData/{uid}-"),
        ("studyMap_DBtablesGet", str(study.uid), f"studyData/{study.uid}-"),
        ("patientMap_DBtablesGet", "PLAIN-1", "patientData/PLAIN-1.json"),
    ):
        wanted = {path: content for path, content in expected.items() if path.startswith(prefix)}
        for ran in (
            action(basemount, name, given, "--reveal"),
            action(basemount, name, file, "--reveal"),
            smdb(basemount, name, "--xcrdirfile", file, "--reveal"),
            smdb(basemount, name, "-p", file.parent, "-f", file.name, "--reveal"),
        ):
            assert {row["table"]: row["content"] for row in ran.json["data"]} == wanted
    shown = action(basemount, "seriesMap_DBtablesGet", uid).stdout
    assert "chris1234" not in shown
    assert "chris:***" in shown


def test_tables_of_what_is_not_known(basemount, study, tree, tmp_path):
    _import(basemount, tree)
    assert action(basemount, "seriesMap_DBtablesGet", "1.2.3", status=1).error == "nothing-found"
    (tmp_path / "notes.txt").write_text("notes")
    ran = smdb(basemount, "patientMap_DBtablesGet", "--xcrdirfile", tmp_path / "notes.txt", status=1)
    assert ran.error == "not-dicom"


def test_the_tables_of_several(basemount, study, tree):
    _import(basemount, tree)
    other = datasets.named_study("latin")
    other.write(basemount / "data" / "other")
    smdb(basemount, "check", "--repair")

    def tables(name: str, *arguments: object) -> dict[str, Any]:
        ran = smdb(basemount, name, *map(str, arguments))
        return {row["table"]: row["content"] for row in ran.json["data"]}

    for name, keyword, uids in (
        ("studyMap_DBtablesGet", "StudyInstanceUID", (study.uid, other.uid)),
        ("seriesMap_DBtablesGet", "SeriesInstanceUID", [series.uid for series in study.all_series[:2]]),
    ):
        first, second = (tables(name, "--actionArgs", uid) for uid in uids)
        assert first
        assert second
        for between in (",", "\\", " , "):
            several = between.join(uids)
            assert tables(name, "--actionArgs", several) == {**first, **second}
            assert tables(name, f"--{keyword}", several) == {**first, **second}
            ran = action(basemount, name, f"1.2.3{between}{uids[0]}", status=1)
            assert {row["table"]: row["content"] for row in ran.json["data"]} == first
            assert (ran.json["status"], ran.error) == ("error", "nothing-found")
            assert ran.json["error"]["message"].endswith(f"the {keyword} 1.2.3")
            ran = action(basemount, name, between, status=2)
            assert f"needs a {keyword}" in ran.stderr


def test_a_patient_id_may_hold_a_slash(basemount, tmp_path):
    patient = datasets.awkward_identifier()
    (file,) = patient.write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    name = "patientMap_DBtablesGet"
    (row,) = action(basemount, name, patient.patient_id).json["data"]
    assert list(row["content"]) == [patient.patient_id]
    # A file of them is one still.
    assert action(basemount, name, file).json["data"] == [row]
    for given in (tmp_path / "nowhere.dcm", "../../AWKWARD/OTHER", "a/" * 3000):
        ran = action(basemount, name, given, status=1)
        assert ran.error == "nothing-found"
        assert "PatientID" in ran.json["error"]["hint"]


def test_the_tables_of_what_a_directory_holds(basemount, study, tree, tmp_path):
    _import(basemount, tree)
    uid = str(study.all_series[1].uid)
    (directory,) = {file.parent for file in files_below(basemount / "data")}
    expected = smdb(basemount, "studyMap_DBtablesGet", "-p", directory).json
    assert len(expected["data"]) == 4
    # What is no DICOM, or damaged, tells of no study.
    (directory / "notes.txt").write_text("notes")
    cut = next(path for path in files_below(directory) if path.suffix == ".dcm")
    cut.write_bytes(cut.read_bytes()[:-10])
    assert smdb(basemount, "studyMap_DBtablesGet", "-p", directory).json == expected
    rows = smdb(basemount, "seriesMap_DBtablesGet", "-p", directory).json["data"]
    assert any(row["table"] == f"seriesData/{uid}-meta.json" for row in rows)
    (tmp_path / "empty").mkdir()
    for name in ("seriesMap_DBtablesGet", "studyMap_DBtablesGet", "patientMap_DBtablesGet"):
        ran = smdb(basemount, name, "-p", tmp_path / "empty")
        assert ran.json == {"status": "success", "data": []}
