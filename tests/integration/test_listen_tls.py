"""px-listen over TLS: who gets in, what is told of those who do not, and that nothing is lost by it."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from certificates import Authority, Identity
from datasets import large_study, plain_study
from demo.server import ENVIRONMENT, HOST
from listener import PxListen, acknowledged, send, until
from packed import assert_catalogue_is_exact
from servers.needs import require
from tools import run_tool
from trees import assert_holds, assert_nothing_pending, files_below, instances_in


@pytest.fixture(scope="module")
def modality(authority: Authority) -> Identity:
    return authority.issue("modality")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return plain_study().write(tmp_path / "sent")


def _send(
    port: int, files: Sequence[Path], identity: Identity, trusted: Authority, aec: str = "CHRISLOCAL"
) -> tuple[list[Path], str]:
    """Send files with storescu over DCMTK's TLS; those that were acknowledged, and what it said."""
    command = [
        *(require("storescu", "dcmtk"), "-v", "-R", "-aet", "MODALITY", "-aec", aec),
        *(*identity.dcmtk_options, "+cf", str(trusted.certificate)),
        *(HOST, str(port), *map(str, files)),
    ]
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=400,
        check=False,
    )
    return acknowledged(done.stdout), done.stdout


def test_what_is_sent_is_packed(
    basemount: Path,
    files: list[Path],
    ours: list[str],
    us: Identity,
    modality: Identity,
    authority: Authority,
) -> None:
    with PxListen(basemount, *ours, "--verbosity", 3) as listen:
        assert "over TLS" in listen.log
        taken, said = _send(listen.port, files, modality, authority)
        assert taken == files, said
        listen.wait_until_packed(len(files))
        told = listen.status()
        assert (told["tls"], told["received"], told["failed"]) == (True, len(files), 0)
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)
    written = [path.read_bytes() for path in files_below(basemount)]
    for line in us.material:
        assert line not in listen.log
        assert not any(line.encode() in content for content in written)


def test_many_images_at_once(
    basemount: Path, tmp_path: Path, ours: list[str], modality: Identity, authority: Authority
) -> None:
    sent = large_study().write(tmp_path / "sent")
    with PxListen(basemount, *ours) as listen:
        taken, said = _send(listen.port, sent, modality, authority)
        assert taken == sent, said[-2000:]
        listen.wait_until_packed(len(sent))
    assert len(instances_in(basemount)) == len(sent)


@pytest.mark.parametrize(
    ("options", "aec", "words"),
    [
        (["--strictAET"], "OTHER", "called AE title not recognised"),
        (["--allow", "ORTHANC"], "CHRISLOCAL", "calling AE title not allowed"),
        (["--allow", "MODALITY@192.0.2.7"], "CHRISLOCAL", "calling AE title not allowed"),
        (["--minFree", "1000000T"], "CHRISLOCAL", "too little free space"),
    ],
)
def test_ae_titles_and_space_are_looked_at_inside(
    basemount: Path,
    files: list[Path],
    ours: list[str],
    modality: Identity,
    authority: Authority,
    options: list[str],
    aec: str,
    words: str,
) -> None:
    with PxListen(basemount, *ours, *options) as listen:
        taken, said = _send(listen.port, files[:1], modality, authority, aec)
        assert not taken
        assert "Association Rejected" in said
        assert words in listen.wait_for("was refused")
        assert listen.status()["associations"] == 0
    assert not instances_in(basemount)


@pytest.mark.parametrize("kind", ["stranger", "expired"])
def test_a_peer_that_nobody_knows(
    basemount: Path,
    files: list[Path],
    ours: list[str],
    authority: Authority,
    stranger: Authority,
    tmp_path: Path,
    kind: str,
) -> None:
    issuer, days, words = {
        "stranger": (stranger, 30, "is not trusted"),
        "expired": (authority, -1, "is out of date"),
    }[kind]
    with PxListen(basemount, *ours) as listen:
        shown = issuer.issue(f"{kind}-{tmp_path.name}", days=days)
        assert not _send(listen.port, files[:1], shown, authority)[0]
        assert f"The certificate of the peer {words}".lower() in listen.wait_for("was refused").lower()
        until(lambda: listen.status()["refused"] == 1)


def test_a_peer_that_shows_no_certificate(
    basemount: Path, ours: list[str], authority: Authority, tmp_path: Path
) -> None:
    def echo(port: int) -> int:
        asked = ("px-echo", f"{HOST}:CHRISLOCAL:{port}", *authority.options)
        return run_tool(*asked).status

    with PxListen(basemount, *ours) as listen:
        assert echo(listen.port) == 1
        assert "shows no certificate" in listen.wait_for("was refused")
    with PxListen(basemount, *ours[:4], "--tlsPeer", "ignore") as listen:
        assert echo(listen.port) == 0


def test_a_peer_that_does_not_trust_us(
    basemount: Path, files: list[Path], ours: list[str], modality: Identity, stranger: Authority
) -> None:
    with PxListen(basemount, *ours) as listen:
        assert not _send(listen.port, files[:1], modality, stranger)[0]
        assert "does not accept our certificate" in listen.wait_for("was refused")


