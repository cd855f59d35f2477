"""workflow.sh: the walk at a site that it starts itself, at somebody's own PACS, and when it goes wrong."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets import all_studies, awkward_study, plain_study
from demo.cube import Cube, directory_names
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from servers.needs import require
from tools import Ran, Running, run_in_terminal, run_tool

CHECKOUT = Path(__file__).parents[2]
WORKFLOW = CHECKOUT / "workflow.sh"

#: In the order in which the walk comes to them.
TOOLS = (
    "px-repack",
    "px-smdb",
    "px-echo",
    "px-find",
    "px-report",
    "px-move",
    "px-status",
    "px-listen",
    "px-push",
    "pfstorage",
    "px-register",
    "px-do",
)


def blocks() -> list[str]:
    """The commands of the walk, as they stand in it."""
    return re.findall(r"^ *run <<'END'\n(.*?)\nEND$", WORKFLOW.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """For what the walk writes while it lasts; it leaves nothing in there."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    yield directory
    assert list(directory.iterdir()) == []


def walk(scratch: Path, *arguments: str, **settings: str | Path | int) -> Ran:
    """Run the walk with these variables."""
    environment = {name: str(value) for name, value in settings.items()}
    return run_tool(WORKFLOW, *arguments, environment={**environment, "TMPDIR": str(scratch)})


#: One whom both PACS know, and what they have.
PATIENT = plain_study().patient_id
HAS = [study for study in all_studies() if study.patient_id == PATIENT]
IMAGES = sum(study.instances for study in HAS)


def of_pacs(pacs: Pacs, basemount: Path) -> dict[str, str | Path | int]:
    return {
        "PACSIP": "127.0.0.1",
        "PACSPORT": pacs.port,
        "AEC": pacs.aec,
        "AET": pacs.aet,
        "BASEMOUNT": basemount,
    }


def test_the_walk_at_the_demo_comes_by_every_tool(scratch: Path) -> None:
    require("dcmqrscp", "dcmtk")
    ran = walk(scratch, "--demo")
    assert ran.status == 0, ran.stdout + ran.stderr
    shown = re.findall(r"^\$ (\S+)", ran.stdout, re.MULTILINE)
    assert [tool for tool in dict.fromkeys(shown) if tool.startswith("p")] == list(TOOLS)
    for block in blocks():
        assert f"\n$ {block}\n" in ran.stdout
    assert "chris1234" not in ran.stdout + ran.stderr
    assert "(Left out" not in ran.stdout
    for state in ("complete, pushed, registered", "already here", "already there", "already registered"):
        assert state in ran.stderr


def test_the_walk_on_a_terminal_of_80_columns(scratch: Path) -> None:
    require("dcmqrscp", "dcmtk")
    ran = run_in_terminal((WORKFLOW, "--demo"), environment={"TMPDIR": str(scratch)})
    assert ran.status == 0
    lines = re.sub(r"\x1b\[[0-9;?]*\w", "", ran.stdout.replace("\r", "")).splitlines()
    titles = [line for line in lines if line.startswith("── ")]
    assert [int(title.split()[1].rstrip(".")) for title in titles] == list(range(1, len(titles) + 1))
    assert {len(title) for title in titles} == {80}
    assert "\x1b[1m── 1." in ran.stdout
    # What is wider are paths, which are of this machine, a log, and progress bars, which are drawn over.
    wide = [line for line in lines if len(line) > 80]
    assert [line for line in wide if not any(part in line for part in ("/", " px-listen: ", "━"))] == []
    assert "75 of 75 files uploaded" in ran.stdout
    assert not any(line.startswith(("{", "[")) and not line.startswith('{"walk"') for line in lines)


def test_every_line_that_is_shown_fits_into_80_columns() -> None:
    for text in (*blocks(), run_tool(WORKFLOW, "-x").stdout):
        assert max(len(line) for line in f"$ {text}".splitlines()) <= 80


def test_shellcheck_has_nothing_to_say_of_the_walk_and_of_its_blocks() -> None:
    shellcheck = require("shellcheck", "shellcheck")
    ran = run_tool(shellcheck, "--external-sources", WORKFLOW, directory=CHECKOUT)
    assert (ran.status, ran.stdout) == (0, "")
    text = "set -e\n" + "\n".join(blocks())
    ran = run_tool(shellcheck, "--shell", "bash", "-", stdin=text)
    assert (ran.status, ran.stdout) == (0, "")


def test_the_blocks_can_be_copied_into_a_shell(tmp_path: Path) -> None:
    require("dcmqrscp", "dcmtk")
    copied = "\n".join(("set -e", "export VERBS=retrieve,status,push,register", *blocks()))
    here = tmp_path / "here"
    here.mkdir()
    ran = run_tool(
        *("python", "-m", "demo.site", "bash", "-c", f"cd {here}\n{copied}"),
        directory=CHECKOUT,
        environment={"TMPDIR": str(tmp_path)},
    )
    assert ran.status == 0, ran.stderr
    assert (here / "done.json").stat().st_size > 0
    assert list(tmp_path.glob("pypx-demo-*")) == []


