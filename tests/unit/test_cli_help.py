"""What every console script owes whoever asks for help."""

import json
import signal
import time
import tomllib
from pathlib import Path

import pytest

import pypx
from tools import Running, packages_loaded_by, run_tool

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
TOOLS = sorted(_PROJECT["project"]["scripts"])

#: What costs more time to import than a look at the help is worth.
_SLOW = ("pydicom", "sqlalchemy", "rich", "numpy")


@pytest.mark.parametrize("tool", TOOLS)
def test_help_names_the_tool_and_its_options(tool: str) -> None:
    ran = run_tool(tool, "--help")
    assert ran.status == 0
    assert ran.stdout.startswith(f"Usage: {tool} ")
    assert "--verbosity" in ran.stdout
    assert "--version" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize("tool", TOOLS)
def test_version_is_that_of_the_package(tool: str) -> None:
    ran = run_tool(tool, "--version")
    assert (ran.status, ran.stdout) == (0, f"pypx {pypx.__version__}\n")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("option", ["-x", "--desc"])
def test_description_shows_commands_to_copy(tool: str, option: str) -> None:
    ran = run_tool(tool, option)
    assert ran.status == 0
    assert "Examples:" in ran.stdout
    assert ran.stdout.split("Examples:")[1].count(tool) >= 1


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("option", ["-y", "--synopsis"])
def test_synopsis_is_the_usage_and_one_paragraph(tool: str, option: str) -> None:
    ran = run_tool(tool, option)
    assert ran.status == 0
    assert ran.stdout.startswith(f"Usage: {tool} ")
    assert 3 <= len(ran.stdout.splitlines()) <= 12


@pytest.mark.parametrize("tool", TOOLS)
def test_unknown_option_is_wrong_usage_with_the_nearest_name(tool: str) -> None:
    ran = run_tool(tool, "--verbosty", "2")
    assert ran.status == 2
    assert ran.stdout == ""
    assert "--verbosity" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("tool", "typed", "meant"),
    [
        ("px-find", ["--AET", "ME"], "--aet"),
        ("px-find", ["--AEC=THEM"], "--aec"),
        ("px-find", ["--SERVERIP", "127.0.0.1"], "--serverIP"),
        ("px-find", ["--STUDYONLY"], "--StudyOnly"),
        ("px-find", ["--pacs", "KEY"], "--PACS"),
        ("px-find", ["--VERSION"], "--version"),
        ("px-find", ["--HELP"], "--help"),
        ("px-find", ["--JSONargs", '{"STUDYONLY": true}'], "--StudyOnly"),
        ("px-listen", ["--DB", "log"], "--db"),
    ],
)
def test_an_option_in_another_case_is_the_nearest(tool: str, typed: list[str], meant: str) -> None:
    ran = run_tool(tool, *typed)
    assert (ran.status, ran.stdout) == (2, "")
    assert f". Did you mean '{meant}'? See " in ran.stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_help_loads_nothing_slow(tool: str) -> None:
    loaded = packages_loaded_by(tool, "--help")
    assert "pypx" in loaded
    assert loaded.isdisjoint(_SLOW)


@pytest.mark.parametrize(
    ("tool", "options"),
    [
        ("px-listen", ["--debug", "--status"]),
        ("px-repack", ["--debug", "--xcrdir", "."]),
        ("px-register", ["--debug", "--cleanup", "--upstream", "{}"]),
        ("pfstorage", ["--test", "--upstream", "{}", "--action", "ls"]),
    ],
)
def test_options_that_mean_nothing_any_more_are_taken_and_said_to_mean_nothing(
    tool: str, options: list[str], tmp_path: Path
) -> None:
    ran = run_tool(tool, "--db", tmp_path / "log", *options, "--verbosity", 2)
    assert "No such option" not in ran.stderr
    for option in (one for one in options if one in ("--debug", "--cleanup", "--test")):
        assert f"{option} means nothing to {tool}" in ran.stderr, ran.stderr


@pytest.mark.parametrize(
    ("tool", "name", "value", "others"),
    [
        ("px-repack", "debug", True, []),
        ("px-report", "ReportLineOverwrite", "x", ["--reportData", "{}"]),
        ("pfstorage", "upstream", "{}", ["--action", "ls"]),
    ],
)
def test_nor_do_they_in_json(tool: str, name: str, value: object, others: list[str]) -> None:
    ran = run_tool(tool, "--JSONargs", json.dumps({name: value}), *others, "--verbosity", 2)
    assert f"--{name} means nothing to {tool}" in ran.stderr, ran.stderr


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["-p=missing"], "missing"),
        (["-p", "missing", "-v=1"], "missing"),
        (["-p=a=b"], "a=b"),
        (["-p=-f=b"], "-f=b"),
        (["-p", "=b"], "=b"),
        (["-p=missing", "-f=name"], "missing/name"),
        (["--xcrdirfile", "-f=b"], "-f=b"),
        (["--xcrdirfile=-f=b"], "-f=b"),
    ],
)
def test_one_letter_takes_its_value_with_an_equals_sign(typed: list[str], meant: str, tmp_path: Path) -> None:
    ran = run_tool("px-repack", f"-l={tmp_path / 'log'}", *typed)
    assert ran.status == 1
    assert ran.stderr.startswith(f"px-repack: {meant} cannot be read"), ran.stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_ctrl_c_while_a_tool_starts_shows_nothing_of_its_inside(tool: str, tmp_path: Path) -> None:
    """Something that every tool imports takes long."""
    reached = tmp_path / "reached"
    (tmp_path / "click.py").write_text(f"open({str(reached)!r}, 'w').close()\nimport time\ntime.sleep(60)\n")
    running = Running(tool, environment={"PYTHONPATH": str(tmp_path)})
    while not reached.exists():
        assert running.process.poll() is None
        time.sleep(0.01)
    running.interrupt()
    ran = running.wait()
    assert (ran.status, ran.stdout, ran.stderr) == (-signal.SIGINT, "", "")


def test_a_tool_that_is_not_to_be_interrupted_starts_all_the_same(tmp_path: Path) -> None:
    """As with nohup, and for what a shell runs in the background."""
    script = f"trap '' INT; exec px-report --reportDataFile {tmp_path / 'none'}"
    (tmp_path / "click.py").write_text(
        "import os, signal, sys\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.path.remove({str(tmp_path)!r})\n"
        "del sys.modules['click']\n"
        "import click\n"
    )
    ran = run_tool("/bin/sh", "-c", script, environment={"PYTHONPATH": str(tmp_path)})
    assert ran.status == 1
    assert ran.error == "file-unreadable"


def test_the_library_leaves_signals_to_whose_process_it_is(tmp_path: Path) -> None:
    """Even in a program that has the name of a tool."""
    program = tmp_path / TOOLS[-1]
    program.write_text(
        "import signal, pypx\n"
        "pypx.echo({})\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    )
    assert run_tool("python", program).stdout == "True\n"
