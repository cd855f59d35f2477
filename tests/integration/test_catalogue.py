"""The catalogue on SQLite and PostgreSQL: what it keeps, for how many at once, and what can go wrong."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import catalogues
import mounts
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Added, Event, HeldInstance, PackedInstance, QuarantinedFile, SeriesRecord
from pypx.basemount.smdb import FILE_NAME, Catalogue
from pypx.errors import BasemountUnusable, CatalogueDamaged, CatalogueLocked

pytestmark = pytest.mark.databases("sqlite", "postgresql")

on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def basemount(tmp_path: Path, database: str | None) -> Basemount:
    if database:
        catalogues.use(tmp_path / "B", database)
    return Basemount.of_log_directory(tmp_path / "B" / "log")


@pytest.fixture
def catalogue(basemount: Basemount) -> Iterator[Catalogue]:
    with Catalogue.open(basemount) as catalogue:
        yield catalogue


def _instance(number: int, series: str = "1.2.1", variant: str = "", **values: str) -> PackedInstance:
    described = {
        "SOPInstanceUID": f"1.2.9.{number}",
        "SeriesInstanceUID": series,
        "StudyInstanceUID": "1.2",
        "PatientID": "P-1",
        "SeriesDescription": "T1",
        "Modality": "MR",
    }
    return PackedInstance(
        {**described, **values}, variant, f"patient/study/{series}/{number}{variant}.dcm", 100
    )


def _rows(basemount: Basemount, query: str) -> list[tuple[object, ...]]:
    return catalogues.rows(basemount.root, query)


def test_reading_does_not_make_a_catalogue(basemount, catalogue):
    assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 0}
    assert catalogue.held_instances("1.2.1") == set()
    assert catalogue.held(["1.2.9.1"]) == {}
    assert catalogue.series_of_study("1.2") == ()
    assert catalogue.series_status(["1.2.1"]) == {}
    assert not basemount.log.exists()


def test_what_was_added_is_known_afterwards_and_to_others(basemount, catalogue):
    assert catalogue.add([_instance(1), _instance(2)]).new == {("1.2.9.1", ""), ("1.2.9.2", "")}
    with Catalogue.open(basemount) as other:
        assert other.held_counts(["1.2.1", "1.2.2"]) == {"1.2.1": 2, "1.2.2": 0}
        assert other.held_instances("1.2.1") == {"1.2.9.1", "1.2.9.2"}
        held = other.held(["1.2.9.1", "1.2.9.3"])
    assert held == {"1.2.9.1": [HeldInstance("1.2.9.1", "", "patient/study/1.2.1/1.dcm", 100)]}


def test_adding_again_changes_nothing(basemount, catalogue):
    catalogue.add([_instance(1), _instance(2)])
    before = _rows(basemount, "select * from instance"), _rows(basemount, "select * from event")
    assert catalogue.add([_instance(1), _instance(2)]) == Added()
    assert (_rows(basemount, "select * from instance"), _rows(basemount, "select * from event")) == before


def test_another_content_of_an_instance_is_held_beside_and_counted_once(catalogue):
    catalogue.add([_instance(1), _instance(1, variant="abcd")])
    assert [held.variant for held in catalogue.held(["1.2.9.1"])["1.2.9.1"]] == ["", "abcd"]
    assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 1}


def test_a_restored_instance_has_its_new_path_and_no_new_event(basemount, catalogue):
    catalogue.add([_instance(1)])
    catalogue.add([], restored=[PackedInstance(_instance(1).values, "", "elsewhere/1.dcm", 200)])
    assert catalogue.held(["1.2.9.1"])["1.2.9.1"] == [HeldInstance("1.2.9.1", "", "elsewhere/1.dcm", 200)]
    assert _rows(basemount, "select kind, count from event order by kind") == [("packed", 1), ("received", 1)]


def test_the_attributes_are_kept_as_they_are(basemount, catalogue):
    odd = "Yamada^Tarou=山田^太郎 '; drop table patient; --"
    catalogue.add([_instance(1, PatientName=odd, StudyDescription="a\\b", AccessionNumber="A\n1")])
    assert _rows(basemount, "select PatientID, PatientName from patient") == [("P-1", odd)]
    assert _rows(basemount, "select StudyDescription, AccessionNumber from study") == [("a\\b", "A\n1")]
    assert _rows(basemount, "select SeriesDescription, ProtocolName from series") == [("T1", "")]


def test_texts_that_databases_refuse_are_kept_as_near_as_can_be(basemount, catalogue):
    catalogue.add([_instance(1, PatientName="a\0b", SeriesDescription="x\ud800y")])
    catalogue.record([Event("1.2.1", "failed", detail="why\0\udcff")])
    assert _rows(basemount, "select PatientName from patient") == [("a\N{REPLACEMENT CHARACTER}b",)]
    assert _rows(basemount, "select SeriesDescription from series") == [("x?y",)]


def test_two_patients_of_one_id_are_two(basemount, catalogue):
    catalogue.add([_instance(1, PatientName="Doe^Jane")])
    catalogue.add(
        [_instance(2, series="1.3.1", StudyInstanceUID="1.3", PatientName="Roe^Richard", PatientID="P-1")]
    )
    names = _rows(
        basemount,
        "select StudyInstanceUID, PatientName from study join patient using (patient) order by 1",
    )
    assert names == [("1.2", "Doe^Jane"), ("1.3", "Roe^Richard")]


def test_more_series_than_one_query_takes(catalogue):
    series = [f"1.2.{number}" for number in range(1201)]
    catalogue.add([_instance(number, series=uid) for number, uid in enumerate(series)])
    assert catalogue.held_counts(series) == dict.fromkeys(series, 1)
    assert len(catalogue.held([f"1.2.9.{number}" for number in range(1201)])) == 1201
    assert list(catalogue.series_status(series)) == series


def test_a_status_is_what_was_recorded_last_and_what_is_held(catalogue):
    start = datetime(2026, 11, 20, tzinfo=UTC)
    catalogue.record(
        [
            Event("1.2.1", "requested", "1.2", 3, target="PACS", time=start),
            Event("1.2.1", "requested", "1.2", 4, target="PACS", time=start + timedelta(hours=1)),
            Event("1.2.1", "failed", "1.2", detail="it broke", time=start + timedelta(hours=2)),
        ]
    )
    assert catalogue.series_status(["1.2.1"])["1.2.1"] == SeriesRecord(
        "1.2.1", "1.2", requested=4, failure="it broke"
    )
    catalogue.add([_instance(1), _instance(2)])
    catalogue.record([Event("1.2.1", "pushed", "1.2", 2, target="swift", time=datetime.now(UTC))])
    assert catalogue.series_status(["1.2.1", "1.2.7"]) == {
        "1.2.1": SeriesRecord("1.2.1", "1.2", "T1", "MR", packed=2, requested=4, pushed=2)
    }


def test_a_count_that_nobody_knew_is_not_zero(catalogue):
    catalogue.record([Event("1.2.1", "requested", "1.2", None, target="PACS")])
    record = catalogue.series_status(["1.2.1"])["1.2.1"]
    assert (record.requested, record.pushed, record.registered) == (None, None, None)


def test_the_same_event_is_recorded_once(basemount, catalogue):
    event = Event("1.2.1", "requested", "1.2", 3, target="PACS")
    catalogue.record([event, event])
    catalogue.record([event])
    catalogue.record([])
    assert _rows(basemount, "select count(*) from event") == [(1,)]


def test_damaged_instances_count_until_a_whole_one_comes(catalogue):
    damaged = [QuarantinedFile(f"{n}.dcm", "cut short", f"1.2.9.{n}", "1.2.1", "1.2") for n in (1, 2)]
    catalogue.add([_instance(3)], damaged)
    catalogue.add([], damaged)
    record = catalogue.series_status(["1.2.1"])["1.2.1"]
    assert (record.received, record.packed, record.quarantined) == (3, 1, 2)
    catalogue.add([_instance(1)])
    record = catalogue.series_status(["1.2.1"])["1.2.1"]
    assert (record.received, record.packed, record.quarantined) == (3, 2, 1)


def test_a_damaged_file_that_comes_several_times_at_once_is_received_once(basemount, catalogue):
    damaged = QuarantinedFile("1.dcm", "cut short", "1.2.9.1", "1.2.1", "1.2")
    catalogue.add([], [damaged] * 3)
    catalogue.add([], [damaged])
    assert _rows(basemount, "select kind, count from event") == [("received", 1)]


def test_the_series_of_a_study_are_in_the_order_of_their_numbers(catalogue):
    numbers = {"1.2.1": "10", "1.2.2": "9", "1.2.3": ""}
    catalogue.add(
        [_instance(i, series=uid, SeriesNumber=text) for i, (uid, text) in enumerate(numbers.items())]
    )
    catalogue.record([Event("1.2.0", "requested", "1.2", 5)])
    assert catalogue.series_of_study("1.2") == ("1.2.2", "1.2.1", "1.2.0", "1.2.3")


def test_a_directory_is_one_patients(catalogue):
    assert catalogue.claim_folders([("A_B", "A/B"), ("A_B", "A_B")]) == {("A_B", "A/B")}
    assert catalogue.claim_folders([("A_B", "A_B"), ("A_B", "A/B"), ("C", "C")]) == {
        ("A_B", "A/B"),
        ("C", "C"),
    }


def test_eight_processes_at_once_lose_nothing_and_count_nothing_twice(basemount):
    script = """
