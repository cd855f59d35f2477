"""The console scripts as people and scripts run them: in a process of their own, from their own PATH."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(sys.executable).parent

#: In the environment of everything that a test starts, so that what is left of it can be found.
_MARK = "PYPX_TEST_RUN"

#: Seconds after which a tool hangs: many times what any of them takes where the machine is its own.
_PATIENCE = 400.0

#: Seconds that a program takes, on a busy machine, from its start to asking the kernel to end with the tool.
_TO_COME_TO_ASK = 0.5

#: Permissions of files mean nothing to root, until it gives up its capabilities.
_WITHOUT_PRIVILEGES = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of a tool came to."""

    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def json(self) -> Any:
        """stdout as the one JSON document that it must be."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The code of the JSON's error."""
        return str(self.json["error"]["code"])


class Running:
    """A tool that runs: to be waited for, or to be killed in the middle."""

    def __init__(
        self,
        name: str | Path,
        *arguments: str | Path | int,
        stdin: str | bytes = "",
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        terminal: int | None = None,
        unprivileged: bool = False,
    ) -> None:
        self._mark = uuid.uuid4().hex
        self._stdin = stdin.encode() if isinstance(stdin, str) else stdin
        self._started = time.monotonic()
        self._scratch = None if directory else Path(tempfile.mkdtemp(prefix="pypx-run-"))
        if self._scratch:
            # For one whose end nobody waits for.
            atexit.register(shutil.rmtree, self._scratch, ignore_errors=True)
        channel = subprocess.PIPE if terminal is None else terminal
        self.process = subprocess.Popen(
            [
                *(_WITHOUT_PRIVILEGES if unprivileged and os.geteuid() == 0 else ()),
                *(str(SCRIPTS / name), *(str(argument) for argument in arguments)),
            ],
            stdin=subprocess.PIPE if terminal is None else terminal,
            stdout=channel,
            stderr=channel,
            cwd=directory or self._scratch,
            env={**_environment(), **(environment or {}), _MARK: self._mark},
            start_new_session=True,
        )

    def feed(self) -> None:
        """Give it all its stdin now, for a caller that looks on before it waits."""
        assert self.process.stdin is not None
        self.process.stdin.write(self._stdin)
        self.process.stdin.close()
        self.process.stdin = None

    def wait(self, timeout: float = _PATIENCE) -> Ran:
        """Feed it its stdin and take what it writes until it ends; a tool that leaves children fails."""
        try:
            stdout, stderr = self.process.communicate(self._stdin, timeout)
        except subprocess.TimeoutExpired:
            self.end_everything()
            stdout, stderr = self.process.communicate()
            raise AssertionError(
                f"{self.process.args} did not end within {timeout} s:\n{stderr.decode(errors='replace')}"
            ) from None
        ran = Ran(
            self.process.returncode,
            (stdout or b"").decode(),
            (stderr or b"").decode(),
            time.monotonic() - self._started,
        )
        self.assert_nothing_left()
        self._assert_nothing_written()
        assert "Traceback" not in ran.stderr + ran.stdout, ran.stderr + ran.stdout
        return ran

    def kill(self) -> None:
        """kill -9, of the tool and everything that it started, as a power cut would."""
        self.end_everything()
        self.process.communicate()
        self._assert_nothing_written()

    def wait_until_interruptible(self) -> None:
        """Wait until it has imported what it begins with, and takes signals for what they mean to it."""
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            caught = re.search(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)
            if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(0.02)
        raise AssertionError(f"{self.process.args} ended with {self.process.returncode}")

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ctrl-C, or a service manager's SIGTERM, to the tool alone."""
        self.process.send_signal(number)

    def left(self) -> dict[int, str]:
        """Processes that this run started and that still are, with their command lines."""
        return {pid: line for pid, line in _marked(self._mark).items() if pid != self.process.pid}

    def assert_nothing_left(self) -> None:
        """Children go with the tool; those that the kernel has yet to remove get a moment."""
        deadline = time.monotonic() + 5.0
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.01)
        if left:
            self.end_everything()
            raise AssertionError(f"{self.process.args} left processes behind: {left}")

    def kill_alone(self, *, at_once: bool = False) -> None:
        """kill -9 of the tool, and of nothing that it started: that, the kernel must end.

        What was started in that very moment has not come to ask the kernel for it (:mod:`pypx.orphans`). So
        there is a wait until all that runs was started a while ago; where the moment is to be this one, what
        is as new as that is ended here instead.
        """
        deadline = time.monotonic() + _PATIENCE
        while not at_once and any(_started_at(pid) > _now() - _TO_COME_TO_ASK for pid in self.left()):
            assert time.monotonic() < deadline, f"{self.process.args} starts one program after the other"
            time.sleep(0.01)
        moment = _now()
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + 5.0
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.01)
        before = [line for pid, line in left.items() if _started_at(pid) < moment - _TO_COME_TO_ASK]
        for pid in left:
            _end(pid)
        assert before == [], f"{self.process.args} left processes behind: {before}"

    def _assert_nothing_written(self) -> None:
        """Where it is run from is none of a tool's business."""
        if self._scratch is not None and self._scratch.exists():
            written = [path.name for path in self._scratch.iterdir()]
            shutil.rmtree(self._scratch)
            assert written == [], f"{self.process.args} wrote into the working directory: {written}"

    def end_everything(self) -> None:
        # It first, so that it starts nothing more.
        self.process.kill()
        for pid in _marked(self._mark):
            _end(pid)


