"""The actions of px-smdb: what each takes from the command line, which action it calls, how it is shown."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pypx.cli.auditing import audited
from pypx.cli.options import told
from pypx.cli.progress import progress_bar
from pypx.cli.smdb_asked import Asked
from pypx.errors import FileUnreadable, UsageError
from pypx.home import at_home

if TYPE_CHECKING:
    from pypx.actions.smdb.tables import Table
    from pypx.basemount.layout import Basemount
    from pypx.basemount.smdb import Catalogue
    from pypx.cli.edge import JsonPieces
    from pypx.errors import PypxError

#: What a file with keys may hold at most, in bytes.
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action came to.

    Parameters
    ----------
    pieces : callable
        The JSON.
    show : callable or None
        Shows it to a person; None where the JSON does.
    error : PypxError or None
        What is wrong, where something is.
    """

    pieces: JsonPieces
    show: Callable[[], None] | None = None
    error: PypxError | None = None


Action: TypeAlias = Callable[[Asked], Outcome]


def _of_json(document: object) -> JsonPieces:
    return lambda indent: [json.dumps(document, ensure_ascii=False, indent=indent)]


def _catalogue(asked: Asked) -> Catalogue:
    from pypx.basemount.smdb import Catalogue

    return Catalogue.open(asked.basemount)


def _search(asked: Asked) -> Outcome:
    from pypx.actions.found import json_pieces
    from pypx.actions.smdb.search import search

    matching = asked.matching()
    typed = [part for name, value in matching.items() for part in (f"--{name}", value)]
    command = shlex.join(("px-smdb", "--action", "search", *typed))
    with _catalogue(asked) as catalogue, audited(asked.basemount, "search", keys=matching) as doing:
        found = search(
            catalogue,
            matching,
            limit=asked.options["limit"],
            command=command,
            arguments={**told(asked.options), "db": str(asked.basemount.log)},
        )
        doing.found(found)

    def show() -> None:
        if not found.studies:
            sys.stderr.write("No study matches.\n")
            return
        from pypx.cli.report import show_report

        show_report([found])

    return Outcome(lambda indent: json_pieces(found, indent), show)


def _locations(keyword: str, asked: Asked) -> Outcome:
    from datetime import date

    from pypx.actions.smdb.locations import locations
    from pypx.cli.smdb_shown import show_locations
    from pypx.dicom.matching import matching_value

    if keyword:
        matching = {keyword: matching_value(keyword, asked.value(keyword), date.today())}
    elif asked.text and not asked.text.startswith("{"):
        matching = {"SeriesInstanceUID": asked.value("SeriesInstanceUID")}
    else:
        matching = asked.matching()
    if not matching:
        raise UsageError(
            f"{asked.action} needs to know which series",
            "Give query options, such as --SeriesInstanceUID or --PatientID.",
        )
    with _catalogue(asked) as catalogue:
        found = locations(asked.basemount, catalogue, matching)
    return Outcome(_of_json(found.to_json()), partial(show_locations, found))


def _tables(keyword: str, asked: Asked) -> Outcome:
    from pypx.basemount.secrecy import masked
    from pypx.errors import NothingFound

    values = asked.identifiers(keyword)
    if not values:
        return Outcome(_of_json({"status": "success", "data": []}))
    with _catalogue(asked) as catalogue:
        of_each = {
            value: [table.to_json() for table in _tables_of(keyword, value, asked.basemount, catalogue)]
            for value in values
        }
    tables = [table for of_one in of_each.values() for table in of_one]
    document = {"status": "success", "data": tables if asked.options["reveal"] else masked(tables)}
    unknown = [value for value, of_one in of_each.items() if not of_one]
    if not unknown:
        return Outcome(_of_json(document))
    error = NothingFound(
        f"The catalogue has nothing of the {keyword} {', '.join(unknown)}",
        f"Check the {keyword}; px-smdb --action search shows what is held.",
    )
    if not tables:
        raise error
    return Outcome(_of_json({**document, "status": "error", "error": error.to_json()}), error=error)


def _tables_of(keyword: str, value: str, basemount: Basemount, catalogue: Catalogue) -> Iterable[Table]:
    from pypx.actions.smdb.tables import patient_tables, series_tables, study_tables

    if keyword == "PatientID":
        return patient_tables(catalogue, [value])
    if keyword == "StudyInstanceUID":
        return study_tables(basemount, catalogue, [value])
    return series_tables(basemount, catalogue, [value])


def _update_files(asked: Asked) -> Outcome:
    from pypx.actions.smdb.upkeep import update_files

    files = asked.files()
    if files is None:
        raise UsageError(
            f"{asked.action} needs to know which files",
            "Name one with --xcrdirfile, or a directory with --xcrdir.",
        )
    with (
        _catalogue(asked) as catalogue,
        progress_bar() as progress,
        audited(asked.basemount, "pack") as doing,
    ):
        result = update_files(asked.basemount, catalogue, files, progress)
        doing.packed(result)
    return Outcome(_of_json(result.to_json()), error=result.error)


