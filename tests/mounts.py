"""Filesystems that only one process sees: small ones, read-only ones. Needs no privileges."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def small(directory: Path, size: str) -> str:
    """The shell command that mounts an empty filesystem of this size."""
    directory.mkdir(parents=True, exist_ok=True)
    return f"mount -t tmpfs -o size={size} none {directory}"


def read_only(directory: Path) -> str:
    """The shell command that lets nobody write below a directory."""
    return f"mount --bind {directory} {directory} && mount -o remount,bind,ro {directory}"


def bind(directory: Path, place: Path) -> str:
    """The shell command that shows a directory at another place, too."""
    place.mkdir(parents=True, exist_ok=True)
    return f"mount --bind {directory} {place}"


def run(mount: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that sees what the shell command mounts.

    Without namespaces, as in some containers, there is nothing to test.
    """
    unshare = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], check=False).returncode:
        pytest.skip("this kernel gives no mounts of one's own: run with --cap-add SYS_ADMIN")
    return subprocess.run(
        [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def run_python(mount: str, script: str, *arguments: str | Path) -> str:
    """What a Python script prints that sees what the shell command mounts."""
    ran = run(mount, sys.executable, "-c", script, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
