"""Secrets from where nobody else sees them: a file, or the environment, rather than the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypx.errors import FileUnreadable
from pypx.home import at_home

logger = logging.getLogger("pypx.secret")

#: A secret is one line; a file that is longer is something else.
_LONGEST = 4096

_OTHERS = 0o077


def secret_of(options: Mapping[str, Any], name: str, variable: str) -> str | None:
    """What an option says, or the file that it names as ``@FILE``, or the environment; None where none does.

    Parameters
    ----------
    options : mapping
        Of the command line.
    name : str
        Of the option, without dashes.
    variable : str
        Of the environment. Its value may be ``@FILE`` too.

    Raises
    ------
    FileUnreadable
        When the file cannot be read, or holds something else than one line.
    """
    said = options.get(name) or os.environ.get(variable) or ""
    if not said:
        return None
    text = str(said)
    return _line_of(at_home(text[1:]), name) if text.startswith("@") else text


def _line_of(file: Path, name: str) -> str:
    try:
        if file.stat().st_mode & _OTHERS:
            logger.warning("%s, which --%s names, can be read by others: chmod 600 %s", file, name, file)
        with file.open(encoding="utf-8") as opened:
            lines = opened.read(_LONGEST + 1).splitlines()
    except UnicodeDecodeError as error:
        raise FileUnreadable(f"{file}, which --{name} names, is not text") from error
    except OSError as error:
        raise FileUnreadable(f"{file}, which --{name} names, cannot be read ({error.strerror})") from error
    if len(lines) != 1 or len(lines[0]) > _LONGEST or not lines[0].strip():
        raise FileUnreadable(f"{file}, which --{name} names, does not hold one line and nothing else")
    return lines[0].strip()
