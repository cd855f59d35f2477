"""The client of CUBE's API against both generations of it, as they should be and as they should not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.cube import USERS, directory_names
from demo.cube import Cube as Server
from demo.cube_rules import Interface as Generation
from demo.web import Answer, Asked, WebServer
from pypx.cube import transport
from pypx.cube.address import CubeAddress
from pypx.cube.api import Cube
from pypx.cube.fields import fields_of
from pypx.errors import (
    CubeAnswer,
    CubeFailed,
    CubeRefused,
    CubeUnreachable,
    PypxError,
    RegistrationRejected,
)
from servers import cube as faults

PASSWORD = USERS["chris"]
VALUES = {
    "PatientID": "P-1",
    "StudyDate": "20200229",
    "StudyInstanceUID": "1.2",
    "SeriesInstanceUID": "1.2.3",
}
FOLDER = "SERVICES/PACS/HERE/P-1/study/series"
FILES = [f"{FOLDER}/{number}.dcm" for number in range(1, 6)]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FIRST_PAUSE", 0.01)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A directory with one series in it."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"image")
    return tmp_path


@pytest.fixture(params=list(Generation), ids=lambda kind: kind.name.lower())
def server(request: pytest.FixtureRequest, storage: Path) -> Iterator[Server]:
    """Each case on both generations."""
    with Server(directory_names(storage), request.param, wait=0.1) as server:
        yield server


def connect(server: WebServer, password: str = PASSWORD, user: str = "chris", **options: float) -> Cube:
    address = CubeAddress.parse(f"http://127.0.0.1:{server.port}/api/v1/", user, password)
    return Cube.connect(address, **options)  # type: ignore[arg-type]


def register(cube: Cube) -> None:
    """All of the series, in the way that there is."""
    fields = {**fields_of(VALUES).values, "pacs_name": "HERE"}
    if cube.interface.name == "SERIES":
        cube.register({**fields, "path": FOLDER, "ndicom": len(FILES)})
    else:
        for name in FILES:
            cube.register({**fields, "path": name})


def is_registered(cube: Cube) -> bool:
    if cube.interface.name == "SERIES":
        return cube.series_folder("1.2.3", "HERE") == FOLDER
    return cube.files("1.2.3") == set(FILES)


def test_registers_what_is_in_storage(server: Server) -> None:
    with connect(server) as cube:
        assert not is_registered(cube)
        register(cube)
        assert is_registered(cube)
    assert server.files == FILES


def test_a_series_takes_one_request_and_a_file_one(server: Server) -> None:
    with connect(server) as cube:
        register(cube)
    assert len(server.posts()) == (1 if server.interface is Generation.SERIES else len(FILES))


def test_what_is_registered_is_rejected_and_found(server: Server) -> None:
    with connect(server) as cube:
        register(cube)
        with pytest.raises(RegistrationRejected, match="already"):
            register(cube)
        assert is_registered(cube)


def test_a_series_of_another_pacs_is_another_one(server: Server) -> None:
    with connect(server) as cube:
        register(cube)
        if server.interface is Generation.SERIES:
            assert cube.series_folder("1.2.3", "THERE") is None
            assert cube.series_folder("1.2.4", "HERE") is None
        else:
            assert cube.files("1.2.4") == set()
        assert cube.files_below(FOLDER) == set(FILES)
        assert cube.files_below(FOLDER[:-1]) == set()


def test_a_search_goes_through_all_pages(tmp_path: Path) -> None:
    count = 2345
    with Server(lambda path: [path], Generation.FILE) as server, connect(server) as cube:
        names = {f"SERVICES/PACS/HERE/{number}.dcm" for number in range(count)}
        server._files.update(
            {
                name: {"fname": name, "SeriesInstanceUID": "1.2.3", "path": name, "pacs_name": "HERE"}
                for name in names
            }
        )
        assert cube.files("1.2.3") == names


def test_a_search_whose_pages_have_no_end(tmp_path: Path) -> None:
    def same_page(asked: Asked, proceed: Callable[[], Answer]) -> Answer:
        if "/search/" not in asked.path:
            return proceed()
        found = {"data": [{"name": "fname", "value": "SERVICES/PACS/HERE/1.dcm"}]}
        links = [{"rel": "next", "href": asked.path}]
        page = {"collection": {"items": [found], "links": links}}
        return Answer(200, json.dumps(page).encode(), "application/vnd.collection+json")

    with Server(lambda path: [path], Generation.FILE) as server, connect(server) as cube:
        server.fault = same_page
        with pytest.raises(CubeAnswer, match="again and again"):
            cube.files("1.2.3")


def test_what_is_not_in_storage_is_rejected(server: Server, storage: Path) -> None:
    (storage / FILES[0]).unlink()
    with connect(server) as cube, pytest.raises(RegistrationRejected):
        register(cube)


def test_without_tokens_the_password_goes_with_each_request(server: Server) -> None:
    server.offers_tokens = False
    with connect(server) as cube:
        register(cube)
    assert all(asked.headers["authorization"].startswith("Basic ") for asked in server.posts())


def test_a_token_spares_the_password(server: Server) -> None:
    with connect(server) as cube:
        register(cube)
    assert all(asked.headers["authorization"].startswith("Token ") for asked in server.posts())


@pytest.mark.parametrize("offers_tokens", [True, False])
@pytest.mark.parametrize(
    ("user", "password"), [("chris", "wrong"), ("nobody", "chris1234"), ("chris", "ü€:")]
)
def test_wrong_credentials(server: Server, user: str, password: str, offers_tokens: bool) -> None:
    server.offers_tokens = offers_tokens
    with pytest.raises(CubeRefused, match="user name"):
        connect(server, password, user)


def test_only_chris_may_register(server: Server) -> None:
    with connect(server, "wonderland", "alice") as cube, pytest.raises(CubeRefused, match="chris"):
        register(cube)
    assert server.registered == []


def test_nobody_listens(server: Server) -> None:
    server.end()
    try:
        with pytest.raises(CubeUnreachable, match="nothing listens"):
            connect(server)
    finally:
        server.start()


def test_cube_goes_away_and_comes_back(server: Server) -> None:
    with connect(server, retries=0) as cube:
        server.end()
        try:
            with pytest.raises(CubeUnreachable):
                register(cube)
        finally:
            server.start()
        register(cube)
    assert server.files == FILES


def test_a_host_that_does_not_resolve() -> None:
    address = CubeAddress.parse("http://cube.invalid", "chris", PASSWORD)
    with pytest.raises(CubeUnreachable, match="resolve"):
        Cube.connect(address, retries=0)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_fault_that_passes(server: Server, status: int) -> None:
    server.fault = faults.failing(faults.after(0, faults.posting, times=2), status)
    with connect(server) as cube:
        register(cube)
        assert is_registered(cube)


def test_a_fault_that_stays(server: Server) -> None:
    with connect(server, retries=3) as cube:
        server.fault = faults.failing(faults.posting)
        with pytest.raises(CubeFailed, match="500"):
            register(cube)
    assert len(server.posts()) == 4


def test_a_lost_answer_is_asked_for_again(server: Server) -> None:
    server.fault = faults.losing_answers(faults.after(0, times=1))
    with connect(server) as cube:
        with pytest.raises(RegistrationRejected):
            register(cube)
        assert FILES[0] in server.files
        assert is_registered(cube) or server.interface is Generation.FILE


@pytest.mark.parametrize("told", [True, False])
def test_json_that_is_cut(server: Server, told: bool) -> None:
    server.fault = faults.cutting_json(told=told)
    with pytest.raises(CubeUnreachable if told else CubeAnswer):
        connect(server)


def test_html_where_json_is_due(server: Server) -> None:
    server.fault = faults.in_html()
    with pytest.raises(CubeAnswer, match="text/html"):
        connect(server)
    assert len(server.requests) == 1, "asking again would not help"


def test_html_half_way(server: Server) -> None:
    with connect(server) as cube:
        server.fault = faults.in_html(faults.posting)
        with pytest.raises(CubeAnswer, match="text/html"):
            register(cube)
    assert server.registered == []


def test_another_api(server: Server) -> None:
    server.interface, server.fault = (
        Generation.FILE,
        lambda asked, proceed: (
            proceed() if asked.path.endswith("token/") else Answer(200, b'{"plugins": "http://127.0.0.1/p/"}')
        ),
    )
    with pytest.raises(CubeAnswer):
        connect(server)


def test_not_the_root_of_the_api(server: Server) -> None:
    with pytest.raises(CubeAnswer, match="page"):
        Cube.connect(CubeAddress.parse(f"http://127.0.0.1:{server.port}/cube/", "chris", PASSWORD))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_credentials_do_not_go_where_a_redirect_leads(server: Server, status: int) -> None:
    seen: list[Asked] = []

    def elsewhere(asked: Asked) -> Answer:
        seen.append(asked)
        return Answer(200, b"{}")

    with WebServer(elsewhere) as other:
        for offers_tokens in (True, False):
            server.offers_tokens = offers_tokens
            server.fault = faults.redirecting(f"http://chris:geheim@127.0.0.1:{other.port}/", status)
            with pytest.raises(CubeAnswer, match="redirects") as caught:
                connect(server)
            assert "geheim" not in str(caught.value)
            server.fault = None
            with connect(server) as cube:
                server.fault = faults.redirecting(f"http://127.0.0.1:{other.port}/", status)
                with pytest.raises(CubeAnswer, match="redirects"):
                    register(cube)
    assert seen == []


def test_an_answer_that_does_not_come(server: Server) -> None:
    with connect(server, timeout=1.5, retries=1) as cube:
        server.fault = faults.hanging(6, faults.posting)
        with pytest.raises(CubeUnreachable, match=r"1\.5 s"):
            register(cube)


def test_an_answer_that_does_not_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LONGEST_ANSWER", 1000)
    server.fault = lambda _asked, _proceed: Answer(200, b"[" * 5000)
    with pytest.raises(CubeAnswer, match="does not end"):
        connect(server)


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b"{}", b'"x"', b"[" * 900, b'{"collection": 3}', b'{"results": [1, null]}', b"\xff"],
)
def test_json_of_any_shape(server: Server, body: bytes) -> None:
    server.fault = lambda _asked, _proceed: Answer(200, body)
    with pytest.raises(CubeAnswer):
        connect(server)
    server.offers_tokens = False
    server.fault = lambda asked, proceed: proceed() if "token" in asked.path else Answer(200, body)
    with pytest.raises(CubeAnswer):
        connect(server)


def test_a_token_that_is_none(server: Server) -> None:
    for token in (3, "", "a\r\nX-Other: b", "x" * 5000, "ü"):
        text = f'{{"token": {token!r}}}'.replace("'", '"').encode()
        server.fault = lambda _asked, _proceed, text=text: Answer(200, text)  # type: ignore[misc]
        with pytest.raises(CubeAnswer):
            connect(server)


@pytest.mark.parametrize(
    "fault",
    [
        lambda: None,
        faults.failing,
        faults.in_html,
        faults.cutting_json,
        lambda: faults.losing_answers(),
        lambda: faults.redirecting("http://127.0.0.1:1/"),
    ],
)
def test_no_password_in_logs_errors_or_what_is_printed(
    server: Server, fault: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("pypx").propagate = True
    server.offers_tokens = False
    server.fault = fault()  # type: ignore[assignment]
    told = ""
    try:
        with connect(server, retries=1) as cube:
            register(cube)
            told = repr(vars(cube))
    except PypxError as error:
        chain: BaseException | None = error
        while chain is not None:
            told += repr(chain) + str(chain)
            chain = chain.__cause__ or chain.__context__
    shown = caplog.text + told + repr(CubeAddress.parse(server.url, "chris", PASSWORD))
    assert PASSWORD not in shown
    assert "Y2hyaXM6Y2hyaXMxMjM0" not in shown, "as basic authentication spells it"


def test_a_netrc_is_none_of_ours(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password wonderland\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with connect(server) as cube:
        register(cube)
    assert "authorization" not in server.requests[0][0].headers
    assert server.files == FILES
