"""The verdict on a series: from what is here, what was here, and what the PACS said."""

import pytest

from pypx.actions.plan import Wanted
from pypx.actions.verdict import State, judge, judge_sent
from pypx.dcmtk.dimse import Transfer
from pypx.dicom.status import Status
from pypx.errors import ConnectionRefused, NothingFound, PypxError, RetrieveIncomplete

REFUSED = ConnectionRefused("nothing listens")
ALL_SENT = Transfer(Status(0x0000), completed=4, failed=0, warning=0, remaining=0)


def series(expected: int | None = 4) -> Wanted:
    return Wanted("1.2", "1.2.3", "T1", expected)


@pytest.mark.parametrize(
    ("expected", "before", "held", "transfer", "error", "state"),
    [
        (4, 4, 4, None, None, State.ALREADY_HERE),
        (4, 0, 4, ALL_SENT, None, State.COMPLETE),
        (None, 0, 4, ALL_SENT, None, State.COMPLETE),
        # It came by another way, while the association was lost.
        (4, 0, 4, Transfer(), REFUSED, State.COMPLETE),
        (4, 0, 3, ALL_SENT, None, State.INCOMPLETE),
        (4, 1, 3, Transfer(), REFUSED, State.INCOMPLETE),
        (4, 0, 0, Transfer(), REFUSED, State.FAILED),
        # With --force: sent again, and not sent again.
        (4, 4, 4, ALL_SENT, None, State.COMPLETE),
        (4, 4, 4, Transfer(), REFUSED, State.INCOMPLETE),
        (0, 0, 0, ALL_SENT, None, State.FAILED),
        (None, 0, 0, ALL_SENT, None, State.FAILED),
    ],
)
def test_a_series_that_comes_here(
    expected: int | None,
    before: int,
    held: int,
    transfer: Transfer | None,
    error: PypxError | None,
    state: State,
) -> None:
    verdict = judge(series(expected), before, held, transfer, error)
    assert verdict.state is state
    assert verdict.is_good == (verdict.error is None)
    assert verdict.received == held - before


def test_what_is_missing_is_said() -> None:
    verdict = judge(series(), 0, 3, ALL_SENT, None)
    assert type(verdict.error) is RetrieveIncomplete
    assert "3 of 4" in str(verdict.error)
    assert type(judge(series(0), 0, 0, ALL_SENT, None).error) is NothingFound


def test_a_series_that_goes_elsewhere() -> None:
    assert judge_sent(series(), ALL_SENT, None).state is State.SENT
    assert judge_sent(series(), Transfer(), REFUSED).error is REFUSED
    assert (
        judge_sent(series(), Transfer(Status(0x0000), completed=2, failed=2), None).state is State.INCOMPLETE
    )
    assert judge_sent(series(), Transfer(Status(0xB000), completed=0, failed=4), None).state is State.FAILED
