"""Search what is held here, as a find searches a PACS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from pypx.actions.answers import some
from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.basemount import held
from pypx.basemount.held import Asked, HeldSeries
from pypx.basemount.smdb import Catalogue
from pypx.dicom.attributes import attribute
from pypx.dicom.fitting import fits, is_demanding
from pypx.dicom.numbers import by_number
from pypx.errors import InvalidValue

_MODALITIES = "ModalitiesInStudy"
_SERIES_COUNT = "NumberOfStudyRelatedSeries"
_STUDY_INSTANCES = "NumberOfStudyRelatedInstances"
_SERIES_INSTANCES = "NumberOfSeriesRelatedInstances"

#: StudyInstanceUID and PatientID.
_Key: TypeAlias = tuple[str, str]

#: What the catalogue can be searched by, at each level.
STUDY_KEYWORDS = (*held.STUDY_KEYWORDS, _MODALITIES)
SERIES_KEYWORDS = tuple(name for name in held.SERIES_KEYWORDS if name != "StudyInstanceUID")


def search(
    catalogue: Catalogue,
    matching: Mapping[str, str],
    *,
    limit: int | None = None,
    command: str = "",
    arguments: Mapping[str, Any] | None = None,
) -> Found:
    """Find what is held: studies and their series, of each how many instances.

    Parameters
    ----------
    catalogue : Catalogue
        To search.
    matching : mapping of str to str
        Keyword to the value that is looked for, as of :func:`pypx.dicom.matching.matching_value`. Texts fit
        whatever their case and accents, as in a find.
    limit : int, optional
        Stop after so many studies.
    command : str
        What was typed, for the result.
    arguments : mapping of str to object, optional
        The options as given, for the result's ``args``.

    Returns
    -------
    Found
        Its studies in the order of patients, then days. Series of which no instance is held are not there.
        Behind them what strays there are, as of the patients and studies that they say they are of.

    Raises
    ------
    InvalidValue
        When an attribute is asked for that the catalogue does not know.
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
        When it cannot be read.
    """
    demanded = {name: value for name, value in matching.items() if is_demanding(value)}
    _see_known(demanded)
    studies = _Studies(_fitting(catalogue, demanded))
    notes = []
    uids = list(dict.fromkeys(uid for uid, _ in studies.keys))
    own = held.modalities_of_studies(catalogue, uids)
    strays = held.strays_of_studies(catalogue, uids)
    modalities = {
        key: {**own.get(key, {}), **{uid: modality for uid, (modality, _) in strays.get(key, {}).items()}}
        for key in studies.keys
    }
    if wanted := demanded.get(_MODALITIES):
        studies.keep(key for key, of_it in modalities.items() if _has_modality(wanted, of_it.values()))
    if limit is not None and len(studies.keys) > limit:
        studies.keep(studies.keys[:limit])
        notes.append(f"Stopped after {some(limit, 'study')}, as --limit says; there are more.")
    counts = catalogue.held_counts([uid for key in studies.keys for uid in own.get(key, {})])
    found = tuple(
        study
        for key in studies.keys
        if (study := _study(studies, key, modalities[key], counts | _counts(strays.get(key, {})))).series
    )
    values = (*(study.values for study in found), *(one.values for study in found for one in study.series))
    names = dict.fromkeys(name for one in values for name in one)
    return Found(
        found,
        {name: attribute(name).number for name in names},
        arguments or {},
        command,
        command,
        notes=tuple(notes),
    )


class _Studies:
    """The studies that were found, and of each the series that fit."""

    def __init__(self, found: Iterable[HeldSeries]) -> None:
        self.values: dict[_Key, Mapping[str, str]] = {}
        self.series: dict[_Key, list[Mapping[str, str]]] = {}
        for one in found:
            self.values.setdefault(one.key, one.study)
            of_it = self.series.setdefault(one.key, [])
            # Strays of one patient may describe them in several ways.
            if not one.is_stray or one.series not in of_it:
                of_it.append(one.series)

    @property
    def keys(self) -> list[_Key]:
        return list(self.values)

    def keep(self, keys: Iterable[_Key]) -> None:
        kept = set(keys)
        self.values = {key: values for key, values in self.values.items() if key in kept}


def _see_known(demanded: Iterable[str]) -> None:
    known = {*STUDY_KEYWORDS, *SERIES_KEYWORDS, *held.INSTANCE_KEYWORDS}
    for name in demanded:
        if name not in known:
            raise InvalidValue(
                f"The catalogue does not know {name}",
                f"It can be searched by {', '.join(sorted(known))}.",
            )


def _fitting(catalogue: Catalogue, demanded: Mapping[str, str]) -> Iterator[HeldSeries]:
    """The series that fit, but for the modalities of their study."""
    of_study = {name: value for name, value in demanded.items() if name in held.STUDY_KEYWORDS}
    of_series = {name: value for name, value in demanded.items() if name in SERIES_KEYWORDS}
    asked = [
        Asked(name, attribute(name).vr, value) for name, value in demanded.items() if name != _MODALITIES
    ]
    verdicts: dict[str, bool] = {}
    for one in held.series_that_may_fit(catalogue, asked):
        uid = one.study["StudyInstanceUID"]
        if uid not in verdicts:
            verdicts[uid] = _fit(of_study, one.study)
        if verdicts[uid] and _fit(of_series, one.series):
            yield one
    # Behind all others: as a rule there are none.
    for one in held.strays_that_may_fit(catalogue, asked):
        if _fit(of_study, one.study) and _fit(of_series, one.series):
            yield one


def _fit(asked: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return all(fits(name, value, values[name]) for name, value in asked.items())


def _has_modality(wanted: str, modalities: Iterable[str]) -> bool:
    return any(fits("Modality", wanted, modality) for modality in modalities)


def _counts(strays: Mapping[str, tuple[str, int]]) -> dict[str, int]:
    return {uid: count for uid, (_, count) in strays.items()}


def _study(
    studies: _Studies, key: _Key, modalities: Mapping[str, str], counts: Mapping[str, int]
) -> FoundStudy:
    here = {series: modality for series, modality in modalities.items() if counts.get(series)}
    series = sorted(
        studies.series[key], key=lambda one: (by_number(one["SeriesNumber"]), one["SeriesInstanceUID"])
    )
    values = {
        **studies.values[key],
        _MODALITIES: "\\".join(sorted({modality for modality in here.values() if modality})),
        _SERIES_COUNT: str(len(here)),
        _STUDY_INSTANCES: str(sum(counts[one] for one in here)),
    }
    return FoundStudy(
        values,
        tuple(
            FoundSeries({**one, _SERIES_INSTANCES: str(counts[one["SeriesInstanceUID"]])})
            for one in series
            if one["SeriesInstanceUID"] in here
        ),
    )
