"""A directory as a storage: whole files or none, and never one outside of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from listener import until
from pypx.errors import InvalidValue, ObjectMissing, StorageFailed, StorageRefused, StorageUnreachable
from pypx.storage.filesystem import FilesystemStorage
from storing import DirectoryDestination
from tools import run_tool

_PUT = """
import sys
from pathlib import Path
from pypx.storage.filesystem import FilesystemStorage
storage = FilesystemStorage(Path(sys.argv[1]))
while True:
    storage.put("a/big", Path(sys.argv[2]), replace=True)
"""


_PUT_ONCE = """
import sys
from pathlib import Path
from pypx.errors import PypxError
from pypx.storage.filesystem import FilesystemStorage
try:
    FilesystemStorage(Path(sys.argv[1])).put("a/b", Path(sys.argv[2]))
except PypxError as error:
    print(error.code)
"""


@pytest.fixture
def store(tmp_path: Path, basemount: Path) -> DirectoryDestination:
    return DirectoryDestination(tmp_path / "store", basemount)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_a_filesystem_that_is_not_mounted_is_not_filled_up(tmp_path: Path) -> None:
    with pytest.raises(StorageUnreachable):
        FilesystemStorage(tmp_path / "nothing here")
    assert not (tmp_path / "nothing here").exists()


def test_a_killed_writer_leaves_no_object_and_the_next_one_clears_up(
    store: DirectoryDestination, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(20_000_000))
    seen = 0
    pauses = (0.1, 0.15, 0.2, 0.25, 0.3)
    for number, pause in enumerate(pauses * 10):
        if number >= len(pauses) and seen:
            break
        writer = subprocess.Popen([sys.executable, "-c", _PUT, store.root, big], stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not any(store.root.rglob("*.part~")) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(pause / 10)
        writer.kill()
        writer.communicate()
        for name, content in store.contents().items():
            if name == "a/big":
                assert content == big.read_bytes()
            else:
                assert name.endswith(".part~")
                seen += 1
        with store.open() as storage:
            assert {one.name for one in storage.list()} <= {"a/big"}
    assert seen, "no writer was killed in the middle"
    with store.open() as storage:
        storage.put("a/big", big, replace=True)
    assert store.contents() == {"a/big": big.read_bytes()}


def test_two_processes_that_write_the_same_object(store: DirectoryDestination, tmp_path: Path) -> None:
    sources = [tmp_path / "one", tmp_path / "two"]
    for number, source in enumerate(sources):
        source.write_bytes(bytes([number]) * 3_000_000)
    writers = [
        subprocess.Popen([sys.executable, "-c", _PUT, store.root, source], stderr=subprocess.PIPE)
        for source in sources
    ]
    target = store.root / "a" / "big"
    until(target.exists)
    contents = [source.read_bytes() for source in sources]
    seen: Counter[int] = Counter()
    # One of them may begin much later than the other.
    deadline = time.monotonic() + 60
    while (seen.total() < 200 or len(seen) < 2) and time.monotonic() < deadline:
        content = target.read_bytes()
        assert content in contents
        seen[content[0]] += 1
    for writer in writers:
        assert writer.poll() is None, writer.communicate()[1]
        writer.kill()
        writer.communicate()
    assert set(seen) == {0, 1}


def test_a_link_that_leads_out_is_not_followed(
    store: DirectoryDestination, file: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (store.root / "link").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "secret")
    with store.open() as storage:
        for attempt in (
            lambda: storage.put("link/a", file),
            lambda: storage.put("link/deeper/a", file),
            lambda: storage.stat("link/secret"),
            lambda: storage.get("link/secret", tmp_path / "back"),
            lambda: storage.remove("link/secret"),
            lambda: list(storage.list("link/")),
        ):
            with pytest.raises(StorageRefused):
                attempt()
        assert storage.stat("file") is None
        with pytest.raises(ObjectMissing):
            storage.get("file", tmp_path / "back")
        assert list(storage.list()) == []
        storage.put("file", file, replace=True)
    assert sorted(path.name for path in outside.rglob("*")) == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"
    assert not (store.root / "file").is_symlink()


def test_what_is_no_file_is_no_object(store: DirectoryDestination, tmp_path: Path) -> None:
    os.mkfifo(store.root / "pipe")
    (store.root / "directory").mkdir()
    with store.open() as storage:
        assert list(storage.list()) == []
        assert storage.stat("pipe") is None
        assert storage.stat("directory") is None
        storage.remove("directory")
    assert (store.root / "directory").is_dir()


def test_an_object_where_a_directory_would_be_needed(store: DirectoryDestination, file: Path) -> None:
    with store.open() as storage:
        storage.put("a", file)
        with pytest.raises(StorageFailed):
            storage.put("a/b", file)
        assert storage.stat("a/b") is None
    assert store.contents() == {"a": b"content"}


def test_names_of_unfinished_files_are_taken(store: DirectoryDestination, file: Path) -> None:
    with store.open() as storage, pytest.raises(InvalidValue):
        storage.put(f"a/.{'0' * 32}.part~", file)


def test_removing_the_last_object_removes_its_directories(store: DirectoryDestination, file: Path) -> None:
    with store.open() as storage:
        storage.put("a/b/c", file)
        storage.put("a/d", file)
        storage.remove("a/b/c")
        assert sorted(path.name for path in store.root.rglob("*")) == ["a", "d"]
        storage.remove("a/d")
    assert list(store.root.iterdir()) == []


def test_a_directory_that_may_not_be_written(store: DirectoryDestination, file: Path) -> None:
    store.root.chmod(0o500)
    ran = run_tool("python", "-c", _PUT_ONCE, store.root, file, unprivileged=True)
    assert (ran.stdout, ran.stderr) == ("storage-refused\n", "")
    assert store.contents() == {}


def test_a_filesystem_without_locks(store: DirectoryDestination, file: Path, monkeypatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with store.open() as storage:
        storage.put("a", file)
        storage.put("a", file, replace=True)
    assert store.contents() == {"a": b"content"}


def test_no_space(store: DirectoryDestination, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full")
    big = tmp_path / "big"
    big.write_bytes(bytes(3_000_000))
    limited = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));" + _PUT,
            store.root,
            big,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StorageFailed" in limited.stderr
    assert store.contents() == {}
