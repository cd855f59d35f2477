"""The interface of storages, the same cases on Swift and on a directory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypx.errors import FileUnreadable, InvalidValue, ObjectExists, ObjectMissing
from pypx.storage.interface import Storage
from storing import Destination

#: Names that a filesystem, a URL or a shell could trip over.
ODD_NAMES = [
    "a b/c  d.dcm",
    "山田^太郎/größe.dcm",
    "100%/a%2fb?c=d&e#f.dcm",
    "-rf/--help",
    "$(touch pwned)/`id`;'\".dcm",
    "...",
    ".hidden/..x",
    "x" * 255,
    "a\\b",
]


@pytest.fixture
def storage(destination: Destination) -> Iterator[Storage]:
    with destination.open() as opened:
        yield opened


def _file(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 1024 * 1024 + 1, 5_000_000])
def test_what_is_put_can_be_got(
    storage: Storage, destination: Destination, tmp_path: Path, size: int
) -> None:
    file = _file(tmp_path / "file", os.urandom(size))
    stored = storage.put("a/b.dcm", file)
    assert (stored.name, stored.size, stored.checksum) == ("a/b.dcm", size, storage.checksum(file))
    assert destination.contents() == {"a/b.dcm": file.read_bytes()}
    found = storage.stat("a/b.dcm")
    assert found is not None
    assert (found.size, found.checksum) == (size, stored.checksum)
    got = storage.get("a/b.dcm", tmp_path / "back")
    assert (got.size, got.checksum) == (size, stored.checksum)
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(storage: Storage, destination: Destination, tmp_path: Path, name: str) -> None:
    storage.put(name, _file(tmp_path / "file"))
    assert destination.contents() == {name: b"content"}
    assert [one.name for one in storage.list()] == [name]
    storage.get(name, tmp_path / "back")
    storage.remove(name)
    assert destination.contents() == {}


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "a/", ".", "..", "a\0b", "a\nb"])
def test_names_that_lead_elsewhere_reach_no_storage(
    storage: Storage, destination: Destination, tmp_path: Path, name: str
) -> None:
    file = _file(tmp_path / "file")
    for attempt in (
        lambda: storage.put(name, file),
        lambda: storage.stat(name),
        lambda: storage.get(name, tmp_path / "back"),
        lambda: storage.remove(name),
    ):
        with pytest.raises(InvalidValue):
            attempt()
    assert destination.contents() == {}
    assert not (tmp_path / "back").exists()


def test_nothing_is_replaced_unless_that_is_asked_for(
    storage: Storage, destination: Destination, tmp_path: Path
) -> None:
    first, second = _file(tmp_path / "1", b"first"), _file(tmp_path / "2", b"second")
    storage.put("a", first)
    with pytest.raises(ObjectExists):
        storage.put("a", second)
    assert destination.contents() == {"a": b"first"}
    replaced = storage.put("a", second, replace=True)
    assert replaced.checksum == storage.checksum(second)
    assert destination.contents() == {"a": b"second"}


def test_listing(storage: Storage, destination: Destination) -> None:
    names = ["a", "a/b", "a/c", "a-b", "a0/x", "b/a/c"]
    for name in names if destination.kind == "swift" else names[1:]:
        destination.put(name, b"12345")
    here = sorted(destination.contents())

    def listed(prefix: str) -> list[str]:
        return [one.name for one in storage.list(prefix)]

    assert listed("") == here
    assert listed("a") == [name for name in here if name.startswith("a")]
    assert listed("a/") == ["a/b", "a/c"]
    assert listed("a/b") == ["a/b"]
    assert listed("b/") == ["b/a/c"]
    assert listed("b/a/") == ["b/a/c"]
    assert listed("nothing/") == listed("a/b/c/d") == []
    assert {one.size for one in storage.list()} == {5}
    assert all(one.modified.startswith("20") for one in storage.list())


def test_more_objects_than_one_listing_gives(swift_container, monkeypatch) -> None:
    monkeypatch.setattr("pypx.storage.swift._LISTED_AT_ONCE", 3)
    names = [f"a/{number:02d}" for number in range(10)]
    for name in names:
        swift_container.put(name, b"x")
    with swift_container.open() as storage:
        assert [one.name for one in storage.list("a/")] == names
        assert [one.name for one in storage.list("a/0")] == names


def test_what_is_not_there(storage: Storage, tmp_path: Path) -> None:
    assert storage.stat("a/b") is None
    with pytest.raises(ObjectMissing):
        storage.get("a/b", tmp_path / "back")
    storage.remove("a/b")
    assert list(tmp_path.glob("back*")) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_removing(storage: Storage, destination: Destination) -> None:
    destination.put("a/b/c", b"1")
    destination.put("a/d", b"2")
    storage.remove("a/b")
    assert sorted(destination.contents()) == ["a/b/c", "a/d"]
    storage.remove("a/b/c")
    storage.remove("a/b/c")
    assert sorted(destination.contents()) == ["a/d"]


def test_a_file_that_is_not_there_is_not_the_storages_fault(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable):
        storage.put("a", tmp_path / "missing")
    with pytest.raises(FileUnreadable):
        storage.put("a", tmp_path)
    with pytest.raises(FileUnreadable):
        storage.checksum(tmp_path / "missing")
    assert list(storage.list()) == []


def test_a_target_that_cannot_be_written(storage: Storage, destination: Destination, tmp_path: Path) -> None:
    destination.put("a", b"1")
    with pytest.raises(FileUnreadable):
        storage.get("a", tmp_path / "no" / "such" / "directory")


def test_many_threads_put_the_same_names(storage: Storage, destination: Destination, tmp_path: Path) -> None:
    files = [_file(tmp_path / str(number), f"content {number}".encode()) for number in range(4)]
    outcomes: list[str] = []

    def work(file: Path) -> None:
        for name in range(10):
            try:
                storage.put(f"n{name}", file)
                outcomes.append(f"n{name}")
            except ObjectExists:
                pass

    threads = [threading.Thread(target=work, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = [f"n{name}" for name in range(10)]
    # Swift lets in several that come at the same moment; the last of them stays.
    assert sorted(outcomes) == names if destination.kind == "fs" else sorted(set(outcomes)) == names
    assert sorted(destination.contents()) == names
    assert set(destination.contents().values()) <= {file.read_bytes() for file in files}
