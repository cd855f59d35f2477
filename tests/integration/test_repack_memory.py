"""Packing lets go of what it has done with, whenever Python next looks for cycles."""

from __future__ import annotations

import gc
from pathlib import Path

from demo.studies import Study
from pypx.actions.repack import Source, pack
from pypx.actions.repack.candidate import Candidate
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue


def test_no_image_outlives_the_batch_that_it_was_packed_in(tmp_path: Path) -> None:
    files = Study("MEMORY").series(1, 20).write(tmp_path / "source")
    basemount = Basemount.of_log_directory(tmp_path / "basemount" / "log")
    basemount.prepare()
    gc.collect()
    gc.disable()
    try:
        with Catalogue.open(basemount) as catalogue:
            assert pack(files, basemount, catalogue, source=Source.KEEP).stored == len(files)
        assert not [one for one in gc.get_objects() if isinstance(one, Candidate)]
    finally:
        gc.enable()
