"""What a retrieve has to ask for: pure decisions, before anything is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pypx.actions.answers import said_count
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
    def series_uids(self) -> tuple[str, ...]:
        """Of the series that it brings."""
        return tuple(series.series_uid for series in self.series)

    @property
    def is_narrow(self) -> bool:
        """Whether it asks for one whole series and no more."""
        return self.query.level is Level.SERIES

    @property
    def expected(self) -> int | None:
        """How many instances it brings; None where that is not known of each series."""
        if self.query.level is Level.IMAGE:
            return self.query.matching["SOPInstanceUID"].count("\\") + 1
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
    return said_count(study.values, "NumberOfStudyRelatedSeries") == len(study.series)


#: Instances that one request names: each takes up to 65 bytes of an identifier of a few kilobytes.
_INSTANCES_A_REQUEST = 200


def requests(
    wanted: Collection[Wanted],
    whole: Collection[str],
    missing: Collection[str],
    lacking: Mapping[str, Collection[str]] | None = None,
    jobs: int = 1,
) -> list[Request]:
    """The requests that bring the missing series.

    Parameters
    ----------
    wanted : collection of Wanted
        All that is wanted.
    whole : collection of str
        UIDs of the studies of which all series are wanted.
    missing : collection of str
        UIDs of the series that are not here in full.
    lacking : mapping of str to collection of str, optional
        SeriesInstanceUID to the SOPInstanceUIDs that are not here, of series of which a part is.
    jobs : int
        How many requests run side by side. Where whole studies are fewer, series are asked for instead.

    Returns
    -------
    list of Request
        One for a whole study where all of it is missing, else one for each series, or for the instances that
        a series lacks.
    """
    lacking = lacking or {}
    by_study: dict[str, list[Wanted]] = {}
    for series in wanted:
        by_study.setdefault(series.study_uid, []).append(series)
    found = _of_studies(by_study, whole, missing, lacking)
    return found if len(found) >= jobs else _of_studies(by_study, (), missing, lacking)


def _of_studies(
    by_study: Mapping[str, Sequence[Wanted]],
    whole: Collection[str],
    missing: Collection[str],
    lacking: Mapping[str, Collection[str]],
) -> list[Request]:
    return [
        request
        for study, series in by_study.items()
        for request in _of_study(study, series, whole, missing, lacking)
    ]


def _of_study(
    study_uid: str,
    series: Sequence[Wanted],
    whole: Collection[str],
    missing: Collection[str],
    lacking: Mapping[str, Collection[str]],
) -> Iterator[Request]:
    asked = [one for one in series if one.series_uid in missing]
    parts = [one for one in asked if lacking.get(one.series_uid)]
    if len(asked) > 1 and len(asked) == len(series) and not parts and study_uid in whole:
        yield Request(Query(Level.STUDY, {"StudyInstanceUID": study_uid}), tuple(asked))
        return
    for one in asked:
        keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": one.series_uid}
        uids = sorted(lacking.get(one.series_uid, ()))
        for start in range(0, len(uids), _INSTANCES_A_REQUEST):
            some = "\\".join(uids[start : start + _INSTANCES_A_REQUEST])
            yield Request(Query(Level.IMAGE, {**keys, "SOPInstanceUID": some}), (one,))
        if not uids:
            yield Request(Query(Level.SERIES, keys), (one,))


def missing_series(wanted: Collection[Wanted], held: Mapping[str, int], force: bool) -> set[str]:
    """The UIDs of the series that are not here in full, or of all where that shall not count."""
    return {
        series.series_uid
        for series in wanted
        if force or series.expected is None or held.get(series.series_uid, 0) < series.expected
    }
