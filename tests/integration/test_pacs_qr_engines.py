"""PACS_QR.sh: what it asks of a container engine, and how it takes its options and a search."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from engines import CHECKOUT, HOSTILE, PACS_QR, Engines, query_of
from pypx.cli.find import command as px_find
from pypx.cli.query import QUERY_OPTIONS
from servers.needs import require
from tools import run_in_terminal, run_tool


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return Engines.made_in(tmp_path / "engines")


def test_an_engine_is_asked_for_this_and_nothing_else(engines: Engines, basemount: Path) -> None:
    ran = engines.run(
        "--baseMount", basemount, "--env", "hospital", "--", "--PatientID 7654321 --StudyDate 19990909"
    )
    assert ran.status == 0, ran.stderr
    run = [
        *("docker", "run", "--rm", "--network", "host", "--user", f"{os.getuid()}:{os.getgid()}"),
        *("--mount", f"type=bind,source={basemount},target={basemount}"),
    ]
    find, report = engines.calls
    assert find.argv == [
        *run,
        *(
            "pypx",
            "px-find",
            "--json",
            "--aec",
            "THEIRS",
            "--aet",
            "MYSELF",
            "--serverIP",
            "pacs.example.org",
        ),
        *(
            "--serverPort",
            "104",
            "--db",
            f"{basemount}/log",
            "--PatientID",
            "7654321",
            "--StudyDate",
            "19990909",
        ),
    ]
    assert report.argv == [*run, "--interactive", "pypx", "px-report", "--printReport", "tabular"]
    assert json.loads(report.stdin or "") == {"status": "success", "data": []}
    assert basemount.is_dir()


def test_verbs_get_what_they_need(engines: Engines, basemount: Path) -> None:
    verbs = "retrieve,status,push,register,report"
    ran = engines.run("--baseMount", basemount, "--env", "research", "--do", verbs, "--", "--PatientID 1")
    assert ran.status == 0
    (find,) = engines.calls
    assert find.stdin is None
    assert find.tool[find.tool.index("--PatientID") :] == [
        *("--PatientID", "1", "--then", verbs, "--withFeedBack"),
        *("--swift", "research", "--CUBE", "research", "--swiftServicesPACS", "research"),
    ]
    engines.run(
        "--do", "push", "--SWIFTKEY", "s", "--SWIFTPACS", "p", "--withoutFeedBack", "--", "--PatientID", "1"
    )
    assert engines.calls[-1].tool[-6:] == ["--then", "push", "--swift", "s", "--swiftServicesPACS", "p"]
    engines.run(
        "--do",
        "register",
        "--CUBEKEY",
        "c",
        "--SWIFTPACS",
        "p",
        "--withoutFeedBack",
        "--",
        "--PatientID",
        "1",
    )
    assert engines.calls[-1].tool[-6:] == ["--then", "register", "--CUBE", "c", "--swiftServicesPACS", "p"]
    engines.run("--do", "retrieve", "--", "--PatientID 1")
    assert engines.calls[-1].tool[-3:] == ["--then", "retrieve", "--withFeedBack"]


def test_options_say_otherwise_than_the_institution(engines: Engines, tmp_path: Path) -> None:
    odd = tmp_path / 'it is "odd", $HOME'
    ran = engines.run(
        *(
            "--env=orthanc",
            "--runtime=podman",
            "--container",
            "registry.example.org/pypx:4",
            "--PACSIP=10.0.0.9",
        ),
        *(
            "--PACSport",
            "11113",
            "--AET=A B",
            "--AEC",
            "$(id)",
            "--baseMount",
            odd,
            "--debug",
            "-F",
            "--do=status",
        ),
        *("--non-interactive", "--", "--PatientID=1"),
    )
    assert ran.status == 0, ran.stderr
    (call,) = engines.calls
    assert call.argv[0] == "podman"
    assert ("--userns" in call.argv) is (os.geteuid() != 0)
    mounts = [call.argv[place + 1] for place, word in enumerate(call.argv) if word == "--mount"]
    assert next(csv.reader([mounts[0]])) == ["type=bind", f"source={odd}", f"target={odd}"]
    assert mounts[1] == f"type=bind,source={CHECKOUT}/src,target=/usr/src/pypx"
    image = call.argv.index("registry.example.org/pypx:4")
    assert call.argv[image - 2 : image] == ["--env", "PYTHONPATH=/usr/src/pypx"]
    assert call.argv[image + 1 :] == [
        *("px-find", "--aec", "$(id)", "--aet", "A B", "--serverIP", "10.0.0.9", "--serverPort", "11113"),
        *("--db", f"{odd}/log", "--PatientID=1", "--then", "status", "--withFeedBack"),
    ]


def test_a_terminal_is_given_only_where_there_is_one(engines: Engines) -> None:
    command = (PACS_QR, "--do", "retrieve", "--", "--PatientID 1")
    assert run_in_terminal(command, environment=engines.environment).status == 0
    assert engines.calls[-1].argv[-19:-17] == ["--interactive", "--tty"]
    run_in_terminal((PACS_QR, "--non-interactive", *command[1:]), environment=engines.environment)
    run_tool(*command, environment=engines.environment)
    for call in engines.calls[1:]:
        assert "--tty" not in call.argv
        assert "-t" not in call.argv


@pytest.mark.parametrize("form", ["text", "words"])
def test_a_search_reaches_the_tool_as_it_is(form: str, engines: Engines) -> None:
    words, text = query_of(HOSTILE)
    ran = engines.run("-v", "--do", "status", "--", *([text] if form == "text" else words))
    assert ran.status == 0, ran.stderr
    (call,) = engines.calls
    begin = call.argv.index("--query")
    assert call.argv[begin : begin + len(words)] == words
    assert "\x1b" not in ran.stderr
    assert "\x07" not in ran.stderr
    # What is shown can be copied into a shell.
    shown = run_tool("/bin/bash", "-c", ran.stderr, environment=engines.environment)
    assert shown.status == 0
    assert engines.calls[1] == call


def test_every_character_can_stand_in_quotation_marks(engines: Engines) -> None:
    values = tuple(f"a{chr(code)}{chr(code)}b" for code in range(1, 256))
    words, text = query_of(values)
    engines.run("--do", "status", "--", text)
    assert engines.calls[0].argv[-len(words) - 3 : -3] == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--PatientID 1", ["--PatientID", "1"]),
        ("  --PatientID\t1\n--StudyOnly\n", ["--PatientID", "1", "--StudyOnly"]),
        ("--PatientName=Lovelace^Ada' 'B", ["--PatientName=Lovelace^Ada B"]),
        ('--PatientName "O\'Brien" ', ["--PatientName", "O'Brien"]),
        ("--PatientName ''", ["--PatientName", ""]),
        ("--StudyDate -20261231", ["--StudyDate", "-20261231"]),
        ("--PatientID --then --limit 3", ["--PatientID", "--then", "--limit", "3"]),
    ],
)
def test_how_a_text_is_taken_apart(text: str, words: list[str], engines: Engines) -> None:
    ran = engines.run("--do", "status", "--", text)
    assert ran.status == 0, ran.stderr
    assert engines.calls[0].argv[-len(words) - 3 : -3] == words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "What is to be searched for?"),
        (["--"], "What is to be searched for?"),
        (["--", " \n"], "What is to be searched for?"),
        (["--SWIFTKEY", "local"], "What is to be searched for?"),
        (
            ["--env", "nowhere", "--", "--PatientID 1"],
            "The known ones are: orthanc, demo, hospital, research.",
        ),
        (["--env", "*", "--", "--PatientID 1"], "'*'"),
        (["--env"], "--env needs a value"),
        (["--env", "--", "--PatientID 1"], "--env needs a value"),
        (["--pacsip", "h", "--", "--PatientID 1"], "no option '--pacsip'"),
        (["--foo=\x1b[2J", "--", "--PatientID 1"], "no option '--foo'"),
        (["-F", "--PatientID", "1"], "no option '--PatientID'"),
        (["7654321"], "stands after --"),
        (["--runtime", "chroot", "--", "--PatientID 1"], "docker, podman or local"),
        (["--", "7654321"], "'7654321' is no option"),
        (["--", "--PatientName O'Brien^*"], "A quotation mark is alone"),
        (["--", "--PatientID"], "--PatientID needs a value"),
        (["--", "--StudyOnly=no --PatientID 1"], "--StudyOnly takes no value"),
        (["--", "--PatientID 1 --then push"], "'--then' does not say what to look for"),
        (["--", "--PatientID 1 --findscu=/tmp/evil"], "does not say what to look for"),
        (["--", "--PatientID", "1", "--JSONargs", "{}"], "does not say what to look for"),
        (["--", "--PatientID 1 -x"], "does not say what to look for"),
        (["--", "--\x1b[2J"], "$'--\\E[2J'"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, engines: Engines) -> None:
    ran = engines.run(*arguments)
    assert ran.status == 2
    assert said in ran.stderr
    assert "\x1b" not in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert engines.calls == []
    assert not (engines.directory / "dicom").exists()


def test_what_may_stand_in_a_search_are_options_of_px_find() -> None:
    (body,) = re.findall(r"check_search\(\) \{(.*?)\n\}", PACS_QR.read_text(), re.DOTALL)
    (listed,) = re.findall(r"case .*? in\n(.*?)\)\n", body, re.DOTALL)
    names = set(re.findall(r"--(\w+)", listed))
    assert names >= {*QUERY_OPTIONS, "query"}
    assert names <= {option.lstrip("-") for one in px_find.params for option in one.opts}


def test_the_help_has_every_option_and_every_institution(engines: Engines) -> None:
    source = PACS_QR.read_text()
    (options,) = re.findall(r"take_options\(\) \{(.*?)\n\}", source, re.DOTALL)
    (blocks,) = re.findall(r"institution_set\(\) \{(.*?)\n\}", source, re.DOTALL)
    for asking in ("-x", "-h", "--help"):
        ran = engines.run("--env", "hospital", asking)
        assert ran.status == 0
        for name in (
            *re.findall(r"(?<=[ (])--?[A-Za-z-]+\b(?= \||\))", options),
            *re.findall(r"(\w+)\)  ", blocks),
        ):
            assert name in ran.stdout or name == "--desc"
        assert all(len(line) <= 80 for line in ran.stdout.splitlines())


def test_an_institution_that_a_site_adds_is_known(tmp_path: Path, engines: Engines) -> None:
    block = (
        "        BCH-chris)",
        "            SWIFTKEY=local",
        "            AET=CHRISV3",
        "            PACSIP=192.0.2.12",
        "            PACSPORT=104",
        "            AEC=CHRIS",
        "        ;;",
    )
    last = "        *) return 1 ;;"
    text = PACS_QR.read_text().replace(last, "\n".join((*block, last)), 1)
    site = tmp_path / "PACS_QR.sh"
    site.write_text(text)
    site.chmod(0o755)
    ran = run_tool(
        site, "--env", "BCH-chris", "--do", "status", "--", "--PatientID 1", environment=engines.environment
    )
    assert ran.status == 0, ran.stderr
    assert "192.0.2.12" in engines.calls[0].argv
    ran = run_tool(site, "--env", "x", "--", "--PatientID 1", environment=engines.environment)
    assert "hospital, research, BCH-chris." in ran.stderr


def test_a_missing_engine_and_missing_tools_are_named(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "readlink", "env"):
        (tmp_path / name).symlink_to(require(name, "coreutils"))
    script = tmp_path / "elsewhere" / "PACS_QR.sh"
    script.parent.mkdir()
    script.write_text(PACS_QR.read_text())
    for runtime, said in (("docker", "docker is not on the PATH"), ("local", "bin/demo")):
        ran = run_tool(
            *("/bin/bash", script, "--runtime", runtime, "--", "--PatientID 1"),
            environment={"PATH": str(tmp_path)},
        )
        assert ran.status == 1
        assert said in ran.stderr


def test_statuses_are_handed_on(engines: Engines) -> None:
    found = '{"status": "error", "error": {"code": "timeout", "message": "m"}, "data": [{"uid": {}}]}'
    for status in (1, 2, 130):
        ends = {"ENDS_WITH": str(status), "ANSWER": "{}"}
        assert engines.run("--do", "status", "--", "--PatientID 1", environment=ends).status == status
        calls = len(engines.calls)
        assert engines.run("--", "--PatientID 1", environment=ends).status == status
        assert len(engines.calls) == calls + 1
    # Of what was found there is a report all the same.
    ran = engines.run("--", "--PatientID 1", environment={"ENDS_WITH": "1", "ANSWER": found})
    assert ran.status == 1
    assert engines.calls[-1].stdin == f"{found}\n"
