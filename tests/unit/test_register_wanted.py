"""What px-push says, as series to be registered; and what the storage must hold of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import datasets
from pypx.actions.register.of_catalogue import Place
from pypx.actions.register.of_push import is_push, of_lists, of_push
from pypx.actions.register.seeing import see
from pypx.actions.register.storages import Storages
from pypx.actions.register.wanted import Wanted, only_as
from pypx.basemount.layout import Basemount
from pypx.cube.fields import pacs_name_of
from pypx.errors import InvalidInput, InvalidValue, NotInStorage
from pypx.storage.filesystem import FilesystemStorage

FOLDER = "SERVICES/PACS/BCH/patient/study/series"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three series."""
    return datasets.plain_study().write(tmp_path_factory.mktemp("files"))


def objects(files: list[Path], folder: str = FOLDER) -> list[str]:
    return [f"{folder}/{file.name}" for file in files]


def verdict(**members: Any) -> dict[str, Any]:
    """One of "data" in the JSON of px-push."""
    return {
        "StudyInstanceUID": str(datasets.plain_study().uid),
        "SeriesInstanceUID": str(datasets.plain_study().all_series[0].uid),
        "SeriesDescription": "Localizer",
        "folder": FOLDER,
        "target": "file:///store/SERVICES/PACS/BCH",
        **members,
    }


def document(files: list[Path], *verdicts: dict[str, Any]) -> dict[str, Any]:
    names = [str(file) for file in files]
    return {"data": list(verdicts), "localFileList": names, "objectFileList": objects(files)}


def test_a_series_as_px_push_had_it(files: list[Path]) -> None:
    [wanted] = of_push(document(files[:3], verdict()))
    assert wanted.error is None
    assert wanted.folder == FOLDER
    assert wanted.names == tuple(sorted(objects(files[:3])))
    assert wanted.target == "file:///store/SERVICES/PACS/BCH"
    assert wanted.is_its_own
    assert wanted.values["PatientID"] == "PLAIN-1"
    assert wanted.description == "Localizer"


def test_lists_alone_are_read_file_by_file(files: list[Path]) -> None:
    three = [f"{FOLDER}-{place // 3}/{file.name}" for place, file in enumerate(files[:3])]
    [wanted] = of_lists([str(file) for file in files[:3]], three)
    assert not wanted.is_its_own
    assert len(wanted.names) == 3


def test_two_series_in_one_folder_are_not_registered(files: list[Path]) -> None:
    wanted = of_push(document(files[2:4]))
    assert len(wanted) == 2
    assert all(isinstance(one.error, InvalidValue) for one in wanted)


def test_one_series_in_two_folders_is_not_registered(files: list[Path]) -> None:
    names = [f"{FOLDER}-{number}/1.dcm" for number in range(2)]
    [wanted] = of_lists([str(file) for file in files[:2]], names)
    assert isinstance(wanted.error, InvalidValue)


def test_a_file_of_another_series_than_px_push_says(files: list[Path]) -> None:
    [wanted] = of_push(document(files[:3], verdict(SeriesInstanceUID="1.2.3")))
    assert isinstance(wanted.error, InvalidInput)


def test_a_series_that_was_not_pushed_is_told_why(files: list[Path]) -> None:
    failed = verdict(error={"code": "x", "message": "The disk is full", "hint": ""})
    [wanted] = of_push(document(files[:3], failed))
    assert isinstance(wanted.error, NotInStorage)
    assert "The disk is full" in wanted.error.message


def test_a_series_that_went_to_another_pacs(files: list[Path]) -> None:
    [wanted] = of_push(document([], verdict(folder="", target="THEIRS at host:104")))
    assert isinstance(wanted.error, NotInStorage)


