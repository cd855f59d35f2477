"""bin/demo: ends well, shows what it promises, and takes everything with it."""

import re
import signal
import time
from pathlib import Path

from servers.needs import require
from tools import Running, run_in_terminal, run_tool

_CHECKOUT = Path(__file__).parents[2]
_DEMO = ("python", "-m", "demo")


def test_the_demo_shows_the_main_job(tmp_path: Path) -> None:
    require("dcmqrscp", "dcmtk")
    ran = run_tool(*_DEMO, directory=_CHECKOUT, environment={"TMPDIR": str(tmp_path)})
    assert ran.status == 0, ran.stderr
    for command in ("px-echo", "px-find", "px-move --get", "px-status"):
        assert f"$ {command}" in ran.stdout or f"| {command}" in ran.stdout
    assert "00003-T2_TSE_axial" in ran.stdout or "00003--" in ran.stdout
    assert re.search(r"\(24 images\)", ran.stdout)
    assert list(tmp_path.iterdir()) == []


def test_the_last_screen_holds_counts_tree_and_what_comes_next(tmp_path: Path) -> None:
    require("dcmqrscp", "dcmtk")
    ran = run_in_terminal(_DEMO, 80, 24, environment={"TMPDIR": str(tmp_path), "PYTHONPATH": str(_CHECKOUT)})
    assert ran.status == 0
    shown = re.sub(r"\x1b\[[0-9;?]*\w", "", ran.stdout.replace("\r", ""))
    last_screen = shown.split("\n")[-24:]
    text = "\n".join(last_screen)
    assert re.search(r"Requested +Received +Packed", text)
    assert re.search(r"T1 MPRAGE sag +24 +24 +24 ", text)
    assert "(24 images)" in text
    assert "px-find pacs.example.org" in text
    assert all(len(line.replace(str(tmp_path), "")) <= 80 for line in last_screen)


def test_keep_stays_up_until_it_is_told_to_end(tmp_path: Path) -> None:
    require("dcmqrscp", "dcmtk")
    running = Running(*_DEMO, "--keep", directory=_CHECKOUT, environment={"TMPDIR": str(tmp_path)})
    deadline = time.monotonic() + 60
    shown = b""
    assert running.process.stdout is not None
    while b"Ctrl-C ends both" not in shown:
        assert time.monotonic() < deadline
        shown += running.process.stdout.readline()
    node = re.search(rb"px-echo (127\S+)", shown)
    assert node is not None
    assert run_tool("px-echo", node[1].decode()).status == 0
    running.interrupt(signal.SIGINT)
    assert running.wait().status == 0
    assert run_tool("px-echo", node[1].decode()).error == "connection-refused"
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_fails_fails_the_demo(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "scratch").mkdir()
    environment = {"TMPDIR": str(tmp_path / "scratch"), "PATH": str(tmp_path / "bin")}
    ran = run_tool(*_DEMO, directory=_CHECKOUT, environment=environment)
    assert ran.status == 1
    assert "bin/demo: " in ran.stderr
    assert list((tmp_path / "scratch").iterdir()) == []
