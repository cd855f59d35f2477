"""px-status of what px-repack packed and of what px-find found."""

from __future__ import annotations

import json
import re
import resource
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import catalogues
import datasets
import finds
import mounts
from demo.studies import Study
from packed import repack
from pypx.actions.found import to_json
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from tools import SCRIPTS, Ran, Running, run_in_terminal, run_tool

pytestmark = pytest.mark.databases("sqlite", "postgresql")

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def study(basemount: Path, tmp_path: Path) -> Study:
    """The plain study, packed."""
    study = datasets.plain_study()
    study.write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    return study


def status(basemount: Path, *arguments: str | Path, expected: int = 0, stdin: str = "") -> Ran:
    ran = run_tool("px-status", "--db", basemount / "log", *arguments, stdin=stdin)
    assert ran.status == expected, ran.stderr
    return ran


def _find(study: Study, **options: object) -> str:
    """The JSON of px-find for a study."""
    series = (
        finds.series(one.uid, SeriesDescription=f"found {one.number}", Modality="MR")
        for one in study.all_series
    )
    return json.dumps(to_json(finds.found(finds.study(study.uid, *series), **options)))


def test_a_study_has_a_row_for_each_series_in_their_order(basemount, study):
    rows = status(basemount, "--StudyInstanceUID", study.uid).json["data"]
    assert [row["SeriesDescription"] for row in rows] == ["Localizer", "T1", "T2"]
    assert [row["packed"] for row in rows] == [3, 12, 5]
    assert {row["requested"] for row in rows} == {"unknown"}
    assert {row["StudyInstanceUID"] for row in rows} == {study.uid}
    assert {row["state"] for row in rows} == {"packed"}


@pytest.mark.parametrize("separator", [",", "\\", " , "])
def test_several_series_in_the_order_they_are_asked_for(basemount, study, separator):
    uids = [study.all_series[2].uid, study.all_series[0].uid]
    rows = status(basemount, "--SeriesInstanceUID", separator.join(uids)).json["data"]
    assert [row["SeriesInstanceUID"] for row in rows] == uids


def test_what_was_requested_and_pushed_is_told(basemount, study):
    series = study.all_series[0]
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.record(
            [
                Event(series.uid, "requested", study.uid, 4, target="PACS"),
                Event(series.uid, "pushed", study.uid, 3, target="swift"),
            ]
        )
    (row,) = status(basemount, "--SeriesInstanceUID", series.uid).json["data"]
    assert (row["requested"], row["received"], row["pushed"], row["registered"]) == (4, 3, 3, "unknown")
    assert row["state"] == "incomplete, 3 of 4 here, pushed"


def test_a_find_shows_also_what_is_not_here(basemount, study):
    other = datasets.plain_follow_up()
    rows = status(basemount, stdin=_find(study) + "\n" + _find(other)).json["data"]
    assert [(row["SeriesDescription"], row["packed"], row["state"]) for row in rows] == [
        ("Localizer", 3, "packed"),
        ("T1", 12, "packed"),
        ("T2", 5, "packed"),
        ("found 1", 0, "not here"),
    ]
    assert rows[-1]["StudyInstanceUID"] == other.uid
    assert rows[-1]["requested"] == "unknown"


def test_a_finds_log_directory_counts_where_none_is_named(basemount, study):
    ran = run_tool("px-status", stdin=_find(study, db=str(basemount / "log")))
    assert [row["packed"] for row in ran.json["data"]] == [3, 12, 5]
    elsewhere = run_tool(
        "px-status",
        *("--db", basemount.parent / "other" / "log"),
        stdin=_find(study, db=str(basemount / "log")),
    )
    assert [row["packed"] for row in elsewhere.json["data"]] == [0, 0, 0]
    assert not (basemount.parent / "other").exists()


def test_a_find_of_studies_alone_shows_the_series_that_are_here(basemount, study):
    document = json.loads(_find(study, StudyOnly=True))
    document["data"][0]["series"] = []
    rows = status(basemount, stdin=json.dumps(document)).json["data"]
    assert [row["packed"] for row in rows] == [3, 12, 5]


def test_damaged_images_were_received_and_not_packed(basemount, study, tmp_path):
    more = Study("PLAIN-1", attributes=study.attributes).series(1, instances=4)
    file = more.write(tmp_path / "more")[3]
    file.write_bytes(file.read_bytes()[:-10])
    repack(basemount, "--xcrdirfile", file, status=1)
    repack(basemount, "--xcrdirfile", file, status=1)
    (row,) = status(basemount, "--SeriesInstanceUID", study.all_series[0].uid).json["data"]
    assert (row["received"], row["packed"], row["state"]) == (4, 3, "packed, 1 damaged, in quarantine")


