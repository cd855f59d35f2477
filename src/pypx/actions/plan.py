"""What a retrieve has to ask for: pure decisions, before anything is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pypx.actions.found import Found, FoundStudy
from pypx.dicom.query import Level, Query
from pypx.dicom.uid import is_uid
from pypx.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Wanted:
    """One series that is to be here in the end.

    Parameters
    ----------
    study_uid, series_uid : str
    description : str
        SeriesDescription, for people.
    expected : int or None
        How many instances the PACS has; None while nobody knows.
    """

    study_uid: str
    series_uid: str
    description: str = ""
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One C-GET or C-MOVE, and the series that it brings.

    Parameters
    ----------
    query : Query
        Unique keys only.
    series : tuple of Wanted
    """

    query: Query
    series: tuple[Wanted, ...]

    @property
    def expected(self) -> int | None:
        """How many instances it brings; None where that is not known of each series."""
        counts = [series.expected for series in self.series]
        return None if None in counts else sum(count for count in counts if count is not None)


def wanted_series(founds: Sequence[Found]) -> tuple[Wanted, ...]:
    """The series of what was found, each once.

    Raises
    ------
    InvalidInput
        When one has no valid UID: nothing else may become part of a request.
    """
    wanted: dict[str, Wanted] = {}
    for series in (series for found in founds for series in found.series):
        for uid, what in ((series.study_uid, "study"), (series.uid, "series")):
            if not is_uid(uid):
                raise InvalidInput(f"{uid!r} is not the UID of a {what}")
        wanted.setdefault(
            series.uid,
            Wanted(
                series.study_uid, series.uid, series.values.get("SeriesDescription", ""), series.instances
            ),
        )
    return tuple(wanted.values())


def whole_studies(founds: Sequence[Found]) -> frozenset[str]:
    """The studies of which all series were found, as far as the PACS says how many it has."""
    return frozenset(study.uid for found in founds for study in found.studies if _is_whole(study))


def _is_whole(study: FoundStudy) -> bool:
    told = study.values.get("NumberOfStudyRelatedSeries", "")
    return told.isascii() and told.isdigit() and int(told) == len(study.series)


def requests(wanted: Collection[Wanted], whole: Collection[str], missing: Collection[str]) -> list[Request]:
    """The requests that bring the missing series.

    Parameters
    ----------
    wanted : collection of Wanted
        All that is wanted.
    whole : collection of str
        UIDs of the studies of which all series are wanted.
    missing : collection of str
        UIDs of the series that are not here yet.

    Returns
    -------
    list of Request
        One for a whole study where all of it is missing, else one for each series.
    """
    by_study: dict[str, list[Wanted]] = {}
    for series in wanted:
        by_study.setdefault(series.study_uid, []).append(series)
    return [
        request for study, series in by_study.items() for request in _of_study(study, series, whole, missing)
    ]


def _of_study(
    study_uid: str, series: Sequence[Wanted], whole: Collection[str], missing: Collection[str]
) -> Iterator[Request]:
    lacking = [one for one in series if one.series_uid in missing]
    if len(lacking) > 1 and len(lacking) == len(series) and study_uid in whole:
        yield Request(Query(Level.STUDY, {"StudyInstanceUID": study_uid}), tuple(lacking))
        return
    for one in lacking:
        keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": one.series_uid}
        yield Request(Query(Level.SERIES, keys), (one,))


def missing_series(wanted: Collection[Wanted], held: Mapping[str, int], force: bool) -> set[str]:
    """The UIDs of the series that are not here in full, or of all where that shall not count."""
    return {
        series.series_uid
        for series in wanted
        if force or series.expected is None or held.get(series.series_uid, 0) < series.expected
    }
