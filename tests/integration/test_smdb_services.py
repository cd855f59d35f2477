"""px-smdb: what is known of PACS, storage and CUBE, by key; and the same as a library."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

import mounts
from held import action, smdb
from pypx.basemount import services
from pypx.basemount.layout import Basemount
from pypx.basemount.secrecy import masked
from pypx.errors import ServiceKeyUnknown
from pypx.smdb import SMDB
from tools import SCRIPTS, run_in_terminal, run_tool

_PACS = {"archive": {"aet": "MYSELF", "aec": "ARCHIVE", "ip": "127.0.0.1", "port": "9"}}
_SWIFT = {"store": {"ip": "192.0.2.1", "port": "8080", "login": "chris:chris1234", "key": "testing"}}
_STORAGE = {"disk": {"storagetype": "fs", "storepath": "/data/store"}}
_CUBE = {"local": {"url": "http://user:pass@192.0.2.1/api/v1/", "username": "chris", "password": "chris1234"}}
_SMDB = {"catalogue": {"url": "postgresql://user:s3cret@host/db"}}


def _file(basemount: Path, name: str) -> Path:
    return basemount / "services" / f"{name}.json"


@pytest.mark.parametrize(
    ("name", "keys"),
    [("PACS", _PACS), ("swift", _SWIFT), ("storage", _STORAGE), ("CUBE", _CUBE), ("smdb", _SMDB)],
)
def test_keys_are_kept_for_their_owner_alone_and_shown_without_secrets(basemount, name, keys):
    assert smdb(basemount, name).json == {"status": "success", "data": {}}
    assert not basemount.exists()
    assert action(basemount, name, keys).json["data"] == masked(keys)
    file = _file(basemount, name.lower())
    assert json.loads(file.read_text()) == keys
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    shown = smdb(basemount, name)
    assert shown.json["data"] == masked(keys)
    for secret in ("chris1234", "testing", "s3cret", ":pass@"):
        assert secret not in shown.stdout
    assert smdb(basemount, name, "--reveal").json["data"] == keys


def test_what_is_added_is_merged(basemount):
    action(basemount, "swift", _SWIFT)
    changed = {"store": {"port": "8081"}, "other": {"ip": "192.0.2.2"}}
    ran = action(basemount, "swift", changed, "--reveal")
    assert ran.json["data"] == {"store": {**_SWIFT["store"], "port": "8081"}, "other": {"ip": "192.0.2.2"}}


def test_keys_from_a_file_stay_out_of_the_list_of_processes(basemount, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps(_SWIFT))
    assert action(basemount, "swift", f"@{tmp_path}/keys.json", "--reveal").json["data"] == _SWIFT
    ran = action(basemount, "swift", f"@{tmp_path}/nowhere.json", status=1)
    assert ran.error == "file-unreadable"


@pytest.mark.parametrize("name", ["PACS", "swift", "storage", "CUBE", "smdb"])
def test_where_keys_were_to_come_from_and_none_came_is_wrong_usage(basemount, tmp_path, name):
    (tmp_path / "keys.json").write_text(" \n")
    for given in ("@-", f"@{tmp_path}/keys.json"):
        for more in ((), ("--reveal",)):
            ran = action(basemount, name, given, *more, status=2)
            assert " is empty. It is to hold {" in ran.stderr
            assert ran.stdout == ""
    assert not basemount.exists()


@pytest.mark.parametrize(
    "given",
    [
        "archive",
        '{"a": ',
        "[]",
        '{"a": 1}',
        '{"a": "b"}',
        '{"": {}}',
        '{"a": {"port": NaN}}',
        f'{{"a": {{"port": {"1" * 5000}}}}}',
        '{"a": {"key": "\\ud800"}}',
        '{"\\udfff": {}}',
        '{"store": {"key": "***"}}',
        '{"store": {"login": "chris:***"}}',
        "[" * 100_000,
    ],
)
def test_what_is_not_keys_is_wrong_usage_and_says_what_is_needed(basemount, given):
    ran = action(basemount, "swift", given, status=2)
    assert '{"<key>": {"ip":' in ran.stderr
    assert ran.stdout == ""
    assert not basemount.exists()


def test_a_secret_in_what_is_wrong_is_not_shown(basemount):
    ran = action(basemount, "swift", '{"a": {"key": "s3cret"', status=2)
    assert "s3cret" not in ran.stderr


@pytest.mark.parametrize(
    "keys", [{"catalogue": {"url": "mysql://a:s3cret@b/c"}}, {"other": {"url": _SMDB["catalogue"]["url"]}}]
)
def test_a_database_that_nothing_could_use_is_refused(basemount, keys):
    ran = action(basemount, "smdb", keys, status=2)
    assert "s3cret" not in ran.stderr
    assert not basemount.exists()


@pytest.mark.parametrize("content", ["not json", "[]", '{"a": 1}', "\xff"])
def test_a_file_that_was_spoilt_by_hand_is_told_of_and_left_as_it_is(basemount, content):
    file = _file(basemount, "pacs")
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("latin-1"))
    assert smdb(basemount, "PACS", status=1).error == "services-unreadable"
    assert action(basemount, "PACS", _PACS, status=1).error == "services-unreadable"
    assert file.read_bytes() == content.encode("latin-1")


def test_a_key_that_was_added_is_one_that_px_find_knows(basemount):
    action(basemount, "PACS", _PACS)
    ran = run_tool("px-find", "--db", basemount / "log", "--PACS", "archive", "--PatientID", "X")
    assert (ran.status, ran.error) == (1, "connection-refused")
    other = run_tool("px-find", "--db", basemount / "log", "--PACS", "nobody", "--PatientID", "X")
    assert other.status == 2
    assert "archive" in other.stderr


@pytest.mark.parametrize("name", ["PACS", "CUBE", "swift"])
def test_the_action_that_adds_a_key_is_told(basemount, tmp_path, name):
    tool, arguments = {
        "PACS": ("px-find", ("--PACS", "nobody", "--PatientID", "X")),
        "CUBE": ("px-register", ("--CUBE", "nobody", "--localFileList", "a", "--objectFileList", "b")),
        "swift": ("pfstorage", ("--swift", "nobody", "--action", "ls")),
    }[name]
    ran = run_tool(tool, "--db", basemount / "log", *arguments)
    assert ran.status == 2
    command = ran.stderr.strip().rpartition("Add it with: px-smdb --action ")[2]
    assert command == f"{name}."
    assert smdb(basemount, command.removesuffix(".")).status == 0


def test_storage_is_looked_for_in_swift_and_then_in_storage(basemount):
    of_it = Basemount.of_log_directory(basemount / "log")
    with pytest.raises(ServiceKeyUnknown, match="px-smdb --action swift"):
        services.storage_fields(of_it, "store")
    services.merge(of_it, "swift", _SWIFT)
    services.merge(of_it, "storage", {**_STORAGE, "store": {"storagetype": "fs"}})
    assert services.storage_fields(of_it, "store") == _SWIFT["store"]
    assert services.storage_fields(of_it, "disk") == _STORAGE["disk"]
    with pytest.raises(ServiceKeyUnknown, match="disk, store"):
        services.storage_fields(of_it, "nowhere")


def test_eight_processes_that_add_keys_at_once_lose_none(basemount):
    script = """
