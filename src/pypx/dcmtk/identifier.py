"""The identifiers of queries as files: what findscu, getscu and movescu take instead of -k options.

A file holds any value as it is; on the command line, a value would have to be quoted twice and would be seen
by everyone who can list processes.
"""

from __future__ import annotations

from pathlib import Path

from pypx.dcmtk.scratch import unusable
from pypx.dicom.query import Query


def write(query: Query, path: Path) -> str:
    """Write a query's identifier as a data set without meta information, and give its path.

    Raises
    ------
    ScratchUnusable
    """
    try:
        path.write_bytes(query.encoded())
    except OSError as error:
        raise unusable(error) from error
    return str(path)