def test_at_an_own_pacs(pacs: Pacs, basemount: Path, scratch: Path) -> None:
    ran = walk(scratch, PATIENT=PATIENT, **of_pacs(pacs, basemount))
    assert ran.status == 0, ran.stdout + ran.stderr
    left_out = re.findall(r"^\(Left out, since (\w+) is not set\.\)$", ran.stdout, re.MULTILINE)
    assert left_out == ["FILES", "SENT_PATIENT", "STORE", "STORE"]
    again = walk(scratch, PATIENT=PATIENT, **of_pacs(pacs, basemount))
    assert again.status == 0
    assert len(list(basemount.glob("data/*/*/*/*.dcm"))) == IMAGES
    assert "export VERBS=retrieve,status\n" in again.stdout


def test_a_storage_and_files_of_ones_own(
    dcmqrscp: Dcmqrscp, basemount: Path, scratch: Path, files: list[Path], tmp_path: Path
) -> None:
    store = tmp_path / "the store"
    store.mkdir()
    with Cube(directory_names(store)) as cube:
        ran = walk(
            scratch,
            **of_pacs(dcmqrscp, basemount),
            **{"PATIENT": PATIENT, "FILES": files[0].parent, "STORE": store},
            **{"CUBEURL": cube.url, "CUBEPASSWORD": "chris1234"},
        )
        assert ran.status == 0, ran.stdout + ran.stderr
        assert len(cube.registered) == sum(len(study.all_series) for study in HAS)
    assert len([path for path in store.rglob("*.dcm") if path.is_file()]) == IMAGES


@pytest.mark.parametrize(
    "value", ["$(touch $MADE)", '"; touch $MADE; "', "`touch $MADE`", "x' | touch $MADE '\\"]
)
def test_nothing_of_a_variable_is_run(
    value: str, dcmqrscp: Dcmqrscp, basemount: Path, scratch: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    ran = walk(scratch, PATIENT=value, MADE=made, **of_pacs(dcmqrscp, basemount))
    # What is shown is taken for the same by the shell that it is copied into.
    exports = re.findall(r"^export .*", ran.stdout, re.MULTILINE)
    shown = run_tool("/bin/bash", "-c", "\n".join([*exports, 'printf %s "$PATIENT"']))
    assert shown.stdout == value
    assert "px-find --PACS walk" in ran.stdout
    assert not made.exists()


def test_values_of_the_pacs_do_not_steer_the_terminal(
    dcmqrscp: Dcmqrscp, basemount: Path, scratch: Path
) -> None:
    environment = {name: str(value) for name, value in of_pacs(dcmqrscp, basemount).items()}
    ran = run_in_terminal(
        [WORKFLOW],
        environment={
            **environment,
            "PATIENT": awkward_study("terminal").patient_id,
            "TMPDIR": str(scratch),
            "NO_COLOR": "1",
        },
    )
    assert "\x07" not in ran.stdout
    assert "\x1b]" not in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        ((), {}, "Set PACSIP, AEC and PATIENT, or give --demo."),
        ((), {"PACSIP": "h", "AEC": "A"}, "PATIENT"),
        (("--dmeo",), {}, "no option '--dmeo'"),
        (("-\x1b[2J",), {}, "no option $'"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], settings: dict[str, str], said: str, scratch: Path) -> None:
    nothing = dict.fromkeys(("PACSIP", "AEC", "PATIENT"), "")
    ran = walk(scratch, *arguments, **{**nothing, **settings})
    assert ran.status == 2
    assert said in ran.stderr
    assert ran.stdout == ""


def test_the_help_names_every_tool() -> None:
    for asking in ("-x", "-h", "--help"):
        ran = run_tool(WORKFLOW, asking)
        assert ran.status == 0
        assert all(tool in ran.stdout for tool in TOOLS)


def test_the_walk_ends_where_a_command_fails(dcmqrscp: Dcmqrscp, basemount: Path, scratch: Path) -> None:
    ran = walk(scratch, **{**of_pacs(dcmqrscp, basemount), "AEC": "WRONG", "PATIENT": "1"})
    assert ran.status == 1
    assert re.findall(r"^\$ (.*)", ran.stdout, re.MULTILINE)[-1] == "px-echo --PACS walk"
    assert ran.stderr.endswith("workflow.sh: That ended with status 1, and so does the walk.\n")


def test_a_listener_that_cannot_be_sent_to_is_ended(
    dcmqrscp: Dcmqrscp, basemount: Path, scratch: Path
) -> None:
    # Nobody else has it, and it is not the port to which the PACS sends.
    settings = {"PATIENT": PATIENT, "SENT_PATIENT": awkward_study("terminal").patient_id}
    ran = walk(scratch, **of_pacs(dcmqrscp, basemount), **settings, LISTEN_PORT=0)
    assert ran.status == 1
    assert "px-listen --port" in ran.stdout


@pytest.mark.parametrize("after", ["px-repack", "px-move", "px-listen"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_it_started_ends_with_it(after: str, number: signal.Signals, scratch: Path) -> None:
    require("dcmqrscp", "dcmtk")
    running = Running(WORKFLOW, "--demo", environment={"TMPDIR": str(scratch)})
    running.feed()
    assert running.process.stdout is not None
    os.set_blocking(running.process.stdout.fileno(), True)
    shown = b""
    while f"$ {after}".encode() not in shown:
        part = os.read(running.process.stdout.fileno(), 4096)
        assert part, shown
        shown += part
    time.sleep(0.3)
    running.interrupt(number)
    ran = running.wait()
    assert ran.status == 130
