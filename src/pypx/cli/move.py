"""px-move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.auditing import audited, node_named
from pypx.cli.imports import import_pydicom
from pypx.cli.options import (
    catalogue_options,
    data_options,
    jobs_option,
    json_option,
    retries_option,
    template_options,
    timeout_option,
)
from pypx.cli.pacs import binaries_of, binary_options, node_of, pacs_options
from pypx.cli.surroundings import SHELL, Surroundings
from pypx.errors import NothingFound, UsageError
from pypx.printable import printable
from pypx.wording import counted

if TYPE_CHECKING:
    from pypx.actions.found import Found, FoundStudy
    from pypx.actions.move import MoveRequest
    from pypx.actions.progress import Progress
    from pypx.actions.verdict import MoveResult
    from pypx.basemount.layout import Basemount
    from pypx.dicom.node import Node
    from pypx.dicom.tls import TlsSettings

EXAMPLES = """
px-find … --PatientID 7654321 | px-move --get
px-find … --PatientID 7654321 | px-move --receivePort 11113 --db /data/dicom/log
px-find … --PatientID 7654321 | px-move --to CHRISLOCAL --db /data/dicom/log
px-move pacs.example.org:ORTHANC:4242 --get --StudyInstanceUID 1.2.840.113619.2.1
px-move pacs.example.org:ORTHANC:4242 --get --SeriesInstanceUID 1.2.840.113619.2.1.7 --json
"""

#: UIDs in one identifier, of up to 65 bytes each.
_STUDIES_A_QUERY = 100


@click.command("px-move", cls=edge.Tool, examples=EXAMPLES)
@pacs_options
@click.option("--StudyInstanceUID", "StudyInstanceUID", metavar="UID", help="The study to bring here.")
@click.option("--SeriesInstanceUID", "SeriesInstanceUID", metavar="UID", help="The series to bring here.")
@click.option("--get", "get", is_flag=True, help="C-GET: the PACS needs to know nothing but our AE title.")
@click.option(
    "--receivePort",
    "receivePort",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="C-MOVE, received here: the PACS must know our AE title, this host and this port.",
)
@click.option(
    "--receivePlain",
    "receivePlain",
    is_flag=True,
    help="With --receivePort and TLS: the PACS is asked over TLS, and sends without.",
)
@click.option(
    "--to",
    "to",
    metavar="AET",
    help="C-MOVE to this AE title: a px-listen on this BASEMOUNT, or any other node that the PACS knows.",
)
@jobs_option("Associations side by side.", default=2, most=32)
@retries_option("How often in a row what did not arrive is asked for again, when nothing new comes.")
@timeout_option("Seconds without progress after which the PACS is taken as hung.", default=60.0)
@click.option("--force", "force", is_flag=True, help="Ask for what is here already, too.")
@catalogue_options
@data_options
@template_options
@binary_options("findscu", "getscu", "movescu", "echoscu", "storescp")
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Bring a study, a series, or what px-find found into the BASEMOUNT.

    Without a UID, the JSON of px-find is read on standard input. Series that are here already are not asked
    for. The answer is a verdict for each series; the exit status is 0 only when all are complete.
    """
    import_pydicom()
    terminal.show_log("px-move", verbosity)
    return edge.finish("px-move", run(options, SHELL), _show, json=json)


def check(options: Mapping[str, Any], inherited: Mapping[str, Any]) -> None:
    """Raise what is wrong with the options, before anything is done.

    Parameters
    ----------
    options : mapping
    inherited : mapping
        ``args`` of the find that is retrieved.
    """
    for program in ("getscu", "movescu"):
        if options[program]:
            binaries_of(options).path(program)
    node_of(options, inherited)


def run(options: Mapping[str, Any], surroundings: Surroundings) -> MoveResult:
    """Retrieve what the options name, or what was found before."""
    from pypx.actions.move import move

    if not ways(options):
        raise UsageError(
            "How shall the images come?",
            "Say --get (C-GET), --receivePort N (C-MOVE to this host, which the PACS must know), or --to AET"
            " (C-MOVE to a px-listen).",
        )
    return retrieved(move, options, surroundings)


def retrieved(
    retrieve: Callable[[MoveRequest, Basemount, Progress], MoveResult],
    options: Mapping[str, Any],
    surroundings: Surroundings,
) -> MoveResult:
    """Retrieve what the options name, or what was found before, in this way."""
    request, basemount = move_request(options, surroundings)
    audit = audited(basemount, "retrieve", source=node_named(request.node), target=request.destination)
    with surroundings.progress() as progress, audit as doing:
        result = retrieve(request, basemount, progress)
        doing.retrieved(result)
    return result


def ways(options: Mapping[str, Any]) -> list[str]:
    """The ways that the options name: one, or none."""
    ways = [f"--{name}" for name in ("get", "receivePort", "to") if options[name]]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} exclude each other", "Keep one of them.")
    return ways


