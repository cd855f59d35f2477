"""What a retrieve asks for: whole studies, series, or the instances that are missing."""

from pypx.actions.plan import Request, Wanted, missing_series, requests
from pypx.dicom.query import Level

A = [Wanted("1", f"1.{number}", expected=2) for number in range(1, 4)]
B = [Wanted("2", f"2.{number}", expected=2) for number in range(1, 4)]


def _asked(found: list[Request]) -> list[tuple[Level, int]]:
    return [(request.query.level, len(request.series)) for request in found]


def test_whole_studies_where_all_of_them_is_wanted_and_missing() -> None:
    missing = {one.series_uid for one in (*A, *B)}
    assert _asked(requests([*A, *B], {"1", "2"}, missing, jobs=2)) == [(Level.STUDY, 3), (Level.STUDY, 3)]


def test_series_where_a_study_is_not_wanted_as_a_whole_or_partly_here() -> None:
    missing = {one.series_uid for one in (*A, *B)} - {"2.1"}
    found = requests([*A, *B], {"2"}, missing)
    assert _asked(found) == [(Level.SERIES, 1)] * 5


def test_series_where_whole_studies_would_leave_associations_idle() -> None:
    missing = {one.series_uid for one in A}
    assert _asked(requests(A, {"1"}, missing, jobs=1)) == [(Level.STUDY, 3)]
    assert _asked(requests(A, {"1"}, missing, jobs=2)) == [(Level.SERIES, 1)] * 3


def test_the_instances_that_a_series_lacks() -> None:
    lacking = {"1.1": {f"9.{number}" for number in range(450)}}
    found = requests(A[:1], (), {"1.1"}, lacking)
    assert _asked(found) == [(Level.IMAGE, 1)] * 3
    assert sum(request.expected or 0 for request in found) == 450


def test_missing() -> None:
    assert missing_series(A, {"1.1": 2, "1.2": 1}, force=False) == {"1.2", "1.3"}
    assert missing_series(A, {"1.1": 2, "1.2": 2, "1.3": 2}, force=True) == {"1.1", "1.2", "1.3"}
    assert missing_series([Wanted("1", "1.1")], {"1.1": 5}, force=False) == {"1.1"}
