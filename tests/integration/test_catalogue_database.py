"""Where the catalogue is: named by URL, out of reach, of an earlier release."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

import catalogues
import mounts
from packed import repack
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event, PackedInstance
from pypx.basemount.schema import VERSION
from pypx.basemount.smdb import Catalogue
from pypx.errors import (
    BasemountUnusable,
    CatalogueDamaged,
    CatalogueLocked,
    InvalidValue,
    ServicesUnreadable,
)
from servers.postgresql import PASSWORD, Postgresql
from tools import run_tool

_INSTANCE = PackedInstance(
    {"SOPInstanceUID": "1.2.9.1", "SeriesInstanceUID": "1.2.1", "StudyInstanceUID": "1.2"}, "", "1.dcm", 100
)

#: The tables as the first release of version 4 made them, one statement a line.
_VERSION_1 = """
CREATE TABLE smdb_version (version INTEGER NOT NULL, PRIMARY KEY (version))
CREATE TABLE patient (patient TEXT NOT NULL, "PatientID" TEXT DEFAULT '' NOT NULL, "IssuerOfPatientID" TEXT DEFAULT '' NOT NULL, "PatientName" TEXT DEFAULT '' NOT NULL, "PatientBirthDate" TEXT DEFAULT '' NOT NULL, "PatientSex" TEXT DEFAULT '' NOT NULL, PRIMARY KEY (patient))
CREATE INDEX patient_by_id ON patient ("PatientID")
CREATE TABLE study ("StudyInstanceUID" TEXT NOT NULL, patient TEXT DEFAULT '' NOT NULL, "StudyDate" TEXT DEFAULT '' NOT NULL, "StudyTime" TEXT DEFAULT '' NOT NULL, "StudyID" TEXT DEFAULT '' NOT NULL, "StudyDescription" TEXT DEFAULT '' NOT NULL, "AccessionNumber" TEXT DEFAULT '' NOT NULL, "ReferringPhysicianName" TEXT DEFAULT '' NOT NULL, "InstitutionName" TEXT DEFAULT '' NOT NULL, "PatientAge" TEXT DEFAULT '' NOT NULL, PRIMARY KEY ("StudyInstanceUID"))
CREATE INDEX study_by_patient ON study (patient)
CREATE TABLE series ("SeriesInstanceUID" TEXT NOT NULL, "StudyInstanceUID" TEXT DEFAULT '' NOT NULL, "Modality" TEXT DEFAULT '' NOT NULL, "SeriesNumber" TEXT DEFAULT '' NOT NULL, "SeriesDate" TEXT DEFAULT '' NOT NULL, "SeriesDescription" TEXT DEFAULT '' NOT NULL, "ProtocolName" TEXT DEFAULT '' NOT NULL, "BodyPartExamined" TEXT DEFAULT '' NOT NULL, "PerformedStationAETitle" TEXT DEFAULT '' NOT NULL, "AcquisitionProtocolName" TEXT DEFAULT '' NOT NULL, "AcquisitionProtocolDescription" TEXT DEFAULT '' NOT NULL, PRIMARY KEY ("SeriesInstanceUID"))
CREATE INDEX series_by_study ON series ("StudyInstanceUID")
CREATE TABLE instance ("SOPInstanceUID" TEXT NOT NULL, variant TEXT NOT NULL, "SeriesInstanceUID" TEXT DEFAULT '' NOT NULL, "SOPClassUID" TEXT DEFAULT '' NOT NULL, "InstanceNumber" TEXT DEFAULT '' NOT NULL, "TransferSyntaxUID" TEXT DEFAULT '' NOT NULL, path TEXT DEFAULT '' NOT NULL, size BIGINT NOT NULL, digest TEXT DEFAULT '' NOT NULL, PRIMARY KEY ("SOPInstanceUID", variant))
CREATE INDEX instance_by_series ON instance ("SeriesInstanceUID", "SOPInstanceUID")
CREATE TABLE quarantined (name TEXT NOT NULL, "SOPInstanceUID" TEXT DEFAULT '' NOT NULL, "SeriesInstanceUID" TEXT DEFAULT '' NOT NULL, "StudyInstanceUID" TEXT DEFAULT '' NOT NULL, reason TEXT DEFAULT '' NOT NULL, time TEXT DEFAULT '' NOT NULL, PRIMARY KEY (name))
CREATE INDEX quarantined_by_series ON quarantined ("SeriesInstanceUID", "SOPInstanceUID")
CREATE TABLE event ("SeriesInstanceUID" TEXT NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL, target TEXT NOT NULL, "StudyInstanceUID" TEXT DEFAULT '' NOT NULL, count BIGINT, detail TEXT DEFAULT '' NOT NULL, PRIMARY KEY ("SeriesInstanceUID", kind, time, target))
CREATE INDEX event_by_study ON event ("StudyInstanceUID")
CREATE TABLE folder (name TEXT NOT NULL, "PatientID" TEXT DEFAULT '' NOT NULL, PRIMARY KEY (name))
INSERT INTO smdb_version VALUES (1)
INSERT INTO series ("SeriesInstanceUID", "StudyInstanceUID", "SeriesDescription") VALUES ('1.2.1', '1.2', 'T1')
INSERT INTO instance ("SOPInstanceUID", variant, "SeriesInstanceUID", path, size) VALUES ('1.2.9.1', '', '1.2.1', '1.dcm', 100)
INSERT INTO event VALUES ('1.2.1', 'requested', '2026-11-20T00:00:00.000000+00:00', 'PACS', '1.2', 3, '')
"""  # noqa: E501

_READ = """
import sys
from pathlib import Path
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
with Catalogue.open(Basemount.of_log_directory(Path(sys.argv[1]))) as catalogue:
    print(catalogue.held_counts(["1.2.1"])["1.2.1"])
