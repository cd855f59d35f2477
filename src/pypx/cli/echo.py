"""px-echo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.options import catalogue_options, json_option, timeout_option
from pypx.cli.pacs import binaries_of, binary_options, node_of, pacs_options
from pypx.cli.surroundings import SHELL, Surroundings

if TYPE_CHECKING:
    from pypx.actions.echo import Echo

EXAMPLES = """
px-echo pacs.example.org:ORTHANC:4242
px-echo --aet CHRISLOCAL --aec ORTHANC --serverIP 192.0.2.7 --serverPort 4242
px-echo pacs.example.org:ORTHANC:2762 --tlsKey me.key --tlsCertificate me.pem --tlsCA ca.pem
px-echo pacs.example.org:ORTHANC:4242 --json | jq .data.seconds
"""


@click.command("px-echo", cls=edge.Tool, examples=EXAMPLES, goes_on=False)
@pacs_options
@binary_options("echoscu")
@timeout_option("Seconds to wait for each answer.", default=15.0)
@catalogue_options
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> None:
    """Ask a PACS whether it is there and takes the AE titles (C-ECHO)."""
    terminal.show_log("px-echo", verbosity)
    answered = run(options, SHELL)
    if edge.output_is_json(json):
        edge.write_json(answered.to_json())
    else:
        node = answered.node
        terminal.write_stdout(
            f"{node} answers to {node.calling_ae_title} in {answered.seconds * 1000:.0f} ms."
        )


def run(options: Mapping[str, Any], _surroundings: Surroundings) -> Echo:
    """Ask the PACS that the options name."""
    from pypx.actions.echo import echo

    return echo(node_of(options), options["timeout"], binaries_of(options))


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
