"""OpenStack Swift as a storage, through python-swiftclient."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from swiftclient import client

from pypx.errors import (
    ContainerMissing,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StorageFailed,
    StorageRefused,
)
from pypx.storage import swift_segments
from pypx.storage.interface import PIECE, Storage, StoredObject, md5_of
from pypx.storage.local import Sink, Source, unreadable
from pypx.storage.names import checked_name, checked_prefix
from pypx.storage.retries import Retries
from pypx.storage.swift_access import SwiftAccess
from pypx.storage.swift_client import Session, SwiftClient
from pypx.storage.unfinished import Unfinished

#: Swift takes at most 5 GB in one object; a larger file is stored in segments of this size.
SEGMENT_BYTES = 1024 * 1024 * 1024

#: A file up to this size is sent from memory, in one piece with its headers.
_SMALL = 1024 * 1024

_LISTED_AT_ONCE = 10_000
_NOT_THERE_YET = {"If-None-Match": "*"}
_MISSING = frozenset({404})

_Answer = TypeVar("_Answer")


class SwiftStorage(Storage):
    """The objects of one container.

    Parameters
    ----------
    access : SwiftAccess
    retries : Retries
        Of each request.
    timeout : float
        Seconds without a byte after which the storage is taken as hung.
    segment_bytes : int
        Largest object; a file beyond that is stored in segments of this size, in ``<container>_segments``.
    """

    def __init__(
        self,
        access: SwiftAccess,
        retries: Retries | None = None,
        timeout: float = 60.0,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._access = access
        self._client = SwiftClient(access, retries or Retries(), timeout)
        self._segment_bytes = segment_bytes

    @property
    def label(self) -> str:
        return self._access.label

    def close(self) -> None:
        self._client.close()

    def checksum(self, file: Path) -> str:
        try:
            if file.stat().st_size <= self._segment_bytes:
                return md5_of(file)
            return swift_segments.checksum(swift_segments.cut(file, self._segment_bytes))
        except OSError as error:
            raise unreadable(error, file) from error

    def put(self, name: str, file: Path, *, replace: bool = False) -> StoredObject:
        checked_name(name)
        try:
            size = file.stat().st_size
            if size <= min(_SMALL, self._segment_bytes):
                return self._put_content(name, file.read_bytes(), replace=replace)
            if size <= self._segment_bytes:
                return self._put_stream(name, file, size, replace=replace)
        except OSError as error:
            raise unreadable(error, file) from error
        return swift_segments.put(self, name, file, self._segment_bytes, replace=replace)

    def _put_content(self, name: str, content: bytes, *, replace: bool) -> StoredObject:
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return self._stored(name, len(content), digest, lambda: content, replace=replace)

    def _put_stream(self, name: str, file: Path, size: int, *, replace: bool) -> StoredObject:
        with file.open("rb") as opened:
            from_the_start = partial(Source, opened, file, 0, size)
            return self._stored(name, size, md5_of(file), from_the_start, replace=replace)

    def _stored(
        self, name: str, size: int, digest: str, content: Callable[[], Any], *, replace: bool
    ) -> StoredObject:
        """Put an object and compare checksums; Swift refuses what does not have the one announced."""

        def request(session: Session) -> None:
            told = client.put_object(
                session.url,
                session.token,
                self._access.container,
                name,
                contents=content(),
                content_length=size,
                etag=digest,
                headers={} if replace else _NOT_THERE_YET,
                http_conn=session.connection,
            )
            if told.lower() != digest:
                raise ObjectCorrupt(f"{self.label} says that it stored {name!r}, but not what was sent")

        try:
            self.ask(f"store {name!r}", request)
        except ObjectExists as error:
            # An answer that was lost on the way, or another process that was faster with the same.
            found = self.stat(name)
            if found is None or found.checksum != digest:
                raise ObjectExists(f"{self.label} has another object {name!r} already") from error
        return StoredObject(name, size, digest)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        yield from self.list_container(self._access.container, checked_prefix(prefix))

    def list_container(self, container: str, prefix: str) -> Iterator[StoredObject]:
        """The objects of any container of the account whose names start with a text."""
        marker = ""
        while True:
            entries = self.ask(
                f"list {prefix!r}",
                partial(self._list_from, container=container, prefix=prefix, marker=marker),
                container,
            )
            yield from entries
            if len(entries) < _LISTED_AT_ONCE:
                return
            if entries[-1].name <= marker:
                raise StorageFailed(f"{self.label} lists the same objects again and again")
            marker = entries[-1].name

    def _list_from(
        self, session: Session, *, container: str, prefix: str, marker: str
    ) -> tuple[StoredObject, ...]:
        _, entries = client.get_container(
            session.url,
            session.token,
            container,
            prefix=prefix or None,
            marker=marker or None,
            limit=_LISTED_AT_ONCE,
            http_conn=session.connection,
        )
        try:
            return tuple(_listed(entry) for entry in entries)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StorageFailed(f"{self.label} does not list objects as Swift does") from error

    def stat(self, name: str) -> StoredObject | None:
        try:
            headers = self.head(checked_name(name))
        except ObjectMissing:
            return None
        return _described(name, headers)

    def head(self, name: str) -> dict[str, str]:
        """The headers of an object, their names in lower case.

        Raises
        ------
        ObjectMissing
        """

        def request(session: Session) -> dict[str, str]:
            found: dict[str, str] = client.head_object(
                session.url, session.token, self._access.container, name, http_conn=session.connection
            )
            if "etag" not in found or not _is_size(found.get("content-length", "")):
                raise StorageFailed(f"{self.label} does not describe {name!r} as Swift does")
            return found

        return self.ask(f"describe {name!r}", request, is_of_object=True)

    def get(self, name: str, file: Path) -> StoredObject:
        headers = self.head(checked_name(name))
        described = _described(name, headers)
        try:
            with Unfinished(file) as unfinished:
                sink = Sink(unfinished.file, file)
                if swift_segments.is_manifest(headers):
                    checksum = swift_segments.get(self, name, sink) or described.checksum
                else:
                    checksum = self.read(self._access.container, name, sink.write)
                if (checksum, sink.size) != (described.checksum, described.size):
                    raise ObjectCorrupt(f"{self.label} sent something else than it holds as {name!r}")
                unfinished.finish()
        except OSError as error:
            raise unreadable(error, file) from error
        return described

    def read(
        self, container: str, name: str, take: Callable[[bytes], object], query: str | None = None
    ) -> str:
        """Hand over an object's content in pieces; its MD5. What breaks off is asked for from there on."""
        digest = hashlib.md5(usedforsecurity=False)
        taken = 0

        def request(session: Session) -> None:
            nonlocal taken
            _, body = client.get_object(
                session.url,
                session.token,
                container,
                name,
                http_conn=session.connection,
                resp_chunk_size=PIECE,
                query_string=query,
                headers={"Range": f"bytes={taken}-"} if taken else {},
            )
            for piece in body:
                digest.update(piece)
                take(piece)
                taken += len(piece)

        self.ask(f"give {name!r}", request, container, is_of_object=True)
        return digest.hexdigest()

    def remove(self, name: str) -> None:
        try:
            headers = self.head(checked_name(name))
        except ObjectMissing:
            return
        segments = swift_segments.of(self, name) if swift_segments.is_manifest(headers) else ()
        self.delete(self._access.container, name)
        for segment in segments:
            self.delete(segment.container, segment.name)

    def delete(self, container: str, name: str) -> None:
        """Remove one object of any container, and nothing that it may refer to."""

        def request(session: Session) -> None:
            client.delete_object(session.url, session.token, container, name, http_conn=session.connection)

        try:
            self.ask(f"remove {name!r}", request, container, is_of_object=True)
        except ObjectMissing:
            pass

    def ask(
        self,
        what: str,
        request: Callable[[Session], _Answer],
        container: str = "",
        *,
        is_of_object: bool = False,
    ) -> _Answer:
        """As :meth:`SwiftClient.ask`; where it is the container that is missing, that is said.

        A Swift that does not reach its servers of accounts answers 404 to nearly everything, as if there
        were no container, and to a request to remove an object that it has. So 404 is not believed at once.

        Parameters
        ----------
        what, request
        container : str
            The one that is asked for; that of this storage if empty.
        is_of_object : bool
            Whether it is about an object that may be missing. If not, and the container is there, 404 passes.

        Raises
        ------
        ContainerMissing
        ObjectMissing
            Where ``is_of_object``.
        """
        container = container or self._access.container

        def checked(session: Session) -> _Answer:
            try:
                return request(session)
            except client.ClientException as error:
                if error.http_status != 404:
                    raise
                self._need(container)
                if not is_of_object:
                    raise
            return request(session)

        return self._client.ask(what, checked, passing=frozenset() if is_of_object else _MISSING)

    def _need(self, container: str) -> None:
        if self._has(container):
            return
        # It answers this only where it reaches its servers of accounts: what it said before may be wrong.
        known = self._known_containers()
        if not self._has(container):
            raise ContainerMissing(f"{self.label}: there is no container {container!r}", known)

    def _has(self, container: str) -> bool:
        def request(session: Session) -> None:
            client.head_container(session.url, session.token, container, http_conn=session.connection)

        try:
            self._client.ask(f"describe the container {container!r}", request)
        except ObjectMissing:
            return False
        return True

    def _known_containers(self) -> str:
        def request(session: Session) -> list[str]:
            found = client.get_account(session.url, session.token, http_conn=session.connection)[1]
            return [str(entry["name"]) for entry in found if isinstance(entry, dict) and "name" in entry]

        try:
            names = self._client.ask("list the containers", request)
        except StorageRefused:
            # Who may use one container need not be allowed to see which others there are.
            return ""
        return f"This account has: {', '.join(names)}." if names else ""

    @property
    def container(self) -> str:
        """The container's name."""
        return self._access.container


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _listed(entry: dict[str, Any]) -> StoredObject:
    name = entry["name"]
    if not isinstance(name, str):
        raise TypeError
    return StoredObject(
        name=name,
        size=int(entry.get("bytes", 0)),
        checksum=str(entry.get("slo_etag") or entry.get("hash", "")).strip('"'),
        modified=str(entry.get("last_modified", "")),
        content_type=str(entry.get("content_type", "")),
    )


def _described(name: str, headers: dict[str, str]) -> StoredObject:
    return StoredObject(
        name=name,
        size=int(headers["content-length"]),
        checksum=headers["etag"].strip('"').lower(),
        modified=headers.get("last-modified", ""),
        content_type=headers.get("content-type", ""),
    )