import sys
from pathlib import Path
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.records import PackedInstance
first = int(sys.argv[2])
new = 0
with Catalogue.open(Basemount.of_log_directory(Path(sys.argv[1]))) as catalogue:
    for start in range(first, first + 1000, 50):
        values = [{"SOPInstanceUID": f"1.2.9.{n % 1600}", "SeriesInstanceUID": f"1.2.{n % 7}",
                   "StudyInstanceUID": "1.2", "PatientID": "P"} for n in range(start, start + 50)]
        new += len(catalogue.add([PackedInstance(one, "", one["SOPInstanceUID"], 1) for one in values]).new)
        print(catalogue.claim_folders([("folder", sys.argv[2])]) and "mine")
print(new)
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, basemount.log, str(number * 200)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    answers = [writer.communicate(timeout=400)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8
    assert sum(int(answer[-1]) for answer in answers) == 1600
    assert _rows(basemount, "select count(*) from instance") == [(1600,)]
    assert _rows(basemount, "select kind, sum(count) from event group by kind order by kind") == [
        ("packed", 1600),
        ("received", 1600),
    ]
    assert sorted(set(answer[:-1]) == {"mine"} for answer in answers) == [False] * 7 + [True]


@on_sqlite
def test_a_reader_does_not_wait_for_a_writer(basemount, catalogue):
    catalogue.add([_instance(1)])
    writer = sqlite3.connect(basemount.log / FILE_NAME, isolation_level=None)
    writer.execute("begin immediate")
    writer.execute("delete from instance")
    begun = time.monotonic()
    assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 1}
    # It would wait for half a minute.
    assert time.monotonic() - begun < 15
    writer.close()


