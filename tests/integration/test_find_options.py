"""Every option of px-find, on both PACS where a PACS is needed."""

from __future__ import annotations

import json
import stat
from datetime import date, timedelta
from pathlib import Path

import pytest

from archives import a_study, archive, series_uid
from datasets import NAMES, plain_follow_up, plain_study
from demo.pacs import Pacs
from demo.server import HOST, free_port
from demo.studies import Study
from finding import assert_fails, assert_says, find, numbers_of, series_of
from pypx.dcmtk.binaries import Binaries
from servers.find_provider import FindProvider, Request
from servers.habits import ending, for_requests
from servers.orthanc import Orthanc
from servers.peers import Wire
from tools import run_tool

#: The studies of patient PLAIN-1, by date, with their series.
STUDY, FOLLOW_UP = "20200229", "20210301"


def found(pacs: Pacs, *options: str | Path) -> dict[str, list[str]]:
    """The dates of the studies of PLAIN-1 that were found, and the numbers of their series."""
    ran = run_tool("px-find", *pacs.node.options, *options)
    assert (ran.status, ran.stderr) == (0, "")
    return {
        study["StudyDate"]["value"]: sorted(one["SeriesNumber"]["value"] for one in study["series"])
        for study in ran.json["data"]
        if study["PatientID"]["value"] == "PLAIN-1"
    }


EVERYTHING = {STUDY: ["1", "2", "3"], FOLLOW_UP: ["1"]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--PatientID", "PLAIN-1"], EVERYTHING),
        (["--PatientID", "PLA?N-*"], EVERYTHING),
        (["--PatientName", "Doe^Jane"], EVERYTHING),
        (["--PatientName", "D*^J?ne"], EVERYTHING),
        (["--PatientSex", "F"], {STUDY: ["1", "2", "3"]}),
        (["--PatientBirthDate", "1980-02-29"], {STUDY: ["1", "2", "3"]}),
        (["--AccessionNumber", "P-1"], {STUDY: ["1", "2", "3"]}),
        (["--StudyDescription", "Follow*"], {FOLLOW_UP: ["1"]}),
        (["--StudyInstanceUID", str(plain_follow_up().uid)], {FOLLOW_UP: ["1"]}),
        (["--StudyInstanceUID", f"{plain_follow_up().uid}, {plain_study().uid}"], EVERYTHING),
        (["--SeriesInstanceUID", str(plain_study().all_series[1].uid)], {STUDY: ["2"]}),
        (
            ["--SeriesInstanceUID", ",".join(str(one.uid) for one in plain_study().all_series[1:])],
            {STUDY: ["2", "3"]},
        ),
        (["--PatientID", "PLAIN-1", "--Modality", "MR"], {STUDY: ["1", "2", "3"]}),
        (["--PatientID", "PLAIN-1", "--Modality", "?T"], {FOLLOW_UP: ["1"]}),
        (["--PatientID", "PLAIN-1", "--ModalitiesInStudy", "CT"], {FOLLOW_UP: ["1"]}),
        (["--PatientID=PLAIN-1", "--Modality=CT"], {FOLLOW_UP: ["1"]}),
        (["--PatientID", "PLAIN-1", "--query", "SeriesNumber=2"], {STUDY: ["2"]}),
        (["--query", "0010,0020=PLAIN-1", "--query", "0020,0011=3"], {STUDY: ["3"]}),
        (["--query", "(0010,0020)=PLAIN-1", "--query", "Modality=CT"], {FOLLOW_UP: ["1"]}),
        (["--PatientID", "PLAIN-1", "--query", "PatientID=PLAIN-1"], EVERYTHING),
        (["--PatientID", "PLAIN-1", "--StudyOnly"], {STUDY: [], FOLLOW_UP: []}),
        (["--PatientID", "PLAIN-1", "--Modality", "CT", "--StudyOnly"], {FOLLOW_UP: []}),
    ],
)
def test_what_is_looked_for(pacs: Pacs, options: list[str], expected: dict[str, list[str]]) -> None:
    assert found(pacs, *options) == expected


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ("20200229", {STUDY}),
        ("2020-02-29", {STUDY}),
        ("2020-01-01-2021-12-31", {STUDY, FOLLOW_UP}),
        ("2021/03/01-2021/03/01", {FOLLOW_UP}),
        ("-20201231", {STUDY}),
        ("20201231-", {FOLLOW_UP}),
        ("20200301-20210228", set()),
        ("today", set()),
    ],
)
def test_dates(pacs: Pacs, dates: str, expected: set[str]) -> None:
    assert set(found(pacs, "--PatientID", "PLAIN-1", "--StudyDate", dates)) == expected


