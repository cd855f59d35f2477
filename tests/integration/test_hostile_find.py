"""px-find against a PACS that breaks the rules of DICOM's messages: it ends, in one sentence with a code."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest

from demo.studies import Study
from listener import until
from servers import hostile_pdus as pdus
from servers.hostile_archive import SUCCESS, Archive, identifier, level_of
from servers.hostile_messages import Response
from servers.hostile_pdus import Command, Identity, data_pdus, pdu
from servers.hostile_peer import HostileProvider, Said
from servers.hostile_wire import Fault, Misdeed
from shown import TEXT, assert_quiet
from together import together
from tools import SCRIPTS, Ran, Running, run_in_terminal, run_tool

STUDY = Study("FIND-1").series(1, instances=1)
ARCHIVE = Archive(STUDY)

#: From the request and the responses by the book to what is said to a study query.
Change: TypeAlias = Callable[[Command, Sequence[Response]], Sequence[Response | bytes]]

#: PDUs that a well-behaved provider sends for one study: five in each of two associations.
_PDUS = 10


def _every(**changes: object) -> Change:
    return lambda _, by_the_book: [replace(one, **changes) for one in by_the_book]  # type: ignore[arg-type]


def _last(**changes: object) -> Change:
    return lambda _, by_the_book: [*by_the_book[:-1], replace(by_the_book[-1], **changes)]  # type: ignore[arg-type]


def _first(*pieces: bytes) -> Change:
    return lambda _, by_the_book: [*pieces, *by_the_book]


def _fragment(asked: Command, length: int, data: bytes = b"") -> bytes:
    """A P-DATA-TF whose fragment says that it has this length."""
    return pdu(pdus.Pdu.DATA, length.to_bytes(4) + bytes([asked.context, 1]) + data)


#: What is told of as it should be understood.
_HARMLESS: dict[str, Change] = {
    "answers after the final one": lambda _, said: [*said, *said[:-1]],
    "two final responses": lambda _, said: [*said, *said],
    "a final response with an answer": lambda _, said: [
        *said[:-1],
        replace(said[-1], identifier=said[0].identifier),
    ],
    "a group length of 0": _every(group_length=0),
    "a group length of 4 GB": _every(group_length=0xFFFFFFFF),
    "fragments of nothing": lambda asked, said: [*[_fragment(asked, 2)] * 1000, *said],
    "fragments of two bytes": _every(largest=2),
}

_CODES: dict[str, tuple[Change, str]] = {
    "another message's": (_every(changed={pdus.RESPONDED_ID: 99}), "answer-unreadable"),
    "no status": (_last(lacks=(pdus.STATUS,)), "answer-unreadable"),
    "an empty status": (_last(changed={pdus.STATUS: b""}), "answer-unreadable"),
    "no command field": (_last(lacks=(pdus.FIELD,)), "answer-unreadable"),
    "no data set type": (_last(lacks=(pdus.DATA_SET_TYPE,)), "answer-unreadable"),
    "another service's": (_last(changed={pdus.FIELD: 0x8021}), "answer-unreadable"),
    "a request": (_last(changed={pdus.FIELD: 0x0020}), "answer-unreadable"),
    "fragments of one byte": (_every(largest=1), "answer-unreadable"),
    "a fragment without room for its head": (lambda asked, _: [_fragment(asked, 0)], "answer-unreadable"),
    "a fragment longer than its PDU": (lambda asked, _: [_fragment(asked, 0x7FFFFFFF)], "answer-unreadable"),
    "a PDU of nothing": (_first(pdu(pdus.Pdu.DATA, b"")), "answer-unreadable"),
    "a context that there is not": (_every(context=77), "answer-unreadable"),
    "data before its command": (
        lambda asked, said: [*data_pdus(asked.context, b"data", is_command=False), *said],
        "answer-unreadable",
    ),
    "an answer without data": (lambda _, said: [Response(), *said], "answer-unreadable"),
    "an association accepted twice": (_first(pdu(pdus.Pdu.ASSOCIATE_AC, bytes(68))), "answer-unreadable"),
    "a release": (lambda _, __: [pdu(pdus.Pdu.RELEASE_RQ)], "connection-lost"),
    "no end": (lambda _, said: said[:-1], "peer-timeout"),
    "a failure with a comment": (
        lambda _, __: [Response(0xC001, changed={pdus.COMMENT: TEXT.encode()})],
        "request-failed",
    ),
    "a failure with a comment of a megabyte": (
        lambda _, __: [Response(0xC001, changed={pdus.COMMENT: b"x" * 1_000_000})],
        "request-failed",
    ),
}

_IDENTITIES: dict[str, tuple[Identity, str]] = {
    "texts for a terminal": (Identity(TEXT.encode()[:32], TEXT.encode()[:16], TEXT.encode()[:64]), ""),
    "a long version": (Identity(version=b"v" * 5000), "answer-unreadable"),
    "a long implementation": (Identity(implementation=b"1." * 5000), "answer-unreadable"),
    "a long application": (Identity(application=b"../" * 100), "answer-unreadable"),
}


def _find(pacs: HostileProvider, *options: str | int, timeout: int = 30) -> Ran:
    return run_tool(
        *("px-find", *pacs.node.options, "--PatientID", "*"),
        *("--timeout", timeout, "--verbosity", 1, *options),
    )


def _at_study(change: Change) -> Callable[[Command], Said]:
    def said(asked: Command) -> Said:
        by_the_book = list(ARCHIVE.find(asked))
        return change(asked, by_the_book) if level_of(asked) == "STUDY" else by_the_book

    return said


def _assert_found(ran: Ran) -> None:
    assert (ran.status, ran.stderr) == (0, "")
    (study,) = ran.json["data"]
    assert study["StudyInstanceUID"]["value"] == STUDY.uid
    assert len(study["series"]) == 1


def _assert_fails(ran: Ran, code: str) -> None:
    assert (ran.status, ran.error) == (1, code), ran.stderr
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert ran.stderr.rstrip("\n").isprintable()


@pytest.mark.parametrize("what", _HARMLESS)
def test_what_can_be_understood(what: str) -> None:
    with HostileProvider(_at_study(_HARMLESS[what])) as pacs:
        _assert_found(_find(pacs))


def test_what_cannot_be_understood() -> None:
    def case(change: Change, code: str) -> None:
        with HostileProvider(_at_study(change)) as pacs:
            _assert_fails(_find(pacs, timeout=2 if code == "peer-timeout" else 30), code)

    together({what: lambda one=one: case(*one) for what, one in _CODES.items()})


@pytest.mark.parametrize("what", _IDENTITIES)
def test_how_a_pacs_calls_itself(what: str) -> None:
    identity, code = _IDENTITIES[what]
    with HostileProvider(ARCHIVE.find, identity=identity) as pacs:
        ran = _find(pacs, "--verbosity", 3)
    assert (ran.status, ran.json.get("error", {}).get("code", "")) == (bool(code), code)
    assert not [char for char in ran.stderr if not char.isprintable() and char != "\n"]


def test_a_provider_that_behaves_sends_so_many_pdus() -> None:
    with HostileProvider(ARCHIVE.find) as pacs:
        _assert_found(_find(pacs))
        until(lambda: pacs.counter.sent == _PDUS)


@pytest.mark.parametrize("misdeed", [Misdeed.ABORT, Misdeed.RESET, Misdeed.HALF])
def test_an_end_at_each_pdu(misdeed: Misdeed) -> None:
    """Once: what fails over the series is asked for again, and the end of an association costs nothing."""

    def case(at: int) -> None:
        with HostileProvider(ARCHIVE.find, fault=Fault(misdeed, at)) as pacs:
            ran = _find(pacs)
        if ran.status == 0:
            _assert_found(ran)
        else:
            _assert_fails(ran, "connection-lost") if not ran.json.get("data") else None
            assert ran.error == "connection-lost"

    together({str(at): lambda at=at: case(at) for at in range(_PDUS)})


@pytest.mark.parametrize("misdeed", [Misdeed.SILENCE, Misdeed.DRIP, Misdeed.HUGE, Misdeed.UNKNOWN])
def test_what_never_ends_is_ended(misdeed: Misdeed) -> None:
    """At the first PDU, that of an answer's command, that of its data, and the last of an association."""

    def case(at: int) -> None:
        with HostileProvider(ARCHIVE.find, fault=Fault(misdeed, at)) as pacs:
            ran = _find(pacs, timeout=3)
        # As long as nobody else is given the processor, less than ten.
        assert ran.seconds < 100
        if at == 4:
            _assert_found(ran)
        else:
            assert ran.status == 1
            assert ran.error in ("peer-timeout", "answer-unreadable", "connection-lost")

    together({str(at): lambda at=at: case(at) for at in (0, 1, 2, 4)})