def move_request(options: Mapping[str, Any], surroundings: Surroundings) -> tuple[MoveRequest, Basemount]:
    """What to retrieve, and where it goes."""
    from pypx.actions.move import MoveRequest
    from pypx.actions.plan import wanted_series, whole_studies
    from pypx.cli.options import basemount_of, templates_of

    templates, binaries = templates_of(options), binaries_of(options)
    # Told before a PACS is asked for anything.
    binaries.path("getscu" if options["get"] else "movescu")
    founds, node = _asked_for(options, surroundings)
    request = MoveRequest(
        node=node,
        wanted=wanted_series(founds),
        whole_studies=whole_studies(founds),
        receive_port=options["receivePort"],
        destination=_destination(options["to"]),
        jobs=options["jobs"],
        retries=options["retries"],
        timeout=options["timeout"],
        force=options["force"],
        binaries=binaries,
        templates=templates,
        receive_tls=_receive_tls(options, node),
    )
    return request, basemount_of(options, founds[0].arguments)


def _receive_tls(options: Mapping[str, Any], node: Node) -> TlsSettings | None:
    """What the PACS must send over, if it sends to us: TLS, where it is asked so, and may not without."""
    if node.tls is None or options["receivePlain"]:
        return None
    if node.tls.key is None:
        if options["receivePort"] is None:
            return None
        raise UsageError(
            "Who receives over TLS has to show a certificate",
            "Give --tlsKey and --tlsCertificate; or --receivePlain, if the PACS sends without TLS.",
        )
    return node.tls


def _destination(title: str | None) -> str:
    from pypx.dicom.node import check_ae_title

    if not title:
        return ""
    check_ae_title(title, "--to")
    return title.strip()


def _asked_for(options: Mapping[str, Any], surroundings: Surroundings) -> tuple[Sequence[Found], Node]:
    """What to bring, and from where: looked up on the PACS by UID, else what was found before."""
    names = ("StudyInstanceUID", "SeriesInstanceUID")
    if any(options[name] for name in names):
        node = node_of(options)
        return [_looked_up(node, {name: options[name] for name in names if options[name]}, options)], node
    founds = surroundings.founds(
        "What shall be retrieved?",
        "Give --StudyInstanceUID or --SeriesInstanceUID, or pipe px-find into px-move.",
    )
    nodes = {node_of(options, found.arguments) for found in founds}
    if len(nodes) > 1:
        raise UsageError("The finds are of different PACS", "Name one PACS, or retrieve them one by one.")
    node = nodes.pop()
    return [_with_series(found, node, options) for found in founds], node


def _with_series(found: Found, node: Node, options: Mapping[str, Any]) -> Found:
    """A find, with the series of the studies that it asked for none of."""
    alone = found.studies_alone
    if not alone:
        return found
    of_study: dict[str, FoundStudy] = {}
    for first in range(0, len(alone), _STUDIES_A_QUERY):
        some = ",".join(alone[first : first + _STUDIES_A_QUERY])
        looked_up = _looked_up(node, {"StudyInstanceUID": some}, options, found.arguments)
        of_study |= {study.uid: study for study in looked_up.studies}
    for uid in alone:
        if uid not in of_study:
            raise NothingFound(f"{node} has no series of the study {uid}", "Ask for it again with px-find.")
    return replace(found, studies=tuple(of_study.get(study.uid, study) for study in found.studies))


def _looked_up(
    node: Node,
    uids: Mapping[str, str],
    options: Mapping[str, Any],
    inherited: Mapping[str, Any] | None = None,
) -> Found:
    from datetime import date

    from pypx.actions.find import FindRequest, find
    from pypx.cli.options import basemount_of
    from pypx.dicom.matching import matching_value

    matching = {name: matching_value(name, uid, date.today()) for name, uid in uids.items()}
    request = FindRequest(node, matching, timeout=options["timeout"], binaries=binaries_of(options))
    with audited(basemount_of(options, inherited), "find", source=node_named(node), keys=matching) as doing:
        found = find(request)
        doing.found(found)
    if found.error:
        # What is retrieved of it would be taken for all of it.
        raise found.error
    if not found.series:
        raise NothingFound(f"{node} has no series with {' and '.join(f'{n} {u}' for n, u in uids.items())}")
    return found


def _show(result: MoveResult) -> None:
    """The verdicts for a person."""
    from pypx.actions.verdict import State

    for verdict in result.verdicts:
        expected = "?" if verdict.series.expected is None else verdict.series.expected
        count = f"{verdict.held} of {expected}"
        # A UID in the place of a description fills a line of 80 columns: no word more where all is well.
        state = "" if verdict.is_good else f"  {verdict.state.value}"
        name = printable(verdict.series.description or verdict.series.series_uid)
        terminal.write_stdout(f"{'+' if verdict.is_good else '!'} {count:<12} {name}{state}")
    new = sum(verdict.received for verdict in result.verdicts)
    complete = len(result.verdicts) - result.count(State.INCOMPLETE) - result.count(State.FAILED)
    images = counted(new, "new image", "new images")
    terminal.write_stdout(
        f"{complete} of {len(result.verdicts)} series complete, {images}, {result.seconds:.1f} s."
    )


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
