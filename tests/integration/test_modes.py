"""Who may read what is written below a BASEMOUNT, whatever the umask: its owner, and a group."""

from __future__ import annotations

import grp
import json
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from datasets import plain_study
from demo.pacs import Pacs
from listener import PxListen, send, until
from servers.needs import lacking
from storing import SERVICE, DirectoryDestination
from tools import Ran, run_tool

#: With the last, DCMTK's programs can read what they write as root alone.
UMASKS = ("000", "022", "077", "027", *(["777"] if os.geteuid() == 0 else []))


def group_of_ours() -> grp.struct_group:
    """A group other than the one that files get by themselves, where there is one."""
    if os.geteuid() == 0:
        return next(one for one in grp.getgrall() if one.gr_gid not in (0, os.getegid()))
    numbers = [number for number in os.getgroups() if number != os.getegid()] or [os.getegid()]
    return grp.getgrgid(numbers[0])


def with_umask(umask: str, *command: str | Path, status: int = 0, group: str = "") -> Ran:
    """Run a tool with this umask, and perhaps with a group."""
    typed = shlex.join(map(str, command))
    ran = run_tool("/bin/sh", "-c", f"umask {umask}; exec {typed}", environment={"PYPX_GROUP": group})
    assert ran.status == status, ran.stdout + ran.stderr
    return ran


def everything(basemount: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    """All that is there; what goes while it is looked at has been none of it."""
    inside = (Path(place, name) for place, *names in os.walk(basemount) for name in [*names[0], *names[1]])
    for path in (basemount, *sorted(inside)):
        with suppress(FileNotFoundError):
            yield str(path.relative_to(basemount)), path, path.lstat()


def is_private(name: str) -> bool:
    first = name.partition("/")[0]
    return first in ("services", "incoming") or name.startswith("log/audit")


def assert_modes(basemount: Path, group: int | None = None) -> None:
    """Every directory and file has the mode that it is to have."""
    directories = files = 0
    for name, _, status in everything(basemount):
        shared = group is not None and not is_private(name)
        is_directory = stat.S_ISDIR(status.st_mode)
        expected = (0o2750 if shared else 0o700) if is_directory else (0o640 if shared else 0o600)
        assert oct(stat.S_IMODE(status.st_mode)) == oct(expected), name
        if shared:
            assert status.st_gid == group, name
        directories, files = directories + is_directory, files + stat.S_ISREG(status.st_mode)
    assert directories > 8
    assert files > 4


def _work(basemount: Path, umask: str, files: list[Path], tmp_path: Path, group: str = "") -> None:
    """All that makes files: by copying, linking, in quarantine, services, journals and exports."""
    log = ("--db", basemount / "log")
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(files[0].read_bytes()[:-30])
    ours = tmp_path / "ours.dcm"
    ours.write_bytes(files[-1].read_bytes())
    ours.chmod(0o644)
    with_umask(umask, "px-repack", *log, "--xcrdirfile", files[0], group=group)
    with_umask(umask, "px-repack", *log, "--xcrdirfile", ours, "--cleanup", group=group)
    with_umask(umask, "px-repack", *log, "--xcrdirfile", damaged, status=1, group=group)
    assert not ours.exists()
    keys = json.dumps({"there": {"ip": "192.0.2.1"}})
    with_umask(umask, "px-smdb", *log, "--action", "swift", "--actionArgs", keys, group=group)
    tables = tmp_path / "tables"
    with_umask(umask, "px-smdb", *log, "--action", "export", "--actionArgs", tables, group=group)
    for _, path, status in everything(tables):
        assert stat.S_IMODE(status.st_mode) == (0o700 if path.is_dir() else 0o600)


@pytest.mark.parametrize("umask", UMASKS)
def test_for_the_owner_alone(umask: str, basemount: Path, files: list[Path], tmp_path: Path) -> None:
    _work(basemount, umask, files, tmp_path)
    assert_modes(basemount)


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_for_a_group(umask: str, basemount: Path, files: list[Path], tmp_path: Path) -> None:
    group = group_of_ours()
    _work(basemount, umask, files, tmp_path, group.gr_name)
    assert_modes(basemount, group.gr_gid)


@pytest.mark.parametrize("with_group", [False, True])
@pytest.mark.parametrize("umask", ["000", "022"])
def test_of_the_listener(umask: str, with_group: bool, basemount: Path, files: list[Path]) -> None:
    group = group_of_ours() if with_group else None
    inside = ["sh", "-c", f'umask {umask}; PYPX_GROUP={group.gr_name if group else ""} exec "$@"', "sh"]
    with PxListen(basemount, "--quiet", "0.2", inside=inside) as listen:
        send(listen.port, files)
        for series in plain_study().all_series:
            listen.wait_for(str(series.uid))
        until(lambda: listen.status()["open"] == 0)
        assert_modes(basemount, group.gr_gid if group else None)


@pytest.mark.parametrize("with_group", [False, True])
def test_of_a_retrieve(pacs: Pacs, with_group: bool, basemount: Path) -> None:
    group = group_of_ours() if with_group else None
    name = group.gr_name if group else ""
    study = ("--StudyInstanceUID", plain_study().uid, "--db", basemount / "log")
    for way in (("--get",), ("--receivePort", str(pacs.receive_port), "--force")):
        with_umask("002", "px-move", *map(str, pacs.node.options), *way, *study, group=name)
    assert_modes(basemount, group.gr_gid if group else None)


def test_the_group_reads_the_catalogue_without_the_secrets_beside_it(
    basemount: Path, files: list[Path]
) -> None:
    log = ("--db", basemount / "log")
    with_umask("022", "px-repack", *log, "--xcrdir", files[0].parent, group=group_of_ours().gr_name)
    (basemount / "services").chmod(0)
    for asked in (("px-status", "--StudyInstanceUID", plain_study().uid), ("px-smdb", "--action", "check")):
        ran = run_tool(*asked, *log, unprivileged=True)
        assert ran.status == 0, ran.stdout


def test_what_goes_to_a_storage_is_as_its_users_have_it(
    basemount: Path, files: list[Path], tmp_path: Path
) -> None:
    store = DirectoryDestination(tmp_path / "store", basemount)
    command = ("px-push", "--db", basemount / "log", "--swift", SERVICE, "--swiftServicesPACS", "BCH")
    with_umask("027", *command, "--xcrdirfile", files[0])
    (file,) = (path for path in store.root.rglob("*") if path.is_file())
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_group_that_is_none_is_told_before_anything_is_done(basemount: Path, files: list[Path]) -> None:
    command = ("px-repack", "--db", basemount / "log", "--xcrdirfile", files[0])
    ran = with_umask("022", *command, status=2, group="no-such-group")
    assert "PYPX_GROUP" in ran.stderr
    assert not (basemount / "data").exists() or not any((basemount / "data").iterdir())


def test_a_file_of_somebody_else_is_copied(basemount: Path, files: list[Path]) -> None:
    """Whoever owns a file can change it, and who may read it."""
    if os.geteuid() != 0:
        lacking("only root can give a file to somebody else: sudo bin/test")
    theirs = files[0]
    os.chown(theirs, 12345, 12345)
    with_umask("022", "px-repack", "--db", basemount / "log", "--xcrdirfile", theirs, "--cleanup")
    (image,) = (path for path in (basemount / "data").rglob("*") if path.is_file())
    assert image.stat().st_uid == 0
    assert_modes_of(image)


def assert_modes_of(image: Path) -> None:
    assert stat.S_IMODE(image.stat().st_mode) == 0o600