def _update_patient(asked: Asked) -> Outcome:
    from pypx.actions.smdb.upkeep import update_patient
    from pypx.cli.smdb_shown import show_check

    patient_id = asked.value("PatientID")
    with (
        _catalogue(asked) as catalogue,
        progress_bar() as progress,
        audited(asked.basemount, "repair", keys=("PatientID",)) as doing,
    ):
        result = update_patient(asked.basemount, catalogue, patient_id, progress)
        doing.checked(result)
    return Outcome(_of_json(result.to_json()), partial(show_check, result), result.error)


def _end_of_study(asked: Asked) -> Outcome:
    from pypx.actions.smdb.upkeep import end_of_study
    from pypx.cli.status import show_status

    studies = asked.identifiers("StudyInstanceUID")
    with _catalogue(asked) as catalogue:
        status = end_of_study(catalogue, studies)
    return Outcome(_of_json(status.to_json()), partial(show_status, status), status.error)


def _check(asked: Asked) -> Outcome:
    from pypx.actions.smdb.check import check
    from pypx.cli.smdb_shown import show_check

    repair = asked.options["repair"]
    with (
        _catalogue(asked) as catalogue,
        progress_bar() as progress,
        audited(asked.basemount, "repair" if repair else "check") as doing,
    ):
        result = check(asked.basemount, catalogue, repair=repair, progress=progress)
        doing.checked(result)
    return Outcome(_of_json(result.to_json()), partial(show_check, result), result.error)


def _import(asked: Asked) -> Outcome:
    from pypx.actions.smdb.import_tables import import_tables

    root = at_home(asked.text) if asked.text else asked.basemount.log
    with (
        _catalogue(asked) as catalogue,
        progress_bar() as progress,
        audited(asked.basemount, "import", source=str(root)) as doing,
    ):
        result = import_tables(asked.basemount, catalogue, root, progress)
        doing.add(((one.study_uid, one.series_uid) for one in result.series), result.counts, result.error)
    return Outcome(_of_json(result.to_json()), error=result.error)


def _export(asked: Asked) -> Outcome:
    from pypx.actions.smdb.export_tables import export_tables

    if not asked.text:
        raise UsageError("export needs a directory to write to", "Name it with --actionArgs DIR.")
    with _catalogue(asked) as catalogue, progress_bar() as progress:
        directory = at_home(asked.text)
        with audited(asked.basemount, "export", target=str(directory)) as doing:
            result = export_tables(asked.basemount, catalogue, directory, progress)
            doing.add((), result.counts)
    return Outcome(_of_json(result.to_json()))


def _service(asked: Asked) -> Outcome:
    from pypx.actions.smdb.service_keys import service_keys
    from pypx.cli.smdb_shown import show_keys

    added = _read(asked) if asked.text.startswith("@") else asked.text
    reveal = asked.options["reveal"]
    if not added.strip() and not reveal:
        document = service_keys(asked.basemount, asked.action)
        return Outcome(_of_json(document), partial(show_keys, document["data"]))
    what, target = "change" if added.strip() else "reveal", f"services/{asked.action.lower()}.json"
    with audited(asked.basemount, what, target=target) as doing:
        document = service_keys(asked.basemount, asked.action, added, reveal=reveal)
        doing.concerns(json.loads(added) if added.strip() else document["data"])
    return Outcome(_of_json(document), partial(show_keys, document["data"]))


def _read(asked: Asked) -> str:
    """A file, or "-" for standard input, in place of an argument, which everybody here could read."""
    from pypx.actions.smdb.service_keys import EXAMPLES

    name = asked.text[1:]
    try:
        if name == "-":
            text = sys.stdin.buffer.read(_LARGEST).decode()
        else:
            with at_home(name).open(encoding="utf-8") as file:
                text = file.read(_LARGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{name} cannot be read ({error})") from error
    if not text.strip():
        # Whatever was to write the keys has failed: to show those that are there would hide it.
        source = "Standard input" if name == "-" else name
        raise UsageError(f"{source} is empty", f"It is to hold {EXAMPLES[asked.action]}.")
    return text


#: Each action of px-smdb by its name.
ACTIONS: Mapping[str, Action] = {
    "search": _search,
    "imageDirsPatientID": partial(_locations, "PatientID"),
    "imageDirsSeriesInstanceUID": partial(_locations, "SeriesInstanceUID"),
    "seriesDirLocation": partial(_locations, ""),
    "seriesMap_DBtablesGet": partial(_tables, "SeriesInstanceUID"),
    "studyMap_DBtablesGet": partial(_tables, "StudyInstanceUID"),
    "patientMap_DBtablesGet": partial(_tables, "PatientID"),
    "mapsUpdateForFile": _update_files,
    "mapsUpdateForPatient": _update_patient,
    "endOfStudy": _end_of_study,
    "check": _check,
    "import": _import,
    "export": _export,
    "PACS": _service,
    "swift": _service,
    "storage": _service,
    "CUBE": _service,
    "smdb": _service,
}
