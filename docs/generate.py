"""Write the pages of the manual that come from the code: one a tool, and the table of errors.

Run it after a change of an option, an example or an error: ``python docs/generate.py``. The tools are those
of ``[project.scripts]`` in pyproject.toml; a new one has its page by itself.
"""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from pypx import errors
from pypx.cli.edge import Tool
from pypx.cli.query import QUERY_OPTIONS

DOCS = Path(__file__).parent
TOOLS = DOCS / "tools"
_PROJECT = DOCS.parent / "pyproject.toml"
_WIDTH = 100

_MARK = ".. Written by docs/generate.py; a change here is lost."

#: Options that several tools share, by what they are about; what is in none of these groups comes first.
_GROUPS: Mapping[str, frozenset[str]] = {
    "The PACS": frozenset({"pacs", "PACS", "aet", "aec", "serverIP", "serverPort"}),
    "TLS": frozenset({"tls", "tlsKey", "tlsCertificate", "tlsCA", "tlsPeer", "tlsProfile", "tlsPassphrase"}),
    "Studies and series": frozenset({*QUERY_OPTIONS, "query"}),
    "Files": frozenset(
        {"xcrdir", "xcrfile", "xcrdirfile", "parseAllFilesWithSubStr", "recursive", "files_from", "null"}
    ),
    "Storage": frozenset({"swift", "swiftIP", "swiftPort", "swiftLogin", "storeBaseLocation"}),
    "CUBE": frozenset({"CUBE", "CUBEURL", "CUBEusername", "CUBEuserpasswd"}),
    "The BASEMOUNT": frozenset({"db", "datadir", "tmpdir"}),
    "Names": frozenset({"rootDirTemplate", "studyDirTemplate", "seriesDirTemplate", "imageTemplate"}),
    "DCMTK's programs": frozenset({"echoscu", "findscu", "movescu", "getscu", "storescp", "dcmsend"}),
    "Of every tool": frozenset(
        {"json", "verbosity", "JSONargs", "debugToDir", "log_phi", "desc", "synopsis", "version", "help"}
    ),
}
_OWN = "Options"

#: Pages with more about a group of options.
_MORE = {
    "The PACS": "services",
    "TLS": "tls",
    "Storage": "storage",
    "CUBE": "services",
    "The BASEMOUNT": "basemount",
    "Names": "templates",
}

_ERRORS_HEAD = """\
Errors
======

When something fails, a tool says so in one sentence on standard error, and where a program reads its
output, the same is in the JSON: ``error`` holds ``code``, ``message`` and ``hint`` (:doc:`json`). The
message tells what failed and where, the hint what to do next; both are for people, and their words may
change. The code stays the same from release to release: compare that in scripts.

The exit status is 1, but for two kinds: 2 where the command line makes no sense (nothing was done, and no
JSON is written), and 130 where the command was interrupted.
"""

_JSON = r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"

#: An option, with the number or the name of a value that follows.
_OPTION = r"--?[A-Za-z][\w-]*(?:=\S+| (?:[A-Z]{2,}|[0-9]+|(?<=--action )\w+)\b)?"

#: What stands in a text that is to be shown as it is: JSON, commands, options, single signs, paths, and what
#: reStructuredText would take for a sign of its own.
_LITERAL = re.compile(
    rf"'?{_JSON}(?:;{_JSON})*'?"
    rf"|(?:px-[a-z]+|pfstorage)(?: …)?(?: \| px-[a-z]+)?(?: {_OPTION})+"
    r"|apt-get install \w+|\w+://\S+"
    rf"|(?<![\w-]){_OPTION}"
    r"|(?<!\S)[^\w\s…]{1,3}(?!\S)"
    r"|\S*[*_|\\<>%$`@~]\S*"
    r"|\S*[A-Z]\S*/\S*|\S*/\S*(?:[A-Z]|\.\w)\S*|\w+/(?!\w)"
)


def literals(text: str) -> str:
    """A text of the code as reStructuredText: what is typed or named in it as literals."""

    def quoted(found: re.Match[str]) -> str:
        whole = found[0]
        bare = whole.strip("(),;:.'") if len(whole) > 2 else whole
        before, _, after = whole.partition(bare)
        return f"{before}``{bare}``{after}"

    return _LITERAL.sub(quoted, text)


def scripts() -> dict[str, str]:
    """Each console script of pyproject.toml and what it calls, in the order of their names."""
    named: Mapping[str, str] = tomllib.loads(_PROJECT.read_text())["project"]["scripts"]
    return dict(sorted(named.items()))


def tools() -> dict[str, Tool]:
    """The command of each console script."""
    return {name: _command(target) for name, target in scripts().items()}


