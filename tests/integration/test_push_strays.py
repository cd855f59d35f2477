"""px-push and px-register where images of another patient or study have the UIDs of a series."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.cube_rules import Interface
from demo.studies import stable_uid
from packed import repack
from registering import chris, register
from storing import TOP, Destination, assert_stored, counts, folders, push
from straying import LOCALIZER, OTHER, of_another
from tools import Ran

(SERIES,) = (str(series.uid) for series in LOCALIZER.all_series)

#: The UID of another study.
STUDY = str(stable_uid("another study"))


@pytest.fixture
def own(basemount: Path, tmp_path: Path) -> list[Path]:
    """The three images of the series, as they are in data/."""
    files = LOCALIZER.write(tmp_path / "own")
    repack(basemount, "-p", files[0].parent)
    return sorted((basemount / "data").rglob("*.dcm"))


def _add(basemount: Path, own: list[Path], directory: Path, **values: str) -> list[Path]:
    """Pack two images of another patient, or as told."""
    others = of_another(own[:2], directory, **values)
    repack(basemount, "-p", directory)
    return others


def _assert_own_alone(ran: Ran, destination: Destination, own: list[Path], state: str) -> None:
    assert (ran.status, ran.error) == (1, "stray-images")
    (series,) = ran.json["data"]
    assert (series["state"], series["files"], series["instances"]) == (state, 3, 3)
    assert (
        f"2 images say that they are of another patient or study than their series {SERIES}"
        in (series["error"]["message"])
    )
    assert "px-smdb --action check" in series["error"]["hint"]
    assert_stored(destination, own)


def test_the_series_by_its_uid(basemount, destination, own, tmp_path):
    _add(basemount, own, tmp_path / "others")
    ran = push(basemount, destination, "--SeriesInstanceUID", SERIES, status=1)
    _assert_own_alone(ran, destination, own, "incomplete")
    assert {folder.startswith(f"{TOP}/STRAY-1-") for folder in folders(destination.contents())} == {True}
    again = push(basemount, destination, "--SeriesInstanceUID", SERIES, status=1)
    _assert_own_alone(again, destination, own, "incomplete")


def test_the_other_patient_found_by_a_search(basemount, destination, own, tmp_path):
    """What is meant is the other patient's images: nothing is sent in their place."""
    _add(basemount, own, tmp_path / "others")
    text = _found(str(LOCALIZER.uid), OTHER["PatientID"])
    ran = push(basemount, destination, "--json", status=1, stdin=text)
    assert (ran.error, ran.json["data"][0]["state"]) == ("stray-images", "failed")
    assert destination.contents() == {}


def test_the_study_of_the_others(basemount, destination, own, tmp_path):
    _add(basemount, own, tmp_path / "others", StudyInstanceUID=STUDY)
    ran = push(basemount, destination, "--StudyInstanceUID", STUDY, status=1)
    assert (ran.error, ran.json["data"][0]["state"]) == ("stray-images", "failed")
    assert destination.contents() == {}
    ran = push(basemount, destination, "--StudyInstanceUID", LOCALIZER.uid, status=1)
    _assert_own_alone(ran, destination, own, "incomplete")


def test_a_pacs_that_has_another_id_of_the_patient_changes_nothing(basemount, destination, own):
    ran = push(basemount, destination, "--json", stdin=_found(str(LOCALIZER.uid), "0STRAY-1"))
    assert counts(ran) == {"series": 1, "pushed": 1, "files": 3, "uploaded": 3}


def test_files_of_two_patients(basemount, destination, tmp_path):
    """As nobody knows the series: the first file says whose it is."""
    files = LOCALIZER.write(tmp_path / "files")
    of_another(files[:2], tmp_path / "others")
    for file in (tmp_path / "others").iterdir():
        file.rename(tmp_path / "files" / f"other-{file.name}")
    ran = push(basemount, destination, "--xcrdir", tmp_path / "files", status=1)
    assert ran.error == "stray-images"
    assert len(folders(destination.contents())) == 1
    assert len(destination.contents()) in (2, 3)


def test_files_of_another_patient_than_the_catalogue_knows(basemount, destination, own, tmp_path):
    of_another(own[:2], tmp_path / "others")
    ran = push(basemount, destination, "--xcrdir", tmp_path / "others", status=1)
    assert (ran.error, destination.contents()) == ("stray-images", {})


def test_registered_are_those_that_were_pushed(basemount, destination, own, tmp_path):
    push(basemount, destination, "--SeriesInstanceUID", SERIES)
    _add(basemount, own, tmp_path / "others")
    pushed = push(basemount, destination, "--SeriesInstanceUID", SERIES, status=1)
    with chris(Interface.SERIES, destination, basemount):
        piped = register(basemount, stdin=pushed.stdout, status=1)
        assert piped.error == "not-in-storage"
        ran = register(basemount, "--SeriesInstanceUID", SERIES)
        (series,) = ran.json["data"]
        assert (series["files"], series["registered"]) == (3, 3)
        other = register(basemount, stdin=_found(str(LOCALIZER.uid), OTHER["PatientID"]), status=1)
        assert (other.error, other.json["data"][0]["registered"]) == ("stray-images", 0)


def _found(study_uid: str, patient_id: str) -> str:
    """A find of the series as of this study and patient."""
    values = {"StudyInstanceUID": study_uid, "PatientID": patient_id}
    series = {"SeriesInstanceUID": SERIES, "StudyInstanceUID": study_uid}
    return json.dumps(
        {
            "status": "success",
            "args": {},
            "data": [{**_attributes(values), "series": [_attributes(series)]}],
        }
    )


def _attributes(values: dict[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"tag": "0010,0010", "value": value, "label": name} for name, value in values.items()}
