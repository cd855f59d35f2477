"""How far a series is, in words."""

from __future__ import annotations

import pytest

from pypx.actions.status import Status, counts, follow, state
from pypx.basemount.records import SeriesRecord


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (SeriesRecord("1"), "not here"),
        (SeriesRecord("1", packed=3), "packed"),
        (SeriesRecord("1", requested=3), "requested, none of 3 here"),
        (SeriesRecord("1", requested=3, packed=2), "incomplete, 2 of 3 here"),
        (SeriesRecord("1", requested=3, packed=3), "complete"),
        (SeriesRecord("1", requested=3, packed=4), "complete"),
        (SeriesRecord("1", quarantined=1), "not here, 1 damaged, in quarantine"),
        (
            SeriesRecord("1", requested=3, packed=2, quarantined=1),
            "incomplete, 2 of 3 here, 1 damaged, in quarantine",
        ),
        (SeriesRecord("1", requested=3, packed=3, pushed=3, registered=3), "complete, pushed, registered"),
        (SeriesRecord("1", requested=3, packed=3, pushed=1, registered=0), "complete, 1 pushed"),
        (
            SeriesRecord("1", requested=3, packed=1, failure="it broke"),
            "incomplete, 1 of 3 here, last failure: it broke",
        ),
    ],
)
def test_state(record: SeriesRecord, words: str) -> None:
    assert state(record) == words


def test_what_nobody_recorded_is_unknown_and_never_a_number() -> None:
    record = SeriesRecord("1.2", "1", "T1", "MR", packed=2, quarantined=1)
    assert Status((record,)).to_json() == {
        "status": "success",
        "data": [
            {
                "StudyInstanceUID": "1",
                "SeriesInstanceUID": "1.2",
                "SeriesDescription": "T1",
                "Modality": "MR",
                "requested": "unknown",
                "received": 3,
                "packed": 2,
                "pushed": "unknown",
                "registered": "unknown",
                "state": "packed, 1 damaged, in quarantine",
            }
        ],
    }


def test_a_count_of_none_at_all_is_a_number() -> None:
    assert counts(SeriesRecord("1", requested=0, pushed=0))["requested"] == 0


def test_complete_is_what_was_requested_or_what_the_pacs_has() -> None:
    here = SeriesRecord("1", packed=3)
    assert Status((SeriesRecord("1", packed=3, requested=3),)).is_complete
    assert Status((here,), told={"1": 3}).is_complete
    assert Status(()).is_complete
    assert not Status((here,)).is_complete
    assert Status((here,)).without_end == 1
    assert not Status((here,), told={"1": 4}).is_complete
    assert not Status((SeriesRecord("1", packed=3, requested=4),), told={"1": 3}).is_complete
    assert not Status((), awaited=("1.2",)).is_complete


def test_who_follows_sees_each_state_until_the_complete_one() -> None:
    states = iter([Status((SeriesRecord("1", requested=2, packed=packed),)) for packed in range(5)])
    waited: list[float] = []
    seen = [status.series[0].packed for status in follow(lambda: next(states), waited.append)]
    assert seen == [0, 1, 2]
    assert len(waited) == 2
