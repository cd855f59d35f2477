"""PACS that speak TLS alone, and want a certificate of everybody."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from certificates import Authority, Identity
from demo.server import HOST
from servers.orthanc import Orthanc
from servers.peers import Wire
from servers.storescp import Storescp


class ProtectedOrthanc(Orthanc):
    """An Orthanc that is asked over TLS, and sends over TLS.

    Parameters
    ----------
    directory : pathlib.Path
    identity : Identity
        Its own.
    authority : Authority
        Whom it trusts.
    """

    #: Whether it sends over TLS, too.
    sends_over_tls = True

    def __init__(self, directory: Path, identity: Identity, authority: Authority) -> None:
        directory.mkdir(exist_ok=True)
        super().__init__(directory)
        self._identity = identity
        self._authority = authority

    def configure(self) -> list[str]:
        command = super().configure()
        configuration = Path(command[-1])
        settings = json.loads(configuration.read_text())
        settings |= {
            "DicomTlsEnabled": True,
            "DicomTlsPrivateKey": str(self._identity.key),
            "DicomTlsCertificate": str(self._identity.certificate),
            "DicomTlsTrustedCertificates": str(self._authority.certificate),
            "DicomTlsRemoteCertificateRequired": True,
        }
        settings["DicomModalities"]["receiver"] = {
            "AET": self.aet,
            "Host": HOST,
            "Port": self.receive_port,
            "UseDicomTls": self.sends_over_tls,
        }
        configuration.write_text(json.dumps(settings))
        return command

    def answers(self) -> bool:
        try:
            self.rest("/system")
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True

    def store(self, files: Iterable[Path]) -> None:
        for file in files:
            url = f"http://{HOST}:{self.http_port}/instances"
            request = urllib.request.Request(url, data=file.read_bytes(), method="POST")
            urllib.request.urlopen(request, timeout=20).close()  # noqa: S310


class ProtectedStorescp(Storescp):
    """A storescp with TLS."""

    def __init__(self, directory: Path, identity: Identity, authority: Authority, *options: str) -> None:
        trusts = ("+cf", str(authority.certificate))
        super().__init__(directory, "+xa", "+B", *identity.dcmtk_options, *trusts, *options)

    def answers(self) -> bool:
        return self._listens()


class TlsFront(Wire):
    """Ends TLS before a server that has none, as stunnel does before a dcmqrscp.

    Parameters
    ----------
    port : int
        The server's.
    identity : Identity
        What it shows.
    authority : Authority
        Who must have signed what others show.
    """

    def __init__(self, port: int, identity: Identity, authority: Authority) -> None:
        super().__init__(port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(identity.certificate, identity.key)
        self._context.load_verify_locations(authority.certificate)
        self._context.verify_mode = ssl.CERT_REQUIRED

    def serve(self, connection: socket.socket) -> None:
        try:
            secured = self._context.wrap_socket(connection, server_side=True)
        except OSError:
            return  # one of the two does not like the other's certificate
        super().serve(secured)
