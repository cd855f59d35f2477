"""What work costs as it grows tenfold and a hundredfold: packing, finding, status and search; with a plot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.aside import set_aside
from bench.large_catalogue import LargeCatalogue
from bench.measuring import Measurement, Usage, in_turns, run
from bench.results import Row, Section, spread
from bench.sizes import QUICK, sized
from demo.studies import Study
from servers.orthanc import Orthanc

_SCRIPTS = Path(sys.executable).parent
_STEPS = (1, 10, 100)

#: How much ten times the work may cost: ten times as much, and what measuring is uncertain by.
_LINEAR = 10 * 1.15

PLOT = Path(__file__).with_name("growth.png")


@dataclass(frozen=True, slots=True)
class _Curve:
    """One kind of work at several sizes.

    Parameters
    ----------
    title : str
    unit : str
    points : mapping of int to Measurement
        Size to times.
    """

    title: str
    unit: str
    points: Mapping[int, Measurement]

    def rows(self) -> list[Row]:
        rows, before = [], None
        for size, measured in self.points.items():
            what, told = f"{self.title}, {size:,} {self.unit}", spread(measured)
            if before is None:
                rows.append(Row(what, told))
            else:
                factor = measured.seconds / before.seconds
                asked = ("", None) if QUICK else ("at most 10 times", factor <= _LINEAR)
                rows.append(Row(what, f"{told}, {factor:.1f} times the one before", *asked))
            before = measured
        return rows


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it, and draw it."""
    curves = [*_of_catalogue(scratch, runs), _of_repack(scratch, runs), _of_find(scratch, runs)]
    if not QUICK:
        _draw(curves)
    rows = [row for curve in curves for row in curve.rows()]
    return Section("growth", command, machine.described(), _about(runs), rows)


def _about(runs: int) -> str:
    return (
        "The same work on one, ten and a hundred times as much, start-up included: so small work costs more"
        " than its share, and no step may cost more than ten times the one before it. The catalogue is"
        f" SQLite's; ``growth.png`` beside this file shows the curves. {runs} runs each, in turns; load of"
        f" the machine at the end: {machine.load()}."
    )


def _of_catalogue(scratch: Path, runs: int) -> list[_Curve]:
    catalogues = {}
    for step in _STEPS:
        catalogue = LargeCatalogue(step * sized(10_000, 100))
        catalogue.fill(scratch / f"catalogue-{step}" / "log")
        catalogues[catalogue.instances] = (catalogue, scratch / f"catalogue-{step}" / "log")
    asked: dict[str, Callable[[LargeCatalogue], Sequence[str]]] = {
        "px-status of one series": lambda one: ("px-status", "--SeriesInstanceUID", one.series_uid(0)),
        "search by PatientID": lambda _: ("px-smdb", "--action", "search", "--PatientID", "P00000?"),
        "search for all that is held": lambda _: ("px-smdb", "--action", "search", "--PatientID", "*"),
    }
    return [
        _Curve(
            title,
            "instances",
            _measured(
                {
                    size: [*_argv(*arguments(catalogue)), "--db", str(log)]
                    for size, (catalogue, log) in catalogues.items()
                },
                runs,
            ),
        )
        for title, arguments in asked.items()
    ]


def _of_repack(scratch: Path, runs: int) -> _Curve:
    contenders = {}
    for step in _STEPS:
        files = step * sized(100, 4)
        source = scratch / f"files-{step}"
        study = Study(f"GROWTH-{step}", attributes={"PatientName": "Bench^Growth"})
        for number in range(1, max(1, files // 100) + 1):
            study.series(number, min(files, 100))
        study.write(source)
        contenders[files] = lambda source=source, target=scratch / f"tree-{step}": _packed(source, target)
    return _Curve("px-repack", "files", _with_sizes(contenders, runs))


def _packed(source: Path, target: Path) -> Usage:
    set_aside(target)
    return run([*_argv("px-repack", "-p", str(source)), "--db", str(target / "log")])


def _of_find(scratch: Path, runs: int) -> _Curve:
    directory = scratch / "orthanc"
    directory.mkdir()
    with Orthanc(directory) as server:
        commands = {}
        for step in _STEPS:
            studies = step * sized(5, 1)
            for number in range(studies):
                study = Study(f"G{step}-{number:04d}", size=8, attributes={"StudyDate": "20260101"})
                server.store(study.series(1).series(2).write(scratch / "found" / f"{step}-{number}"))
            command = _argv("px-find", server.node.word, "--aet", server.aet)
            commands[studies] = [*command, "--PatientID", f"G{step}-*"]
        return _Curve("px-find", "studies", _measured(commands, runs))


def _argv(tool: str, *arguments: str) -> list[str]:
    return [str(_SCRIPTS / tool), *arguments]


def _measured(commands: Mapping[int, Sequence[str]], runs: int) -> dict[int, Measurement]:
    return _with_sizes({size: lambda argv=argv: run(argv) for size, argv in commands.items()}, runs)


def _with_sizes(contenders: Mapping[int, Callable[[], Usage]], runs: int) -> dict[int, Measurement]:
    named = in_turns({str(size): contender for size, contender in contenders.items()}, runs)
    return {int(size): measured for size, measured in named.items()}


def _draw(curves: Sequence[_Curve]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=110)
    axes = figure.subplots()
    for curve in curves:
        sizes = list(curve.points)
        times = [measured.seconds for measured in curve.points.values()]
        axes.plot(
            [size / sizes[0] for size in sizes], times, marker="o", label=f"{curve.title} ({curve.unit})"
        )
    axes.set(xscale="log", yscale="log", xlabel="times as much work", ylabel="seconds, start-up included")
    axes.plot(_STEPS, [0.05 * step for step in _STEPS], linestyle=":", color="grey", label="linear")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(PLOT)