@pytest.mark.parametrize("misdeed", [Misdeed.SILENCE, Misdeed.DRIP])
def test_ctrl_c_ends_what_never_ends(misdeed: Misdeed) -> None:
    def case(at: int) -> None:
        with HostileProvider(ARCHIVE.find, fault=Fault(misdeed, at)) as pacs:
            running = Running("px-find", *pacs.node.options, "--PatientID", "*", "--timeout", 600)
            running.feed()
            until(lambda: pacs.counter.sent > at)
            running.interrupt(signal.SIGINT)
            assert running.wait().status == 130

    together({str(at): lambda at=at: case(at) for at in (0, 2)})


def _endless(values: dict[str, str]) -> Callable[[Command], Iterator[Response | bytes]]:
    """Answers without end, each of another study."""

    def find(asked: Command) -> Iterator[Response | bytes]:
        uid = "1.2.3.1000000000"
        one = b"".join(Response(identifier=identifier({"StudyInstanceUID": uid, **values})).pdus(asked))
        number = 1_000_000_000
        while True:
            number += 1
            yield one.replace(uid.encode(), f"1.2.3.{number}".encode())

    return find


def test_answers_without_end() -> None:
    """Half a gigabyte of answers that do not even match."""
    with HostileProvider(_endless({"PatientID": "OTHER", "StudyDescription": "x" * 10_000_000})) as pacs:
        ran = _find(pacs, "--PatientID", "P-1")
    assert (ran.status, ran.error) == (1, "too-many-answers")
    assert "--limit" in ran.stderr


