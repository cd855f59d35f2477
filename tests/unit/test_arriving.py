"""Which series are arriving, and which have arrived, also where the catalogue cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypx.actions.receiving.arriving import ArrivingSeries
from pypx.actions.repack import Fate, RepackResult, SeriesVerdict
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event, PackedInstance
from pypx.basemount.smdb import FILE_NAME, Catalogue
from pypx.errors import CatalogueDamaged

UID, STUDY = "1.2.1", "1.2"
PACKED = RepackResult(
    series=(SeriesVerdict({"SeriesInstanceUID": UID, "StudyInstanceUID": STUDY}, {Fate.STORED: 1}),)
)


@pytest.fixture
def basemount(tmp_path: Path) -> Basemount:
    """With a catalogue that knows a series of one image, requested and packed."""
    basemount = Basemount.of_log_directory(tmp_path / "log")
    basemount.prepare()
    values = {"SOPInstanceUID": "1.2.1.1", "SeriesInstanceUID": UID, "StudyInstanceUID": STUDY}
    with Catalogue.open(basemount) as catalogue:
        catalogue.record([Event(UID, "requested", STUDY, 1)])
        catalogue.add([PackedInstance(values, "", "a/b/c/1.dcm", 1)])
    return basemount


def test_a_catalogue_that_cannot_be_asked_for_a_moment(basemount: Basemount) -> None:
    file = basemount.log / FILE_NAME
    with Catalogue.open(basemount) as catalogue:
        arriving = ArrivingSeries(catalogue, quiet=1000.0)
        arriving.take(PACKED)
        whole = file.read_bytes()
        file.write_bytes(b"no database" * 1000)
        with pytest.raises(CatalogueDamaged):
            arriving.finished()
        file.write_bytes(whole)
        (series,) = arriving.finished()
    assert series.line.endswith("1 image received, complete")


def test_what_came_is_told_of_at_the_end_whatever_the_catalogue_says(basemount: Basemount) -> None:
    (basemount.log / FILE_NAME).write_bytes(b"no database" * 1000)
    with Catalogue.open(basemount) as catalogue:
        arriving = ArrivingSeries(catalogue, quiet=1000.0)
        arriving.take(PACKED)
        (series,) = arriving.finished(all_of_them=True)
    assert (series.uid, series.images) == (UID, 1)
    assert "complete" not in series.line
