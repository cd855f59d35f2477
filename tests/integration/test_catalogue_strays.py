"""Instances that say that they are of another study or patient than their series, in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import catalogues
from pypx.basemount import inventory, migrations
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Added, PackedInstance, SeriesRecord
from pypx.basemount.schema import VERSION
from pypx.basemount.smdb import Catalogue

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def of_it(basemount: Path) -> Basemount:
    return Basemount.of_log_directory(basemount / "log")


@pytest.fixture
def catalogue(of_it: Basemount) -> Iterator[Catalogue]:
    with Catalogue.open(of_it) as catalogue:
        yield catalogue


def _instance(number: int, patient: str = "A", study: str = "1.2", variant: str = "") -> PackedInstance:
    values = {
        "SOPInstanceUID": f"1.2.9.{number}",
        "SeriesInstanceUID": "1.2.1",
        "StudyInstanceUID": study,
        "PatientID": patient,
        "PatientName": f"Name^of {patient}",
    }
    return PackedInstance(values, variant, f"{number}{variant}.dcm", 100)


def _strays(basemount: Path) -> list[tuple[Any, ...]]:
    return catalogues.rows(
        basemount,
        "select SOPInstanceUID, variant, StudyInstanceUID, PatientID, PatientName"
        " from stray join patient using (patient) order by 1, 2",
    )


def _counts(catalogue: Catalogue) -> tuple[int, int]:
    """How many instances of the series are held, and how many are strays."""
    record = catalogue.series_status(["1.2.1"])["1.2.1"]
    assert catalogue.held_counts(["1.2.1"]) == {"1.2.1": record.packed}
    assert len(catalogue.held_instances("1.2.1")) == record.packed
    assert record.received == record.packed
    return record.packed, record.strays


def test_of_another_patient(basemount, catalogue):
    assert catalogue.add([_instance(1), _instance(2)]).strays == frozenset()
    assert _strays(basemount) == []
    added = catalogue.add([_instance(3, "B"), _instance(4)])
    assert added == Added(frozenset({("1.2.9.3", ""), ("1.2.9.4", "")}), frozenset({("1.2.9.3", "")}))
    assert _strays(basemount) == [("1.2.9.3", "", "1.2", "B", "Name^of B")]
    assert _counts(catalogue) == (3, 1)
    assert catalogue.held_instances("1.2.1") == {"1.2.9.1", "1.2.9.2", "1.2.9.4"}
    assert catalogue.series_of_study("1.2") == ("1.2.1",)


def test_of_another_study(basemount, catalogue):
    catalogue.add([_instance(1), _instance(2, study="1.3")])
    assert _strays(basemount) == [("1.2.9.2", "", "1.3", "A", "Name^of A")]
    assert catalogues.rows(basemount, "select StudyInstanceUID from study order by 1") == [("1.2",), ("1.3",)]
    assert _counts(catalogue) == (1, 1)
    assert catalogue.series_of_study("1.3") == ("1.2.1",)


def test_another_content_that_is_of_another_patient_does_not_hide_the_first(basemount, catalogue):
    """A PatientID that was corrected: both are kept, and what came later is a stray."""
    catalogue.add([_instance(1), _instance(2)])
    added = catalogue.add([_instance(1, "B", variant="abcd"), _instance(2, "B", variant="abcd")])
    assert added.strays == added.new == {("1.2.9.1", "abcd"), ("1.2.9.2", "abcd")}
    assert _counts(catalogue) == (2, 2)
    # And the other way round: the first is a stray, other content of it is not.
    catalogue.add([_instance(3, "B"), _instance(3, variant="abcd")])
    assert _counts(catalogue) == (3, 3)


def test_what_is_not_said_is_no_contradiction(catalogue):
    catalogue.add([_instance(1), _instance(2, "")])
    assert _counts(catalogue) == (2, 0)


def test_a_patient_without_an_id_is_nobody_else(catalogue):
    catalogue.add([_instance(1, ""), _instance(2, "B")])
    assert _counts(catalogue) == (2, 0)


def test_ids_are_compared_as_they_are_kept(catalogue):
    catalogue.add([_instance(1, "A\0")])
    catalogue.add([_instance(2, "A\0"), _instance(3, "A\N{REPLACEMENT CHARACTER}")])
    assert _counts(catalogue) == (3, 0)


def test_the_patient_of_the_study_is_the_patient_of_its_series(catalogue):
    """Another series of the same study, all of whose images are of somebody else."""
    catalogue.add([_instance(1)])
    other = _instance(2, "B")
    catalogue.add([PackedInstance({**other.values, "SeriesInstanceUID": "1.2.2"}, "", other.path, 100)])
    assert catalogue.series_status(["1.2.2"])["1.2.2"] == SeriesRecord("1.2.2", "1.2", strays=1)


def test_of_what_is_known_already_nothing_is_said_again(basemount, catalogue):
    catalogue.add([_instance(1), _instance(2, "B")])
    assert catalogue.add([_instance(1), _instance(2, "B")]) == Added()
    assert len(_strays(basemount)) == 1


def test_one_whose_file_came_anew_is_what_it_says_now(basemount, catalogue):
    catalogue.add([_instance(1), _instance(2, "B"), _instance(3)])
    assert catalogue.add([], restored=[_instance(2)]).strays == frozenset()
    assert _counts(catalogue) == (3, 0)
    assert catalogue.add([], restored=[_instance(3, "B")]).strays == {("1.2.9.3", "")}
    assert _counts(catalogue) == (2, 1)
    assert [row[0] for row in _strays(basemount)] == ["1.2.9.3"]


def test_one_that_is_gone_is_forgotten(basemount, catalogue):
    catalogue.add([_instance(1), _instance(2, "B")])
    placed = list(inventory.in_order(catalogue))
    assert inventory.forget(catalogue, placed) == 2
    assert _strays(basemount) == []
    assert catalogue.add([_instance(2)]).strays == frozenset()


def test_more_series_than_one_query_takes(catalogue):
    def instances(patient: str) -> list[PackedInstance]:
        return [
            PackedInstance(
                {
                    "SOPInstanceUID": f"1.2.{patient}.{number}",
                    "SeriesInstanceUID": f"1.2.1.{number}",
                    "StudyInstanceUID": "1.2",
                    "PatientID": patient,
                },
                "",
                f"{patient}/{number}.dcm",
                1,
            )
            for number in range(1201)
        ]

    assert catalogue.add(instances("7")).strays == frozenset()
    assert len(catalogue.add(instances("8")).strays) == 1201


def test_a_catalogue_of_version_3_gets_the_table(basemount, of_it):
    """What it holds stays as it is; what comes from here on is held against it."""
    with Catalogue.open(of_it) as catalogue:
        catalogue.add([_instance(1), _instance(2)])
    catalogues.execute(basemount, "drop table stray", "update smdb_version set version = 3")
    with Catalogue.open(of_it) as catalogue:
        assert _counts(catalogue) == (2, 0)
        assert catalogues.rows(basemount, "select version from smdb_version") == [(VERSION,)]
        assert len(catalogue.add([_instance(3, "B")]).strays) == 1
    assert migrations.STEPS[-1].version == VERSION
