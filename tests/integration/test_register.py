"""px-push and px-register into CUBE: both generations of it, on Swift and on a directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import datasets
import finds
from demo.cube import Cube
from demo.cube_rules import Interface
from demo.studies import Study
from registering import (
    assert_registered,
    chris,
    counts,
    events,
    members,
    pack,
    register,
    register_arguments,
)
from storing import PACS, SERVICE, Destination, push, write_service
from tools import run_in_terminal, run_tool

PLAIN = datasets.plain_study()
SERIES = [str(series.uid) for series in PLAIN.all_series]

#: Where the storage makes no difference.
on_directory = pytest.mark.parametrize("destination", ["fs"], indirect=True)


@pytest.fixture(params=list(Interface), ids=lambda kind: kind.name.lower())
def cube(request: pytest.FixtureRequest, destination: Destination, basemount: Path) -> Iterator[Cube]:
    """Each case on both generations, and on both kinds of storage."""
    with chris(request.param, destination, basemount) as cube:
        yield cube


@pytest.fixture(scope="session")
def packed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASEMOUNT with the plain study, to be copied."""
    basemount = tmp_path_factory.mktemp("packed") / "basemount"
    pack(basemount, PLAIN.write(basemount.with_name("source")))
    return basemount


@pytest.fixture
def packed(packed_once: Path, basemount: Path) -> None:
    """The plain study, in the tree."""
    shutil.copytree(packed_once, basemount, dirs_exist_ok=True)


@pytest.fixture
def pushed(basemount: Path, packed: None, destination: Destination) -> str:
    """The plain study in storage, and what px-push said."""
    return push(basemount, destination, "--StudyInstanceUID", PLAIN.uid).stdout


def requests(cube: Cube) -> int:
    """How often something was to be registered so far."""
    return len(cube.posts())


