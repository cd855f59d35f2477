"""What a hostile peer says: responses and C-STORE requests, each value of which can be a wrong one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom.dsutils import decode

from servers import hostile_pdus as pdus
from servers.hostile_pdus import Command, CommandValue


@dataclass(frozen=True, slots=True)
class Response:
    """A response to a C-FIND, C-MOVE or C-GET.

    Parameters
    ----------
    status : int
    identifier : bytes or None
        In implicit VR little endian.
    counts : tuple of (int or None)
        Of sub-operations: remaining, completed, failed, with a warning.
    changed : mapping of int to (int or bytes)
        Elements of the command that are other than they should be, or are not there otherwise.
    lacks : tuple of int
        Elements that it does not have.
    group_length : int or None
        Of the command; the true one where None.
    context : int or None
        Number of the presentation context; that of the request where None.
    largest : int
        Bytes of a fragment.
    """

    status: int = pdus.PENDING
    identifier: bytes | None = None
    counts: tuple[int | None, int | None, int | None, int | None] = (None, None, None, None)
    changed: Mapping[int, CommandValue] = field(default_factory=dict)
    lacks: tuple[int, ...] = ()
    group_length: int | None = None
    context: int | None = None
    largest: int = 16000

    def pdus(self, asked: Command) -> list[bytes]:
        """The PDUs of this response to a request."""
        names = (pdus.REMAINING, pdus.COMPLETED, pdus.FAILED, pdus.WARNING)
        elements: dict[int, CommandValue] = {
            pdus.SOP_CLASS: asked.elements[pdus.SOP_CLASS],
            pdus.FIELD: asked.number(pdus.FIELD) | pdus.RESPONSE,
            pdus.RESPONDED_ID: asked.number(pdus.MESSAGE_ID),
            pdus.DATA_SET_TYPE: pdus.NO_DATA_SET if self.identifier is None else 1,
            pdus.STATUS: self.status,
            **{name: count for name, count in zip(names, self.counts, strict=True) if count is not None},
            **self.changed,
        }
        kept = {number: value for number, value in elements.items() if number not in self.lacks}
        context = asked.context if self.context is None else self.context
        return [
            *pdus.data_pdus(
                context,
                pdus.command_set(kept, self.group_length),
                is_command=True,
                largest=self.largest,
            ),
            *(
                []
                if self.identifier is None
                else pdus.data_pdus(context, self.identifier, is_command=False, largest=self.largest)
            ),
        ]


@dataclass(frozen=True, slots=True)
class Store:
    """A C-STORE request.

    Parameters
    ----------
    sop_class, sop_uid : bytes
        As the command has them.
    data : bytes
        The data set, in the transfer syntax of the context.
    changed, lacks, largest
        As of :class:`Response`.
    pause : float
        Seconds before each PDU.
    """

    sop_class: bytes
    sop_uid: bytes
    data: bytes
    changed: Mapping[int, CommandValue] = field(default_factory=dict)
    lacks: tuple[int, ...] = ()
    largest: int = 16000
    pause: float = 0.0

    @classmethod
    def of(cls, instance: Dataset) -> Store:
        """By the book."""
        return cls(instance.SOPClassUID.encode(), instance.SOPInstanceUID.encode(), encoded(instance))

    def pdus(self, context: int, message_id: int) -> Iterator[bytes]:
        """The PDUs of this request."""
        elements: dict[int, CommandValue] = {
            pdus.SOP_CLASS: self.sop_class,
            pdus.FIELD: pdus.C_STORE,
            pdus.MESSAGE_ID: message_id,
            pdus.PRIORITY: 0,
            pdus.DATA_SET_TYPE: 1,
            pdus.SOP_INSTANCE: self.sop_uid,
            **self.changed,
        }
        kept = {number: value for number, value in elements.items() if number not in self.lacks}
        yield from pdus.data_pdus(context, pdus.command_set(kept), is_command=True)
        yield from pdus.data_pdus(context, self.data, is_command=False, largest=self.largest)


def encoded(instance: Dataset) -> bytes:
    """A data set in explicit VR little endian."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, instance)
    return file.getvalue()


def identifier_of(asked: Command) -> Dataset:
    """What is asked for."""
    return decode(BytesIO(asked.data), True, True)
