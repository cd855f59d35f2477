#!/opt/pypx/bin/python3 -I
"""What a container of pypx runs: the tool that its first argument names, with the arguments that follow.

``px-find …`` and ``--px-find …`` are the same; without an argument it is px-listen. Which tools there are
is what the installed package says. The tool takes the place of this process, so that signals reach it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import NoReturn

DEFAULT = "px-listen"


def tools() -> list[str]:
    """The console scripts of the package, by name."""
    return sorted(distribution("pypx").entry_points.select(group="console_scripts").names)


def usage(known: Sequence[str]) -> str:
    """What to say to who names none of the tools."""
    return "\n".join(
        (
            f"Usage: docker run IMAGE [TOOL [ARGUMENT]...]     (without a tool: {DEFAULT})",
            "",
            f"The tools, each also with -- before its name: {', '.join(known)}.",
            "More of each: docker run IMAGE TOOL --help. A shell: docker run -it --entrypoint bash IMAGE.",
        )
    )


def run(tool: str, arguments: Sequence[str]) -> NoReturn:
    """Become this tool."""
    os.execv(Path(sys.executable).with_name(tool), [tool, *arguments])  # noqa: S606


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments name; comes back only where they name nothing."""
    if not arguments:
        run(DEFAULT, ())
    known = tools()
    if arguments[0] in ("-h", "--help"):
        print(usage(known))
        return 0
    tool = arguments[0].removeprefix("--")
    if tool in known:
        run(tool, arguments[1:])
    print(usage(known), file=sys.stderr)
    print(f"\n{arguments[0]!r} is none of them.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
