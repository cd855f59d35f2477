"""A series has one folder in storage, and a folder one series: whatever instances say, whoever pushes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

import catalogues
from datasets import plain_study
from demo.studies import Study
from packed import changed, repack
from storing import (
    SERVICE,
    TOP,
    Destination,
    DirectoryDestination,
    assert_one_folder_a_series,
    assert_stored,
    counts,
    folders,
    push,
    push_arguments,
    write_service,
)
from tools import Running

_PROCESSES = 6


@pytest.fixture
def quarrelling(tmp_path: Path) -> list[Path]:
    """One series of twelve whose instances disagree about all that its folder is named after."""
    files = []
    source = Study("Q-1", attributes={"PatientName": "One^Name", "StudyDate": "20200101"})
    source.series(1, instances=12, SeriesDescription="First")
    (tmp_path / "files").mkdir()
    for number, file in enumerate(source.write(tmp_path / "source")):
        files.append(
            changed(
                file,
                tmp_path / "files" / f"{number:02d}.dcm",
                PatientName=f"Name^{number % 4}",
                PatientAge=f"{number:03d}Y",
                StudyDescription=f"Study {number % 3}",
                SeriesDescription=f"Series {number}",
                SeriesNumber=str(number),
            )
        )
    return files


def _folder_of_lowest(files: list[Path]) -> str:
    """The folder by the default templates, from the instance with the lowest UID."""
    lowest = min((dcmread(file) for file in files), key=lambda one: str(one.SOPInstanceUID))
    name = str(lowest.PatientName).replace("^", "_")
    study = lowest.StudyDescription.replace(" ", "_")
    series = lowest.SeriesDescription.replace(" ", "_")
    return f"{TOP}/Q-1-{name}-/{study}--20200101-{lowest.PatientAge}-/{int(lowest.SeriesNumber):05d}-{series}"


def test_instances_that_disagree(basemount: Path, destination: Destination, quarrelling: list[Path]) -> None:
    repack(basemount, "--xcrdir", quarrelling[0].parent)
    uid = str(dcmread(quarrelling[0]).SeriesInstanceUID)
    ran = push(basemount, destination, "--SeriesInstanceUID", uid)
    assert_stored(destination, quarrelling)
    (folder,) = folders(destination.contents())
    assert folder == ran.json["data"][0]["folder"]
    assert folder.startswith(_folder_of_lowest(quarrelling))


def test_the_folder_of_the_first_push_stays(
    basemount: Path, destination: Destination, quarrelling: list[Path]
) -> None:
    """Whatever comes later, and in whichever parts."""
    chosen = None
    by_uid = sorted(quarrelling, key=lambda file: str(dcmread(file).SOPInstanceUID), reverse=True)
    for number, file in enumerate(by_uid):
        ran = push(basemount, destination, "--xcrdirfile", file)
        verdict = ran.json["data"][0]
        chosen = chosen or verdict["folder"]
        assert (verdict["folder"], verdict["instances"]) == (chosen, number + 1)
    assert_stored(destination, quarrelling)
    repack(basemount, "--xcrdir", quarrelling[0].parent)
    uid = str(dcmread(quarrelling[0]).SeriesInstanceUID)
    again = push(basemount, destination, "--SeriesInstanceUID", uid)
    assert counts(again) == {"series": 1, "alreadyThere": 1, "files": 12}


def test_without_its_catalogue_the_same_folder_is_found(
    basemount: Path, destination: Destination, quarrelling: list[Path]
) -> None:
    directory = quarrelling[0].parent
    push(basemount, destination, "--xcrdir", directory)
    shutil.rmtree(basemount / "log")
    ran = push(basemount, destination, "--xcrdir", directory)
    assert counts(ran) == {"series": 1, "alreadyThere": 1, "files": 12}


@pytest.mark.databases("sqlite", "postgresql")
def test_processes_that_push_parts_of_it_at_once(
    basemount: Path, destination: Destination, quarrelling: list[Path], tmp_path: Path
) -> None:
    parts = [tmp_path / f"part-{number}" for number in range(_PROCESSES)]
    for number, part in enumerate(parts):
        part.mkdir()
        # Each file is in three of the parts.
        for file in quarrelling[number % 4 :: 4] + quarrelling[(number + 1) % 4 :: 4]:
            (part / file.name).symlink_to(file)
    running = [
        Running("px-push", *push_arguments(basemount, destination, "--xcrdir", part)) for part in parts
    ]
    rans = [one.wait() for one in running]
    assert [ran.status for ran in rans] == [0] * _PROCESSES, [ran.stderr for ran in rans]
    assert_stored(destination, quarrelling)
    told = {ran.json["data"][0]["folder"] for ran in rans}
    assert set(folders(destination.contents())) == told
    assert len(told) == 1
    assert catalogues.rows(basemount, "select folder from storage_folder") == [(told.pop(),)]


@pytest.mark.databases("sqlite", "postgresql")
def test_processes_that_push_a_study_at_once(basemount, destination, tmp_path) -> None:
    study = plain_study()
    files = study.write(tmp_path / "files")
    repack(basemount, "--xcrdir", tmp_path / "files")
    arguments = push_arguments(basemount, destination, "--StudyInstanceUID", study.uid)
    running = [Running("px-push", *arguments) for _ in range(_PROCESSES)]
    rans = [one.wait() for one in running]
    assert [ran.status for ran in rans] == [0] * _PROCESSES, [ran.stderr for ran in rans]
    assert_stored(destination, files)
    assert len({tuple(ran.json["objectFileList"]) for ran in rans}) == 1


def test_series_that_would_share_a_folder(basemount: Path, destination: Destination, tmp_path: Path) -> None:
    study = plain_study()
    files = study.write(tmp_path / "files")
    template = ("--seriesDirTemplate", "same", "--imageTemplate", "%_pad|4,0_InstanceNumber.dcm")
    ran = push(basemount, destination, *template, "--xcrdir", tmp_path / "files")
    assert_stored(destination, files)
    assert len({one["folder"] for one in ran.json["data"]}) == 3
    before = destination.contents()
    push(basemount, destination, *template, "--xcrdir", tmp_path / "files")
    assert destination.contents() == before


def test_a_folder_that_holds_another_series_of_another_catalogue(
    basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    """Two BASEMOUNTs, one storage, and a template that does not tell series apart."""
    template = ("--seriesDirTemplate", "same", "--imageTemplate", "%InstanceNumber.dcm")
    studies = [Study(f"S-{n}", name=f"{n}").series(1, instances=3, SeriesDescription=f"{n}") for n in (1, 2)]
    other = tmp_path / "other-basemount"
    if isinstance(destination, DirectoryDestination):
        write_service(other, "storage", {"storagetype": "fs", "storepath": str(destination.root)})
    else:
        write_service(other, "swift", destination.fields, SERVICE)
    common = ("--rootDirTemplate", "root", "--studyDirTemplate", "study", *template)
    files = [study.write(tmp_path / study.uid) for study in studies]
    push(basemount, destination, *common, "--xcrdir", tmp_path / studies[0].uid)
    push(other, destination, *common, "--xcrdir", tmp_path / studies[1].uid)
    assert_stored(destination, [*files[0], *files[1]])
    # And each goes on in its own.
    for where, study in zip((basemount, other), studies, strict=True):
        ran = push(where, destination, *common, "--xcrdir", tmp_path / study.uid)
        assert counts(ran) == {"series": 1, "alreadyThere": 1, "files": 3}


def test_a_folder_with_something_else_in_it_is_left_alone(
    basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    study = plain_study()
    files = study.write(tmp_path / "files")
    first = push(basemount, destination, "--xcrdir", tmp_path / "files").json["data"][0]["folder"]
    for name in destination.contents():
        destination.remove(name)
    shutil.rmtree(basemount / "log")
    destination.put(f"{first}/notes.txt", b"somebody's notes")
    push(basemount, destination, "--xcrdir", tmp_path / "files")
    contents = destination.contents()
    assert contents.pop(f"{first}/notes.txt") == b"somebody's notes"
    assert not any(name.startswith(f"{first}/") for name in contents)
    assert sorted(contents.values()) == sorted(file.read_bytes() for file in files)
    assert_one_folder_a_series(contents)


def test_each_storage_and_each_pacs_name_has_its_own(
    basemount: Path, destination: Destination, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")[:3]
    for file in files:
        push(basemount, destination, "--xcrdirfile", file)
        push(basemount, destination, "--swiftServicesPACS", "Other one", "--xcrdirfile", file)
    contents = destination.contents()
    assert {name.split("/")[2] for name in contents} == {"BCH", "Other one"}
    assert len(contents) == 6
    assert len(catalogues.rows(basemount, "select distinct target from storage_folder")) == 2
