"""The first process in namespaces of their own: mount what a container has, become its user, run its command.

Run by :mod:`image.container` through unshare(1), with a :class:`Launch` as JSON. All that is mounted here is
gone when the last process of these namespaces ends, however it ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

_END_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38  # prctl(2)
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1  # netdevice(7)


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, where and as whom.

    Parameters
    ----------
    root : str
        The directory that becomes /.
    command : list of str
    environment : dict of str to str
    directory : str
        To run in, as seen from the new root.
    uid, gid : int
    files : dict of str to str
        Path and text. Files are below ``/dev``, which is in memory: the root never holds them.
    mounts : dict of str to str
        Path in the root, and the file or directory outside that is seen there, not to be written. A path that
        is not there yet is below ``/dev``, too.
    volumes : dict of str to str
        Path in the root, and the directory outside that is seen there, to be written.
    memory : list of str
        Directories that are empty, in memory, and gone at the end.
    is_read_only : bool
        Whether nothing but volumes and memory may be written.
    has_own_network : bool
        Whether there is nothing but a loopback interface of its own.
    """

    root: str
    command: list[str]
    environment: dict[str, str]
    directory: str = "/"
    uid: int = 0
    gid: int = 0
    files: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    memory: list[str] = field(default_factory=list)
    is_read_only: bool = False
    has_own_network: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def launch(wanted: Launch) -> NoReturn:
    """Make the container and become its command."""
    root = Path(wanted.root)
    if wanted.has_own_network:
        _raise_loopback()
    _mount("--rbind", root, root)
    _mount("-t", "proc", "proc", root / "proc")
    _make_devices(root / "dev")
    for path, text in wanted.files.items():
        _make_place(Path(os.devnull), _below(root, path))
        _below(root, path).write_text(text)
    for path, outside in wanted.mounts.items():
        if path.startswith("/dev/"):
            _make_place(Path(outside), _below(root, path))
        _mount("--bind", outside, _below(root, path))
        _mount("-o", "remount,bind,ro", _below(root, path))
    for path in wanted.memory:
        _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", _below(root, path))
    if wanted.is_read_only:
        _mount("-o", "remount,bind,ro", root)
    for path, outside in wanted.volumes.items():
        _mount("--bind", outside, _below(root, path))
    _become(wanted)


def _become(wanted: Launch) -> NoReturn:
    os.chroot(wanted.root)
    os.chdir(wanted.directory)
    os.umask(0o022)
    os.setgroups([])
    os.setgid(wanted.gid)
    os.setuid(wanted.uid)
    if wanted.uid:
        _prctl(_NO_NEW_PRIVILEGES, 1)
    # Asked for by unshare already, but the kernel forgets it where the user changes.
    _prctl(_END_WITH_PARENT, signal.SIGKILL)
    # Looked up on the container's PATH, in its root.
    os.environ["PATH"] = wanted.environment["PATH"]
    os.execvpe(wanted.command[0], wanted.command, wanted.environment)  # noqa: S606


def _prctl(what: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(what, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {what}")


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def _below(root: Path, path: str) -> Path:
    """This path in the root; an absolute link in it would lead out."""
    inside = root / path.lstrip("/")
    if not inside.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{path} leads out of {root}")
    return inside


def _make_place(outside: Path, inside: Path) -> None:
    inside.parent.mkdir(exist_ok=True)
    if outside.is_dir():
        inside.mkdir()
    else:
        inside.touch()


def _make_devices(dev: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", dev)
    for name, (major, minor) in _DEVICES.items():
        os.mknod(dev / name, 0o020666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    for name, kind, options in (
        ("pts", "devpts", "newinstance,ptmxmode=0666"),
        ("shm", "tmpfs", "mode=1777"),
    ):
        (dev / name).mkdir()
        _mount("-t", kind, "-o", options, kind, dev / name)


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        request = struct.pack("16sh", b"lo", 0)
        flags = struct.unpack("16sh", fcntl.ioctl(any_socket, _GET_FLAGS, request))[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", flags | _UP))


if __name__ == "__main__":
    launch(Launch(**json.loads(sys.argv[1])))
