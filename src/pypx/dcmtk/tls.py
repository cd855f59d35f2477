"""TLS in the command lines of DCMTK's programs, those that have options for it.

Of release 3.6.7, echoscu, findscu and storescp have them; getscu, movescu and dcmsend have not, nor has any
program that was built without OpenSSL. What those send is carried on by :mod:`pypx.dcmtk.tls_bridge`.
"""

from __future__ import annotations

from pathlib import Path

from pypx.dicom.tls import TlsProfile, TlsSettings

_PROFILES = {
    TlsProfile.BCP195_ND: "+py",
    TlsProfile.BCP195: "+px",
    TlsProfile.BCP195_EX: "+pz",
    TlsProfile.AES: "+pa",
}


def options(tls: TlsSettings) -> tuple[str, ...]:
    """The options of a DCMTK program that has them."""
    return (
        *(("+tls", str(tls.key), str(tls.certificate), "-pw") if tls.key else ("+tla",)),
        *((_authorities_option(tls.authorities), str(tls.authorities)) if tls.authorities else ()),
        _PROFILES[tls.profile],
        "-rc" if tls.checks_peer else "-ic",
    )


def _authorities_option(path: Path) -> str:
    return "+cd" if path.is_dir() else "+cf"
