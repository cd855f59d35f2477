"""Files get their names, and whoever places them leaves nothing behind that is half-way there."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from pypx.basemount import placing
from pypx.basemount.placing import Placer
from trees import files_below


@contextmanager
def _interrupted_at(step: int) -> Iterator[None]:
    """Ctrl-C at one line of the module that places files, counted as they run."""
    left = step

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != placing.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_an_interruption_at_any_line_leaves_no_copy_that_has_no_name(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"image" * 1000)
    for step in itertools.count(1):
        tree = tmp_path / f"tree-{step}"
        is_interrupted = False
        with Placer(tree, tmp_path / "lock") as placer:
            try:
                with _interrupted_at(step):
                    placer.place(image, "patient/series/image.dcm", keep=True)
            except KeyboardInterrupt:
                is_interrupted = True
        assert files_below(tree, on_their_way=True) == []
        assert all(file.read_bytes() == image.read_bytes() for file in files_below(tree))
        if not is_interrupted:
            break
    assert step > 20
    assert files_below(tree) == [tree / "patient" / "series" / "image.dcm"]
