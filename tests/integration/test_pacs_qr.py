"""PACS_QR.sh with the tools that are here, against real PACS."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from datasets import plain_study
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from engines import CHECKOUT, PACS_QR, quoted
from servers.needs import require
from tools import SCRIPTS, run_in_terminal, run_tool


def of_pacs(pacs: Pacs, basemount: Path) -> list[str | Path | int]:
    """The options for the tools that are here, the PACS and the BASEMOUNT."""
    environment = "demo" if isinstance(pacs, Dcmqrscp) else "orthanc"
    return [
        *("--runtime", "local", "--env", environment, "--PACSport", pacs.port, "--baseMount", basemount, "-F")
    ]


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = require("shellcheck", "shellcheck")
    scripts = [PACS_QR, CHECKOUT / ".ci" / "run", *(CHECKOUT / "bin").iterdir()]
    ran = run_tool(shellcheck, "--external-sources", *scripts, directory=CHECKOUT)
    assert (ran.status, ran.stdout) == (0, "")


def test_find_retrieve_status_and_again(pacs: Pacs, basemount: Path) -> None:
    study = plain_study()
    search = f"--PatientID {study.patient_id} --StudyInstanceUID={study.uid}"
    found = run_tool(PACS_QR, *of_pacs(pacs, basemount), "--", search)
    assert found.status == 0, found.stderr
    assert str(study.uid) in found.stdout
    assert "1 study, 3 series" in found.stdout
    assert not basemount.exists()
    for state in ("complete", "already here"):
        ran = run_tool(PACS_QR, *of_pacs(pacs, basemount), "--do", "retrieve, status", "--", search)
        assert ran.status == 0, ran.stderr
        assert ran.stderr.count(f"  {state}\n") >= 3
        told = ran.json["then"]
        assert list(told) == ["00-retrieve", "01-status"]
        results = [one for of in told["01-status"]["study"] for study in of.values() for one in study]
        assert sum(one["packed"] for one in results) == plain_study().instances
    assert len(list(basemount.glob("data/*/*/*/*.dcm"))) == study.instances


def test_the_report_has_the_form_that_is_asked_for(pacs: Pacs, basemount: Path) -> None:
    study = plain_study()
    search = ("--", "--StudyInstanceUID", str(study.uid))
    ran = run_tool(PACS_QR, *of_pacs(pacs, basemount), "--report", "csv --csvPrintHeaders", *search)
    rows = list(csv.DictReader(ran.stdout.splitlines()))
    assert {row["SeriesInstanceUID"] for row in rows} == {str(series.uid) for series in study.all_series}
    for form in ("json", "--json"):
        ran = run_tool(PACS_QR, *of_pacs(pacs, basemount), f"--report={form}", *search)
        assert ran.json["data"][0]["StudyInstanceUID"]["value"] == study.uid
    done = run_tool(
        PACS_QR,
        *of_pacs(pacs, basemount),
        "--do",
        "retrieve",
        "--withoutFeedBack",
        "--report",
        "tree",
        *search,
    )
    assert done.status == 0, done.stderr
    assert "{" not in done.stdout
    assert done.stderr == ""
    wrong = run_tool(PACS_QR, *of_pacs(pacs, basemount), "--report", "table", *search)
    assert wrong.status == 2
    assert "table" in wrong.stderr


def test_what_a_person_sees(dcmqrscp: Dcmqrscp, basemount: Path) -> None:
    command = (PACS_QR, *of_pacs(dcmqrscp, basemount))
    search = ("--", f"--StudyInstanceUID {plain_study().uid}")
    found = run_in_terminal([*command, *search])
    assert found.status == 0
    assert "1 study, 3 series" in found.stdout
    ran = run_in_terminal([*command, "-v", "--do", "retrieve", *search])
    assert ran.status == 0
    assert "px-find --aec ARCHIVE --aet CHRISLOCAL" in ran.stdout
    assert "retrieve: 3 of 3 series" in ran.stdout
    assert "{" not in ran.stdout


def test_what_the_pacs_refuses_is_said_once(dcmqrscp: Dcmqrscp, basemount: Path) -> None:
    for more in ((), ("--do", "retrieve"), ("--report", "csv")):
        ran = run_tool(PACS_QR, *of_pacs(dcmqrscp, basemount), "--AEC", "WRONG", *more, "--", "--PatientID 1")
        assert ran.status == 1
        assert ran.stderr.count("AE title 'WRONG'") == 1


def test_no_match_is_no_failure(dcmqrscp: Dcmqrscp, basemount: Path) -> None:
    ran = run_tool(PACS_QR, *of_pacs(dcmqrscp, basemount), "--", "--PatientID nobody")
    assert (ran.status, ran.stdout) == (0, "No studies.\n")


@pytest.mark.parametrize(
    "value", ["$(touch pwned)", "`touch pwned`", "x'; touch pwned; '", "a\n--then\nstatus"]
)
def test_nothing_of_a_search_is_run_by_the_tools_that_are_here(
    value: str, dcmqrscp: Dcmqrscp, basemount: Path
) -> None:
    for search in ((f"--PatientName {quoted(value)}",), ("--PatientName", value)):
        ran = run_tool(PACS_QR, *of_pacs(dcmqrscp, basemount), "-v", "--report", "json", "--", *search)
        # What cannot be a name is refused by px-find.
        assert ran.status in (0, 1, 2)
        if ran.status == 0:
            assert ran.json["args"]["PatientName"] == value
            assert ran.json["data"] == []


def test_the_sources_of_the_checkout_are_run_by_the_tools_that_are_here(basemount: Path) -> None:
    ran = run_tool(
        *(PACS_QR, "--runtime", "local", "--baseMount", basemount, "--debug", "-v", "--PACSport", "1"),
        *("--", "--PatientID 1"),
    )
    assert ran.stderr.startswith(f"env PYTHONPATH={CHECKOUT}/src px-find ")


def test_the_tools_of_the_checkout_are_found(tmp_path: Path, basemount: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for name in ("px-find", "px-report"):
        (checkout / ".venv" / "bin" / name).symlink_to(SCRIPTS / name)
    (checkout / "PACS_QR.sh").write_text(PACS_QR.read_text())
    (checkout / "PACS_QR.sh").chmod(0o755)
    (tmp_path / "on-the-path").symlink_to(checkout / "PACS_QR.sh")
    path = os.environ["PATH"].replace(str(SCRIPTS), "/nowhere")
    ran = run_tool(
        *(tmp_path / "on-the-path", "--runtime", "local", "--baseMount", basemount, "--PACSport", "1"),
        *("--", "--PatientID 1"),
        environment={"PATH": path},
    )
    assert ran.status == 1
    assert "No connection to 127.0.0.1:1 " in ran.stderr
