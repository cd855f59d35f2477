"""Images with the UIDs of one patient's series that say that they are another's: packed, told of, found."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

import catalogues
import packed
from demo.studies import Study, stable_uid
from held import action, found, found_series, smdb
from listener import PxListen, send, until
from packed import counts, repack
from straying import LOCALIZER, OTHER, of_another
from tools import run_tool
from trees import instances_in

pytestmark = pytest.mark.databases("sqlite", "postgresql")

on_sqlite = pytest.mark.databases("sqlite")

(SERIES,) = (str(series.uid) for series in LOCALIZER.all_series)


@pytest.fixture
def first(tmp_path: Path) -> list[Path]:
    """Three images of one patient."""
    return LOCALIZER.write(tmp_path / "first")


def test_they_are_kept_as_what_they_say_they_are_and_told_of(basemount, first, tmp_path):
    others = of_another(first[:2], tmp_path / "others")
    repack(basemount, "-p", first[0].parent)
    ran = repack(basemount, "-p", others[0].parent, "--verbosity", "1")
    assert counts(ran) == {"stored": 2, "strays": 2}
    (series,) = ran.json["data"]
    assert (series["SeriesInstanceUID"], series["stored"], series["strays"]) == (SERIES, 2, 2)
    (line,) = ran.stderr.splitlines()
    assert f"2 images with the UID of the series {SERIES} say that they are of another patient" in line
    assert not any(value in line for value in OTHER.values())
    assert len(list((basemount / "data").glob("OTHER-9*/*/*/*"))) == 2
    packed.assert_catalogue_is_exact(basemount)
    again = repack(basemount, "-p", others[0].parent, "--verbosity", "1")
    assert (counts(again), again.stderr) == ({"duplicates": 2}, "")


def test_both_patients_in_one_batch(basemount, first, tmp_path):
    of_another(first, tmp_path / "first" / "others", StudyInstanceUID=stable_uid("other"))
    ran = repack(basemount, "-p", tmp_path / "first", "--recursive", "--verbosity", "1")
    assert counts(ran) == {"stored": 6, "strays": 3}
    assert len(ran.stderr.splitlines()) == 1


def test_a_patient_id_that_was_corrected(basemount, first, tmp_path):
    repack(basemount, "-p", first[0].parent)
    corrected = of_another(first, tmp_path / "corrected", same_images=True, PatientID="STRAY-2")
    ran = repack(basemount, "-p", corrected[0].parent)
    assert counts(ran) == {"conflicts": 3, "strays": 3}
    assert len(list((basemount / "data").rglob("*.dcm"))) == 6
    assert _status(basemount) == (3, "packed, 3 of another patient or study beside it")


def test_they_do_not_count_as_of_the_series(basemount, first, tmp_path):
    repack(basemount, "-p", first[0].parent)
    repack(basemount, "-p", of_another(first[:1], tmp_path / "others")[0].parent)
    assert _status(basemount) == (3, "packed, 1 of another patient or study beside it")


@on_sqlite
def test_px_listen_tells_of_them(basemount, first, tmp_path):
    others = of_another(first, tmp_path / "others")
    with PxListen(basemount) as listen:
        send(listen.port, first)
        listen.wait_until_packed(3)
        send(listen.port, others)
        listen.wait_for(f"with the UID of the series {SERIES} say")
        until(lambda: listen.status()["received"] == 6)
        told = listen.status()
        assert told["failed"] == 0
        assert "another patient or study" in told["lastError"]
    # Once, as the listener says it, and not by the log as well.
    assert not [line for line in listen.lines if line.startswith("px-listen: ")]
    assert not any(value in listen.log for value in OTHER.values())
    assert len(instances_in(basemount)) == 6


def test_each_patient_finds_their_own(basemount, first, tmp_path):
    others = of_another(first[:2], tmp_path / "others")
    repack(basemount, "-p", first[0].parent)
    repack(basemount, "-p", others[0].parent)
    for patient, name, images in (("STRAY-1", "Doe^Jane", 3), ("OTHER-9", "Roe^Richard", 2)):
        ran = smdb(basemount, "search", "--PatientID", patient)
        assert found(ran, "PatientName") == [name]
        assert found(ran, "NumberOfStudyRelatedInstances") == [str(images)]
        assert found_series(ran, "NumberOfSeriesRelatedInstances") == [str(images)]
        assert found_series(ran, "SeriesInstanceUID") == [SERIES]
        (row,) = action(basemount, "imageDirsPatientID", patient).json["data"]
        assert (row["PatientID"], row["images"]) == (patient, images)
        assert Path(row["directory"]).relative_to(basemount / "data").parts[0].startswith(patient)
    for name in ("imageDirsSeriesInstanceUID", "seriesDirLocation"):
        rows = action(basemount, name, SERIES).json["data"]
        assert [(row["PatientID"], row["images"]) for row in rows] == [("STRAY-1", 3), ("OTHER-9", 2)]
    # What is known of the study is of the first patient's.
    assert found(smdb(basemount, "search", "--StudyInstanceUID", str(LOCALIZER.uid)), "StudyDate") == [
        "20200229",
        "",
    ]
    assert found(smdb(basemount, "search", "--StudyDate", "20200229"), "PatientID") == ["STRAY-1"]
    other = str(dcmread(others[0]).SOPInstanceUID)
    assert found(smdb(basemount, "search", "--query", f"SOPInstanceUID={other}"), "PatientID") == ["OTHER-9"]
    assert len(found(smdb(basemount, "search", "--Modality", "*", "--limit", "1"), "PatientID")) == 1


def test_a_study_of_strays_and_of_its_own_series(basemount, first, tmp_path):
    study = Study("OTHER-9", attributes={"PatientName": "Roe^Richard"}).series(1, 4, Modality="MR")
    repack(basemount, "-p", study.write(tmp_path / "study")[0].parent)
    repack(basemount, "-p", first[0].parent)
    others = of_another(first[:2], tmp_path / "others", StudyInstanceUID=study.uid, **OTHER)
    repack(basemount, "-p", others[0].parent)
    ran = smdb(basemount, "search", "--PatientID", "OTHER-9")
    assert found(ran, "NumberOfStudyRelatedInstances") == ["6"]
    assert found(ran, "NumberOfStudyRelatedSeries") == ["2"]
    assert sorted(found_series(ran, "NumberOfSeriesRelatedInstances")) == ["2", "4"]
    ran = smdb(basemount, "search", "--SeriesInstanceUID", SERIES)
    assert found(ran, "NumberOfStudyRelatedInstances") == ["3", "6"]


def test_a_check_tells_of_them_until_a_person_has_seen_to_it(basemount, first, tmp_path):
    repack(basemount, "-p", first[0].parent)
    repack(basemount, "-p", of_another(first[:2], tmp_path / "others")[0].parent)
    for repair in ([], ["--repair"]):
        ran = smdb(basemount, "check", *repair, status=1)
        assert (ran.error, ran.json["summary"]["strays"], ran.json["summary"]["left"]) == (
            "catalogue-differs",
            1,
            1,
        )
        (finding,) = ran.json["data"]
        assert finding["fault"] == "of another patient or study"
        assert finding["detail"] == f"2 images with the UID of the series {SERIES}"
        assert "a person must find out" in ran.json["error"]["hint"]
    for file in Path(finding["file"]).iterdir():
        file.unlink()
    smdb(basemount, "check", "--repair")
    assert smdb(basemount, "check").json["data"] == []
    assert _status(basemount) == (3, "packed")


def test_a_catalogue_made_anew_knows_them_again(basemount, first, tmp_path):
    """From the files alone; which of them are the strays is then as the files come."""
    repack(basemount, "-p", first[0].parent)
    repack(basemount, "-p", of_another(first[:1], tmp_path / "others")[0].parent)
    catalogues.execute(
        basemount,
        *("delete from instance", "delete from stray", "delete from series"),
        *("delete from study", "delete from patient"),
    )
    smdb(basemount, "check", "--repair", status=1)
    packed_now, state = _status(basemount)
    assert (packed_now, state.split(" ")[1]) in ((3, "1"), (1, "3"))


def _remove(basemount: Path, patient: str) -> None:
    for file in (basemount / "data").glob(f"{patient}*/*/*/*"):
        file.unlink()


def test_where_the_first_were_wrong_the_others_are_the_series_once_those_are_removed(
    basemount, first, tmp_path
):
    others = of_another(first, tmp_path / "others")
    repack(basemount, "-p", first[0].parent)
    repack(basemount, "-p", others[0].parent)
    _remove(basemount, "STRAY-1")
    ran = smdb(basemount, "check", "--repair")
    assert (ran.json["summary"]["missing"], ran.json["summary"]["strays"]) == (3, 1)
    assert "it is of this patient and study now" in ran.json["data"][-1]["done"]
    assert smdb(basemount, "check").json["data"] == []
    assert _status(basemount) == (3, "packed")
    ran = smdb(basemount, "search", "--SeriesInstanceUID", SERIES)
    assert found(ran, "PatientName") == ["Roe^Richard"]
    assert smdb(basemount, "search", "--PatientID", "STRAY-1").json["data"] == []
    packed.assert_catalogue_is_exact(basemount)
    # From now on the first ones are the strays.
    assert counts(repack(basemount, "-p", first[0].parent)) == {"stored": 3, "strays": 3}


def test_strays_of_several_are_not_all_of_the_series(basemount, first, tmp_path):
    third = {"PatientID": "THIRD-3", "PatientName": "Poe^Paula"}
    for files in (
        first,
        of_another(first, tmp_path / "others"),
        of_another(first[:1], tmp_path / "third", **third),
    ):
        repack(basemount, "-p", files[0].parent)
    _remove(basemount, "STRAY-1")
    ran = smdb(basemount, "check", "--repair", status=1)
    assert [one["file"].count("THIRD-3") for one in ran.json["data"] if one["done"] == ""] == [1]
    assert _status(basemount) == (3, "packed, 1 of another patient or study beside it")


def test_one_that_was_overwritten_meanwhile_is_not_said_to_be_of_the_series(basemount, first, tmp_path):
    repack(basemount, "-p", first[0].parent)
    repack(basemount, "-p", of_another(first, tmp_path / "others")[0].parent)
    _remove(basemount, "STRAY-1")
    overwritten = sorted((basemount / "data").glob("OTHER-9*/*/*/*"))[0]
    overwritten.write_bytes(bytes(overwritten.stat().st_size))
    ran = smdb(basemount, "check", "--repair", status=1)
    (left,) = [one for one in ran.json["data"] if one["file"] == str(overwritten)]
    assert "not a DICOM file" in left["done"]
    assert ran.json["summary"]["left"] == 1
    assert _status(basemount) == (2, "packed")


def test_a_study_of_which_other_series_are_held_stays_whose_it_is(basemount, tmp_path):
    study = Study("STRAY-1", attributes={"PatientName": "Doe^Jane"})
    files = study.series(1, 2).series(2, 2).write(tmp_path / "first")
    one, two = (str(series.uid) for series in study.all_series)
    repack(basemount, "-p", files[0].parent)
    of_one = [file for file in files if dcmread(file).SeriesInstanceUID == one]
    repack(basemount, "-p", of_another(of_one, tmp_path / "others")[0].parent)
    for file in instances_in(basemount).values():
        image = dcmread(file)
        if (image.SeriesInstanceUID, image.PatientID) == (one, "STRAY-1"):
            file.unlink()
    for _ in range(2):
        ran = smdb(basemount, "check", "--repair", status=1)
        assert [each["detail"] for each in ran.json["data"] if not each["done"]] == [
            f"2 images with the UID of the series {one}"
        ]
    packed.assert_catalogue_is_exact(basemount)
    ran = smdb(basemount, "search", "--SeriesInstanceUID", two)
    assert found(ran, "PatientName") == ["Doe^Jane"]


def _status(basemount: Path) -> tuple[int, str]:
    ran = run_tool("px-status", "--db", basemount / "log", "--SeriesInstanceUID", SERIES)
    (series,) = ran.json["data"]
    assert series["received"] == series["packed"]
    return series["packed"], series["state"]