"""


@pytest.fixture
def version_1(basemount: Path) -> Basemount:
    """A BASEMOUNT whose catalogue is of version 1: one instance of one series, of three requested."""
    of_it = Basemount.of_log_directory(basemount / "log")
    of_it.prepare()
    catalogues.execute(basemount, *_VERSION_1.strip().splitlines())
    return of_it


def _tables(basemount: Basemount) -> list[tuple[object, ...]]:
    """The columns of all tables."""
    if catalogues.url_of(basemount.root):
        return catalogues.rows(
            basemount.root,
            "select table_name, column_name, data_type, is_nullable, column_default "
            "from information_schema.columns where table_schema = 'public' order by table_name, column_name",
        )
    return [
        (name, *column[1:])
        for (name,) in catalogues.rows(
            basemount.root, "select name from sqlite_master where type = 'table' order by name"
        )
        for column in sorted(catalogues.rows(basemount.root, f"PRAGMA table_info({name})"))
    ]


@pytest.mark.databases("sqlite", "postgresql")
def test_a_catalogue_of_an_earlier_release_is_brought_up_to_date_by_who_reads_it(version_1, tmp_path):
    with Catalogue.open(version_1) as catalogue:
        (record,) = catalogue.series_status(["1.2.1"]).values()
    assert (record.packed, record.requested, record.description) == (1, 3, "T1")
    assert catalogues.rows(version_1.root, "select version from smdb_version") == [(VERSION,)]
    assert catalogues.rows(version_1.root, "select * from document") == []


@pytest.mark.databases("sqlite", "postgresql")
def test_its_tables_are_then_those_that_this_release_makes(version_1, basemount, tmp_path, request):
    with Catalogue.open(version_1) as catalogue:
        catalogue.add([_INSTANCE])
    fresh = Basemount.of_log_directory(tmp_path / "fresh" / "log")
    if catalogues.url_of(basemount):
        server: Postgresql = request.getfixturevalue("postgresql")
        catalogues.use(fresh.root, server.url(server.fresh_database()))
    with Catalogue.open(fresh) as catalogue:
        catalogue.add([_INSTANCE])
    assert _tables(version_1) == _tables(fresh) != []


@pytest.mark.databases("sqlite", "postgresql")
def test_eight_processes_that_open_an_earlier_catalogue_at_once(version_1):
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", _READ, version_1.log],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    assert [reader.communicate(timeout=400) for reader in readers] == [("1\n", "")] * 8
    assert catalogues.rows(version_1.root, "select version from smdb_version") == [(VERSION,)]


@pytest.mark.databases("sqlite", "postgresql")
def test_a_migration_that_fails_changes_nothing(version_1):
    """Something stands where the step makes its table."""
    catalogues.execute(version_1.root, "create table document (something text)")
    with Catalogue.open(version_1) as catalogue, pytest.raises(CatalogueDamaged, match="document"):
        catalogue.held_counts(["1.2.1"])
    assert catalogues.rows(version_1.root, "select version from smdb_version") == [(1,)]
    assert catalogues.rows(version_1.root, "select count(*) from instance") == [(1,)]


def test_an_earlier_catalogue_that_may_not_be_written_says_so(version_1):
    ran = mounts.run(mounts.read_only(version_1.root), sys.executable, "-c", _READ, version_1.log)
    assert "is of an earlier release and cannot be brought up to date" in ran.stderr


def test_a_database_is_named_by_the_environment_before_the_file(postgresql, basemount, monkeypatch):
    first, second = (postgresql.url(postgresql.fresh_database()) for _ in range(2))
    catalogues.use(basemount, first)
    monkeypatch.setenv("PYPX_SMDB_URL", second)
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        catalogue.add([_INSTANCE])
    monkeypatch.delenv("PYPX_SMDB_URL")
    with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
        assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 0}
    assert not (basemount / "log" / "smdb.sqlite").exists()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/db",
        "secret",
        "postgresql://user:secret@host:port/db",
        "postgresql://user:a@secret@host/db",
    ],
)
def test_what_is_not_a_url_of_postgresql_is_wrong_usage_and_not_shown(basemount, monkeypatch, url):
    monkeypatch.setenv("PYPX_SMDB_URL", url)
    with pytest.raises(InvalidValue, match="PYPX_SMDB_URL") as raised:
        Catalogue.open(Basemount.of_log_directory(basemount / "log"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "content", ['{"other": {}}', '{"catalogue": {}}', '{"catalogue": {"url": 7}}', '{"catalogue": "secret"}']
)
def test_a_file_that_names_no_database_does_not_lead_to_another_one(basemount, content):
    (basemount / "services").mkdir(parents=True)
    (basemount / "services" / "smdb.json").write_text(content)
    with pytest.raises(ServicesUnreadable, match=r"smdb\.json") as raised:
        Catalogue.open(Basemount.of_log_directory(basemount / "log"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@127.0.0.1:9/db",
        "postgres://user:secret@127.0.0.1:9/db",
        "postgresql://127.0.0.1:9/db?user=user&password=secret",
    ],
)
def test_a_server_that_does_not_answer_is_told_of(basemount, monkeypatch, url):
    monkeypatch.setenv("PYPX_SMDB_URL", url)
    with (
        Catalogue.open(Basemount.of_log_directory(basemount / "log"), wait=2) as catalogue,
        pytest.raises(BasemountUnusable) as raised,
    ):
        catalogue.held_counts(["1.2.1"])
    assert "secret" not in str(raised.value)
    assert "127.0.0.1:9/db" in raised.value.message
    assert "PYPX_SMDB_URL" in raised.value.hint


def test_a_wrong_password_is_told_of_and_shown_nowhere(postgresql, basemount, monkeypatch, tmp_path):
    database = postgresql.fresh_database()
    catalogues.use(basemount, postgresql.url_with_password(database, "wr@ng-secret"))
    ran = run_tool(
        "px-status",
        *("--db", basemount / "log", "--StudyInstanceUID", "1.2", "--verbosity", 3),
        *("--debugToDir", tmp_path / "debug"),
    )
    assert (ran.status, ran.error) == (1, "basemount-unusable")
    assert "services/smdb.json" in ran.json["error"]["hint"]
    kept = "".join(file.read_text() for file in (tmp_path / "debug").iterdir())
    for said in (ran.stdout, ran.stderr, kept):
        assert "secret" not in said
    catalogues.use(tmp_path / "right", postgresql.url_with_password(database, PASSWORD))
    with Catalogue.open(Basemount.of_log_directory(tmp_path / "right" / "log")) as catalogue:
        assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 0}


def test_a_database_that_is_not_there_is_told_of(postgresql, basemount):
    catalogues.use(basemount, postgresql.url("nowhere"))
    with (
        Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue,
        pytest.raises(BasemountUnusable, match="nowhere"),
    ):
        catalogue.held_counts(["1.2.1"])


def test_without_the_driver_the_package_that_brings_it_is_named(basemount, tmp_path):
    """A psycopg that cannot be imported stands first on the path."""
    (tmp_path / "psycopg.py").write_text("raise ModuleNotFoundError('No module named psycopg')")
    ran = run_tool(
        *("px-status", "--db", basemount / "log", "--StudyInstanceUID", "1.2"),
        environment={"PYTHONPATH": str(tmp_path), "PYPX_SMDB_URL": "postgresql://user:secret@host/db"},
    )
    assert ran.status == 2
    assert "pip install 'pypx[postgresql]'" in ran.stderr
    assert "secret" not in ran.stderr


def test_a_writer_in_postgresql_that_does_not_let_go_is_told_of_and_readers_do_not_wait(
    postgresql, basemount
):
    url = postgresql.url(postgresql.fresh_database())
    catalogues.use(basemount, url)
    of_it = Basemount.of_log_directory(basemount / "log")
    other = PackedInstance({**_INSTANCE.values, "SOPInstanceUID": "1.2.9.2"}, "", "2.dcm", 100)
    with Catalogue.open(of_it, wait=0.3) as catalogue:
        catalogue.add([_INSTANCE])
        with psycopg.connect(url) as writer:
            writer.execute(
                'insert into instance ("SOPInstanceUID", variant, "SeriesInstanceUID", path, size) '
                "values ('1.2.9.2', '', '1.2.1', '2.dcm', 100)"
            )
            with pytest.raises(CatalogueLocked, match=r"held by another process for 0\.3 s"):
                catalogue.add([other])
            assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": 1}
            writer.rollback()
        assert catalogue.add([other]).new == {("1.2.9.2", "")}


def test_a_server_that_was_restarted_is_found_again(tmp_path, basemount):
    with Postgresql() as server:
        catalogues.use(basemount, server.url(server.fresh_database()))
        with Catalogue.open(Basemount.of_log_directory(basemount / "log")) as catalogue:
            catalogue.add([_INSTANCE])
            server.end()
            with pytest.raises(BasemountUnusable):
                catalogue.record([Event("1.2.1", "requested", "1.2", 1)])
            server.start_again()
            catalogue.record([Event("1.2.1", "requested", "1.2", 1)])
            assert catalogue.series_status(["1.2.1"])["1.2.1"].requested == 1


def test_one_postgresql_serves_two_basemounts_that_name_it(postgresql, basemount, sample_files):
    """Two receiving hosts: what the one packs, the other knows of."""
    url = postgresql.url(postgresql.fresh_database())
    catalogues.use(basemount, url)
    repack(basemount, "--xcrdirfile", sample_files[0])
    other = basemount.parent / "other"
    catalogues.use(other, url)
    uid = catalogues.rows(basemount, "select SeriesInstanceUID from instance")[0][0]
    ran = run_tool("px-status", "--db", other / "log", "--SeriesInstanceUID", str(uid))
    assert [row["packed"] for row in json.loads(ran.stdout)["data"]] == [1]
