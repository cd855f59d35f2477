"""px-listen against senders that break rules: images get a name of ours, or are quarantined, or refused."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from pydicom import Dataset

from demo.studies import Study
from listener import PxListen, send, until
from packed import assert_catalogue_is_exact
from servers import hostile_pdus as pdus
from servers.hostile_messages import Store, encoded
from servers.hostile_pdus import Identity
from servers.hostile_peer import SERVICES, Sender
from servers.hostile_wire import Fault, Gone, Misdeed
from trees import assert_nothing_pending, assert_quarantine_says_why, files_below, instances_in

(IMAGE,) = Study("SENDER-1").series(1).datasets()
GOOD = Store.of(IMAGE)

#: PDUs that a well-behaved sender sends for two images: request, commands and data sets, release.
_PDUS = 6

_TEXT = "\x1b]52;c;cHduZWQ=\x07\x1b[2J\u202e\x9b1m"

_DEEP_ITEM = b"\xfe\xff\0\xe0\xff\xff\xff\xff\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"

_Change: TypeAlias = Callable[[Store], Store]


def _with(**values: str) -> _Change:
    """Other values in the data set; the command stays."""
    other: Dataset = copy.deepcopy(IMAGE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.update(values)
    return lambda image: replace(image, data=encoded(other))


def _data(change: Callable[[bytes], bytes]) -> _Change:
    return lambda image: replace(image, data=change(image.data))


_STORED: dict[str, _Change] = {
    "another UID in the command": lambda image: replace(image, sop_uid=b"1.2.3"),
    "a path in the command": lambda image: replace(image, sop_uid=b"../../../../x"),
    "a text for a terminal in the command": lambda image: replace(image, sop_uid=b"\x1b[2J\n1\x07"),
    "another SOP class in the command": lambda image: replace(image, sop_class=SERVICES[1]),
    "patients that are paths": _with(
        PatientID="../../../x", PatientName="/etc/passwd", StudyDescription=".."
    ),
    "texts for a terminal": _with(PatientID=_TEXT, PatientName=_TEXT, SeriesDescription=_TEXT),
    "a name of a megabyte": _with(PatientName="x" * 60_000, StudyDescription="y" * 60_000),
    "fragments of two bytes": lambda image: replace(image, largest=2),
}

_QUARANTINED: dict[str, _Change] = {
    "no study": _with(StudyInstanceUID=""),
    "no series": _with(SeriesInstanceUID=""),
    "no instance": _with(SOPInstanceUID=""),
    "a study that is a path": _with(StudyInstanceUID="../../x"),
    "a series of letters": _with(SeriesInstanceUID="one.two"),
    "an instance of 65 digits": _with(SOPInstanceUID="1" * 65),
    "two UIDs": _with(SOPInstanceUID="1.2\\1.3"),
    "cut pixels": _data(lambda data: data[:-100]),
    "a length beyond the end": _data(lambda data: data + b"\xfc\xff\xfc\xffOB\0\0\xff\xff\xff\x7f"),
    "nothing": _data(lambda _: b""),
    "something else": _data(lambda _: b"<html>" * 100),
    "sequences without end": _data(
        lambda data: data[:500] + b"\x40\0\x75\x02SQ\0\0\xff\xff\xff\xff" + _DEEP_ITEM * 10_000
    ),
    "another transfer syntax": _data(lambda data: data[: len(data) // 2][::-1]),
}

_REFUSED: dict[str, _Change] = {
    "no UID in the command": lambda image: replace(image, lacks=(pdus.SOP_INSTANCE,)),
    "an empty UID in the command": lambda image: replace(image, sop_uid=b""),
    "a UID of 600 characters in the command": lambda image: replace(image, sop_uid=b"1." * 300),
    "no data set": lambda image: replace(image, changed={pdus.DATA_SET_TYPE: pdus.NO_DATA_SET}),
    "a response": lambda image: replace(image, changed={pdus.FIELD: 0x8001}),
    "a command that there is not": lambda image: replace(image, changed={pdus.FIELD: 0x7777}),
}


@pytest.fixture
def listen(basemount: Path) -> PxListen:
    with PxListen(basemount) as running:
        yield running


def _send(
    listen: PxListen, *images: Store, identity: Identity = pdus.PLAIN, fault: Fault | None = None
) -> list[int]:
    """Send images in one association; the statuses that came back until it ended."""
    statuses: list[int] = []
    with Sender(listen.port, SERVICES, identity, fault) as sender, suppress(Gone):
        sender.associate()
        for image in images:
            statuses.append(sender.store(image))
        sender.release()
    return statuses


def _assert_goes_on(listen: PxListen, tmp_path: Path) -> None:
    """It still receives, and nothing of what came is where it should not be."""
    (extra,) = Study("SENDER-GOOD").series(1).write(tmp_path / "good")
    assert send(listen.port, [extra])[0] == [extra]
    until(lambda: extra.stem in instances_in(listen.basemount))
    # An image has its place a moment before it is catalogued.
    listen.wait_until_packed(len(instances_in(listen.basemount)))
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("good", "basemount")] == []
    assert not [char for char in listen.log if not char.isprintable() and char != "\n"]
    assert_catalogue_is_exact(listen.basemount)


def test_what_can_be_stored(listen: PxListen, tmp_path: Path) -> None:
    for place, (what, change) in enumerate(_STORED.items(), 1):
        assert _send(listen, change(GOOD)) == [0], what
        listen.wait_until_packed(place)
    held = files_below(listen.basemount / "data")
    assert all(path.resolve().is_relative_to(listen.basemount / "data") for path in held)
    assert files_below(listen.basemount / "quarantine") == []
    assert_catalogue_is_exact(listen.basemount)


def test_what_cannot_be_stored_is_quarantined(listen: PxListen, tmp_path: Path) -> None:
    for place, (what, change) in enumerate(_QUARANTINED.items(), 1):
        assert _send(listen, change(GOOD)) == [0], what
        until(
            lambda place=place: len(files_below(listen.basemount / "quarantine")) == 2 * place,
            said=lambda w=what: w,
        )
    until(lambda: listen.status()["failed"] == len(_QUARANTINED))
    assert "in quarantine" in listen.status()["lastError"]
    assert files_below(listen.basemount / "data") == []
    assert_quarantine_says_why(listen.basemount)
    _assert_goes_on(listen, tmp_path)


def test_what_is_no_image_is_refused(listen: PxListen, tmp_path: Path) -> None:
    for what, change in _REFUSED.items():
        assert 0 not in _send(listen, change(GOOD)), what
    until(lambda: listen.status()["open"] == 0)
    assert files_below(listen.basemount / "data") == []
    until(lambda: listen.status()["lastError"])
    _assert_goes_on(listen, tmp_path)
    assert_nothing_pending(listen.basemount)


@pytest.mark.parametrize("misdeed", [Misdeed.ABORT, Misdeed.RESET, Misdeed.HALF, Misdeed.UNKNOWN])
def test_an_end_at_each_pdu(listen: PxListen, tmp_path: Path, misdeed: Misdeed) -> None:
    """What was acknowledged is kept, and each association ends."""
    acknowledged = 0
    for at in range(_PDUS):
        images = [
            Store.of(one) for one in Study(f"SENDER-{misdeed.name}-{at}").series(1, instances=2).datasets()
        ]
        acknowledged += len(_send(listen, *images, fault=Fault(misdeed, at)))
    assert acknowledged == 4
    until(lambda: listen.status()["open"] == 0)
    until(lambda: len(instances_in(listen.basemount)) >= acknowledged)
    assert len(instances_in(listen.basemount)) == acknowledged
    assert_quarantine_says_why(listen.basemount)
    _assert_goes_on(listen, tmp_path)


def test_peers_that_drip_hold_nobody_up(listen: PxListen, tmp_path: Path) -> None:
    with Sender(listen.port, SERVICES) as silent, Sender(listen.port, SERVICES) as begun:
        silent.associate()
        begun.associate()
        begun.connection.send(*list(GOOD.pdus(1, 1))[:1])
        _assert_goes_on(listen, tmp_path)
        until(lambda: listen.status()["open"] == 2)


@pytest.mark.parametrize(
    "identity",
    [
        Identity(_TEXT.encode()[:32].ljust(32)),
        Identity(version=_TEXT.encode()[:16]),
        Identity(implementation=_TEXT.encode()),
    ],
)
def test_how_a_sender_calls_itself(listen: PxListen, tmp_path: Path, identity: Identity) -> None:
    _send(listen, GOOD, identity=identity)
    until(lambda: listen.status()["open"] == 0)
    _assert_goes_on(listen, tmp_path)
    assert listen.status()["lastError"].isprintable()