import sys
from pathlib import Path
from pypx.basemount import services
from pypx.basemount.layout import Basemount
mine = sys.argv[2]
for number in range(50):
    services.merge(
        Basemount.of_log_directory(Path(sys.argv[1])),
        "pacs",
        {f"{mine}-{number}": {"aec": mine}, "shared": {f"{mine}-{number}": number}},
    )
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", script, basemount / "log", str(number)])
        for number in range(8)
    ]
    seen = 0
    file = _file(basemount, "pacs")
    while any(writer.poll() is None for writer in writers):
        if file.exists():
            # Whoever reads meanwhile sees one state or the next, whole.
            seen = max(seen, len(json.loads(file.read_text())))
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [writer.returncode for writer in writers] == [0] * 8
    keys = json.loads(file.read_text())
    assert set(keys) == {"shared", *(f"{writer}-{number}" for writer in range(8) for number in range(50))}
    assert len(keys["shared"]) == 400
    assert seen > 1
    assert [path.name for path in sorted(file.parent.iterdir())] == ["pacs.json", "pacs.lock"]


def test_a_full_disk_keeps_what_was_there(tmp_path):
    basemount = tmp_path / "B"
    script = (
        f"px-smdb --db {basemount}/log --action PACS --actionArgs '{json.dumps(_PACS)}' > /dev/null && "
        f"(cat /dev/zero > {basemount}/services/rest 2>/dev/null; true) && "
        f'px-smdb --db {basemount}/log --action PACS --actionArgs \'{{"b": {{"aec": "{"x" * 9000}"}}}}\'; '
        f"cat {basemount}/services/pacs.json; ls -A {basemount}/services"
    )
    ran = mounts.run(
        mounts.small(basemount, "64k"), "env", f"PATH={SCRIPTS}:/usr/bin:/bin", "sh", "-c", script
    )
    assert '"disk-full"' in ran.stdout, ran.stdout + ran.stderr
    assert '"ARCHIVE"' in ran.stdout
    assert ran.stdout.split()[-3:] == ["pacs.json", "pacs.lock", "rest"]


