"""The files of a tree in the order of the bytes of their paths, held against what a catalogue says."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypx.actions.smdb.survey import Survey, compare
from pypx.basemount.inventory import Placed
from pypx.basemount.walking import FoundFile, files_in_order
from pypx.errors import BasemountUnusable

#: Characters that sort before and after the slash, in names of directories that begin alike.
_names = st.text("a-.0é", min_size=1, max_size=3).filter(lambda name: set(name) != {"."})
_paths = st.lists(st.lists(_names, min_size=1, max_size=3).map("/".join), max_size=12, unique=True)


def _write(tree: Path, paths: list[str]) -> None:
    for path in paths:
        try:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(path)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            continue  # another path has a directory there, or a file


@given(_paths)
def test_files_come_in_the_order_of_the_bytes_of_their_paths(paths):
    with TemporaryDirectory() as directory:
        tree = Path(directory)
        _write(tree, paths)
        expected = [
            str(Path(place, name).relative_to(tree)) for place, _, names in os.walk(tree) for name in names
        ]
        found = [file.path for file in files_in_order(tree)]
    assert found == sorted(expected, key=os.fsencode)


def test_links_and_what_has_yet_to_get_its_name(tmp_path):
    (tmp_path / ".incoming~").mkdir()
    (tmp_path / ".incoming~" / "1").write_text("half")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("text")
    (tmp_path / "directory-link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link").symlink_to("nowhere")
    found = {file.path: file.is_plain for file in files_in_order(tmp_path)}
    assert found == {"directory-link": False, "link": False, "loop": False, "real/file": True}
    assert list(files_in_order(tmp_path, "real")) == [FoundFile("real/file", 4)]
    assert list(files_in_order(tmp_path / "nowhere")) == []
    with pytest.raises(BasemountUnusable, match="real/file"):
        list(files_in_order(tmp_path / "real" / "file"))


@given(_paths, _paths, st.sets(st.integers(0, 12)))
def test_each_path_is_there_known_or_both(on_disk, told, resized):
    files = [FoundFile(path, 1) for path in sorted(on_disk, key=os.fsencode)]
    instances = [
        Placed(path, 2 if number in resized else 1, f"1.2.{number}", "", "1.2")
        for number, path in enumerate(sorted(told, key=os.fsencode))
    ]
    found = Survey()
    compare(iter(files), iter(instances), found)
    assert {file.path for file in found.unknown} == set(on_disk) - set(told)
    assert {placed.path for placed in found.missing} == set(told) - set(on_disk)
    assert {placed.path for placed, _ in found.resized} == {
        placed.path for placed in instances if placed.size == 2 and placed.path in on_disk
    }
    assert (found.files, found.instances) == (len(on_disk), len(told))
