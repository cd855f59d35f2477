"""What ends the encryption before a server, as at sites that reach their storage by https."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

from servers.needs import require
from servers.peers import Wire


class TlsProxy(Wire):
    """Listens by TLS, with a certificate of its own making, and passes on to a server on loopback.

    Parameters
    ----------
    port : int
        The server's.
    directory : pathlib.Path
        For key and certificate.
    """

    def __init__(self, port: int, directory: Path) -> None:
        super().__init__(port)
        directory.mkdir()
        key, self.certificate = directory / "key.pem", directory / "certificate.pem"
        subprocess.run(
            [
                *(
                    require("openssl", "openssl"),
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "2",
                ),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)

    def serve(self, connection: socket.socket) -> None:
        try:
            secured = self._context.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, OSError):
            return  # the client does not like the certificate
        super().serve(secured)
