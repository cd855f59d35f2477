"""The directories of a BASEMOUNT, and those that files arrive in, with real processes."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pypx.basemount.incoming import IncomingDirectory, is_owned
from pypx.basemount.layout import Basemount
from pypx.errors import BasemountUnusable

_CLAIM_AND_WAIT = """
import subprocess, sys, time
from pathlib import Path
from pypx.basemount.layout import Basemount
with Basemount.of_log_directory(Path(sys.argv[1])).claim_incoming("get") as directory:
    (directory.path / "image").write_text("half")
    if "child" in sys.argv:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[directory.lock])
        print(child.pid, flush=True)
    print(directory.path, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def basemount(tmp_path: Path) -> Basemount:
    basemount = Basemount.of_log_directory(tmp_path / "B" / "log")
    basemount.prepare()
    return basemount


def test_db_names_the_log_directory_and_its_parent_is_the_basemount(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    basemount = Basemount.of_log_directory(Path("site/../B/logs"))
    assert basemount.log == tmp_path / "B" / "logs"
    assert basemount.root == tmp_path / "B"
    assert basemount.data == tmp_path / "B" / "data"


def test_without_db_the_environment_names_the_basemount_else_the_home_directory_has_it(tmp_path, monkeypatch):
    monkeypatch.setenv("BASEMOUNT", str(tmp_path / "mounted"))
    assert Basemount.of_log_directory().log == tmp_path / "mounted" / "log"
    monkeypatch.delenv("BASEMOUNT")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Basemount.of_log_directory().log == tmp_path / "home" / "dicom" / "log"


def test_datadir_replaces_the_directory_of_the_images_alone(tmp_path):
    basemount = Basemount.of_log_directory(tmp_path / "log", data=tmp_path / "elsewhere")
    assert basemount.data == tmp_path / "elsewhere"
    assert basemount.incoming == tmp_path / "incoming"


def test_what_it_makes_is_for_the_owner_alone_and_what_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "B" / "data").mkdir(parents=True)
    (tmp_path / "B" / "data").chmod(0o755)
    basemount = Basemount.of_log_directory(tmp_path / "B" / "log")
    basemount.prepare()
    basemount.prepare()
    assert stat.S_IMODE(basemount.log.stat().st_mode) == 0o700
    assert stat.S_IMODE(basemount.incoming.stat().st_mode) == 0o700
    assert stat.S_IMODE(basemount.data.stat().st_mode) == 0o755


def test_a_file_where_a_directory_is_needed_is_named(tmp_path):
    (tmp_path / "B").mkdir()
    (tmp_path / "B" / "data").write_text("")
    with pytest.raises(BasemountUnusable, match=r"B/data is a file where a directory is needed"):
        Basemount.of_log_directory(tmp_path / "B" / "log").prepare()
    with pytest.raises(BasemountUnusable):
        Basemount.of_log_directory(tmp_path / "B" / "data" / "log").prepare()


def test_an_incoming_directory_goes_when_nothing_is_left_in_it(basemount):
    with basemount.claim_incoming("get") as directory:
        (directory.path / "one" / "association").mkdir(parents=True)
        assert list(directory.files()) == []
    assert list(basemount.incoming.iterdir()) == []


def test_an_incoming_directory_with_files_stays_and_is_taken_up_again(basemount):
    with basemount.claim_incoming("get") as directory:
        (directory.path / "one").mkdir()
        (directory.path / "one" / "image").write_text("whole")
        (directory.path / "first").write_text("whole")
        files = [directory.path / "first", directory.path / "one" / "image"]
        assert list(directory.files()) == files
        assert list(basemount.abandoned_incoming()) == []
    for taken in basemount.abandoned_incoming():
        assert taken.path == directory.path
        assert list(taken.files()) == files
        for file in files:
            file.unlink()
    assert list(basemount.incoming.iterdir()) == []


def test_a_basemount_without_incoming_has_nothing_abandoned(tmp_path):
    assert list(Basemount.of_log_directory(tmp_path / "log").abandoned_incoming()) == []


def test_what_a_killed_process_received_is_taken_up_only_after_its_end(basemount):
    owner = _start(basemount)
    path = Path(owner.stdout.readline().strip())
    assert list(basemount.abandoned_incoming()) == []
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert [taken.path for taken in basemount.abandoned_incoming()] == [path]


def test_a_child_that_still_writes_keeps_the_directory_of_its_killed_parent(basemount):
    owner = _start(basemount, "child")
    child = int(owner.stdout.readline())
    path = Path(owner.stdout.readline().strip())
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    try:
        assert list(basemount.abandoned_incoming()) == []
    finally:
        os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not (found := [taken.path for taken in basemount.abandoned_incoming()]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert found == [path]


def test_eight_processes_take_each_abandoned_directory_up_once(basemount):
    for number in range(200):
        owned = IncomingDirectory.claim(basemount.incoming, "get")
        (owned.path / "image").write_text(str(number))
        owned.release()
    script = """
import sys
from pathlib import Path
from pypx.basemount.layout import Basemount
basemount = Basemount.of_log_directory(Path(sys.argv[1]))
for directory in basemount.abandoned_incoming():
    for file in directory.files():
        print(file.read_text())
        file.unlink()
    with basemount.claim_incoming("get"):
        pass
"""
    takers = [
        subprocess.Popen([sys.executable, "-c", script, basemount.log], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    answers = [taker.communicate(timeout=400)[0].split() for taker in takers]
    assert [taker.returncode for taker in takers] == [0] * 8
    assert sorted(int(number) for answer in answers for number in answer) == list(range(200))
    assert list(basemount.incoming.iterdir()) == []


def test_who_looks_whether_a_directory_is_owned_keeps_nobody_from_owning_it(basemount):
    owner = IncomingDirectory.claim(basemount.incoming, "get")
    path = owner.path
    os.close(owner.lock)
    look = os.open(path / ".owner", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    looking = threading.Timer(0.02, os.close, [look])
    looking.start()
    owned = IncomingDirectory.take_up(path)
    looking.join()
    assert owned
    assert is_owned(path)
    assert IncomingDirectory.take_up(path) is None
    owned.release()
    assert list(basemount.incoming.iterdir()) == []


def test_no_directory_is_left_by_who_claims_while_others_look(basemount):
    script = """
import sys
from pathlib import Path
from pypx.basemount.incoming import is_owned
while True:
    for path in Path(sys.argv[1]).iterdir():
        is_owned(path)
"""
    lookers = [subprocess.Popen([sys.executable, "-c", script, basemount.incoming]) for _ in range(3)]
    try:
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            IncomingDirectory.claim(basemount.incoming, "get").release()
            assert all(looker.poll() is None for looker in lookers)
    finally:
        for looker in lookers:
            looker.kill()
            looker.wait()
    assert list(basemount.incoming.iterdir()) == []


def _start(basemount: Basemount, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CLAIM_AND_WAIT, str(basemount.log), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