def test_a_peer_without_tls(basemount: Path, files: list[Path], ours: list[str]) -> None:
    with PxListen(basemount, *ours) as listen:
        taken, said = send(listen.port, files[:1])
        assert not taken
        assert "Association Rejected" in said
        assert "MODALITY@127.0.0.1 was refused: the peer speaks DICOM without TLS" in listen.wait_for(
            "refused"
        )
        with socket.create_connection((HOST, listen.port)) as browser:
            browser.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert "the peer speaks HTTP" in listen.wait_for("HTTP")


def test_a_peer_with_tls_where_there_is_none(
    basemount: Path, files: list[Path], modality: Identity, authority: Authority
) -> None:
    with PxListen(basemount) as listen:
        assert not _send(listen.port, files[:1], modality, authority)[0]
        assert "the peer speaks TLS, and this port does not" in listen.wait_for("was refused")


def test_peers_that_say_nothing_keep_nobody_out(
    basemount: Path, files: list[Path], ours: list[str], modality: Identity, authority: Authority
) -> None:
    with PxListen(basemount, *ours) as listen:
        silent = [socket.create_connection((HOST, listen.port)) for _ in range(20)]
        for number, connection in enumerate(silent):
            # Nothing at all, and the beginning of a handshake.
            connection.sendall(b"\x16\x03\x01\x02" if number % 2 else b"")
        assert _send(listen.port, files, modality, authority)[0] == files
        listen.wait_until_packed(len(files))
        for connection in silent:
            connection.close()


def test_peers_that_go_at_once(
    basemount: Path, files: list[Path], ours: list[str], modality: Identity, authority: Authority
) -> None:
    with PxListen(basemount, *ours) as listen:
        for _ in range(50):
            with socket.create_connection((HOST, listen.port)) as connection:
                connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                # Closing it resets it: there is nobody any more whom to tell anything.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert _send(listen.port, files[:1], modality, authority)[0] == files[:1]
        assert listen.status()["failed"] == 0
    assert "InternalError" not in listen.log


def _connected(listen: PxListen, identity: Identity, trusted: Authority) -> ssl.SSLSocket:
    """A peer that has agreed on TLS, and says nothing yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(trusted.certificate)
    context.load_cert_chain(identity.certificate, identity.key)
    return context.wrap_socket(socket.create_connection((HOST, listen.port)))


def test_something_else_than_dicom_within_tls(
    basemount: Path, ours: list[str], modality: Identity, authority: Authority
) -> None:
    with PxListen(basemount, *ours) as listen, _connected(listen, modality, authority) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert "the peer speaks HTTP" in listen.wait_for("was refused")


def test_an_association_that_is_cut_loses_nothing_that_was_acknowledged(
    basemount: Path, tmp_path: Path, ours: list[str], modality: Identity, authority: Authority
) -> None:
    sent = large_study().write(tmp_path / "sent")
    with PxListen(basemount, *ours) as listen:
        sender = subprocess.Popen(
            [
                *(require("storescu", "dcmtk"), "-v", "-R", "-aec", "CHRISLOCAL"),
                *(*modality.dcmtk_options, "+cf", str(authority.certificate)),
                *(HOST, str(listen.port), *map(str, sent)),
            ],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until(lambda: listen.status()["received"] > 0)
        sender.kill()
        taken = acknowledged(sender.communicate()[0])
        until(lambda: listen.status()["open"] == 0)
        listen.wait_until_packed(len(taken))
    assert taken
    assert len(instances_in(basemount)) >= len(taken)
    assert_nothing_pending(basemount)


def test_it_ends_while_a_peer_says_nothing(
    basemount: Path, ours: list[str], modality: Identity, authority: Authority
) -> None:
    with PxListen(basemount, *ours) as listen, _connected(listen, modality, authority):
        assert listen.stop(seconds=40) == 0


def test_a_certificate_is_renewed_while_it_runs(
    basemount: Path, files: list[Path], modality: Identity, authority: Authority, tmp_path: Path
) -> None:
    old, new = authority.issue("old", days=-1), authority.issue("new")
    used = Identity(tmp_path / "used.key", tmp_path / "used.pem")
    _copy(old, used)
    with PxListen(basemount, *used.options, *authority.options) as listen:
        assert not _send(listen.port, files[:1], modality, authority)[0]
        _copy(new, used)
        assert _send(listen.port, files[:1], modality, authority)[0] == files[:1]
        used.key.write_text("broken")
        assert not _send(listen.port, files[:1], modality, authority)[0]
        assert "no certificate and private key" in listen.wait_for("PEM")


def _copy(identity: Identity, to: Identity) -> None:
    shutil.copy(identity.key, to.key)
    shutil.copy(identity.certificate, to.certificate)


@pytest.mark.parametrize(
    ("left_out", "words"), [("--tlsKey", "--tlsCertificate"), ("--tlsCA", "--tlsPeer ignore")]
)
def test_what_it_needs(basemount: Path, ours: list[str], left_out: str, words: str) -> None:
    place = ours.index(left_out)
    ran = run_tool("px-listen", "--db", basemount / "log", *ours[:place], *ours[place + 2 :])
    assert ran.status == 2
    assert words in ran.stderr
