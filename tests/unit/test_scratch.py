"""Directories for temporary files: one's own, gone at the end, and nobody else's touched."""

import os
import stat
import time
from pathlib import Path

import pytest

from pypx.dcmtk.scratch import is_full, scratch
from pypx.errors import ScratchUnusable

_LONG_AGO = 600


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def age(directory: Path) -> None:
    os.utime(directory, (time.time() - _LONG_AGO,) * 2)


def test_a_directory_for_its_owner_alone_that_goes_with_what_is_in_it(temporary: Path) -> None:
    with scratch() as directory:
        assert directory.parent == temporary
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        (directory / "answers").mkdir()
        (directory / "answers" / "rsp0001.dcm").write_text("Doe^Jane")
        assert not is_full(directory)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_goes(temporary: Path) -> None:
    child = os.fork()
    if child == 0:
        with scratch() as directory:
            (directory / "rsp0001.dcm").write_text("Doe^Jane")
            os._exit(0)  # as a kill would end it
    os.waitpid(child, 0)
    (left,) = temporary.iterdir()
    age(left)
    with scratch() as directory:
        assert list(temporary.iterdir()) == [directory]


def test_what_a_process_holds_stays_however_old(temporary: Path) -> None:
    with scratch() as held:
        age(held)
        with scratch():
            assert held.exists()
        assert held.exists()


def test_what_is_young_or_of_another_name_stays(temporary: Path) -> None:
    young = temporary / "pypx-scratch-young"
    other = temporary / "other"
    for directory in (young, other):
        directory.mkdir()
    age(other)
    with scratch():
        assert young.exists()
    assert other.exists()


def test_a_link_is_not_followed(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("target")
    (target / "precious").write_text("here")
    link = temporary / "pypx-scratch-link"
    link.symlink_to(target)
    os.utime(link, (time.time() - _LONG_AGO,) * 2, follow_symlinks=False)
    with scratch():
        pass
    assert (target / "precious").read_text() == "here"


def test_no_place_at_all(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "nowhere"))
    with pytest.raises(ScratchUnusable, match="nowhere"), scratch():
        pass
