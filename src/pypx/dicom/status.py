"""DIMSE status codes of C-FIND, C-MOVE and C-GET, and what they mean to a person (PS3.4, C.4; PS3.7, C)."""

from __future__ import annotations

from dataclasses import dataclass

SUCCESS = 0x0000
CANCELLED = 0xFE00
PENDING = 0xFF00
MOVE_DESTINATION_UNKNOWN = 0xA801
SUB_OPERATIONS_WITH_FAILURES = 0xB000

_WORDS = {
    SUCCESS: "success",
    CANCELLED: "cancelled by the PACS before the end",
    PENDING: "in progress",
    0xFF01: "in progress, some optional keys not supported",
    0x0122: "refused: the PACS does not offer this service",
    0x0124: "refused: not authorized",
    0xA700: "refused: the PACS is out of resources",
    0xA701: "refused: the PACS is out of resources to count the matches",
    0xA702: "refused: the PACS is out of resources to send the images",
    MOVE_DESTINATION_UNKNOWN: "refused: the PACS does not know the move destination",
    0xA900: "failed: the request does not fit the service",
    SUB_OPERATIONS_WITH_FAILURES: "done, but some images failed",
    0xC000: "failed: the PACS was unable to process the request",
}


@dataclass(frozen=True, slots=True)
class Status:
    """The status of one response.

    Parameters
    ----------
    code : int
        16 bits, as in (0000,0900).
    """

    code: int

    @property
    def is_success(self) -> bool:
        return self.code == SUCCESS

    @property
    def is_pending(self) -> bool:
        return self.code in (PENDING, 0xFF01)

    @property
    def is_warning(self) -> bool:
        return self.code == 0x0001 or self.code >> 12 == 0xB

    @property
    def is_failure(self) -> bool:
        return not (self.is_success or self.is_pending or self.is_warning)

    def __str__(self) -> str:
        words = _WORDS.get(self.code) or _WORDS.get(self.code & 0xF000) or "a status that DICOM does not name"
        return f"{words} (0x{self.code:04X})"
