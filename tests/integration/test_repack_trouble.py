"""px-repack: which files are meant, and a BASEMOUNT that cannot take them."""

from __future__ import annotations

import json
import os

import pytest

import mounts
import packed
from demo.studies import Study
from packed import counts, repack
from tools import SCRIPTS, run_tool
from trees import assert_holds, files_below, fingerprint


def test_one_file_of_a_directory(basemount, files):
    assert counts(repack(basemount, "-p", files[0].parent, "-f", files[0].name)) == {"stored": 1}
    assert counts(repack(basemount, "--xcrdirfile", files[1])) == {"stored": 1}


def test_files_whose_names_have_a_part(basemount, files):
    directory = files[0].parent
    files[0].rename(directory / "one.ima")
    files[1].rename(directory / "two.IMG.old")
    ran = repack(basemount, "-p", directory, "--parseAllFilesWithSubStr", ".ima, IMG")
    assert counts(ran) == {"stored": 2}


def test_directories_below_only_when_asked_for(basemount, files):
    below = files[0].parent / "a" / "b"
    below.mkdir(parents=True)
    for file in files[:5]:
        file.rename(below / file.name)
    assert counts(repack(basemount, "-p", files[0].parent)) == {"stored": 15}
    assert counts(repack(basemount, "-p", files[0].parent, "--recursive")) == {"stored": 5, "duplicates": 15}


def test_names_that_are_no_text_are_packed_and_told_of(basemount, files):
    odd = files[0].with_name(os.fsdecode(b"caf\xe9 \x1b[31m.dcm"))
    odd.write_bytes(files[0].read_bytes()[:-5])
    files[1].rename(files[1].with_name(os.fsdecode(b"\xff\xfe.dcm")))
    ran = repack(basemount, "-p", files[0].parent, "-v", "1", status=1)
    assert counts(ran) == {"stored": 20, "quarantined": 1}
    assert "\x1b" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "--xcrdir"),
        (["-p", "missing"], 1, "missing"),
        (["--xcrdirfile", "missing.dcm"], 1, "missing.dcm"),
        (["-p", ".", "-f", "missing.dcm"], 1, "missing.dcm"),
        (["--xcrdirfile", "."], 1, "--xcrdir"),
        (["-p", ".", "--imageTemplate", "%NoSuchAttribute"], 2, "NoSuchAttribute"),
        (["-p", ".", "--rootDirTemplate", ".."], 2, "names nothing"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_made(basemount, arguments, status, says):
    ran = repack(basemount, *arguments, status=status)
    assert says in ran.stderr
    assert not basemount.exists()


def test_an_empty_directory_is_a_success(basemount, tmp_path):
    (tmp_path / "source").mkdir()
    assert counts(repack(basemount, "-p", tmp_path / "source")) == {}


def test_a_file_where_a_directory_must_be(basemount, files):
    basemount.mkdir()
    (basemount / "quarantine").write_text("in the way")
    ran = repack(basemount, "-p", files[0].parent, status=1)
    assert ran.error == "basemount-unusable"
    assert f"{basemount}/quarantine is a file" in ran.stderr


def test_a_file_where_a_patients_directory_must_be_is_told_of_and_the_rest_is_packed(basemount, tmp_path):
    source = tmp_path / "source"
    for patient in ("FIRST", "SECOND"):
        Study(patient).series(1, 2).write(source)
    (basemount / "data").mkdir(parents=True)
    (basemount / "data" / "FIRST--").write_text("in the way")
    ran = repack(basemount, "-p", source, status=1)
    assert counts(ran) == {"stored": 2, "failed": 2}
    assert (basemount / "data" / "FIRST--").read_text() == "in the way"


def test_a_read_only_basemount(basemount, files):
    repack(basemount, "--xcrdirfile", files[0])
    before = fingerprint(basemount)
    ran = mounts.run(
        mounts.read_only(basemount),
        *(SCRIPTS / "px-repack", "--db", str(basemount / "log"), "-p", str(files[0].parent)),
    )
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["error"]["code"] == "basemount-unusable"
    assert fingerprint(basemount) == before


def test_a_directory_of_the_tree_that_may_not_be_written(basemount, files):
    repack(basemount, "--xcrdirfile", files[0])
    series = files_below(basemount / "data")[0].parent
    series.chmod(0o500)
    ran = run_tool("px-repack", "--db", basemount / "log", "-p", files[0].parent, unprivileged=True)
    series.chmod(0o700)
    assert ran.status == 1
    assert ran.error == "basemount-unusable"
    packed.assert_catalogue_is_exact(basemount)
    assert counts(repack(basemount, "-p", files[0].parent)).keys() == {"stored", "duplicates"}
    assert_holds(basemount, files)


def test_a_full_disk_ends_the_run_and_what_was_done_is_kept(basemount, tmp_path):
    source = tmp_path / "source"
    Study("FULL", size=64).series(1, 400).write(source)
    script = f"""
{SCRIPTS}/px-repack --db {basemount}/log -p {source} > {tmp_path}/first.json
echo $? > {tmp_path}/first.status
mount -o remount,size=64m {basemount} &&
cp -a {basemount} {tmp_path}/full &&
{SCRIPTS}/px-repack --db {basemount}/log -p {source} > {tmp_path}/second.json
cp -a {basemount} {tmp_path}/done
"""
    mounts.run(mounts.small(basemount, "2m"), "sh", "-c", script)
    assert (tmp_path / "first.status").read_text() == "1\n"
    assert json.loads((tmp_path / "first.json").read_text())["error"]["code"] == "disk-full"
    full, done = tmp_path / "full", tmp_path / "done"
    whole = {file.read_bytes() for file in source.iterdir()}
    held = files_below(full / "data")
    assert 0 < len(held) < 400
    assert {file.read_bytes() for file in held} <= whole
    assert files_below(full / "data", on_their_way=True) == []
    second = json.loads((tmp_path / "second.json").read_text())
    assert second["status"] == "success"
    assert_holds(done, source.iterdir())
    packed.assert_catalogue_is_exact(done)


def test_a_damaged_catalogue_is_told_of_and_nothing_is_placed(basemount, files):
    (basemount / "log").mkdir(parents=True)
    (basemount / "log" / "smdb.sqlite").write_bytes(b"no database" * 1000)
    ran = repack(basemount, "-p", files[0].parent, status=1)
    assert ran.error == "catalogue-damaged"
    assert "px-smdb --action check --repair" in ran.json["error"]["hint"]
    assert files_below(basemount / "data") == []
