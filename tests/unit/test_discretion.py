"""Sentences and the log are without the names and the IDs of patients."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

import pytest

from pypx import discretion
from pypx.discretion import DiscreetFormatter, discreet, hide, hide_below, hide_nothing


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has hidden is no business of the next."""
    monkeypatch.setattr(discretion, "_directories", {})
    monkeypatch.setattr(discretion, "_values", {})
    monkeypatch.setattr(discretion, "_is_off", False)


DATA = Path("/srv/data")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/srv/data/P-1-Doe_Jane/B/1.dcm cannot be read (gone)", "/srv/data/… cannot be read (gone)"),
        ("'/srv/data/P-1-Doe_Jane', which", "'/srv/data/…', which"),
        ("(/srv/data/P-1-Doe_Jane/x.dcm)", "(/srv/data/…)"),
        ("/srv/data/P-1-Doe_Jane/x.dcm: it changed.", "/srv/data/…: it changed."),
        ("it is safe in /srv/data/, but stays", "it is safe in /srv/data/, but stays"),
        ("X receives into /srv/data", "X receives into /srv/data"),
        ("/srv/database/x is no image", "/srv/database/x is no image"),
        ("/srv/data/A-Doe/1 is held as /srv/data/B-Doe/2", "/srv/data/… is held as /srv/data/…"),
    ],
)
def test_names_below_a_tree(said: str, shown: str) -> None:
    hide_below(DATA)
    assert discreet(said) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "there is no object 'SERVICES/PACS/BCH/P-1-Doe_Jane/B/1.dcm'",
            "there is no object 'SERVICES/PACS/BCH/…'",
        ),
        ("/mnt/chris/SERVICES/PACS/BCH/P-1-Doe/1.dcm: full", "/mnt/chris/SERVICES/PACS/BCH/…: full"),
        ("/?fname=SERVICES%2FPACS%2FBCH%2FP-1-Doe%2F1.dcm: 200", "/?fname=SERVICES%2FPACS%2FBCH/… 200"),
        ("it goes to SERVICES/PACS/BCH.", "it goes to SERVICES/PACS/BCH."),
    ],
)
def test_names_in_storage(said: str, shown: str) -> None:
    assert discreet(said) == shown


@pytest.mark.parametrize("begun", ["/srv/data/x", "SERVICES/PACS/BCH/x"])
@pytest.mark.parametrize("piece", [".", ".)", "a", "/", " /srv/data/x", "SERVICES/PACS/", "%", "'PatientID="])
def test_what_a_peer_made_long_takes_no_longer_than_its_length(begun: str, piece: str) -> None:
    hide_below(DATA)
    said = f"{begun}{piece * (200_000 // len(piece))}\x1b"
    # The processor's time, since others may be at work on this machine.
    started = time.process_time()
    discreet(said)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "findscu -k 'PatientName=Doe^J*' -k PatientID=77 h 104",
            "findscu -k PatientName=… -k PatientID=… h 104",
        ),
        ("-k 'PatientName=O'\"'\"'Brien A' -k StudyDate=2024", "-k PatientName=… -k StudyDate=2024"),
        ("-k PatientName= -k PatientID= h", "-k PatientName= -k PatientID= h"),
        ("D: (0010,0010) PN [Doe^Jane]   #   8, 1 PatientName", "D: (0010,0010) PN …"),
        ("D: (0020,000D) UI [1.2.840]", "D: (0020,000D) UI [1.2.840]"),
        ("the PatientID is missing", "the PatientID is missing"),
    ],
)
def test_what_dcmtk_is_given_and_shows(said: str, shown: str) -> None:
    assert discreet(said) == shown


def test_what_was_asked_for() -> None:
    hide(["7654321", "Müller^Jür*", "1.2.8", "X"])
    assert discreet("nothing of the PatientID 7654321.") == "nothing of the PatientID …."
    assert discreet("MÜLLER^Jürgen, or jür") == "…^Jürgen, or …"
    assert discreet("1.2.8.7654321.5 and 76543210") == "1.2.8.7654321.5 and 76543210"
    assert discreet("X-ray") == "X-ray"


def test_a_service_remembers_no_more_than_so_many_values() -> None:
    for number in range(5000):
        hide([f"P-{number}"])
    assert len(discretion._values) <= 1000
    assert discreet("P-4999 P-1") == "… P-1"


def test_the_log_and_its_tracebacks() -> None:
    hide_below(DATA)
    file = DATA / "P-1-Doe_Jane" / "1.dcm"
    try:
        raise OSError(str(file))
    except OSError:
        record = logging.LogRecord("pypx", 10, "", 1, "%s", (file,), sys.exc_info())
    said = DiscreetFormatter("%(levelname)s %(message)s").format(record)
    assert "Doe" not in said
    assert f"DEBUG {DATA}/…" in said
    assert "OSError" in said


def test_nothing_is_hidden_where_that_is_asked_for() -> None:
    hide_below(DATA)
    hide_nothing()
    assert discreet(f"{DATA}/P-1-Doe_Jane/1.dcm") == f"{DATA}/P-1-Doe_Jane/1.dcm"
