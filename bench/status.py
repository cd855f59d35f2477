"""px-status and px-smdb on a catalogue of a million instances, in SQLite and in PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import catalogues
from bench import machine
from bench.large_catalogue import LargeCatalogue
from bench.measuring import Measurement, Usage, in_turns, run
from bench.results import Comparison, Row, Section, megabytes, spread
from bench.sizes import sized
from servers.postgresql import Postgresql

_SCRIPTS = Path(sys.executable).parent
_LARGE = LargeCatalogue(sized(1_000_000, 20_000))
_MEMORY = 150e6

#: Some of the patients, all that is held; and how many the former are.
_WILDCARD, _EVERYTHING, _FITTING = "P0000*", "*", 100


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    bare = in_turns({"python": lambda: run([sys.executable, "-c", "pass"])}, runs)["python"]
    of_sqlite, sqlite_rows = _measured(_Case("SQLite", scratch / "sqlite"), bare, runs)
    with Postgresql() as server:
        basemount = scratch / "postgresql"
        catalogues.use(basemount, server.url(server.fresh_database()))
        of_postgresql, postgresql_rows = _measured(_Case("PostgreSQL", basemount), bare, runs)
    rows = [Row.of_times("python -c pass", bare), *sqlite_rows, *postgresql_rows]
    comparisons = (of_sqlite, of_postgresql)
    return Section("status", command, machine.described(), _about(runs), rows, comparisons)


def _about(runs: int) -> str:
    return (
        f"A catalogue of {_LARGE.instances:,} instances in {_LARGE.series:,} series,"
        f" {_LARGE.studies:,} studies and {_LARGE.patients:,} patients, of which there are no files. Start-up"
        f" included; the answers are JSON. *By PatientID wildcard* is ``--PatientID '{_WILDCARD}'``, which"
        f" fits {_FITTING} of the patients. {runs} runs each, in turns; load of the machine at the end:"
        f" {machine.load()}."
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """The catalogue in one kind of database."""

    title: str
    basemount: Path

    def __post_init__(self) -> None:
        _LARGE.fill(self.basemount / "log")
        (series,) = self._answer(self._status)["data"]
        assert (series["packed"], series["state"]) == (_LARGE.per_series, "complete")
        fitting = min(_FITTING, _LARGE.patients) * _LARGE.studies_per_patient
        assert len(self._answer(self._search(_WILDCARD))["data"]) == fitting
        assert len(self._answer(self._search(_EVERYTHING))["data"]) == _LARGE.studies

    def _answer(self, argv: Sequence[str]) -> dict[str, list[dict[str, object]]]:
        answer: dict[str, list[dict[str, object]]] = json.loads(
            subprocess.run(argv, capture_output=True, check=True).stdout
        )
        return answer

    @property
    def _status(self) -> list[str]:
        return self._argv("px-status", "--SeriesInstanceUID", _LARGE.series_uid(_LARGE.series // 2))

    def _search(self, patient_id: str) -> list[str]:
        return self._argv("px-smdb", "--action", "search", "--PatientID", patient_id)

    def _argv(self, tool: str, *arguments: str) -> list[str]:
        return [str(_SCRIPTS / tool), "--db", str(self.basemount / "log"), *arguments]

    def measure(self, runs: int) -> dict[str, Measurement]:
        return in_turns(
            {
                "status": lambda: self._run(self._status),
                "wildcard": lambda: self._run(self._search(_WILDCARD)),
                "everything": lambda: self._run(self._search(_EVERYTHING)),
            },
            runs,
        )

    def _run(self, argv: Sequence[str]) -> Usage:
        return run(argv)


def _measured(case: _Case, bare: Measurement, runs: int) -> tuple[Comparison, list[Row]]:
    measured = case.measure(runs)
    status, wildcard, everything = (measured[name] for name in ("status", "wildcard", "everything"))
    more = status.seconds - bare.seconds
    memory = max(status.memory, wildcard.memory)
    # The target is for the database that needs no server, nor a driver to load.
    target = ("under 0.3 s", more < 0.3) if case.title == "SQLite" else ("", None)
    work = f"px-status of one series in {_LARGE.instances:,} instances, {case.title}"
    return Comparison(work, status, "python -c pass", bare), [
        Row.of_times(f"{case.title}: px-status of one series", status),
        Row(f"{case.title}: px-status - python -c pass", f"{more:.3f} s", *target),
        Row(
            f"{case.title}: search by PatientID wildcard", spread(wildcard), "under 1 s", wildcard.seconds < 1
        ),
        Row.of_times(f"{case.title}: search for all that is held", everything),
        Row(f"{case.title}: memory of both", megabytes(memory), "under 150 MB", memory < _MEMORY),
    ]
