"""pfstorage."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.auditing import audited
from pypx.cli.options import basemount_of, catalogue_options, former_options, jobs_option, json_option
from pypx.cli.storage import retry_options, storage_of, storage_options
from pypx.discretion import without_patients
from pypx.errors import UsageError
from pypx.home import at_home
from pypx.printable import printable
from pypx.wording import counted

if TYPE_CHECKING:
    from pypx.actions.objects import Transferred
    from pypx.actions.progress import Progress
    from pypx.storage.interface import Storage, StoredObject

EXAMPLES = """
pfstorage --swift local --action ls --args '{"path": "SERVICES/PACS/BCH", "substr": ".dcm"}'
pfstorage --swift local --do '{"action": "ls", "args": {"path": "chris", "retSpec": ["name", "bytes"]}}'
pfstorage --swift local --action objPut --args '{"localpath": "data", "toLocation": "chris/uploads"}'
pfstorage --swift local --action objPull --args '{"fromLocation": "chris/uploads", "toLocation": "back"}'
pfstorage --swift local --action rmtree --args '{"path": "chris/uploads"}' --yes
"""

#: Arguments of each action, and other names that they go by.
_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "ls": frozenset({"path", "swiftpath", "substr", "retSpec"}),
    "objPut": frozenset(
        {"localpath", "file", "fileList", "toLocation", "mapLocationOver", "DICOMsubstr", "substr"}
    ),
    "objPull": frozenset(
        {"fromLocation", "path", "toLocation", "toLocationOver", "mapLocationOver", "substr"}
    ),
    "rmtree": frozenset({"path", "swiftpath"}),
}

#: What the audit log calls an action, and the argument that says where.
_AUDITED: Mapping[str, tuple[str, str]] = {
    "objPut": ("put", "toLocation"),
    "objPull": ("pull", "fromLocation"),
    "rmtree": ("delete", "path"),
}

_RETURNED = ("name", "bytes", "hash", "last_modified")


@click.command("pfstorage", cls=edge.Tool, examples=EXAMPLES)
@click.option("--do", "do", metavar="JSON", help='What to do: {"action": NAME, "args": {…}}.')
@click.option("--action", "action", metavar="NAME", help="ls, objPut, objPull or rmtree, instead of --do.")
@click.option("--args", "args", metavar="JSON", help="Its arguments, as one JSON object.")
@click.option("--type", "type", type=click.Choice(["swift", "fs"]), help="Kind of storage.  [default: swift]")
@storage_options
@click.option("--yes", "yes", is_flag=True, help="Do remove, where a person is asked first.")
@jobs_option("Transfers side by side.", default=8, most=64)
@retry_options
@catalogue_options
@former_options("test")
@former_options("upstream", "upstreamFile", valued=True)
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Look into an object storage, put files there and pull them back, by hand.

    ls takes path (what names start with), substr (what they have in them) and retSpec (name, bytes, hash,
    last_modified, content_type). objPut takes localpath (a file, or a directory with all below it), substr,
    toLocation and mapLocationOver (the directory that becomes toLocation). objPull takes fromLocation,
    toLocation and substr. rmtree takes path.
    """
    terminal.show_log("pfstorage", verbosity)
    asked = _asked(options)
    from pypx.cli.progress import progress_bar

    with storage_of(options) as storage, progress_bar() as progress:
        run = {"ls": _ls, "objPut": _put, "objPull": _pull, "rmtree": _rmtree}[asked.action]
        running = _Run(storage, asked, options, progress)
        answer = run(running) if asked.action == "ls" else _audited(run, running)
    if edge.output_is_json(json):
        edge.write_json(answer.document)
    else:
        _show(answer)
    if answer.failed and answer.failed.error:
        terminal.say("pfstorage", answer.failed.error.sentence)
    return 1 if answer.failed else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """An action and its arguments."""

    action: str
    arguments: Mapping[str, Any]

    def text(self, *names: str) -> str:
        """The first of these arguments that is given; "" where none is."""
        for name in names:
            value = self.arguments.get(name)
            if value is not None and not isinstance(value, str):
                raise UsageError(f'The argument "{name}" of {self.action} is not a text')
            if value:
                return str(value)
        return ""

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty where it is not given."""
        value = self.arguments.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise UsageError(f'The argument "{name}" of {self.action} is not a list of texts')
        return value


@dataclass(frozen=True, slots=True)
class _Run:
    """What an action works with."""

    storage: Storage
    asked: _Asked
    options: Mapping[str, Any]
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an action came to: its JSON, its lines for a person, and the first that failed."""

    document: Mapping[str, Any]
    lines: Sequence[str] = ()
    failed: Transferred | None = None


def _audited(run: Callable[[_Run], _Answer], running: _Run) -> _Answer:
    """Run an action that copies or removes, and write that into the audit log."""
    what, name = _AUDITED[running.asked.action]
    place = f"{running.storage.label}: {without_patients(running.asked.text(name, 'path', 'swiftpath'))}"
    source, target = (place, "") if what == "pull" else ("", place)
    with audited(basemount_of(running.options), what, source=source, target=target) as doing:
        answer = run(running)
        counts = answer.document.get("summary") or {"objects": len(answer.document["dellist"])}
        doing.add((), counts, answer.failed.error if answer.failed else None)
    return answer


