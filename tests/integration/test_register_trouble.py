"""px-register where something is wrong: CUBE, the credentials, the storage, or what is asked for."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import datasets
from demo.cube import Cube
from demo.cube_rules import Interface
from demo.studies import Study
from demo.web import Answer, Asked, WebServer
from listener import until
from pypx.actions.push.naming import top_of
from registering import (
    PASSWORD,
    assert_registered,
    chris,
    counts,
    events,
    know,
    members,
    pack,
    register,
    register_arguments,
)
from servers import cube as faults
from servers.swift import Swift
from storing import PACS, SERVICE, Destination, DirectoryDestination, SwiftDestination, push, write_service
from tools import Running, run_tool

PLAIN = datasets.plain_study()


@pytest.fixture
def destination(basemount: Path, tmp_path: Path) -> DirectoryDestination:
    """A directory: here the storage makes no difference."""
    return DirectoryDestination(tmp_path / "store", basemount)


@pytest.fixture(params=list(Interface), ids=lambda kind: kind.name.lower())
def cube(
    request: pytest.FixtureRequest, destination: DirectoryDestination, basemount: Path
) -> Iterator[Cube]:
    """Each case on both generations."""
    with chris(request.param, destination, basemount) as cube:
        yield cube


#: Where the generation makes no difference.
once = pytest.mark.parametrize("cube", [Interface.SERIES], indirect=True)


@pytest.fixture
def pushed(basemount: Path, files: list[Path], destination: DirectoryDestination) -> str:
    """The plain study in storage, and what px-push said."""
    return push(basemount, destination, "--xcrdir", files[0].parent).stdout


def images(destination: Destination) -> list[str]:
    return sorted(destination.contents())


# CUBE


def test_nothing_listens(cube: Cube, pushed: str, basemount: Path) -> None:
    cube.end()
    try:
        ran = register(basemount, stdin=pushed, status=1)
    finally:
        cube.start()
    assert ran.error == "cube-unreachable"
    assert counts(ran) == {"series": 3, "failed": 3}
    assert len(events(basemount, "failed")) == 3
    assert "nothing listens" in ran.stderr


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "wrong"}, "user name and password"),
        ({"username": "nobody"}, "user name and password"),
        ({"username": "alice", "password": "wonderland"}, "Only the user chris"),
    ],
)
def test_not_let_in(cube: Cube, pushed: str, basemount: Path, fields: dict[str, str], words: str) -> None:
    know(basemount, cube, **fields)
    jobs = 3
    ran = register(basemount, "--jobs", jobs, stdin=pushed, status=1)
    assert ran.error == "cube-refused"
    assert words in ran.stderr
    assert cube.registered == []
    login = 1
    assert len(cube.posts()) <= login + jobs, "who is not let in does not keep on knocking"


def test_500_half_way_and_again(cube: Cube, pushed: str, basemount: Path, destination: Destination) -> None:
    done = 1 if cube.interface is Interface.SERIES else 9
    cube.fault = faults.failing(faults.after(done))
    ran = register(basemount, "--jobs", 1, "--retries", 0, stdin=pushed, status=1)
    assert ran.error == "cube-failed"
    assert len(cube.registered) == done
    assert ran.json["summary"]["newFiles"] == len(cube.files)
    cube.fault = None
    again = register(basemount, stdin=pushed)
    assert again.json["summary"]["newFiles"] == 20 - ran.json["summary"]["newFiles"]
    assert cube.files == images(destination)
    status = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", PLAIN.uid)
    assert [one["registered"] for one in status.json["data"]].count("unknown") == 0
    assert all("last failure" not in one["state"] for one in status.json["data"])


def test_a_cube_that_fails_on_one_series_alone(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    uid = str(PLAIN.all_series[0].uid).encode()
    cube.fault = faults.failing(lambda asked: faults.posting(asked) and uid in asked.body)
    ran = register(basemount, "--jobs", 1, "--retries", 0, stdin=pushed, status=1)
    if cube.interface is Interface.SERIES:
        assert counts(ran) == {"series": 3, "registered": 2, "failed": 1, "files": 17, "newFiles": 17}
    assert ran.error == "cube-failed"


def test_a_fault_that_passes(cube: Cube, pushed: str, basemount: Path, destination: Destination) -> None:
    cube.fault = faults.failing(faults.after(1, times=2), 503)
    register(basemount, "--retries", 3, stdin=pushed)
    assert_registered(cube, destination, basemount)


def test_answers_that_get_lost(cube: Cube, pushed: str, basemount: Path, destination: Destination) -> None:
    """What was done the first time is found to be done the second time."""
    cube.fault = faults.losing_answers(faults.after(0, times=2))
    ran = register(basemount, "--retries", 3, stdin=pushed)
    assert ran.json["summary"]["files"] == 20
    assert_registered(cube, destination, basemount)


@pytest.mark.parametrize("when", [faults.always, faults.posting], ids=["always", "posting"])
def test_html_where_json_is_due(cube: Cube, pushed: str, basemount: Path, when: faults.When) -> None:
    cube.fault = faults.in_html(when)
    ran = register(basemount, stdin=pushed, status=1)
    assert ran.error == "cube-answer"
    assert cube.registered == []
    assert events(basemount, "registered") == []


@once
def test_json_that_is_cut(cube: Cube, pushed: str, basemount: Path) -> None:
    cube.fault = faults.cutting_json(told=False)
    assert register(basemount, stdin=pushed, status=1).error == "cube-answer"


def test_a_redirect_does_not_take_the_credentials_along(cube: Cube, pushed: str, basemount: Path) -> None:
    seen: list[Asked] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(200, b"{}")

    with WebServer(elsewhere) as other:
        cube.fault = faults.redirecting(f"http://127.0.0.1:{other.port}/", 307)
        ran = register(basemount, stdin=pushed, status=1)
    assert ran.error == "cube-answer"
    assert f"127.0.0.1:{other.port}" in ran.stderr, "a person is told where it leads"
    assert seen == []


def test_cube_that_never_answers(cube: Cube, pushed: str, basemount: Path) -> None:
    cube.fault = faults.hanging(5, faults.posting)
    ran = register(basemount, "--timeout", 0.3, "--retries", 0, stdin=pushed, status=1)
    assert ran.error == "cube-unreachable"
    assert "0.3 s" in ran.stderr
    assert ran.seconds < 60


# Kills


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ended_in_the_middle_and_run_again(
    cube: Cube, pushed: str, basemount: Path, destination: Destination, number: signal.Signals
) -> None:
    wanted = 1 if cube.interface is Interface.SERIES else 4
    is_ended = threading.Event()

    def so_far(asked: Asked, proceed: Callable[[], Answer]) -> Answer | None:
        """Registers so many; who asks for more is ended meanwhile."""
        if faults.posting(asked) and len(cube.registered) >= wanted:
            is_ended.wait(60)
            return None
        return proceed()

    cube.fault = so_far
    running = Running("px-register", *register_arguments(basemount, "--jobs", 1), stdin=pushed)
    running.feed()
    until(lambda: len(cube.registered) >= wanted)
    if number is signal.SIGKILL:
        running.kill()
    else:
        running.interrupt(number)
        assert running.wait().status == 130
    is_ended.set()
    cube.fault = None
    assert len(cube.registered) == wanted
    register(basemount, stdin=pushed)
    assert_registered(cube, destination, basemount)


def test_ctrl_c_does_not_wait_for_cube(cube: Cube, pushed: str, basemount: Path) -> None:
    cube.fault = faults.hanging(120, faults.posting)
    running = Running("px-register", *register_arguments(basemount), stdin=pushed)
    running.feed()
    until(lambda: any(faults.posting(asked) for asked in cube.begun))
    began = time.monotonic()
    running.interrupt()
    assert running.wait().status == 130
    assert time.monotonic() - began < 40


# The storage


def test_an_image_that_is_not_in_storage(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    destination.remove(images(destination)[0])
    ran = register(basemount, stdin=pushed, status=1)
    assert ran.error == "not-in-storage"
    assert counts(ran) == {"series": 3, "registered": 2, "failed": 1, "files": 17, "newFiles": 17}
    assert len(cube.posts()) == (2 if cube.interface is Interface.SERIES else 17), "CUBE was not asked"


@once
def test_nothing_is_in_storage(cube: Cube, pushed: str, basemount: Path, destination: Destination) -> None:
    for name in images(destination):
        destination.remove(name)
    for arguments in ((), ("--StudyInstanceUID", PLAIN.uid)):
        ran = register(basemount, *arguments, stdin="" if arguments else pushed, status=1)
        assert ran.error in ("not-in-storage", "nothing-found")
    assert cube.posts() == []


@once
def test_a_storage_that_is_not_there(
    cube: Cube, pushed: str, basemount: Path, destination: DirectoryDestination
) -> None:
    destination.root.rename(destination.root.with_name("away"))
    ran = register(basemount, stdin=pushed, status=1)
    assert ran.error == "storage-unreachable"
    assert cube.posts() == []


def test_a_file_of_another_series_in_the_folder(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    """CUBE would take it for a part of the series: where nobody says that it is, nothing is registered."""
    document = json.loads(pushed)
    folder = document["data"][0]["folder"]
    destination.put(f"{folder}/foreign.dcm", b"something else")
    lists = [
        word
        for name in ("localFileList", "objectFileList")
        for word in (f"--{name}", json.dumps(document[name]))
    ]
    named = register(
        basemount, *lists, *destination.options, status=1 if cube.interface is Interface.SERIES else 0
    )
    assert not any(name.endswith("foreign.dcm") for name in cube.files)
    if cube.interface is Interface.SERIES:
        assert named.error == "not-in-storage"
        assert "foreign.dcm" in named.json["error"]["message"]
        assert "foreign.dcm" not in named.stderr  # names in storage are made of those of patients
        assert counts(named)["registered"] == 2


@pytest.mark.parametrize("generation", list(Interface), ids=lambda kind: kind.name.lower())
def test_a_folder_that_begins_like_another(
    swift: Swift, basemount: Path, tmp_path: Path, generation: Interface
) -> None:
    """CUBE on Swift lists by what names begin with: 1 and 10 would be one."""
    container = SwiftDestination(swift, basemount)
    study = Study("PREFIX-1", attributes={"StudyDate": "20200101"}).series(1, instances=2).series(10)
    study.write(tmp_path / "source")
    with chris(generation, container, basemount) as cube:
        arguments = ("--xcrdir", tmp_path / "source", "--seriesDirTemplate", "%SeriesNumber")
        ran = push(basemount, container, *arguments)
        done = register(basemount, stdin=ran.stdout, status=1 if generation is Interface.SERIES else 0)
        if generation is Interface.FILE:
            assert_registered(cube, container, basemount)
            return
        assert done.error == "not-in-storage"
        assert counts(done) == {"series": 2, "registered": 1, "failed": 1, "files": 1, "newFiles": 1}


@once
def test_images_that_cube_does_not_count(
    cube: Cube, files: list[Path], basemount: Path, destination: Destination
) -> None:
    ran = push(basemount, destination, "--xcrdir", files[0].parent, "--imageTemplate", "%SOPInstanceUID")
    refused = register(basemount, stdin=ran.stdout, status=1)
    assert refused.error == "invalid-value"
    assert ".dcm" in refused.stderr
    assert cube.posts() == []


@once
def test_a_storage_that_no_key_is_known_of(
    cube: Cube, pushed: str, basemount: Path, destination: Destination
) -> None:
    """What px-push said is believed, and CUBE looks for itself."""
    document = json.loads(pushed)
    for one in document["data"]:
        one["target"] = f"swift://chris@192.0.2.1:8080/users/{top_of(PACS)}"
    ran = register(basemount, "--verbosity", 1, stdin=json.dumps(document))
    assert "No key in services/" in ran.stderr
    assert cube.files == images(destination)


# What is asked for


@once
def test_a_key_that_services_does_not_have(cube: Cube, pushed: str, basemount: Path) -> None:
    know(basemount, cube, "research")
    ran = run_tool("px-register", "--db", basemount / "log", "--CUBE", "clinical", stdin=pushed)
    assert ran.status == 2
    assert "clinical" in ran.stderr
    assert f"{SERVICE}, research" in ran.stderr


@once
def test_no_cube_is_named(cube: Cube, pushed: str, basemount: Path) -> None:
    ran = run_tool("px-register", "--db", basemount / "log", stdin=pushed)
    assert ran.status == 2
    assert f"known: {SERVICE}" in ran.stderr


@once
def test_no_password_is_given(cube: Cube, pushed: str, basemount: Path) -> None:
    ran = run_tool("px-register", "--db", basemount / "log", "--CUBEURL", cube.url, stdin=pushed)
    assert ran.status == 2
    assert "password" in ran.stderr


@once
@pytest.mark.parametrize("name", ["A/B", "A,B", "x" * 21, ".."])
def test_names_that_cube_refuses(cube: Cube, pushed: str, basemount: Path, name: str) -> None:
    ran = register(basemount, "--swiftServicesPACS", name, stdin=pushed, status=2)
    assert "name of" in ran.stderr
    assert cube.requests == []


@once
def test_another_name_than_it_was_pushed_under(cube: Cube, pushed: str, basemount: Path) -> None:
    ran = register(basemount, "--swiftServicesPACS", "OTHER", stdin=pushed, status=1)
    assert ran.error == "invalid-value"
    assert PACS in ran.stderr
    assert cube.posts() == []


@pytest.mark.parametrize(
    "name",
    [
        f"SERVICES/PACS/{PACS}/a,b/c/1.dcm",
        f"SERVICES/PACS/{PACS}/../../../etc/1.dcm",
        f"SERVICES/PACS/{PACS}/a\x1b[31m/1.dcm",
        "/etc/passwd.dcm",
    ],
)
def test_names_in_storage_that_cube_refuses(
    cube: Cube, files: list[Path], basemount: Path, destination: Destination, name: str
) -> None:
    document = {"localFileList": [str(files[0])], "objectFileList": [name]}
    for options in ((), destination.options):
        ran = register(basemount, *options, stdin=json.dumps(document), status=1)
        assert ran.error in ("invalid-value", "not-in-storage", "registration-rejected")
        assert "\x1b" not in ran.stderr
    assert cube.registered == []


@once
@pytest.mark.parametrize("document", ["", "not json", "{}", "\x00\xff"])
def test_input_that_is_none_of_px_push(cube: Cube, basemount: Path, document: str) -> None:
    ran = register(basemount, stdin=document, status=1)
    assert ran.error == "invalid-input"
    assert cube.posts() == []


@once
def test_a_series_that_is_not_here(cube: Cube, basemount: Path) -> None:
    ran = register(basemount, "--SeriesInstanceUID", "1.2.3", status=1)
    assert ran.error == "nothing-found"
    assert members(ran)[0]["SeriesInstanceUID"] == "1.2.3"
    assert register(basemount, "--StudyInstanceUID", "1.2.3", status=1).error == "nothing-found"


def test_a_study_that_is_not_here_does_not_stop_the_others(
    cube: Cube, pushed: str, basemount: Path, files: list[Path], destination: Destination
) -> None:
    pack(basemount, files)
    ran = register(basemount, "--StudyInstanceUID", f"1.2.3,{PLAIN.uid}", status=1)
    assert counts(ran) == {"series": 4, "registered": 3, "failed": 1, "files": 20, "newFiles": 20}
    assert_registered(cube, destination, basemount)
    *_, missing = members(ran)
    assert (missing["StudyInstanceUID"], missing["SeriesInstanceUID"], missing["state"]) == (
        "1.2.3",
        "",
        "failed",
    )
    assert ran.error == missing["error"]["code"] == "nothing-found"


@once
def test_a_series_that_was_not_pushed(cube: Cube, basemount: Path, files: list[Path]) -> None:
    pack(basemount, files)
    ran = register(basemount, "--StudyInstanceUID", PLAIN.uid, status=1)
    assert ran.error == "not-in-storage"
    assert counts(ran) == {"series": 3, "failed": 3}


def test_a_push_that_was_not_complete(
    cube: Cube, basemount: Path, files: list[Path], destination: Destination
) -> None:
    """A series that is registered takes no more: what is not all there has to wait."""
    pack(basemount, files)
    victim = next(path for path in (basemount / "data").rglob("*.dcm") if "-T1-" in str(path.parent))
    victim.unlink()
    ran = push(basemount, destination, "--StudyInstanceUID", PLAIN.uid, status=1)
    done = register(basemount, stdin=ran.stdout, status=1)
    assert done.error == "not-in-storage"
    assert counts(done) == {"series": 3, "registered": 2, "failed": 1, "files": 8, "newFiles": 8}


@once
def test_two_sources_at_once(cube: Cube, basemount: Path) -> None:
    ran = register(basemount, "--SeriesInstanceUID", "1.2", "--xcrdir", ".", status=2)
    assert "--SeriesInstanceUID" in ran.stderr
    assert "--xcrdir" in ran.stderr


@once
def test_an_upstream_file_that_is_not_there(cube: Cube, basemount: Path) -> None:
    ran = register(basemount, "--upstreamFile", "none.json", status=1)
    assert ran.error == "file-unreadable"


@once
def test_a_file_that_is_named_itself_and_is_not_dicom_has_failed(
    cube: Cube, basemount: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("notes")
    ran = register(basemount, "--xcrdirfile", notes, status=1)
    assert (counts(ran), ran.error) == ({"series": 1, "failed": 1}, "not-dicom")


@once
def test_files_whose_name_of_the_pacs_nobody_says(cube: Cube, basemount: Path, files: list[Path]) -> None:
    ran = register(basemount, "--xcrdir", files[0].parent, status=2)
    assert "--swiftServicesPACS" in ran.stderr


# The password


@once
@pytest.mark.parametrize("way", ["services", "environment", "file in the environment", "file", "option"])
def test_ways_to_give_the_password(
    cube: Cube, pushed: str, basemount: Path, tmp_path: Path, way: str
) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    arguments, environment = {
        "services": (["--CUBE", SERVICE], {}),
        "environment": ([], {"PYPX_CUBE_PASSWORD": PASSWORD}),
        "file in the environment": ([], {"PYPX_CUBE_PASSWORD": f"@{file}"}),
        "file": (["--CUBEuserpasswd", f"@{file}"], {}),
        "option": (["--CUBEuserpasswd", PASSWORD], {}),
    }[way]
    named = [] if way == "services" else ["--CUBEURL", cube.url, "--CUBEusername", "chris"]
    ran = run_tool(
        "px-register",
        *("--db", basemount / "log", *named, *arguments),
        stdin=pushed,
        environment=environment,
    )
    assert ran.status == 0, ran.stderr
    assert len(cube.files) == 20


@once
@pytest.mark.parametrize("fault", [None, faults.failing(), faults.in_html(), faults.losing_answers()])
def test_the_password_is_nowhere(
    cube: Cube, pushed: str, basemount: Path, tmp_path: Path, fault: Any
) -> None:
    cube.offers_tokens = False
    cube.fault = fault
    debug = tmp_path / "debug"
    ran = run_tool(
        "px-register",
        *register_arguments(basemount, "--retries", 0, "--verbosity", 3, "--debugToDir", debug),
        stdin=pushed,
    )
    services = basemount / "services"
    written = [path for path in (*basemount.rglob("*"), *debug.rglob("*")) if path.is_file()]
    texts = [path.read_bytes() for path in written if path.parent != services]
    texts += [ran.stdout.encode(), ran.stderr.encode()]
    assert len(texts) > 3
    for secret in (PASSWORD, "Y2hyaXM6Y2hyaXMxMjM0"):
        assert not any(secret.encode() in text for text in texts)


@once
def test_a_password_goes_where_it_was_given_for(cube: Cube, pushed: str, basemount: Path) -> None:
    """A key's password is not sent to a URL that somebody names beside it."""
    seen: list[Asked] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(404, b"{}")

    with WebServer(elsewhere) as other:
        url = f"http://127.0.0.1:{other.port}/api/v1/"
        ran = register(basemount, "--CUBEURL", url, stdin=pushed, status=2)
    assert "password" in ran.stderr
    assert seen == []


@once
def test_a_password_in_the_url_is_refused(cube: Cube, pushed: str, basemount: Path) -> None:
    url = cube.url.replace("://", "://chris:geheim@")
    ran = register(basemount, "--CUBEURL", url, "--CUBEuserpasswd", "x", stdin=pushed, status=2)
    assert "geheim" not in ran.stderr


@once
def test_a_key_in_services_that_is_broken(cube: Cube, pushed: str, basemount: Path) -> None:
    for fields in ({"url": 3}, {"url": "cube"}, {"username": "chris"}, {"url": cube.url, "password": ""}):
        write_service(basemount, "cube", fields)
        ran = register(basemount, stdin=pushed, status=2)
        assert "CUBE" in ran.stderr
