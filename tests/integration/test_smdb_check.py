"""px-smdb --action check: what it finds, what --repair mends, and what stays for a person."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import catalogues
import datasets
import mounts
import packed
from demo.studies import Study
from held import action, findings, smdb
from packed import changed, counts, repack
from pypx.basemount.layout import Basemount
from tools import SCRIPTS, Running, run_in_terminal, run_tool
from trees import assert_nothing_pending, files_below, fingerprint

pytestmark = pytest.mark.databases("sqlite", "postgresql")

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def held(basemount: Path, files: list[Path]) -> Path:
    """A BASEMOUNT with the plain study: 20 instances."""
    repack(basemount, "-p", files[0].parent)
    return basemount


def _mended(basemount: Path, status: int = 0) -> dict[str, str]:
    """Check and mend; name of each file to what was done."""
    ran = smdb(basemount, "check", "--repair", status=status)
    return {Path(finding["file"]).name: finding["done"] for finding in ran.json["data"]}


def _assert_right(basemount: Path) -> None:
    ran = smdb(basemount, "check")
    assert (ran.json["status"], ran.json["data"]) == ("success", [])
    packed.assert_catalogue_is_exact(basemount)
    assert_nothing_pending(basemount)


def test_what_is_right_is_right_and_nothing_is_written(held):
    before = fingerprint(held), packed.everything(held)
    ran = smdb(held, "check")
    assert (ran.json["summary"]["files"], ran.json["summary"]["instances"]) == (20, 20)
    assert ran.json["summary"]["left"] == 0
    smdb(held, "check", "--repair")
    assert (fingerprint(held), packed.everything(held)) == before


@on_sqlite
def test_an_empty_basemount_is_right_and_stays_as_it_is(basemount):
    assert smdb(basemount, "check").json["summary"]["files"] == 0
    assert not basemount.exists()


def test_a_missing_file_is_found_and_taken_out(held, files):
    gone = files_below(held / "data")[:2]
    for file in gone:
        file.unlink()
    ran = smdb(held, "check", status=1)
    assert findings(ran) == {"missing": [file.name for file in gone]}
    assert ran.error == "catalogue-differs"
    assert "2 missing" in ran.stderr
    assert set(_mended(held).values()) == {"taken out of the catalogue"}
    _assert_right(held)
    assert counts(repack(held, "-p", files[0].parent)) == {"stored": 2, "duplicates": 18}
    _assert_right(held)


def test_a_file_that_the_catalogue_does_not_know_is_catalogued_where_it_lies(held):
    where = files_below(held / "data")[7]
    catalogues.execute(held, "delete from instance", "delete from event")
    other = held / "data" / "somebody" / "put it" / "here.dcm"
    other.parent.mkdir(parents=True)
    Study("OTHER").series(1).write(other.parent)[0].rename(other)
    ran = smdb(held, "check", status=1)
    assert ran.json["summary"]["unknown"] == 21
    before = fingerprint(held)
    assert _mended(held)[where.name] == "catalogued"
    assert fingerprint(held) == before
    _assert_right(held)
    (row,) = action(held, "imageDirsPatientID", "OTHER").json["data"]
    assert row["directory"] == str(other.parent)


def test_a_directory_that_was_renamed_is_known_by_its_new_name(held):
    (patient,) = (held / "data").iterdir()
    patient.rename(held / "data" / "renamed")
    before = fingerprint(held)
    done = _mended(held)
    assert len(done) == 20
    ran = smdb(held, "imageDirsPatientID", "--PatientID", "PLAIN-1")
    assert all("/data/renamed/" in row["directory"] for row in ran.json["data"])
    assert fingerprint(held) == before
    assert smdb(held, "check").json["data"] == []


def test_a_file_that_was_cut_short_goes_to_quarantine(held, files):
    cut, unknown = files_below(held / "data")[:2]
    cut.write_bytes(cut.read_bytes()[:-10])
    catalogues.execute(held, f"delete from instance where path = '{unknown.relative_to(held / 'data')}'")  # noqa: S608
    unknown.write_bytes(unknown.read_bytes()[:-10])
    assert findings(smdb(held, "check", status=1)) == {"wrong size": [cut.name], "unknown": [unknown.name]}
    ran = smdb(held, "check", "--repair", status=1)
    assert all("damaged; it is" in finding["done"] for finding in ran.json["data"])
    assert "--force" in ran.json["error"]["hint"]
    assert len(packed.quarantine(held)) == 2
    assert files_below(held / "data") != []
    assert not cut.exists()
    assert not unknown.exists()
    ran = smdb(held, "check", status=1)
    assert list(findings(ran)) == ["in quarantine"]
    assert "--force" in ran.json["error"]["hint"]
    assert all(finding["detail"] for finding in ran.json["data"])
    # Once whole ones came, nothing is wrong any more.
    assert counts(repack(held, "-p", files[0].parent)) == {"stored": 2, "duplicates": 18}
    ran = smdb(held, "check")
    assert (ran.json["data"], ran.json["summary"]["replaced"]) == ([], 2)


def test_a_file_that_became_another_instance_is_catalogued_as_that(held, tmp_path):
    file = files_below(held / "data")[0]
    (other,) = Study("OTHER", size=32).series(1).write(tmp_path)
    shutil.copy(other, file)
    assert findings(smdb(held, "check", status=1)) == {"wrong size": [file.name]}
    assert _mended(held) == {file.name: "catalogued"}
    assert smdb(held, "check").json["data"] == []
    assert len(smdb(held, "search", "--PatientID", "OTHER").json["data"]) == 1


def test_a_copy_in_the_tree_goes_and_other_content_stays(held):
    file = files_below(held / "data")[0]
    copy, other = file.with_name("copy.dcm"), file.with_name("other.dcm")
    shutil.copy(file, copy)
    changed(file, other, PatientComments="added later")
    done = _mended(held)
    assert done == {"copy.dcm": f"removed: a copy of {file}", "other.dcm": "catalogued"}
    assert not copy.exists()
    assert other.exists()
    _assert_right(held)


def test_what_is_not_dicom_in_the_tree_is_left_to_a_person(held):
    notes = held / "data" / "notes.txt"
    notes.write_text("notes")
    (held / "data" / "link.dcm").symlink_to(files_below(held / "data")[0])
    ran = smdb(held, "check", "--repair", status=1)
    assert findings(ran) == {"unknown": ["link.dcm", "notes.txt"]}
    assert "for a person" in ran.json["error"]["hint"]
    assert notes.read_text() == "notes"
    assert (held / "data" / "link.dcm").is_symlink()


def test_a_link_in_the_place_of_an_image_is_not_believed(held, tmp_path):
    file = files_below(held / "data")[0]
    file.rename(tmp_path / "elsewhere.dcm")
    file.symlink_to(tmp_path / "elsewhere.dcm")
    ran = smdb(held, "check", "--repair", status=1)
    assert findings(ran) == {"wrong size": [file.name]}
    assert "no plain file" in ran.json["data"][0]["done"]
    assert findings(smdb(held, "check", status=1)) == {"unknown": [file.name]}
    assert (tmp_path / "elsewhere.dcm").exists()


def test_names_that_are_no_text_are_found_and_mended(held):
    file = files_below(held / "data")[0]
    odd = Path(os.fsdecode(os.fsencode(file.parent) + b"/\xff\xfe.dcm"))
    changed(file, odd, PatientComments="added later")
    assert smdb(held, "check", status=1).json["summary"]["unknown"] == 1
    smdb(held, "check", "--repair")
    _assert_right(held)
    assert len(files_below(held / "data")) == 21


def test_what_killed_processes_left_is_found_and_taken_up(held, tmp_path):
    of_it = Basemount.of_log_directory(held / "log")
    incoming = of_it.incoming / "get-0123456789abcdef"
    (file,) = Study("LATE").series(1).write(incoming)
    staging = held / "data" / ".incoming~" / "copy-0123456789abcdef"
    staging.mkdir(parents=True)
    (staging / "1").write_bytes(b"half")
    ran = smdb(held, "check", status=1)
    assert findings(ran) == {"left in incoming": [file.name], "unfinished copy": ["1"]}
    assert file.exists()
    assert _mended(held) == {file.name: "packed", "1": "removed"}
    assert not incoming.exists()
    _assert_right(held)
    assert len(smdb(held, "search", "--PatientID", "LATE").json["data"]) == 1


def test_what_another_process_is_at_is_left_alone(held):
    with Basemount.of_log_directory(held / "log").claim_incoming("get") as owned:
        Study("LATE").series(1).write(owned.path)
        ran = smdb(held, "check", "--repair")
        assert (ran.json["data"], ran.json["summary"]["busy"]) == ([], 1)
        assert len(list(owned.files())) == 1


def test_a_file_in_incoming_that_nobody_of_us_put_there_is_told_of(held):
    stray = held / "incoming" / "stray.dcm"
    stray.write_bytes(b"somebody writes this")
    ran = smdb(held, "check", "--repair", status=1)
    assert findings(ran) == {"left in incoming": ["stray.dcm"]}
    assert stray.exists()


def test_quarantine_and_what_is_recorded_of_it_are_made_to_agree(held, files, tmp_path):
    for number in (0, 1):
        cut = tmp_path / f"cut-{number}.dcm"
        Study(f"CUT-{number}").series(1).write(tmp_path / str(number))[0].rename(cut)
        cut.write_bytes(cut.read_bytes()[:-10])
        repack(held, "--xcrdirfile", cut, status=1)
    first, second = sorted(packed.quarantine(held))
    for suffix in ("", ".json"):
        (held / "quarantine" / f"{first}{suffix}").unlink()
    catalogues.execute(held, f"delete from quarantined where name = '{second}'")  # noqa: S608
    whole = Study("WHOLE").series(1).write(held / "quarantine")[0]
    ran = smdb(held, "check", status=1)
    assert findings(ran) == {"gone from quarantine": [first], "in quarantine": sorted([second, whole.name])}
    done = _mended(held, status=1)
    assert done[first] == "taken out of the catalogue"
    assert "whole file" in done[whole.name]
    assert [row[0] for row in catalogues.rows(held, "select name from quarantined")] == [second]
    assert len(smdb(held, "search", "--PatientID", "WHOLE").json["data"]) == 1


def test_it_may_run_while_others_pack(basemount, tmp_path):
    """Whatever is on its way at that moment is not taken for wrong."""
    study = Study("BUSY", size=4)
    for number in range(1, 6):
        study.series(number, 100)
    study.write(tmp_path / "source")
    packing = [Running("px-repack", "--db", basemount / "log", "-p", tmp_path / "source") for _ in range(2)]
    checks = []
    while any(one.process.poll() is None for one in packing):
        checks.append(run_tool("px-smdb", "--db", basemount / "log", "--action", "check", "--repair"))
    assert [one.wait().status for one in packing] == [0, 0]
    assert {ran.status for ran in checks} == {0}, [ran.stdout for ran in checks]
    _assert_right(basemount)
    assert len(files_below(basemount / "data")) == 500


def test_eight_repairs_at_once_come_to_the_same_end(held):
    catalogues.execute(held, "delete from instance", "delete from event")
    for file in files_below(held / "data")[:5]:
        shutil.copy(file, file.with_name(f"copy-{file.name}"))
    repairs = [Running("px-smdb", "--db", held / "log", "--action", "check", "--repair") for _ in range(8)]
    assert {one.wait().status for one in repairs} <= {0, 1}
    smdb(held, "check", "--repair")
    _assert_right(held)
    assert len(files_below(held / "data")) == 20


@on_sqlite
def test_a_read_only_basemount_can_be_checked(held):
    ran = mounts.run(
        mounts.read_only(held), SCRIPTS / "px-smdb", "--db", str(held / "log"), "--action", "check"
    )
    assert json.loads(ran.stdout)["summary"]["files"] == 20, ran.stderr


@on_sqlite
def test_a_person_sees_what_is_wrong_and_what_was_done(held):
    files_below(held / "data")[0].unlink()
    command = ["px-smdb", "--db", held / "log", "--action", "check"]
    ran = run_in_terminal(command, columns=200)
    assert ran.status == 1
    assert "! missing: " in ran.stdout
    assert "19 files, 20 instances in the catalogue, 1 thing wrong; " in ran.stdout
    assert "--repair" in ran.stdout
    ran = run_in_terminal([*command, "--repair"], columns=200)
    assert ran.status == 0
    assert "+ missing: " in ran.stdout
    assert "taken out of the catalogue" in ran.stdout


def _damage(basemount: Path, way: str) -> None:
    file = basemount / "log" / "smdb.sqlite"
    if way == "other content":
        file.write_bytes(b"no database, nothing like it" * 1000)
    elif way == "cut short":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        content = bytearray(file.read_bytes())
        for page in range(4096, len(content), 4096):
            content[page : page + 200] = b"\x5a" * 200
        file.write_bytes(content)


@on_sqlite
@pytest.mark.parametrize("way", ["other content", "cut short", "pages"])
def test_a_damaged_catalogue_is_told_of_and_made_anew(held, way):
    before = fingerprint(held), packed.everything(held)
    _damage(held, way)
    damaged = (held / "log" / "smdb.sqlite").read_bytes()
    ran = smdb(held, "check", status=1)
    assert ran.error == "catalogue-damaged"
    assert "px-smdb --action check --repair" in ran.json["error"]["hint"]
    assert (held / "log" / "smdb.sqlite").read_bytes() == damaged
    ran = smdb(held, "check", "--repair")
    first = ran.json["data"][0]
    assert (first["fault"], first["mended"]) == ("catalogue damaged", True)
    assert Path(first["file"]).read_bytes() == damaged
    assert (fingerprint(held), packed.everything(held)) == before
    _assert_right(held)


@on_sqlite
def test_a_damaged_catalogue_moved_aside_is_made_anew_by_px_repack(held):
    """What every tool's error says where px-smdb is not at hand."""
    before = fingerprint(held), packed.everything(held)
    _damage(held, "other content")
    assert repack(held, "-p", held / "data", "--recursive", status=1).error == "catalogue-damaged"
    for file in (held / "log").glob("smdb.sqlite*"):
        file.rename(file.with_name(f"old-{file.name}"))
    assert counts(repack(held, "-p", held / "data", "--recursive")) == {"stored": 20}
    assert (fingerprint(held), packed.everything(held)) == before
    _assert_right(held)


