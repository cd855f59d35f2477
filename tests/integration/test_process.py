"""Programs are followed, timed and ended, with all that they started."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from pypx.dcmtk.process import LONGEST_LINE, Processes
from pypx.errors import BinaryMissing, Interrupted


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_lines_arrive_while_the_program_runs(tmp_path: Path) -> None:
    arrived: list[str] = []
    heard = tmp_path / "heard"

    def take(line: str) -> None:
        arrived.append(line)
        heard.touch()

    with Processes() as processes:
        # It goes on once somebody has heard of its first line.
        ended = processes.run(
            python(
                f"""
                import pathlib, time
                print("one", flush=True)
                while not pathlib.Path({str(heard)!r}).exists():
                    time.sleep(0.01)
                print("two", end="")
                """
            ),
            silence=60,
            on_line=take,
        )
    assert ended.returncode == 0
    assert arrived == ["one", "two"]


def test_both_streams_and_complaints_are_kept() -> None:
    with Processes() as processes:
        ended = processes.run(
            python("import sys; sys.stderr.write('E: bad\\n'); sys.stdout.write('I: fine\\n'); sys.exit(3)"),
            10,
        )
    assert ended.returncode == 3
    assert set(ended.tail) == {"E: bad", "I: fine"}
    assert ended.complaints == ("E: bad",)


def test_a_silent_program_is_ended_with_what_it_started() -> None:
    pids: list[str] = []
    with Processes() as processes:
        begun = time.monotonic()
        ended = processes.run(
            python(
                """
                import subprocess, sys, time
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
                print(child.pid, flush=True)
                time.sleep(60)
                """
            ),
            silence=4,
            on_line=pids.append,
        )
    assert ended.silent
    assert time.monotonic() - begun < 40
    assert wait_until_gone(int(pids[0]))


def test_a_program_that_will_not_end_is_killed() -> None:
    with Processes() as processes:
        ended = processes.run(
            python(
                """
                import signal, time
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                print("deaf", flush=True)
                time.sleep(60)
                """
            ),
            silence=4,
        )
    assert ended.returncode == -signal.SIGKILL


def test_leaving_the_context_ends_what_another_thread_runs() -> None:
    outcomes: list[int] = []
    started = threading.Event()
    with Processes() as processes:
        thread = threading.Thread(
            target=lambda: outcomes.append(
                processes.run(
                    python("import time; print('up', flush=True); time.sleep(60)"),
                    silence=60,
                    on_line=lambda _: started.set(),
                ).returncode
            )
        )
        thread.start()
        assert started.wait(60)
    thread.join(60)
    assert outcomes == [-signal.SIGTERM]


def test_nothing_starts_when_the_end_has_begun() -> None:
    processes = Processes()
    processes.end()
    with pytest.raises(Interrupted):
        processes.run(python("pass"), 10)


def test_a_program_dies_with_us_even_when_we_are_killed() -> None:
    parent = subprocess.Popen(
        python(
            """
            import sys
            from pypx.dcmtk.process import Processes
            with Processes() as processes:
                processes.run(
                    [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"],
                    60,
                    lambda line: print(line, flush=True),
                )
            """
        ),
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(child)


def test_nagle_is_off_for_every_program() -> None:
    with Processes() as processes:
        ended = processes.run(python("import os; print(os.environ['TCP_NODELAY'])"), 10)
    assert ended.tail == ("1",)


def test_an_endless_line_is_cut() -> None:
    with Processes() as processes:
        ended = processes.run(python("print('x' * 5_000_000); print('end')"), 30)
    assert ended.tail[-1] == "end"
    assert all(len(line) <= LONGEST_LINE for line in ended.tail)


def test_a_program_that_is_not_there() -> None:
    with Processes() as processes, pytest.raises(BinaryMissing):
        processes.run(["/nonexistent/findscu"], 10)
