"""Images that come so slowly that they never will be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.studies import Study
from servers.hostile_archive import Archive
from servers.hostile_peer import HostileProvider
from servers.hostile_wire import Fault, Misdeed
from tools import run_tool

STUDY = Study("DRIP-1").series(1, instances=2)


@pytest.mark.parametrize("at", [2, 3, 6])
def test_images_that_come_a_byte_a_second(basemount: Path, at: int) -> None:
    archive = Archive(STUDY, {"NumberOfSeriesRelatedInstances": "2"})
    with HostileProvider(archive.find, archive.retrieve) as pacs:
        found = run_tool("px-find", *pacs.node.options, "--StudyInstanceUID", STUDY.uid).stdout
    with HostileProvider(archive.find, archive.retrieve, fault=Fault(Misdeed.DRIP, at)) as pacs:
        ran = run_tool(
            *("px-move", *pacs.node.options, "--db", basemount / "log", "--retries", 0, "--timeout", 1),
            *("--receivePort", pacs.receive_port),
            stdin=found,
        )
    assert (ran.status, ran.error) == (1, "peer-timeout")
    assert ran.seconds < 100
