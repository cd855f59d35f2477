"""``python -m bench NAME``: run a benchmark, print its table, and put it into RESULTS.rst."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

_ROOT = Path(__file__).parent.parent

#: Each is a module of this package with ``benchmark(scratch, runs, command) -> Section``.
BENCHMARKS = ("find", "push", "receive", "register", "repack", "retrieve", "status")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--runs", type=int, default=7, help="of each contender (default: %(default)s)")
    parser.add_argument("--dry", action="store_true", help="print the table, leave RESULTS.rst as it is")
    asked = parser.parse_args()
    # The servers that the tests start are the ones to measure on.
    sys.path[:0] = [str(_ROOT), str(_ROOT / "tests")]
    from bench import machine, results

    command = f"{machine.ahead()}python -m bench {asked.name} --runs {asked.runs}"
    with TemporaryDirectory(prefix="pypx-bench-") as scratch:
        benchmark = import_module(f"bench.{asked.name}").benchmark
        section = benchmark(Path(scratch), asked.runs, command)
    sys.stdout.write(section.text())
    if not asked.dry:
        results.write(section)
    return 0 if section.met else 1


if __name__ == "__main__":
    sys.exit(main())
