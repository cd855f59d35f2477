"""px-report as people and scripts run it: piped, at a terminal, wrongly, interrupted."""

import csv
import fcntl
import io
import json
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import IO

import pytest
from rich.cells import cell_len

from datasets import AWKWARD_TEXTS
from demo.pacs import Pacs
from demo.server import HOST
from finds import found, plain_find, series, status_document, status_row, study, text_of
from listener import until
from pypx.actions.found import to_json
from tools import SCRIPTS, Ran, Running, run_in_terminal, run_tool

FORMS = ("tabular", "rawText", "csv", "json", "tree", "html")

#: What colours and nothing else: Select Graphic Rendition (ECMA-48, 8.3.117).
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_LONG = "x" * 10_000


def awkward_find_text() -> str:
    texts = [
        *AWKWARD_TEXTS.values(),
        "山田^太郎",
        "Müller^Jürgen",
        _LONG,
        "\x9b31m\u2028\u202e\x07",
        "\ud800",
    ]
    studies = (
        study(f"1.{number}", series(f"1.{number}.1", SeriesDescription=text), PatientName=text, PatientID="P")
        for number, text in enumerate(texts)
    )
    # What is no character at all comes as JSON's own escape.
    return json.dumps(to_json(found(*studies, study("2", PatientName="no series")))) + "\n"


@pytest.fixture(scope="module")
def awkward_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("finds") / "awkward.json"
    file.write_text(awkward_find_text())
    return file


def report(*options: str | Path, stdin: str | bytes = "", **others: object) -> Ran:
    return run_tool("px-report", *options, stdin=stdin, **others)


def assert_wrong(ran: Ran, status: int, *words: str) -> None:
    """One sentence with these words, and this exit status."""
    assert ran.status == status, ran.stderr
    assert ran.stderr.strip()
    for word in words:
        assert word in ran.stderr


def test_tabular_is_the_form_unless_another_is_asked_for() -> None:
    ran = report(stdin=text_of(plain_find()))
    assert (ran.status, ran.stderr) == (0, "")
    assert "Doe^Jane" in ran.stdout
    assert ran.stdout == report("--printReport", "tabular", stdin=text_of(plain_find())).stdout


@pytest.mark.parametrize("form", FORMS)
def test_piped_there_is_no_colour_and_nothing_on_stderr(form: str, awkward_file: Path) -> None:
    ran = report("--printReport", form, "--colorize", "dark", "--reportDataFile", awkward_file)
    assert (ran.status, ran.stderr) == (0, "")
    assert not _COLOUR.search(ran.stdout) or form == "csv"
    assert ran.stdout.endswith("\n")
    assert _LONG in ran.stdout


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("theme", ["", "dark", "light"])
def test_no_control_character_reaches_a_terminal(
    form: str, columns: int, theme: str, awkward_file: Path
) -> None:
    command = ["px-report", "--printReport", form, "--colorize", theme, "--reportDataFile", awkward_file]
    ran = run_in_terminal(command, columns)
    assert ran.status == 0
    shown = _COLOUR.sub("", ran.stdout).replace("\r\n", "\n")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", shown)
    assert (shown != ran.stdout.replace("\r\n", "\n")) is (form in ("tabular", "tree"))


@pytest.mark.parametrize("form", ["tabular", "tree"])
@pytest.mark.parametrize("columns", [80, 200])
def test_lines_fit_the_terminal_and_values_are_whole(form: str, columns: int, awkward_file: Path) -> None:
    command = ["px-report", "--printReport", form, "--reportDataFile", awkward_file]
    lines = _COLOUR.sub("", run_in_terminal(command, columns).stdout).splitlines()
    assert max(cell_len(line) for line in lines) <= columns
    assert max(cell_len(line) for line in lines) > columns - 25
    assert _LONG in "".join(re.sub(r"[│├└─ ]", "", line) for line in lines)


def test_no_color_is_honoured(awkward_file: Path) -> None:
    command = ["px-report", "--colorize", "dark", "--reportDataFile", awkward_file]
    plain = run_in_terminal(command, environment={"NO_COLOR": "1"}).stdout
    assert "\x1b" not in plain
    assert _COLOUR.sub("", run_in_terminal(command).stdout) == plain


