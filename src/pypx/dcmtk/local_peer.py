"""Who is at the other end of a connection on this host."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

#: sock_diag(7): the protocol of netlink, the question, and the type of an answer that is an error.
_SOCK_DIAG = 4
_BY_FAMILY = 20
_ERROR = 2
_REQUEST = 1

_ANY_STATE = 0xFFFFFFFF
_NO_COOKIE = struct.pack("=II", 0xFFFFFFFF, 0xFFFFFFFF)

_HEADER = struct.Struct("=IHHII")
#: Where the answer has the user: after its header, 4 bytes of state, 48 that name the socket, and 3 numbers.
_USER = _HEADER.size + 4 + 48 + 3 * 4

#: The same as a table: slow where there are many connections, and it lacks one at times.
_TABLE = Path("/proc/net/tcp")


def is_of_our_user(connection: socket.socket) -> bool:
    """Whether the socket at the other end of a connection over IPv4 is of the user that this process runs as.

    Parameters
    ----------
    connection : socket.socket
        Accepted from this host.
    """
    user: int | None
    try:
        user = _asked(connection)
    except FileNotFoundError:
        return False  # it is gone
    except (OSError, struct.error):
        # Where the kernel is not asked like that, as in some containers.
        user = _looked_up(connection)
    return user == os.geteuid()


def _asked(connection: socket.socket) -> int:
    """The owner of the other end, by sock_diag(7)."""
    (host, port), (our_host, our_port) = connection.getpeername(), connection.getsockname()
    question = (
        struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY_STATE)
        + struct.pack("!HH", port, our_port)
        + socket.inet_aton(host).ljust(16, b"\0")
        + socket.inet_aton(our_host).ljust(16, b"\0")
        + bytes(4)
        + _NO_COOKIE
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as kernel:
        kernel.bind((0, 0))
        kernel.settimeout(1.0)
        kernel.sendto(
            _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST, 1, 0) + question, (0, 0)
        )
        answer = kernel.recv(4096)
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind == _ERROR:
        raise OSError(-struct.unpack_from("=i", answer, _HEADER.size)[0], "sock_diag")
    user: int = struct.unpack_from("=I", answer, _USER)[0]
    return user


def _looked_up(connection: socket.socket) -> int | None:
    """The owner of the other end, by proc(5); None where it is not found."""
    ends = [_written(connection.getpeername()), _written(connection.getsockname())]
    try:
        rows = [line.split() for line in _TABLE.read_text("ascii").splitlines()[1:]]
    except OSError:
        return None
    return next((int(row[7]) for row in rows if row[1:3] == ends), None)


def _written(address: tuple[str, int]) -> str:
    host, port = address
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"
