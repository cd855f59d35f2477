"""``python -m pypx``: the tools of the suite, each with what it does."""

from __future__ import annotations

import inspect
import sys
import textwrap
from importlib.metadata import distribution

from pypx import __version__


def main() -> int:
    """List the tools."""
    sys.stdout.write(f"pypx {__version__}. Each tool tells more with --help.\n\n")
    for script in sorted(distribution("pypx").entry_points.select(group="console_scripts")):
        command = sys.modules[script.load().__module__].command
        summary = inspect.cleandoc(command.help).split("\n\n")[0].replace("\n", " ")
        name = f"{script.name:<12} "
        lines = textwrap.wrap(summary, 79, initial_indent=name, subsequent_indent=" " * len(name))
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
