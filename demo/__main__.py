"""Show the main job on a PACS of our own: echo, find, retrieve, status, the tree. Run by ``bin/demo``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from demo.server import ServerFailed
from demo.studies import invented_studies

_PATIENT = "7654321"

#: Where PACS_QR.sh --env demo looks for the PACS of --keep.
_PORT_TO_KEEP = 11112

_NEXT = """\
Next, against your own PACS (its administrator has to let your AE title in):
  source .venv/bin/activate; px-echo pacs.example.org:THEIRS:104 --aet YOURS
  px-find pacs.example.org:THEIRS:104 --aet YOURS --PatientID 12345 |
      px-move --get --db ~/dicom/log"""


class StepFailed(Exception):
    """A command of the walk that did not exit with 0."""


class Walk:
    """The commands one after another, each shown as it would be typed."""

    def __init__(self) -> None:
        self._bold, self._plain = ("\x1b[1m", "\x1b[0m") if _colour_is_welcome() else ("", "")
        scripts = Path(sys.executable).parent
        self._environment = {**os.environ, "PATH": f"{scripts}:{os.environ.get('PATH', '')}"}

    def tell(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def run(self, *pipeline: list[str]) -> None:
        """Run one command, or several with a pipe between, on the terminal that we have ourselves.

        Raises
        ------
        StepFailed
            When one of them does not exit with 0.
        """
        print(f"\n{self._bold}$ {_as_typed(pipeline)}{self._plain}", flush=True)
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for command in pipeline:
                last = len(processes) == len(pipeline) - 1
                before = processes[-1].stdout if processes else None
                processes.append(
                    subprocess.Popen(
                        command,
                        stdin=before or subprocess.DEVNULL,
                        stdout=None if last else subprocess.PIPE,
                        env=self._environment,
                    )
                )
                if before:
                    # Ours too, until closed: the command before would never hear that its reader is gone.
                    before.close()
            statuses = [process.wait() for process in processes]
        except BaseException:
            for process in processes:
                process.terminate()
                process.wait()
            raise
        # From the end: a command that fails takes those that write to it with it.
        for command, status in reversed(list(zip(pipeline, statuses, strict=True))):
            if status != 0:
                raise StepFailed(f"{command[0]} ended with status {status}")


def _colour_is_welcome() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _as_typed(pipeline: tuple[list[str], ...], width: int = 78) -> str:
    """The pipeline as a shell takes it, broken where a line gets long."""
    lines = [""]
    for place, command in enumerate(pipeline):
        for word in [*(["|"] if place else []), *(shlex.quote(word) for word in command)]:
            if lines[-1] and len(lines[-1]) + len(word) > width - 4:
                lines.append("    ")
            lines[-1] += word + " "
    return "\\\n".join(lines).rstrip()


def tree(top: Path, depth: int = 0) -> list[str]:
    """Directories below one, indented; files are counted, not listed."""
    lines = []
    for directory in sorted(path for path in top.iterdir() if path.is_dir() and path.name[-1] != "~"):
        files = sum(path.is_file() for path in directory.iterdir())
        count = f"  ({files} images)" if files else ""
        lines.append(f"{'  ' * depth}{directory.name}/{count}")
        lines += tree(directory, depth + 1)
    return lines


def show(pacs: Pacs, basemount: Path) -> None:
    """The main job, as a person would do it."""
    node, log = pacs.node.word, str(basemount / "log")
    find = ["px-find", node, "--PatientID", _PATIENT]
    study = next(study for study in invented_studies() if study.patient_id == _PATIENT)
    walk = Walk()

    walk.tell(f"A PACS with invented patients listens at {pacs.node.host}:{pacs.port}. Is it there?")
    walk.run(["px-echo", node])
    walk.tell(f"What does it have of patient {_PATIENT}?")
    walk.run(find, ["px-report"])
    walk.tell("All of that into a tidy folder:")
    walk.run(find, ["px-move", "--get", "--db", log])
    walk.tell("Is it all here? The first of the two studies:")
    walk.run(["px-status", "--db", log, "--StudyInstanceUID", study.uid], ["px-report"])
    walk.tell(f"{basemount / 'data'} now holds:")
    print("\n".join(tree(basemount / "data")))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/demo", description="Show pypx at work on a PACS of its own.")
    parser.add_argument("--keep", action="store_true", help="leave PACS and BASEMOUNT up until Ctrl-C")
    keep = parser.parse_args().keep
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="pypx-demo-") as scratch:
            return _demonstrate(Path(scratch), keep)
    except KeyboardInterrupt:
        return 130
    except (StepFailed, ServerFailed, RuntimeError, OSError) as error:
        print(f"\nbin/demo: {error}", file=sys.stderr)
        return 1


def _demonstrate(scratch: Path, keep: bool) -> int:
    home, basemount, files = (scratch / name for name in ("pacs", "basemount", "files"))
    home.mkdir()
    with Dcmqrscp(home, _PORT_TO_KEEP if keep else 0) as pacs:
        pacs.store(path for study in invented_studies() for path in study.write(files))
        show(pacs, basemount)
        print(f"\n{_NEXT}", flush=True)
        if keep:
            print(f"\n{_stays(pacs, basemount)}", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                return 0
    return 0


def _stays(pacs: Pacs, basemount: Path) -> str:
    return f"""\
The PACS stays up, {basemount} stays there; Ctrl-C ends both.
  The PACS, in one word:        {pacs.node.word}
  It knows us as {pacs.aet}, on port {pacs.receive_port}: px-move --receivePort {pacs.receive_port}, or
  px-listen --port {pacs.receive_port} and px-move --to {pacs.aet}
  It does not tell how many images a series has, nor what studies and series are called."""


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
