"""OpenStack Swift from Debian's packages: five ordinary processes, one device, one replica, on loopback."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.server import HOST, Server, ServerFailed, free_port
from servers.needs import require

LOGIN = "chris:chris1234"
KEY = "testing"
CONTAINER = "users"

_STORES = ("account", "container", "object")

#: Swift is installed for the system's Python, whatever Python runs the tests.
_PYTHON = "/usr/bin/python3"

#: The services read /etc/swift/swift.conf, unless something says otherwise before they are loaded.
_RUN = """\
import runpy, sys
from swift.common import utils
utils.set_swift_dir(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

_MAKE_RINGS = """\
import json, sys
from swift.common.ring import RingBuilder
for path, port in json.load(sys.stdin):
    builder = RingBuilder(4, 1, 1)
    builder.add_dev(
        {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1", "weight": 1.0}
    )
    builder.rebalance()
    builder.get_ring().save(path)
"""

_SWIFT = """\
[swift-hash]
swift_hash_path_prefix = pypx
swift_hash_path_suffix = tests

[storage-policy:0]
name = gold
default = yes
"""

_COMMON = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
user = {user}
swift_dir = {directory}
workers = 0
log_address = {directory}/no-syslog
log_udp_host =
log_level = WARNING
"""

_STORE = """\
devices = {directory}/devices
mount_check = false

[pipeline:main]
pipeline = {what}-server

[app:{what}-server]
use = egg:swift#{what}
recon_cache_path = {directory}
# What a container is not told in time, nobody tells it here: it lists what was removed, and not what is new.
conn_timeout = 20
node_timeout = 60
container_update_timeout = 60
"""

_PROXY = """\

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats tempauth copy slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# A machine that is busy with other tests is slow, and not broken.
conn_timeout = 20
node_timeout = 60
error_suppression_limit = 100000

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{memcached_port}
connect_timeout = 20
pool_timeout = 20
io_timeout = 20
error_suppression_limit = 100000

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:tempauth]
use = egg:swift#tempauth
user_chris_chris1234 = testing .admin
user_chris_reader = testing

