"""A PACS that names its images as paths: nothing is written there, nor over anything that is there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from demo.studies import Study
from packed import assert_catalogue_is_exact
from pypx.dcmtk import confinement
from servers.hostile_archive import Archive, final
from servers.hostile_messages import Response, Store
from servers.hostile_pdus import Command
from servers.hostile_peer import HostileProvider
from together import together
from tools import Ran, run_tool
from trees import assert_nothing_pending, files_below, instances_in

STUDY = Study("NAMES-1").series(1, instances=3)

#: AffectedSOPInstanceUID (0000,1000) of the first image; {root} is the directory around the BASEMOUNT.
_NAMES = (
    "{root}/victim",
    "{root}/new",
    "../../../../victim",
    "../../../../new",
    "../../../log/smdb.sqlite",
    "../../../data/x.dcm",
    "../.owner",
    ".",
    "..",
)

#: These are names of files, if odd ones.
_HARMLESS = (".owner", "--help", "$(touch pwned);`touch pwned`", "\x1b]52;c;cHduZWQ=\x07\n\x1b[2J")

#: As many layers of rules as the kernel takes (landlock(7)), which allow what they are about everywhere.
_USE_UP = """
import ctypes, os, struct, sys
call = ctypes.CDLL(None).syscall
renaming = 1 << 13
top = os.open("/", os.O_PATH)
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
for _ in range(16):
    rules = call(444, struct.pack("=Q", renaming), 8, 0)
    assert call(445, rules, 1, struct.pack("=Qi", renaming, top), 0) == 0
    assert call(446, rules, 0) == 0
    os.close(rules)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty directory with a short name: UIDs have at most 64 characters."""
    with tempfile.TemporaryDirectory(prefix="px") as directory:
        yield Path(directory)


def _calling_the_first(name: str, archive: Archive) -> HostileProvider:
    def retrieve(asked: Command) -> Iterator[Response | Store]:
        first, *others = (Store.of(one) for one in archive.matching(asked))
        yield replace(first, sop_uid=name.encode())
        yield from others
        yield final(1 + len(others))

    return HostileProvider(archive.find, retrieve)


def _retrieve(name: str, root: Path, way: str) -> Ran:
    """Retrieve the study; what is around the BASEMOUNT must be as it was."""
    root.mkdir()
    (root / "victim").write_text("precious")
    with _calling_the_first(name.format(root=root), Archive(STUDY)) as pacs:
        options = ["--get"] if way == "get" else ["--receivePort", pacs.receive_port]
        ran = run_tool(
            *("px-move", *pacs.node.options, "--db", root / "basemount" / "log", *options),
            *("--retries", 0, "--StudyInstanceUID", STUDY.uid),
        )
    assert {path.name for path in root.iterdir()} == {"victim", "basemount"}
    assert (root / "victim").read_text() == "precious"
    ours = {"data", "log", "incoming", "quarantine", "services"}
    assert {path.name for path in (root / "basemount").iterdir()} <= ours
    assert len(files_below(root / "basemount" / "data")) == len(instances_in(root / "basemount"))
    assert_nothing_pending(root / "basemount")
    return ran


@pytest.mark.skipif(not confinement.is_possible(), reason="the kernel has no Landlock")
def test_names_that_lead_elsewhere_by_c_get(place: Path) -> None:
    def case(name: str, root: Path) -> None:
        ran = _retrieve(name, root, "get")
        assert (ran.status, ran.error) == (1, "answer-unreadable")
        assert len(ran.stderr.splitlines()) == 1

    together({name: lambda n=name, at=at: case(n, place / str(at)) for at, name in enumerate(_NAMES)})


def test_names_that_lead_elsewhere_by_c_move(place: Path) -> None:
    """The files of images that are received have names of our own."""

    def case(name: str, root: Path) -> None:
        ran = _retrieve(name, root, "move")
        assert ran.status == 0, ran.stdout
        assert_catalogue_is_exact(root / "basemount")

    names = [*_NAMES[:4], *_HARMLESS[-1:]]
    together({name: lambda n=name, at=at: case(n, place / str(at)) for at, name in enumerate(names)})


def test_names_that_are_odd(place: Path) -> None:
    def case(name: str, root: Path) -> None:
        ran = _retrieve(name, root, "get")
        assert ran.status == 0, ran.stdout
        assert_catalogue_is_exact(root / "basemount")

    together({name: lambda n=name, at=at: case(n, place / str(at)) for at, name in enumerate(_HARMLESS)})


@pytest.mark.skipif(not confinement.is_possible(), reason="the kernel has no Landlock")
def test_names_where_programs_cannot_be_confined(place: Path) -> None:
    """getscu then names the files itself, and all arrive."""
    root = place / "site"
    root.mkdir()
    (root / "victim").write_text("precious")
    with _calling_the_first(f"{root}/victim", Archive(STUDY)) as pacs:
        ran = run_tool(
            *("python", "-c", _USE_UP, Path(sys.executable).with_name("px-move"), *pacs.node.options),
            *("--db", root / "basemount" / "log", "--get", "--retries", 0),
            *("--StudyInstanceUID", STUDY.uid),
        )
    assert ran.status == 0, ran.stdout + ran.stderr
    assert (root / "victim").read_text() == "precious"
    assert len(instances_in(root / "basemount")) == STUDY.instances
    assert_nothing_pending(root / "basemount")


@pytest.mark.skipif(not confinement.is_possible(), reason="the kernel has no Landlock")
def test_what_a_confined_program_can_do(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.write_text("as it was")

    def run(script: str) -> int:
        return subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False, capture_output=True).returncode

    with confinement.confined_to(inside) as start:
        assert start(lambda: run("echo x > inside/file && cat outside inside/file > /dev/null")) == 0
        for script in (
            *("echo x > outside", "echo x > other", "rm outside", "mkdir other", "ln -s x other"),
            *("mv outside other", "mv outside inside/", "mkfifo other", "ln outside inside/hard"),
        ):
            assert start(lambda script=script: run(script)) != 0, script
    assert outside.read_text() == "as it was"
    # It is the thread that was confined, not we.
    assert run("echo x > other") == 0
