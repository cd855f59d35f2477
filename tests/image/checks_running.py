"""The image as it is run: each form of its arguments, as its user, on a root that cannot be written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tomllib
from pathlib import Path

import pytest

from demo.dcmqrscp import Dcmqrscp
from demo.server import ENVIRONMENT, HOST
from demo.studies import Study
from image import container
from image.build import Image
from image.conftest import RunImage
from image.container import Container

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

_TOOLS = sorted(_PROJECT["scripts"])


@pytest.mark.parametrize("tool", _TOOLS)
def test_each_tool_runs_under_both_of_its_names(run_image: RunImage, tool: str) -> None:
    for name in (tool, f"--{tool}"):
        ran = run_image(name, "--version")
        assert (ran.status, ran.stdout, ran.stderr) == (0, "pypx 4.0.0\n", "")


@pytest.mark.parametrize(
    "arguments", [("bash",), ("--port", "104"), ("px-fnd",), ("",), ("/bin/sh", "-c", "id")]
)
def test_what_is_no_tool_gets_the_list_of_tools(run_image: RunImage, arguments: tuple[str, ...]) -> None:
    ran = run_image(*arguments)
    assert (ran.status, ran.stdout) == (2, "")
    assert ", ".join(_TOOLS) in ran.stderr


def test_wrong_usage_of_a_tool_is_the_tool_s_to_tell(run_image: RunImage) -> None:
    ran = run_image("--px-find", "--PatentID", "1")
    assert ran.status == 2
    assert "--PatientID" in ran.stderr


def test_find_asks_a_pacs_outside(run_image: RunImage, pacs: Dcmqrscp, study: Study) -> None:
    ran = run_image("--px-find", pacs.node.word, "--PatientID", study.patient_id)
    assert ran.status == 0, ran.stderr
    (found,) = json.loads(ran.stdout)["data"]
    assert found["PatientName"]["value"] == "Müller^Jürgen"
    assert len(found["series"]) == 2


def test_find_and_move_bring_the_images_into_the_volume(
    run_image: RunImage, pacs: Dcmqrscp, study: Study, image: Image, volume: Path
) -> None:
    found = run_image("px-find", pacs.node.word, "--PatientID", study.patient_id)
    moved = run_image("px-move", "--get", stdin=found.stdout)
    assert moved.status == 0, moved.stderr
    assert json.loads(moved.stdout)["status"] == "success"
    images = list((volume / "data").rglob("*.dcm"))
    assert len(images) == study.instances
    assert {(path.stat().st_uid, path.stat().st_gid) for path in images} == {(image.uid, image.gid)}
    report = run_image("px-report", "--printReport", "csv", stdin=found.stdout)
    assert "Müller^Jürgen" in report.stdout


def test_any_other_user_may_run_it_on_a_directory_of_their_own(
    run_image: RunImage, pacs: Dcmqrscp, study: Study, volume: Path
) -> None:
    stranger = (65432, 65432)
    os.chown(volume, *stranger)
    found = run_image("px-find", pacs.node.word, "--PatientID", study.patient_id, user=stranger)
    moved = run_image("px-move", "--get", stdin=found.stdout, user=stranger)
    assert moved.status == 0, moved.stderr
    assert {path.stat().st_uid for path in (volume / "data").rglob("*")} == {stranger[0]}


def test_a_volume_of_somebody_else_is_told_in_one_sentence(
    run_image: RunImage, pacs: Dcmqrscp, study: Study, volume: Path
) -> None:
    found = run_image("px-find", pacs.node.word, "--PatientID", study.patient_id)
    os.chown(volume, 0, 0)
    ran = run_image("px-move", "--get", stdin=found.stdout)
    assert ran.status == 1
    assert json.loads(ran.stdout)["error"]["code"] == "basemount-unusable"


def test_a_signal_reaches_the_tool(image: Image, volume: Path, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as silent:
        word = f"{HOST}:SILENT:{silent.getsockname()[1]}"
        silent.settimeout(20)
        with Container(image.launch("px-echo", word, volume=volume), tmp_path / "log") as running:
            connection, _ = silent.accept()
            with connection:
                assert running.stop(signal.SIGTERM, timeout=20) == 130
        assert "interrupted" in running.log


def test_without_arguments_it_listens_until_it_is_stopped(
    image: Image, volume: Path, tmp_path: Path, files: list[Path]
) -> None:
    launch = image.launch(volume=volume, has_own_network=True)
    with Container(launch, tmp_path / "log") as listener:
        listener.wait_until_it_is(image.healthcheck)
        send = ["dcmsend", HOST, image.ports[0], *map(str, files)]
        subprocess.run(listener.beside(*send), env=ENVIRONMENT, check=True, timeout=60)
        assert listener.exec("id", "-u").stdout == f"{image.uid}\n"
        assert listener.stop(signal.Signals[image.stop_signal]) == 0
    assert "stopped; all that was received is packed" in listener.log
    images = list((volume / "data").rglob("*.dcm"))
    assert len(images) == len(files)
    assert {path.stat().st_uid for path in images} == {image.uid}


def test_it_is_not_healthy_while_nothing_listens(image: Image, run_image: RunImage) -> None:
    ran = run_image(*image.healthcheck)
    assert ran.status == 1
    assert json.loads(ran.stdout)["error"]["code"] == "listener-not-running"


def test_the_root_cannot_be_written_and_need_not_be(image: Image, volume: Path) -> None:
    launch = image.launch(volume=volume)
    launch.command[:] = [
        "sh",
        "-c",
        "touch /home/dicom/here /tmp/here && ! touch /opt/pypx/there 2>/dev/null",
    ]
    assert container.run(launch).status == 0
