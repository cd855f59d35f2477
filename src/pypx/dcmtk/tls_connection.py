"""TLS connections of our own, for what DCMTK's programs cannot do, and to find out what they do not say."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import ssl
from pathlib import Path

from pypx.dicom.node import Node
from pypx.dicom.tls import TlsProfile, TlsSettings
from pypx.errors import (
    ConnectionRefused,
    HostUnknown,
    PeerTimeout,
    PypxError,
    TlsExpired,
    TlsFailed,
    TlsFilesUnusable,
    TlsNotSpoken,
    TlsRefused,
    TlsUntrusted,
)

logger = logging.getLogger(__name__)

#: Seconds within which a PACS must take a connection, and the two must have agreed on TLS.
CONNECT_TIMEOUT = 15.0
HANDSHAKE_TIMEOUT = 15.0

#: Seconds in which a PACS that did not like our certificate says so, once it seems that it has (TLS 1.3).
_SECOND_THOUGHTS = 0.5

#: The cipher suites of TLS 1.2, by OpenSSL's names for them; those of 1.3 are all good.
_RECOMMENDED = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20"
_CIPHERS = {
    TlsProfile.BCP195_ND: _RECOMMENDED,
    TlsProfile.BCP195: f"{_RECOMMENDED}:ECDHE+AES:DHE+AES:RSA+AES:!aNULL",
    TlsProfile.BCP195_EX: "ECDHE+AESGCM:DHE+AESGCM",
    TlsProfile.AES: "RSA+AES:!aNULL",
}

_OTHERS = 0o077

#: A file of a directory of certificates, named by the hash of whom it is of (openssl-rehash(1)).
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")

#: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED (openssl/x509_vfy.h).
_OUT_OF_DATE = (9, 10)

#: What OpenSSL says of bytes that are no TLS.
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNEXPECTED_EOF_WHILE_READING",
)

#: What it says when the other side has sent an alert about a certificate, or misses one.
_ABOUT_CERTIFICATE = ("ALERT_UNKNOWN_CA", "CERTIFICATE")


def context(tls: TlsSettings, *, server_side: bool = False) -> ssl.SSLContext:
    """The same for Python. As in DCMTK, names in certificates are not compared with those of hosts.

    Raises
    ------
    TlsFilesUnusable
        When a file cannot be used, for DCMTK's programs neither.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED if tls.checks_peer else ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_ciphers(_CIPHERS[tls.profile])
    if tls.authorities:
        _load_authorities(made, tls.authorities)
    if tls.key and tls.certificate:
        _load_identity(made, tls.key, tls.certificate, tls.passphrase)
    return made


def _load_authorities(into: ssl.SSLContext, path: Path) -> None:
    try:
        if not path.is_dir():
            into.load_verify_locations(cafile=path)
            return
        if not any(_HASHED.fullmatch(file.name) for file in path.iterdir()):
            raise TlsFilesUnusable(
                f"The directory {path} of --tlsCA has no certificate under a name that OpenSSL looks for",
                f"Run: openssl rehash {path}",
            )
        into.load_verify_locations(capath=path)
    except ssl.SSLError as error:
        raise TlsFilesUnusable(f"{path} of --tlsCA holds no certificate in PEM form") from error
    except OSError as error:
        raise TlsFilesUnusable(f"{path} of --tlsCA cannot be read ({error.strerror})") from error


def _load_identity(into: ssl.SSLContext, key: Path, certificate: Path, passphrase: str) -> None:
    asked = False

    def answer() -> str:
        nonlocal asked
        asked = True
        return passphrase

    for file in (certificate, key):
        if not os.access(file, os.R_OK) or not file.is_file():
            raise TlsFilesUnusable(f"{file} does not exist, or may not be read")
    if key.stat().st_mode & _OTHERS:
        logger.warning("The private key %s can be read by others: chmod 600 %s", key, key)
    try:
        into.load_cert_chain(certificate, key, answer)
    except ssl.SSLError as error:
        if asked:
            raise TlsFilesUnusable(
                f"The passphrase of the private key {key} is {'wrong' if passphrase else 'missing'}",
                "Give it in a file, as --tlsPassphrase @FILE, or in PYPX_TLS_PASSPHRASE.",
            ) from error
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsFilesUnusable(
                f"The private key {key} is not that of the certificate {certificate}"
            ) from error
        raise TlsFilesUnusable(
            f"{certificate} and {key} are no certificate and private key in PEM form"
        ) from error


def connect(node: Node, tls: TlsSettings) -> ssl.SSLSocket:
    """A connection to a PACS, once the two have agreed on TLS.

    Raises
    ------
    HostUnknown, ConnectionRefused, PeerTimeout, TlsFailed, TlsFilesUnusable
    """
    made = context(tls)
    try:
        connection = socket.create_connection((node.host.strip("[]"), node.port), CONNECT_TIMEOUT)
    except socket.gaierror as error:
        raise HostUnknown(f"The host name {node.host!r} does not resolve") from error
    except TimeoutError as error:
        raise PeerTimeout(f"{node.host}:{node.port} did not take the connection in time") from error
    except OSError as error:
        raise ConnectionRefused(f"No connection to {node.host}:{node.port} ({error.strerror})") from error
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(HANDSHAKE_TIMEOUT)
        return made.wrap_socket(connection)
    except TimeoutError as error:
        connection.close()
        raise PeerTimeout(
            f"{node} took the connection, and then did not answer in TLS in time", TlsNotSpoken.cure
        ) from error
    except OSError as error:
        connection.close()
        raise failure(str(node), tls, error) from error


def explained(node: Node, tls: TlsSettings) -> PypxError | None:
    """Why no TLS connection to a PACS comes about, of which DCMTK's programs do not say the half."""
    try:
        with connect(node, tls) as connection:
            connection.settimeout(_SECOND_THOUGHTS)
            with contextlib.suppress(ConnectionError):
                connection.recv(1)
    except TimeoutError:
        return None  # it waits for the association request, as it should
    except OSError as error:
        return failure(str(node), tls, error)
    except PypxError as error:
        return error
    shown = "our certificate" if tls.key else "that we have no certificate"
    return TlsRefused(f"{node} closes the connection when it has seen {shown}")


def failure(peer: str, tls: TlsSettings, error: OSError) -> TlsFailed:
    """What OpenSSL, or the operating system, says of a TLS connection that did not come about.

    Parameters
    ----------
    peer : str
        How to call the other side.
    tls : TlsSettings
        Ours.
    error : OSError
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OUT_OF_DATE:
            return TlsExpired(f"The certificate of {peer} is out of date ({error.verify_message})")
        return TlsUntrusted(f"The certificate of {peer} is not trusted ({error.verify_message})")
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    words = reason.lower().replace("_", " ") or error.strerror or str(error)
    if any(sign in reason for sign in _ABOUT_CERTIFICATE):
        if "PEER_DID_NOT_RETURN" in reason:
            return TlsUntrusted(
                f"{peer} shows no certificate, and has to", "It needs one that --tlsCA has signed."
            )
        said = "does not accept our certificate" if tls.key else "wants a certificate, and was shown none"
        return TlsRefused(f"{peer} {said} ({words})")
    if "HANDSHAKE_FAILURE" in reason and not tls.key:
        return TlsRefused(f"{peer} breaks TLS off, and was shown no certificate ({words})")
    if reason in _NO_TLS or not reason:
        return TlsNotSpoken(f"{peer} does not answer in TLS ({words})")
    return TlsFailed(f"No TLS connection with {peer} ({words})")
