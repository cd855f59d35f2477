"""The benchmarks run; how fast is for bench/run to say, on a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS

_CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_prints_its_table(name: str) -> None:
    before = (_CHECKOUT / "bench" / "RESULTS.rst").read_bytes()
    ran = subprocess.run(
        [sys.executable, "-m", "bench", name, "--quick", "--runs", "1"],
        cwd=_CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{name}\n---")
    assert "cannot be installed" not in ran.stdout + ran.stderr
    assert (_CHECKOUT / "bench" / "RESULTS.rst").read_bytes() == before
