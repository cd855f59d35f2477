"""The suite as functions: a mapping of options in, the document that the script of that name prints out.

Options are those of the scripts, without dashes. A key that is no option of the tool is ignored, as is an
empty value: a web service passes its whole form. ``reportData`` holds what a script would read on standard
input: the answer of ``find``, or for ``register`` that of ``push``. What goes wrong is in the answer:
``{"status": "error", "error": {"code", "message", "hint"}}``.

Nothing here reads standard input, prints, or sets up logging; what the suite does goes to the loggers below
``pypx``. Every function may be called from several threads at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from pypx.errors import InvalidInput, PypxError

#: Names of options without dashes to values: text, numbers, truth values, lists, mappings.
Options: TypeAlias = Mapping[str, Any]

#: What the script prints: the same as JSON.
Answer: TypeAlias = dict[str, Any]


def echo(options: Options) -> Answer:
    """Ask a PACS whether it is there and takes the AE titles (C-ECHO; PS3.4, annex A)."""
    return _called("echo", options)


async def find(options: Options) -> Answer:
    """Ask a PACS for studies and their series (C-FIND; PS3.4, C.4.1), and do the verbs of ``then``.

    The event loop goes on meanwhile.
    """
    return await asyncio.to_thread(_called, "find", options)


def move(options: Options) -> Answer:
    """Bring a study, a series, or what was found into the BASEMOUNT (C-GET, C-MOVE; PS3.4, C.4.2, C.4.3)."""
    return _called("move", options)


def push(options: Options) -> Answer:
    """Put series into storage, or send them to another PACS."""
    return _called("push", options)


def register(options: Options) -> Answer:
    """Tell CUBE of what was pushed."""
    return _called("register", options)


def repack(options: Options) -> Answer:
    """Put DICOM files into the tree of images and the catalogue."""
    return _called("repack", options)


async def status(options: Options) -> Answer:
    """Tell how far series are: requested, received, packed, pushed, registered.

    The event loop goes on meanwhile.
    """
    return await asyncio.to_thread(_called, "status", options)


def report(options: Options) -> Answer:
    """Make a report of what another function answered (``reportData``): its text is in ``report``."""
    return _called("report", options)


def do(options: Options) -> Answer:
    """Do the verbs of ``then`` with what was found (``reportData``)."""
    return _called("do", options)


def listen(options: Options, stop: threading.Event) -> Answer:
    """Receive images until told to stop; what was received is packed when this returns.

    Parameters
    ----------
    options : mapping
        Of px-listen.
    stop : threading.Event
        Set by another thread, or a signal handler, when it is to end.
    """
    from pypx.cli.calling import values_of
    from pypx.cli.listen import command, listener_of

    log = logging.getLogger("pypx.listen")
    try:
        listener = listener_of(
            values_of(command, _filled(options), ignoring_others=True),
            lambda line: log.log(logging.WARNING if line.is_problem else logging.INFO, "%s", line.text),
        )

        has_ended = threading.Event()

        def stop_when_told() -> None:
            while not has_ended.is_set():
                if stop.wait(0.5):
                    listener.stop()
                    return

        threading.Thread(target=stop_when_told, daemon=True).start()
        try:
            listener.run()
        finally:
            has_ended.set()
    except PypxError as error:
        return _failed(error)
    return {"status": "success"}


def _called(tool: str, options: Options) -> Answer:
    """Run a tool as its script would, with the options that it has of these."""
    from pypx.cli.calling import values_of
    from pypx.cli.surroundings import Surroundings

    module = import_module(f"pypx.cli.{tool}")
    filled = _filled(options)
    upstream = filled.pop("reportData", None)
    try:
        values = values_of(module.command, filled, ignoring_others=True)
        answer: Answer = module.run(values, Surroundings(lambda: _documents(upstream))).to_json()
    except PypxError as error:
        return _failed(error)
    return answer


def _filled(options: Options) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, "")}


def _documents(upstream: object) -> Sequence[object] | None:
    """What a script would read on standard input."""
    if upstream is None:
        return None
    if isinstance(upstream, str | bytes):
        from pypx.actions.found import read_documents

        try:
            return list(read_documents(upstream if isinstance(upstream, str) else upstream.decode()))
        except UnicodeDecodeError as error:
            raise InvalidInput("reportData is not UTF-8 text") from error
    # As it would come through a pipe: no caller's object is shared, and none is of a kind that JSON lacks.
    try:
        copied = json.loads(json.dumps(upstream))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"reportData is no JSON document ({error})") from error
    return copied if isinstance(copied, list) else [copied]


def _failed(error: PypxError) -> Answer:
    return {"status": "error", "error": error.to_json()}
