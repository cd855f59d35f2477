"""DICOM's messages on the wire, right or wrong as one asks for (PS3.7, E; PS3.8, 9.3).

pynetdicom sends what is right; here every length, number and value can be another.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

#: The value of an element of a command: a number of 16 bits, or bytes as they are.
CommandValue: TypeAlias = int | bytes

GROUP_LENGTH = 0x0000
SOP_CLASS = 0x0002
FIELD = 0x0100
MESSAGE_ID = 0x0110
RESPONDED_ID = 0x0120
DESTINATION = 0x0600
PRIORITY = 0x0700
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
COMMENT = 0x0902
SOP_INSTANCE = 0x1000
REMAINING, COMPLETED, FAILED, WARNING = 0x1020, 0x1021, 0x1022, 0x1023

NO_DATA_SET = 0x0101
C_STORE, C_GET, C_FIND, C_MOVE = 0x0001, 0x0010, 0x0020, 0x0021
RESPONSE = 0x8000

PENDING = 0xFF00

IMPLICIT_LITTLE = b"1.2.840.10008.1.2"
EXPLICIT_LITTLE = b"1.2.840.10008.1.2.1"


class Pdu(enum.IntEnum):
    """The types of PDUs."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class _Item(enum.IntEnum):
    """The types of items within an A-ASSOCIATE (PS3.8, 9.3.2 and 9.3.3; PS3.7, D.3)."""

    APPLICATION = 0x10
    PROPOSED = 0x20
    ACCEPTED = 0x21
    ABSTRACT_SYNTAX = 0x30
    TRANSFER_SYNTAX = 0x40
    USER = 0x50
    LARGEST = 0x51
    IMPLEMENTATION = 0x52
    ROLE = 0x54
    VERSION = 0x55


_APPLICATION = b"1.2.840.10008.3.1.1.1"


@dataclass(frozen=True, slots=True)
class Context:
    """A presentation context that is proposed.

    Parameters
    ----------
    number : int
        Odd.
    service : bytes
        UID of the abstract syntax.
    syntaxes : tuple of bytes
        UIDs of the transfer syntaxes.
    """

    number: int
    service: bytes
    syntaxes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What of an A-ASSOCIATE-RQ is needed to answer it.

    Parameters
    ----------
    titles : bytes
        Both AE titles, 32 bytes.
    contexts : tuple of Context
    roles : tuple of bytes
        The items with which roles are selected, as they came.
    """

    titles: bytes
    contexts: tuple[Context, ...]
    roles: tuple[bytes, ...] = ()

    def number_of(self, service: bytes) -> int:
        """The number of the first context of a service."""
        return next(one.number for one in self.contexts if one.service == service)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of DIMSE, and its data set.

    Parameters
    ----------
    context : int
        Number of the presentation context.
    elements : mapping of int to bytes
        Element number in group 0000 to value.
    data : bytes
        b"" where there is none.
    """

    context: int
    elements: Mapping[int, bytes]
    data: bytes = b""

    def number(self, element: int) -> int:
        """A value of 16 bits."""
        return int.from_bytes(self.elements[element], "little")


@dataclass(frozen=True, slots=True)
class Identity:
    """How a peer calls itself in an A-ASSOCIATE.

    Parameters
    ----------
    titles : bytes or None
        Both AE titles; those of the request where None.
    version : bytes
        Implementation version name.
    implementation : bytes
        Implementation class UID.
    application : bytes
        UID of the application context.
    """

    titles: bytes | None = None
    version: bytes = b"HOSTILE"
    implementation: bytes = b"1.2.826.0.1.9"
    application: bytes = _APPLICATION


PLAIN = Identity()


