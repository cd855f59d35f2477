"""px-repack on real files: where each comes to lie, what is counted, what stays, what goes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

import instances
import mounts
import packed
from demo.studies import Study
from packed import changed, counts, repack
from tools import SCRIPTS, packages_loaded_by, run_in_terminal, run_tool
from trees import assert_holds, assert_nothing_pending, files_below, fingerprint

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def test_a_directory_is_packed_under_names_a_person_can_read(basemount, files):
    ran = repack(basemount, "--xcrdir", files[0].parent)
    assert counts(ran) == {"stored": 20}
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)
    assert_nothing_pending(basemount)
    study = basemount / "data" / "PLAIN-1-Doe_Jane-19800229" / "Plain_study-P-1-20200229"
    names = [path.name.rpartition("-")[0] for path in sorted(study.iterdir())]
    assert names == ["00001-Localizer", "00002-T1", "00003-T2"]
    series = ran.json["data"]
    assert {(one["SeriesDescription"], one["state"], one["stored"]) for one in series} == {
        ("Localizer", "packed", 3),
        ("T1", "packed", 12),
        ("T2", "packed", 5),
    }


def test_a_second_time_nothing_changes(basemount, files):
    repack(basemount, "-p", files[0].parent)
    before = packed.everything(basemount), fingerprint(basemount)
    assert counts(repack(basemount, "-p", files[0].parent)) == {"duplicates": 20}
    assert (packed.everything(basemount), fingerprint(basemount)) == before


def test_a_source_that_stays_is_copied_so_that_an_edit_of_it_changes_nothing_here(basemount, files):
    repack(basemount, "-p", files[0].parent)
    before = packed.tree(basemount)
    for file in files:
        with file.open("r+b") as opened:
            opened.seek(-10, os.SEEK_END)
            opened.write(b"edited")
    assert packed.tree(basemount) == before


def test_cleanup_removes_what_is_safe_and_nothing_else(basemount, files):
    directory = files[0].parent
    (directory / "notes.txt").write_text("what the patient said")
    damaged = directory / "cut.dcm"
    damaged.write_bytes(files[0].read_bytes()[:-20])
    inodes = {file.stat().st_ino for file in files}
    ran = repack(basemount, "-p", directory, "--cleanup", status=1)
    assert counts(ran) == {"stored": 20, "quarantined": 1, "skipped": 1}
    assert {path.stat().st_ino for path in files_below(basemount / "data")} == inodes
    assert files_below(directory) == [damaged, directory / "notes.txt"]
    packed.assert_catalogue_is_exact(basemount)


def test_cleanup_removes_what_is_held_already(basemount, files):
    repack(basemount, "-p", files[0].parent)
    before = fingerprint(basemount)
    assert counts(repack(basemount, "-p", files[0].parent, "--cleanup")) == {"duplicates": 20}
    assert files_below(files[0].parent) == []
    assert fingerprint(basemount) == before


def test_cleanup_of_a_file_with_another_name_leaves_that_no_way_into_the_tree(basemount, files, tmp_path):
    other = tmp_path / "other-name.dcm"
    other.hardlink_to(files[0])
    repack(basemount, "--xcrdirfile", files[0], "--cleanup")
    (held,) = files_below(basemount / "data")
    assert not files[0].exists()
    assert held.stat().st_ino != other.stat().st_ino
    assert held.read_bytes() == other.read_bytes()


def test_cleanup_of_a_symbolic_link_removes_the_link_alone(basemount, files, tmp_path):
    link = tmp_path / "link.dcm"
    link.symlink_to(files[0])
    repack(basemount, "--xcrdirfile", link, "--cleanup")
    (held,) = files_below(basemount / "data")
    assert not link.is_symlink()
    assert files[0].exists()
    assert not held.is_symlink()
    assert held.stat().st_ino != files[0].stat().st_ino


@pytest.mark.parametrize("cleanup", [[], ["--cleanup"]])
def test_files_of_another_filesystem_are_copied(basemount, files, other_filesystem, cleanup):
    source = shutil.copytree(files[0].parent, other_filesystem / "source")
    assert counts(repack(basemount, "-p", source, *cleanup)) == {"stored": 20}
    assert len(files_below(source)) == (0 if cleanup else 20)
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)
    assert_nothing_pending(basemount)


def test_datadir_may_be_another_filesystem(basemount, files, other_filesystem):
    images = other_filesystem / "images"
    repack(basemount, "-p", files[0].parent, "--datadir", images, "--cleanup")
    assert len(files_below(images)) == 20
    assert files_below(other_filesystem, on_their_way=True) == []
    assert (basemount / "data").readlink() == images


def test_who_does_not_name_the_datadir_finds_it_all_the_same(basemount, files, tmp_path):
    log = ("--db", basemount / "log")
    repack(basemount, "--xcrdirfile", files[0], "--datadir", tmp_path / "images")
    repack(basemount, "-p", files[0].parent)
    assert len(files_below(tmp_path / "images")) == 20
    checked = run_tool("px-smdb", *log, "--action", "check", "--repair")
    assert checked.status == 0, checked.stdout
    packed.assert_catalogue_is_exact(basemount)


def test_a_basemount_has_one_datadir(basemount, files, tmp_path):
    repack(basemount, "--xcrdirfile", files[0])
    log = ("--db", basemount / "log")
    for other in (
        tmp_path / "images",
        basemount / "data" / "deeper",
        basemount / "log" / "images",
        basemount,
    ):
        ran = run_tool("px-repack", *log, "-p", files[0].parent, "--datadir", other)
        assert (ran.status, ran.error) == (1, "basemount-unusable")
    assert len(files_below(basemount / "data")) == 1
    packed.assert_catalogue_is_exact(basemount)


@pytest.mark.parametrize("no_links", ["EPERM", "EOPNOTSUPP"], indirect=True)
@pytest.mark.parametrize("cleanup", [[], ["--cleanup"]])
def test_a_filesystem_without_hard_links(basemount, files, no_links, cleanup):
    ran = run_tool(
        "px-repack",
        *("--db", basemount / "log", "-p", files[0].parent, *cleanup),
        environment=no_links,
    )
    assert counts(ran) == {"stored": 20}
    packed.assert_catalogue_is_exact(basemount)
    assert_nothing_pending(basemount)
    assert len(packed.tree(basemount)) == 20
    assert len(files_below(files[0].parent)) == (0 if cleanup else 20)


def test_other_content_of_the_same_uid_is_kept_beside_and_told_of(basemount, files, tmp_path):
    repack(basemount, "-p", files[0].parent)
    before = packed.tree(basemount)
    one = changed(files[0], tmp_path / "changed.dcm", PatientComments="added later")
    two = changed(files[0], tmp_path / "again.dcm", PatientComments="and later still")
    ran = repack(basemount, "-p", tmp_path, "--parseAllFilesWithSubStr", "changed,again", "-v", "1")
    assert counts(ran) == {"conflicts": 2}
    assert ran.stderr.count("other content under the SOP Instance UID") == 2
    after = packed.tree(basemount)
    assert before.items() <= after.items()
    added = {Path(name) for name in after.keys() - before.keys()}
    plain = Path(next(name for name in before if files[0].stem in name))
    assert {path.parent for path in added} == {plain.parent}
    assert all(path.stem.startswith(plain.stem) and path.suffix == ".dcm" for path in added)
    packed.assert_catalogue_is_exact(basemount)
    assert {(basemount / "data" / path).read_bytes() for path in added} == {
        one.read_bytes(),
        two.read_bytes(),
    }
    assert counts(repack(basemount, "-p", tmp_path, "--recursive")) == {"duplicates": 22}
    assert packed.tree(basemount) == after


def test_the_same_data_set_under_other_meta_information_is_a_duplicate(basemount, files, tmp_path):
    instance = dcmread(files[0])
    instance.file_meta.ImplementationVersionName = "ANOTHER"
    instance.file_meta.SourceApplicationEntityTitle = "SOMEBODY"
    instance.save_as(tmp_path / "other.dcm")
    assert (tmp_path / "other.dcm").read_bytes() != files[0].read_bytes()
    repack(basemount, "--xcrdirfile", files[0])
    assert counts(repack(basemount, "--xcrdirfile", tmp_path / "other.dcm")) == {"duplicates": 1}


def test_instances_whose_template_gives_one_name_are_all_kept(basemount, files):
    ran = repack(basemount, "-p", files[0].parent, "--imageTemplate", "%PatientID.dcm")
    assert counts(ran) == {"stored": 20}
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)
    assert len([name for name in packed.tree(basemount) if name.endswith("/PLAIN-1.dcm")]) == 3
    again = repack(basemount, "-p", files[0].parent, "--imageTemplate", "%PatientID.dcm")
    assert counts(again) == {"duplicates": 20}


def test_patients_whose_names_become_the_same_text_have_directories_of_their_own(basemount, tmp_path):
    source = tmp_path / "source"
    for patient in ("A/B", "A_B", "A B", "A\\B"):
        Study(patient, attributes={"PatientName": "Same^Name"}).series(1, 2).write(source)
    assert counts(repack(basemount, "-p", source)) == {"stored": 8}
    patients = [
        {str(dcmread(file).PatientID) for file in files_below(directory)}
        for directory in (basemount / "data").iterdir()
    ]
    assert sorted(len(patient) for patient in patients) == [1, 1, 1, 1]
    assert len(set.union(*patients)) == 4
    before = packed.everything(basemount)
    assert counts(repack(basemount, "-p", source)) == {"duplicates": 8}
    assert packed.everything(basemount) == before


def test_awkward_values_stay_in_the_tree(basemount, sample_files):
    directory = sample_files[0].parent
    assert counts(repack(basemount, "-p", directory)) == {"stored": len(sample_files)}
    assert_holds(basemount, sample_files)
    packed.assert_catalogue_is_exact(basemount)
    assert sorted(path.name for path in basemount.parent.iterdir()) == ["basemount"]
    assert all(len(Path(name).parts) == 4 for name in packed.tree(basemount))


def test_damaged_files_are_quarantined_with_their_reason_and_never_catalogued(basemount, files):
    directory = files[0].parent
    damaged = directory / "cut.dcm"
    damaged.write_bytes(files[0].read_bytes()[:-20])
    files[0].unlink()
    ran = repack(basemount, "-p", directory, status=1)
    assert counts(ran) == {"stored": 19, "quarantined": 1}
    assert ran.json["status"] == "error"
    assert ran.error == "file-damaged"
    (told,) = ran.json["quarantined"]
    assert told["file"] == str(damaged)
    assert Path(told["kept"]).read_bytes() == damaged.read_bytes()
    assert list(packed.quarantine(basemount).values()) == ["file-damaged"]
    reason = json.loads(Path(f"{told['kept']}.json").read_text())
    assert reason["source"] == str(damaged)
    assert "ends within" in reason["reason"]
    packed.assert_catalogue_is_exact(basemount)
    by_state = {one["state"]: one for one in ran.json["data"] if one["quarantined"]}
    assert by_state["damaged"]["error"]["code"] == "file-damaged"
    before = packed.everything(basemount)
    assert counts(repack(basemount, "-p", directory, status=1)) == {"duplicates": 19, "quarantined": 1}
    assert packed.everything(basemount) == before


def test_a_source_that_was_named_from_a_working_directory_can_be_found_later(basemount, files):
    files[0].write_bytes(files[0].read_bytes()[:-50])
    ran = run_tool(
        *("px-repack", "--db", basemount / "log", "--xcrdirfile", files[0].name), directory=files[0].parent
    )
    assert counts(ran) == {"quarantined": 1}
    (reason,) = (basemount / "quarantine").glob("*.json")
    assert json.loads(reason.read_text())["source"] == str(files[0])


def test_what_lies_in_quarantine_is_told_of_and_not_quarantined_again(basemount, files):
    files[0].write_bytes(files[0].read_bytes()[:-20])
    repack(basemount, "--xcrdirfile", files[0], status=1)
    before = packed.everything(basemount)
    ran = repack(basemount, "-p", basemount / "quarantine", "--cleanup", status=1)
    assert counts(ran) == {"quarantined": 1, "skipped": 1}
    assert packed.everything(basemount) == before


def test_what_is_not_dicom_is_left_out(basemount, files):
    directory = files[0].parent
    (directory / "notes.txt").write_text("notes")
    (directory / "empty").write_bytes(b"")
    os.mkfifo(directory / "pipe")
    (directory / "loop").symlink_to("loop")
    (directory / "nowhere").symlink_to("gone")
    (directory / "subdirectory").mkdir()
    ran = repack(basemount, "-p", directory, "-v", "2", status=1)
    assert counts(ran) == {"stored": 20, "skipped": 3, "failed": 2}
    assert sorted(Path(one["file"]).name for one in ran.json["failed"]) == ["loop", "nowhere"]
    assert f"{directory}/notes.txt is not a DICOM file" in ran.stderr
    assert packed.quarantine(basemount) == {}


def test_a_file_that_is_named_and_not_dicom_is_no_success(basemount, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    for named in (("--xcrdirfile", notes), ("-p", tmp_path, "-f", notes.name)):
        ran = repack(basemount, *named, "--cleanup", status=1)
        assert counts(ran) == {"failed": 1}
        assert ran.error == "not-dicom"
        assert f"{notes} is not a DICOM file" in ran.stderr
    assert notes.exists()


def test_every_form_of_file_is_packed(basemount, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number, write in enumerate(instances.FORMS.values()):
        write(source / f"{number}.dcm")
    summary = counts(repack(basemount, "-p", source))
    assert sum(summary.values()) == len(instances.FORMS)
    assert summary.keys() <= {"stored", "conflicts", "duplicates"}
    packed.assert_catalogue_is_exact(basemount)
    kept = {file.read_bytes() for file in files_below(basemount / "data")}
    assert kept <= {file.read_bytes() for file in source.iterdir()}


def test_each_file_that_pydicom_ships_is_accounted_for(basemount, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    shipped = instances.shipped()
    for number, file in enumerate(shipped):
        shutil.copy(file, source / f"{number:03d}-{file.name}")
    ran = run_tool("px-repack", "--db", basemount / "log", "-p", source)
    summary = counts(ran)
    assert sum(summary.values()) == len(shipped)
    assert summary["stored"] > len(shipped) / 2
    assert "failed" not in summary
    packed.assert_catalogue_is_exact(basemount)
    assert len(packed.quarantine(basemount)) == summary.get("quarantined", 0)


def test_an_unreadable_file_is_told_of_and_the_rest_is_packed(basemount, files):
    files[0].chmod(0)
    ran = run_tool("px-repack", "--db", basemount / "log", "-p", files[0].parent, unprivileged=True)
    assert ran.status == 1
    assert counts(ran) == {"stored": 19, "failed": 1}
    assert ran.error == "file-unreadable"
    assert ran.json["failed"][0]["file"] == str(files[0])


def test_a_file_that_is_gone_from_the_tree_is_put_there_again(basemount, files):
    repack(basemount, "-p", files[0].parent)
    before = packed.everything(basemount)
    lost = files_below(basemount / "data")[3:6]
    for path in lost:
        path.unlink()
    assert counts(repack(basemount, "-p", files[0].parent)) == {"stored": 3, "duplicates": 17}
    assert packed.everything(basemount) == before


@pytest.mark.databases("sqlite")
def test_a_lost_catalogue_is_made_anew_from_the_tree(basemount, files, tmp_path):
    for patient in ("A/B", "A_B"):
        Study(patient).series(1, 2).write(tmp_path / "source")
    changed(files[0], tmp_path / "source" / "zz.dcm", PatientComments="added later")
    assert counts(repack(basemount, "-p", files[0].parent)) == {"stored": 24, "conflicts": 1}
    before = (
        fingerprint(basemount),
        packed.instances(basemount),
        packed.rows(basemount, "select * from folder order by name"),
    )
    shutil.rmtree(basemount / "log")
    ran = repack(basemount, "-p", basemount / "data", "--recursive", "--cleanup")
    assert counts(ran) == {"stored": 23, "conflicts": 2}
    after = (
        fingerprint(basemount),
        packed.instances(basemount),
        packed.rows(basemount, "select * from folder order by name"),
    )
    assert after == before
    packed.assert_catalogue_is_exact(basemount)


@pytest.mark.databases("sqlite")
def test_a_lost_catalogue_is_made_anew_from_a_tree_that_other_templates_named(basemount, files, tmp_path):
    for patient in ("A/B", "A_B"):
        Study(patient).series(1, 2).write(tmp_path / "source")
    changed(files[0], tmp_path / "source" / "zz.dcm", PatientComments="added later")
    templates = ("--rootDirTemplate", "%PatientID", "--imageTemplate", "%Modality.dcm")
    assert counts(repack(basemount, "-p", files[0].parent, *templates)) == {"stored": 24, "conflicts": 1}
    before = fingerprint(basemount), packed.rows(basemount, "select * from folder order by name")
    shutil.rmtree(basemount / "log")
    ran = repack(basemount, "-p", basemount / "data", "--recursive", "--cleanup")
    assert counts(ran) == {"stored": 24, "conflicts": 1}
    packed.assert_catalogue_is_exact(basemount)
    assert (fingerprint(basemount), packed.rows(basemount, "select * from folder order by name")) == before
    assert counts(repack(basemount, "-p", basemount / "data", "--recursive")) == {"duplicates": 25}


def test_cleanup_of_the_tree_itself_removes_nothing_however_it_is_reached(basemount, files, tmp_path):
    repack(basemount, "-p", files[0].parent)
    before = fingerprint(basemount)
    (tmp_path / "link").symlink_to(basemount / "data")
    for name in (basemount / "data", tmp_path / "link", basemount / "log" / ".." / "data"):
        assert counts(repack(basemount, "-p", name, "--recursive", "--cleanup")) == {"duplicates": 20}
    assert fingerprint(basemount) == before
    mount = mounts.bind(basemount / "data", tmp_path / "mounted")
    mounts.run(
        mount,
        *(SCRIPTS / "px-repack", "--db", str(basemount / "log")),
        *("-p", str(tmp_path / "mounted"), "--recursive", "--cleanup"),
    )
    assert fingerprint(basemount) == before


def test_the_basemount_itself_is_left_out_of_a_directory_above_it(basemount, files):
    repack(basemount, "-p", files[0].parent)
    ran = repack(basemount, "-p", basemount.parent, "--recursive")
    assert counts(ran) == {"duplicates": 20}


def test_what_a_killed_process_had_begun_to_copy_is_cleared_away(basemount, files):
    begun = basemount / "data" / ".incoming~" / "copy-0123"
    begun.mkdir(parents=True)
    (begun / ".owner").write_bytes(b"")
    (begun / "1").write_bytes(files[0].read_bytes()[:100])
    repack(basemount, "-p", files[0].parent)
    assert_nothing_pending(basemount)
    assert not (basemount / "data" / ".incoming~").exists()


def test_a_person_sees_a_bar_and_a_sentence(basemount, files):
    (files[0].parent / "notes.txt").write_text("notes")
    ran = run_in_terminal(["px-repack", "--db", basemount / "log", "-p", files[0].parent])
    assert ran.status == 0
    assert "21/21" in ran.stdout
    assert "20 new, 1 not DICOM; 3 series" in ran.stdout
    again = run_in_terminal(["px-repack", "--db", basemount / "log", "-p", files[0].parent])
    assert "0 new, 20 here already, 1 not DICOM; 3 series" in again.stdout


@pytest.mark.databases("sqlite")
def test_nothing_is_imported_that_packing_can_do_without(basemount, files):
    loaded = packages_loaded_by("px-repack", "--db", basemount / "log", "--xcrdirfile", files[0])
    assert "pydicom" in loaded
    assert loaded.isdisjoint({"numpy", "requests", "urllib3", "rich"})
