"""Carry out a Dockerfile: each stage in a root of its own, the last of which is the image."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from . import base, container
from .context import Context
from .dockerfile import Instruction, NotUnderstood, Stage, read
from .launch import Launch
from .lent import PROXIES, Lent, lent_by_this_machine

#: The images that can be made here, by the release of Debian that each is.
_BASES = {"debian:bookworm-slim": "bookworm"}

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class StepFailed(Exception):
    """A RUN that did not end with 0."""


@dataclass
class Image:
    """A root, and how it is to be run.

    Parameters
    ----------
    root : pathlib.Path
    environment : dict of str to str
    uid, gid : int
        Of the user that runs it.
    directory : str
    labels : dict of str to str
    volumes, ports, entrypoint, healthcheck : list of str
    stop_signal : str
    """

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    uid: int = 0
    gid: int = 0
    directory: str = "/"
    labels: dict[str, str] = field(default_factory=dict)
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"

    def launch(
        self,
        *arguments: str,
        volume: Path,
        user: tuple[int, int] | None = None,
        has_own_network: bool = False,
        mounts: Mapping[str, str] | None = None,
    ) -> Launch:
        """``docker run --read-only --tmpfs /tmp --volume …`` with these arguments for the entrypoint.

        Parameters
        ----------
        volume : pathlib.Path
            What is to be seen as the volume of the image.
        user : tuple of int, optional
            ``--user UID:GID``.
        has_own_network : bool
            Otherwise ``--network host``.
        mounts : mapping, optional
            Path in the container, and the file that is seen there.
        """
        uid, gid = user or (self.uid, self.gid)
        return Launch(
            str(self.root),
            [*self.entrypoint, *arguments],
            {"HOME": self._home(uid), **self.environment},
            self.directory,
            uid,
            gid,
            volumes={self.volumes[0]: str(volume)},
            mounts=dict(mounts or {}),
            memory=["/tmp"],  # noqa: S108
            is_read_only=True,
            has_own_network=has_own_network,
        )

    def _home(self, uid: int) -> str:
        entries = [line.split(":") for line in (self.root / "etc/passwd").read_text().splitlines()]
        return next((entry[5] for entry in entries if entry[2] == str(uid)), "/")


#: Where the checks find the image that they are about.
IMAGE = pytest.StashKey[Image]()


class Build:
    """One build.

    Parameters
    ----------
    checkout : pathlib.Path
        Where Dockerfile and .dockerignore are.
    cache : pathlib.Path
        Where the base is kept; ``work`` in it holds the roots.
    arguments : mapping
        ``--build-arg``.
    say : callable
        Gets what is done, a line at a time.
    """

    def __init__(
        self, checkout: Path, cache: Path, arguments: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._stages = read(checkout / "Dockerfile")
        self._context = Context.of(checkout)
        self._cache = cache
        self._arguments = arguments
        self._say = say
        self._built: dict[str, Image] = {}

    def run(self) -> Image:
        """Build all stages.

        Raises
        ------
        NotUnderstood
            When the Dockerfile holds something that is not known here.
        StepFailed
            When a RUN fails; what it said has been said.
        """
        for number, stage in enumerate(self._stages):
            root = self._cache / "work" / f"stage-{number}"
            self._built[stage.name or str(number)] = self._stage(stage, root)
        return list(self._built.values())[-1]

    def _stage(self, stage: Stage, root: Path) -> Image:
        if stage.base not in _BASES:
            raise NotUnderstood(f"FROM {stage.base}: only {', '.join(_BASES)} can be made here")
        release = _BASES[stage.base]
        started = time.monotonic()
        base.unpack(base.base_archive(self._cache, release, self._say), root)
        self._tell(f"FROM {stage.base}", started)
        step = _Steps(self, Image(root), lent_by_this_machine(release))
        for instruction in stage.instructions:
            started = time.monotonic()
            step.take(instruction)
            self._tell(str(instruction), started)
        return step.image

    def _tell(self, step: str, started: float) -> None:
        self._say(f"{time.monotonic() - started:6.1f} s  {step[:100]}")

    def argument(self, name: str, default: str | None) -> str | None:
        """The value of an ARG."""
        return self._arguments.get(name, default)

    @property
    def proxies(self) -> dict[str, str]:
        """The build arguments that each RUN gets without an ARG."""
        return {name: value for name, value in self._arguments.items() if name in PROXIES}

    @property
    def context(self) -> Context:
        return self._context

    def stage(self, name: str) -> Image:
        """An earlier stage."""
        return self._built[name]

    def failed(self, instruction: Instruction, log: Path) -> StepFailed:
        """Say what a RUN said before it failed."""
        self._say(log.read_text(errors="replace"))
        return StepFailed(f"line {instruction.line}: {instruction}")


class _Steps:
    """The instructions of one stage."""

    def __init__(self, build: Build, image: Image, lent: Lent) -> None:
        self.image = image
        self._build = build
        self._lent = lent
        self._arguments: dict[str, str] = {}

    def take(self, instruction: Instruction) -> None:
        """Carry out one instruction."""
        if self.image.volumes and instruction.keyword in ("RUN", "COPY"):
            raise NotUnderstood(
                f"line {instruction.line}: a change after VOLUME, which an engine may discard"
            )
        getattr(self, f"_{instruction.keyword.lower()}")(instruction)

    @property
    def _variables(self) -> dict[str, str]:
        # An ENV wins over an ARG of the same name.
        return {**self._arguments, **self.image.environment}

    def _arg(self, instruction: Instruction) -> None:
        name, equals, default = instruction.words(self._variables)[0].partition("=")
        value = self._build.argument(name, default if equals else None)
        if value is not None:
            self._arguments[name] = value

    def _run(self, instruction: Instruction) -> None:
        image = self.image
        root = str(image.root)
        log = image.root.with_suffix(".log")
        home = {"HOME": "/root"} if image.uid == 0 else {}
        launch = Launch(
            root,
            ["/bin/sh", "-c", instruction.text],
            {**home, **self._lent.environment, **self._build.proxies, **self._variables},
            image.directory,
            image.uid,
            image.gid,
            files=self._lent.files,
            mounts=self._lent.mounts,
        )
        if not container.run_step(launch, log):
            raise self._build.failed(instruction, log)

    def _copy(self, instruction: Instruction) -> None:
        *sources, destination = instruction.words(self._variables)
        target = self._inside(destination)
        into = destination.endswith("/") or target.is_dir()
        mode = int(instruction.flags["chmod"], 8) if "chmod" in instruction.flags else None
        for source in sources:
            if stage := instruction.flags.get("from"):
                _copy_tree(self._build.stage(stage).root / source.lstrip("/"), target)
                continue
            for file, below in self._build.context.files(source):
                place = target / below if below else target / file.name if into else target
                _copy_file(file, place, self.image.root, mode)

    def _inside(self, path: str) -> Path:
        """A path of the image, in its root."""
        place = self.image.root / os.path.join(self.image.directory, path).lstrip("/")  # noqa: PTH118
        if not place.resolve().is_relative_to(self.image.root.resolve()):
            raise NotUnderstood(f"{path} goes through a link")
        return place

    def _env(self, instruction: Instruction) -> None:
        self.image.environment.update(instruction.pairs(self._variables))

    def _label(self, instruction: Instruction) -> None:
        self.image.labels.update(instruction.pairs(self._variables))

    def _workdir(self, instruction: Instruction) -> None:
        directory = instruction.words(self._variables)[0]
        place = self._inside(directory)
        self.image.directory = "/" + place.relative_to(self.image.root).as_posix()
        place.mkdir(parents=True, exist_ok=True)

    def _user(self, instruction: Instruction) -> None:
        uid, _, gid = instruction.words(self._variables)[0].partition(":")
        if not (uid.isdecimal() and gid.isdecimal()):
            raise NotUnderstood(f"line {instruction.line}: USER is not given as two numbers")
        self.image.uid, self.image.gid = int(uid), int(gid)

    def _volume(self, instruction: Instruction) -> None:
        self.image.volumes += instruction.command

    def _expose(self, instruction: Instruction) -> None:
        self.image.ports += instruction.words(self._variables)

    def _stopsignal(self, instruction: Instruction) -> None:
        self.image.stop_signal = instruction.text

    def _healthcheck(self, instruction: Instruction) -> None:
        self.image.healthcheck = instruction.command

    def _entrypoint(self, instruction: Instruction) -> None:
        self.image.entrypoint = instruction.command


def _copy_file(file: Path, place: Path, root: Path, mode: int | None) -> None:
    missing = [
        each
        for each in (place.parent, *place.parent.parents)
        if each.is_relative_to(root) and not each.exists()
    ]
    for directory in reversed(missing):
        directory.mkdir(mode=0o755)
    shutil.copy2(file, place)
    os.chown(place, 0, 0)
    if mode is not None:
        place.chmod(mode)


def _copy_tree(source: Path, target: Path) -> None:
    """A directory of another stage: links stay links, all belongs to root."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    for parent, directories, files in os.walk(target):
        for name in (".", *directories, *files):
            os.chown(Path(parent, name), 0, 0, follow_symlinks=False)
