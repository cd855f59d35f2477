"""Who is at the other end of a connection is told apart by both of its ends."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable

import pytest

from pypx.dcmtk import local_peer
from servers.needs import lacking

WAYS = [local_peer._asked, local_peer._looked_up]


@pytest.mark.parametrize("user_of", WAYS)
def test_ourselves(user_of: Callable[[socket.socket], int | None]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
        server.accept()[0] as accepted,
    ):
        assert user_of(accepted) == os.geteuid()
        assert local_peer.is_of_our_user(accepted)


@pytest.mark.parametrize("user_of", WAYS)
def test_somebody_else(user_of: Callable[[socket.socket], int | None]) -> None:
    if os.geteuid() != 0:
        lacking("run as root, to be somebody else")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)"
        somebody = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-c", program]
        with subprocess.Popen(somebody) as running, server.accept()[0] as accepted:
            assert user_of(accepted) == 65534
            assert not local_peer.is_of_our_user(accepted)
            accepted.close()
            running.wait()
