"""A bare storescp, as others receive with."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.measuring import ENVIRONMENT
from demo.server import HOST, free_port
from pypx.dcmtk.binaries import Binaries

#: As it comes, but for what px-listen is for: associations at once, all transfer syntaxes, unique names.
AS_IT_COMES = ("--fork", "+xa", "+uf")

#: And as px-listen has it: written as it arrives, not parsed and written anew, and in large PDUs.
AS_FAST_AS_IT_CAN = (*AS_IT_COMES, "+B", "-pdu", "131072")


@contextmanager
def storescp(directory: Path, port: int = 0, options: Sequence[str] = AS_FAST_AS_IT_CAN) -> Iterator[int]:
    """Receive into a directory, which is made; gives the port, a free one where none is asked for."""
    port = port or free_port()
    directory.mkdir()
    echoscu = Binaries().path("echoscu")
    server = subprocess.Popen(
        [Binaries().path("storescp"), *options, "-od", str(directory), str(port)],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while subprocess.run([echoscu, HOST, str(port)], capture_output=True, check=False).returncode:
            time.sleep(0.02)
        yield port
    finally:
        server.terminate()
        server.wait()
