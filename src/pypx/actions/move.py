"""Bring series from a PACS into the BASEMOUNT, and say of each whether all of it is here."""

from __future__ import annotations

import time

from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.receiving.state import listeners
from pypx.actions.repack import RepackResult, resume
from pypx.actions.retrieving import MoveRequest, Retrieve
from pypx.actions.verdict import MoveResult, described
from pypx.actions.ways import Get, Place, Way
from pypx.actions.ways_move import Receive, Send
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import Processes
from pypx.errors import PortInUse

__all__ = ["MoveRequest", "move"]


def move(request: MoveRequest, basemount: Basemount, progress: Progress = ignore_progress) -> MoveResult:
    """Retrieve series; store, catalogue and count what arrives.

    What is here already is not asked for. What does not arrive in full is asked for again, and what an
    earlier run left in incoming/ when it was killed is taken up first.

    Parameters
    ----------
    request : MoveRequest
    basemount : Basemount
        Where the images go.
    progress : callable
        Told of images that arrived.

    Returns
    -------
    MoveResult
        A verdict for each series.

    Raises
    ------
    PypxError
        When nothing could be begun: BASEMOUNT or catalogue unusable, a DCMTK program missing.
    """
    begun = time.monotonic()
    request.binaries.path("movescu" if request.receive_port or request.destination else "getscu")
    basemount.prepare()
    packed: list[RepackResult] = []
    with Catalogue.open(basemount) as catalogue, Processes() as processes:
        if resumed := resume(basemount, catalogue, request.templates):
            resumed.raise_if_stopped()
            packed.append(resumed)
        caller = Caller(request.node, request.binaries, processes, request.timeout)
        place = Place(basemount, catalogue, request.templates, packed.append)
        is_here = _is_here(request, basemount)
        with _way(request, caller, place) as way:
            verdicts = Retrieve(request, caller, way, catalogue, is_here, progress).run()
        nameless = [one.series.series_uid for one in verdicts if not one.series.description]
        told = {uid: record.description for uid, record in catalogue.series_status(nameless).items()}
    return MoveResult(described(verdicts, told), tuple(packed), time.monotonic() - begun)


def _way(request: MoveRequest, caller: Caller, place: Place) -> Way:
    if request.receive_port is not None:
        try:
            return Receive(caller, request.jobs, place, request.receive_port, request.receive_tls)
        except PortInUse as error:
            ours = [one for one in listeners(place.basemount) if one.port == request.receive_port]
            hint = (
                f"px-listen of this BASEMOUNT receives on it: use --to {ours[0].aet}." if ours else error.hint
            )
            raise PortInUse(error.message, hint) from error
    if request.destination:
        return Send(caller, request.jobs, request.destination, place.basemount)
    return Get(caller, request.jobs, place)


def _is_here(request: MoveRequest, basemount: Basemount) -> bool:
    """Whether the images come into this BASEMOUNT: by ourselves, or by a px-listen that runs on it."""
    if not request.destination or request.receive_port is not None:
        return True
    return any(state.aet == request.destination for state in listeners(basemount))
