"""What is held that a query may mean: the catalogue's part of a search.

SQL narrows down as far as it surely can, over all series and never over all instances; whoever asked holds
each answer against the query once more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    and_,
    cast,
    exists,
    func,
    or_,
    select,
)

from pypx.basemount import schema, strays
from pypx.basemount.smdb import Catalogue, chunks

#: Attributes that each study or series is described by; those of an instance can be looked for.
STUDY_KEYWORDS = (*schema.PATIENT_ATTRIBUTES, "StudyInstanceUID", *schema.STUDY_ATTRIBUTES)
SERIES_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", *schema.SERIES_ATTRIBUTES)
INSTANCE_KEYWORDS = ("SOPInstanceUID", "SOPClassUID")

_COLUMNS: Mapping[str, Column[str]] = {
    **{name: schema.patient.c[name] for name in schema.PATIENT_ATTRIBUTES},
    "StudyInstanceUID": schema.study.c.StudyInstanceUID,
    **{name: schema.study.c[name] for name in schema.STUDY_ATTRIBUTES},
    "SeriesInstanceUID": schema.series.c.SeriesInstanceUID,
    **{name: schema.series.c[name] for name in schema.SERIES_ATTRIBUTES},
    **{name: schema.instance.c[name] for name in INSTANCE_KEYWORDS},
}

#: Where a text that was asked for may be something else in the value that it means: at wildcards, at letters
#: that have accents and the like, and in names at what delimits their parts.
_BREAKS = re.compile(r"[*?]|[^ -~]+")
_BREAKS_IN_NAMES = re.compile(r"[*?^=,\s]|[^ -~]+")

_DAYS = re.compile(r"(\d{8})?(-?)(\d{8})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """One attribute and the value that is looked for.

    Parameters
    ----------
    keyword : str
    vr : str
        Its value representation.
    value : str
        As a query sends it (PS3.4, C.2.2.2).
    """

    keyword: str
    vr: str
    value: str


@dataclass(frozen=True, slots=True)
class HeldSeries:
    """A series of which there are instances, and what is said of its patient and study.

    Parameters
    ----------
    study, series : mapping of str to str
        Keyword to text.
    is_stray : bool
        Whether it is strays of the series, and the patient and study that they say they are of.
    """

    study: Mapping[str, str]
    series: Mapping[str, str]
    is_stray: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """StudyInstanceUID and PatientID: two patients' images may say that they are of one study."""
        return self.study["StudyInstanceUID"], self.study["PatientID"]


def series_that_may_fit(catalogue: Catalogue, asked: Sequence[Asked]) -> Iterator[HeldSeries]:
    """All series that fit, and others that do not; in the order of patients, days and studies.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    yield from _described(catalogue, asked)


def _described(catalogue: Catalogue, wanted: Sequence[Asked | ColumnElement[bool]]) -> Iterator[HeldSeries]:
    patient, study, series = schema.patient, schema.study, schema.series
    with catalogue.database.reading() as connection:
        if connection is None:
            return
        conditions = (_condition(connection, one) if isinstance(one, Asked) else one for one in wanted)
        query = (
            select(
                *(_COLUMNS[name].label(f"study_{name}") for name in STUDY_KEYWORDS),
                *(series.c[name].label(f"series_{name}") for name in SERIES_KEYWORDS),
            )
            .select_from(series)
            .join(study, study.c.StudyInstanceUID == series.c.StudyInstanceUID)
            .join(patient, patient.c.patient == study.c.patient)
            .where(*(condition for condition in conditions if condition is not None))
            .order_by(patient.c.PatientID, study.c.StudyDate, study.c.StudyInstanceUID)
        )
        in_study = len(STUDY_KEYWORDS)
        for row in connection.execute(query):
            yield HeldSeries(
                dict(zip(STUDY_KEYWORDS, row[:in_study], strict=True)),
                dict(zip(SERIES_KEYWORDS, row[in_study:], strict=True)),
            )


def strays_that_may_fit(catalogue: Catalogue, asked: Sequence[Asked]) -> Iterator[HeldSeries]:
    """Strays, as if they were series of the patients and studies that they say they are of.

    Of a study that is somebody else's, nothing is told but its UID.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    patient, study, series, instance = schema.patient, schema.study, schema.series, schema.instance
    owner = patient.alias()
    with catalogue.database.reading() as connection:
        if connection is None:
            return
        conditions = [
            _COLUMNS[one.keyword].in_(one.value.split("\\"))
            if one.keyword in INSTANCE_KEYWORDS
            else _condition(connection, one)
            for one in asked
        ]
        query = (
            select(
                owner.c.PatientID.label("owner"),
                *(_COLUMNS[name].label(f"study_{name}") for name in STUDY_KEYWORDS),
                *(series.c[name].label(f"series_{name}") for name in SERIES_KEYWORDS),
            )
            .join_from(schema.stray, instance, strays.OF_INSTANCE)
            .join(series, series.c.SeriesInstanceUID == instance.c.SeriesInstanceUID)
            .join(study, study.c.StudyInstanceUID == schema.stray.c.StudyInstanceUID)
            .join(patient, patient.c.patient == schema.stray.c.patient)
            .join(owner, owner.c.patient == study.c.patient)
            .where(*(condition for condition in conditions if condition is not None))
            .distinct()
        )
        for whose, *row in connection.execute(query):
            of_study = dict(zip(STUDY_KEYWORDS, row, strict=False))
            of_series = dict(zip(SERIES_KEYWORDS, row[len(STUDY_KEYWORDS) :], strict=True))
            of_series["StudyInstanceUID"] = of_study["StudyInstanceUID"]
            if whose != of_study["PatientID"]:
                of_study |= dict.fromkeys(schema.STUDY_ATTRIBUTES, "")
            yield HeldSeries(of_study, of_series, is_stray=True)


