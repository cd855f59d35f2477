"""How an association is protected on its way (PS3.15, annex B)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path

from pypx.errors import UsageError


class TlsProfile(enum.Enum):
    """The secure connection profiles, by DCMTK's names for them."""

    BCP195_ND = "bcp195-nd"  # PS3.15, B.11 (non-downgrading)
    BCP195 = "bcp195"  # B.9
    BCP195_EX = "bcp195-ex"  # B.10 (extended)
    AES = "aes"  # B.3, retired


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What we show to a peer, and what we take from it.

    Parameters
    ----------
    key, certificate : pathlib.Path or None
        Files in PEM form, by which the peer knows us; both or none.
    authorities : pathlib.Path or None
        The certificates that the peer's must be signed by: a file in PEM form, or a directory of them under
        the names that OpenSSL looks for.
    checks_peer : bool
        Whether the peer must show such a certificate.
    profile : TlsProfile
    passphrase : str
        Of the key; "" for a key that has none.

    Raises
    ------
    UsageError
        When something is missing.
    """

    key: Path | None = None
    certificate: Path | None = None
    authorities: Path | None = None
    checks_peer: bool = True
    profile: TlsProfile = TlsProfile.BCP195_ND
    passphrase: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if (self.key is None) != (self.certificate is None):
            raise UsageError(
                "Of private key and certificate only one is given", "Give --tlsKey and --tlsCertificate."
            )
        if self.checks_peer and self.authorities is None:
            raise UsageError(
                "Nothing is said by which certificates the peer's is to be checked",
                "Give --tlsCA FILE or DIR; --tlsPeer ignore takes any certificate, that of an impostor too.",
            )
