"""What every request to a PACS needs: which PACS, with which programs, for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pypx.dcmtk import association, tls_connection
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Ended, Processes
from pypx.dcmtk.tls_bridge import Bridge
from pypx.dicom.node import Node
from pypx.dicom.tls import TlsSettings

#: What a program with TLS says when it got no connection: never why.
_NO_CONNECTION = (" TLS ", "OpenSSL", "Peer aborted Association", "I/O Error")


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
        program: str,
        argv: Callable[[str, Node], Sequence[str]],
        on_line: Callable[[str], None] | None = None,
        keep_open: Sequence[int] = (),
        directory: Path | None = None,
        hangs: Callable[[], bool] = lambda: True,
        writes_below: Path | None = None,
    ) -> Ended:
        """Run one of DCMTK's programs, which knows the same time-out, to its end.

        One that shall live on beyond it, as ``hangs`` says of it, was told a longer one.

        Parameters
        ----------
        program : str
            Its name.
        argv : callable
            Gives its command line, from its path and the PACS as it is to call it.
        on_line, keep_open, directory, hangs, writes_below
            As of :meth:`Processes.run`.

        Raises
        ------
        BinaryMissing, TlsFilesUnusable
        """
        binary, tls = self.binaries.path(program), self.node.tls

        def run(node: Node) -> Ended:
            silence = self.timeout + association.SLACK
            return self.processes.run(
                argv(binary, node), silence, on_line, keep_open, directory, hangs, writes_below
            )

        return run(self.node) if tls is None else self._over_tls(program, run, tls)

    def _over_tls(self, program: str, run: Callable[[Node], Ended], tls: TlsSettings) -> Ended:
        tls_connection.context(tls)  # what is wrong with our own files is said before a PACS is asked
        # Everybody can see a command line: there is to be no passphrase in it.
        if tls.passphrase or not self.binaries.has_tls(program):
            with Bridge(self.node, tls) as bridge:
                ended = run(bridge.node)
            return replace(ended, cause=bridge.failure)
        ended = run(self.node)
        if any(sign in line for line in ended.complaints for sign in _NO_CONNECTION):
            return replace(ended, cause=tls_connection.explained(self.node, tls))
        return ended
