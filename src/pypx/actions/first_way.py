"""Retrieve without saying how: by the first way that this PACS and this host allow."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pypx.actions.listen import DEFAULT_PORT
from pypx.actions.move import MoveRequest, move
from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.receiving.state import listening
from pypx.actions.verdict import MoveResult, State
from pypx.basemount.layout import Basemount
from pypx.errors import (
    BinaryMissing,
    ListenerNotRunning,
    MoveDestinationUnknown,
    PortInUse,
    ServiceNotOffered,
)

logger = logging.getLogger(__name__)

#: What says that a way is none here, and that another may be.
_NO_WAY = (BinaryMissing, ServiceNotOffered, PortInUse, MoveDestinationUnknown)


@dataclass(frozen=True, slots=True)
class _Means:
    """One way in words, and as a MoveRequest has it."""

    words: str
    receive_port: int | None = None
    destination: str = ""

    def of(self, request: MoveRequest) -> MoveRequest:
        return replace(request, receive_port=self.receive_port, destination=self.destination)


class FirstWay:
    """Retrieves by C-GET; where that is not offered, by C-MOVE to a receiver of our own; else to a px-listen.

    What has worked once is stayed with. Where the PACS is asked over TLS, nothing is received without.

    Parameters
    ----------
    port : int
        Of our own receiver, which the PACS must know.
    """

    def __init__(self, port: int = DEFAULT_PORT) -> None:
        self._port = port
        self._found: _Means | None = None

    def move(
        self, request: MoveRequest, basemount: Basemount, progress: Progress = ignore_progress
    ) -> MoveResult:
        """As :func:`pypx.actions.move.move`; which way, and why, goes to the log.

        Raises
        ------
        ServiceNotOffered
            When there is no way.
        """
        if self._found:
            return move(self._found.of(request), basemount, progress)
        refusals: list[str] = []
        for means in self._all_means(request, basemount):
            try:
                result = move(means.of(request), basemount, progress)
                _raise_refusal(result)
            except _NO_WAY as error:
                refusals.append(f"not by {means.words}: {error.message}")
                continue
            because = f" ({'; '.join(refusals)})" if refusals else ""
            logger.info("Retrieving by %s%s", means.words, because)
            if result.count(State.ALREADY_HERE) < len(result.verdicts):
                self._found = means
            return result
        own_title = request.node.calling_ae_title
        raise ServiceNotOffered(
            f"There is no way for the images from {request.node} to here: {'; '.join(refusals)}",
            "Ask the PACS administrator to allow C-GET, or to send to"
            f" AE title {own_title} at this host, port {self._port}.",
        )

    def _all_means(self, request: MoveRequest, basemount: Basemount) -> Iterator[_Means]:
        yield _Means("C-GET")
        needs_tls = request.node.tls is not None
        if request.receive_tls or not needs_tls:
            yield _Means(f"C-MOVE to port {self._port} here", receive_port=self._port)
        try:
            states = listening(basemount)
        except ListenerNotRunning:
            return
        for title in dict.fromkeys(state.aet for state in states if state.tls or not needs_tls):
            yield _Means(f"C-MOVE to the px-listen {title}", destination=title)


def _raise_refusal(result: MoveResult) -> None:
    """Raise why nothing can come this way, if that is so."""
    if any(verdict.received for verdict in result.verdicts):
        return
    for verdict in result.verdicts:
        if isinstance(verdict.error, _NO_WAY):
            raise verdict.error
