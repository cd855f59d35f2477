"""px-find against PACS that stop, stall, abort or send nonsense: what was sent is kept, and the rest told."""

from __future__ import annotations

from pathlib import Path

import pytest

from archives import a_study, archive, series_uid, study_uid
from finding import assert_fails, assert_says, find, numbers_of, series_of
from pypx.actions.asking import WIDENING
from servers.find_provider import FindProvider, Habit, element, tag_of
from servers.habits import (
    aborting,
    aborting_every,
    capped,
    ending,
    for_requests,
    of_level,
    sending,
    told_to_stop,
    waiting,
)
from tools import run_tool

PATIENT_ID = element(tag_of("PatientID"), b"P-1 ")

#: Bytes that are no data set, each broken in its own way.
_NO_DATA_SETS = {
    "nothing": b"",
    "cut within a value": PATIENT_ID[:-2],
    "cut within a header": PATIENT_ID[:6],
    "an odd number of bytes": b"\xff" * 33,
    "a length beyond the end": PATIENT_ID[:4] + b"\xf0\xff\xff\x7f" + b"P-1 ",
    "sequences without end": b"\x32\x00\x64\x10\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000,
}


def of_study(number: int, habit: Habit) -> Habit:
    """A habit with the query for the series of one study."""
    return for_requests(
        lambda request: request.level == "SERIES" and request.keys["StudyInstanceUID"] == study_uid(number),
        habit,
    )


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xFE00])
def test_studies_capped_with_a_status(status: int) -> None:
    with FindProvider(archive(5), of_level("STUDY", ending(status, after=3))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert numbers_of(ran) == [1, 2, 3]
    assert {len(series) for series in series_of(ran)} == {2}
    assert_fails(ran, "results-capped", "after 3 matches", f"0x{status:04X}", "Narrow the query")


@pytest.mark.parametrize("status", [0xA700, 0xFE00])
def test_studies_capped_at_nothing(status: int) -> None:
    with FindProvider(archive(5), of_level("STUDY", ending(status))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert "data" not in ran.json
    assert_fails(ran, "results-capped", "after 0 matches", "Narrow the query")


@pytest.mark.parametrize("status", [0xA700, 0xFE00])
def test_series_capped_with_a_status(status: int) -> None:
    habit = of_study(2, ending(status, after=1))
    with FindProvider(archive(3, series=3), habit) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert [len(series) for series in series_of(ran)] == [3, 1, 3]
    assert_fails(
        ran,
        "results-capped",
        "the series of 1 of 3 studies",
        notes=["fewer series than it says it has of 1 study"],
    )


def test_studies_capped_silently() -> None:
    with FindProvider(archive(130, series=0), of_level("STUDY", capped(100))) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert len(ran.json["data"]) == 100
    assert_says(ran, "Exactly 100 studies: perhaps a limit of the PACS. Narrow the query")


def test_a_number_that_is_not_round_is_no_limit() -> None:
    with FindProvider(archive(101, series=0)) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--StudyOnly")
    assert len(ran.json["data"]) == 101
    assert ran.stderr == ""


def test_a_cap_is_seen_before_what_does_not_fit_is_left_out() -> None:
    held = [*archive(60), *[a_study(number, PatientName="Other") for number in range(61, 131)]]
    with FindProvider(held, of_level("STUDY", capped(100)), ignores=["PatientName"]) as pacs:
        ran = find(pacs, "--PatientName", "Doe*", "--StudyOnly")
    assert len(ran.json["data"]) == 60
    assert_says(ran, "40 studies left out", "Exactly 100 studies")


def test_series_capped_silently_where_the_pacs_says_how_many_it_has() -> None:
    with FindProvider(archive(2, series=3), of_level("SERIES", capped(2))) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert_says(ran, "fewer series than it says it has of 2 studies")


def test_series_capped_silently_where_it_does_not() -> None:
    held = [a_study(1, series=130), a_study(2)]
    with FindProvider(held, of_level("SERIES", capped(100)), lacks=["NumberOfStudyRelatedSeries"]) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert_says(ran, "A round number of series, perhaps a limit of the PACS: 1 study.")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xC001, "unable to process"),
        (0xA900, "does not fit the service"),
        (0x0122, "does not offer"),
        (0x0124, "not authorized"),
        (0x4711, "0x4711"),
    ],
)
def test_a_study_query_that_fails(status: int, words: str) -> None:
    with FindProvider(archive(3), ending(status)) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert_fails(ran, "request-failed", "study query", words)


