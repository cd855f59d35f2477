"""px-push to another PACS: storescp and Orthanc as targets."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.pixels.decoders import RLELosslessDecoder
from pydicom.uid import UID

import catalogues
import datasets
from datasets import plain_study
from demo.pacs import Pacs
from demo.server import HOST, free_port
from demo.studies import Study
from instances import save_bare
from packed import repack
from servers.orthanc import Orthanc
from servers.peers import SilentPeer, Wire
from servers.storescp import Storescp
from storing import assert_lists_agree, counts
from tools import Ran, Running, run_tool
from trees import assert_same_data_set


@pytest.fixture
def plain(basemount: Path, tmp_path: Path) -> Study:
    study = plain_study()
    study.write(tmp_path / "files")
    repack(basemount, "--xcrdir", tmp_path / "files")
    return study


@pytest.fixture
def storescp(tmp_path: Path):
    with Storescp(tmp_path / "storescp") as server:
        yield server


def _send(basemount: Path, pacs: Pacs, *arguments: object, port: int = 0, status: int = 0) -> Ran:
    word = f"{HOST}:{pacs.aec}:{port or pacs.port}"
    ran = run_tool("px-push", word, "--db", basemount / "log", *map(str, arguments))
    assert ran.status == status, ran.stderr
    return ran


def _received(server: Storescp) -> dict[str, Path]:
    return {str(dcmread(path).SOPInstanceUID): path for path in server.received.iterdir()}


def _assert_received(server: Storescp, files: list[Path]) -> None:
    received = _received(server)
    sent = {str(dcmread(file).SOPInstanceUID): file for file in files}
    assert set(received) == set(sent)
    for uid, file in sent.items():
        assert_same_data_set(received[uid], file)


def test_a_study_to_storescp(basemount, storescp, plain, tmp_path) -> None:
    ran = _send(basemount, storescp, "--StudyInstanceUID", plain.uid)
    assert ran.stderr == ""
    assert counts(ran) == {"series": 3, "pushed": 3, "files": 20, "uploaded": 20}
    _assert_received(storescp, sorted((tmp_path / "files").iterdir()))
    assert_lists_agree(ran)
    assert set(ran.json["objectFileList"]) == set(_received(storescp))
    events = "select target, sum(count) from event where kind = 'pushed' group by target"
    assert catalogues.rows(basemount, events) == [(f"dicom://{HOST}:ANY-SCP:{storescp.port}", 20)]


def test_a_study_that_is_not_here_does_not_stop_the_others(basemount, storescp, plain, tmp_path) -> None:
    ran = _send(basemount, storescp, "--StudyInstanceUID", f"1.2.3.4,{plain.uid}", status=1)
    assert counts(ran) == {"series": 4, "pushed": 3, "failed": 1, "files": 20, "uploaded": 20}
    assert ran.error == "nothing-found"
    _assert_received(storescp, sorted((tmp_path / "files").iterdir()))


def test_a_study_to_orthanc_twice(basemount, own_orthanc: Orthanc, plain) -> None:
    for _ in range(2):
        ran = _send(basemount, own_orthanc, "--StudyInstanceUID", plain.uid)
        assert counts(ran) == {"series": 3, "pushed": 3, "files": 20, "uploaded": 20}
        assert own_orthanc.instances == 20
    found = run_tool("px-find", *own_orthanc.node.options, "--PatientID", "PLAIN-1").json
    assert found["data"][0]["StudyDescription"]["value"] == "Plain study"


def test_every_transfer_syntax_stays_as_it_is(basemount, storescp, tmp_path) -> None:
    files = datasets.write_transfer_syntaxes(tmp_path / "mixed")
    _send(basemount, storescp, "--xcrdir", tmp_path / "mixed")
    received = _received(storescp)
    assert len(received) == len(files)
    for kind, file in files.items():
        sent = dcmread(file)
        got = dcmread(received[str(sent.SOPInstanceUID)])
        if kind not in ("implicit", "explicit"):
            assert got.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        # Pixel data of odd length, which some of these files have, is padded when it is sent.
        assert got.PixelData.rstrip(b"\0") == sent.PixelData.rstrip(b"\0")
        others = [element for element in sent if element.tag not in (0x7FE00010, 0xFFFCFFFC)]
        assert all(got.get(element.tag) == element for element in others)


def test_a_pacs_that_takes_only_uncompressed_images(basemount, tmp_path) -> None:
    files = datasets.write_transfer_syntaxes(
        tmp_path / "mixed", ("explicit", "rle", "jpeg-lossless", "deflated", "jpeg-2000")
    )
    with Storescp(tmp_path / "plain", "+x=") as server:
        ran = _send(basemount, server, "--xcrdir", tmp_path / "mixed", status=1)
        # What DCMTK can decompress without loss is sent so; the rest is told.
        assert ran.error == "service-not-offered"
        received = _received(server)
    kept = {kind for kind, file in files.items() if str(dcmread(file).SOPInstanceUID) in received}
    assert kept == {"explicit", "rle", "jpeg-lossless", "deflated"}
    assert counts(ran) == {"series": 5, "pushed": 4, "failed": 1, "files": 5, "uploaded": 4}
    for kind in kept:
        sent, got = dcmread(files[kind]), dcmread(received[str(dcmread(files[kind]).SOPInstanceUID)])
        assert kind != "rle" or got.PixelData == RLELosslessDecoder.as_buffer(sent)[0]
        assert not UID(got.file_meta.TransferSyntaxUID).is_compressed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"aec": "WRONG"}, "called-title-unknown"),
        ({"port": "closed"}, "connection-refused"),
        ({"host": "no-such-host.invalid"}, "host-unknown"),
    ],
)
def test_a_pacs_that_is_named_wrongly(basemount, orthanc, plain, change, code) -> None:
    port = free_port() if "port" in change else orthanc.port
    word = f"{change.get('host', HOST)}:{change.get('aec', orthanc.aec)}:{port}"
    db = ("--db", basemount / "log")
    ran = run_tool("px-push", word, *db, "--StudyInstanceUID", plain.uid)
    assert (ran.status, ran.error) == (1, code)
    assert ran.seconds < 45
    assert counts(ran) == {"series": 3, "failed": 3, "files": 20}
    assert ran.stderr.count("\n") == 1
    pushed = catalogues.rows(
        basemount, "select kind, count(*) from event where kind in ('pushed', 'failed') group by 1"
    )
    assert pushed == [("failed", 3)]


def test_a_pacs_that_refuses_associations(basemount, plain, tmp_path) -> None:
    with Storescp(tmp_path / "refusing", "--refuse") as server:
        ran = _send(basemount, server, "--StudyInstanceUID", plain.uid, status=1)
    assert ran.error == "association-rejected"


def test_a_pacs_that_aborts(basemount, plain, tmp_path) -> None:
    with Storescp(tmp_path / "aborting", "--abort-after") as server:
        ran = _send(basemount, server, "--StudyInstanceUID", plain.uid, "--retries", 1, status=1)
    assert ran.error == "connection-lost"
    assert counts(ran) == {"series": 3, "failed": 3, "files": 20}


def test_a_pacs_that_hangs_in_the_middle(basemount, plain, tmp_path) -> None:
    with Storescp(tmp_path / "hanging", "--sleep-after", "120") as server:
        ran = _send(
            basemount, server, "--StudyInstanceUID", plain.uid, "--retries", 0, "--timeout", 2, status=1
        )
    assert ran.error == "peer-timeout"
    assert ran.seconds < 60


def test_a_pacs_that_never_answers(basemount, plain) -> None:
    with SilentPeer() as peer:
        word = f"{HOST}:SILENT:{peer.port}"
        ran = run_tool(
            "px-push",
            *(word, "--db", basemount / "log", "--StudyInstanceUID", plain.uid, "--timeout", 2),
        )
    assert (ran.status, ran.error) == (1, "peer-timeout")


def test_a_wire_that_is_cut_in_the_middle(basemount, storescp, plain, tmp_path) -> None:
    with Wire(storescp.port, cut_after=2000, heals=True) as wire:
        ran = _send(basemount, storescp, "--StudyInstanceUID", plain.uid, port=wire.port)
    assert counts(ran) == {"series": 3, "pushed": 3, "files": 20, "uploaded": 20}
    _assert_received(storescp, sorted((tmp_path / "files").iterdir()))


def test_the_find_of_one_pacs_is_pushed_to_another(basemount, orthanc, storescp) -> None:
    found = run_tool("px-find", *orthanc.node.options, "--PatientID", "PLAIN-1", "--db", basemount / "log")
    assert run_tool("px-move", "--get", stdin=found.stdout).status == 0
    ran = run_tool("px-push", f"{HOST}:{storescp.aec}:{storescp.port}", stdin=found.stdout)
    assert ran.status == 0, ran.stderr
    assert len(_received(storescp)) == 24


def test_several_hundred_files_by_several_associations(basemount, storescp, tmp_path) -> None:
    study = datasets.large_study(series=3, instances=150)
    files = study.write(tmp_path / "large")
    ran = _send(basemount, storescp, "--xcrdir", tmp_path / "large", "--jobs", 3)
    assert counts(ran) == {"series": 3, "pushed": 3, "files": 450, "uploaded": 450}
    _assert_received(storescp, files)


def test_names_of_patients_are_on_no_command_line(basemount, storescp, plain, tmp_path) -> None:
    running = Running(
        "px-push",
        *(f"{HOST}:{storescp.aec}:{storescp.port}", "--db", basemount / "log"),
        *("--StudyInstanceUID", plain.uid, "--verbosity", "3"),
    )
    ran = running.wait()
    assert ran.status == 0
    commands = [line for line in ran.stderr.splitlines() if "/dcmsend" in line]
    assert commands
    assert not any("Doe" in line for line in commands)


def test_killed_in_the_middle_and_again(basemount, storescp, tmp_path) -> None:
    study = datasets.large_study(series=4, instances=150)
    files = study.write(tmp_path / "large")
    arguments = (
        f"{HOST}:{storescp.aec}:{storescp.port}",
        "--db",
        basemount / "log",
        "--xcrdir",
        tmp_path / "large",
    )
    running = Running("px-push", *arguments)
    running.feed()
    while not any(storescp.received.iterdir()):
        assert running.process.poll() is None
    running.kill()
    ran = run_tool("px-push", *arguments)
    assert counts(ran)["uploaded"] == 600
    _assert_received(storescp, files)


def test_a_missing_program(basemount, storescp, plain, tmp_path) -> None:
    options = ("--StudyInstanceUID", plain.uid, "--dcmsend", tmp_path / "nothing")
    ran = _send(basemount, storescp, *options, status=1)
    assert ran.error == "binary-missing"


def test_a_service_key(basemount, storescp, plain) -> None:
    (basemount / "services").mkdir(exist_ok=True)
    file = basemount / "services" / "pacs.json"
    file.write_text(f'{{"research": {{"aec": "ANY-SCP", "ip": "{HOST}", "port": "{storescp.port}"}}}}')
    ran = run_tool(
        "px-push", "--PACS", "research", "--db", basemount / "log", "--StudyInstanceUID", plain.uid
    )
    assert ran.status == 0, ran.stderr
    assert len(_received(storescp)) == 20


def test_a_bare_data_set(basemount, storescp, tmp_path) -> None:
    (file, *_) = plain_study().write(tmp_path / "files")
    instance = dcmread(file)
    bare = tmp_path / "bare"
    bare.mkdir()
    save_bare(instance, bare / "bare.dcm", implicit=True)
    ran = _send(basemount, storescp, "--xcrdir", bare)
    assert counts(ran)["uploaded"] == 1
    assert set(_received(storescp)) == {str(instance.SOPInstanceUID)}
