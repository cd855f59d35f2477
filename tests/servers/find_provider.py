"""A C-FIND provider with the habits of real PACS, and some of a hostile one; a thread of the test.

What it holds and how it matches is plain; habits, each a function in :mod:`servers.habits`, change the
replies on their way out.
"""

from __future__ import annotations

import fnmatch
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from socketserver import BaseServer
from types import TracebackType
from typing import Any, Self, TypeAlias

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from pynetdicom.transport import ThreadedAssociationServer

from demo.pacs import Address
from demo.server import HOST

PENDING = 0xFF00

#: The value of an attribute: text, or the bytes that go over the wire.
Values: TypeAlias = Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class HeldStudy:
    """A study that the provider holds, with its series."""

    values: Values
    series: Sequence[Values] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One C-FIND request.

    Parameters
    ----------
    number : int
        0 for the first that the provider ever got.
    level : str
        STUDY or SERIES.
    keys : mapping of str to str
        Keyword to the value that answers must match; "" where it only shall be returned.
    """

    number: int
    level: str
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """One response.

    Parameters
    ----------
    values : mapping
        Of the identifier.
    status : int
        Anything but pending is final.
    declares : str or None
        SpecificCharacterSet; None for none.
    codec : str
        In which texts are really written.
    identifier : bytes or None
        The identifier as it goes over the wire, in implicit VR little endian, instead of ``values``.
    delay : float
        Seconds before it is sent.
    aborts : bool
        The association is aborted instead.
    awaits_cancel : bool
        It is not sent before a C-CANCEL has come, or a minute has gone by.
    """

    values: Values = field(default_factory=dict)
    status: int = PENDING
    declares: str | None = "ISO_IR 192"
    codec: str = "utf-8"
    identifier: bytes | None = None
    delay: float = 0.0
    aborts: bool = False
    awaits_cancel: bool = False

    def data_set(self) -> bytes:
        """The identifier as it goes over the wire."""
        if self.identifier is not None:
            return self.identifier
        declared = {} if self.declares is None else {"SpecificCharacterSet": self.declares}
        by_tag = {tag_of(name): value for name, value in {**self.values, **declared}.items()}
        return b"".join(
            element(tag, value.encode(self.codec) if isinstance(value, str) else value)
            for tag, value in sorted(by_tag.items())
        )


#: Changes the replies to a request on their way out.
Habit: TypeAlias = Callable[[Request, Iterator[Reply]], Iterator[Reply]]


def tag_of(name: str) -> int:
    """A keyword's tag, or that written gggg,eeee."""
    number = int(name.replace(",", ""), 16) if "," in name else tag_for_keyword(name)
    assert number is not None, name
    return number


def element(tag: int, value: bytes) -> bytes:
    """One data element in implicit VR little endian (PS3.5, 7.1.3)."""
    padded = value + b" " * (len(value) % 2)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(padded)) + padded


class _Server(ThreadedAssociationServer):
    """pynetdicom's, which can be ended by whoever made it."""

    def shutdown(self) -> None:
        BaseServer.shutdown(self)
        self.server_close()


