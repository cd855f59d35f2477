"""px-register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.auditing import audited
from pypx.cli.imports import import_pydicom
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    files_of,
    files_options,
    former_options,
    jobs_option,
    json_option,
    storage_template_options,
    templates_of,
    uids_of,
)
from pypx.cli.secret import secret_of
from pypx.cli.storage import names_storage, retry_options, storage_of, storage_options
from pypx.cli.surroundings import SHELL, Surroundings
from pypx.errors import InvalidInput, UsageError
from pypx.printable import printable
from pypx.wording import counted

if TYPE_CHECKING:
    from pypx.actions.register import RegisterResult, Wanted
    from pypx.basemount.layout import Basemount
    from pypx.cube.address import CubeAddress

EXAMPLES = """
px-push --swift local … --json | px-register --CUBE local
px-push … --json > pushed.json; px-register --upstreamFile pushed.json --CUBE local
px-register --CUBE local --StudyInstanceUID 1.2.840.113619.2.1
PYPX_CUBE_PASSWORD=@/etc/chris.password px-register --CUBEURL https://cube.example.org/api/v1/ …
px-register --CUBE local --swift local --swiftServicesPACS BCH --xcrdir /media/cd --recursive
"""

PASSWORD_VARIABLE = "PYPX_CUBE_PASSWORD"  # noqa: S105

#: Who may register, where nobody says otherwise.
_CHRIS = "chris"

#: The options that say what is to be registered, one of each group.
_SOURCES = (
    ("upstreamFile", "upstream"),
    ("localFileList", "objectFileList"),
    ("StudyInstanceUID", "SeriesInstanceUID"),
    ("xcrdir", "xcrfile", "xcrdirfile"),
)


@click.command("px-register", cls=edge.Tool, examples=EXAMPLES)
@click.option("--CUBE", "CUBE", metavar="KEY", help="A key of the BASEMOUNT's services/cube.json.")
@click.option("--CUBEURL", "CUBEURL", metavar="URL", help="The root of its API: https://host/api/v1/.")
@click.option("--CUBEusername", "CUBEusername", metavar="NAME", help="Who we are there.  [default: chris]")
@click.option(
    "--CUBEuserpasswd",
    "CUBEuserpasswd",
    metavar="PASSWORD",
    help=f"The password; better @FILE, or {PASSWORD_VARIABLE} in the environment, where nobody else sees it.",
)
@click.option(
    "--swiftServicesPACS",
    "--PACS",
    "swiftServicesPACS",
    metavar="NAME",
    help="The PACS that it is from, as px-push had it: it is in SERVICES/PACS/NAME."
    "  [default: that of the px-find before, else the one of the last px-push]",
)
@storage_options
@click.option("--upstreamFile", "upstreamFile", metavar="FILE", help="The JSON of px-push in a file.")
@click.option("--upstream", "upstream", metavar="JSON", help="The JSON of px-push itself.")
@click.option("--localFileList", "localFileList", metavar="A,B", help="Files here (or a JSON list of them).")
@click.option(
    "--objectFileList", "objectFileList", metavar="A,B", help="What those files are in storage, one by one."
)
@click.option("--StudyInstanceUID", "StudyInstanceUID", metavar="UID,…", help="All series of these studies.")
@click.option("--SeriesInstanceUID", "SeriesInstanceUID", metavar="UID,…", help="These series.")
@files_options
@jobs_option("Requests side by side.", default=12, most=64)
@retry_options
@catalogue_options
@storage_template_options
@former_options("debug", "cleanup")
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Register with CUBE, the backend of ChRIS, what was pushed into its storage.

    The series are those in the JSON of px-push on standard input; or they are named by UID, by the JSON of
    px-find, or by files. What is registered already is done. The answer is a verdict for each series; the
    exit status is 0 only when all are registered.
    """
    import_pydicom()
    terminal.show_log("px-register", verbosity)
    return edge.finish("px-register", run(options, SHELL), _show, json=json)


def run(options: Mapping[str, Any], surroundings: Surroundings) -> RegisterResult:
    """Register what the options name, or what was pushed or found before."""
    given = [names for names in _SOURCES if any(options[name] for name in names)]
    if len(given) > 1:
        said = " and ".join(f"--{name}" for names in given for name in names if options[name])
        raise UsageError(f"{said} both say what shall be registered", "Keep one of them.")
    from contextlib import ExitStack

    from pypx.actions.register import RegisterRequest, register
    from pypx.actions.register.of_catalogue import Place
    from pypx.actions.register.wanted import only_as
    from pypx.cube.fields import check_pacs_name

    documents = _documents(options, given[0] if given else (), surroundings)
    inherited = _inherited(documents)
    # The JSON of px-push says of each series where it is. Of a find, --aec is no name here, as it is to
    # px-push: the series may have been pushed under one that was given to px-push alone.
    of_find = {} if _are_pushes(documents) else inherited
    pacs_name = str(options["swiftServicesPACS"] or of_find.get("swiftServicesPACS") or "")
    if pacs_name:
        check_pacs_name(pacs_name)
    basemount = basemount_of(options, inherited)
    address = _address(options, inherited, basemount)
    with ExitStack() as closing:
        is_known = names_storage(options) or of_find.get("swift")
        storage = closing.enter_context(storage_of(options, inherited)) if is_known else None
        place = Place(storage.label if storage else "", pacs_name)
        wanted = [only_as(one, pacs_name) for one in _wanted(options, documents, basemount, place)]
        request = RegisterRequest(
            address, wanted, storage, options["jobs"], options["timeout"], options["retries"]
        )
        progress = closing.enter_context(surroundings.progress())
        with audited(basemount, "register", target=address.url) as doing:
            result = register(request, basemount, progress)
            doing.registered(result)
    return result


