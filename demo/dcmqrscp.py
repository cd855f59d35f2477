"""DCMTK's dcmqrscp: a small real PACS that needs nothing but the Debian package dcmtk."""

from __future__ import annotations

from demo.pacs import Pacs
from demo.server import HOST

_CONFIGURATION = """\
MaxPDUSize = 131072
MaxAssociations = 64
HostTable BEGIN
receiver = ({aet}, {host}, {receive_port})
unreachable = ({unreachable_aet}, {host}, {closed_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{aec} {storage} RW (500, 1024mb) ANY
AETable END
"""


class Dcmqrscp(Pacs):
    """A dcmqrscp with one archive."""

    name = "dcmqrscp"
    aec = "ARCHIVE"

    #: Further options, such as the one that has it take a compressed transfer syntax.
    options: tuple[str, ...] = ()

    def configure(self) -> list[str]:
        self.choose_ports()
        storage = self.directory / "archive"
        storage.mkdir(exist_ok=True)
        configuration = self.directory / "dcmqrscp.cfg"
        configuration.write_text(
            _CONFIGURATION.format(
                aet=self.aet,
                aec=self.aec,
                host=HOST,
                receive_port=self.receive_port,
                unreachable_aet=self.unreachable_aet,
                closed_port=self.closed_port,
                storage=storage,
            )
        )
        return ["dcmqrscp", "--config", str(configuration), *self.options, str(self.port)]
