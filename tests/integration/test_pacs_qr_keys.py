"""PACS_QR.sh: the keys of storage and of CUBE that it sets, and where their secrets are not seen."""

from __future__ import annotations

import json
import os
import pty
import stat
import termios
from pathlib import Path
from typing import Any

import pytest

from engines import HOSTILE, PACS_QR, Engines
from listener import until
from tools import Ran, Running, run_tool


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return Engines.made_in(tmp_path / "engines")


def _services(basemount: Path, name: str) -> Any:
    file = basemount / "services" / f"{name}.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return json.loads(file.read_text())


def _set(basemount: Path, *arguments: str | Path) -> Ran:
    ran = run_tool(PACS_QR, "--runtime", "local", "--baseMount", basemount, *arguments)
    assert ran.status == 0, ran.stderr
    return ran


def test_keys_are_set_and_nothing_else_is_done(basemount: Path) -> None:
    ran = _set(
        basemount,
        "--SWIFTKEY",
        "s",
        "--SWIFTHOST",
        "h",
        "--SWIFTPORT",
        "8080",
        "--SWIFTLOGIN",
        "c:word",
        "-F",
        "--",
    )
    assert _services(basemount, "swift") == {"s": {"ip": "h", "port": "8080", "login": "c:word"}}
    assert "word" not in ran.stdout + ran.stderr
    # What is not given stays, and the key is that of the institution where none is named.
    _set(basemount, "--SWIFTKEY", "s", "--SWIFTPORT", "8081")
    ran = _set(
        basemount,
        "--CUBEURL",
        "http://h/api/v1/",
        "--CUBEuser",
        "chris",
        "--CUBEpassword",
        "word",
        "--",
        "--PatientID 1",
    )
    assert "nothing is searched for" in ran.stderr
    assert _services(basemount, "swift")["s"]["port"] == "8081"
    assert _services(basemount, "swift")["s"]["ip"] == "h"
    cube = {"url": "http://h/api/v1/", "username": "chris", "password": "word"}
    assert _services(basemount, "cube") == {"local": cube}
    assert "word" not in ran.stdout.replace("password", "") + ran.stderr


def test_keys_and_secrets_may_hold_anything(basemount: Path) -> None:
    values = [*HOSTILE, "".join(map(chr, range(1, 256))), "\\u0041", "\x7f"]
    for value in ("".join(values), *(one for one in values if one in ('"', "\\", "'", "&amp;\\&"))):
        _set(basemount, "--CUBEKEY", value, "--CUBEURL", value, "--CUBEpassword", f"x{value}")
        assert _services(basemount, "cube")[value] == {"url": value, "password": f"x{value}"}


def test_no_secret_stands_on_a_command_line(engines: Engines, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\nsecond line\n")
    ran = engines.run("-v", "--SWIFTLOGIN", "c:s3cret", "--CUBEpassword", f"@{secret}", "--non-interactive")
    assert ran.status == 0, ran.stderr
    swift, cube = engines.calls
    assert json.loads(swift.stdin or "") == {"local": {"login": "c:s3cret"}}
    assert json.loads(cube.stdin or "") == {"local": {"password": "from-a-file"}}
    assert cube.tool[-4:] == ["--action", "CUBE", "--actionArgs", "@-"]
    for text in ("s3cret", "from-a-file"):
        assert text not in f"{swift.argv}{cube.argv}{ran.stderr}"


def test_a_secret_in_the_environment_goes_along_unseen(engines: Engines) -> None:
    engines.run("--do", "register", "--", "--PatientID 1", environment={"PYPX_CUBE_PASSWORD": "s3cret"})
    (call,) = engines.calls
    assert call.argv[call.argv.index("pypx") - 2 :][:2] == ["--env", "PYPX_CUBE_PASSWORD"]
    assert "s3cret" not in str(call.argv)


@pytest.mark.parametrize("name", ["nowhere", "empty", "."])
def test_a_file_without_a_secret_sets_nothing(name: str, engines: Engines, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for option in ("--CUBEpassword", "--SWIFTLOGIN"):
        ran = engines.run("--SWIFTHOST", "h", "--CUBEURL", "u", option, f"@{tmp_path / name}")
        assert ran.status == 1
        assert f"which {option} names" in ran.stderr
        assert ran.stderr.count("\n") == 1
    assert engines.calls == []


def test_a_person_is_asked_for_the_password(basemount: Path) -> None:
    ours, theirs = pty.openpty()
    running = Running(
        *(
            PACS_QR,
            "--runtime",
            "local",
            "--baseMount",
            basemount,
            "--CUBEURL",
            "http://h/",
            "--CUBEuser",
            "chris",
        ),
        terminal=theirs,
    )
    os.close(theirs)
    shown = b""
    while b"password in CUBE" not in shown:
        shown += os.read(ours, 4096)
    # What is asked is there a moment before the terminal shows no more of what is typed.
    until(lambda: not termios.tcgetattr(ours)[3] & termios.ECHO)
    word = '  it\'s "mine" \\n '
    os.write(ours, f"{word}\n".encode())
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert running.process.wait(120) == 0
    assert b"mine" not in shown
    assert _services(basemount, "cube")["local"]["password"] == word
