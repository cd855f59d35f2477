"""A whole workflow with planted passwords and a planted patient, which are then looked for everywhere.

Whatever the tools wrote is gone through: all of the BASEMOUNT, what --debugToDir kept, both output streams,
and the command lines of the processes that they started. What is found must be in a place that is named here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from demo import cube as cube_module
from demo.cube import Cube
from demo.cube_rules import Interface
from demo.pacs import Pacs
from demo.server import HOST, free_port
from demo.studies import Study
from listener import PxListen, send
from pypx.dcmtk.binaries import Binaries
from registering import know
from servers import cube as faults
from servers.cube import swift_names
from servers.orthanc import Orthanc
from servers.postgresql import PASSWORD as DATABASE_PASSWORD
from storing import SwiftDestination, write_service
from tools import Ran, Running

CUBE_PASSWORD = "opensesame-cube-4711"  # noqa: S105
WRONG_KEY = "opensesame-swift-0815"
SECRETS = (CUBE_PASSWORD, WRONG_KEY, "testing", "chris1234", DATABASE_PASSWORD, "p%40ss", "p@ss")

PATIENT = Study(
    "LEAK-90210",
    attributes={
        "PatientName": "Quillfeather^Zyxwina",
        "PatientBirthDate": "19771112",
        "StudyDate": "20240315",
        "StudyDescription": "Head",
    },
).series(1, instances=3, SeriesDescription="T1", Modality="MR")
OF_PATIENT = ("LEAK-90210", "LEAK_90210", "Quillfeather", "Zyxwina")

#: Files that are for those who may see patients: the images, their catalogue, and what a tool answered.
_MAY_NAME_PATIENTS = re.compile(
    r"(?:here|there)/(?:data/.*|log/smdb\.sqlite.*|quarantine/.*\.dcm)|debug/.*\.json|files/.*|store/.*|tables/.*"
)
_MAY_HOLD_SECRETS = re.compile(r"here/services/\w+\.json")


@dataclass
class Workflow:
    """Runs tools, and keeps what could be seen of each."""

    top: Path
    runs: list[tuple[str, Ran]] = field(default_factory=list)
    command_lines: set[str] = field(default_factory=set)

    @property
    def log(self) -> Path:
        return self.top / "here" / "log"

    def run(self, *command: str | Path | int, stdin: str = "", status: int = 0) -> Ran:
        """Run a tool, watching the processes that it starts."""
        loud = ("--verbosity", 3, "--debugToDir", self.top / "debug")
        log = () if command[0] == "px-report" else ("--db", self.log)
        running = Running(*command, *log, *loud, stdin=stdin)
        running.feed()
        # Its own command line is what a person typed; a child has it, too, until it becomes another program.
        typed = " ".join(str(word) for word in command)
        while running.process.poll() is None:
            self.command_lines.update(line for line in running.left().values() if typed not in line)
            time.sleep(0.005)
        ran = running.wait()
        assert ran.status == status, f"{command}\n{ran.stdout}\n{ran.stderr}"
        self.runs.append((str(command[0]), ran))
        return ran

    def written(self) -> Iterator[tuple[str, bytes]]:
        """Each file, with its name from the top; the name is in the content, too."""
        for path in sorted(self.top.rglob("*")):
            name = str(path.relative_to(self.top))
            if path.is_file():
                yield name, path.read_bytes() + name.encode()
            elif path.is_dir():
                yield f"{name}/", name.encode()


@pytest.fixture
def planted(own_orthanc: Orthanc, tmp_path: Path) -> Orthanc:
    """A PACS with the patient."""
    own_orthanc.store(PATIENT.write(tmp_path / "files"))
    return own_orthanc


@pytest.mark.databases("sqlite", "postgresql")
def test_secrets_and_patients_are_only_where_they_belong(
    planted: Pacs, basemount: Path, swift: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cube_module.USERS, "chris", CUBE_PASSWORD)
    top = tmp_path / "top"
    top.mkdir()
    if basemount.exists():
        basemount.rename(top / "here")
    flow = Workflow(top)
    store = SwiftDestination(swift, top / "here")  # type: ignore[arg-type]
    write_service(top / "here", "swift", {**store.fields, "key": WRONG_KEY}, "wrong")
    write_service(top / "here", "storage", {"storagetype": "fs", "storepath": str(top / "store")}, "mounted")
    (top / "store").mkdir()
    with Cube(swift_names(store.server, store.container), Interface.SERIES, wait=0.2) as cube:
        know(top / "here", cube, password=CUBE_PASSWORD)
        know(top / "here", cube, "wrong", password=WRONG_KEY)
        said = _work(flow, planted, store, cube)
    _assert_no_leak(flow, said)


def _work(flow: Workflow, pacs: Pacs, store: SwiftDestination, cube: Cube) -> str:
    """All that a site does, and all that can go wrong with it; what the listener said."""
    uid = PATIENT.uid
    by_name = ("--PatientID", "LEAK-*", "--PatientName", "Quillfeather*")
    # It is there for long enough to be seen.
    slow = flow.top.parent / "findscu"
    slow.write_text(f'#!/bin/sh\nsleep 1\nexec {Binaries().path("findscu")} "$@"\n')
    slow.chmod(0o755)
    found = flow.run("px-find", *pacs.node.options, *by_name, "--findscu", slow).stdout
    assert uid in found
    for form in ("tabular", "csv"):
        flow.run("px-report", "--printReport", form, stdin=found)
    flow.run("px-move", "--get", stdin=found)
    flow.run("px-status", stdin=found)
    flow.run("px-smdb", "--action", "search", *by_name)
    flow.run("px-smdb", "--action", "imageDirsPatientID", "--actionArgs", "LEAK-90210")
    flow.run("px-smdb", "--action", "swift")
    flow.run("px-smdb", "--action", "export", "--actionArgs", flow.top / "tables")
    push = ("px-push", "--StudyInstanceUID", uid, "--swiftServicesPACS", "BCH", "--retries", 0)
    pushed = flow.run(*push, "--swift", "local").stdout
    flow.run(*push, "--swift", "mounted")
    register = ("px-register", "--retries", 0, "--CUBE")
    flow.run(*register, "local", stdin=pushed)
    flow.run("px-do", "--then", "retrieve,status,push,register", "--swift", "local", "--CUBE", "local",
             "--swiftServicesPACS", "BCH", stdin=found)  # fmt: skip

    # To another site, whose listener is looked at as well; it gets one image cut short, and one twice.
    with PxListen(flow.top / "there", "--verbosity", 3, "--quiet", 0.2) as listen:
        flow.run("px-push", f"{HOST}:CHRISLOCAL:{listen.port}", "--StudyInstanceUID", uid)
        listen.wait_for(str(PATIENT.all_series[0].uid))
        files = sorted((flow.top.parent / "files").rglob("*.dcm"))
        other = flow.top.parent / "other.dcm"
        other.write_bytes(files[0].read_bytes()[:-2] + b"xx")
        send(listen.port, [other])
        listen.wait_for("other content")

    # What goes wrong.
    nowhere = f"{HOST}:NOBODY:{free_port()}"
    flow.run("px-find", nowhere, *by_name, status=1)
    flow.run("px-move", "--get", nowhere, "--StudyInstanceUID", uid, status=1)
    flow.run(*push, "--swift", "wrong", status=1)
    flow.run(*register, "wrong", stdin=pushed, status=1)
    for fault in (faults.failing(), faults.in_html(), faults.losing_answers()):
        cube.fault = fault
        flow.run(*register, "local", stdin=pushed, status=1)
    cube.fault = None
    store.put(f"{json.loads(pushed)['data'][0]['folder']}/foreign.dcm", b"x")
    name = sorted(store.server.objects("", store.container))[0]
    store.put(name, b"something else")
    flow.run("px-smdb", "--action", "patientMap_DBtablesGet", "--actionArgs", "LEAK-0", status=1)
    stored = sorted((flow.top / "store").rglob("*.dcm"))[0]
    stored.unlink()
    stored.mkdir()
    flow.run(*push, "--swift", "mounted", status=1)
    held = sorted((flow.top / "here" / "data").rglob("*.dcm"))
    held[0].write_bytes(b"damaged")
    held[1].unlink()
    flow.run(*push, "--swift", "local", status=1)
    flow.run("px-smdb", "--action", "check", status=1)
    flow.run("px-repack", "--xcrdirfile", held[0], status=1)  # no longer DICOM
    cut = flow.top.parent / "cut.dcm"
    cut.write_bytes(files[0].read_bytes()[:-20])
    flow.run("px-repack", "--xcrdirfile", cut, status=1)
    return listen.log


def _assert_no_leak(flow: Workflow, said: str) -> None:
    leaks = []
    for name, content in flow.written():
        if not _MAY_HOLD_SECRETS.fullmatch(name):
            leaks += [(name, value) for value in SECRETS if value.encode() in content]
        if not _MAY_NAME_PATIENTS.fullmatch(name):
            leaks += [(name, value) for value in OF_PATIENT if value.lower().encode() in content.lower()]
    for tool, ran in flow.runs:
        leaks += [(f"{tool} stdout", value) for value in SECRETS if value in ran.stdout]
        # What a person asked for is on stdout, patients among it.
        leaks += [(ran.stderr, value) for value in SECRETS if value in ran.stderr]
        leaks += [(ran.stderr, value) for value in OF_PATIENT if value.lower() in ran.stderr.lower()]
    for line in (*flow.command_lines, said):
        leaks += [(line, value) for value in (*SECRETS, *OF_PATIENT) if value.lower() in line.lower()]
    assert leaks == []
    # It was looked where there was something to be found.
    assert any("findscu" in line for line in flow.command_lines)
    assert sum("debug/" in name for name, _ in flow.written()) > 30
    assert any(b"Quillfeather" in content for name, content in flow.written() if name.startswith("debug/"))
    assert (flow.log / "audit.jsonl").exists()


def test_patients_are_named_where_that_is_asked_for(planted: Pacs, tmp_path: Path) -> None:
    running = Running(
        *("px-find", *planted.node.options, "--PatientID", "LEAK-90210", "--verbosity", 3, "--log-phi")
    )
    assert "PatientID=LEAK-90210" in running.wait().stderr
