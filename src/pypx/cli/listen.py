"""px-listen."""

from __future__ import annotations

import logging
import re
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import auditing, edge, terminal
from pypx.cli.imports import import_pydicom
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    data_options,
    former_options,
    template_options,
    told,
)
from pypx.cli.surroundings import unseen
from pypx.cli.tls import tls_options
from pypx.cli.types import Seconds
from pypx.cli.verbs import chain_of, verb_options
from pypx.errors import UsageError
from pypx.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pypx.actions.listen import Listener, ListenRequest
    from pypx.actions.receiving.follow_up import Run
    from pypx.actions.receiving.line import Line
    from pypx.basemount.layout import Basemount

EXAMPLES = """
px-listen --db /data/dicom/log
px-listen --port 11112 --aet CHRISLOCAL --strictAET --allow ORTHANC@192.0.2.7
px-listen --port 2762 --tlsKey me.key --tlsCertificate me.pem --tlsCA ca.pem --db /data/dicom/log
px-listen --minFree 20G --db /data/dicom/log
px-listen --status --db /data/dicom/log
px-listen --then push,register --swift local --CUBE local --swiftServicesPACS BCH
"""

#: Verbs that make sense for what came by itself.
_AFTER_RECEIVING = ("push", "register")

#: Who logs what the listener tells of by itself: each time that a service is asked again, and what became of
#: an image; by name, since loading them takes long.
_TOLD_OF = ("pypx.cube.transport", "pypx.repack.outcomes")

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class _Size(click.ParamType[int]):
    """Bytes, with K, M, G or T behind the number."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        written = re.fullmatch(r"(\d{1,15})([KMGT]?)B?", str(value).strip().upper(), re.ASCII)
        if not written:
            self.fail(f"{value!r} is not a size, such as 500M or 20G.", param, ctx)
        return int(written[1]) * _UNITS[written[2]]


@click.command("px-listen", cls=edge.Tool, examples=EXAMPLES)
@click.option(
    "--port",
    "port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port to receive on.  [default: 10402]",
)
@click.option("--aet", "aet", default="CHRISLOCAL", show_default=True, metavar="AET", help="Our AE title.")
@click.option("--strictAET", "strictAET", is_flag=True, help="Refuse peers that call another AE title.")
@click.option(
    "--allow",
    "allow",
    multiple=True,
    metavar="AET[@HOST]",
    help="Refuse all peers but this one. May be given several times.",
)
@click.option(
    "--minFree",
    "minFree",
    type=_Size(),
    default="1G",
    show_default=True,
    metavar="SIZE",
    help="Refuse associations when less space is free than this.",
)
@click.option(
    "--quiet",
    "quiet",
    type=Seconds(0.0),
    default=5.0,
    show_default=True,
    metavar="S",
    help="Seconds without an image after which a series counts as finished.",
)
@tls_options
@click.option(
    "-t",
    "--tmpdir",
    "tmpdir",
    metavar="DIR",
    help="Where images are written while they arrive.  [default: BASEMOUNT/incoming]",
)
@data_options
@catalogue_options
@template_options
@click.option(
    "-e",
    "--executable",
    "--storescp",
    "storescp",
    metavar="PATH",
    help="DCMTK's storescp.  [default: on the PATH]",
)
@click.option(
    "--status", "status", is_flag=True, help="Tell how the px-listen of this BASEMOUNT is, and end."
)
@verb_options
@former_options("debug")
@click.option("--json", "json", is_flag=True, help="With --status: answer in JSON, at a terminal too.")
def command(verbosity: int | None, status: bool, json: bool, **options: Any) -> None:
    """Receive images from any PACS or modality (C-STORE), and put them into the tree and the catalogue.

    Runs until it is told to stop (Ctrl-C, SIGTERM or SIGHUP): then it takes no more associations, finishes
    those that are open (told again: ends them), packs what came, and ends. It says a line for each
    finished series and each problem. With --then push,register, each series that is finished is put into
    storage and registered with CUBE; what fails because a service is away is tried again until it is back.
    """
    if status:
        terminal.show_log("px-listen", verbosity)
        _show_status(options, json)
        return
    _listen(options, 1 if verbosity is None else verbosity)


def _request(options: Mapping[str, Any]) -> ListenRequest:
    from pypx.actions.listen import DEFAULT_PORT, ListenRequest
    from pypx.actions.receiving.admission import Admission, parse_peer
    from pypx.cli.options import templates_of
    from pypx.cli.tls import own_tls_of
    from pypx.dcmtk.binaries import Binaries
    from pypx.dicom.node import check_ae_title

    check_ae_title(options["aet"], "--aet")
    return ListenRequest(
        DEFAULT_PORT if options["port"] is None else options["port"],
        Admission(
            options["aet"].strip(),
            options["strictAET"],
            tuple(parse_peer(text) for text in options["allow"]),
            options["minFree"],
        ),
        quiet=options["quiet"],
        binaries=Binaries({"storescp": options["storescp"]} if options["storescp"] else {}),
        templates=templates_of(options),
        tls=own_tls_of(options),
    )


def _basemount(options: Mapping[str, Any]) -> Basemount:
    directory = options["tmpdir"]
    basemount = basemount_of(options)
    return basemount.receiving_in(Path(directory)) if directory else basemount


def listener_of(options: Mapping[str, Any], tell: Callable[[Line], None]) -> Listener:
    """The receiving service that the options describe, not yet running."""
    from pypx.actions.listen import Listener

    basemount = _basemount(options)
    return Listener(_request(options), basemount, tell, _then(options), partial(auditing.record, basemount))


def _then(options: Mapping[str, Any]) -> Run | None:
    """What is done with each series, if anything."""
    from pypx.actions.do import do, parse_verbs

    for name in parse_verbs(options["then"]) if options["then"] else ():
        if name not in _AFTER_RECEIVING:
            raise UsageError(
                f"px-listen does not {name}", f"It can {' and '.join(_AFTER_RECEIVING)} what it received."
            )
    chain = chain_of(options, options, unseen)
    if not chain.verbs:
        return None
    names = ("swift", "CUBE", "swiftServicesPACS")
    given = {name: value for name, value in told(options).items() if name in names}
    return lambda found: do(replace(found, arguments={**given, **found.arguments}), chain.verbs)


def _listen(options: Mapping[str, Any], verbosity: int) -> None:
    def tell(line: Line) -> None:
        if line.is_problem or verbosity >= 1:
            _say(line.text)

    def ready(port: int) -> None:
        if verbosity >= 1:
            _say(f"{options['aet'].strip()} receives on port {port}{over} into {basemount.data}")

    import_pydicom()
    basemount = _basemount(options)
    listener = listener_of(options, tell)
    over = " over TLS" if listener.uses_tls else ""
    terminal.show_log("px-listen", verbosity)
    for name in _TOLD_OF:
        logging.getLogger(name).addFilter(_at_info)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup has SIGHUP ignored, and means that.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: listener.stop())
    listener.run(ready)
    if verbosity >= 1:
        owed = f"; the next start goes on with {_series(listener.owed)}" if listener.owed else ""
        _say(f"stopped; all that was received is packed{owed}")


def _at_info(record: logging.LogRecord) -> bool:
    """For the log of what the listener tells of by itself."""
    if record.levelno > logging.INFO:
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


def _say(text: str) -> None:
    terminal.say(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} px-listen", text)


def _series(owed: int) -> str:
    return f"{owed} series to be pushed or registered"


def _show_status(options: Mapping[str, Any], json: bool) -> None:
    from pypx.actions.receiving.state import listening

    states = listening(basemount_of(options), options["port"] or None)
    if edge.output_is_json(json):
        edge.write_json({"status": "success", "data": [state.to_json() for state in states]})
        return
    for state in states:
        associations = counted(state.associations, "association", "associations")
        images = counted(state.received, "image", "images")
        terminal.write_stdout(
            f"{state.aet} on port {state.port}{' over TLS' if state.tls else ''} since {state.since}:"
            f" {associations} ({state.open} open, {state.refused} refused),"
            f" {images} received, {state.waiting} waiting, {state.failed} failed"
            f"{f', {_series(state.owed)}' if state.owed else ''}."
        )
        if state.last_error:
            terminal.write_stdout(f"Last error: {state.last_error}")


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
