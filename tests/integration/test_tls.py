"""PACS that speak TLS: asked, retrieved from, pushed to; and what is told when it does not come about."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from certificates import Authority, Identity, self_signed
from datasets import plain_study
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from demo.server import ENVIRONMENT, HOST
from packed import repack
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.tls_bridge import Bridge
from pypx.dicom.node import Node
from pypx.dicom.tls import TlsSettings
from servers.peers import SilentPeer, Wire
from servers.protected import ProtectedOrthanc, ProtectedStorescp, TlsFront
from servers.storescp import Storescp
from tools import Ran, run_tool
from trees import assert_holds, assert_nothing_pending, files_below

_WORDS = "open sesame"


@pytest.fixture(scope="module")
def orthanc(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProtectedOrthanc]:
    """An Orthanc with TLS alone, and the plain study."""
    directory = tmp_path_factory.mktemp("orthanc")
    with ProtectedOrthanc(directory, authority.issue("orthanc"), authority) as server:
        server.store(plain_study().write(directory / "files"))
        yield server


@pytest.fixture(scope="module")
def storescp(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProtectedStorescp]:
    directory = tmp_path_factory.mktemp("storescp")
    with ProtectedStorescp(directory, authority.issue("storescp"), authority, "--fork") as server:
        yield server


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def word(
    request: pytest.FixtureRequest, orthanc: ProtectedOrthanc, authority: Authority, tmp_path: Path
) -> Iterator[str]:
    """Each case on both PACS; dcmqrscp, which has no TLS, behind what ends it."""
    if request.param == "orthanc":
        yield orthanc.node.word
        return
    plain: Dcmqrscp = request.getfixturevalue("own_dcmqrscp")
    with TlsFront(plain.port, authority.issue(f"front-{tmp_path.name}"), authority) as front:
        yield f"{HOST}:{plain.aec}:{front.port}"


@pytest.fixture(scope="module")
def own_dcmqrscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dcmqrscp]:
    directory = tmp_path_factory.mktemp("dcmqrscp")
    with Dcmqrscp(directory) as server:
        server.store(plain_study().write(directory / "files"))
        yield server


def _echo(pacs: Pacs, options: Sequence[str]) -> Ran:
    return run_tool("px-echo", pacs.node.word, *options)


def _assert_fails(ran: Ran, code: str, *words: str) -> None:
    assert (ran.status, ran.error) == (1, code), ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    for word in words:
        assert word in ran.json["error"]["message"] + ran.json["error"]["hint"]


def test_a_pacs_is_asked(word: str, ours: list[str]) -> None:
    assert run_tool("px-echo", word, *ours).status == 0
    found = run_tool("px-find", word, *ours, "--PatientID", plain_study().patient_id)
    assert found.status == 0, found.stderr
    assert len(found.json["data"][0]["series"]) == len(plain_study().all_series)
    # It is DCMTK's own TLS: a person may ask the same by hand.
    assert "+tls" in found.json["command"]


def test_series_come_by_c_get(word: str, ours: list[str], basemount: Path, tmp_path: Path) -> None:
    found = run_tool("px-find", word, *ours, "--PatientID", plain_study().patient_id)
    moved = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found.stdout)
    assert moved.status == 0, moved.stderr
    assert_holds(basemount, plain_study().write(tmp_path / "files"))
    assert_nothing_pending(basemount)


def test_series_come_by_c_move(
    orthanc: ProtectedOrthanc, ours: list[str], basemount: Path, tmp_path: Path
) -> None:
    asked = ("--StudyInstanceUID", plain_study().uid, "--receivePort", orthanc.receive_port)
    moved = run_tool("px-move", *orthanc.node.options, *ours, *asked, "--db", basemount / "log")
    assert moved.status == 0, moved.stderr
    assert_holds(basemount, plain_study().write(tmp_path / "files"))


def test_a_connection_that_is_cut_is_made_again(
    orthanc: ProtectedOrthanc, ours: list[str], basemount: Path, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")
    with Wire(orthanc.port, cut_after=sum(file.stat().st_size for file in files) // 2, heals=True) as wire:
        moved = run_tool(
            *("px-move", f"{HOST}:{orthanc.aec}:{wire.port}", *ours, "--get"),
            *("--StudyInstanceUID", plain_study().uid, "--db", basemount / "log"),
        )
        assert wire.connections > 2
    assert moved.status == 0, moved.stderr
    assert_holds(basemount, files)


def test_a_dcmtk_without_tls_is_enough(
    orthanc: ProtectedOrthanc, ours: list[str], stranger: Authority, us: Identity, tmp_path: Path
) -> None:
    without = tmp_path / "echoscu"
    without.write_text(
        "#!/bin/sh\n"
        'case "$*" in --version) echo "\\$dcmtk: echoscu v3.6.7 2022-04-22 \\$"; exit;; esac\n'
        'case "$*" in *+t*|*+cf*) echo "F: Unknown option"; exit 1;; esac\n'
        f'exec {Binaries().path("echoscu")} "$@"\n'
    )
    without.chmod(0o755)
    assert _echo(orthanc, [*ours, "--echoscu", str(without)]).status == 0
    untrusted = [*us.options, *stranger.options, "--echoscu", str(without)]
    _assert_fails(_echo(orthanc, untrusted), "tls-untrusted")
    _assert_fails(_echo(orthanc, [*ours[4:], "--echoscu", str(without)]), "tls-refused")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else: sudo bin/test")
def test_nobody_else_gets_through_with_our_certificate(
    orthanc: ProtectedOrthanc, us: Identity, authority: Authority
) -> None:
    settings = TlsSettings(us.key, us.certificate, authority.certificate)
    node = Node(HOST, orthanc.port, orthanc.aec, orthanc.aet)
    with Bridge(node, settings) as bridge:
        echoscu = Binaries().path("echoscu")
        echo = [echoscu, "-aec", orthanc.aec, "-ta", "60", HOST, str(bridge.node.port)]
        somebody = ["setpriv", "--reuid=65534", "--clear-groups"]
        ran = [
            subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False).returncode
            for command in ([*somebody, *echo], echo)
        ]
    assert ran[0] != 0
    assert ran[1] == 0


def test_a_pacs_may_be_asked_over_tls_and_send_without(
    authority: Authority, ours: list[str], basemount: Path, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")
    server = ProtectedOrthanc(tmp_path / "orthanc", authority.issue("half"), authority)
    server.sends_over_tls = False
    with server:
        server.store(files)
        asked = ["px-move", *server.node.options, *ours, "--StudyInstanceUID", plain_study().uid]
        asked += ["--receivePort", str(server.receive_port), "--db", str(basemount / "log")]
        refused = run_tool(*asked, "--retries", 0, "--verbosity", 2)
        assert refused.status == 1
        assert "the peer speaks DICOM without TLS" in refused.stderr
        assert not files_below(basemount / "data")
        moved = run_tool(*asked, "--receivePlain")
    assert moved.status == 0, moved.stderr
    assert_holds(basemount, files)


def test_series_are_pushed(
    storescp: ProtectedStorescp, ours: list[str], basemount: Path, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")
    repack(basemount, "--xcrdir", tmp_path / "files")
    named = ("--StudyInstanceUID", plain_study().uid, "--db", basemount / "log")
    pushed = run_tool("px-push", storescp.node.word, *ours, *named)
    assert pushed.status == 0, pushed.stderr
    assert len(list(storescp.received.iterdir())) == len(files)
    _assert_fails(run_tool("px-push", storescp.node.word, *named, "--retries", 0), "connection-lost", "--tls")


def test_a_key_of_the_services_says_it_all(
    orthanc: ProtectedOrthanc, us: Identity, authority: Authority, basemount: Path
) -> None:
    fields = {
        "ip": HOST,
        "port": str(orthanc.port),
        "aec": orthanc.aec,
        "tls": True,
        "tlsKey": "us.key",
        "tlsCertificate": str(us.certificate),
        "tlsCA": "authority",
        "tlsPassphrase": _WORDS,
    }
    database = ("--db", basemount / "log")
    added = run_tool("px-smdb", "--action", "PACS", "--actionArgs", json.dumps({"site": fields}), *database)
    assert added.status == 0, added.stderr
    # It is no place for a passphrase, only for the name of its file; who puts it there all the same:
    assert _WORDS not in added.stdout
    study = ("--PatientID", plain_study().patient_id)
    refused = run_tool("px-find", "--PACS", "site", *study, *database)
    assert refused.status == 2
    assert _WORDS not in refused.stderr + refused.stdout
    file = basemount / "services" / "pacs.json"
    file.write_text(file.read_text().replace(_WORDS, ""))
    # What is no whole path is beside pacs.json.
    (basemount / "services" / "us.key").write_bytes(us.key.read_bytes())
    (basemount / "services" / "us.key").chmod(0o600)
    authority.hashed().rename(basemount / "services" / "authority")
    found = run_tool("px-find", "--PACS", "site", *study, *database)
    assert found.status == 0, found.stderr
    moved = run_tool("px-move", "--get", stdin=found.stdout)
    assert moved.status == 0, moved.stderr
    wrong = run_tool("px-find", "--PACS", "site", *study, *database, "--tlsCA", us.certificate)
    _assert_fails(wrong, "tls-untrusted")


@pytest.mark.parametrize(("given", "code"), [("wrong", "tls-files"), ("", "tls-files"), (_WORDS, "")])
def test_a_key_with_a_passphrase(
    storescp: ProtectedStorescp, authority: Authority, tmp_path: Path, given: str, code: str
) -> None:
    locked = authority.issue(f"locked-{tmp_path.name}", passphrase=_WORDS)
    options = [*locked.options, *authority.options, "--verbosity", "3"]
    if given:
        file = tmp_path / "passphrase"
        file.write_text(f"{given}\n")
        file.chmod(0o600)
        options += ["--tlsPassphrase", f"@{file}"]
    ran = _echo(storescp, options)
    assert (ran.status, ran.error if code else "") == (bool(code), code), ran.stderr
    assert _WORDS not in ran.stdout + ran.stderr
    from_environment = run_tool(
        "px-echo", storescp.node.word, *options[:6], environment={"PYPX_TLS_PASSPHRASE": _WORDS}
    )
    assert from_environment.status == 0, from_environment.stderr


def test_a_passphrase_is_not_taken_from_the_command_line(
    storescp: ProtectedStorescp, ours: list[str]
) -> None:
    ran = _echo(storescp, [*ours, "--tlsPassphrase", _WORDS])
    assert ran.status == 2
    assert _WORDS not in ran.stderr
    assert "@FILE" in ran.stderr


def test_a_pacs_that_nobody_trusts(
    orthanc: ProtectedOrthanc, us: Identity, stranger: Authority, basemount: Path
) -> None:
    options = [*us.options, *stranger.options]
    _assert_fails(_echo(orthanc, options), "tls-untrusted", "--tlsCA")
    assert _echo(orthanc, [*us.options, "--tlsPeer", "ignore"]).status == 0
    # DCMTK's own TLS, and that which those of its programs get that have none, say the same.
    study = ("--StudyInstanceUID", plain_study().uid, "--db", basemount / "log")
    _assert_fails(run_tool("px-find", orthanc.node.word, *options, *study[:2]), "tls-untrusted")
    ours = [*us.options, "--tlsPeer", "ignore"]
    found = run_tool("px-find", orthanc.node.word, *ours, *study[:2])
    moved = run_tool("px-move", "--get", *options, "--tlsPeer", "require", *study[2:], stdin=found.stdout)
    assert moved.status == 1
    assert moved.json["data"][0]["error"]["code"] == "tls-untrusted"


def test_a_certificate_that_has_expired(authority: Authority, ours: list[str], tmp_path: Path) -> None:
    with ProtectedStorescp(tmp_path / "old", authority.issue("old", days=-1), authority) as server:
        _assert_fails(_echo(server, ours), "tls-expired", "certificate has expired")
        files = plain_study().write(tmp_path / "files")
        pushed = run_tool(
            *("px-push", server.node.word, *ours, "--xcrdir", files[0].parent, "--retries", 0),
            *("--db", tmp_path / "basemount" / "log"),
        )
        assert pushed.status == 1
        assert "tls-expired" in pushed.stdout
        assert not list(server.received.iterdir())


def test_a_certificate_that_is_signed_by_its_owner(
    authority: Authority, ours: list[str], tmp_path: Path
) -> None:
    own = self_signed(tmp_path / "own")
    with ProtectedStorescp(tmp_path / "storescp", own, authority) as server:
        _assert_fails(_echo(server, ours), "tls-untrusted", "self-signed certificate")
        trusted = [*ours[:4], "--tlsCA", str(own.certificate)]
        assert _echo(server, trusted).status == 0


@pytest.mark.parametrize("kind", ["none", "stranger", "expired"])
def test_a_certificate_of_ours_that_the_pacs_does_not_take(
    orthanc: ProtectedOrthanc,
    storescp: ProtectedStorescp,
    authority: Authority,
    stranger: Authority,
    tmp_path: Path,
    kind: str,
) -> None:
    ours = {
        "none": lambda: [],
        "stranger": lambda: stranger.issue(f"us-{tmp_path.name}").options,
        "expired": lambda: authority.issue("expired", days=-1).options,
    }[kind]()
    for server in (storescp, orthanc):
        words = "wants a certificate" if kind == "none" else "our certificate"
        _assert_fails(_echo(server, [*ours, *authority.options]), "tls-refused", "--tlsCertificate", words)


def test_a_pacs_without_tls(tmp_path: Path, ours: list[str]) -> None:
    with Storescp(tmp_path / "plain") as server:
        _assert_fails(_echo(server, ours), "tls-not-spoken", "--serverPort")


def test_a_peer_that_never_answers(ours: list[str]) -> None:
    with SilentPeer() as peer:
        ran = run_tool("px-echo", f"{HOST}:ANY:{peer.port}", *ours, "--timeout", 2)
    _assert_fails(ran, "peer-timeout")


def test_a_pacs_with_nothing_but_tls_is_asked_without(storescp: ProtectedStorescp) -> None:
    _assert_fails(_echo(storescp, []), "connection-lost", "--tls")


def test_no_cipher_suite_that_both_take(storescp: ProtectedStorescp, ours: list[str]) -> None:
    _assert_fails(_echo(storescp, [*ours, "--tlsProfile", "aes"]), "tls-failed", "--tlsProfile")
    for profile in ("bcp195-nd", "bcp195", "bcp195-ex"):
        assert _echo(storescp, [*ours, "--tlsProfile", profile]).status == 0


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--tls"], 2, "--tlsCA"),
        (["--tls", "--tlsCA", "authority.pem", "--tlsKey", "us.key"], 2, "--tlsCertificate"),
        (["--tlsCA", "missing.pem"], 1, "cannot be read"),
        (["--tlsCA", "us.key"], 1, "no certificate in PEM form"),
        (["--tlsCA", "."], 1, "openssl rehash"),
        (["--tlsCA", "authority.pem", "--tlsKey", "no.key", "--tlsCertificate", "us.pem"], 1, "no.key"),
        (
            ["--tlsCA", "authority.pem", "--tlsKey", "authority.key", "--tlsCertificate", "us.pem"],
            1,
            "not that",
        ),
        (["--tlsCA", "authority.pem", "--tlsKey", "us.pem", "--tlsCertificate", "us.key"], 1, "PEM form"),
    ],
)
def test_files_that_are_of_no_use(
    us: Identity, storescp: ProtectedStorescp, options: list[str], status: int, words: str
) -> None:
    ran = run_tool("px-echo", storescp.node.word, *options, directory=us.key.parent)
    assert ran.status == status
    assert words in ran.stderr


def test_a_key_that_others_can_read_is_told_of(
    storescp: ProtectedStorescp, authority: Authority, tmp_path: Path
) -> None:
    open_to_all = authority.issue(f"open-{tmp_path.name}")
    open_to_all.key.chmod(0o644)
    ran = _echo(storescp, [*open_to_all.options, *authority.options, "--verbosity", "1"])
    assert ran.status == 0
    assert f"chmod 600 {open_to_all.key}" in ran.stderr


def test_nothing_of_a_key_is_in_what_is_written(
    orthanc: ProtectedOrthanc, us: Identity, ours: list[str], basemount: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    asked = ("px-find", orthanc.node.word, *ours, "--PatientID", plain_study().patient_id)
    found = run_tool(*asked, "--verbosity", 3, "--debugToDir", told)
    moved = run_tool("px-move", "--get", "--db", basemount / "log", "--verbosity", 3, stdin=found.stdout)
    assert moved.status == 0, moved.stderr
    written = [path.read_bytes() for path in (*files_below(basemount), *files_below(told))]
    said = [ran.stdout + ran.stderr for ran in (found, moved)]
    for line in us.material:
        assert not any(line in text for text in said)
        assert not any(line.encode() in content for content in written)