def pdu(kind: int, body: bytes = b"\0\0\0\0", length: int | None = None) -> bytes:
    """A PDU, its length the true one or another."""
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, _, length = struct.unpack_from(">BBH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def request_of(body: bytes) -> AssociationRequest:
    """Read the body of an A-ASSOCIATE-RQ."""
    contexts, roles = [], []
    for kind, value in _items(body[68:]):
        if kind == _Item.PROPOSED:
            inner = list(_items(value[4:]))
            services = [uid for what, uid in inner if what == _Item.ABSTRACT_SYNTAX]
            syntaxes = tuple(uid for what, uid in inner if what == _Item.TRANSFER_SYNTAX)
            contexts.append(Context(value[0], services[0], syntaxes))
        elif kind == _Item.USER:
            roles += [_item(what, item) for what, item in _items(value) if what == _Item.ROLE]
    return AssociationRequest(body[4:36], tuple(contexts), tuple(roles))


def association_request(contexts: tuple[Context, ...], identity: Identity = PLAIN) -> bytes:
    """An A-ASSOCIATE-RQ."""
    proposed = b"".join(
        _item(
            _Item.PROPOSED,
            bytes([one.number, 0, 0, 0])
            + _item(_Item.ABSTRACT_SYNTAX, one.service)
            + b"".join(_item(_Item.TRANSFER_SYNTAX, syntax) for syntax in one.syntaxes),
        )
        for one in contexts
    )
    titles = identity.titles or b"CHRISLOCAL".ljust(16) + b"HOSTILE".ljust(16)
    return pdu(Pdu.ASSOCIATE_RQ, _associate_body(titles, proposed, identity))


def association_accepted(request: AssociationRequest, identity: Identity = PLAIN) -> bytes:
    """An A-ASSOCIATE-AC that takes every context, its first transfer syntax, and the roles as proposed."""
    accepted = b"".join(
        _item(_Item.ACCEPTED, bytes([one.number, 0, 0, 0]) + _item(_Item.TRANSFER_SYNTAX, one.syntaxes[0]))
        for one in request.contexts
    )
    titles = identity.titles or request.titles
    return pdu(Pdu.ASSOCIATE_AC, _associate_body(titles, accepted, identity, b"".join(request.roles)))


def _associate_body(titles: bytes, contexts: bytes, identity: Identity, roles: bytes = b"") -> bytes:
    user = (
        _item(_Item.LARGEST, struct.pack(">L", 65536))
        + _item(_Item.IMPLEMENTATION, identity.implementation)
        + roles
        + _item(_Item.VERSION, identity.version)
    )
    return (
        struct.pack(">HH", 1, 0)
        + titles
        + bytes(32)
        + _item(_Item.APPLICATION, identity.application)
        + contexts
        + _item(_Item.USER, user)
    )


def data_pdus(context: int, payload: bytes, *, is_command: bool, largest: int = 16000) -> list[bytes]:
    """Fragments of a command or a data set (PS3.8, E.2), each in a PDU of its own."""
    pieces = [payload[start : start + largest] for start in range(0, len(payload), largest)] or [b""]
    last = len(pieces) - 1
    return [
        pdu(Pdu.DATA, struct.pack(">LBB", len(piece) + 2, context, is_command | (place == last) << 1) + piece)
        for place, piece in enumerate(pieces)
    ]


def fragments_of(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Context, flags and bytes of each fragment in a P-DATA-TF."""
    while body:
        length, context, flags = struct.unpack_from(">LBB", body)
        yield context, flags, body[6 : 4 + length]
        body = body[4 + length :]


def command_set(elements: Mapping[int, CommandValue], group_length: int | None = None) -> bytes:
    """The elements of a command in implicit VR little endian, the group's length the true one or another."""
    body = b"".join(_command_element(number, value) for number, value in sorted(elements.items()))
    return (
        _command_element(GROUP_LENGTH, struct.pack("<L", len(body) if group_length is None else group_length))
        + body
    )


def _command_element(number: int, value: CommandValue) -> bytes:
    written = struct.pack("<H", value) if isinstance(value, int) else value
    written += b"\0" * (len(written) % 2)
    return struct.pack("<HHL", 0, number, len(written)) + written


def command_of(data: bytes) -> dict[int, bytes]:
    """The elements of a command."""
    found = {}
    while data:
        _, number, length = struct.unpack_from("<HHL", data)
        found[number] = data[8 : 8 + length]
        data = data[8 + length :]
    return found
