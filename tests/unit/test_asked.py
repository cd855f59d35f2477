"""What a tool was asked, as its log has it."""

from __future__ import annotations

from typing import Any

import pytest

from pypx.cli.asked import asked_line
from pypx.discretion import without_patients


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"StudyInstanceUID": "1.2", "json": True, "db": None, "jobs": 8},
            "--StudyInstanceUID=1.2 --json --jobs=8",
        ),
        ({"xcrdir": "a b"}, "--'xcrdir=a b'"),
        ({"query": ("Modality=MR", "StudyID=7")}, "--query=Modality=MR --query=StudyID=7"),
        ({"swiftLogin": "chris:unsaid", "CUBEuserpasswd": "unsaid"}, ""),
        ({"CUBEURL": "http://chris:unsaid@host/api/v1/"}, "--'CUBEURL=http://chris:***@host/api/v1/'"),
        (
            {"do": '{"action": "ls", "args": {"key": "unsaid"}}'},
            """--'do={"action": "ls", "args": {"key": "***"}}'""",
        ),
        ({"do": '{"key": "unsaid"'}, "--'do=…'"),
        ({"actionArgs": "7654321"}, "--'actionArgs=…'"),
        (
            {"then": "register", "thenArgs": '{"CUBE": "local", "CUBEuserpasswd": "unsaid"}'},
            """--then=register --'thenArgs={"CUBE": "local"}'""",
        ),
        ({"then": "register", "thenArgs": '{"CUBEuserpasswd": "unsaid"'}, "--then=register --'thenArgs=…'"),
    ],
)
def test_no_secret_is_in_it(options: dict[str, Any], words: str) -> None:
    assert asked_line("px", options) == f"px {words}".rstrip()


@pytest.mark.parametrize("name", ["PatientName", "PatientBirthDate"])
@pytest.mark.parametrize("value", ["Doe^Jane", "Doe Jane", "O'Doe (Jane)", "19800229"])
def test_whoever_logs_it_knows_a_patient_by_the_key(name: str, value: str) -> None:
    line = asked_line("px-find", {name: value, "Modality": "MR"})
    assert without_patients(line) == f"px-find --{name}=… --Modality=MR"
