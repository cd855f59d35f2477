"""Orthanc: a full PACS, from the Debian package orthanc, with a REST side for inspection."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from demo.pacs import Pacs
from demo.server import HOST, free_port
from servers.needs import require


class Orthanc(Pacs):
    """An Orthanc that anybody may query, without plugins."""

    name = "orthanc"
    aec = "ORTHANC"
    answers_counts = True
    answers_series_texts = True

    # Its own way of ending takes three seconds, for a database that is thrown away.
    _seconds_to_end = 0.2

    def configure(self) -> list[str]:
        self.choose_ports()
        self.http_port = free_port()
        storage = str(self.directory / "storage")
        settings = {
            "Name": "pypx-tests",
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "Plugins": [],
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "OrthancExplorerEnabled": False,
            "DicomPort": self.port,
            "DicomAet": self.aec,
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomAlwaysAllowStore": True,
            "DicomModalities": {
                "receiver": [self.aet, HOST, self.receive_port],
                "unreachable": [self.unreachable_aet, HOST, self.closed_port],
            },
            "DefaultEncoding": "Utf8",
            "LimitFindResults": 0,
            "LimitFindInstances": 0,
            "ConcurrentJobs": 4,
            "SaveJobs": False,
        }
        configuration = self.directory / "orthanc.json"
        configuration.write_text(json.dumps(settings, indent=2))
        return [require("Orthanc", "orthanc"), str(configuration)]

    def rest(self, path: str, body: object = None, method: str = "GET") -> Any:
        """One call of Orthanc's REST interface: ``orthanc.rest("/statistics")``."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.http_port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="POST" if body is not None else method,
        )
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def answers(self) -> bool:
        try:
            self.rest("/system")
        except (urllib.error.URLError, OSError):
            return False
        return super().answers()

    @property
    def instances(self) -> int:
        """How many instances it holds."""
        return int(self.rest("/statistics")["CountInstances"])
