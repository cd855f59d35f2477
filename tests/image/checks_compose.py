"""compose.yaml's scene: its Orthanc, with its configuration, the listener, and the manual's commands.

Both are on a network of their own, under the names and ports that compose.yaml gives them. Orthanc is the one
from the Debian package.
"""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import ENVIRONMENT, HOST, Server
from demo.studies import Study
from image.build import Image
from image.conftest import volume_of
from image.container import Container
from servers.needs import require

_CHECKOUT = Path(__file__).parents[2]
_CONFIGURATION = _CHECKOUT / "docker" / "orthanc.json"
_MANUAL = _CHECKOUT / "docs" / "container.rst"

_HOSTS = f"{HOST} localhost listener orthanc\n"

#: What makes the manual's `docker compose exec -T listener` a command in our container.
_DOCKER = """\
#!/bin/sh
case "$*" in
    "compose exec -T listener "*) shift 4; exec {within} "$@";;
    *) echo "not understood: docker $*" >&2; exit 125;;
esac
"""


class ComposedOrthanc(Server):
    """Orthanc with compose.yaml's configuration, on the network of a container."""

    name = "orthanc"
    _seconds_to_end = 0.2

    def __init__(self, directory: Path, listener: Container, hosts: Path) -> None:
        super().__init__(directory)
        self._listener = listener
        self._hosts = hosts

    def configure(self) -> list[str]:
        orthanc = require("Orthanc", "orthanc")
        script = (
            'mount --bind "$1" /etc/hosts && mount -t tmpfs tmpfs /var/lib/orthanc'
            ' && mkdir /var/lib/orthanc/db && exec "$2" "$3"'
        )
        arguments = ["orthanc", str(self._hosts), orthanc, str(_CONFIGURATION)]
        return self._listener.beside("unshare", "--mount", "sh", "-c", script, *arguments)

    def answers(self) -> bool:
        echo = self._listener.beside("echoscu", "-to", "2", "-aec", "ORTHANC", HOST, "4242")
        return subprocess.run(echo, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("network") / "hosts"
    file.write_text(_HOSTS)
    return file


@pytest.fixture(scope="module")
def basemount(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return volume_of(image, tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="module")
def listener(image: Image, basemount: Path, hosts: Path) -> Iterator[Container]:
    launch = image.launch(volume=basemount, has_own_network=True, mounts={"/etc/hosts": str(hosts)})
    with Container(launch, hosts.with_name("listener.log")) as running:
        running.wait_until_it_is(image.healthcheck)
        yield running


@pytest.fixture(scope="module")
def orthanc(
    listener: Container, hosts: Path, files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComposedOrthanc]:
    with ComposedOrthanc(tmp_path_factory.mktemp("orthanc"), listener, hosts) as server:
        send = listener.beside("dcmsend", HOST, "4242", "-aec", "ORTHANC", *map(str, files))
        subprocess.run(send, env=ENVIRONMENT, check=True, timeout=60)
        yield server


def _documented() -> str:
    """The manual's commands for the listener, as they stand in its section on compose."""
    text = _MANUAL.read_text()
    section = text[text.index("docker compose up") :]
    blocks = re.findall(r"code-block:: bash\n\n((?: {4}.*\n|\n)+)", section)
    return "".join(textwrap.dedent(block) for block in blocks if "docker compose exec" in block)


def test_orthanc_sends_to_the_listener_what_the_manual_s_commands_ask_for(
    orthanc: ComposedOrthanc, listener: Container, basemount: Path, study: Study, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(_DOCKER.format(within=" ".join(map(_quoted, listener.within()))))
    docker.chmod(0o755)
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", _documented()],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{listener.log}\n{orthanc.log}"
    assert len(list((basemount / "data").rglob("*.dcm"))) == study.instances
    assert {"px-echo", "px-find", "px-move", "px-status"} <= set(re.findall(r"px-\w+", _documented()))
    assert "C-MOVE" not in listener.log


def _quoted(argument: str) -> str:
    return "'" + argument.replace("'", "'\\''") + "'"