def _asked(options: Mapping[str, Any]) -> _Asked:
    if options["do"] and (options["action"] or options["args"]):
        raise UsageError("--do and --action exclude each other", "Leave one of them out.")
    if options["do"]:
        directive = _object(options["do"], "--do")
        action, arguments = directive.get("action"), directive.get("args", {})
    else:
        action = options["action"]
        arguments = _object(options["args"], "--args") if options["args"] else {}
    if not isinstance(action, str) or action not in _ARGUMENTS:
        raise UsageError(
            f"{action!r} is not an action" if action else "What shall be done?",
            f"The actions are {', '.join(_ARGUMENTS)}: give --action, or --do with an action in it.",
        )
    if not isinstance(arguments, dict):
        raise UsageError("The arguments are not one JSON object", 'Write them as {"path": "chris"}.')
    unknown = sorted(arguments.keys() - _ARGUMENTS[action])
    if unknown:
        raise UsageError(
            f"{action} has no argument {unknown[0]!r}",
            f"It has: {', '.join(sorted(_ARGUMENTS[action]))}. DICOM files are named by px-push.",
        )
    return _Asked(action, arguments)


def _object(text: str, option: str) -> Mapping[str, Any]:
    try:
        value = json_module.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{option} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise UsageError(f"{option} is not one JSON object")
    return value


def _ls(run: _Run) -> _Answer:
    from pypx.actions.objects import find_objects

    wanted = run.asked.texts("retSpec") or list(_RETURNED)
    describe = _describer(wanted)
    found = list(find_objects(run.storage, run.asked.text("path", "swiftpath"), run.asked.text("substr")))
    if "hash" in wanted:
        found = [one if one.checksum else run.storage.stat(one.name) or one for one in found]
    lines = [f"{one.size:>12}  {printable(one.name)}" for one in found]
    return _Answer({"status": "success", "ls": [describe(one) for one in found]}, lines)


def _describer(wanted: Sequence[str]) -> Callable[[StoredObject], dict[str, Any]]:
    members: Mapping[str, Callable[[StoredObject], Any]] = {
        "name": lambda one: one.name,
        "bytes": lambda one: one.size,
        "hash": lambda one: one.checksum,
        "last_modified": lambda one: one.modified,
        "content_type": lambda one: one.content_type,
    }
    unknown = [name for name in wanted if name not in members]
    if unknown:
        raise UsageError(
            f"retSpec names {unknown[0]!r}, which no object has", f"It may name {', '.join(members)}."
        )
    return lambda one: {name: members[name](one) for name in wanted}


def _put(run: _Run) -> _Answer:
    from pypx.actions.objects import put_files
    from pypx.actions.sources import SourceFiles

    to = run.asked.text("toLocation")
    if "%pack" in to:
        raise UsageError("objPut does not name files by their attributes", "px-push does.")
    named = [*run.asked.texts("fileList"), *([run.asked.text("file")] if run.asked.text("file") else [])]
    files = [path for name in named for path in SourceFiles(path=at_home(name)).files()]
    local = at_home(run.asked.text("localpath") or ("." if named else ""))
    if not named and not run.asked.text("localpath"):
        raise UsageError("Which files?", "Name a file or a directory as localpath.")
    if local.is_dir() and not named:
        part = run.asked.text("DICOMsubstr", "substr")
        files += SourceFiles(directory=local, parts=(part,) if part else (), recursive=True).files()
    elif not named:
        files += SourceFiles(path=local).files()
    over = run.asked.text("mapLocationOver") or (local if local.is_dir() else local.parent)
    done = put_files(run.storage, files, at_home(over), to, run.options["jobs"], run.progress)
    return _transferred(done, str(local))


def _pull(run: _Run) -> _Answer:
    from pypx.actions.objects import pull_objects

    to = run.asked.text("toLocation", "toLocationOver", "mapLocationOver")
    if not to:
        raise UsageError("Where to?", "Name a directory as toLocation.")
    done = pull_objects(
        run.storage,
        run.asked.text("fromLocation", "path"),
        at_home(to),
        run.asked.text("substr"),
        run.options["jobs"],
        run.progress,
    )
    return _transferred(done, to)


def _transferred(done: Sequence[Transferred], local: str) -> _Answer:
    there = [one for one in done if not one.error]
    failed = next((one for one in done if one.error), None)
    document: dict[str, Any] = {
        "status": "error" if failed else "success",
        "localpath": local,
        "localFileList": [str(one.file) for one in there],
        "objectFileList": [one.name for one in there],
        "summary": {
            "files": len(done),
            "transferred": sum(1 for one in done if one.is_new),
            "equal": sum(1 for one in there if not one.is_new),
            "failed": len(done) - len(there),
            "bytes": sum(one.size for one in done if one.is_new),
        },
    }
    if failed and failed.error:
        document["error"] = failed.error.to_json()
        document["failed"] = [
            {"file": str(one.file), "object": one.name, "error": one.error.to_json()}
            for one in done
            if one.error
        ]
    counts = document["summary"]
    line = f"{counts['transferred']} transferred, {counts['equal']} equal already, {counts['failed']} failed."
    return _Answer(document, [line], failed)


def _rmtree(run: _Run) -> _Answer:
    from pypx.actions.objects import objects_below, remove_objects

    path = run.asked.text("path", "swiftpath")
    found = list(objects_below(run.storage, path))
    if found and sys.stdin.isatty() and not run.options["yes"]:
        raise UsageError(
            f"{counted(len(found), 'object', 'objects')} below {path!r} would be removed for good",
            "Say --yes to do it.",
        )
    done = remove_objects(run.storage, found, run.options["jobs"], run.progress)
    failed = next((one for one in done if one.error), None)
    removed = [one.name for one in done if not one.error]
    document: dict[str, Any] = {"status": "error" if failed else "success", "dellist": removed}
    if failed and failed.error:
        document["error"] = failed.error.to_json()
    return _Answer(document, [f"{len(removed)} removed."], failed)


def _show(answer: _Answer) -> None:
    for line in answer.lines:
        terminal.write_stdout(line)


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
