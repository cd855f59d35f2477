"""px-echo."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.pacs import binaries_of, binary_options, node_of, pacs_options
from pypx.cli.types import Seconds

EXAMPLES = """
px-echo pacs.example.org:ORTHANC:4242
px-echo --aet CHRISLOCAL --aec ORTHANC --serverIP 192.0.2.7 --serverPort 4242
px-echo pacs.example.org:ORTHANC:4242 --json | jq .data.seconds
"""


@click.command("px-echo", cls=edge.Tool, examples=EXAMPLES)
@pacs_options
@binary_options("echoscu")
@click.option(
    "--timeout",
    "timeout",
    type=Seconds(),
    default=15.0,
    show_default=True,
    metavar="S",
    help="Seconds to wait for each answer.",
)
@click.option("--json", "json", is_flag=True, help="Answer in JSON, at a terminal too.")
def command(verbosity: int | None, timeout: float, json: bool, **options: Any) -> None:
    """Ask a PACS whether it is there and takes the AE titles (C-ECHO)."""
    from pypx.actions.echo import echo

    terminal.show_log("px-echo", verbosity)
    answered = echo(node_of(options), timeout, binaries_of(options))
    if edge.output_is_json(json):
        edge.write_json(answered.to_json())
    else:
        node = answered.node
        terminal.write_stdout(
            f"{node} answers to {node.calling_ae_title} in {answered.seconds * 1000:.0f} ms."
        )


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
