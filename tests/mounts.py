"""Filesystems that only one process sees: small ones, read-only ones. Needs root, or namespaces of users."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from servers.needs import lacking


def small(directory: Path, size: str) -> str:
    """The shell command that mounts an empty filesystem of this size, as ``2m``, or ``2m,nr_inodes=100``."""
    directory.mkdir(parents=True, exist_ok=True)
    return f"mount -t tmpfs -o size={size} none {directory}"


def resized(directory: Path, size: str) -> str:
    """The shell command that gives a small filesystem another size."""
    return f"mount -o remount,size={size} {directory}"


def read_only(directory: Path) -> str:
    """The shell command that lets nobody write below a directory."""
    return f"mount --bind {directory} {directory} && mount -o remount,bind,ro {directory}"


def bind(directory: Path, place: Path) -> str:
    """The shell command that shows a directory at another place, too."""
    place.mkdir(parents=True, exist_ok=True)
    return f"mount --bind {directory} {place}"


#: Without a namespace of users where there is no need: containers that root runs in often refuse those.
_AS_ROOT = ("unshare", "--mount", "--propagation", "private")
_AS_A_USER = ("unshare", "--user", "--map-root-user", "--mount")


@lru_cache(maxsize=1)
def _unshare() -> tuple[str, ...] | None:
    for command in (_AS_ROOT, _AS_A_USER) if os.geteuid() == 0 else (_AS_A_USER,):
        probe = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return command
    return None


def inside(mount: str) -> list[str]:
    """The words before a command that have it see what the shell command mounts."""
    unshare = _unshare()
    if unshare is None:
        lacking(
            "this kernel gives no mounts of one's own: run as root, in a container with --cap-add SYS_ADMIN"
        )
    return [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh"]


def change(pid: int, mount: str) -> None:
    """Have a process that runs see what the shell command mounts."""
    as_a_user = ("--user", "--preserve-credentials") if _unshare() == _AS_A_USER else ()
    subprocess.run(["nsenter", "--target", str(pid), "--mount", *as_a_user, "sh", "-c", mount], check=True)


def run(mount: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that sees what the shell command mounts."""
    return subprocess.run(
        [*inside(mount), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def run_python(mount: str, script: str, *arguments: str | Path) -> str:
    """What a Python script prints that sees what the shell command mounts."""
    ran = run(mount, sys.executable, "-c", script, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
