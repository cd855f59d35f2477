"""The status of a response, as DCMTK's programs write it (dcmnet/diutil.h)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pypx.dicom.node import Node
from pypx.dicom.status import CANCELLED, PENDING, SUB_OPERATIONS_WITH_FAILURES, SUCCESS, Status
from pypx.errors import PypxError, RequestFailed

#: The names at verbosity "info"; "debug" gives the code itself.
_CODES = {
    "Success": SUCCESS,
    "Pending": PENDING,
    "Pending: WarningUnsupportedOptionalKeys": 0xFF01,
    "Cancel": CANCELLED,
    "Cancel: MatchingTerminatedDueToCancelRequest": CANCELLED,
    "Cancel: SubOperationsTerminatedDueToCancelIndication": CANCELLED,
    "Refused: SOPClassNotSupported": 0x0122,
    "Refused: OutOfResources": 0xA700,
    "Refused: OutOfResourcesNumberOfMatches": 0xA701,
    "Refused: OutOfResourcesSubOperations": 0xA702,
    "Refused: MoveDestinationUnknown": 0xA801,
    "Failed: SOPClassNotSupported": 0xA900,
    "Error: DataSetDoesNotMatchSOPClass": 0xA900,
    "Failed: IdentifierDoesNotMatchSOPClass": 0xA900,
    "Warning: SubOperationsCompleteOneOrMoreFailures": 0xB000,
    "Failed: UnableToProcess": 0xC000,
}
_HEXADECIMAL = re.compile(r"0x([0-9A-Fa-f]{1,4})\b")

#: A failure for which nothing but a name is known.
UNNAMED_FAILURE = 0xC000

#: What a PACS answers that did not send some image, besides the counts.
_PARTIAL = (0x0122, SUB_OPERATIONS_WITH_FAILURES, UNNAMED_FAILURE)


def status(text: str) -> Status:
    """Read a status as "Failed: UnableToProcess", "Unknown Status: 0xa710" or "0xc000: Failed: …"."""
    if (named := _CODES.get(text.strip())) is not None:
        return Status(named)
    if code := _HEXADECIMAL.search(text):
        return Status(int(code[1], 16))
    return Status(UNNAMED_FAILURE)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What the PACS's last response to a C-MOVE or C-GET says (PS3.4, C.4.2.1.6 to C.4.2.1.9).

    Parameters
    ----------
    status : Status or None
        None when the request ended without a final response.
    completed, failed, warning, remaining : int or None
        Numbers of sub-operations, one an image; None where the PACS did not say.
    """

    status: Status | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    remaining: int | None = None

    @classmethod
    def of_counts(cls, status: Status, counts: Mapping[str, int]) -> Transfer:
        """With numbers by the names that DCMTK gives them: Completed, Failed, Warning, Remaining."""
        return cls(status, *(counts.get(name) for name in ("Completed", "Failed", "Warning", "Remaining")))

    @property
    def all_sent(self) -> bool:
        """Whether the PACS says that it sent all that it has."""
        if self.status is None or self.failed or self.remaining:
            return False
        # A warning for an image that was taken with a warning, and counted as such, means that it was sent.
        return self.status.is_success or (self.status.is_warning and bool(self.warning))

    @property
    def told(self) -> int | None:
        """How many images there are by the counts of the response; None where it is not final or has none."""
        if self.status is None or self.status.is_failure or self.completed is None:
            return None
        return self.completed + (self.failed or 0) + (self.warning or 0) + (self.remaining or 0)

    @property
    def is_partial(self) -> bool:
        """Whether the PACS answered to the end, and could not send some image."""
        if self.status is None or self.all_sent:
            return False
        return bool(self.failed) or self.status.code in _PARTIAL


@dataclass(frozen=True, slots=True)
class Retrieval:
    """How one request ended.

    Parameters
    ----------
    transfer : Transfer
        What the PACS said of it.
    error : PypxError or None
        Why it ended early. What had arrived by then is on disk.
    """

    transfer: Transfer
    error: PypxError | None = None


def request_failed(node: Node, what: str, answered: Status, hint: str = "") -> RequestFailed:
    """The error for a response with a failure status."""
    return RequestFailed(f"{node} answered the {what}: {answered}", hint)
