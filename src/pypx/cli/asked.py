"""What a tool was asked, as one line for the log that ``--debugToDir`` keeps."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pypx.cli.options import basemount_of, told
from pypx.discretion import HIDDEN
from pypx.errors import PypxError

logger = logging.getLogger("pypx.asked")

#: Options that may hold whatever there is: documents about patients, keys of services, IDs.
_WHOLE_INPUTS = ("actionArgs", "reportData", "upstream")


def log_asked(tool: str, options: Mapping[str, Any]) -> None:
    """Log what a tool was asked, without the patients whose files are named."""
    with suppress(PypxError):
        # From here on what is in its data/ is not said.
        basemount_of(options)
    logger.debug("%s", asked_line(tool, options))


def asked_line(tool: str, options: Mapping[str, Any]) -> str:
    """The command, as a shell would need it, without secrets; whoever logs it leaves out the patients.

    >>> asked_line("px-status", {"StudyInstanceUID": "1.2", "PatientName": "Doe Jane", "json": True})
    "px-status --StudyInstanceUID=1.2 --'PatientName=Doe Jane' --json"
    """
    return " ".join([tool, *_words(options)])


def _words(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in _told(options).items():
        if value is True:
            yield f"--{name}"
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            # Quoted from the name on: so the log knows a matching key when it sees one.
            yield f"--{shlex.quote(f'{name}={_shown(name, one)}')}"


def _told(options: Mapping[str, Any]) -> Mapping[str, Any]:
    if not options.get("thenArgs"):
        return told(options)
    from pypx.cli.verbs import told_with_verbs

    try:
        return told_with_verbs(options)
    except PypxError:
        # What is wrong with it will be said.
        return {**told(options), "thenArgs": HIDDEN}


def _shown(name: str, value: object) -> object:
    """A value, or what may be seen of it."""
    from pypx.basemount.secrecy import masked

    if name in _WHOLE_INPUTS:
        return HIDDEN
    if name == "thenArgs" or not (isinstance(value, str) and value.lstrip().startswith("{")):
        return masked(value, name)
    try:
        return json.dumps(masked(json.loads(value)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return HIDDEN
