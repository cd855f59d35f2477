"""Pauses before something is tried again."""

from __future__ import annotations

import threading
import time

import pytest

from pypx.actions import retrieving
from pypx.errors import Interrupted
from pypx.storage.retries import LONGEST_PAUSE, Patience, Retries


def test_pauses_grow_up_to_the_longest() -> None:
    retries = Retries(10, 1.0)
    for _ in range(50):
        pauses = [retries.pause(retry) for retry in range(1, 11)]
        assert 0.75 <= pauses[0] <= 1.25
        assert 3.0 <= pauses[2] <= 5.0
        assert pauses[-1] <= LONGEST_PAUSE * 1.25
    assert len({retries.pause(3) for _ in range(20)}) > 1


def test_a_pacs_that_is_away_is_asked_again_within_a_minute() -> None:
    # As many retries as --retries takes.
    assert [retrieving.pause_after(fruitless) for fruitless in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert all(retrieving.pause_after(fruitless) == retrieving.LONGEST_PAUSE for fruitless in range(6, 101))


def test_what_the_other_side_asks_for_is_heard() -> None:
    assert Retries(1, 0.1).pause(1, 7.0) == 7.0
    assert Retries(1, 0.1).pause(1, 7000.0) == LONGEST_PAUSE
    assert Retries(1, 8.0).pause(1, 1.0) >= 6.0


def test_waiting_can_be_ended() -> None:
    patience = Patience()
    patience.wait(0.01)
    threading.Timer(0.05, patience.end).start()
    begun = time.monotonic()
    with pytest.raises(Interrupted):
        patience.wait(30)
    assert time.monotonic() - begun < 25
    with pytest.raises(Interrupted):
        patience.wait(30)
