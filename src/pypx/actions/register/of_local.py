"""Files that a person names, as series to be registered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pypx.actions.push.naming import folder_name, image_name, top_of
from pypx.actions.push.wanted import GatheredSeries, gathered
from pypx.actions.register.of_catalogue import Place, last_push
from pypx.actions.register.wanted import Wanted
from pypx.basemount.history import events_of
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.cube.fields import ATTRIBUTES
from pypx.errors import UsageError


def of_local(
    catalogue: Catalogue,
    files: Iterable[Path],
    place: Place,
    templates: TreeTemplates,
    *,
    are_named: bool = False,
) -> list[Wanted]:
    """The series of files, each once; what is not DICOM is left out.

    Parameters
    ----------
    catalogue : Catalogue
        Knows of series that were pushed from here where they are.
    files : iterable of pathlib.Path
    place : Place
    templates : TreeTemplates
        Name those in storage that the catalogue does not know of.
    are_named : bool
        Whether somebody named each of the files: then what is not DICOM fails.

    Raises
    ------
    UsageError
        When the name of the PACS is needed and not given.
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    named = gathered(files, templates.keywords | set(ATTRIBUTES), are_named=are_named)
    events = events_of(catalogue, [series.series_uid for series in named.series])
    return [
        *(
            _wanted(series, last_push(events[series.series_uid], place), place, templates)
            for series in named.series
        ),
        *(Wanted("", names=(str(file.file),), error=file.error) for file in named.rejected),
    ]


def _wanted(series: GatheredSeries, pushed: Event | None, place: Place, templates: TreeTemplates) -> Wanted:
    first = min(series.files, key=lambda file: (file.sop_uid, str(file.path)))
    values = dict(first.values)
    if pushed:
        instances = len({file.sop_uid for file in series.files})
        return Wanted(
            series.series_uid,
            series.study_uid,
            values,
            folder=pushed.detail,
            at_least=max(instances, pushed.count or 0),
            is_its_own=True,
            target=pushed.target,
        )
    if not place.pacs_name:
        raise UsageError(
            "Under which name of a PACS are these files in storage?",
            "Give it with --swiftServicesPACS, as px-push had it, or pipe px-push into px-register.",
        )
    folder = folder_name(top_of(place.pacs_name), templates, first.values, series.series_uid, 0)
    names = {image_name(folder, templates, file) for file in series.files}
    return Wanted(series.series_uid, series.study_uid, values, folder, tuple(sorted(names)))
