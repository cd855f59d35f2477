"""Where the commands of a page are run: a home and directories of their own, and servers that are real.

The manual's servers are those of an invented site, with paths such as a site may have. What stands here in
the place of what is all in :meth:`Scene.replacements`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from demo.cube import Cube
from demo.server import HOST
from demo.studies import Study, invented_studies
from manual.pages import CHECKOUT, generator
from servers.orthanc import Orthanc
from servers.swift import Swift
from tools import SCRIPTS, Running, run_tool

#: Another invented patient, of files that are not on the PACS.
OTHER = Study(
    "P-0017",
    attributes={
        "PatientName": "Hopper^Grace",
        "PatientBirthDate": "19061209",
        "PatientSex": "F",
        "PatientAge": "085Y",
        "StudyDate": "19920101",
        "AccessionNumber": "92-1",
        "StudyDescription": "Hand",
    },
).series(1, instances=2, Modality="CR", SeriesDescription="Hand p.a.")

#: Directories at the top of the manual's machine; here they are below the scene.
_TOPS = "data|srv|media|mnt|scans|old|tmp|etc"

_GOES_ON = re.compile(r"px-listen\b(?!.*--(?:status|help|version)\b)")


class ManualOrthanc(Orthanc):
    """An Orthanc that knows both AE titles that the manual has for us, at the same port."""

    def configure(self) -> list[str]:
        command = super().configure()
        configuration = Path(command[-1])
        settings = json.loads(configuration.read_text())
        settings["DicomModalities"]["myself"] = ["MYSELF", HOST, self.receive_port]
        configuration.write_text(json.dumps(settings))
        return command


@dataclass(frozen=True, slots=True)
class Servers:
    """Gives the servers beside the PACS, each when it is needed, and each time the same.

    Parameters
    ----------
    swift : callable
        Gives a Swift, and the name of a container in it.
    cube : callable
        Gives a CUBE that looks into that container.
    database : callable
        Gives the URL of an empty PostgreSQL database.
    """

    swift: Callable[[], tuple[Swift, str]]
    cube: Callable[[], Cube]
    database: Callable[[], str]


class Scene:
    """A machine for one page.

    Parameters
    ----------
    directory : pathlib.Path
        Empty.
    orthanc : ManualOrthanc
        The PACS, which holds the invented studies.
    servers : Servers
    """

    def __init__(
        self,
        directory: Path,
        orthanc: Orthanc,
        servers: Servers,
    ) -> None:
        self._orthanc = orthanc
        self._servers = servers
        self._listener: Running | None = None
        self._said = directory / "listener.log"
        self._exported: list[str] = []
        self.root = directory / "root"
        self.home = directory / "home"
        self.here = directory / "here"
        self._environment = self._prepare(directory)

    def _prepare(self, directory: Path) -> Mapping[str, str]:
        scripts, temporary = directory / "scripts", directory / "temporary"
        for made in (self.root, self.home, self.here, scripts, temporary):
            made.mkdir()
        for name in generator().scripts():
            # Not all of SCRIPTS: pynetdicom has programs of the names of DCMTK's.
            (scripts / name).symlink_to(SCRIPTS / name)
        for name in ("PACS_QR.sh", "workflow.sh"):
            (scripts / name).symlink_to(CHECKOUT / name)
        for place in ("media/cd", "media/cdrom", "scans", "data", "srv", "mnt/chris", "tmp", "etc", "old"):
            (self.root / place).mkdir(parents=True)
        for place in ("media/cd", "media/cdrom", "scans"):
            OTHER.write(self.root / place / "disc")
        self._files()
        path = os.environ["PATH"].replace(str(SCRIPTS), "")
        return {"HOME": str(self.home), "PATH": f"{scripts}:{path}", "TMPDIR": str(temporary)}

    def _files(self) -> None:
        """What the manual takes to be in the current directory, and files with secrets."""
        first, second = OTHER.write(self.here / "data")
        shutil.copy(first, self.here / "scan.dcm")
        shutil.copy(second, self.here / "one.ima")
        (self.here / "last").touch()
        os.utime(self.here / "last", (0, 0))
        password = self.root / "etc" / "chris.password"
        password.write_text("chris1234\n")
        password.chmod(0o600)

    def replacements(self, command: str) -> list[tuple[str, str]]:
        """Pattern and what stands here instead, in the order in which they are applied."""
        node = self._orthanc.node
        study = invented_studies()[0]
        of_study = f"--swiftServicesPACS BCH --StudyInstanceUID {study.uid}"
        table = [
            (r"(pacs|research)\.example\.org:\w+:\d+", node.word),
            (r'"aec": "THEIRS", "ip": "pacs.example.org", "port": "104"', _fields_of(self._orthanc)),
            (
                r"--aec \w+ --serverIP \S+ --serverPort \d+",
                f"--aec {node.aec} --serverIP {node.host} --serverPort {node.port}",
            ),
            (
                r"PACSIP=\S+ PACSPORT=\S+ AEC=\S+",
                f"PACSIP={node.host} PACSPORT={node.port} AEC={node.aec}",
            ),
            (r"--env (orthanc|demo)", f"--env orthanc --PACSport {node.port}"),
            (r"px-find …", f"px-find {node.word}"),
            (r"px-push …", f"px-push --swift local {of_study}"),
            (r"px-push --swift local …", f"px-push --swift local {of_study}"),
            (r"px-register …", "px-register --CUBE local"),
            (r"(px-register --CUBEURL \S+) …", rf"\1 {of_study}"),
            (r"1\.2\.840\.113619\.2\.1\.7", str(study.all_series[1].uid)),
            (r"1\.2\.840\.(113619\.2\.1|…)", str(study.uid)),
            (r"--(port|receivePort) 1111[23]", rf"--\1 {self._orthanc.receive_port}"),
            (r"^px-listen\b(?!.*--(port|status))", f"px-listen --port {self._orthanc.receive_port}"),
            (rf"(?<![\w~.:/])/(?=({_TOPS})\b)", f"{self.root}/"),
        ]
        if "swift.example.org" in command:
            server, container = self._servers.swift()
            fields = f'"ip": "{HOST}", "port": {server.port}, "container": "{container}"'
            table.append((r'"ip": "swift.example.org", "port": 8080', fields))
            table.append((r"swift\.example\.org --SWIFTPORT 8080", f"{HOST} --SWIFTPORT {server.port}"))
        if "cube.example.org" in command:
            table.append((r"https://cube\.example\.org/api/v1/", self._servers.cube().url))
        if "db.example.org" in command:
            url = self._servers.database()
            table.append((r"postgresql://pypx:secret@db\.example\.org/catalogue", url))
        return table

    def as_run(self, command: str) -> str:
        """The command with what stands here in the place of the manual's site.

        Raises
        ------
        AssertionError
            When something is left of which nobody says what stands for it.
        """
        for pattern, instead in self.replacements(command):
            command = re.sub(pattern, instead, command, flags=re.MULTILINE)
        left = re.findall(r"\S*…\S*|\S*example\.org\S*", command)
        assert not left, f"what stands for {left} is not known (tests/manual/scene.py): {command}"
        return command

    def run(self, command: str) -> None:
        """Run a command to its end, which must be a good one; what goes on until it is ended goes on.

        Where images are to be sent to a listener and none runs, one does for as long as that takes.

        Raises
        ------
        AssertionError
        """
        text = self.as_run(command)
        if re.match(r"(export|cd) ", text):
            self._exported.append(text)
        elif _GOES_ON.match(text):
            self._listen(text)
        elif "--to CHRISLOCAL" in text and self._listener is None:
            database = re.search(r" --db \S+", text)
            self._listen(f"px-listen --port {self._orthanc.receive_port}{database[0] if database else ''}")
            self._finish(text)
            self.end()
        else:
            self._finish(text)

    def _finish(self, text: str) -> None:
        arguments = ("-o", "pipefail", "-c", "\n".join([*self._exported, text]))
        ran = run_tool("/bin/bash", *arguments, environment=self._environment, directory=self.here)
        said = f"{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}"
        assert ran.status == 0, f"{text}\nended with {ran.status}:\n{said}"

    def _listen(self, text: str) -> None:
        """Start a listener; of those of a page there is one at a time, since the PACS knows one port."""
        self.end()
        lines = "\n".join([*self._exported, f"exec {text} 2>{self._said}"])
        self._said.unlink(missing_ok=True)
        self._listener = Running("/bin/bash", "-c", lines, environment=self._environment, directory=self.here)
        self._listener.feed()
        deadline = time.monotonic() + 60
        while not (self._said.exists() and " receives on port " in self._said.read_text()):
            assert self._listener.process.poll() is None, self._said.read_text()
            assert time.monotonic() < deadline, f"{text} does not receive"
            time.sleep(0.05)

    def end(self) -> None:
        """End the listener, if there is one, as a service manager does."""
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        listener.interrupt(signal.SIGTERM)
        assert listener.process.wait(60) == 0, self._said.read_text()
        listener.assert_nothing_left()


def _fields_of(orthanc: Orthanc) -> str:
    node = orthanc.node
    return f'"aec": "{node.aec}", "ip": "{node.host}", "port": "{node.port}"'
