"""px-repack: which files are meant, and a BASEMOUNT that cannot take them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3

import pytest

import mounts
import packed
from demo.studies import Study
from packed import counts, repack
from pypx.actions.repack import Source, pack, resume
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.errors import CatalogueLocked
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


class _Mistaken(TreeTemplates):
    """Templates with a mistake about one instance."""

    def directories(self, values):
        if values["StudyDescription"] == "unforeseen":
            raise LookupError("there is no name for this")
        return super().directories(values)


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_mistake_about_one_file_is_told_of_and_the_rest_is_packed(basemount, files, is_resumed):
    mount = Basemount.of_log_directory(basemount / "log")
    mount.prepare()
    left = basemount / "incoming" / "listen-0123456789abcdef"
    left.mkdir()
    there = [left / file.name for file in files]
    for file, path in zip(files, there, strict=True):
        shutil.copy(file, path)
    odd = packed.changed(there[7], there[7], StudyDescription="unforeseen")
    with Catalogue.open(mount) as catalogue:
        if is_resumed:
            result = resume(mount, catalogue, _Mistaken())
        else:
            result = pack(there, mount, catalogue, _Mistaken(), source=Source.TAKE)
    ((failed, error),) = [(one.path, one.error) for one in result.failed]
    assert (result.stored, failed, error.code) == (len(files) - 1, odd, "internal")
    assert f"{odd} cannot be packed and stays there (LookupError" in error.message
    assert [file for file in files_below(left) if file.name != ".owner"] == [odd]
    assert_holds(basemount, [file for file in files if file.name != odd.name])
    packed.assert_catalogue_is_exact(basemount)


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


@pytest.mark.parametrize("cleanup", ["", "--cleanup"])
@pytest.mark.parametrize(
    ("basemount", "size", "more"),
    [
        ("disk/basemount", "2m", "64m"),
        ("basemount", "2m", "64m"),
        ("basemount", "64m,nr_inodes=100", "64m,nr_inodes=10000"),
    ],
)
def test_a_full_disk_ends_the_run_and_what_was_done_is_kept(basemount, size, more, cleanup, tmp_path):
    """The disk of the images is full; that of the catalogue is the same, or another."""
    source, disk = tmp_path / "source", tmp_path / "disk"
    whole = {file.read_bytes() for file in Study("FULL", size=64).series(1, 400).write(source)}
    originals = shutil.copytree(source, tmp_path / "originals")
    px_repack = f"{SCRIPTS}/px-repack --db {tmp_path / basemount}/log -d {disk}/data -p {source} {cleanup}"
    script = f"""
{px_repack} > {tmp_path}/first.json
echo $? > {tmp_path}/first.status
cp -a {disk}/data {tmp_path}/first-data
cp -a {source} {tmp_path}/first-source
mount -o remount,size={more} {disk} &&
{px_repack} > {tmp_path}/second.json
cp -aL {tmp_path / basemount} {tmp_path}/done
"""
    mounts.run(mounts.small(disk, size), "sh", "-c", script)
    assert (tmp_path / "first.status").read_text() == "1\n"
    first = json.loads((tmp_path / "first.json").read_text())
    assert first["error"]["code"] == "disk-full"
    held = {file.read_bytes() for file in files_below(tmp_path / "first-data")}
    assert 0 < len(held) < 400
    # What was done is told of: what the catalogue has, where it could still be written.
    stored = first["summary"]["stored"]
    assert stored == sum(one["stored"] for one in first["data"])
    assert stored == (0 if basemount.startswith("disk") else len(held))
    assert held < whole
    assert files_below(tmp_path / "first-data", on_their_way=True) == []
    # What is not safe is where it was.
    assert held | {file.read_bytes() for file in (tmp_path / "first-source").iterdir()} == whole
    assert json.loads((tmp_path / "second.json").read_text())["status"] == "success"
    assert_holds(tmp_path / "done", originals.iterdir())
    packed.assert_catalogue_is_exact(tmp_path / "done")
    assert len(files_below(source)) == (0 if cleanup else 400)


def test_a_damaged_catalogue_is_told_of_and_nothing_is_placed(basemount, files):
    (basemount / "log").mkdir(parents=True)
    (basemount / "log" / "smdb.sqlite").write_bytes(b"no database" * 1000)
    ran = repack(basemount, "-p", files[0].parent, status=1)
    assert ran.error == "catalogue-damaged"
    assert "px-smdb --action check --repair" in ran.json["error"]["hint"]
    assert files_below(basemount / "data") == []


def test_a_locked_catalogue_is_told_of_and_the_same_call_goes_on_later(basemount, files):
    mount = Basemount.of_log_directory(basemount / "log")
    mount.prepare()
    with Catalogue.open(mount) as catalogue:
        pack(files[:2], mount, catalogue, source=Source.TAKE)
    writer = sqlite3.connect(basemount / "log" / "smdb.sqlite", isolation_level=None)
    writer.execute("begin immediate")
    with Catalogue.open(mount, wait=0.2) as waiting:
        stopped = pack(files[2:], mount, waiting, source=Source.TAKE).stopped
    assert isinstance(stopped, CatalogueLocked)
    assert "held by another process for 0.2 s" in stopped.message
    assert "run the same command again" in stopped.hint
    # Nothing goes before the catalogue knows it.
    assert all(file.exists() for file in files[2:])
    writer.close()
    with Catalogue.open(mount) as catalogue:
        assert pack(files[2:], mount, catalogue, source=Source.TAKE).stored == 18
    assert not any(file.exists() for file in files)
    assert len(files_below(basemount / "data")) == 20
    packed.assert_catalogue_is_exact(basemount)


def test_a_damaged_file_on_a_full_disk_is_kept_where_it_is(basemount, tmp_path):
    source = tmp_path / "source"
    (file,) = Study("CUT", size=512).series(1).write(source)
    file.write_bytes(file.read_bytes()[:-4])
    px_repack = f"{SCRIPTS}/px-repack --db {basemount}/log -p {source} --cleanup"
    script = f"""
{px_repack} > {tmp_path}/first.json
find {basemount}/quarantine -type f ! -name '*.json' > {tmp_path}/quarantine
mount -o remount,size=64m {basemount} &&
{px_repack} > {tmp_path}/second.json
cp -a {basemount} {tmp_path}/done
"""
    mounts.run(mounts.small(basemount, "400k"), "sh", "-c", script)
    assert json.loads((tmp_path / "first.json").read_text())["error"]["code"] == "disk-full"
    assert (tmp_path / "quarantine").read_text() == ""
    assert json.loads((tmp_path / "second.json").read_text())["error"]["code"] == "file-damaged"
    assert list(packed.quarantine(tmp_path / "done").values()) == ["file-damaged"]
    assert file.exists()
