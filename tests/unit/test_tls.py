"""What options and fields say of TLS, and the options of DCMTK that come of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pypx.cli.tls import resolved, tls_of
from pypx.dcmtk import echoscu, findscu, tls
from pypx.dicom.node import Node
from pypx.dicom.tls import TlsProfile, TlsSettings
from pypx.errors import InvalidValue, PypxError, UsageError

_FILES = {"tlsKey": "/site/us.key", "tlsCertificate": "/site/us.pem", "tlsCA": "/site/ca.pem"}
_SETTINGS = TlsSettings(Path("/site/us.key"), Path("/site/us.pem"), Path("/site/ca.pem"))


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        (_SETTINGS, "+tls /site/us.key /site/us.pem -pw +cf /site/ca.pem +py -rc"),
        (TlsSettings(authorities=Path("/site/ca.pem")), "+tla +cf /site/ca.pem +py -rc"),
        (TlsSettings(checks_peer=False), "+tla +py -ic"),
        (
            replace(_SETTINGS, profile=TlsProfile.BCP195),
            "+tls /site/us.key /site/us.pem -pw +cf /site/ca.pem +px -rc",
        ),
        (TlsSettings(authorities=Path("/"), profile=TlsProfile.BCP195_EX), "+tla +cd / +pz -rc"),
        (TlsSettings(authorities=Path("/"), profile=TlsProfile.AES), "+tla +cd / +pa -rc"),
    ],
)
def test_the_options_of_dcmtk(settings: TlsSettings, options: str) -> None:
    assert " ".join(tls.options(settings)) == options


def test_where_they_stand() -> None:
    node = Node("pacs", 2762, "THEIRS", "MYSELF", _SETTINGS)
    plain = replace(node, tls=None)
    for build in (
        lambda called: echoscu.argv("echoscu", called, 5),
        lambda called: findscu.argv("findscu", called, ["a.dcm"], "answers", 120),
    ):
        added = [word for word in build(node) if word not in build(plain)]
        assert tuple(added) == tls.options(_SETTINGS)


def test_a_passphrase_is_in_no_text_of_the_settings() -> None:
    assert "sesame" not in repr(replace(_SETTINGS, passphrase="sesame"))  # noqa: S106


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ({}, None),
        ({"tls": None, "tlsKey": ""}, None),
        (_FILES, _SETTINGS),
        ({**_FILES, "tls": True}, _SETTINGS),
        ({**_FILES, "tls": "true", "tlsPeer": "require", "tlsProfile": "bcp195-nd"}, _SETTINGS),
        ({**_FILES, "tls": False}, None),
        ({**_FILES, "tls": "False"}, None),
        ({**_FILES, "tlsProfile": "aes"}, replace(_SETTINGS, profile=TlsProfile.AES)),
        ({**_FILES, "tlsPeer": "ignore"}, replace(_SETTINGS, checks_peer=False)),
        ({"tls": True, "tlsPeer": "ignore"}, TlsSettings(checks_peer=False)),
    ],
)
def test_what_is_said_of_tls(said: dict[str, object], settings: TlsSettings | None) -> None:
    assert tls_of(said) == settings


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ({"tls": True}, UsageError, "--tlsCA"),
        ({"tlsPeer": "require"}, UsageError, "--tlsCA"),
        ({"tlsKey": "us.key", "tlsCA": "ca.pem"}, UsageError, "--tlsCertificate"),
        ({"tlsCertificate": "us.pem", "tlsCA": "ca.pem"}, UsageError, "--tlsKey"),
        ({**_FILES, "tls": "perhaps"}, InvalidValue, "neither true nor false"),
        ({**_FILES, "tlsPeer": "perhaps"}, InvalidValue, "require, ignore"),
        ({**_FILES, "tlsProfile": "null"}, InvalidValue, "bcp195-nd"),
        ({**_FILES, "tlsPassphrase": "sesame"}, UsageError, "@FILE"),
    ],
)
def test_what_cannot_be_meant(said: dict[str, object], kind: type[PypxError], words: str) -> None:
    with pytest.raises(kind) as raised:
        tls_of(said)
    assert words in str(raised.value)
    assert "sesame" not in str(raised.value)


def test_files_of_a_key_are_beside_its_file() -> None:
    fields = {"tls": True, "tlsKey": "us.key", "tlsCA": "/etc/ca.pem", "tlsPassphrase": "@secret", "aec": "X"}
    assert resolved(fields, Path("/data/services")) == {
        "tls": True,
        "tlsKey": "/data/services/us.key",
        "tlsCA": "/etc/ca.pem",
        "tlsPassphrase": "@/data/services/secret",
    }