def test_dates_that_are_relative_to_this_day() -> None:
    day = None
    # Once more where midnight came in between.
    while day != date.today():
        day = date.today()
        days = {ago: f"{day - timedelta(days=ago):%Y%m%d}" for ago in (0, 1, 6, 30)}
        held = [a_study(ago, series=1, StudyDate=text) for ago, text in days.items()]
        words = ("today", "yesterday", "last-7-days")
        with FindProvider(held) as pacs:
            asked = {word: numbers_of(find(pacs, "--StudyDate", word)) for word in words}
    assert asked == {"today": [0], "yesterday": [1], "last-7-days": [0, 1, 6]}


@pytest.mark.parametrize(
    "keyword",
    [
        "SeriesDescription",
        "ProtocolName",
        "PerformedStationAETitle",
        "AcquisitionProtocolName",
        "AcquisitionProtocolDescription",
    ],
)
def test_series_texts(keyword: str) -> None:
    held = [a_study(1), a_study(2)]
    held[0].series[1][keyword] = "WANTED"  # type: ignore[index]
    with FindProvider(held) as pacs:
        ran = find(pacs, "--PatientID", "P-*", f"--{keyword}", "WANT*")
        queries = pacs.asked("SERIES")
    assert numbers_of(ran) == [1]
    assert [one[keyword]["value"] for one in ran.json["data"][0]["series"]] == ["WANTED"]
    assert {query.keys[keyword] for query in queries} == {"WANT*"}


def test_series_texts_that_a_pacs_does_not_return_are_said_to_be_unchecked(dcmqrscp: Pacs) -> None:
    options = [*dcmqrscp.node.options, "--PatientID", "PLAIN-1", "--SeriesDescription", "T?"]
    ran = run_tool("px-find", *options, "--verbosity", "1")
    assert ran.status == 0
    assert len(ran.json["data"]) == 2
    assert_says(ran, "The PACS returns no SeriesDescription: whether the series match could not be checked.")


def test_more_attributes_to_return(pacs: Pacs) -> None:
    tags = "PatientComments, 0008,0064 ,(0018,0015)"
    ran = run_tool("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", "--QueryReturnTags", tags)
    assert (ran.status, ran.stderr) == (0, "")
    study = ran.json["data"][0]
    assert study["PatientComments"] == {"tag": "0010,4000", "value": "", "label": "PatientComments"}
    assert study["series"][0]["ConversionType"]["tag"] == "0008,0064"
    assert study["series"][0]["BodyPartExamined"]["tag"] == "0018,0015"


def test_a_limit(pacs: Pacs) -> None:
    ran = run_tool("px-find", *pacs.node.options, "--PatientID", "*", "--limit", "2", "--verbosity", "1")
    assert ran.status == 0
    assert len(ran.json["data"]) == 2
    assert_says(ran, "Stopped after 2 studies, as --limit says; there may be more.")


@pytest.mark.parametrize("key", ["--Modality", "--ModalitiesInStudy"])
def test_a_limit_on_studies_with_series_of_a_modality(pacs: Pacs, key: str) -> None:
    asked = ("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", key)
    for modality, day in (("MR", STUDY), ("CT", FOLLOW_UP)):
        ran = run_tool(*asked, modality, "--limit", "1")
        assert ran.status == 0
        assert [study["StudyDate"]["value"] for study in ran.json["data"]] == [day]


def test_a_limit_that_everything_is_within(pacs: Pacs) -> None:
    ran = run_tool(
        *("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", "--limit", "100", "--verbosity", "1")
    )
    assert (ran.status, ran.stderr) == (0, "")
    assert len(ran.json["data"]) == 2


@pytest.mark.parametrize(("jobs", "associations"), [(1, 2), (2, 3), (32, 3)])
def test_associations_side_by_side(pacs: Pacs, jobs: int, associations: int) -> None:
    with Wire(pacs.port) as wire:
        ran = run_tool("px-find", f"{HOST}:{pacs.aec}:{wire.port}", "--PatientID", "*", "--jobs", jobs)
        assert ran.status == 0
        assert len(ran.json["data"]) > 20
        assert all(study["series"] for study in ran.json["data"])
        assert wire.connections == associations


def test_debug_files(pacs: Pacs, tmp_path: Path) -> None:
    kind, (_, name) = "utf8", NAMES["utf8"]
    ran = run_tool(
        *("px-find", *pacs.node.options, "--PatientID", f"NAMED-{kind}", "--debugToDir", tmp_path / "debug")
    )
    assert (ran.status, ran.stderr) == (0, "")
    (log,) = (tmp_path / "debug").glob("px-find-*.log")
    (answer,) = (tmp_path / "debug").glob("px-find-*.json")
    assert stat.S_IMODE((tmp_path / "debug").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (log, answer)} == {0o600}
    assert json.loads(answer.read_text()) == ran.json
    assert name in answer.read_text()
    text = log.read_text()
    assert "PatientID=…" in text
    assert f"NAMED-{kind}" not in text
    assert "Received Final Find Response (Success)" in text


