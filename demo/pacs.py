"""What every embedded PACS offers: its address, who may receive from it, and a way to fill it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from demo.server import ENVIRONMENT, HOST, Server, free_port
from pypx.dcmtk.binaries import Binaries


@dataclass(frozen=True, slots=True)
class Address:
    """How a client names itself and the PACS: the suite's options of the same names."""

    aet: str
    aec: str
    host: str
    port: int

    @property
    def word(self) -> str:
        """The PACS in one word, as the console scripts take it."""
        return f"{self.host}:{self.aec}:{self.port}"

    @property
    def options(self) -> list[str]:
        """The address as options of the console scripts."""
        return [
            *("--aet", self.aet),
            *("--aec", self.aec),
            *("--serverIP", self.host),
            *("--serverPort", str(self.port)),
        ]


class Pacs(Server):
    """A PACS that anybody may query and that moves images to :attr:`aet` at :attr:`receive_port`.

    Parameters
    ----------
    directory : pathlib.Path
        An empty directory for its configuration, data and log.
    preferred_port : int
        Its port, where nobody has it; 0 for any.
    """

    aet = "CHRISLOCAL"
    aec = ""

    #: Whether it answers NumberOfStudyRelatedInstances and NumberOfSeriesRelatedInstances.
    answers_counts = False

    #: Whether it answers SeriesDescription and ProtocolName.
    answers_series_texts = False

    #: Where nothing listens, though the PACS believes that this AE title does.
    unreachable_aet = "UNREACHABLE"

    def __init__(self, directory: Path, preferred_port: int = 0) -> None:
        super().__init__(directory)
        self.preferred_port = preferred_port
        self.receive_port = 0
        self.closed_port = 0

    @property
    def node(self) -> Address:
        return Address(self.aet, self.aec, HOST, self.port)

    def choose_ports(self) -> None:
        # Once: what is free here need not be at all interfaces.
        self.port, self.preferred_port = free_port(self.preferred_port), 0
        self.receive_port, self.closed_port = free_port(), free_port()

    def answers(self) -> bool:
        echoscu = Binaries().path("echoscu")
        echo = [echoscu, "-to", "2", "-aet", self.aet, "-aec", self.aec, HOST, str(self.port)]
        return subprocess.run(echo, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0

    def store(self, files: Iterable[Path]) -> None:
        """Send DICOM files to the PACS, each in the transfer syntax that it has.

        Raises
        ------
        RuntimeError
            When the PACS does not take one of them.
        """
        paths = [str(path) for path in files]
        report = self.directory / "stored.txt"
        report.unlink(missing_ok=True)
        send = [
            *("dcmsend", "-aet", self.aet, "-aec", self.aec, "--decompress-never"),
            *("--create-report-file", str(report)),
            *(HOST, str(self.port)),
        ]
        done = subprocess.run([*send, *paths], env=ENVIRONMENT, capture_output=True, text=True, check=False)
        told = report.read_text() if report.exists() else ""
        taken = re.search(r"with status SUCCESS *: (\d+)", told)
        if done.returncode != 0 or taken is None or int(taken[1]) != len(paths):
            raise RuntimeError(f"{self.name} did not take all files:\n{done.stderr}\n{told}\n{self.log}")