def pages() -> dict[Path, str]:
    """Every page that is written here, with the text that it shall have."""
    written = {TOOLS / f"{name}.rst": "\n".join(_tool_page(name, tool)) for name, tool in tools().items()}
    return {**written, DOCS / "errors.rst": "\n".join(_errors_page())}


def stale_pages() -> list[Path]:
    """The pages that are not as they shall be, or of a tool that there is no more."""
    shall_be = pages()
    changed = [path for path, text in shall_be.items() if not path.exists() or path.read_text() != text]
    return changed + [path for path in sorted(TOOLS.glob("*.rst")) if path not in shall_be]


def _command(target: str) -> Tool:
    module = importlib.import_module(target.partition(":")[0])
    command = module.command
    assert isinstance(command, Tool), f"{target} has no command of the suite's kind"  # noqa: S101
    return command


def _tool_page(name: str, tool: Tool) -> Iterator[str]:
    context = click.Context(tool, info_name=name, **tool.context_settings)
    yield from (_MARK, "", *_title(name, "="), *_help(tool))
    yield from _section("Examples", "bash", tool.examples.strip().splitlines())
    for group, parameters in _grouped(tool.get_params(context)).items():
        yield from _title(group, "-")
        if group in _MORE:
            yield from (f"More: :doc:`/{_MORE[group]}`.", "")
        for parameter in parameters:
            yield from _parameter(parameter)


def _title(text: str, line: str) -> tuple[str, ...]:
    return (text, line * len(text), "")


def _section(title: str, language: str, lines: Iterable[str]) -> Iterator[str]:
    yield from (*_title(title, "-"), f".. code-block:: {language}", "")
    yield from (f"    {line}".rstrip() for line in lines)
    yield ""


def _help(tool: Tool) -> Iterator[str]:
    """The paragraphs before the options; one that click is told to leave as it is (\\b) stays so."""
    for paragraph in inspect.cleandoc(tool.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield from ("::", "", *(f"    {line}".rstrip() for line in paragraph.splitlines()[1:]), "")
        else:
            yield from (*_wrapped(literals(" ".join(paragraph.split()))), "")


def _grouped(parameters: Iterable[click.Parameter]) -> dict[str, list[click.Parameter]]:
    grouped: dict[str, list[click.Parameter]] = {group: [] for group in (_OWN, *_GROUPS)}
    for parameter in parameters:
        if not getattr(parameter, "hidden", False):
            names = {str(parameter.name), *(option.lstrip("-") for option in parameter.opts)}
            groups = (group for group, members in _GROUPS.items() if names & members)
            grouped[next(groups, _OWN)].append(parameter)
    return {group: members for group, members in grouped.items() if members}


def _parameter(parameter: click.Parameter) -> Iterator[str]:
    if isinstance(parameter, click.Argument):
        yield f"``{(parameter.metavar or str(parameter.name)).strip('[]')}``"
        yield "    The PACS in one word, instead of the options."
    elif isinstance(parameter, click.Option):
        *others, last = sorted(parameter.opts, key=lambda name: not re.match("-[^-]", name))
        value = "" if parameter.is_flag else f" {_metavar(parameter)}"
        yield ", ".join([*(f"``{name}``" for name in others), f"``{last}{value}``"])
        yield from _wrapped(" ".join(_words(parameter)), "    ")
    yield ""


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(choice for choice in option.type.choices if choice)
    return option.metavar or "N"


def _words(option: click.Option) -> Iterator[str]:
    """What is said of an option: its help, which numbers it takes, and what it is where it is not given."""
    text, _, default = (option.help or "").partition("[default: ")
    yield literals(re.sub(r"(\w)$", r"\1.", text.strip()))
    if isinstance(option.type, click.IntRange) and option.type.max is not None:
        yield f"{option.type.min} to {option.type.max}."
    if option.show_default and not default:
        default = f"{_shown(option.default)}]"
    if default:
        yield f"Default: {literals(default.removesuffix(']'))}."


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrapped(text: str, margin: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _errors_page() -> Iterator[str]:
    kinds = [
        one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.PypxError)
    ]
    yield from (_MARK, "", *_ERRORS_HEAD.splitlines(), "")
    for kind in sorted(kinds, key=lambda one: one.code):
        status = f" Exit status {kind.exit_status}." if kind.exit_status != 1 else ""
        yield f"``{kind.code}``"
        yield from (*_wrapped(literals(kind.cause) + status, "    "), "")
        if kind.cure:
            yield from (*_wrapped(f"*What to do:* {literals(kind.cure)}", "    "), "")


def main() -> None:
    """Write what is not as it shall be, and say what that was."""
    TOOLS.mkdir(exist_ok=True)
    shall_be = pages()
    for path in stale_pages():
        if path in shall_be:
            path.write_text(shall_be[path])
        else:
            path.unlink()
        print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