def test_debug_files_of_a_failure(tmp_path: Path) -> None:
    ran = run_tool("px-find", f"{HOST}:ARCHIVE:{free_port()}", "--PatientID", "X", "--debugToDir", tmp_path)
    assert ran.status == 1
    (log,) = tmp_path.glob("*.log")
    (answer,) = tmp_path.glob("*.json")
    assert "Connection refused" in log.read_text()
    assert json.loads(answer.read_text()) == ran.json


@pytest.mark.parametrize("verbosity", [0, 1])
def test_nothing_of_a_patient_is_said_unasked(pacs: Pacs, verbosity: int) -> None:
    query = ["--PatientName", "Doe*", "--query", "PatientComments=x", "--verbosity", str(verbosity)]
    ran = run_tool("px-find", *pacs.node.options, *query)
    assert ran.status == 0
    for value in ("Doe", "PLAIN", "P-1", "Jane", str(plain_study().uid)):
        assert value not in ran.stderr


def test_levels_of_verbosity() -> None:
    with FindProvider([a_study(1), a_study(2)], ignores=["PatientName"]) as pacs:
        said = [
            find(pacs, "--PatientName", "*1", verbosity=level).stderr.splitlines() for level in (0, 1, 2, 3)
        ]
        openly = find(pacs, "--PatientName", "*1", "--log-phi", verbosity=3).stderr
    assert [len(lines) for lines in said[:2]] == [0, 1]
    assert {"Asking", "Studies found: 1, series: 2"} <= {
        word for word in ("Asking", "Studies found: 1, series: 2") if word in "\n".join(said[2])
    }
    assert "findscu" not in "\n".join(said[2])
    assert "*1" not in "\n".join(said[2])
    for word in ("findscu -v -S", "Received Final Find Response (Success)", "-k PatientName=…"):
        assert word in "\n".join(said[3])
    assert "*1" not in "\n".join(said[3])
    assert "-k 'PatientName=*1'" in openly
    assert all(line.startswith("px-find: ") for lines in said for line in lines)


class CappedOrthanc(Orthanc):
    """An Orthanc whose administrator lets it send five matches."""

    def configure(self) -> list[str]:
        command = super().configure()
        configuration = Path(command[-1])
        settings = json.loads(configuration.read_text())
        configuration.write_text(json.dumps({**settings, "LimitFindResults": 5}))
        return command


def test_a_limit_of_the_pacs_is_told(tmp_path: Path) -> None:
    studies = [Study(f"CAP-{number}").series(1) for number in range(8)]
    directory = tmp_path / "orthanc"
    directory.mkdir()
    with CappedOrthanc(directory) as pacs:
        pacs.store([path for study in studies for path in study.write(tmp_path / "files")])
        everything = run_tool("px-find", *pacs.node.options, "--PatientID", "CAP-*")
        three = run_tool("px-find", *pacs.node.options, "--PatientID", "CAP-*", "--limit", "3")
    assert (everything.status, everything.error) == (1, "results-capped")
    assert len(everything.json["data"]) == 5
    assert "after 5 matches" in everything.stderr
    assert (three.status, three.stderr) == (0, "")
    assert len(three.json["data"]) == 3


def test_a_series_that_is_nowhere(pacs: Pacs) -> None:
    assert found(pacs, "--SeriesInstanceUID", "1.2.3.4.5") == {}


def test_a_pacs_that_does_not_look_up_a_series_without_its_study() -> None:
    def is_relational(request: Request) -> bool:
        return request.level == "SERIES" and not request.keys.get("StudyInstanceUID")

    with FindProvider([a_study(1)], for_requests(is_relational, ending(0xA900))) as pacs:
        refused = find(pacs, "--SeriesInstanceUID", series_uid(1, 1), status=1)
        helped = find(pacs, "--SeriesInstanceUID", series_uid(1, 1), "--PatientID", "P-*")
    assert_fails(refused, "request-failed", "by the UID alone", "--StudyInstanceUID or --PatientID")
    assert series_of(helped) == [[series_uid(1, 1)]]


def test_an_older_findscu_is_given_one_query_at_a_time(tmp_path: Path) -> None:
    older = tmp_path / "findscu"
    older.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "\\$dcmtk: findscu v3.6.6 2021-01-14 \\$"; exit; fi\n'
        f'exec {Binaries().path("findscu")} "$@"\n'
    )
    older.chmod(0o755)
    with FindProvider(archive(3)) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--findscu", str(older))
        assert pacs.associations == 4
    assert numbers_of(ran) == [1, 2, 3]
    assert {len(series) for series in series_of(ran)} == {2}
