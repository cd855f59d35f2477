"""The beginning of an association on the wire: who calls whom (PS3.8, 9.3.2), and its refusal (9.3.4)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

#: Bytes from the start of an A-ASSOCIATE-RQ to the end of the AE titles.
REQUEST_HEAD = 42

#: The type of the PDU, its first byte.
ASSOCIATE_RQ = 0x01
_ASSOCIATE_RJ = 0x03

#: An A-ASSOCIATE-RQ has a few kilobytes; a length beyond this is something else that begins with 0x01.
_LONGEST_REQUEST = 1 << 20


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """The fixed part of an A-ASSOCIATE-RQ.

    Parameters
    ----------
    called_ae_title, calling_ae_title : str
        Without the spaces around them.
    """

    called_ae_title: str
    calling_ae_title: str


def read_request(head: bytes) -> AssociationRequest | None:
    """Read the first REQUEST_HEAD bytes that a peer sent; None where they do not begin an A-ASSOCIATE-RQ."""
    if len(head) < REQUEST_HEAD:
        return None
    kind, _, length, version = struct.unpack_from(">BBIH", head)
    if kind != ASSOCIATE_RQ or not version & 1 or not REQUEST_HEAD < length + 6 <= _LONGEST_REQUEST:
        return None
    called, calling = (head[start : start + 16].decode("latin-1").strip(" \0") for start in (10, 26))
    return AssociationRequest(called, calling)


def length_of_request(head: bytes) -> int:
    """How many bytes an A-ASSOCIATE-RQ has that begins like this; REQUEST_HEAD where this does not tell."""
    return 6 + int.from_bytes(head[2:6], "big") if read_request(head) else REQUEST_HEAD


class Refusal(enum.Enum):
    """Why an association is refused: result, source and reason of the A-ASSOCIATE-RJ, and its words."""

    CALLED_TITLE = (1, 1, 7, "called AE title not recognised")
    CALLING_TITLE = (1, 1, 3, "calling AE title not allowed")
    CONGESTION = (2, 3, 1, "too many associations")
    NO_SPACE = (2, 3, 1, "too little free space")
    WITHOUT_TLS = (1, 1, 1, "the peer speaks DICOM without TLS, and this port does not")

    @property
    def words(self) -> str:
        return str(self.value[3])

    def pdu(self) -> bytes:
        """The A-ASSOCIATE-RJ to send."""
        result, source, reason, _ = self.value
        return struct.pack(">BBIBBBB", _ASSOCIATE_RJ, 0, 4, 0, result, source, reason)
