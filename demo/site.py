"""A whole site on loopback, for as long as a command runs: PACS, storage and CUBE.

``workflow.sh --demo`` is such a command. It finds in its environment what a site sets at the top of that
script.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from demo.cube import CHRIS, USERS, Cube, directory_names
from demo.dcmqrscp import Dcmqrscp
from demo.server import ServerFailed
from demo.studies import Study, invented_studies


def files_of_a_disc() -> Study:
    """Another invented patient, of whom the PACS knows nothing."""
    return Study(
        "P-0017",
        size=64,
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


def _settings(scratch: Path, pacs: Dcmqrscp, cube: Cube) -> Mapping[str, str]:
    """What the command is told of the site, and where it may write."""
    return {
        "PACSIP": pacs.node.host,
        "PACSPORT": str(pacs.port),
        "AEC": pacs.aec,
        "AET": pacs.aet,
        "PATIENT": "7654321",
        "SENT_PATIENT": "8200417",
        "LISTEN_PORT": str(pacs.receive_port),
        "FILES": str(scratch / "disc"),
        "BASEMOUNT": str(scratch / "dicom"),
        "STORE": str(scratch / "store"),
        "SWIFTPACS": "demo",
        "CUBEURL": cube.url,
        "CUBEUSER": CHRIS,
        "CUBEPASSWORD": USERS[CHRIS],
    }


def run_at_site(command: Sequence[str], scratch: Path) -> int:
    """Start the site, run the command at it, end the site.

    Parameters
    ----------
    command : sequence of str
    scratch : pathlib.Path
        An empty directory.

    Returns
    -------
    int
        The command's exit status.

    Raises
    ------
    ServerFailed, RuntimeError
        When the PACS does not come up, or takes no images.
    """
    home, store = scratch / "pacs", scratch / "store"
    home.mkdir()
    store.mkdir()
    files_of_a_disc().write(scratch / "disc")
    with Dcmqrscp(home) as pacs, Cube(directory_names(store)) as cube:
        pacs.store(path for study in invented_studies() for path in study.write(scratch / "files"))
        process = subprocess.Popen(command, env={**os.environ, **_settings(scratch, pacs, cube)})
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def main() -> int:
    """Run the command that the arguments are."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="pypx-demo-") as scratch:
            return run_at_site(sys.argv[1:], Path(scratch))
    except KeyboardInterrupt:
        return 130
    except (ServerFailed, RuntimeError, OSError) as error:
        print(f"{Path(sys.argv[1]).name}: {error}", file=sys.stderr)
        return 1


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