@on_sqlite
def test_a_writer_that_does_not_let_go_is_told_of(basemount, catalogue):
    catalogue.add([_instance(1)])
    writer = sqlite3.connect(basemount.log / FILE_NAME, isolation_level=None)
    writer.execute("begin immediate")
    with (
        Catalogue.open(basemount, wait=0.2) as waiting,
        pytest.raises(CatalogueLocked, match=r"held by another process for 0\.2 s"),
    ):
        waiting.add([_instance(2)])
    writer.close()
    catalogue.add([_instance(2)])
    assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 2}


@on_sqlite
@pytest.mark.parametrize(
    "content", [b"not a database, not at all" * 100, b"SQLite format 3\0" + b"\1" * 5000]
)
def test_a_file_that_is_no_database_is_told_of_and_left_as_it_is(basemount, catalogue, content):
    basemount.prepare()
    (basemount.log / FILE_NAME).write_bytes(content)
    with pytest.raises(CatalogueDamaged, match=FILE_NAME):
        catalogue.held_counts(["1.2.1"])
    with pytest.raises(CatalogueDamaged, match=FILE_NAME):
        catalogue.add([_instance(1)])
    assert (basemount.log / FILE_NAME).read_bytes() == content


@on_sqlite
def test_a_catalogue_cut_short_is_told_of(basemount, catalogue):
    catalogue.add([_instance(number) for number in range(500)])
    catalogue.close()
    path = basemount.log / FILE_NAME
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Catalogue.open(basemount) as damaged, pytest.raises(CatalogueDamaged):
        damaged.add([_instance(number) for number in range(500, 1000)])