@on_sqlite
def test_eight_repairs_of_a_damaged_catalogue_at_once(held):
    before = fingerprint(held)
    _damage(held, "pages")
    repairs = [Running("px-smdb", "--db", held / "log", "--action", "check", "--repair") for _ in range(8)]
    rans = [one.wait() for one in repairs]
    assert {ran.status for ran in rans} <= {0, 1}, [ran.stderr for ran in rans]
    assert len(list((held / "log").glob("smdb.sqlite-damaged-*[0-9]"))) == 1
    smdb(held, "check", "--repair")
    _assert_right(held)
    assert fingerprint(held) == before


@on_sqlite
def test_a_catalogue_of_a_later_release_is_not_moved_aside(held):
    catalogues.execute(held, "update smdb_version set version = 99")
    ran = smdb(held, "check", "--repair", status=1)
    assert ran.error == "catalogue-damaged"
    assert "later release" in ran.stderr
    assert catalogues.rows(held, "select count(*) from instance") == [(20,)]


@on_sqlite
def test_a_locked_catalogue_is_told_of(held):
    script = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('begin exclusive')\n"
        "print('locked', flush=True)\n"
        "time.sleep(600)\n"
    )
    connection = sqlite3.connect(held / "log" / "smdb.sqlite")
    connection.execute("pragma journal_mode = delete")
    connection.close()
    holder = subprocess.Popen(
        [sys.executable, "-c", script, held / "log" / "smdb.sqlite"], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        ran = smdb(held, "check", "--repair", status=1)
    finally:
        holder.kill()
        holder.communicate()
    assert ran.error == "catalogue-locked"
    assert "run the same command again" in ran.json["error"]["hint"]
    assert list((held / "log").glob("*damaged*")) == []
    smdb(held, "check")


def test_a_patients_directories_are_brought_up_to_date(held, tmp_path):
    other = datasets.named_study("latin").write(tmp_path / "other")
    repack(held, "-p", other[0].parent)
    files = [path for path in files_below(held / "data") if "PLAIN" in str(path)]
    files[0].unlink()
    catalogues.execute(held, f"delete from instance where path = '{files[1].relative_to(held / 'data')}'")  # noqa: S608
    ran = action(held, "mapsUpdateForPatient", "PLAIN-1")
    assert {Path(one["file"]).name: one["done"] for one in ran.json["data"]} == {
        files[0].name: "taken out of the catalogue",
        files[1].name: "catalogued",
    }
    assert (ran.json["summary"]["files"], ran.json["summary"]["instances"]) == (19, 19)
    assert smdb(held, "check").json["data"] == []
    assert action(held, "mapsUpdateForPatient", "NOBODY", status=1).error == "nothing-found"


def test_files_that_lie_in_the_tree_are_catalogued(held, tmp_path):
    before = packed.instances(held)
    catalogues.execute(held, "delete from instance", "delete from event")
    files = files_below(held / "data")
    assert counts(smdb(held, "mapsUpdateForFile", "--xcrdirfile", files[0])) == {"stored": 1}
    assert counts(action(held, "mapsUpdateForFile", files[1])) == {"stored": 1}
    assert action(held, "mapsUpdateForFile", "nowhere.dcm", status=1).error == "file-unreadable"
    ran = smdb(held, "mapsUpdateForFile", "-p", held / "data", "--recursive")
    assert counts(ran) == {"stored": 18, "duplicates": 2}
    assert packed.instances(held) == before
    (elsewhere,) = Study("ELSEWHERE").series(1).write(tmp_path / "elsewhere")
    ran = action(held, "mapsUpdateForFile", elsewhere, status=2)
    assert "px-repack" in ran.stderr
    (held / "data" / "empty").mkdir()
    ran = smdb(held, "mapsUpdateForFile", "-p", held / "data" / "empty")
    assert (ran.json["status"], counts(ran), ran.json["data"]) == ("success", {}, [])


def test_the_end_of_a_study_tells_how_far_it_is(held, files, tmp_path):
    study = datasets.plain_study()
    rows = action(held, "endOfStudy", str(study.uid)).json["data"]
    assert [row["packed"] for row in rows] == [3, 12, 5]
    of_directory = smdb(held, "endOfStudy", "--xcrdir", files[0].parent).json["data"]
    assert of_directory == rows
    other = datasets.named_study("latin")
    repack(held, "-p", other.write(tmp_path / "other")[0].parent)
    others = action(held, "endOfStudy", str(other.uid)).json["data"]
    for given in (f"{study.uid},{other.uid}", f"{study.uid}\\{other.uid}"):
        assert action(held, "endOfStudy", given).json["data"] == [*rows, *others]
        assert smdb(held, "endOfStudy", "--StudyInstanceUID", given).json["data"] == [*rows, *others]
    for file in files:
        file.unlink()
    assert smdb(held, "endOfStudy", "--xcrdir", files[0].parent).json["data"] == []
    assert action(held, "endOfStudy", "1.2.3", status=1).error == "nothing-found"
