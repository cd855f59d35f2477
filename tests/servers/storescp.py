"""DCMTK's storescp: a receiver that takes images, or refuses them in several ways."""

from __future__ import annotations

import socket
from pathlib import Path

from demo.pacs import Pacs
from demo.server import HOST
from servers.needs import require


class Storescp(Pacs):
    """A storescp that keeps what it receives in a directory.

    Parameters
    ----------
    directory : pathlib.Path
    options : str
        More of its options: ``--abort-after``, ``--refuse``, ``+x=`` …
    """

    name = "storescp"
    aec = "ANY-SCP"

    def __init__(self, directory: Path, *options: str) -> None:
        super().__init__(directory)
        directory.mkdir(exist_ok=True)
        self._options = options
        self.received = directory / "received"

    def configure(self) -> list[str]:
        self.choose_ports()
        self.received.mkdir(exist_ok=True)
        return [
            *(require("storescp", "dcmtk"), "--fork", "-aet", self.aec, "-od", str(self.received)),
            *(self._options or ("+xa", "+B")),
            str(self.port),
        ]

    def answers(self) -> bool:
        # Where it is to refuse associations, it refuses this one too.
        return super().answers() if "--refuse" not in self._options else self._listens()

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True
