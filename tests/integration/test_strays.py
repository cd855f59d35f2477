"""Images with the UIDs of one patient's series that say that they are another's: packed, told of, found."""

from __future__ import annotations

from pathlib import Path

import pytest

import packed
from demo.studies import stable_uid
from listener import PxListen, send
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
        told = listen.status()
        assert (told["received"], told["failed"]) == (6, 0)
        assert "another patient or study" in told["lastError"]
    assert not any(value in listen.log for value in OTHER.values())
    assert len(instances_in(basemount)) == 6


def _status(basemount: Path) -> tuple[int, str]:
    ran = run_tool("px-status", "--db", basemount / "log", "--SeriesInstanceUID", SERIES)
    (series,) = ran.json["data"]
    assert series["received"] == series["packed"]
    return series["packed"], series["state"]
