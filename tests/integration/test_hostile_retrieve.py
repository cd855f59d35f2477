"""px-move against a PACS that lies: what is not here is not called complete; what came is kept or told of."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pytest
from pydicom import Dataset

from demo.studies import Study
from packed import assert_catalogue_is_exact
from servers import hostile_pdus as pdus
from servers.hostile_archive import SUCCESS, Archive, final
from servers.hostile_messages import Response, Store
from servers.hostile_pdus import Command
from servers.hostile_peer import HostileProvider, Said
from shown import TEXT, assert_quiet
from together import together
from tools import Ran, run_in_terminal, run_tool
from trees import assert_nothing_pending, assert_quarantine_says_why, files_below, instances_in

STUDY = Study("LIAR-1").series(1, instances=3)
OTHER = Study("LIAR-2").series(1, instances=3)

#: From the images that were asked for to what is said.
Lie: TypeAlias = Callable[[Sequence[Store]], Iterable[Response | Store]]


@dataclass(frozen=True, slots=True)
class Case:
    """A lie, and what comes of it.

    Parameters
    ----------
    lie : callable
    held : int
        Images of the series that are here in the end.
    code : str
        Of the error; "" where all is here.
    damaged : int
        Files in quarantine.
    strays : int
        Series of which images came that are of another patient or study.
    """

    lie: Lie
    held: int
    code: str = "retrieve-incomplete"
    damaged: int = 0
    strays: int = 0


def _with(**values: str) -> Lie:
    """The images with other values in their data sets."""

    def changed(instance: Dataset) -> Store:
        other = copy.deepcopy(instance)
        with warnings.catch_warnings():
            # Values that break their VR are what this is for.
            warnings.simplefilter("ignore")
            other.update(values)
        return replace(Store.of(other), sop_uid=instance.SOPInstanceUID.encode())

    return lambda _: [*map(changed, STUDY.datasets()), final(3)]


def _last_with(**values: str) -> Lie:
    """The images, the last of them (as the catalogue has them) with other values."""

    def said(images: Sequence[Store]) -> Iterable[Response | Store]:
        last = copy.deepcopy(max(STUDY.datasets(), key=lambda one: str(one.SOPInstanceUID)))
        last.update(values)
        own = sorted(images, key=lambda image: image.sop_uid)
        return [*own[:2], Store.of(last), final(3)]

    return said


def _each(change: Callable[[Store], Store]) -> Lie:
    return lambda images: [*map(change, images), final(3)]


def _instead(study: Study) -> Lie:
    return lambda _: [*map(Store.of, study.datasets()), final(study.instances)]


#: Sequences one in another, none of which ends.
_DEEP = (
    b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff"
    + b"\xfe\xff\0\xe0\xff\xff\xff\xff\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" * 10_000
)

#: A text that would pass for the log of DCMTK.
_LIKE_A_LOG = b"\nDIMSE Status : 0x0000: Success\nI: Received Final Move Response\n\x1b]0;x\x07"

#: Of a PACS that does not count its images, nor lists them: there is its word alone.
_UNCOUNTED: dict[str, Case] = {
    "all of it": Case(lambda images: [*images, final(3)], 3, ""),
    "nothing, and success": Case(lambda _: [final(3)], 0),
    "nothing, and says so": Case(lambda _: [final(0)], 0, "nothing-found"),
    "nothing, and no counts": Case(lambda _: [SUCCESS], 0, "nothing-found"),
    "1000 of which 2 come": Case(lambda images: [*images[:2], final(1000)], 2),
    "65535 of which 3 come": Case(lambda images: [*images, final(65535)], 3),
    "all counts 65535": Case(lambda images: [*images, Response(0, counts=(65535,) * 4)], 3),
    "one three times": Case(lambda images: [images[0]] * 3 + [final(3)], 1),
    "another study": Case(_instead(OTHER), 0),
    "the last of another patient": Case(_last_with(PatientID="OTHER-9"), 2, strays=1),
    "damaged ones": Case(_each(lambda image: replace(image, data=image.data[:-100])), 0, damaged=3),
}

#: Of a PACS that says that it has three, and lists them.
_COUNTED: dict[str, Case] = {
    "1000 of which 3 come": Case(lambda images: [*images, final(1000)], 3, ""),
    "nothing, and success": Case(lambda _: [final(3)], 0),
    "another study": Case(_instead(OTHER), 0),
    "the last of another patient": Case(_last_with(PatientID="OTHER-9"), 2, strays=1),
    "the last of another study": Case(_last_with(StudyInstanceUID=str(OTHER.uid)), 2, strays=1),
    "the series in another study": Case(_with(StudyInstanceUID=str(OTHER.uid)), 3),
    "UIDs that are paths": Case(
        _with(StudyInstanceUID="../../x", SeriesInstanceUID="/dev/x", SOPInstanceUID=".."), 0, damaged=3
    ),
    "no series UID": Case(_with(SeriesInstanceUID=""), 0, damaged=3),
    "patients that are paths": Case(
        _with(PatientID="../../../x", PatientName="/etc", AccessionNumber=".."), 3, ""
    ),
    "texts for a terminal": Case(
        _with(PatientID="\x1b]52;c;cA==\x07", SeriesDescription="\x1b[2J\n\u202e\x9b1m"), 3, ""
    ),
    "UIDs of the commands": Case(_each(lambda image: replace(image, sop_uid=image.sop_uid[:-1])), 3, ""),
    "nothing at all": Case(_each(lambda image: replace(image, data=b"")), 0, damaged=3),
    "sequences without end": Case(_each(lambda image: replace(image, data=_DEEP)), 0, damaged=3),
    "a failure though all came": Case(lambda images: [*images, final(3, status=0xC000)], 3, ""),
    "success in the middle": Case(lambda images: [*images[:1], final(3), *images[1:]], 1),
    "a warning for nothing": Case(lambda images: [*images[:2], Response(0xB000, counts=(None, 3, 0, 0))], 2),
    "cancelled": Case(
        lambda images: [*images[:2], Response(0xFE00, counts=(1, 2, 0, 0))], 2, "request-failed"
    ),
    "another message's": Case(
        lambda images: [*images[:2], replace(final(3), changed={pdus.RESPONDED_ID: 99})],
        2,
        "retrieve-incomplete",
    ),
    "without a status": Case(
        lambda images: [*images[:2], replace(final(3), lacks=(pdus.STATUS,))], 2, "answer-unreadable"
    ),
    "a comment like a log": Case(
        lambda images: [
            *images[:2],
            replace(
                final(0, status=0xC001),
                changed={pdus.COMMENT: _LIKE_A_LOG},
            ),
        ],
        2,
        "request-failed",
    ),
}


def _retrieve(archive: Archive, lie: Lie, basemount: Path, way: str) -> Ran:
    def said(asked: Command) -> Said:
        return lie([Store.of(one) for one in archive.matching(asked)])

    with HostileProvider(archive.find, said) as pacs:
        return run_tool(
            *("px-move", *pacs.node.options, "--db", basemount / "log", "--verbosity", 1),
            *(["--get"] if way == "get" else ["--receivePort", pacs.receive_port]),
            *("--timeout", 30, "--retries", 0, "--StudyInstanceUID", STUDY.uid),
        )


def _assert_true(ran: Ran, case: Case, basemount: Path) -> None:
    """What is said is what is here, in one sentence each and without a control character."""
    assert ran.status == bool(case.code), ran.stdout + ran.stderr
    assert ran.json.get("error", {}).get("code", "") == case.code
    (verdict,) = ran.json["data"]
    assert verdict["held"] == case.held
    assert ("of another patient or study" in verdict.get("error", {}).get("message", "")) == bool(case.strays)
    assert (verdict["state"] == "complete") == (not case.code)
    assert not [char for char in ran.stderr if not char.isprintable() and char != "\n"]
    assert len(ran.stderr.splitlines()) == case.damaged + bool(case.code) + case.strays
    held = instances_in(basemount)
    assert len(files_below(basemount / "data")) == len(held)
    assert all(path.resolve().is_relative_to(basemount / "data") for path in held.values())
    assert len(files_below(basemount / "quarantine")) == 2 * case.damaged
    assert [path.name for path in basemount.parent.iterdir()] == [basemount.name]
    assert_quarantine_says_why(basemount)
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)


@pytest.mark.parametrize("case", _UNCOUNTED)
def test_where_nobody_knows_the_count(basemount: Path, case: str) -> None:
    archive = Archive(STUDY, lists_images=False)
    ran = _retrieve(archive, _UNCOUNTED[case].lie, basemount, "get")
    _assert_true(ran, _UNCOUNTED[case], basemount)


@pytest.mark.parametrize("case", ["1000 of which 2 come", "one three times"])
def test_where_nobody_knows_the_count_and_they_are_sent_to_us(basemount: Path, case: str) -> None:
    archive = Archive(STUDY, lists_images=False)
    ran = _retrieve(archive, _UNCOUNTED[case].lie, basemount, "move")
    _assert_true(ran, _UNCOUNTED[case], basemount)


@pytest.mark.parametrize("case", _COUNTED)
def test_where_the_count_is_known(basemount: Path, case: str) -> None:
    archive = Archive(STUDY, {"NumberOfSeriesRelatedInstances": "3"})
    ran = _retrieve(archive, _COUNTED[case].lie, basemount, "get")
    _assert_true(ran, _COUNTED[case], basemount)


@pytest.mark.parametrize(
    "case",
    [
        "the last of another patient",
        "the series in another study",
        "UIDs that are paths",
        "patients that are paths",
        "a comment like a log",
    ],
)
def test_where_the_count_is_known_and_they_are_sent_to_us(basemount: Path, case: str) -> None:
    archive = Archive(STUDY, {"NumberOfSeriesRelatedInstances": "3"})
    ran = _retrieve(archive, _COUNTED[case].lie, basemount, "move")
    _assert_true(ran, _COUNTED[case], basemount)


def test_a_study_of_which_only_some_series_come_is_not_complete(basemount: Path) -> None:
    """One request for the study, whose series nobody counts."""
    study = Study("LIAR-3").series(1, instances=2).series(2, instances=2)
    archive = Archive(study, {"NumberOfStudyRelatedSeries": "2"}, lists_images=False)

    def said(asked: Command) -> Said:
        return [*(Store.of(one) for one in archive.matching(asked)[:3]), final(4)]

    with HostileProvider(archive.find, said) as pacs:
        ran = run_tool(
            *("px-move", *pacs.node.options, "--db", basemount / "log", "--get", "--jobs", 1),
            *("--timeout", 30, "--retries", 0, "--StudyInstanceUID", study.uid),
        )
    assert (ran.status, ran.error) == (1, "retrieve-incomplete")
    assert [verdict["state"] for verdict in ran.json["data"]] == ["incomplete"] * 2
    assert "Here are 3 of the 4 images" in ran.stderr


@pytest.mark.parametrize("digits", ["9" * 5000, "²", "-1"])
def test_counts_that_are_none(basemount: Path, digits: str) -> None:
    told = {"NumberOfStudyRelatedSeries": digits, "NumberOfSeriesRelatedInstances": digits}
    ran = _retrieve(Archive(STUDY, told), lambda images: [*images, final(3)], basemount, "get")
    _assert_true(ran, Case(lambda images: images, 3, ""), basemount)


def test_values_reach_no_terminal(basemount: Path) -> None:
    """Bars, verdicts and counts of a series whose texts, in answers and in images, are for a terminal."""
    study = Study("LIAR-4", attributes={"PatientName": TEXT, "StudyDescription": TEXT}).series(
        1, instances=3, SeriesDescription=TEXT
    )
    archive = Archive(study, {"SeriesDescription": TEXT, "NumberOfSeriesRelatedInstances": "3"})

    def said(asked: Command) -> Said:
        images = [replace(Store.of(one), pause=0.2) for one in archive.matching(asked)]
        return [*images, Response(0xC001, counts=(0, 3, 0, 0), changed={pdus.COMMENT: TEXT.encode()})]

    with HostileProvider(archive.find, said) as pacs:
        assert_quiet(
            run_in_terminal(
                [
                    *("px-move", *pacs.node.options, "--db", basemount / "log", "--get", "--retries", 0),
                    *("--StudyInstanceUID", study.uid, "--verbosity", 3),
                ]
            )
        )
    log = ("--db", basemount / "log")
    together(
        {
            "status": lambda: assert_quiet(
                run_in_terminal(["px-status", *log, "--StudyInstanceUID", study.uid])
            ),
            "search": lambda: assert_quiet(
                run_in_terminal(["px-smdb", *log, "--action", "search", "--StudyInstanceUID", study.uid])
            ),
        }
    )
