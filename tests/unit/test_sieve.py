"""What is kept of a PACS's answers, whatever their order, and what is said of the rest."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pypx.actions.answers import Sieve, looks_like_a_limit, said_count, some, unchecked_notes


def study(uid: str, **values: str) -> dict[str, str]:
    return {"StudyInstanceUID": uid, **values}


def sifted(matching: dict[str, str], *answers: dict[str, str]) -> tuple[list[str], list[str], list[str]]:
    sieve = Sieve("StudyInstanceUID", "study", matching)
    for answer in answers:
        sieve.take(answer)
    sieve.settle()
    return [values["StudyInstanceUID"] for values in sieve.kept()], sieve.notes(), sieve.unchecked


def test_each_once_and_in_order() -> None:
    first = study("1.2", PatientID="A")
    kept, notes, _ = sifted({}, first, study("1.1"), study("1.2", PatientID="B"))
    assert (kept, notes) == (["1.2", "1.1"], [])


def test_what_does_not_fit_is_counted_by_its_key() -> None:
    answers = [study("1.1", PatientID="A"), study("1.2", PatientID="B"), study("1.3", PatientID="B")]
    kept, notes, unchecked = sifted({"PatientID": "A"}, *answers)
    assert (kept, unchecked) == (["1.1"], [])
    assert notes == ["2 studies left out for not matching PatientID."]


def test_a_key_that_no_answer_tells_is_unchecked() -> None:
    kept, notes, unchecked = sifted({"PatientID": "A"}, study("1.1"), study("1.2", PatientID=""))
    assert (kept, notes, unchecked) == (["1.1", "1.2"], [], ["PatientID"])


def test_nothing_is_unchecked_where_nothing_came() -> None:
    assert sifted({"PatientID": "A"}) == ([], [], [])


def test_keys_that_match_everything_are_not_checked() -> None:
    kept, notes, unchecked = sifted({"PatientID": "*", "PatientName": ""}, study("1.1"))
    assert (kept, notes, unchecked) == (["1.1"], [], [])


_ANSWERS = st.lists(
    st.builds(
        lambda number, patient: study(f"1.{number}", PatientID=patient),
        st.integers(0, 5),
        st.sampled_from(["", "A", "B"]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(_ANSWERS, st.randoms())
def test_the_order_of_answers_decides_no_more_than_their_order(
    answers: list[dict[str, str]], random: object
) -> None:
    # Two answers about one study that contradict each other are another matter.
    answers = list({one["StudyInstanceUID"]: one for one in answers}.values())
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    kept, notes, unchecked = sifted({"PatientID": "A"}, *answers)
    assert sorted(kept) == sorted(sifted({"PatientID": "A"}, *shuffled)[0])
    assert (notes, unchecked) == sifted({"PatientID": "A"}, *shuffled)[1:]


def test_series_by_study() -> None:
    sieve = Sieve("SeriesInstanceUID", "series", {})
    sieve.take({"SeriesInstanceUID": "1.1.1"}, "1.1")
    sieve.take({"SeriesInstanceUID": "1.1.1", "StudyInstanceUID": "1.1"}, "1.1")
    sieve.take({"SeriesInstanceUID": "1.2.1", "StudyInstanceUID": "1.2"}, "1.1")
    sieve.take({"SeriesInstanceUID": "../1", "StudyInstanceUID": "1.1"}, "1.1")
    assert sieve.kept("1.1") == [{"SeriesInstanceUID": "1.1.1", "StudyInstanceUID": "1.1"}]
    assert sieve.kept("1.2") == []
    assert sieve.count == 1
    assert sieve.notes() == [
        "1 series left out for lack of a valid SeriesInstanceUID.",
        "1 series left out for being of another study than the one asked for.",
    ]


def test_numbers_in_words() -> None:
    assert [some(count, "study") for count in (0, 1, 2)] == ["0 studies", "1 study", "2 studies"]
    assert some(2, "series") == "2 series"
    assert unchecked_notes([], "study") == []
    assert "no A and no B: whether the series match" in unchecked_notes(["A", "B"], "series")[0]


def test_limits() -> None:
    assert [count for count in (0, 50, 99, 100, 101, 150, 500, 1000) if looks_like_a_limit(count)] == [
        100,
        150,
        500,
        1000,
    ]


def test_counts_that_a_pacs_says() -> None:
    said = {"": None, "7": 7, "007": 7, "-1": None, "٣": None, "many": None, "9" * 5000: None}
    assert {
        text: said_count({"NumberOfStudyRelatedSeries": text}, "NumberOfStudyRelatedSeries") for text in said
    } == said
