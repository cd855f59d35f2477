"""``python -m fuzz NAME [SECONDS]``, in tests/: look for input that is taken badly, guided by coverage.

Needs atheris (``pip install atheris``), which is not installed with the rest. What it finds becomes a test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_TESTS = Path(__file__).parents[1]


def main() -> None:
    name, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "60"
    sys.path[:0] = [str(_TESTS), str(_TESTS.parent)]
    with atheris.instrument_imports(include=["pypx"]):
        from fuzz.targets import TARGETS
    corpus = Path("build") / "fuzz" / name.replace(" ", "-").replace("'", "")
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-max_len=20000", f"-artifact_prefix={corpus}/found-"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name].try_with)
    atheris.Fuzz()


main()
