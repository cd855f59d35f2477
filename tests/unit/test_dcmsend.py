"""dcmsend's command line, and what is read from its output."""

from __future__ import annotations

import pytest

from pypx.dcmtk.dcmsend import Reader, Sent, _Broken, argv
from pypx.dicom.node import Node

NODE = Node("192.0.2.1", 104, "ARCHIVE", "MYSELF")


def _response(status: str) -> list[str]:
    return [
        "I: Received C-STORE Response",
        "D: ===================== INCOMING DIMSE MESSAGE ====================",
        "D: Message Type                  : C-STORE RSP",
        "D: Affected SOP Instance UID     : 1.2.3",
        f"D: DIMSE Status                  : {status}",
        "D: ======================= END DIMSE MESSAGE =======================",
    ]


def _sending(name: str) -> list[str]:
    return [
        f"D: sending SOP instance from file: {name}",
        "I: Sending C-STORE Request",
        "D: ===================== OUTGOING DIMSE MESSAGE ====================",
        "D: ======================= END DIMSE MESSAGE =======================",
    ]


def _read(*lines: str) -> tuple[dict[str, Sent], int]:
    stored = 0

    def count() -> None:
        nonlocal stored
        stored += 1

    reader = Reader(count)
    for line in lines:
        reader.take(line)
    return reader.sent, stored


def test_the_whole_command_line() -> None:
    assert argv("dcmsend", NODE, ["000000", "000001"], 60) == (
        *("dcmsend", "-d", "+f", "-dn", "-nh", "-nuc"),
        *("-aet", "MYSELF", "-aec", "ARCHIVE"),
        *("-to", "15", "-ta", "30", "-td", "60"),
        *("-pdu", "131072"),
        *("192.0.2.1", "104", "000000", "000001"),
    )


def test_what_may_be_decompressed() -> None:
    command = argv("dcmsend", NODE, ["000000"], 60, decompress=True)
    assert "+dls" in command
    assert "-dn" not in command


@pytest.mark.parametrize(
    ("said", "is_stored"),
    [
        ("0x0000: Success", True),
        ("0xb000: Warning: CoercionOfDataElements", True),
        ("0xb007: Warning: DataSetDoesNotMatchSOPClass", True),
        ("0xa700: Refused: OutOfResources", False),
        ("0xa900: Error: DataSetDoesNotMatchSOPClass", False),
        ("0xc123: Error: CannotUnderstand", False),
        ("0x0110: Failure: ProcessingFailure", False),
        ("nonsense", False),
    ],
)
def test_each_file_has_its_status(said: str, is_stored: bool) -> None:
    sent, stored = _read(*_sending("000007"), *_response(said))
    assert list(sent) == ["000007"]
    assert sent["000007"].is_stored is is_stored
    assert stored == is_stored


def test_several_files_and_one_in_a_form_that_is_not_accepted() -> None:
    refused = "E: Failed sending C-STORE request: 0006:0101 ASC Bad presentation context ID"
    sent, stored = _read(
        *_sending("000000"),
        *_response("0x0000: Success"),
        *_sending("000001"),
        refused,
        *_sending("000002"),
        *_response("0x0000: Success"),
    )
    assert [one.is_stored for one in sent.values()] == [True, False, True]
    assert [one.is_not_accepted for one in sent.values()] == [False, True, False]
    assert stored == 2


def test_a_file_that_it_takes_for_none() -> None:
    line = "W: bad DICOM file: 000003: I/O suspension or premature end of stream, ignoring file"
    sent, _ = _read(line)
    assert sent["000003"].fault == "I/O suspension or premature end of stream"
    assert not sent["000003"].is_not_accepted


@pytest.mark.parametrize(
    "line",
    [
        "E: Failed receiving DIMSE response: 0006:0317 Peer aborted Association (or never connected)",
        "E: Failed receiving DIMSE response: 0006:0207 DIMSE No data available (timeout in …)",
        "E: Failed sending C-STORE request: 0006:020e DIMSE Failed to send message",
    ],
)
def test_an_association_that_is_gone_ends_it(line: str) -> None:
    with pytest.raises(_Broken):
        _read(*_sending("000000"), line)


def test_statuses_of_other_messages_are_not_taken_for_its() -> None:
    sent, _ = _read("D: DIMSE Status                  : 0x0000: Success", *_sending("000000"))
    assert sent == {}