def test_a_person_sees_a_table_and_no_secret(basemount):
    action(basemount, "swift", {"store\x1b[31m": _SWIFT["store"]})
    ran = run_in_terminal(["px-smdb", "--db", basemount / "log", "--action", "swift"], columns=100)
    for word in ("192.0.2.1", "chris:***", "\\x1b[31m"):
        assert word in ran.stdout
    assert "\x1b[31m" not in ran.stdout
    assert "testing" not in ran.stdout
    shown = run_in_terminal(
        ["px-smdb", "--db", basemount / "log", "--action", "swift", "--reveal"], columns=100
    )
    assert "testing" in shown.stdout
    empty = run_in_terminal(["px-smdb", "--db", basemount / "log", "--action", "CUBE"])
    assert "No keys." in empty.stdout


@pytest.mark.parametrize(
    ("name", "keys"),
    [("PACS", _PACS), ("storage", _STORAGE), ("swift", _SWIFT), ("CUBE", _CUBE), ("pacs", _PACS)],
)
def test_the_library_writes_what_its_arguments_hold_and_then_reads(basemount, name, keys):
    smdb = SMDB(Namespace(str_logDir=str(basemount / "log")))
    assert smdb.service_keyAccess(name) == {"status": False, name: {}}
    smdb.args.str_actionArgs = json.dumps(keys)
    assert smdb.service_keyAccess(name) == {"status": True, name: keys}
    other = SMDB(Namespace(str_logDir=str(basemount / "log"), str_actionArgs=""))
    assert other.service_keyAccess(name) == {"status": True, name: keys}
    other.args.str_actionArgs = json.dumps({"more": {"ip": "192.0.2.9"}})
    assert set(other.service_keyAccess(name)[name]) == {*keys, "more"}


@pytest.mark.parametrize(("name", "given"), [("PACS", "not json"), ("PACS", '{"a": 1}'), ("nothing", "")])
def test_the_library_says_what_is_wrong_and_raises_nothing(basemount, name, given):
    smdb = SMDB(Namespace(str_logDir=str(basemount / "log"), str_actionArgs=given))
    answer = smdb.service_keyAccess(name)
    assert (answer["status"], answer[name]) == (False, {})
    assert answer["error"]
    assert not basemount.exists()


def test_the_library_without_a_log_directory_takes_that_of_the_environment(basemount, monkeypatch):
    monkeypatch.setenv("BASEMOUNT", str(basemount))
    for args in (Namespace(), Namespace(str_logDir="")):
        smdb = SMDB(args)
        smdb.args.str_actionArgs = json.dumps(_PACS)
        assert smdb.service_keyAccess("PACS")["PACS"] == _PACS
    assert _file(basemount, "pacs").exists()