def strays_of_studies(
    catalogue: Catalogue, study_uids: Sequence[str]
) -> dict[tuple[str, str], dict[str, tuple[str, int]]]:
    """By StudyInstanceUID and PatientID the series that have strays of it: their modality, and how many.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    instance, stray, patient, series = schema.instance.c, schema.stray.c, schema.patient.c, schema.series.c
    columns = (stray.StudyInstanceUID, patient.PatientID, instance.SeriesInstanceUID, series.Modality)
    found: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}
    with catalogue.database.reading() as connection:
        if connection:
            for chunk in chunks(study_uids):
                query = (
                    select(*columns, func.count(instance.SOPInstanceUID.distinct()))
                    .join_from(schema.stray, schema.instance, strays.OF_INSTANCE)
                    .join(schema.series, series.SeriesInstanceUID == instance.SeriesInstanceUID)
                    .join(schema.patient, patient.patient == stray.patient)
                    .where(stray.StudyInstanceUID.in_(chunk))
                    .group_by(*columns)
                )
                for study_uid, patient_id, series_uid, modality, count in connection.execute(query):
                    found.setdefault((study_uid, patient_id), {})[series_uid] = modality, count
    return found


def series_of_patients(catalogue: Catalogue, patient_ids: Sequence[str]) -> Iterator[HeldSeries]:
    """The series of these very PatientIDs, whoever else has one of them, too.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    for chunk in chunks(patient_ids):
        yield from _described(catalogue, [schema.patient.c.PatientID.in_(chunk)])


def modalities_of_studies(
    catalogue: Catalogue, study_uids: Sequence[str]
) -> dict[tuple[str, str], dict[str, str]]:
    """By StudyInstanceUID and PatientID the modality of each series of these studies, by SeriesInstanceUID.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    table = schema.series.c
    found: dict[tuple[str, str], dict[str, str]] = {}
    with catalogue.database.reading() as connection:
        if connection:
            for chunk in chunks(study_uids):
                query = (
                    select(
                        table.StudyInstanceUID,
                        schema.patient.c.PatientID,
                        table.SeriesInstanceUID,
                        table.Modality,
                    )
                    .join(schema.study, schema.study.c.StudyInstanceUID == table.StudyInstanceUID)
                    .join(schema.patient, schema.patient.c.patient == schema.study.c.patient)
                    .where(table.StudyInstanceUID.in_(chunk))
                )
                for study_uid, patient_id, series_uid, modality in connection.execute(query):
                    found.setdefault((study_uid, patient_id), {})[series_uid] = modality
    return found


def _condition(connection: Connection, asked: Asked) -> ColumnElement[bool] | None:
    """What a row must be for its value to fit; None where SQL cannot tell."""
    column = _COLUMNS[asked.keyword]
    if asked.keyword in INSTANCE_KEYWORDS:
        of_series = schema.instance.c.SeriesInstanceUID == schema.series.c.SeriesInstanceUID
        return exists().where(of_series, column.in_(asked.value.split("\\")), strays.IS_NONE)
    if asked.vr == "UI":
        return column.in_(asked.value.split("\\"))
    if asked.vr == "DA":
        return _within_days(connection, column, asked.value)
    if asked.vr in ("AE", "CS", "LO", "PN", "SH"):
        return _may_hold(connection, column, _fragments(asked))
    return None


def _within_days(connection: Connection, column: Column[str], value: str) -> ColumnElement[bool] | None:
    days = _DAYS.fullmatch(value)
    if not days or not (days[1] or days[3]):
        return None
    text = _bytewise(connection, column)
    first = text >= days[1] if days[1] else None
    last_day = days[3] if days[2] else days[1]
    last = text <= last_day if last_day else None
    within = and_(*(bound for bound in (first, last) if bound is not None))
    # Earlier writers had dots in it (PS3.5, 6.2), and others whatever they liked.
    return or_(~_is_eight_digits(connection, column), within)


def _is_eight_digits(connection: Connection, column: Column[str]) -> ColumnElement[bool]:
    if connection.dialect.name == "postgresql":
        return column.regexp_match("^[0-9]{8}$")
    return column.bool_op("GLOB")("[0-9]" * 8)


def _fragments(asked: Asked) -> list[str]:
    """Of each of several values the longest text that stands in whatever fits it, in any case."""
    breaks = _BREAKS_IN_NAMES if asked.vr == "PN" else _BREAKS
    return [max(breaks.split(part), key=len, default="").strip() for part in asked.value.split("\\")]


def _may_hold(
    connection: Connection, column: Column[str], fragments: Iterable[str]
) -> ColumnElement[bool] | None:
    wanted = list(fragments)
    if not all(wanted):
        return None
    text = _bytewise(connection, column)
    # What has letters beyond ASCII may be equal to what was asked for but for their accents.
    return or_(
        *(text.icontains(fragment, autoescape=True) for fragment in wanted),
        _bytes(connection, column) != func.length(column),
    )


def _bytewise(connection: Connection, column: Column[str]) -> ColumnElement[str]:
    """The column, compared byte by byte: PostgreSQL goes by its locale."""
    return column.collate("C") if connection.dialect.name == "postgresql" else column


def _bytes(connection: Connection, column: Column[str]) -> ColumnElement[int]:
    if connection.dialect.name == "postgresql":
        return func.octet_length(column)
    return func.length(cast(column, LargeBinary))