[filter:copy]
use = egg:swift#copy

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo
"""


class _Part(Server):
    """One of the five processes; all are started before the first is waited for."""

    _attempts = 1

    def __init__(self, directory: Path, name: str, port: int, command: Sequence[str]) -> None:
        super().__init__(directory)
        self.name = name
        self.port = port
        self._arguments = list(command)

    def configure(self) -> list[str]:
        return self._arguments

    def answers(self) -> bool:
        return True

    def is_up(self) -> bool:
        """Whether it listens.

        Raises
        ------
        ServerFailed
            When it has ended.
        """
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self.name} has ended:\n{self.log}")
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Kept:
    """An object as Swift lists it."""

    name: str
    size: int
    digest: str


class Swift:
    """A Swift with the account, the user and the container that ChRIS uses.

    Parameters
    ----------
    directory : pathlib.Path
        An empty directory for rings, configuration, data and logs, on a filesystem with extended attributes.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self._parts: list[_Part] = []

    def start(self) -> Self:
        """Start all five, on other ports where somebody was faster, and make the container."""
        for attempt in range(3):
            try:
                self._parts = self._configure()
                self._bring_up(self._parts)
                self.request("PUT", CONTAINER)
            except (ServerFailed, OSError):
                self.end()
                if attempt == 2:
                    raise
            else:
                break
        return self

    def _configure(self) -> list[_Part]:
        ports = {name: free_port() for name in (*_STORES, "proxy", "memcached")}
        self.port = ports["proxy"]
        user = pwd.getpwuid(os.geteuid()).pw_name
        (self.directory / "devices" / "d1").mkdir(parents=True, exist_ok=True)
        (self.directory / "swift.conf").write_text(_SWIFT)
        rings = [(str(self.directory / f"{name}.ring.gz"), ports[name]) for name in _STORES]
        made = subprocess.run(
            [_PYTHON, "-c", _MAKE_RINGS], input=json.dumps(rings).encode(), capture_output=True, check=False
        )
        if made.returncode:
            raise ServerFailed(f"No rings:\n{made.stderr.decode(errors='replace')}")
        memcached = (require("memcached", "memcached"), "-l", HOST, "-p", str(ports["memcached"]))
        parts = [_Part(self.directory, "memcached", ports["memcached"], (*memcached, "-U", "0", "-u", user))]
        for name in (*_STORES, "proxy"):
            configuration = self.directory / f"{name}-server.conf"
            text = _COMMON + (_PROXY if name == "proxy" else _STORE)
            configuration.write_text(
                text.format(
                    host=HOST,
                    port=ports[name],
                    user=user,
                    directory=self.directory,
                    what=name,
                    memcached_port=ports["memcached"],
                )
            )
            program = require(f"swift-{name}-server", f"swift-{name}")
            run = (_PYTHON, "-c", _RUN, str(self.directory), program, str(configuration), "--verbose")
            parts.append(_Part(self.directory, f"{name}-server", ports[name], run))
        return parts

    def _bring_up(self, parts: Sequence[_Part]) -> None:
        for part in parts:
            part.start()
        deadline = time.monotonic() + 90.0
        while not all(part.is_up() for part in parts):
            if time.monotonic() > deadline:
                raise ServerFailed(f"Swift does not come up:\n{self.log}")
            time.sleep(0.02)

    @property
    def log(self) -> str:
        """What the five said so far."""
        return "\n".join(part.log for part in self._parts)

    def stop(self) -> None:
        """End it as a power cut would; what it holds stays."""
        for part in self._parts:
            part.kill()

    def start_again(self, late: str = "", seconds: float = 0.0) -> None:
        """On the same ports and with the data it had; one of the five ("account-server") so much later."""
        self._bring_up([part for part in self._parts if part.name != late])
        if late:
            time.sleep(seconds)
            self._bring_up([part for part in self._parts if part.name == late])

    def end(self) -> None:
        """End all five, by their process ids."""
        for part in reversed(self._parts):
            part.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """One request with a token: ``swift.request("GET", "users/a/b.dcm")``; its answer's body.

        Raises
        ------
        AssertionError
            When the answer is no success.
        """
        connection = http.client.HTTPConnection(HOST, self.port, timeout=90)
        try:
            account, token = self._let_in(connection)
            connection.request(method, f"{account}/{path}", body, {"X-Auth-Token": token, **headers})
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {content[:200]!r}"
            return content
        finally:
            connection.close()

    def let_in(self) -> tuple[str, str]:
        """The path of the account, and a token for it."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=90)
        try:
            return self._let_in(connection)
        finally:
            connection.close()

    def _let_in(self, connection: http.client.HTTPConnection) -> tuple[str, str]:
        connection.request("GET", "/auth/v1.0", headers={"X-Auth-User": LOGIN, "X-Auth-Key": KEY})
        told = connection.getresponse()
        told.read()
        if told.status != 200:
            raise ServerFailed(f"Swift answers the authentication with {told.status}:\n{self.log}")
        return urllib.parse.urlsplit(told.headers["X-Storage-Url"]).path, told.headers["X-Auth-Token"]

    def objects(self, prefix: str = "", container: str = CONTAINER) -> dict[str, Kept]:
        """What it lists, by name."""
        query = urllib.parse.urlencode({"format": "json", "prefix": prefix})
        listed = json.loads(self.request("GET", f"{container}?{query}"))
        return {one["name"]: Kept(one["name"], one["bytes"], one["hash"]) for one in listed}

    def put(self, name: str, content: bytes, container: str = CONTAINER) -> None:
        """Make an object."""
        self.request("PUT", f"{container}/{urllib.parse.quote(name)}", content)

    def remove(self, name: str, container: str = CONTAINER) -> None:
        """Remove an object."""
        self.request("DELETE", f"{container}/{urllib.parse.quote(name)}")

    def content(self, name: str, container: str = CONTAINER) -> bytes:
        """An object's content."""
        return self.request("GET", f"{container}/{urllib.parse.quote(name)}")
