"""Swift alone: large objects in segments, accounts and containers, Keystone, https."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypx.errors import (
    ContainerMissing,
    InvalidValue,
    ObjectCorrupt,
    ObjectExists,
    StorageFailed,
    StorageRefused,
    StorageUnreachable,
)
from pypx.storage.retries import Retries
from pypx.storage.swift import SwiftStorage
from pypx.storage.swift_access import SwiftAccess
from servers.faults import Answer, FaultyProxy, Rule, every
from servers.keystone import Keystone
from servers.swift import Swift
from servers.tls import TlsProxy
from storing import QUICK, SwiftDestination

_SEGMENT = 100_000


def _segmented(destination: SwiftDestination, port: int = 0) -> SwiftStorage:
    fields = {**destination.fields, "port": port or destination.fields["port"]}
    return SwiftStorage(SwiftAccess.of_fields(fields), QUICK, segment_bytes=_SEGMENT)


def _segments(destination: SwiftDestination, name: str = "") -> list[str]:
    return sorted(destination.server.objects(name, f"{destination.container}_segments"))


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Three segments and a half."""
    path = tmp_path / "big"
    path.write_bytes(random.Random(1).randbytes(350_000))  # noqa: S311
    return path


def test_a_large_file_is_one_object_whose_segments_lie_elsewhere(swift_container, big, tmp_path):
    with _segmented(swift_container) as storage:
        stored = storage.put("a/big.dcm", big)
        assert (stored.size, stored.checksum) == (350_000, storage.checksum(big))
        assert swift_container.contents() == {"a/big.dcm": big.read_bytes()}
        assert len(_segments(swift_container)) == 4
        (listed,) = storage.list("a/")
        assert (listed.size, listed.checksum) == (stored.size, stored.checksum)
        found = storage.stat("a/big.dcm")
        assert found is not None
        assert (found.size, found.checksum) == (stored.size, stored.checksum)
        storage.get("a/big.dcm", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big.read_bytes()


@pytest.mark.parametrize("size", [_SEGMENT, _SEGMENT + 1, 2 * _SEGMENT])
def test_sizes_around_that_of_a_segment(swift_container, tmp_path, size):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    with _segmented(swift_container) as storage:
        assert storage.put("a", file).checksum == storage.checksum(file)
    assert swift_container.contents() == {"a": file.read_bytes()}
    assert size == _SEGMENT or len(_segments(swift_container)) == 2


def test_what_an_interrupted_upload_has_stored_is_used(swift_container, big):
    def fail_after_two(asked):
        return Answer(503) if asked.method == "PUT" and "00000002-" in asked.path else None

    with FaultyProxy(swift_container.fields["port"], fail_after_two) as proxy:
        with _segmented(swift_container, proxy.port) as storage, pytest.raises(StorageFailed):
            storage.put("a/big", big)
        assert len(_segments(swift_container)) == 2
        assert swift_container.contents() == {}
        proxy.rule = lambda _asked: None
        proxy.asked.clear()
        with _segmented(swift_container, proxy.port) as storage:
            storage.put("a/big", big)
        assert proxy.count("PUT", "_segments/") == 2
    assert swift_container.contents() == {"a/big": big.read_bytes()}


def test_replacing_and_removing_leave_no_segment(swift_container, big, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"x" * 250_000)
    small = tmp_path / "small"
    small.write_bytes(b"small")
    with _segmented(swift_container) as storage:
        storage.put("a/big", big)
        with pytest.raises(ObjectExists):
            storage.put("a/big", other)
        assert swift_container.contents() == {"a/big": big.read_bytes()}
        storage.put("a/big", other, replace=True)
        assert swift_container.contents() == {"a/big": other.read_bytes()}
        assert len(_segments(swift_container)) == 3
        storage.remove("a/big")
        assert swift_container.contents() == {}
        assert _segments(swift_container) == []
        storage.put("a/big", big)
        storage.put("a/bigger", big)
        storage.remove("a/big")
        assert swift_container.contents() == {"a/bigger": big.read_bytes()}
        storage.put("a/bigger", small, replace=True)
        assert swift_container.contents() == {"a/bigger": b"small"}


def test_segments_of_an_object_below_another_stay(swift_container, big, tmp_path):
    with _segmented(swift_container) as storage:
        for below in ("a/b", f"a/{_SEGMENT}", f"a/{_SEGMENT}/00000000"):
            storage.put(below, big)
        storage.put("a", big)
        small = tmp_path / "small"
        small.write_bytes(b"x" * 150_000)
        storage.put("a", small, replace=True)
        assert len(_segments(swift_container)) == 3 * 4 + 2
        for below in ("a/b", f"a/{_SEGMENT}", f"a/{_SEGMENT}/00000000"):
            storage.get(below, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == big.read_bytes()


def _to_swift(method: str, answer: Answer) -> Rule:
    """What the storage itself is asked is answered so, and not who lets in."""
    return lambda asked: answer if asked.method == method and asked.path.startswith("/v1/") else None


@pytest.mark.parametrize(
    "listed",
    [
        {"name": "x", "bytes": None},
        {"name": "x", "bytes": "many"},
        {"name": "x", "bytes": [1]},
        {"name": "x", "bytes": 1e400},
        {"name": 5},
        {"name": ["x"], "bytes": 1},
    ],
)
def test_a_listing_that_is_none(swift_container, listed):
    answer = Answer(200, {"Content-Type": "application/json"}, json.dumps([listed]).encode())
    with (
        FaultyProxy(swift_container.server.port, _to_swift("GET", answer)) as proxy,
        swift_container.at(proxy.port) as storage,
        pytest.raises(StorageFailed),
    ):
        list(storage.list("x"))


def test_a_listing_without_end(swift_container):
    same = [{"name": f"x/{number:05d}", "bytes": 1} for number in range(10_000)]
    answer = Answer(200, {"Content-Type": "application/json"}, json.dumps(same).encode())
    with (
        FaultyProxy(swift_container.server.port, _to_swift("GET", answer)) as proxy,
        swift_container.at(proxy.port) as storage,
        pytest.raises(StorageFailed, match="again and again"),
    ):
        list(storage.list("x"))


def test_a_description_that_is_none(swift_container):
    answer = Answer(200, {"ETag": "x", "Content-Length": "\xb2"}, b"")
    with (
        FaultyProxy(swift_container.server.port, _to_swift("HEAD", answer)) as proxy,
        swift_container.at(proxy.port) as storage,
        pytest.raises((StorageFailed, StorageUnreachable)),
    ):
        storage.stat("x")


def test_a_segment_that_is_damaged_is_found_out(swift_container, big, tmp_path):
    with _segmented(swift_container) as storage:
        storage.put("a/big", big)
        segment = _segments(swift_container)[1]
        container = f"{swift_container.container}_segments"
        swift_container.server.put(segment, b"y" * _SEGMENT, container)
        with pytest.raises((ObjectCorrupt, StorageFailed, StorageUnreachable)):
            storage.get("a/big", tmp_path / "back")
        assert not (tmp_path / "back").exists()
        storage.put("a/big", big, replace=True)
        storage.get("a/big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big.read_bytes()


def test_threads_put_the_same_large_file(swift_container, big):
    with _segmented(swift_container) as storage:
        threads = [threading.Thread(target=storage.put, args=("a/big", big)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert swift_container.contents() == {"a/big": big.read_bytes()}
    assert len(_segments(swift_container)) == 4


def test_a_container_that_is_not_there(swift_container, big, tmp_path):
    with swift_container.at(swift_container.server.port, container="nothing") as storage:
        for attempt in (
            lambda: storage.put("a", big),
            lambda: list(storage.list()),
            lambda: storage.get("a", tmp_path / "back"),
        ):
            with pytest.raises(ContainerMissing) as caught:
                attempt()
            assert "'nothing'" in caught.value.message
            assert swift_container.container in caught.value.hint


def test_a_container_that_is_not_there_for_who_may_not_ask_which_are(swift_container, big):
    def refuse(asked):
        is_account = asked.path.split("?")[0].endswith("/AUTH_chris")
        return Answer(403) if is_account and asked.method == "GET" else None

    with (
        FaultyProxy(swift_container.server.port, refuse) as proxy,
        swift_container.at(proxy.port, container="nothing") as storage,
    ):
        with pytest.raises(ContainerMissing) as caught:
            storage.put("a", big)
        assert swift_container.container not in caught.value.hint
        assert proxy.count("GET", "/AUTH_chris?") == 1


def test_a_swift_that_does_not_reach_its_servers_of_accounts(basemount, tmp_path, big):
    """It answers 404 to nearly everything then, when asked to remove what it has as well."""
    (tmp_path / "swift").mkdir()
    with Swift(tmp_path / "swift") as server:
        container = SwiftDestination(server, basemount)
        container.put("old", b"old")
        asks = {
            "remove": lambda storage: storage.remove("old"),
            "put": lambda storage: storage.put("new", big),
            "stat": lambda storage: storage.stat("nothing"),
            "list": lambda storage: [one.name for one in storage.list()],
        }
        storages = {what: container.open(Retries(8)) for what in asks}
        for storage in storages.values():
            assert [one.name for one in storage.list()] == ["old"]
        server.stop()
        with ThreadPoolExecutor(len(asks)) as pool:
            asked = {what: pool.submit(ask, storages[what]) for what, ask in asks.items()}
            server.start_again("account-server", 4.0)
            told = {what: answer.result() for what, answer in asked.items()}
        assert told["stat"] is None
        assert set(told["list"]) <= {"old", "new"}
        assert container.contents() == {"new": big.read_bytes()}


@pytest.mark.parametrize("fields", [{"key": "wrong"}, {"login": "chris:nobody"}, {"login": "nobody:nobody"}])
def test_wrong_credentials_are_told_at_once(swift_container, big, fields):
    with FaultyProxy(swift_container.server.port) as proxy:
        with swift_container.at(proxy.port, **fields) as storage, pytest.raises(StorageRefused) as caught:
            storage.put("a", big)
        assert len(proxy.asked) == 1
    assert "wrong" not in str(caught.value)
    assert "key" in caught.value.hint


def test_a_user_who_may_read_and_not_write(swift_container, big):
    with (
        swift_container.at(swift_container.server.port, login="chris:reader") as storage,
        pytest.raises(StorageRefused),
    ):
        storage.put("a", big)


@pytest.mark.parametrize("version", ["2", "3"])
def test_keystone(swift_container, big, version):
    with Keystone(swift_container.server, version) as keystone:
        fields = keystone.fields | {"container": swift_container.container}
        with SwiftStorage(SwiftAccess.of_fields(fields), QUICK) as storage:
            storage.put("a/big", big)
            keystone.expire_tokens()
            assert [one.name for one in storage.list()] == ["a/big"]
        assert keystone.issued == 2
        wrong = (
            {"key": "wrong"},
            {"project": "other"},
            {"login": "nobody"},
            {"region": "nowhere"},
            *([{"userdomain": "other"}, {"projectdomain": "other"}] if version == "3" else []),
        )
        for change in wrong:
            with (
                SwiftStorage(SwiftAccess.of_fields({**fields, **change}), QUICK) as storage,
                pytest.raises((StorageRefused, StorageFailed)) as caught,
            ):
                storage.stat("a/big")
            assert keystone.fields["key"] not in str(caught.value)
    assert swift_container.contents() == {"a/big": big.read_bytes()}


def test_keystone_that_is_none(swift_container):
    fields = {**swift_container.fields, "auth": "3", "project": "p"}
    with SwiftStorage(SwiftAccess.of_fields(fields), QUICK) as storage, pytest.raises(StorageFailed):
        storage.stat("a")


def test_https(swift_container, big, tmp_path):
    with TlsProxy(swift_container.server.port, tmp_path / "tls") as proxy:
        fields = {
            **swift_container.fields,
            "port": proxy.port,
            "https": True,
            # Behind what ends the encryption Swift takes itself for reached by http.
            "storageurl": f"https://127.0.0.1:{proxy.port}/v1/AUTH_chris",
        }
        with SwiftStorage(SwiftAccess.of_fields(fields), QUICK) as storage:
            with pytest.raises(StorageUnreachable) as caught:
                storage.put("a", big)
            assert "certificate" in caught.value.message
        trusted = {**fields, "cacert": str(proxy.certificate)}
        with SwiftStorage(SwiftAccess.of_fields(trusted), QUICK) as storage:
            storage.put("a", big)
    assert swift_container.contents() == {"a": big.read_bytes()}


def test_a_certificate_file_that_is_not_there(swift_container, tmp_path):
    fields = {**swift_container.fields, "https": True, "cacert": str(tmp_path / "nothing.pem")}
    with pytest.raises(InvalidValue) as caught:
        SwiftStorage(SwiftAccess.of_fields(fields), QUICK)
    assert "cacert" in caught.value.hint


def test_an_object_that_another_tool_stored_in_segments(swift_container, tmp_path):
    container = f"{swift_container.container}_segments"
    server: Swift = swift_container.server
    server.request("PUT", container)
    manifest = []
    for number, content in enumerate((b"a" * 1000, b"b" * 500)):
        server.put(f"other/{number}", content, container)
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        manifest.append({"path": f"/{container}/other/{number}", "etag": digest, "size_bytes": len(content)})
    manifest.append({**manifest[0], "range": "0-99"})
    target = f"{swift_container.container}/a?multipart-manifest=put"
    server.request("PUT", target, json.dumps(manifest).encode())
    with swift_container.open() as storage:
        storage.get("a", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b"a" * 1000 + b"b" * 500 + b"a" * 100
        storage.remove("a")
    assert swift_container.contents() == {}
    assert _segments(swift_container) == []


def test_a_transfer_that_breaks_off_goes_on_from_there(swift_container, tmp_path):
    content = os.urandom(3_000_000)
    swift_container.put("a", content)
    with FaultyProxy(swift_container.server.port) as proxy:
        proxy.cut_bodies_after = 1_200_000
        with swift_container.at(proxy.port) as storage:
            storage.get("a", tmp_path / "back")
        assert proxy.count("GET", f"{swift_container.container}/a") == 3
    assert (tmp_path / "back").read_bytes() == content


def test_a_server_that_is_something_else(swift_container, big):
    page = Answer(200, {"Content-Type": "text/html"}, b"<html>Hello")
    with (
        FaultyProxy(swift_container.server.port, every(1, page)) as proxy,
        swift_container.at(proxy.port) as storage,
        pytest.raises(StorageFailed),
    ):
        storage.put("a", big)


@pytest.mark.parametrize("part", ["/auth/", "/v1/"])
def test_nobody_else_is_given_the_login_or_the_token(swift_container, big, part):
    with FaultyProxy(swift_container.server.port) as elsewhere:
        away = Answer(302, {"Location": f"http://127.0.0.1:{elsewhere.port}/elsewhere"})
        with (
            FaultyProxy(
                swift_container.server.port, lambda asked: away if part in asked.path else None
            ) as proxy,
            swift_container.at(proxy.port) as storage,
        ):
            for attempt in (
                lambda: storage.put("a", big),
                lambda: storage.stat("a"),
                lambda: list(storage.list()),
            ):
                with pytest.raises(StorageFailed) as caught:
                    attempt()
                assert "302" in caught.value.message
        assert elsewhere.asked == []
    assert swift_container.contents() == {}


@pytest.mark.parametrize("answer", [Answer(503), Answer(500), Answer(429, {"Retry-After": "0"})])
def test_an_authentication_that_fails_for_a_moment(swift_container, big, answer):
    with (
        FaultyProxy(swift_container.server.port, every(2, answer)) as proxy,
        swift_container.at(proxy.port) as storage,
    ):
        assert list(storage.list()) == []
        proxy.rule = lambda _asked: answer if len(proxy.asked) < 8 else None
        with swift_container.at(proxy.port) as other:
            other.put("a", big)
    assert swift_container.contents() == {"a": big.read_bytes()}


def test_one_object_that_never_comes_does_not_keep_the_others_back(swift_container, big):
    def hang(asked):
        if asked.path.endswith("/poison"):
            time.sleep(6)

    with (
        FaultyProxy(swift_container.server.port, hang) as proxy,
        swift_container.at(proxy.port, 1.5) as storage,
    ):
        failed = []

        def poison():
            try:
                storage.put("poison", big)
            except StorageUnreachable as error:
                failed.append(error)

        thread = threading.Thread(target=poison)
        thread.start()
        names = []
        while thread.is_alive():
            names.append(f"good/{len(names)}")
            storage.put(names[-1], big)
        storage.put("good/last", big)
        assert len(failed) == 1
    assert set(swift_container.contents()) >= {*names, "good/last"}