def test_the_first_file_that_can_be_read_tells(files: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "0.dcm"
    broken.write_bytes(b"")
    [wanted] = of_push(document([broken, *files[:3]], verdict()))
    assert wanted.error is None
    [wanted] = of_push(document([broken], verdict()))
    assert wanted.error is not None


@pytest.mark.parametrize(
    "said",
    [
        [],
        3,
        "text",
        None,
        {},
        {"objectFileList": 3, "localFileList": []},
        {"objectFileList": ["a"], "localFileList": []},
        {"objectFileList": [None], "localFileList": [1]},
        {"objectFileList": [""], "localFileList": [""]},
        {"objectFileList": [], "localFileList": [], "data": 3},
        {"objectFileList": [], "localFileList": [], "data": [3]},
        {"status": "error", "error": {"code": "x", "message": "It went wrong", "hint": ""}},
        {"status": "error", "error": 3},
    ],
)
def test_documents_that_are_none_of_px_push(said: object) -> None:
    with pytest.raises(InvalidInput):
        of_push(said)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["objectFileList", "localFileList", "data", "folder", "error", "target", "status"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(_JSON)
def test_json_of_any_shape_is_refused_or_read(said: object) -> None:
    is_push(said)
    try:
        wanted = of_push(said)
    except InvalidInput:
        return
    assert all(one.error for one in wanted), "nothing here is a file"


@pytest.mark.parametrize(
    ("place", "target", "has"),
    [
        (Place(), "file:///store/SERVICES/PACS/BCH", True),
        (Place(), "THEIRS at host:104", False),
        (Place("file:///store"), "file:///store/SERVICES/PACS/BCH", True),
        (Place("file:///other"), "file:///store/SERVICES/PACS/BCH", False),
        (Place("", "BCH"), "swift://a@h/users/SERVICES/PACS/BCH", True),
        (Place("", "MGH"), "swift://a@h/users/SERVICES/PACS/BCH", False),
    ],
)
def test_which_pushes_count(place: Place, target: str, has: bool) -> None:
    assert place.has(target) is has


def test_another_name_of_the_pacs_is_refused() -> None:
    wanted = Wanted("1.2", folder=FOLDER)
    assert only_as(wanted, "").error is None
    assert only_as(wanted, "BCH").error is None
    assert isinstance(only_as(wanted, "MGH").error, InvalidValue)


def test_a_folder_that_names_no_pacs_is_refused_where_it_is_to_be_registered() -> None:
    wanted = Wanted("1.2", folder="SERVICES/PACS", names=("SERVICES/PACS/1.dcm",))
    assert only_as(wanted, "BCH") is wanted
    with pytest.raises(InvalidValue):
        pacs_name_of(wanted.folder)


@pytest.mark.parametrize(
    "place",
    ["file:///a%00b", "file:///%ff%00", "file://[x", "http://[x"],
    ids=["NUL", "NUL and no text", "brackets", "another kind"],
)
def test_a_storage_that_cannot_be_is_not_looked_into(tmp_path: Path, place: str) -> None:
    with Storages(Basemount.of_log_directory(tmp_path / "log"), None) as storages:
        assert storages.of(Wanted("1.2", target=f"{place}/SERVICES/PACS/BCH")) is None


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[FilesystemStorage]:
    """A directory with five images in the series' folder, and others around it."""
    for name in (
        *(f"{FOLDER}/{number}.dcm" for number in range(5)),
        f"{FOLDER}/notes.txt",
        f"{FOLDER}0/1.dcm",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    with FilesystemStorage(tmp_path) as storage:
        yield storage


NAMES = tuple(f"{FOLDER}/{number}.dcm" for number in range(5))


@pytest.mark.parametrize("by_folder", [True, False])
def test_what_is_there_is_seen(storage: FilesystemStorage, by_folder: bool) -> None:
    seen = see(Wanted("1.2", folder=FOLDER, names=NAMES), storage, by_folder=by_folder)
    assert (seen.names, seen.count, seen.size) == (NAMES, 5, 25)


def test_a_folder_of_its_own_is_counted(storage: FilesystemStorage) -> None:
    """Earlier pushes put files there, too."""
    wanted = Wanted("1.2", folder=FOLDER, names=NAMES[:2], is_its_own=True)
    assert see(wanted, storage, by_folder=True).names == NAMES
    known = Wanted("1.2", folder=FOLDER, at_least=5, is_its_own=True)
    assert see(known, storage, by_folder=True).names == NAMES


def test_files_that_nobody_named_are_registered_in_no_way(storage: FilesystemStorage) -> None:
    wanted = Wanted("1.2", folder=FOLDER, names=NAMES[:2])
    with pytest.raises(NotInStorage, match="not known to be"):
        see(wanted, storage, by_folder=True)
    assert see(wanted, storage, by_folder=False).names == NAMES[:2]


@pytest.mark.parametrize("by_folder", [True, False])
def test_what_is_missing_is_told(storage: FilesystemStorage, by_folder: bool) -> None:
    with pytest.raises(NotInStorage, match=r"1 of the 6 .*9\.dcm"):
        see(Wanted("1.2", folder=FOLDER, names=(*NAMES, f"{FOLDER}/9.dcm")), storage, by_folder=by_folder)
    with pytest.raises(NotInStorage, match="5 of the 6"):
        see(Wanted("1.2", folder=FOLDER, at_least=6, is_its_own=True), storage, by_folder=by_folder)
    with pytest.raises(NotInStorage, match="0 of the 1"):
        see(Wanted("1.2", folder=f"{FOLDER}-none", is_its_own=True), storage, by_folder=by_folder)


def test_without_a_storage_what_is_known_is_believed() -> None:
    assert see(Wanted("1.2", folder=FOLDER, names=NAMES), None, by_folder=True).count == 5
    assert see(Wanted("1.2", folder=FOLDER, at_least=5), None, by_folder=True).count == 5
    with pytest.raises(NotInStorage, match="cannot be seen"):
        see(Wanted("1.2", folder=FOLDER, at_least=5), None, by_folder=False)
    with pytest.raises(NotInStorage, match="cannot be seen"):
        see(Wanted("1.2", folder=FOLDER), None, by_folder=True)


@pytest.mark.parametrize("by_folder", [True, False])
def test_what_cube_does_not_count_is_refused(by_folder: bool) -> None:
    with pytest.raises(InvalidValue, match=r"\.dcm"):
        see(Wanted("1.2", folder=FOLDER, names=(f"{FOLDER}/1",)), None, by_folder=by_folder)
