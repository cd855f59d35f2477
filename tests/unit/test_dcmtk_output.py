"""What is read from the output of DCMTK's programs; the lines are those of release 3.6.7."""

import pytest

from pypx.dcmtk import association, dimse, echoscu, getscu, movescu, storescp
from pypx.dcmtk.dimse import Transfer
from pypx.dcmtk.process import Ended
from pypx.dicom.node import Node
from pypx.dicom.status import Status
from pypx.errors import (
    AssociationRejected,
    BinaryFailed,
    CalledTitleUnknown,
    CallingTitleUnknown,
    ConnectionLost,
    ConnectionRefused,
    HostUnknown,
    PeerTimeout,
    PortInUse,
    PypxError,
    RequestFailed,
    ServiceNotOffered,
)

NODE = Node("pacs.example.org", 4242, "ORTHANC", "CHRISLOCAL")


def ended(*lines: str, returncode: int = 1, silent: bool = False) -> Ended:
    complaints = tuple(line for line in lines if line[:2] in ("W:", "E:", "F:"))
    return Ended(returncode, lines, complaints, silent)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["F: Association Request Failed: 0006:031c TCP Initialization Error: Connection refused"],
         ConnectionRefused),
        (["F: Association Request Failed:", "F: 0006:031c TCP Initialization Error: No route to host"],
         ConnectionRefused),
        (["F: Association Request Failed:", "F: 0006:031c TCP Initialization Error: Connection timed out"],
         PeerTimeout),
        (["F: Could not negotiate association: Attempt to connect to unknown host: pacs.example.org"],
         HostUnknown),
        (["E: Association Request Failed: 0006:031a DUL network read timeout"], PeerTimeout),
        (["F: Could not negotiate association: DUL Association Rejected"], AssociationRejected),
        (
            [
                "F: Association Rejected:",
                "F: Result: Rejected Permanent, Source: Service User",
                "F: Reason: Called AE Title Not Recognized",
            ],
            CalledTitleUnknown,
        ),
        (
            [
                "E: Association Rejected:",
                "E: Result: Rejected Permanent, Source: Service User",
                "E: Reason: Calling AE Title Not Recognized",
            ],
            CallingTitleUnknown,
        ),
        (
            [
                "E: Association Rejected:",
                "E: Result: Rejected Transient, Source: Service Provider (Presentation)",
                "E: Reason: Local Limit Exceeded",
            ],
            AssociationRejected,
        ),
        (["E: 0006:020c DIMSE Read PDV failed", "E: 0006:0310 DUL network closed"], ConnectionLost),
        (["E: 0006:0315 Peer aborted Association (or never connected)"], ConnectionLost),
        (["E: No Acceptable Presentation Contexts"], ServiceNotOffered),
        (["F: cannot create network: 0006:031c TCP Initialization Error: Address already in use"], PortInUse),
    ],
)  # fmt: skip
def test_a_failure_has_its_kind(lines: list[str], kind: type[PypxError]) -> None:
    error = association.failure(NODE, ended("I: Requesting Association", *lines))
    assert type(error) is kind


def test_a_reason_without_a_kind_of_its_own_is_told() -> None:
    error = association.failure(NODE, ended("E: Association Rejected:", "E: Reason: Local Limit Exceeded"))
    assert error is not None
    assert "Local Limit Exceeded" in error.message


def test_silence_is_a_timeout() -> None:
    assert type(association.failure(NODE, ended("I: Requesting Association", silent=True))) is PeerTimeout


def test_a_crash_is_told_as_such() -> None:
    error = association.failure_or_unknown(NODE, ended("I: Releasing Association", returncode=-11))
    assert type(error) is BinaryFailed
    assert "signal 11" in error.message


def test_what_nobody_foresaw_is_told_in_the_programs_words() -> None:
    error = association.failure_or_unknown(NODE, ended("E: the moon is full", returncode=3))
    assert type(error) is BinaryFailed
    assert "the moon is full" in error.message


def test_echo_is_good_only_with_success() -> None:
    good = ended("I: Received Echo Response (Success)", returncode=0)
    bad = ended("I: Received Echo Response (Refused: SOPClassNotSupported)", returncode=0)
    assert echoscu.failure(NODE, good) is None
    assert type(echoscu.failure(NODE, bad)) is RequestFailed
    assert echoscu.failure(NODE, ended("I: Requesting Association", returncode=0)) is not None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Success", 0x0000),
        ("Refused: MoveDestinationUnknown", 0xA801),
        ("Failed: UnableToProcess", 0xC000),
        ("Warning: SubOperationsCompleteOneOrMoreFailures", 0xB000),
        ("Unknown Status: 0xa710", 0xA710),
        ("0xff00: Pending: Sub-operations are continuing", 0xFF00),
        ("0xc000: Failed: Unable to process", 0xC000),
        ("what nobody knows", 0xC000),
    ],
)
def test_status(text: str, code: int) -> None:
    assert dimse.status(text) == Status(code)