@pytest.mark.parametrize("option", ["--reportData", "--reportDataFile", "stdin"])
def test_three_ways_in(option: str, tmp_path: Path) -> None:
    text = text_of(plain_find(), indent=2)
    (tmp_path / "find.json").write_text(text)
    given = {
        "--reportData": (option, text),
        "--reportDataFile": (option, tmp_path / "find.json"),
        "stdin": (),
    }
    ran = report("--printReport", "json", *given[option], stdin=text if option == "stdin" else "")
    assert ran.json == to_json(plain_find())


def test_a_file_in_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / "find.json").write_text(text_of(plain_find()))
    ran = report("--json", "--reportDataFile=~/find.json", environment={"HOME": str(tmp_path)})
    assert ran.json == to_json(plain_find())


def test_json_tells_of_a_find_that_failed() -> None:
    failed = {"status": "error", "error": {"code": "connection-refused", "message": "No answer", "hint": "-"}}
    ran = report("--json", stdin=text_of(plain_find()) + json.dumps(failed))
    assert ran.status == 1
    assert ran.json["status"] == "error"
    assert "No answer" in ran.json["error"]["message"]
    assert ran.json["data"] == to_json(plain_find())["data"]


def test_options_from_json() -> None:
    options = json.dumps(
        {
            "reportData": to_json(plain_find()),
            "printReport": "csv",
            "csvPrintHeaders": True,
            "csvSeparator": ";",
        }
    )
    ran = report(
        "--JSONargs", options, "--reportHeaderStudyTags", "PatientID", "--reportBodySeriesTags", "Modality"
    )
    assert ran.stdout.splitlines() == ["PatientID;Modality", "P-1;MR", "P-1;MR", "P-1;CT", "P-2;"]


def test_several_documents_become_one_report() -> None:
    status = status_document(status_row("1.2.3", "1.2.3.1"))
    text = text_of(plain_find(), indent=2) + text_of(found(study("9", PatientID="P-9"))) + text_of(status)
    ran = report("--printReport", "tree", stdin=text)
    assert ran.stdout.startswith("3 patients, 4 studies,")
    assert (
        "1  T1  MR  packed: requested 12, received 12, packed 12, pushed 0, registered 0  (12 images)"
        in ran.stdout
    )
    merged = report("--json", stdin=text).json
    assert len(merged["data"]) == 4
    assert report("--printReport", "tree", stdin=json.dumps(merged)).stdout == ran.stdout


def test_layout_and_lists_of_tags() -> None:
    layout = '{"header": {"study": ["PatientID"], "series": ["Modality"]}, "body": {"series": ["0008,103E"]}}'
    ran = report("--printReport", "rawText", "--reportLayout", layout, stdin=text_of(plain_find()))
    assert ran.stdout.splitlines()[:3] == ["PatientID: P-1", "Modality: MR", "SeriesDescription: T1"]
    ran = report(
        "--printReport", "rawText", "--reportLayout", layout, "--reportHeaderStudyTags", "StudyDate",
        stdin=text_of(plain_find()),
    )  # fmt: skip
    assert ran.stdout.startswith("StudyDate: 20200229\nModality: MR\n")


def test_status_in_one_column() -> None:
    text = text_of(status_document(status_row("1", "1.1")))
    ran = report("--seriesSpecial", "seriesStatus", "--printReport", "rawText", stdin=text)
    assert "seriesStatus: packed: requested 12, received 12, packed 12, pushed 0, registered 0" in ran.stdout


def test_csv_gives_back_what_the_pacs_sent(pacs: Pacs) -> None:
    node = f"{HOST}:{pacs.aec}:{pacs.port}"
    find = run_tool("px-find", node, "--PatientID", "*AWKWARD*")
    ran = report(
        "--printReport",
        "csv",
        "--csvPrintHeaders",
        "--reportBodySeriesTags",
        "SeriesDescription",
        stdin=find.stdout,
    )
    rows = list(csv.DictReader(io.StringIO(ran.stdout, newline="")))
    sent = {
        one["PatientID"]["value"]: each["SeriesDescription"]["value"]
        for one in find.json["data"]
        for each in one["series"]
    }
    got = {row["PatientID"]: row["SeriesDescription"] for row in rows}
    assert len(got) > 10
    for identifier, text in sent.items():
        defused = f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
        assert got[identifier] == defused


