"""pfstorage: object storage by hand, on Swift and on a directory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from servers.faults import Answer, FaultyProxy, every
from storing import SERVICE, Destination, DirectoryDestination, SwiftDestination, write_service
from tools import Ran, run_in_terminal, run_tool


def _do(
    basemount: Path,
    destination: Destination,
    action: str,
    *options: str,
    status: int = 0,
    **arguments: Any,
) -> Ran:
    said = json.dumps({"action": action, "args": arguments})
    ran = run_tool("pfstorage", "--db", basemount / "log", *destination.options, "--do", said, *options)
    assert ran.status == status, ran.stderr
    return ran


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Four files in a tree."""
    root = tmp_path / "data"
    for name, content in {
        "a.txt": b"a",
        "deep/b.dcm": b"bb",
        "deep/er/c.dcm": b"ccc",
        "ü d.txt": b"",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_put_list_pull_and_remove(basemount, destination: Destination, tree: Path, tmp_path: Path) -> None:
    put = _do(basemount, destination, "objPut", localpath=str(tree), toLocation="chris/uploads").json
    names = [f"chris/uploads/{name}" for name in ("a.txt", "deep/b.dcm", "deep/er/c.dcm", "ü d.txt")]
    assert put["status"] == "success"
    assert sorted(put["objectFileList"]) == sorted(names) == sorted(destination.contents())
    for local, name in zip(put["localFileList"], put["objectFileList"], strict=True):
        assert Path(local).read_bytes() == destination.contents()[name]
    listed = _do(basemount, destination, "ls", path="chris/").json["ls"]
    assert [one["name"] for one in listed] == sorted(names)
    assert {tuple(one) for one in listed} == {("name", "bytes", "hash", "last_modified")}
    assert [one["bytes"] for one in listed] == [1, 2, 3, 0]
    assert listed[0]["hash"] == "0cc175b9c0f1b6a831c399e269772661"
    back = tmp_path / "back"
    pulled = _do(basemount, destination, "objPull", fromLocation="chris/uploads", toLocation=str(back)).json
    assert sorted(pulled["objectFileList"]) == sorted(names)
    assert {path.relative_to(back): path.read_bytes() for path in back.rglob("*") if path.is_file()} == {
        path.relative_to(tree): path.read_bytes() for path in tree.rglob("*") if path.is_file()
    }
    removed = _do(basemount, destination, "rmtree", path="chris/uploads/deep").json
    assert sorted(removed["dellist"]) == ["chris/uploads/deep/b.dcm", "chris/uploads/deep/er/c.dcm"]
    assert sorted(destination.contents()) == ["chris/uploads/a.txt", "chris/uploads/ü d.txt"]


def test_the_other_way_to_say_it(basemount, destination: Destination) -> None:
    destination.put("a/b", b"1")
    ran = run_tool(
        "pfstorage",
        *("--db", basemount / "log", *destination.options),
        *("--action", "ls", "--args", '{"path": "a"}'),
    )
    assert [one["name"] for one in ran.json["ls"]] == ["a/b"]


def test_what_ls_gives(basemount, destination: Destination) -> None:
    for name in ("a/one.dcm", "a/two.txt", "b/one.dcm"):
        destination.put(name, b"12345")

    def names(**arguments: Any) -> list[str]:
        return [one["name"] for one in _do(basemount, destination, "ls", **arguments).json["ls"]]

    assert names() == names(path="") == names(path="/") == ["a/one.dcm", "a/two.txt", "b/one.dcm"]
    assert names(path="/a") == names(swiftpath="./a/") == ["a/one.dcm", "a/two.txt"]
    assert names(substr="one") == ["a/one.dcm", "b/one.dcm"]
    assert names(path="a/", substr=".dcm") == ["a/one.dcm"]
    assert names(path="nothing") == []
    told = _do(basemount, destination, "ls", path="b", retSpec=["bytes", "name"]).json["ls"]
    assert told == [{"bytes": 5, "name": "b/one.dcm"}]
    for wanted in (["nonsense"], "name"):
        ran = _do(basemount, destination, "ls", retSpec=wanted, status=2)
        assert "retSpec" in ran.stderr


def test_equal_files_are_not_sent_again_and_others_are(basemount, destination, tree: Path, tmp_path) -> None:
    arguments = {"localpath": str(tree), "toLocation": "x"}
    assert _do(basemount, destination, "objPut", **arguments).json["summary"]["transferred"] == 4
    (tree / "a.txt").write_bytes(b"other")
    again = _do(basemount, destination, "objPut", **arguments).json["summary"]
    assert (again["transferred"], again["equal"]) == (1, 3)
    assert destination.contents()["x/a.txt"] == b"other"
    pull = {"fromLocation": "x", "toLocation": str(tmp_path / "back")}
    assert _do(basemount, destination, "objPull", **pull).json["summary"]["transferred"] == 4
    (tmp_path / "back" / "a.txt").write_bytes(b"OTHER")
    again = _do(basemount, destination, "objPull", **pull).json["summary"]
    assert (again["transferred"], again["equal"]) == (1, 3)
    assert (tmp_path / "back" / "a.txt").read_bytes() == b"other"


def test_some_files_and_where_they_go(basemount, destination: Destination, tree: Path) -> None:
    _do(basemount, destination, "objPut", localpath=str(tree), DICOMsubstr=".dcm", toLocation="1")
    _do(
        basemount,
        destination,
        "objPut",
        localpath=str(tree / "deep"),
        toLocation="/2/",
        mapLocationOver=str(tree),
    )
    _do(basemount, destination, "objPut", localpath=str(tree / "a.txt"), toLocation="3")
    (tree / "deep" / "er" / "..a").write_text("a name like any other")
    _do(basemount, destination, "objPut", localpath=str(tree / "deep" / "er"), substr="..", toLocation="5")
    _do(
        basemount,
        destination,
        "objPut",
        fileList=[str(tree / "a.txt"), str(tree / "deep" / "b.dcm")],
        mapLocationOver=str(tree),
        toLocation="4",
    )
    assert sorted(destination.contents()) == [
        *("1/deep/b.dcm", "1/deep/er/c.dcm"),
        *("2/deep/b.dcm", "2/deep/er/c.dcm"),
        "3/a.txt",
        *("4/a.txt", "4/deep/b.dcm"),
        "5/..a",
    ]
    ran = _do(
        basemount, destination, "objPut", localpath=str(tree), mapLocationOver=str(tree / "deep"), status=2
    )
    assert "mapLocationOver" in ran.stderr


def test_pulling_one_object_or_some(basemount, destination: Destination, tmp_path: Path) -> None:
    for name in ("a/b/c.dcm", "a/b/d.txt", "a/bc", "a/b.dcm"):
        destination.put(name, name.encode())
    _do(basemount, destination, "objPull", fromLocation="a/b/c.dcm", toLocation=str(tmp_path / "1"))
    assert (tmp_path / "1" / "c.dcm").read_bytes() == b"a/b/c.dcm"
    _do(basemount, destination, "objPull", path="a/b", substr=".dcm", toLocationOver=str(tmp_path / "2"))
    assert [path.name for path in (tmp_path / "2").rglob("*")] == ["c.dcm"]
    ran = _do(basemount, destination, "objPull", path="a/x", toLocation=str(tmp_path / "3"), status=1)
    assert ran.error == "nothing-found"
    ran = _do(basemount, destination, "objPull", path="a/b", status=2)
    assert "toLocation" in ran.stderr


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/escaped"])
def test_a_hostile_name_in_swift_does_not_lead_out(
    basemount, swift_container: SwiftDestination, tmp_path: Path, name: str
) -> None:
    swift_container.put(f"x/{name}", b"hostile")
    swift_container.put("x/good", b"good")
    target = tmp_path / "deep" / "back"
    ran = _do(basemount, swift_container, "objPull", fromLocation="x", toLocation=str(target), status=1)
    assert ran.error == "invalid-value"
    assert ran.json["objectFileList"] == ["x/good"]
    assert [path.name for path in (tmp_path / "deep").rglob("*") if path.is_file()] == ["good"]
    assert not (tmp_path / "escaped").exists()


def test_a_link_below_the_target_does_not_lead_out(basemount, destination, tmp_path: Path) -> None:
    destination.put("x/link/a", b"1")
    target, outside = tmp_path / "back", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (target / "link").symlink_to(outside)
    ran = _do(basemount, destination, "objPull", path="x", toLocation=str(target), status=1)
    assert ran.error == "file-unreadable"
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("path", ["", "/", ".", "./", "//", " "])
def test_all_of_the_storage_is_never_removed(basemount, destination: Destination, path: str) -> None:
    destination.put("a/b", b"1")
    ran = _do(basemount, destination, "rmtree", "--yes", path=path, status=2)
    assert "all of it" in ran.stderr
    assert list(destination.contents()) == ["a/b"]
    assert _do(basemount, destination, "rmtree", "--yes", status=2).stdout == ""


@pytest.mark.parametrize("path", ["..", "a/..", "../a", "a//b", "a/./b"])
def test_a_path_that_is_none_removes_nothing(basemount, destination: Destination, path: str) -> None:
    destination.put("a/b", b"1")
    _do(basemount, destination, "rmtree", "--yes", path=path, status=2)
    assert list(destination.contents()) == ["a/b"]


def test_removing_takes_a_tree_and_not_what_begins_alike(basemount, destination: Destination) -> None:
    for name in ("a/b/1", "a/b/c/2", "a/bc/3", "a/b.txt"):
        destination.put(name, b"1")
    _do(basemount, destination, "rmtree", path="/a/b/")
    assert sorted(destination.contents()) == ["a/b.txt", "a/bc/3"]
    assert _do(basemount, destination, "rmtree", path="a/b").json["dellist"] == []
    _do(basemount, destination, "rmtree", path="a/b.txt")
    assert sorted(destination.contents()) == ["a/bc/3"]


def test_a_person_is_asked_before_something_is_removed(basemount, destination: Destination) -> None:
    destination.put("a/b", b"1")
    command = ["pfstorage", "--db", basemount / "log", *destination.options, "--action", "rmtree"]
    command += ["--args", '{"path": "a"}']
    ran = run_in_terminal(command)
    assert ran.status == 2
    assert "--yes" in ran.stdout
    assert "1 object below 'a'" in ran.stdout.replace("\r\n", "\n")
    assert list(destination.contents()) == ["a/b"]
    ran = run_in_terminal([*command, "--yes"])
    assert (ran.status, "1 removed" in ran.stdout) == (0, True)
    assert destination.contents() == {}


def test_a_list_at_a_terminal(basemount, destination: Destination) -> None:
    destination.put("a/b\u202e c", b"12345")
    command = ["pfstorage", "--db", basemount / "log", *destination.options, "--action", "ls"]
    ran = run_in_terminal(command)
    assert ran.status == 0
    assert "5  a/b\\u202e c" in ran.stdout


def test_several_hundred(basemount, destination: Destination, tmp_path: Path) -> None:
    root = tmp_path / "many"
    root.mkdir()
    for number in range(300):
        (root / f"{number:03d}").write_text(str(number))
    put = _do(basemount, destination, "objPut", localpath=str(root), toLocation="many").json
    assert put["summary"]["transferred"] == 300
    assert len(destination.contents()) == 300
    removed = _do(basemount, destination, "rmtree", path="many").json
    assert len(removed["dellist"]) == 300
    assert destination.contents() == {}
    if isinstance(destination, DirectoryDestination):
        assert list(destination.root.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--action", "nonsense"],
        ["--do", "{"],
        ["--do", "[]"],
        ["--do", '{"action": ["ls"]}'],
        ["--do", '{"action": "ls", "args": []}'],
        ["--do", '{"action": "ls", "args": {"nonsense": 1}}'],
        ["--do", '{"action": "ls", "args": {"path": 1}}'],
        ["--do", '{"action": "ls"}', "--action", "ls"],
        ["--action", "objPut"],
        ["--action", "objPut", "--args", '{"localpath": ".", "toLocation": "SERVICES/%pack"}'],
        ["--action", "ls", "--type", "s3"],
    ],
)
def test_wrong_usage(basemount, destination: Destination, arguments: list[str]) -> None:
    ran = run_tool("pfstorage", "--db", basemount / "log", *destination.options, *arguments)
    assert (ran.status, ran.stdout) == (2, ""), ran.stdout
    assert ran.stderr.count("\n") == 1