def test_what_was_pushed_is_registered(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    ran = register(basemount, stdin=pushed)
    assert counts(ran) == {"series": 3, "registered": 3, "files": 20, "newFiles": 20}
    assert [one["state"] for one in members(ran)] == ["registered"] * 3
    assert ran.stderr == ""
    assert_registered(cube, destination, basemount)
    assert requests(cube) == (3 if cube.interface is Interface.SERIES else 20)


def test_a_second_run_changes_nothing(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    register(basemount, stdin=pushed)
    before = list(cube.registered)
    again = register(basemount, stdin=pushed)
    assert counts(again) == {"series": 3, "alreadyRegistered": 3, "files": 20}
    assert cube.registered == before
    assert_registered(cube, destination, basemount)
    if cube.interface is Interface.FILE:
        assert requests(cube) == 20, "CUBE was asked what it knows, and nothing was registered twice"


@on_directory
@pytest.mark.parametrize("what", ["StudyInstanceUID", "SeriesInstanceUID", "find", "found study"])
def test_series_of_the_catalogue(
    cube: Cube, pushed: str, basemount: Path, destination: Destination, what: str
) -> None:
    found = {
        "find": finds.found(finds.study(PLAIN.uid, *(finds.series(uid) for uid in SERIES))),
        "found study": finds.found(finds.study(PLAIN.uid), StudyOnly=True),
    }
    if what in found:
        ran = register(basemount, stdin=finds.text_of(found[what]))
    else:
        uids = str(PLAIN.uid) if what == "StudyInstanceUID" else ",".join(SERIES)
        ran = register(basemount, f"--{what}", uids)
    assert counts(ran) == {"series": 3, "registered": 3, "files": 20, "newFiles": 20}
    assert_registered(cube, destination, basemount)


def _pushed_as(basemount: Path, destination: Destination, *names: str) -> None:
    """Have all of the plain study under the names of several PACS in storage, one after another."""
    for name in names:
        push(basemount, destination, "--swiftServicesPACS", name, "--StudyInstanceUID", PLAIN.uid)


def _found(**arguments: object) -> str:
    """The JSON of a find of the plain study that was given these options."""
    of_study = finds.study(PLAIN.uid, *(finds.series(uid) for uid in SERIES))
    return finds.text_of(finds.found(of_study, **arguments))


def _registered_as(cube: Cube) -> set[str]:
    return {one["pacs_name"] for one in cube.registered}


@on_directory
@pytest.mark.parametrize("tool", ["px-register", "px-do"])
def test_a_find_is_registered_as_of_the_pacs_that_it_names(
    cube: Cube, packed: None, basemount: Path, destination: Destination, tool: str
) -> None:
    """What others pushed later, under another name, is theirs."""
    _pushed_as(basemount, destination, "OURS", "LATER")
    found = _found(db=str(basemount / "log"), aec="ARCHIVE", swiftServicesPACS="OURS")
    then = ("--then", "register") if tool == "px-do" else ()
    ran = run_tool(tool, *then, "--CUBE", SERVICE, stdin=found)
    assert ran.status == 0, ran.stdout + ran.stderr
    assert _registered_as(cube) == {"OURS"}
    cube.forget()
    register(basemount, "--swiftServicesPACS", "LATER", stdin=found)
    assert _registered_as(cube) == {"LATER"}


@on_directory
def test_a_find_that_names_no_pacs_of_the_storage_is_registered_as_last_pushed(
    cube: Cube, packed: None, basemount: Path, destination: Destination
) -> None:
    _pushed_as(basemount, destination, "FIRST", "LAST")
    register(basemount, stdin=_found(aec="FIRST"))
    assert _registered_as(cube) == {"LAST"}


@on_directory
def test_a_find_is_registered_from_the_storage_that_it_names(
    cube: Cube, packed: None, basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_service(basemount, "storage", {"storagetype": "fs", "storepath": str(other)}, "other")
    _pushed_as(basemount, destination, "OURS")
    push(
        basemount,
        destination,
        *("--swift", "other", "--swiftServicesPACS", "ELSE", "--StudyInstanceUID", PLAIN.uid),
    )
    register(basemount, stdin=_found(swift=SERVICE))
    assert _registered_as(cube) == {"OURS"}
    nowhere = _found(swift=SERVICE, swiftServicesPACS="ELSE")
    assert register(basemount, stdin=nowhere, status=1).error == "not-in-storage"
    assert register(basemount, stdin=_found(swiftServicesPACS="a/b"), status=2).stdout == ""


@on_directory
@pytest.mark.parametrize("name", ["upstreamFile", "upstream", "lists", "comma lists"])
def test_the_json_of_px_push_by_other_ways(
    cube: Cube, pushed: str, basemount: Path, destination: Destination, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "pushed.json"
    file.write_text(pushed)
    lists = ("localFileList", "objectFileList")
    document = json.loads(pushed)
    arguments = {
        "upstreamFile": ["--upstreamFile", file],
        "upstream": ["--upstream", pushed],
        "lists": [word for one in lists for word in (f"--{one}", json.dumps(document[one]))],
        "comma lists": [word for one in lists for word in (f"--{one}", ",".join(document[one]))],
    }[name]
    assert counts(register(basemount, *arguments))["registered"] == 3
    assert_registered(cube, destination, basemount)


@on_directory
def test_files_that_were_pushed(
    cube: Cube, pushed: str, basemount: Path, destination: Destination, files: list[Path]
) -> None:
    ran = register(basemount, "--xcrdir", files[0].parent)
    assert counts(ran) == {"series": 3, "registered": 3, "files": 20, "newFiles": 20}
    assert_registered(cube, destination, basemount)


@on_directory
def test_files_that_were_pushed_from_elsewhere(
    cube: Cube, pushed: str, basemount: Path, destination: Destination, files: list[Path], tmp_path: Path
) -> None:
    """The catalogue knows nothing of them: their places follow from the templates."""
    other = tmp_path / "elsewhere"
    (basemount / "services").rename(tmp_path / "services")
    other.mkdir()
    (tmp_path / "services").rename(other / "services")
    ran = register(other, *destination.options, "--swiftServicesPACS", PACS, "--xcrdir", files[0].parent)
    assert counts(ran) == {"series": 3, "registered": 3, "files": 20, "newFiles": 20}
    assert_registered(cube, destination, other)


@on_directory
def test_px_status_tells(cube: Cube, pushed: str, basemount: Path) -> None:
    register(basemount, stdin=pushed)
    ran = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", PLAIN.uid)
    assert [one["registered"] for one in ran.json["data"]] == [3, 12, 5]
    assert {one["state"] for one in ran.json["data"]} == {"packed, pushed, registered"}


@on_directory
def test_cube_is_told_what_the_images_say(cube: Cube, pushed: str, basemount: Path) -> None:
    register(basemount, stdin=pushed)
    told = next(one for one in cube.registered if one["SeriesInstanceUID"] == SERIES[1])
    assert {
        "PatientID": "PLAIN-1",
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "1980-02-29",
        "PatientAge": 14610,
        "PatientSex": "F",
        "StudyDate": "2020-02-29",
        "AccessionNumber": "P-1",
        "Modality": "MR",
        "ProtocolName": "",
        "StudyInstanceUID": str(PLAIN.uid),
        "StudyDescription": "Plain study",
        "SeriesDescription": "T1",
        "pacs_name": PACS,
    }.items() <= told.items()


@on_directory
def test_the_catalogue_and_the_files_tell_the_same(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    register(basemount, stdin=pushed)
    of_files = {one["path"]: one for one in cube.registered}
    cube.forget()
    register(basemount, "--StudyInstanceUID", PLAIN.uid)
    assert {one["path"]: one for one in cube.registered} == of_files


@on_directory
def test_a_series_that_grows(cube: Cube, basemount: Path, destination: Destination, tmp_path: Path) -> None:
    """What came later is registered file by file; a registered series takes no more, which is said."""
    study = Study("GROWING-1", attributes={"StudyDate": "20200101"}).series(1, instances=6)
    files = study.write(tmp_path / "part")
    later = [file.rename(tmp_path / file.name) for file in files[4:]]
    pack(basemount, files[:4])
    register(basemount, stdin=push(basemount, destination, "--StudyInstanceUID", study.uid).stdout)
    for file in later:
        file.rename(tmp_path / "part" / file.name)
    pack(basemount, files)
    refused = register(basemount, "--StudyInstanceUID", study.uid, status=1)
    assert refused.error == "not-in-storage"
    pushed = push(basemount, destination, "--StudyInstanceUID", study.uid).stdout
    if cube.interface is Interface.FILE:
        assert counts(register(basemount, stdin=pushed))["newFiles"] == 2
        assert len(cube.files) == 6
        return
    ran = register(basemount, stdin=pushed, status=1)
    assert ran.error == "registration-rejected"
    assert "4 of its 6" in ran.json["error"]["message"]
    assert members(ran)[0]["state"] == "incomplete"


@on_directory
def test_several_studies_at_once(
    cube: Cube, packed: None, basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    other = datasets.plain_follow_up()
    pack(basemount, other.write(tmp_path / "other"))
    documents = [
        push(basemount, destination, "--StudyInstanceUID", uid).stdout for uid in (PLAIN.uid, other.uid)
    ]
    ran = register(basemount, stdin="".join(documents))
    assert counts(ran) == {"series": 4, "registered": 4, "files": 24, "newFiles": 24}
    assert_registered(cube, destination, basemount)


def test_two_at_once_register_each_once(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    from tools import Running

    cube.delay = 0.01
    arguments = register_arguments(basemount)
    running = [Running("px-register", *arguments, stdin=pushed) for _ in range(3)]
    ran = [one.wait() for one in running]
    assert [one.status for one in ran] == [0, 0, 0]
    assert sum(one.json["summary"]["newFiles"] for one in ran) == 20
    assert cube.files == sorted(destination.contents())
    assert len(cube.registered) == (3 if cube.interface is Interface.SERIES else 20)


@on_directory
def test_nothing_was_pushed(cube: Cube, basemount: Path) -> None:
    ran = register(
        basemount, stdin='{"status": "success", "data": [], "localFileList": [], "objectFileList": []}'
    )
    assert counts(ran) == {}
    assert ran.json["status"] == "success"


@on_directory
def test_at_a_terminal_a_person_reads_it(cube: Cube, pushed: str, basemount: Path, tmp_path: Path) -> None:
    file = tmp_path / "pushed.json"
    file.write_text(pushed)
    ran = run_in_terminal(["px-register", *register_arguments(basemount, "--upstreamFile", file)])
    assert ran.status == 0
    assert "12 of 12" in ran.stdout
    assert "3 of 3 series registered, 20 new files" in ran.stdout


@on_directory
def test_awkward_values_come_as_they_are(
    cube: Cube, basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    texts = {str(datasets.awkward_study(kind).uid): text for kind, text in datasets.AWKWARD_TEXTS.items()}
    names = {str(datasets.named_study(kind).uid): name for kind, (_, name) in datasets.NAMES.items()}
    for study in (
        *map(datasets.awkward_study, datasets.AWKWARD_TEXTS),
        *map(datasets.named_study, datasets.NAMES),
    ):
        study.write(tmp_path / "source")
    ran = push(basemount, destination, "--xcrdir", tmp_path / "source")
    register(basemount, stdin=ran.stdout)
    assert_registered(cube, destination, basemount)
    told = {one["StudyInstanceUID"]: one for one in cube.registered}
    assert told.keys() == {*texts, *names}
    assert {uid: told[uid]["PatientName"] for uid in names} == names
    assert {uid: told[uid]["SeriesDescription"] for uid in texts} == {
        uid: text.strip() for uid, text in texts.items()
    }


@on_directory
def test_what_is_too_long_is_cut_and_said(
    cube: Cube, basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    text = "ö" * 500
    study = Study("LONG-1", attributes={"StudyDate": "20200101", "PatientSex": "X"})
    files = study.series(1, SeriesDescription=text, PatientBirthDate="1980").write(tmp_path / "source")
    ran = register(basemount, stdin=push(basemount, destination, "--xcrdir", files[0].parent).stdout)
    assert cube.registered[0]["SeriesDescription"] == "ö" * 400
    assert members(ran)[0]["notes"] == [
        "SeriesDescription cut to 400 characters",
        "PatientBirthDate left out: it is nothing that CUBE takes",
        "PatientSex left out: it is nothing that CUBE takes",
    ]


@on_directory
@pytest.mark.parametrize("lacking", ["StudyDate", "PatientID"])
def test_what_cube_requires_is_missing(
    cube: Cube, basemount: Path, destination: Destination, tmp_path: Path, lacking: str
) -> None:
    attributes = {"StudyDate": "20200101", lacking: ""}
    bad = Study("BAD-1", attributes=attributes).series(1).write(tmp_path / "source")
    good = datasets.plain_follow_up().write(tmp_path / "source")
    pushed = push(basemount, destination, "--xcrdir", bad[0].parent).stdout
    ran = register(basemount, stdin=pushed, status=1)
    assert counts(ran) == {"series": 2, "registered": 1, "failed": 1, "files": 4, "newFiles": 4}
    assert ran.error == "attribute-missing"
    assert lacking in ran.json["error"]["message"]
    assert len(cube.files) == len(good)
    assert [count for _, count, _ in events(basemount, "failed")] == [None]