def test_a_status_is_told_in_words_and_as_a_number() -> None:
    assert str(Status(0xA702)) == "refused: the PACS is out of resources to send the images (0xA702)"
    assert str(Status(0xC123)) == "failed: the PACS was unable to process the request (0xC123)"
    assert "0x1234" in str(Status(0x1234))


GET_LOG = """\
I: Requesting Association
I: Association Accepted (Max Send PDV: 16372)
I: Sending C-GET Request (MsgID 1)
I: Received C-STORE Request (MsgID 1)
I: Sending C-STORE Response (Success)
I: Received C-GET Response (Pending)
I: Received C-STORE Request (MsgID 2)
I: Sending C-STORE Response (Success)
I: Received C-GET Response (Warning: SubOperationsCompleteOneOrMoreFailures)
I: Final status report from last C-GET message:
I:   Number of Remaining Suboperations : 0
I:   Number of Completed Suboperations : 2
I:   Number of Failed Suboperations    : 1
I:   Number of Warning Suboperations   : 0
I: Releasing Association
""".splitlines()


def read_get(lines: list[str]) -> tuple[int, Transfer]:
    stored = []
    reader = getscu.Reader(lambda: stored.append(1))
    for line in lines:
        reader.take(line)
    return len(stored), reader.transfer()


def test_get_counts_what_was_stored_and_what_failed() -> None:
    stored, transfer = read_get(GET_LOG)
    assert stored == 2
    assert transfer == Transfer(Status(0xB000), completed=2, failed=1, warning=0, remaining=0)
    assert not transfer.all_sent


@pytest.mark.parametrize("length", range(9))
def test_a_get_that_ends_early_has_no_status(length: int) -> None:
    assert read_get(GET_LOG[:length])[1].status is None


MOVE_LOG = """\
I: Sending Move Request
D: ===================== OUTGOING DIMSE MESSAGE ====================
D: Message Type                  : C-MOVE RQ
D: ======================= END DIMSE MESSAGE =======================
I: Received Move Response 1
D: Remaining Suboperations       : 1
D: Completed Suboperations       : 1
D: DIMSE Status                  : 0xff00: Pending: Sub-operations are continuing
D: ======================= END DIMSE MESSAGE =======================
I: Received Final Move Response
D: Message Type                  : C-MOVE RSP
D: Remaining Suboperations       : none
D: Completed Suboperations       : 1
D: Failed Suboperations          : 1
D: Warning Suboperations         : 0
D: DIMSE Status                  : 0xb000: Warning: Sub-operations complete - One or more failures or warnings
D: ======================= END DIMSE MESSAGE =======================
I: Releasing Association
""".splitlines()


def read_move(lines: list[str]) -> tuple[list[int], Transfer]:
    progress: list[int] = []
    reader = movescu.Reader(progress.append)
    for line in lines:
        reader.take(line)
    return progress, reader.transfer()


def test_move_tells_how_far_it_is_and_how_it_ended() -> None:
    progress, transfer = read_move(MOVE_LOG)
    assert progress == [1, 1]
    assert transfer == Transfer(Status(0xB000), completed=1, failed=1, warning=0, remaining=None)


@pytest.mark.parametrize("length", range(17))
def test_a_move_that_ends_early_has_no_status(length: int) -> None:
    assert read_move(MOVE_LOG[:length])[1].status is None


def test_what_storescp_says_of_an_association() -> None:
    lines = [
        "I: Association Received",
        "I: Received Store Request (MsgID 1, CT)",
        "I: Received Store Request (MsgID 2, CT)",
        "E: Store SCP Failed: 0006:020c DIMSE Read PDV failed",
        "I: Association Aborted",
    ]
    served = _served(lines)
    assert (served.images, served.released) == (2, False)
    assert served.problems == (("Store SCP Failed: 0006:020c DIMSE Read PDV failed", 1),)
    assert _served([*lines[:3], "I: Association Release"]) == storescp.Served(2, released=True)


def test_what_is_said_of_a_storescp_that_did_not_end_by_itself() -> None:
    assert _served([], Ended(-11, ())).problems == (("storescp was ended by signal 11", 1),)
    assert _served([], Ended(-15, (), silent=True)).problems == (
        ("it said nothing for too long, and was ended", 1),
    )
    assert _served([], Ended(-15, ())).problems == ()


def test_a_peer_that_makes_up_problems_fills_no_memory() -> None:
    assert len(_served([f"E: problem {number}" for number in range(1000)]).problems) == 5


def _served(lines: list[str], end: Ended | None = None) -> storescp.Served:
    reader = storescp.Reader()
    for line in lines:
        reader.take(line)
    return reader.served(end or Ended(0, ()))
