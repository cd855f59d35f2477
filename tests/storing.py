"""Storages as px-push is given them, and what is in them, seen past all of pypx."""

from __future__ import annotations

import abc
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydicom import dcmread

from demo.server import HOST
from pypx.storage.filesystem import FilesystemStorage
from pypx.storage.interface import Storage
from pypx.storage.retries import Retries
from pypx.storage.swift import SwiftStorage
from pypx.storage.swift_access import SwiftAccess
from servers.swift import KEY, LOGIN, Swift
from tools import Ran, run_tool

#: What the BASEMOUNTs of the tests call their storage.
SERVICE = "local"
PACS = "BCH"
TOP = f"SERVICES/PACS/{PACS}"

#: Pauses that a test does not want to wait for.
QUICK = Retries(4, 0.02)


def write_service(basemount: Path, name: str, fields: Mapping[str, Any], key: str = SERVICE) -> None:
    """Tell a BASEMOUNT of a service, as px-smdb does."""
    directory = basemount / "services"
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{name}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, key: dict(fields)}))
    file.chmod(0o600)


class Destination(abc.ABC):
    """A storage that one test has for itself."""

    kind = ""

    #: What names it to px-push and pfstorage.
    options: tuple[str, ...] = ("--swift", SERVICE)

    @abc.abstractmethod
    def open(self, retries: Retries = QUICK) -> Storage:
        """As the suite sees it."""

    @abc.abstractmethod
    def contents(self) -> dict[str, bytes]:
        """What it holds: name to content, every file or object of it."""

    @abc.abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Put something there behind the suite's back."""

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Take something away behind the suite's back."""

    def digests(self) -> dict[str, str]:
        """Name to a digest of the content."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in self.contents().items()}


class DirectoryDestination(Destination):
    """A directory, as of a mounted filesystem."""

    kind = "fs"

    def __init__(self, root: Path, basemount: Path) -> None:
        self.root = root
        root.mkdir()
        write_service(basemount, "storage", {"storagetype": "fs", "storepath": str(root)})

    def open(self, retries: Retries = QUICK) -> Storage:
        return FilesystemStorage(self.root)

    def contents(self) -> dict[str, bytes]:
        files = (path for path in sorted(self.root.rglob("*")) if not path.is_dir())
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in files}

    def put(self, name: str, content: bytes) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()


class SwiftDestination(Destination):
    """A container of a running Swift."""

    kind = "swift"

    def __init__(self, server: Swift, basemount: Path) -> None:
        self.server = server
        self.container = f"users-{uuid.uuid4().hex}"
        self._basemount = basemount
        server.request("PUT", self.container)
        self.know()

    def know(self, **fields: Any) -> None:
        """Tell the BASEMOUNT of it, with fields that differ."""
        write_service(self._basemount, "swift", {**self.fields, **fields})

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "ip": HOST,
            "port": self.server.port,
            "login": LOGIN,
            "key": KEY,
            "container": self.container,
        }

    def open(self, retries: Retries = QUICK) -> SwiftStorage:
        return SwiftStorage(SwiftAccess.of_fields(self.fields), retries)

    def at(self, port: int, timeout: float = 10.0, **fields: Any) -> SwiftStorage:
        """As the suite sees it through another port."""
        return SwiftStorage(SwiftAccess.of_fields({**self.fields, "port": port, **fields}), QUICK, timeout)

    def contents(self) -> dict[str, bytes]:
        return {
            name: self.server.content(name, self.container)
            for name in self.server.objects("", self.container)
        }

    def put(self, name: str, content: bytes) -> None:
        self.server.put(name, content, self.container)

    def remove(self, name: str) -> None:
        self.server.remove(name, self.container)


def push(
    basemount: Path,
    destination: Destination,
    *arguments: str | Path | int,
    status: int = 0,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run px-push; it must end with this status."""
    ran = run_tool(
        "px-push", *push_arguments(basemount, destination, *arguments), stdin=stdin, environment=environment
    )
    assert ran.status == status, ran.stderr
    return ran


def push_arguments(
    basemount: Path, destination: Destination, *arguments: str | Path | int
) -> list[str | Path | int]:
    """The arguments of px-push into a storage."""
    return ["--db", basemount / "log", *destination.options, "--swiftServicesPACS", PACS, *arguments]


def counts(ran: Ran) -> dict[str, int]:
    """The counts of px-push that are not zero."""
    summary = dict(ran.json["summary"])
    del summary["seconds"], summary["bytes"]
    return {name: count for name, count in summary.items() if count}


def folders(contents: Iterable[str]) -> dict[str, int]:
    """The folders of names, and how many each has."""
    found: dict[str, int] = {}
    for name in contents:
        folder = name.rpartition("/")[0]
        found[folder] = found.get(folder, 0) + 1
    return found


def assert_stored(destination: Destination, files: Iterable[Path]) -> None:
    """The storage holds these files byte for byte, each once, and nothing else; each series in one folder."""
    sent = sorted(file.read_bytes() for file in files)
    held = destination.contents()
    assert sorted(held.values()) == sent
    assert_one_folder_a_series(held)


def assert_one_folder_a_series(held: Mapping[str, bytes]) -> None:
    """Each series has one folder, and each folder one series."""
    from io import BytesIO

    series_of: dict[str, set[str]] = {}
    folders_of: dict[str, set[str]] = {}
    for name, content in held.items():
        folder = name.rpartition("/")[0]
        uid = str(dcmread(BytesIO(content), force=True, stop_before_pixels=True).SeriesInstanceUID)
        series_of.setdefault(folder, set()).add(uid)
        folders_of.setdefault(uid, set()).add(folder)
        assert name.startswith(f"{TOP}/")
    assert all(len(series) == 1 for series in series_of.values()), series_of
    assert all(len(found) == 1 for found in folders_of.values()), folders_of


def assert_lists_agree(ran: Ran) -> None:
    """localFileList and objectFileList hold what is there, index by index as the files' verdicts."""
    document = ran.json
    there = [one for one in document["files"] if one["state"] != "failed"]
    assert document["localFileList"] == [one["file"] for one in there]
    assert document["objectFileList"] == [one["object"] for one in there]