def test_bytes_of_csv_are_utf8_with_crlf_in_any_locale() -> None:
    for locale in ("C", "POSIX", "de_DE.ISO-8859-1"):
        ran = subprocess.run(
            [SCRIPTS / "px-report", "--printReport", "csv", "--reportBodySeriesTags", "SeriesDescription"],
            input=text_of(found(study("1", series("1.1", SeriesDescription="山田 Müller")))).encode(),
            capture_output=True,
            check=True,
            env={"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        )
        assert ran.stdout.endswith(",山田 Müller\r\n".encode())


def test_an_attribute_that_nobody_returned_is_said_once() -> None:
    options = ("--reportBodySeriesTags", "EchoTime,SeriesDescription", "--reportHeaderStudyTags", "EchoTime")
    ran = report(*options, "--verbosity", "1", stdin=text_of(plain_find(), plain_find()))
    assert ran.status == 0
    assert ran.stderr == "px-report: Nobody returned EchoTime: it is shown empty.\n"
    assert "Echo Time" in ran.stdout


@pytest.mark.parametrize("form", FORMS)
def test_debug_files(form: str, tmp_path: Path) -> None:
    failed = {"status": "error", "error": {"code": "connection-refused", "message": "No answer", "hint": "-"}}
    both = text_of(plain_find()) + json.dumps(failed)
    ran = report("--printReport", form, "--debugToDir", tmp_path, stdin=both)
    assert ran.status == 1
    (log,) = tmp_path.glob("px-report-*.log")
    (answer,) = tmp_path.glob("px-report-*.json")
    assert answer.stem == log.stem
    kept = json.loads(answer.read_text())
    if form == "json":
        assert kept == ran.json
    else:
        assert kept["report"].replace("\r\n", "\n") == ran.stdout.replace("\r\n", "\n")
        assert kept["status"] == "error"
        assert "No answer" in kept["error"]["message"]


def test_options_without_meaning_are_taken_and_said_at_verbosity_2() -> None:
    options = ("--dblogbasepath", "/nowhere", "--csvPrettify", "--verbosity", "2")
    ran = report(*options, stdin=text_of(plain_find()))
    assert ran.status == 0
    assert len(ran.stderr.splitlines()) == 2


def test_a_find_that_failed_among_others_is_said_and_counts() -> None:
    failed = {
        "status": "error",
        "error": {"code": "peer-timeout", "message": "No answer\x1b[2J", "hint": "Wait."},
    }
    ran = report("--printReport", "csv", stdin=text_of(failed, plain_find()))
    assert_wrong(ran, 1, "No answer\\x1b[2J")
    assert len(ran.stdout.splitlines()) == 4


@pytest.mark.parametrize(
    "stdin",
    [
        "",
        " \n",
        "px-find: no such thing\n",
        '{"status": "success", "data": [',
        "[1, 2]",
        "{}",
        '{"status": "success", "data": [{"PatientID": 1}]}',
        '{"status": "error", "error": {"message": "The PACS is away"}}',
        b"\xff\xfe\x00",
        b'{"status": "success", "data": ["\xe4"]}',
        "[" * 200_000,
    ],
)
@pytest.mark.parametrize("form", ["tabular", "json"])
def test_input_that_is_none(stdin: str | bytes, form: str) -> None:
    ran = report("--printReport", form, stdin=stdin)
    assert_wrong(ran, 1)
    assert ran.error == "invalid-input"
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--printReport", "tabula"), ("'tabula'", "'tabular'")),
        (("--reportBodySeriesTags", "SeriesDescriptoin"), ("SeriesDescriptoin", "SeriesDescription")),
        (("--reportHeaderStudyTags", "PatientID,nothing-like-it"), ("nothing-like-it",)),
        (("--reportLayout", "{"), ("layout",)),
        (("--reportLayout", '{"body": {"series": ["Nonsense"]}}'), ("Nonsense",)),
        (("--seriesSpecial", "seriesSize"), ("seriesStatus",)),
        (("--colorize", "green"), ("dark", "light")),
        (("--printReport", "csv", "--csvSeparator", "--"), ("separator",)),
        (("--printReport", "csv", "--csvSeparator", '"'), ("separator",)),
        (("--json", "--printReport", "csv"), ("--json",)),
        (("--reportData", "{}", "--reportDataFile", "x"), ("--reportDataFile",)),
    ],
)
def test_wrong_usage(options: tuple[str, ...], words: tuple[str, ...]) -> None:
    ran = report(*options, stdin=text_of(plain_find()))
    assert_wrong(ran, 2, *words)
    assert ran.stdout == ""


