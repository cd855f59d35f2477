"""px-listen in trouble: peers that send nonsense or go away, disks that are full, directories that vanish."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import CTImageStorage

import mounts
from datasets import large_study, plain_study
from demo.server import HOST
from demo.studies import Study
from listener import PxListen, send, start_sending, status, until
from packed import assert_catalogue_is_exact, instances, quarantine, repack
from servers.peers import Wire
from tools import run_tool
from trees import (
    assert_holds,
    assert_holds_part_of,
    assert_nothing_pending,
    assert_quarantine_says_why,
    files_below,
    instances_in,
)

_TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(500)
_HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: scan\r\n\r\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return plain_study().write(tmp_path / "sent")


@contextmanager
def _association(port: int) -> Iterator[Association]:
    entity = AE("MODALITY")
    entity.add_requested_context(CTImageStorage)
    association = entity.associate(HOST, port, ae_title="CHRISLOCAL")
    assert association.is_established
    try:
        yield association
    finally:
        association.abort()


def _ct_images(directory: Path, instances: int = 10, size: int = 16) -> list[Path]:
    return Study("CT-1", size=size).series(1, instances=instances).write(directory)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (_HTTP, "speaks HTTP"),
        (b"GET /", "speaks HTTP"),
        (_TLS_HELLO, "speaks TLS"),
        (b"\x02" + os.urandom(4096), "not DICOM"),
        (b"\0", "not DICOM"),
        (b"\x01" + bytes(41), "not DICOM"),
        (b"\x01" * 100_000, "not DICOM"),
        (b"\x01\0\xff\xff\xff\xff\0\x01" + bytes(1000), "not DICOM"),
        (b"\x04\0\0\0\0\x04" + bytes(100), "not DICOM"),
    ],
)
def test_what_is_not_dicom_is_told_apart(basemount: Path, files: list[Path], sent: bytes, words: str) -> None:
    with PxListen(basemount) as listen:
        with socket.create_connection((HOST, listen.port)) as peer:
            peer.settimeout(60)
            # It need not hear all of it.
            with suppress(ConnectionError):
                peer.sendall(sent)
            assert _read_to_end(peer) == b""
        assert words in listen.wait_for("was refused: ")
        until(lambda: listen.status()["refused"] == 1)
        assert send(listen.port, files[:1])[0] == files[:1]


def _read_to_end(peer: socket.socket) -> bytes:
    try:
        return peer.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_look_at_the_port_is_nothing_to_tell(basemount: Path) -> None:
    with PxListen(basemount) as listen:
        for _ in range(20):
            socket.create_connection((HOST, listen.port)).close()
        time.sleep(0.5)
        told = listen.status()
        assert (told["refused"], told["associations"], told["lastError"]) == (0, 0, "")


@pytest.mark.parametrize("length", [0, 4, 100])
def test_peers_that_say_nothing_hold_nobody_up(basemount: Path, files: list[Path], length: int) -> None:
    """Nothing, or not all of a request for an association."""
    said = _association_request(files[0])[:length]
    with PxListen(basemount) as listen, ExitStack() as silent:
        for _ in range(400):
            peer = silent.enter_context(socket.create_connection((HOST, listen.port)))
            peer.sendall(said)
        assert send(listen.port, files)[0] == files
        proc = Path(f"/proc/{listen.running.process.pid}")
        assert len(list((proc / "fd").iterdir())) < 300
        assert len(list((proc / "task").iterdir())) < 10


def test_peers_that_are_refused_hold_nobody_up(basemount: Path, files: list[Path]) -> None:
    """They do not close their connections."""
    request = _association_request(files[0])
    with PxListen(basemount, "--allow", "FRIEND") as listen, ExitStack() as refused:
        for _ in range(200):
            peer = refused.enter_context(socket.create_connection((HOST, listen.port)))
            peer.sendall(request)
            assert peer.recv(1) == b"\x03"
            if len(refused._exit_callbacks) == 64:
                assert send(listen.port, files, "FRIEND")[0] == files
        assert send(listen.port, files, "FRIEND")[0] == files
        assert len(list(Path(f"/proc/{listen.running.process.pid}/task").iterdir())) < 100


def test_a_request_in_pieces(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        request = _association_request(files[0])
        with socket.create_connection((HOST, listen.port)) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for place in range(0, len(request), 30):
                peer.sendall(request[place : place + 30])
                time.sleep(0.05)
            peer.settimeout(60)
            assert peer.recv(1) == b"\x02"


def _association_request(file: Path) -> bytes:
    """What a real peer says first."""
    with socket.create_server((HOST, 0)) as server:
        sender = start_sending(server.getsockname()[1], [file])
        server.settimeout(60)
        connection, _ = server.accept()
        with connection:
            request = connection.recv(65536)
            while len(request) < 6 + int.from_bytes(request[2:6]):
                request += connection.recv(65536)
    sender.communicate(timeout=400)
    return request


@pytest.mark.parametrize("after", [500, 60_000, 200_000])
def test_a_peer_that_goes_away_in_the_middle_of_an_image(basemount: Path, tmp_path: Path, after: int) -> None:
    sent = _ct_images(tmp_path / "sent", size=256)
    with PxListen(basemount) as listen:
        with Wire(listen.port, cut_after=after, cuts_requests=True) as wire:
            taken, _ = send(wire.port, sent)
        assert len(taken) < len(sent)
        until(lambda: listen.status()["open"] == 0)
        assert send(listen.port, sent)[0] == sent
    assert_holds(basemount, sent)
    assert_nothing_pending(basemount)
    assert_quarantine_says_why(basemount)
    assert_catalogue_is_exact(basemount)


def test_a_peer_that_aborts_is_told(basemount: Path, tmp_path: Path) -> None:
    with PxListen(basemount) as listen:
        with _association(listen.port) as association:
            assert association.send_c_store(dcmread(_ct_images(tmp_path / "sent")[0])).Status == 0
        until(lambda: listen.status()["open"] == 0)
        until(lambda: listen.status()["received"] == 1)


def test_a_crash_costs_one_association(basemount: Path, tmp_path: Path) -> None:
    first, second = (dcmread(path) for path in _ct_images(tmp_path / "sent")[:2])
    with PxListen(basemount) as listen:
        with _association(listen.port) as one:
            assert one.send_c_store(first).Status == 0
            (victim,) = listen.running.left()
            with _association(listen.port) as other:
                os.kill(victim, signal.SIGSEGV)
                until(lambda: not one.is_established)
                assert other.send_c_store(second).Status == 0
        assert "signal 11" in listen.wait_for("signal")
        assert status(basemount).status == 0
    assert len(instances_in(basemount)) == 2


@pytest.mark.parametrize("what", ["incoming", "incoming/*", "moved"])
def test_the_incoming_directory_goes_under_our_feet(basemount: Path, tmp_path: Path, what: str) -> None:
    sent = _ct_images(tmp_path / "sent")
    with PxListen(basemount) as listen, _association(listen.port) as association:
        assert association.send_c_store(dcmread(sent[0])).Status == 0
        until(lambda: len(instances_in(basemount)) == 1)
        if what == "moved":
            (basemount / "incoming").rename(basemount / "elsewhere")
        else:
            for path in (
                [basemount / "incoming"] if what == "incoming" else list((basemount / "incoming").iterdir())
            ):
                # px-listen takes files away and makes directories meanwhile.
                shutil.rmtree(path, ignore_errors=True)
        assert "made again" in listen.wait_for("made again")
        # Over the association that was open all the time, and over another.
        assert association.send_c_store(dcmread(sent[1])).Status == 0
        assert send(listen.port, sent[2:])[0] == sent[2:]
        listen.wait_until_packed(len(sent))
    assert_holds(basemount, sent)
    assert_nothing_pending(basemount)


def test_data_that_is_removed_is_made_again(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        shutil.rmtree(basemount / "data")
        shutil.rmtree(basemount / "quarantine")
        assert send(listen.port, files)[0] == files
        listen.wait_until_packed(len(files))
    assert_holds(basemount, files)


@pytest.mark.parametrize("what", ["a file", "a link that leads nowhere"])
def test_what_is_in_the_way_of_one_patient_holds_up_no_other(
    basemount: Path, tmp_path: Path, what: str
) -> None:
    """It is where the directory of a patient was, as when a disk is not mounted."""
    first, second, other = (
        Study(patient, study).series(1, 2).write(tmp_path / study)
        for patient, study in (("ONE", "first"), ("ONE", "second"), ("TWO", "other"))
    )
    repack(basemount, "-p", first[0].parent)
    (place,) = (basemount / "data").iterdir()
    aside = place.rename(tmp_path / "aside")
    if what == "a file":
        place.write_text("")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with PxListen(basemount) as listen:
        assert send(listen.port, [*second, *other])[0] == [*second, *other]
        assert "Not a directory" in listen.wait_for("cannot be used")
        listen.wait_until_packed(2)
        until(lambda: listen.status()["waiting"] == 2)
        # The end says that not all is done.
        assert listen.stop() == 1
        listen.running.process.returncode = 1
    place.unlink()
    aside.rename(place)
    with PxListen(basemount) as listen:
        until(lambda: len(instances_in(basemount)) == 6)
        assert listen.status()["waiting"] == 0
    assert_holds(basemount, [*first, *second, *other])
    assert_nothing_pending(basemount)


def test_a_link_that_leads_nowhere_has_the_name_of_an_image(basemount: Path, tmp_path: Path) -> None:
    (image,) = _ct_images(tmp_path / "sent", instances=1)
    repack(basemount, "--xcrdirfile", image)
    (place,) = files_below(basemount / "data")
    place.unlink()
    place.symlink_to(tmp_path / "nowhere")
    with PxListen(basemount) as listen:
        assert send(listen.port, [image])[0] == [image]
        listen.wait_until_packed(1)
    place.unlink()
    assert_holds(basemount, [image])


def test_a_damaged_image_that_cannot_be_quarantined_holds_up_no_other(
    basemount: Path, tmp_path: Path
) -> None:
    sent = _ct_images(tmp_path / "sent")
    damaged = dcmread(sent[0])
    damaged.PixelData = damaged.PixelData[:100]
    damaged.save_as(tmp_path / "damaged")
    with PxListen(basemount, inside=mounts.inside("true")) as listen:
        mounts.change(listen.running.process.pid, mounts.read_only(basemount / "quarantine"))
        assert send(listen.port, [tmp_path / "damaged", *sent[1:]])[0] == [tmp_path / "damaged", *sent[1:]]
        assert "Read-only" in listen.wait_for("quarantine cannot be used")
        listen.wait_until_packed(9)
        assert listen.status()["waiting"] == 1
        assert listen.stop() == 1
        listen.running.process.returncode = 1
    assert_holds(basemount, sent[1:])
    with PxListen(basemount):
        until(lambda: quarantine(basemount))


@pytest.mark.parametrize("what", ["the catalogue", "log", "log, moved"])
def test_the_catalogue_goes_under_our_feet(basemount: Path, files: list[Path], what: str) -> None:
    with PxListen(basemount) as listen:
        assert send(listen.port, files[:5])[0] == files[:5]
        listen.wait_until_packed(5)
        if what == "the catalogue":
            for file in (basemount / "log").glob("smdb.sqlite*"):
                file.unlink()
        elif what == "log":
            shutil.rmtree(basemount / "log")
        else:
            (basemount / "log").rename(basemount / "log.before")
        assert send(listen.port, files[5:])[0] == files[5:]
        assert "px-smdb --action check --repair" in listen.wait_for("removed or replaced")
        until(lambda: len(instances_in(basemount)) == len(files))
        until(lambda: status(basemount).status == 0)
        listen.wait_until_packed(len(files))
    # What came afterwards is known.
    assert len(instances(basemount)) == len(files) - 5
    run_tool("px-smdb", "--db", basemount / "log", "--action", "check", "--repair")
    assert_catalogue_is_exact(basemount)
    assert_holds(basemount, files)


def test_a_catalogue_that_is_locked_for_a_while(basemount: Path, files: list[Path]) -> None:
    import sqlite3

    with PxListen(basemount) as listen:
        assert send(listen.port, files[:5])[0] == files[:5]
        listen.wait_until_packed(5)
        other = sqlite3.connect(basemount / "log" / "smdb.sqlite", isolation_level=None)
        other.execute("begin immediate")
        assert send(listen.port, files[5:])[0] == files[5:]
        time.sleep(2)
        assert len(instances_in(basemount)) <= len(files)
        other.execute("rollback")
        other.close()
        listen.wait_until_packed(len(files))
    assert_holds(basemount, files)
    assert_catalogue_is_exact(basemount)


def test_a_catalogue_that_is_damaged_keeps_what_arrives(basemount: Path, files: list[Path]) -> None:
    (basemount / "log").mkdir(parents=True)
    (basemount / "log" / "smdb.sqlite").write_text("this is not a database, whatever its name says" * 100)
    with PxListen(basemount) as listen:
        assert send(listen.port, files)[0] == files
        listen.wait_for("smdb.sqlite")
        until(lambda: listen.status()["waiting"] == len(files))
        # The end says that not all is done.
        assert listen.stop() == 1
        assert listen.log.count("smdb.sqlite cannot be read") <= 2
        listen.running.process.returncode = 1
    (basemount / "log" / "smdb.sqlite").unlink()
    with PxListen(basemount):
        until(lambda: len(instances_in(basemount)) == len(files))
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)


_MEGABYTE = 1 << 20


@contextmanager
def _on_small_disk(basemount: Path, megabytes: int, *options: str) -> Iterator[tuple[PxListen, Path]]:
    """A px-listen whose BASEMOUNT is a filesystem of this size, and where that is seen from here."""
    inside = mounts.inside(mounts.small(basemount, f"{megabytes}m"))
    with PxListen(basemount, *options, inside=inside) as listen:
        seen = Path(f"/proc/{listen.running.process.pid}/root{basemount}")
        listen.basemount = seen
        yield listen, seen


def _sends_the_rest(listen: PxListen, sent: list[Path], taken: list[Path]) -> bool:
    """Go on as a sender does, who keeps what was not acknowledged; whether all of it is."""
    taken += send(listen.port, sent[len(taken) :])[0]
    return taken == sent


@pytest.mark.parametrize(
    ("size", "count", "room", "ballast_size", "least"), [(16, 3000, 40, 24, 12), (512, 70, 56, 24, 12)]
)
def test_a_disk_that_fills_up_while_images_arrive(
    basemount: Path, tmp_path: Path, size: int, count: int, room: int, ballast_size: int, least: int
) -> None:
    sent = large_study(series=1, instances=1).write(tmp_path / "first")
    sent += _ct_images(tmp_path / "sent", instances=count, size=size)
    with _on_small_disk(basemount, room, "--minFree", f"{least}M") as (listen, seen):
        ballast = seen / "ballast"
        ballast.write_bytes(bytes(ballast_size * _MEGABYTE))
        taken: list[Path] = []
        said = ""
        while "Local Limit Exceeded" not in said and "Temporary Congestion" not in said:
            new, said = send(listen.port, sent[len(taken) :])
            taken += new
            assert len(taken) < len(sent), "the disk did not fill up"
        assert "free" in listen.wait_for("bytes are free|too little free space")
        assert status(seen).status == 0
        assert taken
        assert_holds_part_of(seen, sent)
        ballast.unlink()
        listen.wait_until_packed(len(taken))
        assert set(instances_in(seen)) >= {dcmread(path).SOPInstanceUID for path in taken}
        until(lambda: _sends_the_rest(listen, sent, taken), 60)
        listen.wait_until_packed(len(sent))
        assert_holds(seen, sent)


def test_a_disk_that_is_full_to_the_last_byte(basemount: Path, tmp_path: Path) -> None:
    """Somebody else fills it: the peer is refused image by image, or the association is ended."""
    sent = _ct_images(tmp_path / "sent", instances=20, size=512)
    with (
        _on_small_disk(basemount, 24, "--minFree", "4M") as (listen, seen),
        _association(listen.port) as peer,
    ):
        assert peer.send_c_store(dcmread(sent[0])).Status == 0
        listen.wait_until_packed(1)
        _fill(seen / "ballast")
        second = dcmread(sent[1])
        try:
            answer = peer.send_c_store(second)
        except RuntimeError:
            pass  # the association has been ended
        else:
            assert answer.get("Status", 0xA700) != 0
        assert status(seen).status == 0
        (seen / "ballast").unlink()
        until(lambda: len(send(listen.port, sent[1:])[0]) == 19)
        listen.wait_until_packed(20)
        assert_holds(seen, sent)


def test_what_is_placed_before_data_is_full_is_counted(basemount: Path, tmp_path: Path) -> None:
    """The disk of data/ fills up in the middle of a batch, and images wait on another one."""
    sent = _ct_images(tmp_path / "sent", instances=80, size=64)
    disk = tmp_path / "disk"
    inside = mounts.inside(mounts.small(disk, "400k"))
    options = ("--datadir", disk / "data", "--minFree", 0, "--quiet", 0.5)
    with PxListen(basemount, *options, inside=inside) as listen:
        assert send(listen.port, sent)[0] == sent
        listen.wait_for("No space left|is full")
        seen = Path(f"/proc/{listen.running.process.pid}/root{disk}/data")
        placed = len(files_below(seen))
        assert 0 < placed < len(sent)
        until(lambda: listen.status()["received"] == placed)
        mounts.change(listen.running.process.pid, mounts.resized(disk, "8m"))
        listen.wait_until_packed(len(sent))
        assert listen.status()["received"] == len(files_below(seen)) == len(sent)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017


def test_nothing_of_a_peer_s_title_reaches_the_terminal(basemount: Path) -> None:
    with PxListen(basemount, "--strictAET") as listen:
        with socket.create_connection((HOST, listen.port)) as peer:
            peer.sendall(
                b"\x01\0\0\0\0\xc8\0\x01\0\0"
                + b"\x1b]0;pwned\x07".ljust(16)
                + b"\x1b[31mred\n".ljust(16)
                + bytes(200)
            )
            peer.settimeout(60)
            assert peer.recv(10)[:1] == b"\x03"
        line = listen.wait_for("was refused")
        assert "\x1b" not in line
        assert "\x07" not in line


def test_more_associations_than_at_a_time(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen, ExitStack() as open_ones:
        request = _association_request(files[0])
        for _ in range(64):
            peer = open_ones.enter_context(socket.create_connection((HOST, listen.port)))
            peer.sendall(request)
            assert peer.recv(1) == b"\x02"
        taken, said = send(listen.port, files[:1])
        assert not taken
        assert "Local Limit Exceeded" in said or "Temporary Congestion" in said
        assert "too many associations" in listen.wait_for("was refused")
        open_ones.close()
        until(lambda: send(listen.port, files[:1])[0])


def test_files_that_the_kernel_said_nothing_of(basemount: Path, tmp_path: Path) -> None:
    """More events than the kernel keeps: those that are left out are found by looking."""
    from pypx.actions.receiving.arrivals import Arrivals
    from pypx.basemount.incoming import IncomingDirectory

    with IncomingDirectory.claim(tmp_path, "listen") as incoming:
        arrivals = Arrivals(incoming)
        assert list(arrivals.sweep()) == []
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        for number in range(most + 100):
            (incoming.path / str(number)).touch()
        being_written = (incoming.path / "being-written").open("w")
        heard: set[Path] = set()
        while more := arrivals.wait(0.1):
            heard |= set(more)
        assert len(heard) < most + 100
        assert arrivals.missed
        assert {path.name for path in arrivals.sweep()} == {str(number) for number in range(most + 100)}
        assert not arrivals.missed
        being_written.close()
        assert [path.name for path in arrivals.wait(1.0)] == ["being-written"]
        arrivals.close()
        for path in incoming.files():
            path.unlink()


def test_what_a_dead_one_left_is_taken_up(basemount: Path, files: list[Path]) -> None:
    left = basemount / "incoming" / "listen-0123456789abcdef"
    left.mkdir(parents=True)
    for path in files:
        shutil.copy(path, left)
    with PxListen(basemount):
        until(lambda: len(instances_in(basemount)) == len(files))
        until(lambda: not left.exists())
    assert_holds(basemount, files)
    assert files_below(basemount / "incoming") == []


def test_its_programs_end_with_it(basemount: Path) -> None:
    with PxListen(basemount) as listen, _association(listen.port):
        assert subprocess.run(
            ["pgrep", "-P", str(listen.running.process.pid)], check=False, capture_output=True
        ).stdout
        listen.kill()
