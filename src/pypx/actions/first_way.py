"""Retrieve without saying how: by the first way that this PACS and this host allow."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pypx.actions.echo import echo
from pypx.actions.listen import DEFAULT_PORT
from pypx.actions.move import MoveRequest, move
from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.receiving.state import listening
from pypx.actions.verdict import MoveResult, State
from pypx.basemount.layout import Basemount
from pypx.errors import (
    BinaryMissing,
    ConnectionLost,
    ConnectionRefused,
    ListenerNotRunning,
    MoveDestinationUnknown,
    PeerTimeout,
    PortInUse,
    PypxError,
    RequestFailed,
    ServiceNotOffered,
)

logger = logging.getLogger(__name__)

#: What says that a way is none here, and that another may be.
_NO_WAY = (BinaryMissing, ServiceNotOffered, PortInUse, MoveDestinationUnknown)

#: What may be over when it is waited for; of a PACS that says nothing, only where it has spoken before.
_PASSING = (ConnectionLost, ConnectionRefused)

#: How often a way is tried again before it has brought anything: a PACS that closes the connection at each
#: request, as Orthanc does where its configuration forbids C-GET, is not waited for.
_RETRIES_OF_UNPROVEN = 2


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
                result = _tried(means.of(request), basemount, progress)
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


def _tried(request: MoveRequest, basemount: Basemount, progress: Progress) -> MoveResult:
    """Retrieve in a way of which nobody knows yet whether it is one.

    Raises
    ------
    PypxError
        Why nothing can come this way, if that is so.
    """
    quick = replace(request, retries=min(request.retries, _RETRIES_OF_UNPROVEN))
    result = move(quick, basemount, progress)
    _raise_refusal(result, request)
    brought = any(verdict.received for verdict in result.verdicts)
    passing = (*_PASSING, PeerTimeout) if brought else _PASSING
    lost = tuple(verdict.series for verdict in result.verdicts if isinstance(verdict.error, passing))
    if not lost or quick.retries == request.retries:
        return result
    # It is a way, or the PACS is away: that is worth as much patience as was asked for.
    return _both(result, move(replace(request, wanted=lost, whole_studies=()), basemount, progress))


def _raise_refusal(result: MoveResult, request: MoveRequest) -> None:
    """Raise why nothing can come this way, if that is so."""
    errors = [verdict.error for verdict in result.verdicts if verdict.error]
    if not errors or any(verdict.received for verdict in result.verdicts):
        return
    for error in errors:
        if isinstance(error, _NO_WAY):
            raise error
    # Orthanc says no more than that of an AE title that it does not know.
    if all(isinstance(error, RequestFailed) for error in errors):
        raise ServiceNotOffered(errors[0].message)
    if all(isinstance(error, ConnectionLost) for error in errors) and _is_there(request):
        raise ServiceNotOffered(f"{request.node} closes the connection when it is asked")


def _is_there(request: MoveRequest) -> bool:
    try:
        echo(request.node, request.timeout, request.binaries)
    except PypxError:
        return False
    return True


def _both(first: MoveResult, second: MoveResult) -> MoveResult:
    """The outcome of a retrieve, and of another one of some of its series."""
    later = {verdict.series.series_uid: verdict for verdict in second.verdicts}
    return MoveResult(
        tuple(
            replace(other, received=one.received + other.received)
            if (other := later.get(one.series.series_uid))
            else one
            for one in first.verdicts
        ),
        (*first.packed, *second.packed),
        first.seconds + second.seconds,
    )