def test_a_study_query_that_fails_after_some_answers() -> None:
    with FindProvider(archive(3), of_level("STUDY", ending(0xC001, after=2))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert numbers_of(ran) == [1, 2]
    assert_fails(ran, "request-failed", "study query", "unable to process")


def test_one_series_query_of_many_that_fails() -> None:
    with FindProvider(archive(25), of_study(7, ending(0xC001))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert [len(series) for series in series_of(ran)] == [2] * 6 + [0] + [2] * 18
    assert_fails(
        ran,
        "request-failed",
        "the series of 1 of 25 studies",
        notes=["fewer series than it says it has of 1 study"],
    )


def test_a_study_whose_series_query_failed_is_not_said_to_match() -> None:
    with FindProvider(archive(3), of_study(2, ending(0xC001))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--Modality", "CT", status=1)
    assert numbers_of(ran) == [1, 3]
    assert_fails(ran, "request-failed", "the series of 1 of 3 studies")


def of_series_alone(number: int, habit: Habit) -> Habit:
    """A habit with the query for a series by its UID alone."""
    return for_requests(
        lambda request: (
            request.level == "SERIES"
            and not request.keys.get("StudyInstanceUID")
            and request.keys["SeriesInstanceUID"] == series_uid(number, 1)
        ),
        habit,
    )


@pytest.mark.parametrize(
    ("habit", "code"), [(ending(0xC001), "request-failed"), (aborting(), "connection-lost")]
)
def test_one_of_several_series_that_is_not_looked_up(habit: Habit, code: str) -> None:
    wanted = ",".join(series_uid(number, 1) for number in (1, 2, 3))
    with FindProvider(archive(3), of_series_alone(2, habit)) as pacs:
        ran = find(pacs, "--SeriesInstanceUID", wanted, status=1)
    assert series_of(ran) == [[series_uid(1, 1)], [series_uid(3, 1)]]
    assert_fails(ran, code, "1 of 3 series")


def test_what_is_not_known_in_full_is_not_retrieved_as_if_it_were_all(tmp_path: Path) -> None:
    with FindProvider(archive(1), of_study(1, ending(0xC001, after=1))) as pacs:
        options = ("--get", "--StudyInstanceUID", study_uid(1), "--db", tmp_path / "log")
        ran = run_tool("px-move", pacs.node.word, *options)
    assert ran.status == 1
    assert ran.error == "request-failed"
    assert "the series of 1 of 1 studies" in ran.json["error"]["message"]


def test_an_abort_before_the_first_answer() -> None:
    with FindProvider(archive(3), aborting()) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert "data" not in ran.json
    assert_fails(ran, "connection-lost")
    assert pacs.associations == 1


def test_an_abort_in_the_middle_of_the_studies() -> None:
    with FindProvider(archive(5), of_level("STUDY", aborting(after=3))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
        of_modality = find(pacs, "--PatientID", "P-*", "--Modality", "CT", status=1)
    assert numbers_of(ran) == [1, 2, 3]
    assert_fails(ran, "connection-lost")
    assert pacs.asked("SERIES") == []
    assert numbers_of(of_modality) == []


def test_an_abort_over_the_series_of_one_study() -> None:
    with FindProvider(archive(25), of_study(5, aborting(after=1))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert [len(series) for series in series_of(ran)] == [2] * 4 + [1] + [2] * 20
    assert_fails(
        ran,
        "connection-lost",
        "the series of 1 of 25 studies",
        notes=["fewer series than it says it has of 1 study"],
    )
    assert pacs.associations <= 6


def test_a_pacs_that_takes_few_queries_in_one_association() -> None:
    with FindProvider(archive(12), of_level("SERIES", aborting_every(4))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--jobs", "1")
    assert ran.stderr == ""
    assert {len(series) for series in series_of(ran)} == {2}


def test_a_pacs_that_aborts_over_all_series_is_not_asked_for_ever() -> None:
    with FindProvider(archive(25), of_level("SERIES", aborting())) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert len(ran.json["data"]) == 25
    assert_fails(
        ran,
        "connection-lost",
        "the series of 25 of 25 studies",
        notes=["fewer series than it says it has of 25 studies"],
    )
    assert pacs.associations <= 7


def test_a_pacs_that_takes_one_association_at_a_time() -> None:
    with FindProvider(archive(25), most_associations=1) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    assert {len(series) for series in series_of(ran)} == {2}


@pytest.mark.parametrize("broken", _NO_DATA_SETS)
def test_a_study_that_is_no_data_set(broken: str) -> None:
    with FindProvider(archive(3), of_level("STUDY", sending(_NO_DATA_SETS[broken]))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert_fails(ran, "answer-unreadable", "HOSTILE")


@pytest.mark.parametrize("broken", _NO_DATA_SETS)
def test_the_series_of_one_study_are_no_data_sets(broken: str) -> None:
    with FindProvider(archive(25), of_study(5, sending(_NO_DATA_SETS[broken]))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", status=1)
    assert [len(series) for series in series_of(ran)] == [2] * 4 + [0] + [2] * 20
    assert_fails(ran, "answer-unreadable", notes=["fewer series than it says it has of 1 study"])


def test_answers_that_are_slow_and_in_time() -> None:
    with FindProvider(archive(1), waiting(1.3)) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--timeout", "6")
    assert ran.stderr == ""
    assert series_of(ran) == [[series_uid(1, 1), series_uid(1, 2)]]
    assert ran.seconds > 6


def test_answers_that_are_too_slow() -> None:
    with FindProvider(archive(3), of_level("STUDY", waiting(120))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--timeout", "1", status=1)
    assert_fails(ran, "peer-timeout", "--timeout")
    assert ran.seconds < 40


def test_a_pacs_that_stalls_in_the_middle() -> None:
    with FindProvider(archive(25), of_study(5, waiting(120))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--timeout", "4", "--jobs", "1", status=1)
    assert [len(series) for series in series_of(ran)] == [2] * 4 + [0] * 21
    assert_fails(
        ran,
        "peer-timeout",
        "the series of 21 of 25 studies",
        notes=["fewer series than it says it has of 21 studies"],
    )
    assert ran.seconds < 60


def test_thousands_of_answers() -> None:
    with FindProvider(archive(3000, series=0)) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--StudyOnly")
    assert len(ran.json["data"]) == 3000
    assert ran.json["data"][2999]["PatientName"]["value"] == "Doe^Number 3000"


def test_a_limit_ends_the_query_at_the_pacs() -> None:
    with FindProvider(archive(500, series=0), of_level("STUDY", told_to_stop(lambda _: 5))) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--limit", "5")
    assert numbers_of(ran) == [1, 2, 3, 4, 5]
    assert pacs.cancelled == 1
    assert_says(ran, "Stopped after 5 studies, as --limit says; there may be more.")


def test_a_limit_counts_what_fits() -> None:
    held = [
        *[a_study(number, PatientName="Other") for number in range(1, 91)],
        *[a_study(n) for n in range(91, 111)],
    ]
    asked_for = told_to_stop(lambda request: 3 * WIDENING**request.number)
    with FindProvider(held, of_level("STUDY", asked_for), ignores=["PatientName"]) as pacs:
        ran = find(pacs, "--PatientName", "Doe*", "--limit", "3", "--StudyOnly")
    assert numbers_of(ran) == [91, 92, 93]
    assert len(pacs.requests) == 3


@pytest.mark.parametrize("key", ["--Modality", "--ModalitiesInStudy"])
def test_a_limit_counts_what_has_such_series(key: str) -> None:
    # The PACS does not tell ModalitiesInStudy, so that the series decide in either case.
    held = [
        a_study(number, series=2 if number in (20, 22, 90) else 1, ModalitiesInStudy="")
        for number in range(1, 98)
    ]
    with FindProvider(held, of_level("STUDY", waiting(0.005)), ignores=["ModalitiesInStudy"]) as pacs:
        two, all_three = find(pacs, key, "MR", "--limit", "2"), find(pacs, key, "MR", "--limit", "30")
        exactly = find(pacs, key, "MR", "--limit", "3")
    assert numbers_of(two) == [20, 22]
    assert "Stopped after 2 studies, as --limit says; there may be more." in two.stderr
    assert numbers_of(all_three) == numbers_of(exactly) == [20, 22, 90]
    assert "--limit" not in all_three.stderr + exactly.stderr


def test_a_limit_and_series_that_no_study_has() -> None:
    with FindProvider(archive(100, series=1)) as pacs:
        ran = find(pacs, "--Modality", "MR", "--limit", "2")
    assert numbers_of(ran) == []
    assert "--limit" not in ran.stderr


def test_a_limit_that_is_not_reached() -> None:
    with FindProvider(archive(3)) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--limit", "3")
        more = find(pacs, "--PatientID", "P-*", "--limit", "30")
    assert numbers_of(ran) == numbers_of(more) == [1, 2, 3]
    assert more.stderr == ""


def test_a_pacs_that_does_not_listen_to_a_cancel() -> None:
    with FindProvider(archive(40, series=1), hears_cancel=False) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--limit", "3")
    assert numbers_of(ran) == [1, 2, 3]
    assert_says(ran, "Stopped after 3 studies")
