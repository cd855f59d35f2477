"""Objects beyond what Swift takes in one piece: segments, and a manifest of them (static large objects).

The segments lie in a container of their own, ``<container>_segments``, under names that hold the segment's
checksum: what an interrupted run has stored is used by the next, and no segment is ever overwritten.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from swiftclient import client

from pypx.errors import FileUnreadable, ObjectCorrupt, ObjectExists, StorageFailed
from pypx.storage.interface import PIECE, StoredObject
from pypx.storage.local import Sink, Source

if TYPE_CHECKING:
    from pypx.storage.swift import SwiftStorage
    from pypx.storage.swift_client import Session

#: Above this length, in bytes, an object's name does not fit into those of its segments.
_LONGEST_IN_SEGMENT = 900

_NOT_THERE_YET = {"If-None-Match": "*"}

#: The name of a segment, after that of its object: of how many bytes each is, which it is, and its checksum.
_OWN = re.compile(r"[0-9]+/[0-9]{8}-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a file."""

    start: int
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment as a manifest lists it."""

    container: str
    name: str
    size: int
    checksum: str

    def to_json(self) -> dict[str, str | int]:
        return {"path": f"/{self.container}/{self.name}", "etag": self.checksum, "size_bytes": self.size}


def cut(file: Path, segment_bytes: int) -> tuple[Segment, ...]:
    """The segments of a file, with their checksums.

    Raises
    ------
    OSError
    """
    segments: list[Segment] = []
    with file.open("rb") as opened:
        start = 0
        while True:
            digest = hashlib.md5(usedforsecurity=False)
            size = 0
            while size < segment_bytes and (piece := opened.read(min(PIECE, segment_bytes - size))):
                digest.update(piece)
                size += len(piece)
            if not size:
                return tuple(segments)
            segments.append(Segment(start, size, digest.hexdigest()))
            start += size


def checksum(segments: Iterable[Segment | StoredSegment]) -> str:
    """What Swift gives as the checksum of an object in segments."""
    joined = "".join(segment.checksum for segment in segments)
    return hashlib.md5(joined.encode(), usedforsecurity=False).hexdigest()


def put(storage: SwiftStorage, name: str, file: Path, segment_bytes: int, *, replace: bool) -> StoredObject:
    """Store a file in segments; the parameters and errors are those of :meth:`Storage.put`."""
    container = f"{storage.container}_segments"
    _make_container(storage, container)
    beginning = _beginning(name)
    try:
        segments = cut(file, segment_bytes)
        stored = [
            StoredSegment(
                container, f"{beginning}{segment_bytes}/{index:08d}-{one.checksum}", one.size, one.checksum
            )
            for index, one in enumerate(segments)
        ]
        held = {one.name: one for one in _held(storage, container, beginning)}
        with file.open("rb") as opened:
            for segment, target in zip(segments, stored, strict=True):
                found = held.get(target.name)
                if found is None or (found.size, found.checksum) != (target.size, target.checksum):
                    _put_segment(storage, target, file, opened, segment)
    except OSError as error:
        raise FileUnreadable(f"{file} cannot be read ({error.strerror or error})") from error
    whole = StoredObject(name, sum(one.size for one in stored), checksum(stored))
    _put_manifest(storage, whole, stored, replace=replace)
    for stale in held.keys() - {one.name for one in stored}:
        storage.delete(container, stale)
    return whole


def _held(storage: SwiftStorage, container: str, beginning: str) -> Iterator[StoredObject]:
    """The segments that there are of an object; those of an object a/b begin like those of a, too."""
    for one in storage.list_container(container, beginning):
        if _OWN.fullmatch(one.name.removeprefix(beginning)):
            yield one


def _beginning(name: str) -> str:
    if len(name.encode()) > _LONGEST_IN_SEGMENT:
        name = hashlib.sha256(name.encode()).hexdigest()
    return f"{name}/"


def _make_container(storage: SwiftStorage, container: str) -> None:
    def request(session: Session) -> None:
        client.put_container(session.url, session.token, container, http_conn=session.connection)

    storage.ask(f"make the container {container!r}", request)


def _put_segment(
    storage: SwiftStorage, target: StoredSegment, file: Path, opened: BinaryIO, segment: Segment
) -> None:
    def request(session: Session) -> None:
        told = client.put_object(
            session.url,
            session.token,
            target.container,
            target.name,
            contents=Source(opened, file, segment.start, segment.size),
            content_length=segment.size,
            etag=segment.checksum,
            http_conn=session.connection,
        )
        if told.lower() != segment.checksum:
            raise ObjectCorrupt(f"{storage.label} did not store a segment of {target.name!r} as it was sent")

    storage.ask(f"store a segment of {target.name!r}", request, target.container)


def _put_manifest(
    storage: SwiftStorage, whole: StoredObject, segments: Sequence[StoredSegment], *, replace: bool
) -> None:
    content = json.dumps([segment.to_json() for segment in segments]).encode()

    def request(session: Session) -> None:
        told = client.put_object(
            session.url,
            session.token,
            storage.container,
            whole.name,
            contents=content,
            query_string="multipart-manifest=put",
            headers={} if replace else _NOT_THERE_YET,
            http_conn=session.connection,
        )
        if told.strip('"').lower() != whole.checksum:
            raise ObjectCorrupt(
                f"{storage.label} did not make one object of the segments of {whole.name!r}",
                "Files of this size need Swift's middleware for static large objects (slo).",
            )

    try:
        storage.ask(f"store {whole.name!r}", request)
    except ObjectExists as error:
        found = storage.stat(whole.name)
        if found is None or found.checksum != whole.checksum:
            raise ObjectExists(f"{storage.label} has another object {whole.name!r} already") from error


def is_manifest(headers: Mapping[str, str]) -> bool:
    """Whether an object's headers say that it is a list of segments."""
    return headers.get("x-static-large-object", "").lower() == "true"


def of(storage: SwiftStorage, name: str) -> tuple[StoredSegment, ...]:
    """The segments that a manifest lists.

    Raises
    ------
    StorageFailed
        When it is none.
    """
    pieces: list[bytes] = []
    storage.read(storage.container, name, pieces.append, query="multipart-manifest=get")
    try:
        return tuple(
            StoredSegment(*_split(entry["name"]), int(entry["bytes"]), _whole_checksum(entry))
            for entry in json.loads(b"".join(pieces))
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageFailed(f"{storage.label} has no list of segments of {name!r}") from error


def _split(path: str) -> tuple[str, str]:
    container, _, name = path.strip("/").partition("/")
    return container, name


def _whole_checksum(entry: Mapping[str, str]) -> str:
    """Of a segment; "" where other tools mean only a part of it, or a manifest in the manifest."""
    return "" if entry.get("range") or entry.get("sub_slo") else entry["hash"]


def get(storage: SwiftStorage, name: str, into: Sink) -> str:
    """Write the content of an object in segments into a file; its checksum, as far as the manifest has it.

    Raises
    ------
    ObjectCorrupt
        When one of them is not what the manifest says.
    """
    segments = of(storage, name)
    if not all(segment.checksum for segment in segments):
        storage.read(storage.container, name, into.write)
        return ""
    for segment in segments:
        if storage.read(segment.container, segment.name, into.write) != segment.checksum:
            raise ObjectCorrupt(f"{storage.label} sent a segment of {name!r} that is not the one it holds")
    return checksum(segments)
