"""Files to pack, filesystems that are not like the usual one, and the certificates of a site."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

import catalogues
import datasets
import without_links
from certificates import Authority, Identity
from servers.needs import lacking
from servers.postgresql import Postgresql

#: From a name to a BASEMOUNT.
NewBasemount: TypeAlias = Callable[[str], Path]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """The plain study: three series, 20 instances."""
    return datasets.plain_study().write(tmp_path / "source")


@pytest.fixture
def new_basemount(request: pytest.FixtureRequest, database: str | None, tmp_path: Path) -> NewBasemount:
    """Makes a BASEMOUNT of a name, with a catalogue of its own where :func:`database` has its."""

    def make(name: str) -> Path:
        path = tmp_path / name
        if database:
            server: Postgresql = request.getfixturevalue("postgresql")
            catalogues.use(path, server.url(server.fresh_database()))
        return path

    return make


@pytest.fixture
def other_filesystem(tmp_path: Path) -> Iterator[Path]:
    """An empty directory from which nothing can be linked to the test's own."""
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        lacking(f"there is no second filesystem: mount -t tmpfs none {memory}")
    elsewhere = memory / f"pypx-{os.getpid()}-{tmp_path.name}"
    elsewhere.mkdir()
    yield elsewhere
    shutil.rmtree(elsewhere)


@pytest.fixture
def no_links(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a program to which the kernel says of links what it says on FAT, or as told."""
    site = tmp_path / "no-links"
    site.mkdir()
    return without_links.environment(site, getattr(errno, getattr(request, "param", "EPERM")))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates of a site."""
    return Authority(tmp_path_factory.mktemp("site") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs those of others."""
    return Authority(tmp_path_factory.mktemp("elsewhere") / "stranger")


@pytest.fixture(scope="module")
def us(authority: Authority) -> Identity:
    """Who we are."""
    return authority.issue("us")


@pytest.fixture(scope="module")
def ours(authority: Authority, us: Identity) -> list[str]:
    """The options with which all is well."""
    return [*us.options, *authority.options]