def test_no_storage_is_named(basemount) -> None:
    ran = run_tool("pfstorage", "--db", basemount / "log", "--action", "ls")
    assert (ran.status, ran.stdout) == (2, "")


def test_a_directory_by_option_and_type(basemount, tmp_path: Path) -> None:
    (tmp_path / "store" / "a").mkdir(parents=True)
    (tmp_path / "store" / "a" / "b").write_bytes(b"1")
    ran = run_tool(
        "pfstorage",
        *("--type", "fs", "--storeBaseLocation", tmp_path / "store", "--db", basemount / "log"),
        *("--action", "ls"),
    )
    assert [one["name"] for one in ran.json["ls"]] == ["a/b"]
    ran = run_tool("pfstorage", "--type", "fs", "--db", basemount / "log", "--action", "ls")
    assert ran.status == 2


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"storagetype": "ftp", "storepath": "/d"}, "'ftp' is not a kind of storage"),
        ({"storagetype": "swift"}, "Which storage?"),
        ({"storepath": "/d"}, "Which storage?"),
        ({"storagetype": 7}, "'7' is not a kind of storage"),
    ],
)
def test_a_key_of_no_storage(basemount, fields, says) -> None:
    write_service(basemount, "storage", fields)
    ran = run_tool("pfstorage", "--db", basemount / "log", "--swift", SERVICE, "--action", "ls")
    assert (ran.status, ran.stdout) == (2, "")
    assert says in ran.stderr


