"""px-listen under load, and killed under load: what was acknowledged is there, once.

The sizes prove the point in about a minute. PYPX_TEST_KILLS (30) and PYPX_TEST_LOAD (5000, the objects of 20
associations) raise them.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest

from demo.server import free_port
from demo.studies import Study
from listener import PxListen, acknowledged, send, start_sending, until
from packed import assert_catalogue_is_exact
from tools import environment_without
from trees import assert_nothing_pending, assert_quarantine_says_why, files_below, instances_in

pytestmark = pytest.mark.timeout(1200)

_KILLS = int(os.environ.get("PYPX_TEST_KILLS", "30"))
_OBJECTS = int(os.environ.get("PYPX_TEST_LOAD", "5000"))
_ASSOCIATIONS = 20


def _images(directory: Path, name: str, instances: int) -> list[Path]:
    study = Study(name, size=8, attributes={"PatientName": "Load^Test"})
    return study.series(1, instances=instances).write(directory / name)


def _uids(files: list[Path]) -> set[str]:
    return {path.stem for path in files}


def test_twenty_associations_at_once(basemount: Path, tmp_path: Path) -> None:
    each = _OBJECTS // _ASSOCIATIONS
    heaps = [_images(tmp_path, f"P{number}", each) for number in range(_ASSOCIATIONS)]
    # The last of each heap comes again, over the association of its neighbour.
    sent = [heap + heaps[number - 1][-each // 10 :] for number, heap in enumerate(heaps)]
    with PxListen(basemount) as listen:
        senders = [start_sending(listen.port, heap) for heap in sent]
        for sender, heap in zip(senders, sent, strict=True):
            said = sender.communicate(timeout=600)[0]
            assert said.count("I: Received Store Response (Success)") == len(heap), said[-500:]
        listen.wait_until_packed(sum(len(heap) for heap in sent), 600)
        told = listen.status()
        assert told["received"] == each * _ASSOCIATIONS
        assert told["associations"] == _ASSOCIATIONS
        assert told["failed"] == 0, told
    assert set(instances_in(basemount)) == {uid for heap in heaps for uid in _uids(heap)}
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)


class _Sender(threading.Thread):
    """Sends its files for as long as asked, first those that were not acknowledged, over and over."""

    def __init__(self, port: int, files: list[Path]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: set[Path] = set()
        self._port = port
        self._files = files
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.is_set():
            left = [path for path in self._files if path not in self.acknowledged]
            again = random.sample(self._files, 20)
            self.acknowledged.update(send(self._port, left[:400] + again)[0])
            time.sleep(0.02)

    def end(self) -> None:
        self._ending.set()
        self.join()


def test_kill_9_at_random_moments_under_load(basemount: Path, tmp_path: Path) -> None:
    port = free_port()
    senders = [_Sender(port, _images(tmp_path, f"K{number}", 50 * _KILLS)) for number in range(2)]
    for sender in senders:
        sender.start()
    kills = 0
    # As often, and with that much to lose; where all takes longer, so do these.
    while kills < _KILLS or sum(len(sender.acknowledged) for sender in senders) <= _KILLS:
        with PxListen(basemount, port=port) as listen:
            time.sleep(random.uniform(0.0, 0.8) * (1 + kills // _KILLS))  # noqa: S311
            listen.kill(at_once=True)
        kills += 1
    for sender in senders:
        sender.end()
    acknowledged = {uid for sender in senders for uid in _uids(list(sender.acknowledged))}
    assert len(acknowledged) > _KILLS
    with PxListen(basemount, port=port):
        until(
            lambda: not [path for path in files_below(basemount / "incoming") if path.name != ".owner"], 600
        )
    assert_nothing_pending(basemount)
    # What was not acknowledged may have arrived all the same.
    assert set(instances_in(basemount)) >= acknowledged
    assert_catalogue_is_exact(basemount)
    assert_quarantine_says_why(basemount)


def test_a_storescp_that_outlives_a_kill_does_no_harm(basemount: Path, tmp_path: Path) -> None:
    images = _images(tmp_path, "ORPHAN", 2000)
    environment = environment_without("setpriv", tmp_path / "programs")
    with PxListen(basemount, environment=environment) as listen:
        sender = start_sending(listen.port, images)
        until(lambda: len(files_below(basemount / "data")) > 50)
        listen.running.process.kill()
        listen.running.process.wait()
        assert any("storescp" in line for line in listen.running.left().values())
        with PxListen(basemount):
            uids = _uids(acknowledged(sender.communicate(timeout=400)[0]))
            assert len(uids) > 50
            until(lambda: not listen.running.left())
    with PxListen(basemount) as again:
        until(lambda: set(instances_in(basemount)) >= uids, 300, lambda: again.log)
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)
    assert_quarantine_says_why(basemount)