@pytest.mark.parametrize("option", ["--StudyInstanceUID", "--SeriesInstanceUID"])
def test_a_uid_that_the_catalogue_does_not_have(basemount, study, option):
    ran = status(basemount, option, "1.2.3", expected=1)
    assert ran.error == "nothing-found"
    assert "1.2.3" in ran.stderr


@pytest.mark.parametrize("option", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_a_uid_that_the_catalogue_does_not_have_does_not_stop_the_others(basemount, study, option):
    known = study.uid if option == "StudyInstanceUID" else study.all_series[1].uid
    ran = status(basemount, f"--{option}", f"{known},1.2.3", expected=1)
    assert (ran.json["status"], ran.error) == ("error", "nothing-found")
    *rows, missing = ran.json["data"]
    assert "T1" in [row["SeriesDescription"] for row in rows]
    assert {row["state"] for row in rows} == {"packed"}
    assert not any("error" in row for row in rows)
    other = ({"StudyInstanceUID", "SeriesInstanceUID"} - {option}).pop()
    assert (missing[option], missing[other], missing["state"]) == ("1.2.3", "", "not here")
    assert missing["error"]["code"] == "nothing-found"
    assert "1.2.3" in ran.stderr
    several = status(basemount, f"--{option}", f"1.2.3,{known},1.2.4,1.2.5", expected=1)
    assert len(several.json["data"]) == len(rows) + 3
    assert "2 others" in several.stderr


@on_sqlite
def test_a_basemount_without_a_catalogue_stays_without(basemount):
    ran = status(basemount, "--StudyInstanceUID", "1.2.3", expected=1)
    assert ran.error == "nothing-found"
    assert not basemount.exists()


def test_series_and_study_are_compared_when_asked(basemount, study):
    series = study.all_series[0].uid
    both = ("--SeriesInstanceUID", series, "--verifySeriesInStudy", "--StudyInstanceUID")
    (row,) = status(basemount, *both, study.uid).json["data"]
    assert row["inStudy"] is True
    ran = status(basemount, *both, "1.2.3", expected=1)
    assert ran.error == "nothing-found"
    assert study.uid in ran.json["error"]["hint"]
    assert [row["inStudy"] for row in ran.json["data"]] == [False]
    several = status(basemount, *both, f"1.2.3,{study.uid}")
    assert [row["inStudy"] for row in several.json["data"]] == [True]
    whole = status(basemount, "--verifySeriesInStudy", "--StudyInstanceUID", study.uid)
    assert [row["inStudy"] for row in whole.json["data"]] == [True] * 3
    alone = status(basemount, "--SeriesInstanceUID", series, "--verifySeriesInStudy", expected=2)
    assert "--StudyInstanceUID" in alone.stderr
    unasked = status(basemount, "--SeriesInstanceUID", series, "--StudyInstanceUID", "1.2.3")
    assert "inStudy" not in unasked.json["data"][0]


def test_a_find_is_compared_with_what_is_here(basemount, study):
    other = datasets.plain_follow_up()
    ran = status(basemount, "--verifySeriesInStudy", stdin=_find(study) + _find(other))
    assert [row["inStudy"] for row in ran.json["data"]] == [True, True, True, "unknown"]
    document = json.loads(_find(study))
    document["data"][0]["StudyInstanceUID"]["value"] = "1.2.3"
    ran = status(basemount, "--verifySeriesInStudy", stdin=json.dumps(document), expected=1)
    assert ran.error == "nothing-found"
    assert [row["inStudy"] for row in ran.json["data"]] == [False] * 3
    assert "2 others" in ran.stderr


def _requested(basemount: Path, study: Study) -> None:
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.record(
            Event(series.uid, "requested", study.uid, series.instances, target="PACS")
            for series in study.all_series
        )


def test_who_watches_gets_the_answer_once_all_is_here(basemount, tmp_path):
    study = datasets.plain_study()
    files = study.write(tmp_path / "source")
    _requested(basemount, study)
    watching = Running("px-status", "--db", basemount / "log", "--watch", "--StudyInstanceUID", study.uid)
    for some in (["--xcrdirfile", files[0]], ["--xcrdirfile", files[-1]], ["--xcrdir", files[0].parent]):
        assert watching.process.poll() is None
        repack(basemount, *some)
    ran = watching.wait()
    assert ran.status == 0
    assert {row["state"] for row in ran.json["data"]} == {"complete"}


def _assert_waits(basemount: Path, found: str) -> None:
    """px-status --watch goes on until it is interrupted."""
    watching = Running("px-status", "--db", basemount / "log", "--watch", stdin=found)
    watching.feed()
    watching.wait_until_interruptible()
    time.sleep(1)
    assert watching.process.poll() is None
    watching.interrupt()
    ran = watching.wait()
    assert (ran.status, ran.stdout) == (130, "")


def test_who_watches_a_find_waits_for_what_the_pacs_has(basemount, study):
    series = finds.series(study.all_series[0].uid, NumberOfSeriesRelatedInstances="3")
    here = json.dumps(to_json(finds.found(finds.study(study.uid, series))))
    assert status(basemount, "--watch", stdin=here).json["data"][0]["packed"] == 3
    assert status(basemount, "--watch", stdin=json.dumps(to_json(finds.found()))).json["data"] == []
    more = here.replace('"value": "3"', '"value": "4"')
    _assert_waits(basemount, more)


@on_sqlite
def test_who_watches_waits_for_what_is_not_known_yet(basemount, tmp_path):
    study = datasets.plain_follow_up()
    series = study.all_series[0]
    watching = [
        Running("px-status", "--db", basemount / "log", "--watch", "-v", 1, option, uid)
        for option, uid in (("--StudyInstanceUID", study.uid), ("--SeriesInstanceUID", series.uid))
    ]
    for one in watching:
        one.wait_until_interruptible()
    time.sleep(2)
    assert [one.process.poll() for one in watching] == [None, None]
    assert not basemount.exists()
    study.write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    _requested(basemount, study)
    rans = [one.wait() for one in watching]
    assert [ran.json["data"][0]["state"] for ran in rans] == ["complete", "complete"]
    assert "Nobody knows how many images 1 of the series will have" in rans[1].stderr


@on_sqlite
def test_at_a_terminal_the_table_follows_what_happens(basemount, tmp_path):
    study = Study("WATCH").series(1, 2, SeriesDescription="Watched")
    files = study.write(tmp_path / "source")
    _requested(basemount, study)
    packing = threading.Thread(target=lambda: [repack(basemount, "--xcrdirfile", file) for file in files])

    def pack_once_it_is_told_of(shown: str, _running: Running) -> None:
        if "none of 2 here" in shown and not packing.ident:
            packing.start()

    ran = run_in_terminal(
        ["px-status", "--db", basemount / "log", "--watch", "--StudyInstanceUID", study.uid],
        columns=160,
        on_shown=pack_once_it_is_told_of,
    )
    packing.join()
    assert ran.status == 0
    assert ran.stdout.index("none of 2 here") < ran.stdout.rindex("complete")


@on_sqlite
def test_ctrl_c_ends_a_watch(basemount, study):
    told: list[Running] = []

    def end_once_it_shows_something(shown: str, running: Running) -> None:
        if "Localizer" in shown and not told:
            told.append(running)
            running.interrupt()

    ran = run_in_terminal(
        ["px-status", "--db", basemount / "log", "--watch", "--StudyInstanceUID", study.uid],
        on_shown=end_once_it_shows_something,
    )
    assert ran.status == 130
    assert "Localizer" in ran.stdout
    assert "px-status: interrupted." in ran.stdout
    assert "\x1b[?25h" in ran.stdout  # the cursor is back


@on_sqlite
@pytest.mark.parametrize(
    ("stdin", "code"),
    [("", "invalid-input"), ("{", "invalid-input"), ("[1]", "invalid-input"), ('{"a": 1}', "invalid-input")],
)
def test_what_is_not_a_find(basemount, stdin, code):
    assert status(basemount, expected=1, stdin=stdin).error == code


@on_sqlite
def test_the_debug_directory_holds_what_was_asked(basemount, study, tmp_path):
    debug = tmp_path / "debug"
    ran = status(basemount, "--StudyInstanceUID", study.uid, "--debugToDir", debug)
    (answer,) = debug.glob("*.json")
    assert json.loads(answer.read_text()) == ran.json
    (log,) = debug.glob("*.log")
    assert f"px-status --db={basemount / 'log'} --StudyInstanceUID={study.uid}\n" in log.read_text()
    keys = ("px-smdb", "--db", basemount / "log", "--action", "swift", "--debugToDir", debug)
    run_tool(*keys, "--actionArgs", '{"local": {"ip": "::1", "key": "unsaid"}}')
    (log,) = debug.glob("px-smdb*.log")
    assert "--action=swift" in log.read_text()
    assert "unsaid" not in log.read_text()


@on_sqlite
def test_a_damaged_catalogue(basemount, study):
    (basemount / "log" / "smdb.sqlite").write_bytes(b"no database" * 1000)
    ran = status(basemount, "--StudyInstanceUID", study.uid, expected=1)
    assert ran.error == "catalogue-damaged"


def test_a_read_only_basemount_can_be_asked(basemount, study):
    ran = mounts.run(
        mounts.read_only(basemount),
        *(SCRIPTS / "px-status", "--db", str(basemount / "log"), "--StudyInstanceUID", str(study.uid)),
    )
    assert [row["packed"] for row in json.loads(ran.stdout)["data"]] == [3, 12, 5]


def test_counts_are_of_the_catalogue_and_not_of_the_directories(basemount, study):
    shutil.rmtree(basemount / "data")
    rows = status(basemount, "--StudyInstanceUID", study.uid).json["data"]
    assert [row["packed"] for row in rows] == [3, 12, 5]


@on_sqlite
@pytest.mark.parametrize("columns", [80, 200])
def test_a_person_sees_a_table_as_wide_as_the_terminal(basemount, study, columns):
    ran = run_in_terminal(
        ["px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid], columns=columns
    )
    assert ran.status == 0
    for word in ("Series", "Requested", "Received", "Packed", "Localizer", "T1", "T2", "12", "unknown"):
        assert word in ran.stdout
    assert "Pushed" not in ran.stdout


@on_sqlite
@pytest.mark.parametrize(
    "command",
    [("px-status", "--StudyInstanceUID"), ("px-smdb", "--action", "endOfStudy", "--StudyInstanceUID")],
    ids=["px-status", "px-smdb"],
)
def test_a_table_with_all_counts_can_be_read_at_80_columns(basemount, study, command):
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        for kind in ("requested", "pushed", "registered"):
            catalogue.record(Event(one.uid, kind, study.uid, 12, target="…") for one in study.all_series)
    ran = run_in_terminal([*command, study.uid, "--db", basemount / "log"])
    lines = [re.sub("\x1b\\[[0-9;]*m", "", line).split() for line in ran.stdout.splitlines()]
    names = ["Series", "Mod.", "Requested", "Received", "Packed", "Pushed", "Registered", "State"]
    assert lines[0] == names
    shown = [word for line in lines for word in line]
    for word in ("complete,", "pushed,", "incomplete,", "registered"):
        assert word in shown
    assert ["T1", "MR", "12", "12", "12", "12", "12"] in [line[:7] for line in lines]


@on_sqlite
def test_a_description_does_nothing_to_the_terminal(basemount, tmp_path):
    study = datasets.awkward_study("terminal")
    study.write(tmp_path / "source")
    repack(basemount, "-p", tmp_path / "source")
    ran = run_in_terminal(["px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid])
    assert "\x1b[31m" not in ran.stdout
    assert "\x1b]0;" not in ran.stdout
    assert "\\x1b[31m" in ran.stdout


def test_one_series_of_a_large_catalogue_is_told_in_no_time(basemount, study):
    """200,000 instances of 1,000 series: the counts come from indexes."""
    series = study.all_series[0].uid

    def seconds() -> float:
        return min(
            _processor_seconds(lambda: rans.append(status(basemount, "--SeriesInstanceUID", series)))
            for _ in range(3)
        )

    rans: list[Ran] = []
    of_a_small_one = seconds()
    catalogues.execute(
        basemount,
        "insert into instance (SOPInstanceUID, variant, SeriesInstanceUID, path, size) "
        "with recursive n(n) as (select 0 union all select n + 1 from n where n < 199999) "
        "select '1.2.9.' || n, '', '1.2.' || (n % 1000), '', 1 from n",
    )
    # To have all of them counted here would take several times as long as all else.
    assert seconds() < 2 * of_a_small_one
    assert [ran.json["data"][0]["packed"] for ran in rans] == [3] * 6


def _processor_seconds(run: Callable[[], object]) -> float:
    """What a run needs of the processor, whatever else the machine is at."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_a_study_whose_series_were_not_asked_for_is_the_whole_study(basemount, study):
    alone = json.dumps(to_json(finds.found(finds.study(study.uid), StudyOnly=True)))
    assert len(status(basemount, stdin=alone).json["data"]) == 3


def test_series_that_were_filtered_out_are_not_shown(basemount, study):
    filtered = json.dumps(to_json(finds.found(finds.study(study.uid))))
    assert status(basemount, stdin=filtered).json["data"] == []


def test_who_watches_a_study_without_series_waits_for_it(basemount, study):
    alone = json.dumps(to_json(finds.found(finds.study("1.2.3.4"), StudyOnly=True)))
    _assert_waits(basemount, alone)