def test_files_that_are_not_there(basemount, destination: Destination, tmp_path: Path) -> None:
    ran = _do(basemount, destination, "objPut", localpath=str(tmp_path / "nothing"), toLocation="x", status=1)
    assert ran.error == "file-unreadable"


def test_faults_that_pass(basemount, swift_container: SwiftDestination, tree: Path, tmp_path: Path) -> None:
    with FaultyProxy(swift_container.server.port, every(4, Answer(503))) as proxy:
        swift_container.know(port=proxy.port)
        _do(basemount, swift_container, "objPut", localpath=str(tree), toLocation="x")
        assert len(_do(basemount, swift_container, "ls").json["ls"]) == 4
        _do(basemount, swift_container, "objPull", path="x", toLocation=str(tmp_path / "back"))
        assert len(list((tmp_path / "back").rglob("*.dcm"))) == 2
        _do(basemount, swift_container, "rmtree", path="x")
    assert swift_container.contents() == {}


def test_faults_that_stay(basemount, swift_container: SwiftDestination, tree: Path) -> None:
    with FaultyProxy(swift_container.server.port, every(1, Answer(503), "PUT")) as proxy:
        swift_container.know(port=proxy.port)
        ran = _do(
            basemount,
            swift_container,
            "objPut",
            *("--retries", "1"),
            status=1,
            localpath=str(tree),
            toLocation="x",
        )
    assert ran.error == "storage-failed"
    assert ran.json["objectFileList"] == []
    assert len(ran.json["failed"]) == 4


def test_no_secret_is_shown(basemount, swift_container: SwiftDestination) -> None:
    swift_container.know(key="wr0ng-key")
    ran = _do(basemount, swift_container, "ls", "--verbosity", "3", status=1)
    assert ran.error == "storage-refused"
    assert "wr0ng-key" not in ran.stdout + ran.stderr
    assert "chris1234" not in ran.stdout + ran.stderr


def test_files_one_may_not_write(basemount, destination: Destination, tmp_path: Path) -> None:
    destination.put("x/a", b"1")
    target = tmp_path / "locked"
    target.mkdir()
    target.chmod(0o500)
    said = json.dumps({"action": "objPull", "args": {"path": "x", "toLocation": str(target)}})
    ran = run_tool(
        "pfstorage", "--db", basemount / "log", *destination.options, "--do", said, unprivileged=True
    )
    assert (ran.status, ran.error) == (1, "file-unreadable")
    assert os.listdir(target) == []  # noqa: PTH208
