"""What the checks of the image have in hand: the image, a volume, a PACS outside, and images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from demo.dcmqrscp import Dcmqrscp
from demo.studies import Study
from image import container
from image.build import IMAGE, Image
from image.container import Ran

#: ``docker run --rm -i --network host --volume … IMAGE`` with these arguments.
RunImage: TypeAlias = Callable[..., Ran]


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> Image:
    return pytestconfig.stash[IMAGE]


@pytest.fixture
def volume(image: Image, tmp_path: Path) -> Path:
    """An empty volume, with owner and mode of the image's directory, as an engine makes it."""
    return volume_of(image, tmp_path)


def volume_of(image: Image, directory: Path) -> Path:
    """A volume below this directory."""
    origin = (image.root / image.volumes[0].lstrip("/")).stat()
    new = directory / "volume"
    new.mkdir()
    new.chmod(origin.st_mode & 0o7777)
    os.chown(new, origin.st_uid, origin.st_gid)
    return new


@pytest.fixture
def run_image(image: Image, volume: Path) -> RunImage:
    def run(*arguments: str, stdin: str = "", user: tuple[int, int] | None = None) -> Ran:
        return container.run(image.launch(*arguments, volume=volume, user=user), stdin)

    return run


@pytest.fixture(scope="session")
def study() -> Study:
    """Two series, five instances, and a name with an umlaut."""
    attributes = {"PatientName": "Müller^Jürgen", "StudyDate": "20240314", "StudyDescription": "Schädel"}
    study = Study("7654321", attributes=attributes)
    return study.series(1, instances=2, SeriesDescription="T1").series(2, instances=3, SeriesDescription="T2")


@pytest.fixture(scope="session")
def files(study: Study, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return study.write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def pacs(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dcmqrscp]:
    """A dcmqrscp on this machine's loopback interface, outside of the image."""
    with Dcmqrscp(tmp_path_factory.mktemp("dcmqrscp")) as server:
        server.store(files)
        yield server


@pytest.fixture(scope="session")
def base(image: Image) -> Path:
    """The archive of the Debian root that the image begins with."""
    (archive,) = image.root.parents[1].glob("*.tar")
    return archive
