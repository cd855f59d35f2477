"""px-report on the JSON of a large find, and how long the tools take to start, each against bare Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench import earlier, machine
from bench.measuring import Measurement, Usage, in_turns, run
from bench.results import Comparison, Row, Section, megabytes, spread
from bench.sizes import sized
from pypx.actions.found import Found, FoundSeries, FoundStudy, to_json

_SCRIPTS = Path(sys.executable).parent
_STUDIES, _SERIES = sized(500, 10), 6
_MEMORY = 150e6

#: What is read, and nothing made of it.
_BARE = "import json, sys; json.load(sys.stdin)"

_FORMS = ("tabular", "csv", "html")


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    found = scratch / "found.json"
    found.write_text(json.dumps(to_json(_found())))
    contenders: dict[str, Callable[[], Usage]] = {
        "python -c pass": lambda: run([sys.executable, "-c", "pass"]),
        "px-find --help": lambda: run([str(_SCRIPTS / "px-find"), "--help"]),
        "json.load": lambda: run([sys.executable, "-c", _BARE], stdin=found),
        **{form: _report(_SCRIPTS, form, found) for form in _FORMS},
    }
    px_report, px_find = earlier.script("px-report"), earlier.script("px-find")
    if px_report and px_find:
        contenders["earlier"] = _report(px_report.parent, "tabular", found)
        contenders["earlier help"] = lambda: run([str(px_find), "--help"])
    measured = in_turns(contenders, runs)
    comparisons = (
        Comparison(
            f"px-report of {_STUDIES} studies, tabular",
            measured["tabular"],
            "json.load",
            measured["json.load"],
            measured.get("earlier"),
        ),
        Comparison(
            "px-find --help",
            measured["px-find --help"],
            "python -c pass",
            measured["python -c pass"],
            measured.get("earlier help"),
        ),
    )
    return Section("report", command, machine.described(), _about(runs), _rows(measured), comparisons)


def _about(runs: int) -> str:
    return (
        f"The JSON of a find of {_STUDIES} studies with {_SERIES} series each, on standard input; the report"
        f" goes to a file. *json.load* is a bare Python that reads it. {earlier.NAME} prints its tabular"
        f" report of the same document. {runs} runs each, in turns; load of the machine at the end:"
        f" {machine.load()}."
    )


def _report(scripts: Path, form: str, found: Path) -> Callable[[], Usage]:
    return lambda: run([str(scripts / "px-report"), "--printReport", form], stdin=found)


def _rows(measured: dict[str, Measurement]) -> list[Row]:
    bare, load = measured["python -c pass"], measured["json.load"]
    start = measured["px-find --help"].seconds - bare.seconds
    rows = [
        Row.of_times("python -c pass", bare),
        Row("px-find --help - python -c pass", f"{start:.3f} s", "within 0.2 s", start < 0.2),
        Row.of_times("json.load", load),
        *(
            Row(
                f"px-report --printReport {form}",
                f"{spread(measured[form])}, {measured[form].seconds / load.seconds:.1f} times json.load",
            )
            for form in _FORMS
        ),
        Row(
            "px-report, memory",
            megabytes(max(measured[form].memory for form in _FORMS)),
            "under 150 MB",
            max(measured[form].memory for form in _FORMS) < _MEMORY,
        ),
    ]
    if "earlier" in measured:
        tabular = measured["earlier"].seconds / measured["tabular"].seconds
        rows += [
            Row(f"{earlier.NAME}: tabular", f"{spread(measured['earlier'])}, {tabular:.1f} times px-report"),
            Row.of_times(f"{earlier.NAME}: px-find --help", measured["earlier help"]),
        ]
    return rows


def _found() -> Found:
    studies = tuple(_study(number) for number in range(_STUDIES))
    return Found(studies, command="findscu", arguments={"PatientName": "*"})


def _study(number: int) -> FoundStudy:
    uid = f"1.2.826.0.1.{number + 1}"
    series = tuple(
        FoundSeries(
            {
                "StudyInstanceUID": uid,
                "SeriesInstanceUID": f"{uid}.{place + 1}",
                "SeriesNumber": str(place + 1),
                "SeriesDescription": f"T{place} axial",
                "Modality": "MR",
                "NumberOfSeriesRelatedInstances": "120",
            }
        )
        for place in range(_SERIES)
    )
    values = {
        "PatientID": f"P{number:05d}",
        "PatientName": f"Bench^{number}",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyDate": "20260101",
        "StudyDescription": f"Study {number}",
        "AccessionNumber": f"A{number}",
        "ModalitiesInStudy": "MR",
        "StudyInstanceUID": uid,
    }
    return FoundStudy(values, series)
