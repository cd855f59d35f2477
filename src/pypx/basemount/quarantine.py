"""The quarantine: damaged files, and beside each a ``.json`` that says why it is there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from pypx.basemount.placing import Placer
from pypx.basemount.records import now
from pypx.basemount.templates import distinct_component, legal_component
from pypx.errors import PypxError

#: Of the source's name; the rest of the 255 bytes is for the digest and for ``.json``.
_LONGEST_NAME = 200


def quarantine(placer: Placer, source: Path, error: PypxError, *, keep: bool) -> Path:
    """Put a file into the quarantine.

    Its name there has a digest of its bytes, so that the same file is there once, however often it comes.

    Parameters
    ----------
    placer : Placer
        Of the quarantine.
    source : pathlib.Path
        Stays where it is; remove it when the quarantine is recorded.
    error : PypxError
        What is wrong with it.
    keep : bool
        Whether the source is to live on.

    Returns
    -------
    pathlib.Path
        Where the file is now.

    Raises
    ------
    OSError
        When it cannot be read or written.
    """
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = distinct_component(legal_component(source.name[-_LONGEST_NAME:]), digest, digits=16)
    try:
        # The reason first: a file without one would tell nobody anything.
        placer.write(_reason(source, error), f"{name}.json")
    except FileExistsError:
        pass  # the first reason stands
    try:
        placer.place(source, name, keep=keep)
    except FileExistsError:
        pass  # these very bytes are there
    return placer.tree / name


def _reason(source: Path, error: PypxError) -> bytes:
    document = {
        "code": error.code,
        "reason": error.message,
        "source": os.path.abspath(source),  # noqa: PTH100  (not resolve(): the name that somebody gave it)
        "time": now().isoformat(timespec="seconds"),
    }
    return json.dumps(document, indent=2).encode() + b"\n"
