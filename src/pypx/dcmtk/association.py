"""What every SCU's command line and output have in common: the association, and how it fails."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pypx.dcmtk import tls
from pypx.dcmtk.process import Ended
from pypx.dicom.node import Node
from pypx.errors import (
    AnswerUnreadable,
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
    ServiceNotOffered,
    TlsFailed,
)

#: Seconds within which a PACS must take the connection, and answer the association request.
CONNECT_TIMEOUT = 15
ACSE_TIMEOUT = 30

#: Seconds beyond its own time-outs that a program gets to notice and report them, before it is ended: it does
#: not notice a peer that stops in the middle of a message.
SLACK = 3.0

_NETWORK_ERROR = re.compile(r"TCP Initialization Error: (?P<reason>.+)")

#: What programs say when the connection goes away under them. The last is getscu's, in the middle of an
#: image: it tries to refuse what it could not read, in an association that is gone.
_LOST = (
    "network closed",
    "Peer aborted",
    "Peer requested release",
    "I/O Error",
    "Connection reset",
    "Failed sending C-STORE response",
)

#: What is said of a peer that hung up instead of answering the association request.
_CLOSED_AT_ONCE = re.compile(
    r"(?:Association Request Failed|negotiate (?:network )?association):\s+"
    r"(?:[EF]: )?(?:0006:0317 )?Peer aborted"
)

#: DCMTK's conditions of its module for TLS (dcmtls/tlscond.h).
_TLS = re.compile(r"000b:\w{4} (?:TLS error: )?(?P<reason>.+)")

#: DCMTK's conditions for messages that are none, and for PDUs that are none (dcmnet/cond.h).
_UNREADABLE = re.compile(
    r"0006:0[234]\w\w (?P<reason>"
    r"(?:DIMSE|DUL (?:[Ii]llegal|Incorrect|Unsupported|Peer supplied|P-Data|Finite)"
    r"|A-ASSOCIATE PDU|Unrecognized).+)"
)

#: Lines of a data set's dump: the query that failed. Whatever they hold is no reason.
_DUMPED = re.compile(r"[WEF]: (?:$|#|\([0-9a-f]{4},[0-9a-f]{4}\))")

#: Reasons of rejections that may be gone a moment later.
_BUSY = ("Temporary Congestion", "Local Limit Exceeded")

_REJECTED_REASON = re.compile(r"Reason: (?P<reason>.+)")


def titles(node: Node) -> tuple[str, ...]:
    """The AE titles, as every SCU takes them."""
    return ("-aet", node.calling_ae_title, "-aec", node.called_ae_title)


def patience(seconds: float) -> tuple[str, ...]:
    """The time-outs, as every SCU takes them: of the connection, the association, and each answer."""
    whole = max(1, round(seconds))
    return (
        *("-to", str(min(whole, CONNECT_TIMEOUT))),
        *("-ta", str(min(whole, ACSE_TIMEOUT))),
        *("-td", str(whole)),
    )


def address(node: Node) -> tuple[str, str]:
    """Peer and port, as every SCU takes them."""
    return (node.host.strip("[]"), str(node.port))


def protection(node: Node) -> tuple[str, ...]:
    """The options for TLS, as every SCU takes them that has them; none where there is to be none."""
    return tls.options(node.tls) if node.tls else ()


def failure(node: Node, ended: Ended) -> PypxError | None:
    """Why an SCU ended without an answer, from the last lines of its output; None where it says nothing.

    The reasons are DCMTK's conditions (dcmnet/cond.h, dcmnet/assoc.h) and those of an A-ASSOCIATE-RJ
    (PS3.8, 9.3.4).
    """
    if ended.cause:
        return ended.cause
    text = "\n".join(line for line in ended.complaints if not _DUMPED.match(line))
    if found := _rejection(node, text):
        return found
    if "unknown host" in text:
        return HostUnknown(f"The host name {node.host!r} does not resolve")
    if ":" in node.host and "Illegal service parameter" in text:
        return HostUnknown(
            f"The installed DCMTK does not reach IPv6 addresses, such as {node.host}",
            "Name the PACS by its IPv4 address, or by a host name that has one.",
        )
    if network := _NETWORK_ERROR.search(text):
        return _no_connection(node, text, network["reason"].strip())
    if "No Acceptable Presentation Contexts" in text or "No presentation context" in text:
        return ServiceNotOffered(f"{node} accepts associations, but not this kind of request")
    if ended.silent or "timeout" in text.lower() or "timed out" in text.lower():
        return PeerTimeout(f"{node} did not answer in time")
    if "PDU too large" in text:
        # getscu says it without a number.
        return AnswerUnreadable(f"{node} sent what is no DICOM message (a PDU that is too large)")
    if node.tls is None and _CLOSED_AT_ONCE.search(text):
        return ConnectionLost(
            f"{node} closed the connection before the work was done",
            f"{ConnectionLost.cure} Where the port is one for TLS, ask with --tls.",
        )
    if any(sign in text for sign in _LOST):
        return ConnectionLost(f"{node} closed the connection before the work was done")
    if protected := _TLS.search(text):
        return TlsFailed(f"No TLS connection with {node} ({protected['reason'].strip()})")
    if unreadable := _UNREADABLE.search(text):
        return AnswerUnreadable(f"{node} sent what is no DICOM message ({unreadable['reason'].strip()})")
    if ended.returncode < 0:
        return BinaryFailed(f"The DCMTK program was ended by signal {-ended.returncode}")
    return None


def failure_or_unknown(node: Node, ended: Ended) -> PypxError:
    """As :func:`failure`; where nothing is recognised, what the program said last."""
    return failure(node, ended) or BinaryFailed(
        f"DCMTK ended with status {ended.returncode} and without an answer of {node}"
        f" ({_last_complaint(ended.complaints) or 'it gave no reason'})"
    )


def _rejection(node: Node, text: str) -> PypxError | None:
    if "Association Rejected" not in text:
        return None
    told = _REJECTED_REASON.search(text)
    reason = told["reason"].strip() if told else "no reason given"
    if "Called AE Title" in reason:
        return CalledTitleUnknown(
            f"The PACS at {node.host}:{node.port} does not go by the AE title {node.called_ae_title!r}"
        )
    if "Calling AE Title" in reason:
        return CallingTitleUnknown(f"{node} does not know our AE title {node.calling_ae_title!r}")
    is_passing = any(sign in reason for sign in _BUSY)
    hint = "It is busy, or lacks space: try again later, or ask its administrator." if is_passing else ""
    return AssociationRejected(f"{node} rejected the association ({reason})", hint)


def _no_connection(node: Node, text: str, reason: str) -> PypxError:
    if "cannot create network" in text:
        return PortInUse(f"It cannot be opened to receive on ({reason})")
    if "timed out" in reason.lower() or "timeout" in reason.lower():
        return PeerTimeout(f"{node.host}:{node.port} did not take the connection in time")
    return ConnectionRefused(f"No connection to {node.host}:{node.port} ({reason})")


def _last_complaint(lines: Sequence[str]) -> str:
    told = [line for line in lines if not _DUMPED.match(line)]
    return told[-1][2:].strip() if told else ""
