"""What the tools, their chains, the library and px-listen write into the audit log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import earlier_tables
import pypx
from datasets import plain_study
from demo.cube_rules import Interface
from demo.pacs import Pacs
from demo.server import HOST, free_port
from listener import PxListen, send, until
from registering import chris
from storing import SERVICE, DirectoryDestination
from tools import run_tool

_OF_EVERY_LINE = {"time", "what", "outcome", "tool", "version", "user", "uid", "host", "pid"}


def audit_of(basemount: Path) -> list[dict[str, Any]]:
    """The entries, the first first."""
    lines = (basemount / "log" / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert all(entry.keys() >= _OF_EVERY_LINE for entry in entries)
    return entries


def shown(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["tool"], entry["what"], entry["outcome"]


def audit_text(basemount: Path) -> str:
    return "".join(file.read_text() for file in sorted((basemount / "log").glob("audit*.jsonl")))


def test_a_chain_writes_a_line_for_each_verb(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    study = plain_study()
    store = DirectoryDestination(tmp_path / "store", basemount)
    with chris(Interface.SERIES, store, basemount) as cube:
        ran = run_tool(
            *("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", "--StudyInstanceUID", study.uid),
            *("--then", "retrieve,push,register", "--swift", SERVICE, "--CUBE", SERVICE),
            *("--swiftServicesPACS", "BCH", "--db", basemount / "log"),
        )
        url = cube.url
    assert ran.status == 0, ran.stdout + ran.stderr
    entries = audit_of(basemount)
    assert [shown(entry) for entry in entries] == [
        ("px-find", what, "success") for what in ("find", "retrieve", "push", "register")
    ]
    node = f"{pacs.aec}@{HOST}:{pacs.port}"
    find, retrieve, push, register = entries
    assert (find["from"], find["studies"]) == (node, [study.uid])
    assert set(find["keys"]) == {"PatientID", "StudyInstanceUID"}
    assert retrieve["from"] == node
    images = sum(series.instances for series in study.all_series)
    assert retrieve["counts"]["images"] == push["counts"]["files"] == register["counts"]["files"] == images
    assert str(store.root) in push["to"]
    assert register["to"] == url
    uids = {str(series.uid) for series in study.all_series}
    for entry in (retrieve, push, register):
        assert entry["studies"] == [study.uid]
        assert set(entry["series"]) == uids
    for value in ("PLAIN-1", "Doe", "Jane"):
        assert value not in audit_text(basemount)


def test_what_fails_is_written_with_its_code(basemount: Path) -> None:
    port = free_port()
    basemount.mkdir(exist_ok=True)
    for tool in (("px-find",), ("px-move", "--get")):
        ran = run_tool(
            *tool, f"{HOST}:NOBODY:{port}", "--StudyInstanceUID", "1.2.3", "--db", basemount / "log"
        )
        assert ran.error == "connection-refused"
    entries = audit_of(basemount)
    # px-move asks the PACS what it has, and does not come to the retrieve.
    assert [shown(entry) for entry in entries] == [
        (tool, "find", "connection-refused") for tool in ("px-find", "px-move")
    ]
    assert {entry["from"] for entry in entries} == {f"NOBODY@{HOST}:{port}"}


def test_files_keys_and_exports(basemount: Path, files: list[Path], tmp_path: Path) -> None:
    log = ("--db", basemount / "log")
    store = DirectoryDestination(tmp_path / "store", basemount)
    store.put("SERVICES/PACS/BCH/PLAIN-1-Doe_Jane/1.dcm", b"x")
    secret = json.dumps({"there": {"ip": "192.0.2.1", "key": "opensesame"}})
    for command in (
        ("px-repack", *log, "--xcrdir", files[0].parent, "--cleanup"),
        ("px-smdb", *log, "--action", "swift", "--actionArgs", secret),
        ("px-smdb", *log, "--action", "swift"),
        ("px-smdb", *log, "--action", "swift", "--reveal"),
        ("px-smdb", *log, "--action", "search", "--PatientID", "PLAIN-1"),
        ("px-smdb", *log, "--action", "export", "--actionArgs", tmp_path / "tables"),
        ("pfstorage", *log, "--swift", SERVICE, "--action", "ls", "--args", "{}"),
        (
            *("pfstorage", *log, "--swift", SERVICE, "--yes", "--action", "rmtree"),
            *("--args", json.dumps({"path": "SERVICES/PACS/BCH/PLAIN-1-Doe_Jane"})),
        ),
    ):
        ran = run_tool(*command)
        assert ran.status == 0, ran.stderr
    entries = audit_of(basemount)
    assert [shown(entry)[1:] for entry in entries] == [
        (what, "success") for what in ("pack", "change", "reveal", "search", "export", "delete")
    ]
    pack, change, reveal, search, export, delete = entries
    assert pack["keys"] == ["cleanup"]
    assert pack["studies"] == search["studies"] == [plain_study().uid]
    assert (change["to"], change["keys"]) == ("services/swift.json", ["there"])
    assert reveal["keys"] == ["there"]
    assert export["to"] == str(tmp_path / "tables")
    assert export["counts"]["studyData"]
    assert delete["to"].endswith(": SERVICES/PACS/BCH/…")
    assert delete["counts"] == {"objects": 1}
    for value in ("opensesame", "PLAIN-1", "Doe"):
        assert value not in audit_text(basemount)


def test_checks_repairs_and_imports(basemount: Path, files: list[Path]) -> None:
    log = ("--db", basemount / "log")
    earlier_tables.write_tree(basemount / "tables", earlier_tables.tables_of(files))
    run_tool("px-repack", *log, "--xcrdir", files[0].parent)
    held = sorted((basemount / "data").rglob("*.dcm"))
    held[0].unlink()
    for action in (
        ("check",),
        ("check", "--repair"),
        ("import", "--actionArgs", basemount / "tables"),
        ("mapsUpdateForFile", "--xcrdir", held[1].parent),
        ("mapsUpdateForPatient", "--PatientID", "PLAIN-1"),
    ):
        run_tool("px-smdb", *log, "--action", *action)
    packed, checked, repaired, imported, updated, of_patient = audit_of(basemount)
    assert shown(packed)[1] == "pack"
    assert shown(checked)[1:] == ("check", "catalogue-differs")
    assert checked["counts"]["left"] == 1
    assert shown(repaired)[1:] == ("repair", "success")
    assert repaired["counts"]["mended"] == 1
    assert shown(imported)[1] == "import"
    assert imported["from"] == str(basemount / "tables")
    assert imported["studies"] == [plain_study().uid]
    assert shown(updated)[1:] == ("pack", "success")
    assert shown(of_patient)[1:] == ("repair", "success")
    assert of_patient["keys"] == ["PatientID"]
    for value in ("PLAIN-1", "Doe"):
        assert value not in audit_text(basemount)


def test_the_library_writes_as_the_tools_do(basemount: Path, files: list[Path]) -> None:
    options = {"db": str(basemount / "log"), "xcrdir": str(files[0].parent)}
    assert pypx.repack(options)["status"] == "success"
    (entry,) = audit_of(basemount)
    assert shown(entry) == ("pypx", "pack", "success")


def test_the_listener_writes_who_sent_and_what_came(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount, "--allow", "MODALITY", "--quiet", "0.2") as listen:
        send(listen.port, files, aet="MODALITY")
        for series in plain_study().all_series:
            listen.wait_for(str(series.uid))
        until(lambda: "MODALITY" in audit_text(basemount))
        send(listen.port, files, aet="STRANGER")
    entries = audit_of(basemount)
    received = [entry for entry in entries if entry["what"] == "receive"]
    assert [(one["outcome"], one["from"].partition("@")[0]) for one in received] == [
        ("success", "MODALITY"),
        ("association-rejected", "STRANGER"),
    ]
    assert received[0]["counts"] == {"images": len(files)}
    packed = [entry for entry in entries if entry["what"] == "pack"]
    assert {uid for entry in packed for uid in entry["series"]} == {
        str(series.uid) for series in plain_study().all_series
    }
    assert sum(entry["counts"]["images"] for entry in packed) == len(files)


def test_a_log_that_cannot_be_written_is_told_of_and_stops_nothing(
    basemount: Path, files: list[Path]
) -> None:
    (basemount / "log").mkdir(parents=True, exist_ok=True)
    (basemount / "log" / "audit.jsonl").mkdir()
    ran = run_tool("px-repack", "--db", basemount / "log", "--xcrdir", files[0].parent)
    assert ran.status == 0
    assert ran.json["summary"]["stored"] == len(files)
    (line,) = ran.stderr.splitlines()
    assert "audit log" in line
    assert "cannot be written" in line


def test_a_find_makes_no_basemount(pacs: Pacs, tmp_path: Path) -> None:
    ran = run_tool("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", "--db", tmp_path / "none" / "log")
    assert (ran.status, ran.stderr) == (0, "")
    assert not (tmp_path / "none").exists()
