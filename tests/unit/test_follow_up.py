"""What is done with series that were received, until it has succeeded, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from listener import until
from pypx.actions.do import Done, SeriesDone, VerbDone
from pypx.actions.found import Found
from pypx.actions.receiving import follow_up
from pypx.actions.receiving.follow_up import LONGEST_PAUSE, FollowUp, pause_after
from pypx.actions.receiving.line import Line
from pypx.actions.repack import Fate, RepackResult, SeriesVerdict
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.errors import PypxError, StorageRefused, StorageUnreachable

STUDY = "1.2"
ONE, OTHER = "1.2.1", "1.2.2"

PASSING = StorageUnreachable("The storage is away", "Start it.")
PERMANENT = StorageRefused("The password is wrong", "Mend it.")


@dataclass
class Verb:
    """Does a verb with series: what it was asked, and what it is to say of each."""

    errors: dict[str, PypxError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    begins: Callable[[], None] = lambda: None

    def __call__(self, found: Found) -> Done:
        self.begins()
        uids = [series.uid for series in found.series]
        self.asked += uids
        results = tuple(SeriesDone(uid, {}, "pushed", self.errors.get(uid)) for uid in uids)
        return Done((VerbDone("push", ((STUDY, results),)),))


@dataclass
class Site:
    """A BASEMOUNT with its catalogue, and what was said."""

    basemount: Basemount
    catalogue: Catalogue
    said: list[Line] = field(default_factory=list)

    @contextmanager
    def follow_up(self, verb: Callable[[Found], Done]) -> Iterator[FollowUp]:
        following = FollowUp(verb, self.basemount, self.catalogue, "then-1", self.said.append)
        try:
            yield following
        finally:
            following.close(lambda: False)

    @property
    def journal(self) -> Path:
        return self.basemount.log / "then-1.json"

    def owed(self) -> dict[str, str]:
        """What stands in the journal."""
        series: dict[str, str] = json.loads(self.journal.read_text())["series"]
        return series


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    basemount = Basemount.of_log_directory(tmp_path / "B" / "log")
    basemount.prepare()
    with Catalogue.open(basemount) as catalogue:
        yield Site(basemount, catalogue)


def packed(*uids: str) -> RepackResult:
    """An image came for each of these series."""
    return RepackResult(
        series=tuple(
            SeriesVerdict({"SeriesInstanceUID": uid, "StudyInstanceUID": STUDY}, {Fate.STORED: 1})
            for uid in uids
        )
    )


def test_pauses() -> None:
    assert [pause_after(failures) for failures in range(7)] == [10, 20, 40, 80, 160, 320, 600]
    assert all(pause_after(failures) == LONGEST_PAUSE for failures in range(6, 5000))


def test_what_succeeds_is_owed_no_more(site: Site) -> None:
    verb = Verb()
    with site.follow_up(verb) as following:
        following.take(packed(ONE, OTHER))
        following.write_journal()
        assert site.owed() == {ONE: STUDY, OTHER: STUDY}
        # Of what is not complete yet, nothing is done.
        following.finished([ONE])
        until(lambda: following.waiting == 1)
        following.write_journal()
        assert site.owed() == {OTHER: STUDY}
        assert verb.asked == [ONE]
        following.finished([OTHER])
    assert verb.asked == [ONE, OTHER]
    assert not site.journal.exists()
    assert site.said == [Line(False, f"Series {uid}: pushed") for uid in (ONE, OTHER)]


def test_what_fails_for_good_is_tried_again_at_the_next_start(site: Site) -> None:
    refused, again = Verb({ONE: PERMANENT}), Verb()
    with site.follow_up(refused) as following:
        following.take(packed(ONE, OTHER))
        following.finished([ONE, OTHER])
        until(lambda: len(site.said) == 2)
        assert following.waiting == 1
    assert refused.asked == [ONE, OTHER]
    assert site.said == [
        Line(True, f"Series {ONE}: The password is wrong; it is tried again at the next start. Mend it."),
        Line(False, f"Series {OTHER}: pushed"),
    ]
    assert site.owed() == {ONE: STUDY}
    with site.follow_up(again):
        until(lambda: len(site.said) == 3)
    assert again.asked == [ONE]
    assert not site.journal.exists()


def test_what_fails_for_good_is_tried_again_once_more_of_it_comes(site: Site) -> None:
    verb = Verb({ONE: PERMANENT})
    with site.follow_up(verb) as following:
        for times in (1, 2):
            following.take(packed(ONE))
            following.finished([ONE])
            until(lambda times=times: len(site.said) == times)
    assert verb.asked == [ONE, ONE]
    assert site.owed() == {ONE: STUDY}


def test_what_fails_for_a_while_is_due_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_up, "FIRST_PAUSE", 0.01)
    verb = Verb({ONE: PASSING})
    with site.follow_up(verb) as following:
        following.take(packed(ONE))
        following.finished([ONE])
        until(lambda: len(site.said) >= 2)
        verb.errors.clear()
        until(lambda: following.waiting == 0)
    first, *_, last = site.said
    assert first == Line(True, f"Series {ONE}: The storage is away; it is tried again. Start it.")
    assert last == Line(False, f"Series {ONE}: pushed")
    assert not site.journal.exists()


def test_what_waits_for_its_next_turn_is_left_to_the_next_start(site: Site) -> None:
    with site.follow_up(Verb({ONE: PASSING})) as following:
        following.take(packed(ONE))
        following.finished([ONE])
        until(lambda: site.said)
    assert site.owed() == {ONE: STUDY}


def test_of_what_more_comes_for_meanwhile_the_verbs_are_done_again(site: Site) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert goes_on.wait(60)

    verb = Verb(begins=wait)
    with site.follow_up(verb) as following:
        following.take(packed(ONE))
        following.finished([ONE])
        assert begun.wait(60)
        following.take(packed(ONE))
        goes_on.set()
        until(lambda: site.said)
        # It was done with what was there; the image that came since is complete with its series only.
        assert following.waiting == 1
        following.write_journal()
        assert site.owed() == {ONE: STUDY}
        following.finished([ONE])
        until(lambda: following.waiting == 0)
    assert verb.asked == [ONE, ONE]


def test_whatever_goes_wrong_in_a_verb_others_go_on(site: Site) -> None:
    def break_for_one(found: Found) -> Done:
        if found.series[0].uid == ONE:
            raise ZeroDivisionError("not thought of")
        return verb(found)

    verb = Verb()
    with site.follow_up(break_for_one) as following:
        for uid in (ONE, OTHER):
            following.take(packed(uid))
            following.finished([uid])
            until(lambda uid=uid: [line for line in site.said if uid in line.text])
        assert following.waiting == 1
    assert "ZeroDivisionError: not thought of; it is tried again at the next start" in site.said[0].text
    assert verb.asked == [OTHER]
    assert site.owed() == {ONE: STUDY}


def test_a_journal_that_cannot_be_written(site: Site) -> None:
    following = FollowUp(Verb({ONE: PERMANENT}), site.basemount, site.catalogue, "then-1", site.said.append)
    following.take(packed(ONE))
    following.write_journal()
    # Its owner took the directory away, and put something else there.
    site.basemount.log.rename(site.basemount.root / "log-of-before")
    site.basemount.log.write_text("")
    following.take(packed(ONE))
    with pytest.raises(OSError, match="Not a directory"):
        following.write_journal()
    following.finished([ONE])
    with pytest.raises(OSError, match="Not a directory"):
        following.close(lambda: False)
    assert "at the next start" in site.said[0].text