@pytest.mark.parametrize("name", ["no-such-file.json", ".", "~no-such-user/found.json"])
def test_file_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    options = json.dumps({"reportDataFile": name})
    ran = report("--JSONargs", options, directory=tmp_path)
    assert_wrong(ran, 1)
    assert ran.error == "file-unreadable"


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    ran = report("--JSONargs", json.dumps({"reportDataFile": "nul\0"}), directory=tmp_path)
    assert_wrong(ran, 2, "reportDataFile cannot be")
    assert ran.stdout == ""


def test_nothing_piped_at_a_terminal() -> None:
    ran = run_in_terminal(["px-report"])
    assert ran.status == 2
    assert "px-find … | px-report" in ran.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits_for_its_input(number: signal.Signals) -> None:
    running = Running("px-report")
    assert running.process.stdin
    running.process.stdin.write(text_of(plain_find()).encode())
    running.process.stdin.flush()
    running.wait_until_interruptible()
    # It has read all that there is, and waits for the rest.
    until(lambda: not _unread(running.process.stdin))
    assert running.process.poll() is None
    running.interrupt(number)
    ran = running.wait()
    assert ran.status == 130
    assert ran.stdout == ""
    assert ran.stderr.strip() == "px-report: interrupted."


def _unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe that nobody has read yet."""
    count = fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def test_a_reader_that_has_enough(tmp_path: Path) -> None:
    (tmp_path / "find.json").write_text(text_of(found(*(study(f"1.{number}") for number in range(5000)))))
    process = subprocess.Popen(
        [SCRIPTS / "px-report", "--reportDataFile", tmp_path / "find.json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline().startswith("━━ Study 1".encode())
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


def test_memory_and_time_for_500_studies(tmp_path: Path) -> None:
    studies = [
        study(
            f"1.{number}",
            *(
                series(f"1.{number}.{each}", **{f"Attribute{index}": "value of it" for index in range(20)})
                for each in range(6)
            ),
            PatientID=str(number),
        )
        for number in range(500)
    ]
    few, many = tmp_path / "few.json", tmp_path / "many.json"
    few.write_text(text_of(found(*studies[:50])))
    many.write_text(text_of(found(*studies)))
    shown, seconds, _ = _measured(few)
    assert "50 studies, 300 series" in shown
    shown_of_many, seconds_of_many, memory = _measured(many)
    assert "500 studies, 3,000 series" in shown_of_many
    # It is three times as long where the machine is its own.
    assert seconds_of_many < 6 * seconds
    assert memory < 150 * 1024


def _measured(file: Path) -> tuple[str, float, float]:
    """A report of a find; of three runs the least seconds of the processor and the most KiB of memory."""
    runs = [
        run_tool("python", "-c", _MEASURE, SCRIPTS / "px-report", "--reportDataFile", file) for _ in range(3)
    ]
    # The processor's time, since others may be at work on this machine; and even that is longer then.
    memory, seconds = zip(*(map(float, ran.stderr.split()) for ran in runs), strict=True)
    return runs[0].stdout, min(seconds), max(memory)


#: Writes the peak memory of a command to stderr, in KiB.
_MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr)
"""
