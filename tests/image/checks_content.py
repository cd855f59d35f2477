"""What is in the image, whose it is, and what is not in it."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from image.__main__ import BUILD_ARGUMENTS, megabytes
from image.build import Image

_UID, _GID = int(BUILD_ARGUMENTS["UID"]), int(BUILD_ARGUMENTS["GID"])

#: Megabytes; a compiler, or a cache of packages, is more than what is left to it.
_LIMIT = 300


def _everything(image: Image) -> Iterator[tuple[Path, os.stat_result]]:
    for parent, directories, files in os.walk(image.root):
        for name in (*directories, *files):
            yield (path := Path(parent, name)), path.lstat()


def test_it_is_run_by_the_user_that_was_asked_for(image: Image) -> None:
    assert (image.uid, image.gid) == (_UID, _GID)
    assert f"pypx:x:{_UID}:{_GID}::/home/dicom:" in (image.root / "etc/passwd").read_text()


def test_the_volume_belongs_to_its_user_alone(image: Image) -> None:
    status = (image.root / "home/dicom").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (_UID, _GID, 0o750)
    assert list((image.root / "home/dicom").iterdir()) == []


def test_nothing_else_is_its_user_s_to_change(image: Image) -> None:
    volume = image.root / "home/dicom"
    found = {}
    for path, status in _everything(image):
        mode = stat.S_IMODE(status.st_mode)
        is_shared_directory = stat.S_ISDIR(status.st_mode) and mode & stat.S_ISVTX
        is_others = mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode) and not is_shared_directory
        if path != volume and (is_others or status.st_uid == _UID or status.st_gid == _GID):
            found[path] = oct(mode)
    assert found == {}


def test_the_tools_belong_to_root_and_can_be_read_by_all(image: Image) -> None:
    ours = (image.root / "opt", image.root / "usr/local")
    found = {}
    for path, status in _everything(image):
        if any(path.is_relative_to(directory) for directory in ours) and not path.is_symlink():
            needed = 0o755 if path.is_dir() or path.name.startswith(("px-", "pypx-entrypoint")) else 0o644
            mode = stat.S_IMODE(status.st_mode)
            if (status.st_uid, status.st_gid) != (0, 0) or mode not in (needed, 0o755):
                found[path] = oct(mode)
    assert found == {}


def test_no_compiler_and_no_installer_is_left(image: Image) -> None:
    wanted = {"cc", "c99", "gcc", "g++", "clang", "ld", "as", "make", "cmake", "pip", "pip3", "easy_install"}
    programs = [path for path, _ in _everything(image) if path.parent.name in ("bin", "sbin")]
    assert len(programs) > 300
    found = [
        path for path in programs if path.name in wanted or path.name.startswith(("gcc-", "x86_64-linux-gnu"))
    ]
    assert found == []
    packages = image.root / "opt/pypx/lib/python3.11/site-packages"
    assert (packages / "pypx").is_dir()
    assert [path for path in packages.iterdir() if path.name.startswith(("pip", "setuptools", "wheel"))] == []


def test_no_download_cache_or_source_is_left(image: Image) -> None:
    kinds = (".deb", ".whl", ".tar.gz", "_InRelease", "_Packages", "_Packages.lz4")
    assert [path for path, _ in _everything(image) if path.name.endswith(kinds)] == []
    assert list((image.root / "var/lib/apt/lists").iterdir()) == []
    for directory in ("tmp", "var/tmp", "dev/shm", "root/.cache", "home/dicom"):
        path = image.root / directory
        assert not path.exists() or list(path.iterdir()) == [], directory
    assert not {"builder", "source", "wheels"} & {path.name for path in image.root.iterdir()}


def test_nothing_that_was_lent_to_the_build_stays(image: Image) -> None:
    strange = (BUILD_ARGUMENTS["NO_PROXY"].encode(), b"/dev/lent")
    for path, status in _everything(image):
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
            assert not [mark for mark in strange if mark in content], path
    assert not any("proxy" in name.lower() for name in image.environment)
    assert not (image.root / "dev/lent").exists()
    assert (image.root / "etc/resolv.conf").read_bytes() == b""
    assert (image.root / "etc/hosts").read_bytes() == b""


def test_where_packages_come_from_is_as_debian_s_image_has_it(image: Image, base: Path) -> None:
    with tarfile.open(base) as archive:
        original = {member.name for member in archive if member.name.startswith("./etc/apt/")}
    ours = {f"./{path.relative_to(image.root)}" for path, _ in _everything(image) if "etc/apt/" in str(path)}
    assert ours == original
    assert not (image.root / "etc/pip.conf").exists()


def test_it_is_not_large(image: Image) -> None:
    assert megabytes(image.root) < _LIMIT
