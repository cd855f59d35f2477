"""A PACS client: query, retrieve, store, push and register medical images with DCMTK.

The functions here take a mapping of options and give the document that the script of that name prints; see
:mod:`pypx.library`. ``find`` and ``status`` are awaited. Each is imported when it is first asked for.

>>> import pypx
>>> pypx.echo({"serverIP": "127.0.0.1", "serverPort": 1, "aec": "NOBODY"})["error"]["code"]
'connection-refused'
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypx.library import do, echo, find, listen, move, push, register, repack, report, status

# Whoever imports this decides what is shown of the log, and where (the logging cookbook of Python's manual).
logging.getLogger("pypx").addHandler(logging.NullHandler())

__version__ = "4.0.0"

__all__ = [
    "__version__",
    "do",
    "echo",
    "find",
    "listen",
    "move",
    "push",
    "register",
    "repack",
    "report",
    "status",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pypx' has no attribute {name!r}")
    from pypx import library

    return getattr(library, name)