class FindProvider:
    """Answers C-FIND at study and series level on a free loopback port.

    Parameters
    ----------
    studies : iterable of HeldStudy
    ignores : collection of str
        Keywords that it returns, but does not match.
    lacks : collection of str
        Keywords that it knows nothing of: neither matched nor returned.
    most_associations : int
        It rejects more of them at a time.
    hears_cancel : bool
        Whether it stops when it is told to.
    habits : sequence of Habit
        What it does to its replies, the first one first.

    Attributes
    ----------
    requests : list of Request
        All that it was asked.
    associations : int
        How many it has accepted.
    cancelled : int
        How many requests were ended by a C-CANCEL.
    """

    aet = "CHRISLOCAL"
    aec = "HOSTILE"

    def __init__(
        self,
        studies: Iterable[HeldStudy],
        *habits: Habit,
        ignores: Iterable[str] = (),
        lacks: Iterable[str] = (),
        most_associations: int = 10,
        hears_cancel: bool = True,
    ) -> None:
        self.requests: list[Request] = []
        self.associations = 0
        self.cancelled = 0
        self._studies = list(studies)
        self._habits = habits
        self._ignored = {*ignores, *lacks}
        self._lacked = {*lacks}
        self._most_associations = most_associations
        self._hears_cancel = hears_cancel
        self._ending = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        entity = AE(self.aec)
        entity.require_called_aet = True
        entity.maximum_associations = self._most_associations
        for service in (StudyRootQueryRetrieveInformationModelFind, Verification):
            entity.add_supported_context(service, ImplicitVRLittleEndian)
        handlers = [(evt.EVT_C_FIND, self._serve), (evt.EVT_ACCEPTED, self._count)]
        self._server = entity.make_server((HOST, 0), evt_handlers=handlers, server_class=_Server)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join(5)

    @property
    def node(self) -> Address:
        return Address(self.aet, self.aec, HOST, self.port)

    def asked(self, level: str) -> list[Request]:
        """The requests of one level."""
        return [request for request in self.requests if request.level == level]

    def _count(self, _event: evt.Event) -> None:
        with self._lock:
            self.associations += 1

    def _serve(self, event: evt.Event) -> Iterator[tuple[int, None]]:
        """Send the replies; what is yielded to pynetdicom is the final status."""
        request = self._read(event)
        replies = self.replies(request)
        for habit in self._habits:
            replies = habit(request, replies)
        for reply in replies:
            if reply.delay and self._ending.wait(reply.delay):
                return
            if self._hears_cancel and self._is_cancelled(event, 60.0 if reply.awaits_cancel else 0.0):
                self.cancelled += 1
                yield 0xFE00, None
            if reply.aborts:
                event.assoc.abort()
                return
            if reply.status not in (PENDING, 0xFF01):
                yield reply.status, None
            self._send(event, reply)

    def _is_cancelled(self, event: evt.Event, patience: float) -> bool:
        deadline = time.monotonic() + patience
        # It is said once.
        while not (cancelled := event.is_cancelled) and time.monotonic() < deadline:
            if self._ending.wait(0.005):
                break
        return bool(cancelled)

    def _read(self, event: evt.Event) -> Request:
        asked = event.identifier
        keys = {
            keyword_for_tag(each.tag) or f"{each.tag.group:04X},{each.tag.element:04X}": _text(each.value)
            for each in asked
            if each.keyword not in ("QueryRetrieveLevel", "SpecificCharacterSet")
        }
        with self._lock:
            request = Request(len(self.requests), str(asked.QueryRetrieveLevel), keys)
            self.requests.append(request)
        return request

    @staticmethod
    def _send(event: evt.Event, reply: Reply) -> None:
        response = C_FIND()
        response.MessageIDBeingRespondedTo = event.request.MessageID
        response.AffectedSOPClassUID = event.request.AffectedSOPClassUID
        response.Status = reply.status
        response.Identifier = BytesIO(reply.data_set())
        event.assoc.dimse.send_msg(response, event.context.context_id)

    def replies(self, request: Request) -> Iterator[Reply]:
        """What a provider without habits would send."""
        for study in self._studies:
            candidates = [study.values] if request.level == "STUDY" else study.series
            # A series query has its study's UID as a key (PS3.4, C.4.1.2.1).
            upper = {} if request.level == "STUDY" else {"StudyInstanceUID": study.values["StudyInstanceUID"]}
            for values in candidates:
                whole = {**upper, **values}
                if all(self._fits(name, key, whole) for name, key in request.keys.items()):
                    yield Reply(self._returned(request, whole))

    def _fits(self, name: str, key: str, values: Values) -> bool:
        return not key or name in self._ignored or fits(name, key, values.get(name, ""))

    def _returned(self, request: Request, values: Values) -> Values:
        names = [name for name in request.keys if name not in self._lacked]
        return {"QueryRetrieveLevel": request.level, **{name: values.get(name, "") for name in names}}


def _text(value: Any) -> str:
    if value is None:
        return ""
    several = not isinstance(value, (str, bytes)) and hasattr(value, "__iter__")
    return "\\".join(str(part) for part in value) if several else str(value)


def fits(name: str, key: str, value: str | bytes) -> bool:
    """Attribute matching (PS3.4, C.2.2.2) as simple as a small PACS has it."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    vr = dictionary_VR(tag_of(name)) if tag_for_keyword(name) else "UN"
    if vr == "UI":
        return text in key.split("\\")
    if vr in ("DA", "TM") and "-" in key:
        begin, _, end = key.partition("-")
        return bool(text) and (not begin or text >= begin) and (not end or text <= end)
    return any(fnmatch.fnmatchcase(part, key.replace("[", "[[]")) for part in text.split("\\"))
