"""A C-MOVE provider with habits of real PACS that neither dcmqrscp nor Orthanc shows; threads of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_MOVE
from pynetdicom.dsutils import decode
from pynetdicom.service_class import QueryRetrieveServiceClass
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from demo.pacs import Address
from demo.server import HOST, free_port

_KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class RetrieveProvider:
    """Answers C-FIND and C-MOVE on a free loopback port, and knows one move destination.

    Parameters
    ----------
    files : sequence of pathlib.Path
        What it holds.
    told : int or None
        What it says how many instances each series has; None for nothing.
    late : float
        Seconds between its final response and the last C-STORE.
    warns : int
        How many sub-operations it counts as done with a warning.
    fails : int
        How many instances of each request it does not send, and counts as failed.
    progress : bool
        Whether it responds before the end.
    pause : float
        Seconds before each C-STORE.
    times : int
        How often it sends each instance.
    tells_kinds : bool
        Whether its answers say of what SOP class an instance is.
    lists : bool
        Whether it knows the IMAGE level of C-FIND.

    Attributes
    ----------
    skips : int
        How many instances of each request it does not send, and does not count either.
    """

    aet = "CHRISLOCAL"
    aec = "ODD"

    def __init__(
        self,
        files: Sequence[Path],
        *,
        told: int | None = None,
        late: float = 0.0,
        warns: int = 0,
        fails: int = 0,
        progress: bool = True,
        pause: float = 0.0,
        times: int = 1,
        tells_kinds: bool = True,
        lists: bool = True,
    ) -> None:
        self.requests: list[Dataset] = []
        self.receive_port = free_port()
        self.skips = 0
        self._lists = lists
        self._held = [dcmread(path) for path in files]
        self._told, self._late, self._warns, self._fails = told, late, warns, fails
        self._progress, self._pause, self._times = progress, pause, times
        self._untold = ("SpecificCharacterSet", *(() if tells_kinds else ("SOPClassUID",)))
        self._ending = threading.Event()

    @property
    def node(self) -> Address:
        return Address(self.aet, self.aec, HOST, self.port)

    def __enter__(self) -> Self:
        provider = self

        class Service(QueryRetrieveServiceClass):
            def _move_scp(self, req: Any, context: Any) -> None:
                provider._move(self, req, context)

        entity = AE(self.aec)
        for service in (
            StudyRootQueryRetrieveInformationModelFind,
            StudyRootQueryRetrieveInformationModelMove,
            Verification,
        ):
            entity.add_supported_context(service, ImplicitVRLittleEndian)
        self._plain = QueryRetrieveServiceClass._move_scp
        QueryRetrieveServiceClass._move_scp = Service._move_scp  # type: ignore[method-assign]
        self._server = entity.start_server(
            (HOST, 0), block=False, evt_handlers=[(evt.EVT_C_FIND, self._find)]
        )
        self.port = int(self._server.server_address[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        QueryRetrieveServiceClass._move_scp = self._plain  # type: ignore[method-assign]
        self._server.shutdown()

    def forget(self) -> None:
        """Hold nothing any more."""
        self._held.clear()

    def moves(self) -> list[Dataset]:
        """The identifiers of the C-MOVE requests."""
        return self.requests

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        level = {"STUDY": 1, "SERIES": 2, "IMAGE": 3}[asked.QueryRetrieveLevel]
        seen: set[Any] = set()
        if level == 3 and not self._lists:
            yield 0xA900, None
            return
        for instance in self._matching(asked):
            key = tuple(instance[name].value for name in _KEYS[:level])
            if key in seen:
                continue
            seen.add(key)
            answer = Dataset()
            answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
            for element in asked:
                if element.keyword in instance and element.keyword not in self._untold:
                    setattr(answer, element.keyword, instance[element.keyword].value)
            if "NumberOfSeriesRelatedInstances" in asked and self._told is not None:
                answer.NumberOfSeriesRelatedInstances = str(self._told)
            yield 0xFF00, answer

    def _matching(self, asked: Dataset) -> list[Dataset]:
        keys = {name: asked[name].value for name in _KEYS if name in asked and asked[name].value}
        wanted = {name: [value] if isinstance(value, str) else list(value) for name, value in keys.items()}
        return [one for one in self._held if all(one[name].value in uids for name, uids in wanted.items())]

    def _move(self, service: Any, request: Any, context: Any) -> None:
        asked = decode(request.Identifier, True, True)
        self.requests.append(asked)
        chosen = self._matching(asked)[self.skips :]
        failed, sent = chosen[: self._fails], chosen[self._fails :]
        on_time, late = (sent[:-1], sent[-1:]) if self._late else (sent, [])
        for number, done in enumerate(self._store(on_time), 1):
            if self._progress and done:
                self._respond(service, request, context, 0xFF00, number, 0, len(chosen) - number)
        if self._ending.is_set():
            return
        status = 0xB000 if failed or self._warns else 0
        self._respond(service, request, context, status, len(sent) - self._warns, len(failed), None)
        if late:
            time.sleep(self._late)
            list(self._store(late))

    def _store(self, instances: Sequence[Dataset]) -> Iterator[bool]:
        if not instances:
            return
        entity = AE(self.aec)
        for sop_class in {one.SOPClassUID for one in instances}:
            entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
        association = entity.associate(HOST, self.receive_port, ae_title=self.aet)
        for instance in instances:
            if self._ending.wait(self._pause):
                break
            for _ in range(self._times):
                association.send_c_store(instance)
            yield True
        association.release()

    def _respond(
        self, service: Any, request: Any, context: Any, status: int, done: int, failed: int, left: int | None
    ) -> None:
        response = C_MOVE()
        response.MessageIDBeingRespondedTo = request.MessageID
        response.AffectedSOPClassUID = request.AffectedSOPClassUID
        response.Status = status
        response.NumberOfCompletedSuboperations = done
        response.NumberOfFailedSuboperations = failed
        response.NumberOfWarningSuboperations = 0 if left is not None else self._warns
        if left is not None:
            response.NumberOfRemainingSuboperations = left
        service.dimse.send_msg(response, context.context_id)
