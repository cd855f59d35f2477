"""The benchmarks run; how fast is for bench/run to say, on a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS

_CHECKOUT = Path(__file__).parents[2]


# In one go: the earlier release is installed once.
@pytest.mark.timeout(1200)
def test_all_benchmarks_run_and_print_their_tables() -> None:
    before = (_CHECKOUT / "bench" / "RESULTS.rst").read_bytes()
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "all", "--quick", "--runs", "1"],
        cwd=_CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    headings = ["", *ran.stdout.splitlines()]
    for name in (*BENCHMARKS, "all"):
        assert "-" * len(name) in headings[headings.index(name) + 1 :][:1], name
    assert "cannot be installed" not in ran.stdout + ran.stderr
    of_all = ran.stdout.split("\nall\n---\n")[1]
    rows = [line for line in of_all.splitlines() if line.startswith(("px-", "pfstorage"))]
    assert len(rows) > len(BENCHMARKS)
    assert sum(row.count(" s ± ") + row.count(" ms ± ") == 3 for row in rows) == 5
    assert (_CHECKOUT / "bench" / "RESULTS.rst").read_bytes() == before
