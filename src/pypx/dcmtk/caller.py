"""What every request to a PACS needs: which PACS, with which programs, for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypx.dcmtk import association
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Ended, Processes
from pypx.dicom.node import Node


@dataclass(frozen=True, slots=True)
class Caller:
    """We, as a service class user of one PACS.

    Parameters
    ----------
    node : Node
        The PACS.
    binaries : Binaries
        DCMTK's programs.
    processes : Processes
        In which they run; whoever leaves its context ends them.
    timeout : float
        Seconds without progress after which the PACS is taken as hung.
    """

    node: Node
    binaries: Binaries
    processes: Processes
    timeout: float

    def run(
        self,
        argv: Sequence[str],
        on_line: Callable[[str], None] | None = None,
        keep_open: Sequence[int] = (),
        directory: Path | None = None,
        hangs: Callable[[], bool] = lambda: True,
    ) -> Ended:
        """Run one of DCMTK's programs, which knows the same time-out, to its end.

        One that shall live on beyond it, as ``hangs`` says of it, was told a longer one.
        """
        silence = self.timeout + association.SLACK
        return self.processes.run(argv, silence, on_line, keep_open, directory, hangs)
