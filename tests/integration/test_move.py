"""px-move by itself: by UID, by C-GET and by C-MOVE, whatever the images are."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from conftest import StartPacs
from datasets import (
    AWKWARD_TEXTS,
    TRANSFER_SYNTAXES,
    awkward_identifier,
    awkward_study,
    plain_study,
    write_encapsulated_pdf,
    write_enhanced_multiframe,
    write_transfer_syntaxes,
)
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from demo.server import free_port
from demo.studies import Study
from servers.orthanc import Orthanc
from tools import Ran, packages_loaded_by, run_in_terminal, run_tool
from trees import assert_holds, assert_nothing_pending, assert_nothing_quarantined, files_below, instances_in


@pytest.fixture(params=["C-GET", "C-MOVE"])
def way(request: pytest.FixtureRequest, pacs: Pacs) -> list[str]:
    """The options of each way in which images come."""
    return ["--get"] if request.param == "C-GET" else ["--receivePort", str(pacs.receive_port)]


def _move(pacs: Pacs, basemount: Path, *options: str) -> Ran:
    return run_tool("px-move", *pacs.node.options, "--db", basemount / "log", *options)


def _files(study: Study, directory: Path, series: int | None = None) -> list[Path]:
    paths = study.write(directory)
    return [path for path in paths if series is None or dcmread(path).SeriesNumber == series]


def _verdicts(ran: Ran) -> dict[str, dict[str, Any]]:
    return {verdict["SeriesInstanceUID"]: verdict for verdict in ran.json["data"]}


def test_a_whole_study(pacs: Pacs, way: list[str], basemount: Path, tmp_path: Path) -> None:
    study = plain_study()
    ran = _move(pacs, basemount, *way, "--StudyInstanceUID", study.uid)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.json["status"] == "success"
    assert ran.json["summary"]["received"] == study.instances
    verdicts = _verdicts(ran)
    assert set(verdicts) == {series.uid for series in study.all_series}
    for series in study.all_series:
        told = verdicts[series.uid]
        assert (told["state"], told["held"], told["received"]) == (
            "complete",
            series.instances,
            series.instances,
        )
        assert told["StudyInstanceUID"] == study.uid
    assert_holds(basemount, _files(study, tmp_path / "sent"))
    assert_nothing_pending(basemount)
    assert_nothing_quarantined(basemount)


def test_one_series_and_nothing_else(pacs: Pacs, way: list[str], basemount: Path, tmp_path: Path) -> None:
    study = plain_study()
    ran = _move(pacs, basemount, *way, "--SeriesInstanceUID", study.all_series[1].uid)
    assert ran.status == 0
    assert list(_verdicts(ran)) == [study.all_series[1].uid]
    assert_holds(basemount, _files(study, tmp_path / "sent", series=2))


def test_a_series_that_is_here_is_called_what_it_was_called(dcmqrscp: Dcmqrscp, basemount: Path) -> None:
    """Also where the PACS does not say it, as dcmqrscp does not."""
    asked = (*dcmqrscp.node.options, "--StudyInstanceUID", plain_study().uid, "--db", str(basemount / "log"))
    found = run_tool("px-find", *asked).stdout
    for state in ("complete", "already here"):
        ran = run_tool("px-move", "--get", stdin=found)
        assert [one["state"] for one in ran.json["data"]] == [state] * 3
        assert sorted(one["SeriesDescription"] for one in ran.json["data"]) == ["Localizer", "T1", "T2"]


def test_what_is_here_is_not_asked_for_again(pacs: Pacs, way: list[str], basemount: Path) -> None:
    uid = plain_study().uid
    assert _move(pacs, basemount, *way, "--StudyInstanceUID", uid).status == 0
    again = _move(pacs, basemount, *way, "--StudyInstanceUID", uid)
    assert again.status == 0
    assert {verdict["state"] for verdict in again.json["data"]} == {"already here"}
    assert again.json["summary"]["received"] == again.json["summary"]["duplicates"] == 0


def test_force_asks_for_what_is_here(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    study = plain_study()
    options = ("--get", "--SeriesInstanceUID", study.all_series[0].uid)
    assert _move(pacs, basemount, *options).status == 0
    again = _move(pacs, basemount, *options, "--force")
    assert again.status == 0
    assert again.json["summary"]["duplicates"] == 3
    assert_holds(basemount, _files(study, tmp_path / "sent", series=1))


@pytest.mark.parametrize("kind", AWKWARD_TEXTS)
def test_no_value_leads_out_of_the_tree(orthanc: Orthanc, basemount: Path, tmp_path: Path, kind: str) -> None:
    study = awkward_study(kind)
    ran = _move(orthanc, basemount, "--get", "--StudyInstanceUID", study.uid)
    assert ran.status == 0
    assert_holds(basemount, _files(study, tmp_path / "sent"))
    for path in files_below(basemount / "data"):
        parts = path.relative_to(basemount / "data").parts
        assert len(parts) == 4
        assert not any(character in part for part in parts for character in "\\\n\r\t\x1b$;`*?'\"<>|& ")


def test_an_identifier_that_looks_like_a_path(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    study = awkward_identifier()
    ran = _move(pacs, basemount, "--get", "--StudyInstanceUID", study.uid)
    assert ran.status == 0
    assert_holds(basemount, _files(study, tmp_path / "sent"))
    assert {path.name for path in tmp_path.iterdir()} <= {"basemount", "sent"}


@pytest.fixture
def mixed_orthanc(own_orthanc: Orthanc, tmp_path: Path) -> Orthanc:
    """An Orthanc with a study in which each series is in another transfer syntax or of another kind."""
    files = write_transfer_syntaxes(tmp_path / "sent")
    files["enhanced"] = write_enhanced_multiframe(tmp_path / "sent" / "enhanced.dcm")
    files["pdf"] = write_encapsulated_pdf(tmp_path / "sent" / "pdf.dcm")
    own_orthanc.store(files.values())
    return own_orthanc


_MIXED = {*TRANSFER_SYNTAXES, "enhanced", "pdf"}


def test_every_transfer_syntax_arrives_by_c_move(
    mixed_orthanc: Orthanc, basemount: Path, tmp_path: Path
) -> None:
    way = ("--receivePort", str(mixed_orthanc.receive_port))
    ran = _move(mixed_orthanc, basemount, *way, "--StudyInstanceUID", Study("MIXED-1").uid)
    assert ran.status == 0, ran.stdout
    assert {verdict["SeriesDescription"] for verdict in ran.json["data"]} == _MIXED
    # Not compared to the last byte: Orthanc packs some of the pixels anew on the way.
    assert set(instances_in(basemount)) == {
        dcmread(path).SOPInstanceUID for path in (tmp_path / "sent").iterdir()
    }
    assert_nothing_pending(basemount)
    assert_nothing_quarantined(basemount)


def test_what_cannot_come_by_c_get_is_said_and_the_rest_comes(
    mixed_orthanc: Orthanc, basemount: Path
) -> None:
    """getscu takes uncompressed images, and Orthanc can decompress all but JPEG 2000."""
    ran = _move(mixed_orthanc, basemount, "--get", "--StudyInstanceUID", Study("MIXED-1").uid)
    states = {verdict["SeriesDescription"]: verdict["state"] for verdict in ran.json["data"]}
    assert ran.status == 1
    assert states == {**dict.fromkeys(_MIXED, "complete"), "jpeg-2000": "failed"}
    assert ran.error == "request-failed"
    assert len(instances_in(basemount)) == len(_MIXED) - 1
    assert_nothing_pending(basemount)


def test_a_move_destination_that_the_pacs_does_not_know(pacs: Pacs, basemount: Path) -> None:
    ran = run_tool(
        "px-move",
        *("--aet", "STRANGER", "--aec", pacs.aec, "--serverIP", pacs.node.host, "--serverPort", pacs.port),
        *("--db", basemount / "log", "--receivePort", free_port(), "--StudyInstanceUID", plain_study().uid),
    )
    assert ran.status == 1
    # Orthanc says no more than that it was unable to.
    assert ran.error == ("request-failed" if isinstance(pacs, Orthanc) else "move-destination-unknown")
    assert "STRANGER" in ran.stderr
    assert instances_in(basemount) == {}


def test_a_port_to_receive_on_that_is_taken(pacs: Pacs, basemount: Path) -> None:
    ran = _move(pacs, basemount, "--receivePort", str(pacs.port), "--StudyInstanceUID", plain_study().uid)
    assert ran.status == 1
    assert ran.error == "port-in-use"
    assert str(pacs.port) in ran.stderr


def test_a_study_that_is_not_there(pacs: Pacs, basemount: Path) -> None:
    ran = _move(pacs, basemount, "--get", "--StudyInstanceUID", "1.2.3.4.5")
    assert ran.status == 1
    assert ran.error == "nothing-found"
    assert "1.2.3.4.5" in ran.stderr


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--get", "--receivePort", "11113"),
        ("--get", "--StudyInstanceUID", "not-a-uid"),
        ("--receivePort", "0"),
        ("--receivePort", "65536"),
        ("--get", "--jobs", "0"),
        ("--get", "--imageTemplate", "%NoSuchKeyword"),
        ("--get", "--imageTemplate", "%_nosuchfunction_PatientID"),
    ],
)
def test_wrong_usage_touches_nothing(pacs: Pacs, basemount: Path, options: tuple[str, ...]) -> None:
    given = () if "not-a-uid" in options else ("--StudyInstanceUID", plain_study().uid)
    ran = _move(pacs, basemount, *options, *given)
    assert ran.status == 2
    assert ran.stdout == ""
    assert not basemount.exists()


def test_people_see_a_bar_and_the_counts(pacs: Pacs, basemount: Path) -> None:
    study = plain_study()
    command = ["px-move", *pacs.node.options, "--db", basemount / "log", "--get"]
    ran = run_in_terminal([*command, "--StudyInstanceUID", study.uid])
    assert ran.status == 0
    assert "Retrieving" in ran.stdout
    assert "3 of 3 series complete, 20 new images" in ran.stdout


def test_an_empty_series_list_is_no_study(start_pacs: StartPacs, basemount: Path) -> None:
    pacs = start_pacs()
    ran = _move(pacs, basemount, "--get", "--StudyInstanceUID", plain_study().uid)
    assert ran.status == 1
    assert ran.error == "nothing-found"


def _found_alone(pacs: Pacs) -> Ran:
    return run_tool("px-find", *pacs.node.options, "--StudyInstanceUID", plain_study().uid, "--StudyOnly")


def test_studies_without_series_are_whole_studies(
    pacs: Pacs, way: list[str], basemount: Path, tmp_path: Path
) -> None:
    found = _found_alone(pacs)
    ran = run_tool("px-move", *way, "--db", basemount / "log", stdin=found.stdout)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.json["summary"]["series"] == len(plain_study().all_series)
    assert_holds(basemount, _files(plain_study(), tmp_path / "sent"))


def test_a_study_without_series_that_the_pacs_does_not_have_any_more(pacs: Pacs, basemount: Path) -> None:
    found = _found_alone(pacs).json
    found["data"][0]["StudyInstanceUID"]["value"] = "1.2.3.4"
    ran = run_tool("px-move", "--get", "--db", basemount / "log", stdin=json.dumps(found))
    assert ran.status == 1
    assert ran.json["error"]["code"] == "nothing-found"
    assert "1.2.3.4" in ran.json["error"]["message"]


def test_series_that_were_filtered_out_are_not_meant(pacs: Pacs, basemount: Path) -> None:
    found = run_tool("px-find", *pacs.node.options, "--StudyInstanceUID", plain_study().uid).json
    found["data"][0]["series"] = []
    ran = run_tool("px-move", "--get", "--db", basemount / "log", stdin=json.dumps(found))
    assert (ran.status, ran.json["data"]) == (0, [])


def test_nothing_is_imported_that_a_move_can_do_without(dcmqrscp: Dcmqrscp, basemount: Path) -> None:
    options = (*dcmqrscp.node.options, "--get", "--StudyInstanceUID", plain_study().uid)
    loaded = packages_loaded_by("px-move", *options, "--db", basemount / "log")
    assert "pydicom" in loaded
    assert loaded.isdisjoint({"numpy", "requests", "urllib3", "rich"})
