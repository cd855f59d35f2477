"""Verbs in order over studies and series: what is done, skipped and said."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from pypx.actions.do import Delay, Feedback, SeriesDone, do, parse_verb_options, parse_verbs
from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.errors import ConnectionLost, PypxError, UsageError


def study(uid: str, *series: str) -> FoundStudy:
    return FoundStudy(
        {"StudyInstanceUID": uid},
        tuple(FoundSeries({"StudyInstanceUID": uid, "SeriesInstanceUID": one}) for one in series),
    )


FOUND = Found((study("1.1", "1.1.1", "1.1.2"), study("1.2", "1.2.1")))


@dataclass
class Recorded:
    """A verb that writes down what it was asked, and fails for the series it is told to."""

    name: str
    fails: Sequence[str] = ()
    cannot_begin: Callable[[Found], PypxError | None] = lambda _found: None
    asked: list[list[str]] = field(default_factory=list)

    def run(self, of: Found) -> list[SeriesDone]:
        if error := self.cannot_begin(of):
            raise error
        self.asked.append([series.uid for series in of.series])
        return [
            SeriesDone(
                series.uid,
                {"state": self.name},
                self.name,
                ConnectionLost("gone") if series.uid in self.fails else None,
            )
            for series in of.series
        ]


def test_each_verb_is_done_over_everything_before_the_next() -> None:
    first, second = Recorded("retrieve"), Recorded("push")
    done = do(FOUND, [first, second])
    assert first.asked == second.asked == [["1.1.1", "1.1.2", "1.2.1"]]
    assert done.error is None
    assert done.to_json() == {
        "00-retrieve": {
            "study": [
                {"1.1": [{"state": "retrieve"}, {"state": "retrieve"}]},
                {"1.2": [{"state": "retrieve"}]},
            ]
        },
        "01-push": {"study": [{"1.1": [{"state": "push"}, {"state": "push"}]}, {"1.2": [{"state": "push"}]}]},
    }


def test_a_series_that_failed_is_skipped_by_later_verbs_and_stops_no_other() -> None:
    first, second, third = Recorded("retrieve", ["1.1.1"]), Recorded("push"), Recorded("register")
    done = do(FOUND, [first, second, third])
    assert second.asked == third.asked == [["1.1.2", "1.2.1"]]
    assert type(done.error) is ConnectionLost
    skipped = done.to_json()["02-register"]["study"][0]["1.1"][0]
    assert skipped == {"SeriesInstanceUID": "1.1.1", "state": "skipped: retrieve failed"}


def test_a_verb_that_cannot_begin_failed_for_the_series_of_that_study_alone() -> None:
    first = Recorded(
        "push", cannot_begin=lambda of: ConnectionLost("gone") if of.studies[0].uid == "1.1" else None
    )
    second = Recorded("register")
    done = do(FOUND, [first, second], Feedback(lambda _verb, _study: None, lambda _series, _done: None))
    states = [one["state"] for one in done.to_json()["00-push"]["study"][0]["1.1"]]
    assert states == ["failed", "failed"]
    assert second.asked == [["1.2.1"]]


def test_whoever_follows_is_told_as_it_goes() -> None:
    told: list[str] = []
    feedback = Feedback(
        lambda verb, of: told.append(f"{verb} {of.uid}"),
        lambda series, done: told.append(f"{series.uid} {done.words}"),
    )
    do(FOUND, [Recorded("retrieve")], feedback)
    assert told == ["retrieve 1.1", "1.1.1 retrieve", "1.1.2 retrieve", "retrieve 1.2", "1.2.1 retrieve"]


def test_with_a_delay_series_come_one_by_one() -> None:
    first, second = Recorded("retrieve"), Recorded("push")
    begun = time.monotonic()
    do(FOUND, [first, second], delay=Delay(fixed=0.05))
    assert time.monotonic() - begun >= 0.15
    assert first.asked == [["1.1.1"], ["1.1.2"], ["1.2.1"]]
    assert second.asked == [["1.1.1", "1.1.2", "1.2.1"]]


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("2.5", 2.5), (" 3 ", 3), ("dynamic:6", 2), ("dynamic", 12)]
)
def test_delays(text: str, seconds: float) -> None:
    series = FoundSeries({"NumberOfSeriesRelatedInstances": "12"})
    assert Delay.parse(text).seconds(series) == seconds


@pytest.mark.parametrize("count", ["999999999", "2147483647", "3600", "3601"])
def test_no_pacs_has_us_wait_for_more_than_an_hour(count: str) -> None:
    series = FoundSeries({"NumberOfSeriesRelatedInstances": count})
    assert Delay.parse("dynamic").seconds(series) == 3600


@pytest.mark.parametrize("count", ["", "-5", "many", str(10**12), "9" * 400])
def test_a_count_that_is_none_makes_no_pause(count: str) -> None:
    series = FoundSeries({"NumberOfSeriesRelatedInstances": count})
    assert Delay.parse("dynamic:6").seconds(series) == 0


@pytest.mark.parametrize(
    "text", ["", "soon", "-1", "nan", "inf", "1e9", "dynamic:", "dynamic:0", "dynamic:-1", "dynamic:x"]
)
def test_what_is_no_delay_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="intraSeriesRetrieveDelay"):
        Delay.parse(text)


def test_verbs() -> None:
    assert parse_verbs(" retrieve, push ,register") == ("retrieve", "push", "register")


@pytest.mark.parametrize(
    ("text", "hint"), [("retreive", "retrieve"), ("fly", "status"), ("", "status"), (",", "push")]
)
def test_what_is_no_verb_is_refused_and_the_verbs_are_named(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_verbs(text)
    assert hint in raised.value.hint


def test_options_of_verbs() -> None:
    verbs = ("retrieve", "push", "register")
    assert parse_verb_options('{"get": true}; {"swift": "a;b}"}', verbs) == (
        {"get": True},
        {"swift": "a;b}"},
        {},
    )
    assert parse_verb_options("", verbs) == ({}, {}, {})


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (';{"db": "a"}', ({}, {"db": "a"}, {})),
        (' ; ; {"db": "a"}', ({}, {}, {"db": "a"})),
        ('{"get": true};;{"db": "a"}', ({"get": True}, {}, {"db": "a"})),
        ('{"get": true};\n', ({"get": True}, {}, {})),
        (";;;", ({}, {}, {})),
    ],
)
def test_a_place_left_empty_is_that_of_its_verb(text: str, places: tuple[dict[str, object], ...]) -> None:
    assert parse_verb_options(text, ("retrieve", "status", "push")) == places


@pytest.mark.parametrize(
    "text", ["get", "[1]", '{"a": 1};{"b": 2};{}', ';;{"a": 1}', '{"a": 1} {"b": 2}', '{"a": 1', "1"]
)
def test_what_are_no_options_of_verbs_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="thenArgs"):
        parse_verb_options(text, ("retrieve", "push"))