def test_a_catalogue_of_a_later_release_is_left_alone(basemount, catalogue):
    catalogue.add([_instance(1)])
    catalogues.execute(basemount.root, "update smdb_version set version = 99")
    with Catalogue.open(basemount) as later, pytest.raises(CatalogueDamaged, match="later release"):
        later.add([_instance(2)])
    with Catalogue.open(basemount) as later, pytest.raises(CatalogueDamaged, match="later release"):
        later.held_counts(["1.2.1"])
    assert _rows(basemount, "select count(*) from instance") == [(1,)]


def test_a_database_of_something_else_is_left_alone(basemount, catalogue):
    basemount.prepare()
    catalogues.execute(basemount.root, "create table patient (name text)")
    with pytest.raises(CatalogueDamaged, match="not a catalogue"):
        catalogue.add([_instance(1)])
    with pytest.raises(CatalogueDamaged, match="not a catalogue"):
        catalogue.held_counts(["1.2.1"])
    catalogues.execute(basemount.root, "insert into patient values ('still there')")


@on_sqlite
def test_a_log_directory_that_cannot_be_is_told_of(tmp_path):
    (tmp_path / "B").write_text("a file")
    with (
        Catalogue.open(Basemount.of_log_directory(tmp_path / "B" / "log")) as catalogue,
        pytest.raises(BasemountUnusable),
    ):
        catalogue.add([_instance(1)])
    (tmp_path / "C" / "log" / FILE_NAME).mkdir(parents=True)
    with (
        Catalogue.open(Basemount.of_log_directory(tmp_path / "C" / "log")) as catalogue,
        pytest.raises(BasemountUnusable),
    ):
        catalogue.add([_instance(1)])


_ON_SMALL_DISK = """
import sys
from pathlib import Path
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.records import PackedInstance
from pypx.errors import PypxError
def instances(start):
    return [PackedInstance({"SOPInstanceUID": f"1.2.{n}", "SeriesInstanceUID": "1", "StudyInstanceUID": "2"},
            "", "x" * 1000, 1) for n in range(start, start + 100)]
with Catalogue.open(Basemount.of_log_directory(Path(sys.argv[1]))) as catalogue:
    added = 0
    try:
        while True:
            added += len(catalogue.add(instances(added)).new)
    except PypxError as error:
        print(error.code, added, catalogue.held_counts(["1"])["1"])
"""

_ON_READ_ONLY_DISK = """
import sys
from pathlib import Path
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.records import Event
from pypx.errors import PypxError
with Catalogue.open(Basemount.of_log_directory(Path(sys.argv[1]))) as catalogue:
    print(catalogue.held_counts(["1.2.1"])["1.2.1"])
    try:
        catalogue.record([Event("1", "requested")])
    except PypxError as error:
        print(error.code)
"""


@on_sqlite
def test_a_full_disk_is_told_of_and_what_was_committed_is_kept(tmp_path):
    mount = mounts.small(tmp_path / "B", "2m")
    code, added, held = mounts.run_python(mount, _ON_SMALL_DISK, tmp_path / "B" / "log").split()
    assert code == "disk-full"
    assert int(added) == int(held) > 0


@on_sqlite
def test_a_read_only_catalogue_can_be_read_and_says_so_when_written(basemount, catalogue):
    catalogue.add([_instance(1)])
    catalogue.close()
    answer = mounts.run_python(mounts.read_only(basemount.root), _ON_READ_ONLY_DISK, basemount.log)
    assert answer.split() == ["1", "basemount-unusable"]
