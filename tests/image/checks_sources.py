"""What other programs say of the files that the image is made and run with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from servers.needs import require

_CHECKOUT = Path(__file__).parents[2]


def test_compose_takes_its_file() -> None:
    compose = require("docker-compose", "docker-compose")
    command = [compose, "--file", str(_CHECKOUT / "compose.yaml"), "config", "--quiet"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = require("shellcheck", "shellcheck")
    command = [shellcheck, "--external-sources", "bin/test-image"]
    ran = subprocess.run(command, cwd=_CHECKOUT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