def test_answers_without_end_and_a_limit() -> None:
    def find(asked: Command) -> Said:
        return _endless({"PatientID": "P-1"})(asked) if level_of(asked) == "STUDY" else [SUCCESS]

    with HostileProvider(find) as pacs:
        ran = _find(pacs, "--limit", 3)
    assert ran.status == 0
    assert len(ran.json["data"]) == 3


def test_very_many_answers_take_little_memory() -> None:
    def find(asked: Command) -> Iterator[Response | bytes]:
        endless = _endless({"PatientID": "OTHER"})(asked)
        yield from (next(endless) for _ in range(20_000))
        yield SUCCESS

    with HostileProvider(find) as pacs:
        ran = run_tool(
            *("/bin/sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh", SCRIPTS / "px-find", *pacs.node.options),
            *("--PatientID", "P-1", "--timeout", 5),
        )
    assert (ran.status, ran.json["data"]) == (0, [])


# What the values are


def test_values_reach_no_terminal(tmp_path: Path) -> None:
    values = {
        name: f"{name} {TEXT}"
        for name in (
            "PatientName",
            "PatientID",
            "StudyDescription",
            "SeriesDescription",
            "AccessionNumber",
            "Modality",
        )
    }
    archive = Archive(STUDY, values)
    found = tmp_path / "found.json"
    with HostileProvider(archive.find) as pacs:
        ran = _find(pacs)
        shown = run_in_terminal(["px-find", *pacs.node.options, "--PatientID", "*"])
        shown_json = run_in_terminal(["px-find", *pacs.node.options, "--PatientID", "*", "--json"])
    assert (ran.status, ran.stderr) == (0, "")
    (study,) = ran.json["data"]
    assert study["PatientName"]["value"] == values["PatientName"]
    found.write_text(ran.stdout)
    forms = ("tabular", "rawText", "csv", "json", "tree", "html")
    reports = {
        form: lambda form=form: assert_quiet(
            run_in_terminal(["px-report", "--reportDataFile", found, "--printReport", form], columns=120)
        )
        for form in forms
    }
    together({"find": lambda: assert_quiet(shown), "json": lambda: assert_quiet(shown_json), **reports})
    assert (
        json.loads(shown_json.stdout[shown_json.stdout.index("{") :])["data"][0]["PatientID"]["value"]
        == values["PatientID"]
    )


@pytest.mark.parametrize(
    ("declares", "value"),
    [
        ("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED^\x1b$"),
        ("\\ISO 2022 IR 87", b"Yamada=\x1b$B;"),
        ("\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3\x1b"),
        ("ISO 2022 IR 6\\ISO 2022 IR 58", b"Wang=\x1b$)A\xcd"),
        ("ISO_IR 192", b"M\xfcller\xe3\x81"),
        ("GB18030", b"Wang^\xb0"),
        ("ISO_IR 13\\" * 1000, b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
        ("utf_7", b"+ADw-script+AD4-"),
        ("rot13\\zlib\\idna", b"xn--a\xff" * 100),
        ("\x00\x1b]0;x\x07", bytes(range(256))),
    ],
)
def test_character_sets_that_are_none(declares: str, value: bytes) -> None:
    archive = Archive(STUDY, {"SpecificCharacterSet": declares, "PatientName": value})
    with HostileProvider(archive.find) as pacs:
        ran = _find(pacs)
    _assert_found(ran)
    assert ran.json["data"][0]["PatientName"]["value"]
