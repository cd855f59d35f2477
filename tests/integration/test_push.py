"""px-push into storage: what lies there afterwards, what the answer says, what the catalogue knows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

import catalogues
import datasets
import finds
from datasets import plain_study
from demo.studies import Study
from packed import changed, repack
from pypx.actions.found import to_json
from storing import (
    PACS,
    TOP,
    Destination,
    assert_lists_agree,
    assert_one_folder_a_series,
    assert_stored,
    counts,
    folders,
    push,
)
from tools import run_in_terminal, run_tool

STUDY = f"{TOP}/PLAIN-1-Doe_Jane-19800229/Plain_study-P-1-20200229-040Y-14610"


@pytest.fixture
def plain(basemount: Path, tmp_path: Path) -> Study:
    """The plain study, in data/ and in the catalogue."""
    study = plain_study()
    study.write(tmp_path / "files")
    repack(basemount, "--xcrdir", tmp_path / "files")
    return study


def _files(basemount: Path) -> list[Path]:
    return sorted(path for path in (basemount / "data").rglob("*.dcm"))


def _status(basemount: Path, study: Study) -> dict[str, dict]:
    ran = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid, "--json")
    return {one["SeriesInstanceUID"]: one for one in ran.json["data"]}


def test_a_study_by_its_uid(basemount: Path, destination: Destination, plain: Study) -> None:
    ran = push(basemount, destination, "--StudyInstanceUID", plain.uid)
    assert counts(ran) == {"series": 3, "pushed": 3, "files": 20, "uploaded": 20}
    assert ran.stderr == ""
    assert_stored(destination, _files(basemount))
    assert {folder.rpartition("/")[0] for folder in folders(destination.contents())} == {STUDY}
    assert_lists_agree(ran)
    document = ran.json
    assert document["status"] == "success"
    for one, series in zip(document["data"], plain.all_series, strict=True):
        assert (one["StudyInstanceUID"], one["SeriesInstanceUID"]) == (plain.uid, series.uid)
        assert (one["state"], one["files"], one["uploaded"]) == ("pushed", series.instances, series.instances)
        assert one["instances"] == series.instances
        assert folders(destination.contents())[one["folder"]] == series.instances
    contents = destination.contents()
    for local, name in zip(document["localFileList"], document["objectFileList"], strict=True):
        assert contents[name] == Path(local).read_bytes()
    assert document["summary"]["bytes"] == sum(len(content) for content in contents.values())


def test_a_second_push_sends_nothing(basemount: Path, destination: Destination, plain: Study) -> None:
    first = push(basemount, destination, "--StudyInstanceUID", plain.uid).json
    before = destination.contents()
    second = push(basemount, destination, "--StudyInstanceUID", plain.uid)
    assert counts(second) == {"series": 3, "alreadyThere": 3, "files": 20}
    assert second.json["summary"]["bytes"] == 0
    assert destination.contents() == before
    assert second.json["objectFileList"] == first["objectFileList"]
    assert second.json["localFileList"] == first["localFileList"]
    assert {one["state"] for one in second.json["files"]} == {"already there"}


def test_the_catalogue_knows_what_was_pushed_where(
    basemount: Path, destination: Destination, plain: Study
) -> None:
    assert {one["pushed"] for one in _status(basemount, plain).values()} == {"unknown"}
    push(basemount, destination, "--StudyInstanceUID", plain.uid)
    for series in plain.all_series:
        told = _status(basemount, plain)[series.uid]
        assert (told["packed"], told["pushed"]) == (series.instances, series.instances)
        assert told["state"] == "packed, pushed"
    targets = {row[0] for row in catalogues.rows(basemount, "select target from event where kind = 'pushed'")}
    (target,) = targets
    assert target.startswith("swift://chris@" if destination.kind == "swift" else "file:///")
    assert target.endswith(f"/{TOP}")


def test_series_by_uid(basemount: Path, destination: Destination, plain: Study) -> None:
    first, second, _ = plain.all_series
    ran = push(basemount, destination, "--SeriesInstanceUID", f"{second.uid},{first.uid}\\{second.uid}")
    assert [one["SeriesInstanceUID"] for one in ran.json["data"]] == [second.uid, first.uid]
    assert len(destination.contents()) == first.instances + second.instances
    assert_one_folder_a_series(destination.contents())


def test_a_find_on_standard_input(pacs, basemount: Path, swift_container) -> None:
    found = run_tool("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", "--db", basemount / "log")
    moved = run_tool("px-move", "--get", stdin=found.stdout)
    assert moved.status == 0
    # Neither --db nor the name of the PACS is said again; and the find's PACS is not where it goes to.
    ran = run_tool("px-push", "--swift", "local", stdin=found.stdout)
    assert ran.status == 0, ran.stderr
    assert counts(ran) == {"series": 4, "pushed": 4, "files": 24, "uploaded": 24}
    assert {name.split("/")[2] for name in swift_container.contents()} == {pacs.aec}
    assert sorted(swift_container.contents().values()) == sorted(
        path.read_bytes() for path in _files(basemount)
    )


def test_files(basemount: Path, destination: Destination, tmp_path: Path) -> None:
    study = plain_study()
    files = study.write(tmp_path / "files" / "deep")
    (tmp_path / "files" / "notes.txt").write_text("not DICOM")
    ran = push(basemount, destination, "--xcrdir", tmp_path / "files", "--recursive", "--swiftPackEachDICOM")
    assert counts(ran) == {"series": 3, "pushed": 3, "files": 20, "uploaded": 20, "skipped": 1}
    assert_stored(destination, files)
    assert_lists_agree(ran)
    assert sorted(ran.json["localFileList"]) == sorted(str(file) for file in files)
    # A directory's files go where those of the catalogue would.
    repack(basemount, "--xcrdir", tmp_path / "files" / "deep")
    again = push(basemount, destination, "--StudyInstanceUID", study.uid)
    assert counts(again) == {"series": 3, "alreadyThere": 3, "files": 20}


@pytest.mark.parametrize("option", ["--xcrdirfile", "--xcrfile"])
def test_a_file_that_is_named_itself_and_is_not_dicom_has_failed(
    basemount: Path, destination: Destination, tmp_path: Path, option: str
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    named = [option, notes] if option == "--xcrdirfile" else ["--xcrdir", tmp_path, option, notes.name]
    ran = push(basemount, destination, *named, status=1)
    assert counts(ran) == {"files": 1}
    assert ran.error == "not-dicom"
    assert [(one["file"], one["state"]) for one in ran.json["files"]] == [(str(notes), "failed")]
    assert str(notes) in ran.stderr
    assert destination.contents() == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--xcrdir", ".", "--parseAllFilesWithSubStr", "one,two"], 2),
        (["--xcrdir", ".", "--xcrfile", "one.dcm"], 1),
        (["--xcrdirfile", "two.dcm"], 1),
    ],
)
def test_some_files(basemount, swift_container, tmp_path, options, expected) -> None:
    source = plain_study().write(tmp_path / "made")
    directory = tmp_path / "files"
    directory.mkdir()
    for name, file in zip(("one", "two", "three"), source, strict=False):
        shutil.copy(file, directory / f"{name}.dcm")
    arguments = ["--db", basemount / "log", "--swift", "local", "--swiftServicesPACS", PACS, *options]
    ran = run_tool("px-push", *arguments, directory=directory)
    assert ran.status == 0, ran.stderr
    assert len(swift_container.contents()) == expected


def test_damaged_files_are_told_and_the_others_pushed(
    basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) - 100])
    ran = push(basemount, destination, "--xcrdir", tmp_path / "files", status=1)
    assert ran.error == "file-damaged"
    assert_stored(destination, files[1:])
    assert_lists_agree(ran)
    (failed,) = (one for one in ran.json["files"] if one["state"] == "failed")
    assert (failed["file"], failed["object"], failed["error"]["code"]) == (str(files[0]), "", "file-damaged")


def test_a_file_that_is_gone_from_data(basemount: Path, destination: Destination, plain: Study) -> None:
    gone, *rest = _files(basemount)
    gone.unlink()
    ran = push(basemount, destination, "--StudyInstanceUID", plain.uid, status=1)
    assert counts(ran) == {"series": 3, "pushed": 2, "incomplete": 1, "files": 20, "uploaded": 19}
    assert_stored(destination, rest)
    (failed,) = (one for one in ran.json["files"] if one["state"] == "failed")
    assert (failed["file"], failed["error"]["code"]) == (str(gone), "file-unreadable")
    pushed = sorted(one["pushed"] for one in _status(basemount, plain).values())
    assert sum(pushed) == 19
    assert sum("last failure" in one["state"] for one in _status(basemount, plain).values()) == 1


def test_a_series_that_is_not_here(basemount: Path, destination: Destination, plain: Study) -> None:
    first = plain.all_series[0]
    ran = push(basemount, destination, "--SeriesInstanceUID", f"1.2.3.4,{first.uid}", status=1)
    assert counts(ran) == {
        "series": 2,
        "pushed": 1,
        "failed": 1,
        "files": first.instances,
        "uploaded": first.instances,
    }
    missing, there = ran.json["data"]
    assert (missing["SeriesInstanceUID"], missing["state"], missing["error"]["code"]) == (
        "1.2.3.4",
        "failed",
        "nothing-found",
    )
    assert there["state"] == "pushed"
    assert "px-move" in ran.stderr
    ran = push(basemount, destination, "--StudyInstanceUID", "1.2.3.4", status=1)
    assert ran.error == "nothing-found"


def test_a_study_that_is_not_here_does_not_stop_the_others(
    basemount: Path, destination: Destination, plain: Study
) -> None:
    ran = push(basemount, destination, "--StudyInstanceUID", f"1.2.3.4,{plain.uid}", status=1)
    assert counts(ran) == {"series": 4, "pushed": 3, "failed": 1, "files": 20, "uploaded": 20}
    assert_stored(destination, _files(basemount))
    *_, missing = ran.json["data"]
    assert (missing["StudyInstanceUID"], missing["SeriesInstanceUID"], missing["state"]) == (
        "1.2.3.4",
        "",
        "failed",
    )
    assert ran.error == missing["error"]["code"] == "nothing-found"
    assert "the study 1.2.3.4" in ran.stderr
    again = push(basemount, destination, "--StudyInstanceUID", f"1.2.3.4,{plain.uid}", status=1)
    assert counts(again) == {"series": 4, "alreadyThere": 3, "failed": 1, "files": 20}


def test_an_object_that_was_lost_or_damaged_is_put_there_again(
    basemount: Path, destination: Destination, plain: Study
) -> None:
    push(basemount, destination, "--StudyInstanceUID", plain.uid)
    before = destination.contents()
    lost, cut, emptied, *_ = sorted(before)
    destination.remove(lost)
    destination.put(cut, before[cut][:-10])
    destination.put(emptied, b"")
    ran = push(basemount, destination, "--StudyInstanceUID", plain.uid)
    assert counts(ran)["uploaded"] == 3
    assert destination.contents() == before


def test_the_same_data_set_with_other_meta_information_is_there(
    basemount: Path, destination: Destination, plain: Study
) -> None:
    push(basemount, destination, "--StudyInstanceUID", plain.uid)
    name = min(destination.contents())
    there = changed_meta(destination.contents()[name])
    destination.put(name, there)
    ran = push(basemount, destination, "--StudyInstanceUID", plain.uid)
    assert counts(ran) == {"series": 3, "alreadyThere": 3, "files": 20}
    assert destination.contents()[name] == there


def changed_meta(content: bytes) -> bytes:
    """The same instance as another program would have written it."""
    from io import BytesIO

    instance = dcmread(BytesIO(content))
    instance.file_meta.ImplementationVersionName = "ANOTHER"
    instance.file_meta.SourceApplicationEntityTitle = "SOMEBODY"
    written = BytesIO()
    instance.save_as(written, enforce_file_format=True)
    assert written.getvalue() != content
    return written.getvalue()


def test_other_content_of_the_same_uid_goes_beside_it(
    basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    (file, *_) = plain_study().write(tmp_path / "files")
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    shutil.copy(file, one / "a.dcm")
    changed(file, other / "a.dcm", ImageComments="looked at twice")
    push(basemount, destination, "--xcrdir", one)
    ran = push(basemount, destination, "--xcrdir", other)
    assert counts(ran)["uploaded"] == 1
    assert_stored(destination, [one / "a.dcm", other / "a.dcm"])
    again = push(basemount, destination, "--xcrdir", other)
    assert counts(again) == {"series": 1, "alreadyThere": 1, "files": 1}
    # The catalogue, which keeps both too, has the same names for them.
    repack(basemount, "--xcrdir", one)
    repack(basemount, "--xcrdir", other)
    assert len(_files(basemount)) == 2
    uid = str(dcmread(file).SeriesInstanceUID)
    both = push(basemount, destination, "--SeriesInstanceUID", uid)
    assert counts(both) == {"series": 1, "alreadyThere": 1, "files": 2}
    assert both.json["data"][0]["instances"] == 1


def test_a_template_that_does_not_tell_instances_apart(
    basemount: Path, destination: Destination, plain: Study
) -> None:
    template = ("--imageTemplate", "image.dcm")
    ran = push(basemount, destination, *template, "--StudyInstanceUID", plain.uid)
    assert_stored(destination, _files(basemount))
    before = destination.contents()
    again = push(basemount, destination, *template, "--StudyInstanceUID", plain.uid)
    assert counts(again) == {"series": 3, "alreadyThere": 3, "files": 20}
    assert destination.contents() == before
    assert ran.json["objectFileList"] == again.json["objectFileList"]


def test_files_one_by_one_with_such_a_template(
    basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")[:4]
    for file in files:
        ran = push(basemount, destination, "--imageTemplate", "image.dcm", "--xcrdirfile", file)
        assert counts(ran)["uploaded"] == 1
    assert_stored(destination, files)
    assert ran.json["data"][0]["instances"] == len(
        [name for name in destination.contents() if name.startswith(ran.json["data"][0]["folder"])]
    )


def test_the_same_file_twice_is_one_object(basemount: Path, destination: Destination, tmp_path: Path) -> None:
    files = plain_study().write(tmp_path / "files")[:2]
    (tmp_path / "few").mkdir()
    for number, file in enumerate((*files, *files)):
        shutil.copy(file, tmp_path / "few" / f"{number}.dcm")
    ran = push(basemount, destination, "--xcrdir", tmp_path / "few")
    assert_stored(destination, files)
    assert len(ran.json["objectFileList"]) == 4
    assert len(set(ran.json["objectFileList"])) == 2
    assert_lists_agree(ran)


def test_awkward_values_stay_within_their_folder(
    basemount: Path, destination: Destination, sample_files: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "links").mkdir()
    for number, file in enumerate(sample_files):
        (tmp_path / "links" / str(number)).symlink_to(file)
    ran = push(basemount, destination, "--xcrdir", tmp_path / "links")
    assert counts(ran)["uploaded"] == len(sample_files)
    assert_stored(destination, sample_files)
    for name in destination.contents():
        assert len(name.split("/")) == 7
        assert len(name) <= 512
        assert "," not in name
        assert all(part not in ("", ".", "..") for part in name.split("/"))


def test_names_that_would_be_too_long(basemount: Path, destination: Destination, tmp_path: Path) -> None:
    studies = [
        Study(
            f"LONG-{number}",
            attributes={
                "PatientName": "x" * 64,
                "StudyDescription": "y" * 64,
                "AccessionNumber": "z" * 16,
                "StudyDate": "20200101",
            },
        ).series(1, instances=2, SeriesDescription="v" * 64)
        for number in (1, 2)
    ]
    files = [path for study in studies for path in study.write(tmp_path / "files")]
    template = "%StudyDescription-" * 10
    ran = push(
        basemount,
        destination,
        "--xcrdir",
        tmp_path / "files",
        *("--studyDirTemplate", template, "--seriesDirTemplate", template, "--imageTemplate", template),
    )
    assert counts(ran) == {"series": 2, "pushed": 2, "files": 4, "uploaded": 4}
    assert_stored(destination, files)
    assert max(len(name) for name in destination.contents()) <= 512


def test_every_transfer_syntax(basemount: Path, destination: Destination, tmp_path: Path) -> None:
    files = list(datasets.write_transfer_syntaxes(tmp_path / "files").values())
    push(basemount, destination, "--xcrdir", tmp_path / "files")
    assert_stored(destination, files)


def test_templates_of_ones_own(basemount: Path, destination: Destination, plain: Study) -> None:
    ran = push(
        basemount,
        destination,
        *("--rootDirTemplate", "%PatientID", "--studyDirTemplate", "%StudyDate"),
        *("--seriesDirTemplate", "%SeriesDescription", "--imageTemplate", "%_pad|3,0_InstanceNumber.dcm"),
        *("--StudyInstanceUID", plain.uid),
    )
    assert sorted(one["folder"] for one in ran.json["data"]) == [
        f"{TOP}/PLAIN-1/20200229/{name}" for name in ("Localizer", "T1", "T2")
    ]
    assert f"{TOP}/PLAIN-1/20200229/T2/001.dcm" in destination.contents()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--imageTemplate", "%Nonsense"],
        ["--swiftServicesPACS", "a,b"],
        ["--swiftServicesPACS", "a/b"],
        ["--swiftServicesPACS", ".."],
        ["--swiftServicesPACS", "x" * 21],
        ["--jobs", "0"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_touches_nothing(basemount, destination, plain, arguments) -> None:
    ran = push(basemount, destination, "--StudyInstanceUID", plain.uid, *arguments, status=2)
    assert ran.stdout == ""
    assert destination.contents() == {}


def test_nothing_said_about_where_or_what(basemount: Path, plain: Study) -> None:
    db = ("--db", basemount / "log")
    for arguments in (
        ("--StudyInstanceUID", plain.uid),
        ("--swiftIP", "127.0.0.1", "--StudyInstanceUID", plain.uid),
        ("--storeBaseLocation", "/", "--StudyInstanceUID", plain.uid),
        ("--storeBaseLocation", "/", "--aec", "X", "--StudyInstanceUID", plain.uid),
        ("--swift", "nothing", "--swiftServicesPACS", PACS, "--StudyInstanceUID", plain.uid),
    ):
        ran = run_tool("px-push", *db, *arguments)
        assert (ran.status, ran.stdout) == (2, ""), arguments
        assert ran.stderr.count("\n") == 1


def test_a_key_that_is_not_known_lists_those_that_are(basemount, swift_container, plain) -> None:
    arguments = ("--swift", "nothing", "--swiftServicesPACS", PACS, "--StudyInstanceUID", plain.uid)
    ran = run_tool("px-push", "--db", basemount / "log", *arguments)
    assert ran.status == 2
    assert "The known ones are: local." in ran.stderr


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"status": "error"}'])
def test_input_that_is_no_find(basemount, destination, text) -> None:
    ran = push(basemount, destination, stdin=text, status=1)
    assert ran.error == "invalid-input"


def test_a_find_without_matches_pushes_nothing(basemount, destination) -> None:
    ran = push(basemount, destination, stdin=json.dumps({"status": "success", "data": [], "args": {}}))
    assert (ran.json["status"], ran.json["data"], ran.json["files"]) == ("success", [], [])


def test_at_a_terminal(basemount: Path, destination: Destination, plain: Study) -> None:
    command = ["px-push", "--db", basemount / "log", *destination.options, "--swiftServicesPACS", PACS]
    ran = run_in_terminal([*command, "--StudyInstanceUID", plain.uid])
    assert ran.status == 0
    assert "Pushing" in ran.stdout
    assert "+ 12 of 12     T1" in ran.stdout
    assert "3 of 3 series there, 20 of 20 files uploaded" in ran.stdout


def test_options_that_name_the_storage(basemount, swift_container, plain, tmp_path) -> None:
    fields = swift_container.fields
    swift_container.know(login="wrong:wrong", port=1)
    arguments = [
        *("--db", basemount / "log", "--swift", "local", "--swiftServicesPACS", PACS),
        *("--swiftIP", fields["ip"], "--swiftPort", fields["port"]),
        *("--SeriesInstanceUID", plain.all_series[0].uid),
    ]
    secret = tmp_path / "login"
    secret.write_text(f"{fields['login']}\n")
    secret.chmod(0o600)
    for said in (
        [*arguments, "--swiftLogin", fields["login"]],
        [*arguments, "--swiftLogin", f"@{secret}"],
    ):
        assert run_tool("px-push", *said).status == 0
    assert run_tool("px-push", *arguments, environment={"PYPX_SWIFT_LOGIN": fields["login"]}).status == 0
    assert run_tool("px-push", *arguments, environment={"PYPX_SWIFT_LOGIN": f"@{secret}"}).status == 0
    ran = run_tool(
        "px-push",
        *arguments,
        environment={"PYPX_SWIFT_LOGIN": fields["login"], "PYPX_SWIFT_KEY": "wr0ng-key"},
    )
    assert ran.error == "storage-refused"
    assert "wr0ng-key" not in ran.stdout + ran.stderr
    json_arguments = json.dumps({"swiftLogin": f"@{secret}"})
    assert run_tool("px-push", *arguments, "--JSONargs", json_arguments).status == 0
    secret.write_text("two\nlines\n")
    ran = run_tool("px-push", *arguments, "--swiftLogin", f"@{secret}")
    assert (ran.status, ran.error) == (1, "file-unreadable")
    ran = run_tool("px-push", *arguments, "--swiftLogin", f"@{tmp_path / 'nothing'}")
    assert (ran.status, ran.error) == (1, "file-unreadable")


def test_a_directory_by_option(basemount: Path, plain: Study, tmp_path: Path) -> None:
    store = tmp_path / "mounted"
    arguments = [
        *("--db", basemount / "log", "--storeBaseLocation", store, "--swiftServicesPACS", PACS),
        *("--StudyInstanceUID", plain.uid),
    ]
    ran = run_tool("px-push", *arguments)
    assert (ran.status, ran.error) == (1, "storage-unreachable")
    assert not store.exists()
    store.mkdir()
    ran = run_tool("px-push", *arguments, "--retries", 0)
    assert (ran.status, ran.json["args"]["retries"]) == (0, 0)
    assert sorted(path.read_bytes() for path in store.rglob("*.dcm")) == sorted(
        path.read_bytes() for path in _files(basemount)
    )


def test_series_that_were_filtered_out_of_a_find_are_not_pushed(
    basemount: Path, destination: Destination, plain: Study
) -> None:
    one = finds.study(plain.uid, finds.series(plain.all_series[0].uid))
    filtered = json.dumps(to_json(finds.found(one, finds.study("1.2.3.4"))))
    ran = push(basemount, destination, stdin=filtered)
    assert (ran.status, counts(ran)["pushed"]) == (0, 1)
    alone = json.dumps(to_json(finds.found(finds.study(plain.uid), StudyOnly=True)))
    assert counts(push(basemount, destination, stdin=alone))["series"] == len(plain.all_series)
