"""Is the PACS there, and do the AE titles fit: C-ECHO."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from pypx.dcmtk import echoscu
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import Processes
from pypx.dicom.node import Node
from pypx.errors import AssociationRejected, PypxError


@dataclass(frozen=True, slots=True)
class Echo:
    """A C-ECHO that was answered with success.

    Parameters
    ----------
    node : Node
        Who answered.
    seconds : float
        How long it took, association and all.
    """

    node: Node
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-echo."""
        return {
            "status": "success",
            "data": {
                "serverIP": self.node.host,
                "serverPort": self.node.port,
                "aec": self.node.called_ae_title,
                "aet": self.node.calling_ae_title,
                "seconds": round(self.seconds, 3),
            },
        }


def echo(node: Node, timeout: float, binaries: Binaries | None = None) -> Echo:
    """Send one C-ECHO (PS3.4, annex A).

    Parameters
    ----------
    node : Node
        The PACS.
    timeout : float
        Seconds to wait for each answer.
    binaries : Binaries, optional

    Raises
    ------
    PypxError
        When there was no answer, or not success; its kind says why.
    """
    begun = time.monotonic()
    with Processes() as processes:
        caller = Caller(node, binaries or Binaries(), processes, timeout)
        ended = caller.run("echoscu", lambda binary, called: echoscu.argv(binary, called, timeout))
    if error := echoscu.failure(node, ended):
        raise error
    return Echo(node, time.monotonic() - begun)


def explained(error: PypxError, caller: Caller) -> PypxError:
    """Why an association was rejected: getscu and dcmsend do not say that, echoscu does.

    Parameters
    ----------
    error : PypxError
        What they told; any other than a rejection is given back as it is.
    caller : Caller
        Whose association it was.
    """
    if type(error) is AssociationRejected:
        try:
            echo(caller.node, caller.timeout, caller.binaries)
        except AssociationRejected as told:
            return told
        except PypxError:
            pass  # the first answer stands
    return error