def check(options: Mapping[str, Any], inherited: Mapping[str, Any]) -> None:
    """Raise what is wrong with where it shall be registered.

    Raises
    ------
    UsageError
    """
    _address(options, inherited, basemount_of(options, inherited))


def _documents(options: Mapping[str, Any], given: Sequence[str], surroundings: Surroundings) -> Sequence[Any]:
    """The JSON that says what is to be registered, if any does."""
    if given and "upstream" not in given:
        return ()
    from pypx.actions.register.of_push import CURE

    try:
        return surroundings.reading(options["upstream"], options["upstreamFile"]).given(
            "What shall be registered?",
            "Pipe px-push into px-register, or give --SeriesInstanceUID, --StudyInstanceUID or --xcrdir.",
        )
    except InvalidInput as error:
        raise InvalidInput(error.message, CURE) from error


def _inherited(documents: Sequence[Any]) -> Mapping[str, Any]:
    """The options that the tool before had, as far as its JSON says."""
    told = documents[0].get("args") if documents and isinstance(documents[0], dict) else None
    return told if isinstance(told, dict) else {}


def _are_pushes(documents: Sequence[Any]) -> bool:
    """Whether the tool before was px-push, and not px-find."""
    from pypx.actions.register.of_push import is_push

    return bool(documents) and all(is_push(document) for document in documents)


def _address(options: Mapping[str, Any], inherited: Mapping[str, Any], basemount: Basemount) -> CubeAddress:
    from pypx.basemount.services import fields_of, read
    from pypx.cube.address import CubeAddress

    key = options["CUBE"] or (None if options["CUBEURL"] else inherited.get("CUBE"))
    fields = dict(fields_of(basemount, "cube", str(key))) if key else {}
    url = options["CUBEURL"] or fields.get("url") or ""
    if not url:
        known = ", ".join(sorted(read(basemount, "cube"))) or "none"
        raise UsageError("Which CUBE?", f"Name it by --CUBE KEY (known: {known}), or with --CUBEURL.")
    if key and options["CUBEURL"]:
        # A password goes where it was given for, and nowhere else.
        fields.pop("password", None)
    password = secret_of(options, "CUBEuserpasswd", PASSWORD_VARIABLE) or fields.get("password") or ""
    username = options["CUBEusername"] or fields.get("username") or _CHRIS
    return CubeAddress.parse(str(url), str(username), str(password))


def _wanted(
    options: Mapping[str, Any], documents: Sequence[Any], basemount: Basemount, place: Any
) -> list[Wanted]:
    from pypx.actions.found import from_json
    from pypx.actions.push import series_named
    from pypx.actions.register.of_catalogue import of_catalogue
    from pypx.actions.register.of_local import of_local
    from pypx.actions.register.of_push import of_lists, of_push
    from pypx.actions.register.wanted import Wanted
    from pypx.basemount.smdb import Catalogue
    from pypx.basemount.templates import STORAGE_TEMPLATES

    if options["localFileList"] or options["objectFileList"]:
        return of_lists(*(_listed(options, name) for name in ("localFileList", "objectFileList")))
    if _are_pushes(documents):
        return [one for document in documents for one in of_push(document)]
    with Catalogue.open(basemount) as catalogue:
        if any(options[name] for name in ("xcrdir", "xcrfile", "xcrdirfile")):
            templates = templates_of(options, STORAGE_TEMPLATES)
            files = files_of(options)
            return of_local(catalogue, files.files(), place, templates, are_named=files.is_one)
        named = [uids_of(options, name) for name in ("SeriesInstanceUID", "StudyInstanceUID")]
        founds = [from_json(document) for document in documents]
        meant = series_named(basemount, named[0], named[1], founds)
        refused = [Wanted(one.series_uid, one.study_uid, error=one.error) for one in meant.refused]
        return [*of_catalogue(catalogue, meant.series_uids, place), *refused]


def _listed(options: Mapping[str, Any], name: str) -> list[str]:
    """The names in a list, which is JSON or has commas between."""
    import json

    text = str(options[name] or "").strip()
    if not text.startswith("["):
        return [part for part in text.split(",") if part]
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"--{name} is not a list in JSON ({error})", "Write it as a,b or as JSON."
        ) from error
    return [str(one) for one in listed]


def _show(result: RegisterResult) -> None:
    """The verdicts for a person."""
    from pypx.actions.register import State

    for verdict in result.verdicts:
        count = f"{verdict.registered} of {verdict.files}"
        series = verdict.series
        said = series.description or series.series_uid or series.study_uid or ", ".join(series.names)
        name = printable(said)
        terminal.write_stdout(f"{'!' if verdict.error else '+'} {count:<12} {name}  {verdict.state.value}")
        for note in verdict.notes:
            terminal.write_stdout(f"  {note}")
    good = result.count(State.REGISTERED) + result.count(State.ALREADY_REGISTERED)
    new = sum(verdict.new for verdict in result.verdicts)
    files = counted(new, "new file", "new files")
    terminal.write_stdout(
        f"{good} of {len(result.verdicts)} series registered, {files}, {result.seconds:.1f} s."
    )


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