def _environment() -> dict[str, str]:
    """Ours, without what would change how a tool behaves."""
    unwanted = {"NO_COLOR", "COLUMNS", "LINES", "BASEMOUNT", "FORCE_COLOR", "TCP_NODELAY"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "TERM": "xterm-256color"}


def environment_without(program: str, directory: Path) -> dict[str, str]:
    """Variables for a tool on a machine that lacks a program; a new directory links to all others."""
    directory.mkdir()
    for place in os.environ["PATH"].split(":"):
        for path in Path(place).iterdir() if Path(place).is_dir() else ():
            if path.name != program and not (directory / path.name).is_symlink():
                (directory / path.name).symlink_to(path)
    return {"PATH": str(directory)}


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _started_at(pid: int) -> float:
    """When a process was started, in seconds on CLOCK_BOOTTIME (proc(5)); now where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _now()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _marked(mark: str) -> dict[int, str]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes():
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = line.decode(errors="replace").strip()
        except OSError:
            continue
    return found


def run_tool(
    name: str | Path,
    *arguments: str | Path | int,
    stdin: str | bytes = "",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    timeout: float = _PATIENCE,
    unprivileged: bool = False,
) -> Ran:
    """Run a console script to its end, none of its streams a terminal.

    Fails where it does not end in time, leaves a child process behind, writes into its working directory
    or shows a stack trace.
    """
    running = Running(
        name,
        *arguments,
        stdin=stdin,
        environment=environment,
        directory=directory,
        unprivileged=unprivileged,
    )
    return running.wait(timeout)


def packages_loaded_by(tool: str, *options: str | Path | int) -> set[str]:
    """What a tool imports: each start waits for it."""
    ran = run_tool("python", "-X", "importtime", SCRIPTS / tool, *options)
    assert ran.status == 0, ran.stderr
    names = [line.rsplit("|", 1)[1].strip() for line in ran.stderr.splitlines() if "import time:" in line]
    # One that was looked for in vain is in the list, too; what is in it is not.
    return {name.split(".")[0] for name in names if "." in name}


def run_in_terminal(
    command: Sequence[str | Path | int],
    columns: int = 80,
    rows: int = 24,
    environment: Mapping[str, str] | None = None,
    timeout: float = _PATIENCE,
    on_shown: Callable[[str, Running], None] = lambda _shown, _running: None,
) -> Ran:
    """Run a console script with all its streams a terminal of this size; all it shows is in ``stdout``.

    A caller may do something about what has been shown so far, each time that there is more.
    """
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        running = Running(*command, environment=environment, terminal=theirs)
        os.close(theirs)
        shown = _read_until_end(ours, running, time.monotonic() + timeout, on_shown)
    finally:
        os.close(ours)
    ran = running.wait()
    text = shown.decode(errors="replace")
    assert "Traceback" not in text, text
    return Ran(ran.status, text, "", ran.seconds)


def _read_until_end(
    terminal: int, running: Running, deadline: float, on_shown: Callable[[str, Running], None]
) -> bytes:
    os.set_blocking(terminal, False)
    shown = b""
    while True:
        ended = running.process.poll() is not None
        try:
            while part := os.read(terminal, 65536):
                shown += part
                on_shown(shown.decode(errors="replace"), running)
        except BlockingIOError:
            pass
        except OSError:
            # Linux says EIO once nobody holds the other side.
            return shown
        if ended:
            return shown
        if time.monotonic() > deadline:
            running.end_everything()
            raise AssertionError(
                f"{running.process.args} did not end; it showed:\n{shown.decode(errors='replace')}"
            )
        time.sleep(0.005)
