"""``python -m bench NAME``: run a benchmark, print its table, and put it into RESULTS.rst."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.results import Section

_ROOT = Path(__file__).parent.parent

#: Each is a module of this package with ``benchmark(scratch, runs, command) -> Section``: an empty directory,
#: how often each contender runs, and the command that was typed, for the results.
BENCHMARKS = (
    *("find", "report", "retrieve", "receive", "repack", "status", "push", "register"),
    "growth",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=(*BENCHMARKS, "all"))
    parser.add_argument("--runs", type=int, default=7, help="of each contender (default: %(default)s)")
    parser.add_argument("--dry", action="store_true", help="print the table, leave RESULTS.rst as it is")
    parser.add_argument(
        "--quick", action="store_true", help="little work, to see that all runs; the times mean nothing"
    )
    asked = parser.parse_args()
    # The servers that the tests start are the ones to measure on.
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]
    if asked.quick:
        os.environ["PYPX_BENCH_QUICK"] = "1"
    names = BENCHMARKS if asked.name == "all" else (asked.name,)
    is_kept = not (asked.dry or asked.quick)
    # Each is measured, whatever those before it came to.
    sections = [_benchmark(name, asked.runs, is_kept=is_kept) for name in names]
    if asked.name == "all":
        _tell_of_all(sections, asked.runs, is_kept=is_kept)
    return 0 if all(section.met for section in sections) else 1


def _tell_of_all(sections: Sequence[Section], runs: int, *, is_kept: bool) -> None:
    from bench import machine, results

    text = results.of_all(sections, f"{machine.ahead()}bench/run --runs {runs}", machine.described())
    sys.stdout.write(f"{text}\n")
    if is_kept:
        results.write(text)


def _benchmark(name: str, runs: int, *, is_kept: bool) -> Section:
    """Run a benchmark and print what came out."""
    from bench import machine, results
    from bench.sizes import QUICK

    command = f"{machine.ahead()}python -m bench {name} --runs {runs}"
    with TemporaryDirectory(prefix="pypx-bench-") as scratch:
        section: Section = import_module(f"bench.{name}").benchmark(Path(scratch), runs, command)
    if QUICK:
        section = section.without_targets()
    sys.stdout.write(f"{section.text()}\n")
    sys.stdout.flush()
    if is_kept:
        results.write(section.text())
    return section


if __name__ == "__main__":
    sys.exit(main())
