"""Certificates, made with openssl as the administrator of a site makes them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers.needs import require

_NEW_KEY = ("-newkey", "rsa:2048")


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key, and the certificate for it."""

    key: Path
    certificate: Path

    @property
    def options(self) -> list[str]:
        """As the tools of the suite take it."""
        return ["--tlsKey", str(self.key), "--tlsCertificate", str(self.certificate)]

    @property
    def dcmtk_options(self) -> list[str]:
        return ["+tls", str(self.key), str(self.certificate)]

    @property
    def material(self) -> list[str]:
        """Lines of the key's file, of which none may turn up anywhere else."""
        return [line for line in self.key.read_text().splitlines() if not line.startswith("-")]


class Authority:
    """Signs certificates with its own, which is in :attr:`certificate`.

    Parameters
    ----------
    directory : pathlib.Path
        Made for its files.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._key = directory / "authority.key"
        self.certificate = directory / "authority.pem"
        request = ("req", "-x509", *_NEW_KEY, "-nodes", "-days", "30", "-subj", f"/CN={directory.name}")
        _openssl(*request, "-keyout", self._key, "-out", self.certificate)

    @property
    def options(self) -> list[str]:
        """What makes the tools of the suite trust it."""
        return ["--tlsCA", str(self.certificate)]

    def issue(self, name: str, *, days: int = 30, passphrase: str = "") -> Identity:
        """A certificate that is valid for so many days; less than 0 for one that has expired."""
        identity = Identity(self._directory / f"{name}.key", self._directory / f"{name}.pem")
        request = self._directory / f"{name}.csr"
        protected = ("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)
        subject = ("-subj", f"/CN={name}", "-keyout", identity.key, "-out", request)
        _openssl("req", *_NEW_KEY, *protected, *subject)
        signing = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", days)
        _openssl("x509", "-req", "-in", request, *signing, "-out", identity.certificate)
        identity.key.chmod(0o600)
        return identity

    def hashed(self) -> Path:
        """A directory with its certificate, as openssl looks for it there."""
        directory = self._directory / "hashed"
        directory.mkdir()
        (directory / "authority.pem").write_bytes(self.certificate.read_bytes())
        _openssl("rehash", directory)
        return directory


def self_signed(directory: Path) -> Identity:
    """A certificate that nobody but its owner has signed."""
    directory.mkdir()
    identity = Identity(directory / "self.key", directory / "self.pem")
    request = ("req", "-x509", *_NEW_KEY, "-nodes", "-days", "30", "-subj", "/CN=self")
    _openssl(*request, "-keyout", identity.key, "-out", identity.certificate)
    identity.key.chmod(0o600)
    return identity


def _openssl(*arguments: str | Path | int) -> None:
    command = [require("openssl", "openssl"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
