"""The way in over TLS, which ends here, and not in storescp.

Who calls whom stands in the first bytes of an association. storescp takes an association whoever calls, and
whatever it is called; so these bytes are to be read, and the association refused where it is not welcome,
before storescp sees any of it. Over TLS they can be read only by the one who holds the keys.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from pypx.actions.receiving.door import Visitor
from pypx.dcmtk.tls_bridge import cut, decrypted
from pypx.dcmtk.tls_connection import context, failure
from pypx.dicom.association import ASSOCIATE_RQ, REQUEST_HEAD
from pypx.dicom.tls import TlsSettings
from pypx.errors import Interrupted, PeerTimeout, TlsFailed

#: The type of a record of TLS with which a handshake begins (RFC 8446, 5.1).
_HANDSHAKE = 0x16

#: Seconds in which a peer must be done with the handshake, and have asked for an association.
_PATIENCE = 30.0

#: Peers that may be at it at a time.
_MOST_ENTERING = 64


def is_tls(head: bytes) -> bool:
    """Whether the first bytes of a peer begin TLS."""
    return head[:1] == bytes([_HANDSHAKE]) and head[1:2] in (b"", b"\x03")


def plainly(visitor: Visitor) -> AbstractContextManager[socket.socket]:
    """The connection of a visitor as a program without TLS can have it."""
    if isinstance(visitor.connection, ssl.SSLSocket):
        return decrypted(visitor.connection, visitor.head)
    return contextlib.nullcontext(visitor.connection)


class TlsEntrance:
    """Lets visitors in over TLS.

    Parameters
    ----------
    tls : TlsSettings
        Its files are read for each visitor: a certificate can be renewed while others are here.
    """

    def __init__(self, tls: TlsSettings) -> None:
        self._tls = tls
        self._entering: set[ssl.SSLSocket] = set()
        self._is_closed = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """Send those away who have not asked for an association yet."""
        with self._lock:
            self._is_closed = True
            for connection in self._entering:
                cut(connection)

    def enter(self, visitor: Visitor) -> Visitor:
        """The same visitor inside: its connection, and the first bytes that came over it, which *are* read.

        Raises
        ------
        TlsFailed, PeerTimeout, TlsFilesUnusable, Interrupted
        """
        made = context(self._tls, server_side=True)
        try:
            visitor.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secure = made.wrap_socket(visitor.connection, server_side=True, do_handshake_on_connect=False)
        except OSError as error:  # it has gone already
            raise failure("the peer", self._tls, error) from error
        try:
            with self._known(secure):
                return replace(visitor, connection=secure, head=self._head(secure), has_spoken=True)
        except BaseException:
            secure.close()
            raise

    @contextmanager
    def _known(self, connection: ssl.SSLSocket) -> Iterator[None]:
        with self._lock:
            if self._is_closed:
                raise Interrupted("No more associations are taken")
            if len(self._entering) >= _MOST_ENTERING:
                raise TlsFailed("too many peers begin with TLS at this moment")
            self._entering.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._entering.discard(connection)

    def _head(self, secure: ssl.SSLSocket) -> bytes:
        deadline = time.monotonic() + _PATIENCE
        secure.settimeout(_PATIENCE)
        try:
            secure.do_handshake()
            head = _head(secure, deadline)
            secure.settimeout(None)
        except TimeoutError as error:
            raise PeerTimeout("the peer began with TLS, and did not ask for an association") from error
        except OSError as error:
            if self._is_closed:
                raise Interrupted("No more associations are taken") from error
            raise failure("the peer", self._tls, error) from error
        return head


def _head(secure: ssl.SSLSocket, deadline: float) -> bytes:
    """The first bytes inside TLS, as many as tell who calls whom; fewer where it is no DICOM."""
    head = b""
    while len(head) < REQUEST_HEAD:
        secure.settimeout(max(0.01, deadline - time.monotonic()))
        came = secure.recv(REQUEST_HEAD - len(head))
        head += came
        if not came or head[0] != ASSOCIATE_RQ:
            break
    return head
