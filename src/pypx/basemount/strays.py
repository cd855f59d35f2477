"""Strays: instances that say that they are of another study or patient than their series.

The catalogue knows a series by its UID, and what it is of by the first instance that came. A modality whose
counter was set back gives a UID twice, and a PACS may send whatever it likes: what came later and says
otherwise is kept as what it says it is, and is never taken for a part of that series.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, and_, exists, func, select

from pypx.basemount import rows, schema
from pypx.basemount.records import PackedInstance

#: What an instance says that it is of: SeriesInstanceUID, StudyInstanceUID, PatientID.
Said: TypeAlias = tuple[str, str, str]

OF_INSTANCE = and_(
    schema.stray.c.SOPInstanceUID == schema.instance.c.SOPInstanceUID,
    schema.stray.c.variant == schema.instance.c.variant,
)

#: Of an instance: that it is no stray.
IS_NONE = ~exists().where(OF_INSTANCE)


def said_by(values: Mapping[str, str]) -> Said:
    """What an instance says that it is of."""
    return values["SeriesInstanceUID"], values["StudyInstanceUID"], values.get("PatientID", "")


def described(connection: Connection, series_uids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Of which study and which patient each of these series (few hundred) is: the UID and the PatientID."""
    query = (
        select(
            schema.series.c.SeriesInstanceUID, schema.series.c.StudyInstanceUID, schema.patient.c.PatientID
        )
        .join_from(
            schema.series, schema.study, schema.study.c.StudyInstanceUID == schema.series.c.StudyInstanceUID
        )
        .join(schema.patient, schema.patient.c.patient == schema.study.c.patient)
        .where(schema.series.c.SeriesInstanceUID.in_(series_uids))
    )
    return {uid: (study_uid, patient_id) for uid, study_uid, patient_id in connection.execute(query)}


def contradicts(study_uid: str, patient_id: str, known: tuple[str, str]) -> bool:
    """Whether a study and a PatientID are others than those that are known; what is not said is none."""
    return any(map(_differ, (study_uid, rows.storable(patient_id)), known))


def straying(said: Iterable[Said], known: Mapping[str, tuple[str, str]]) -> set[Said]:
    """What is said otherwise than the series are described."""
    return {one for one in said if one[0] in known and contradicts(one[1], one[2], known[one[0]])}


def _differ(said: str, known: str) -> bool:
    return bool(said and known) and said != known


def rows_of(
    instances: Iterable[PackedInstance], said: Collection[Said], patients: Mapping[Said, str]
) -> list[dict[str, str]]:
    """Rows of the table, for those of the instances that say one of these things.

    Parameters
    ----------
    instances : iterable of PackedInstance
    said : collection of (str, str, str)
        As :func:`straying` has it.
    patients : mapping of (str, str, str) to str
        The key of the patient that is meant.
    """
    found = []
    for instance in instances:
        one = said_by(instance.values)
        if one in said:
            sop_uid, variant = instance.key
            found.append(
                {
                    "SOPInstanceUID": sop_uid,
                    "variant": variant,
                    "StudyInstanceUID": one[1],
                    "patient": patients[one],
                }
            )
    return found


def forget(connection: Connection, sop_uid: str, variant: str) -> None:
    """Take out what an instance said that is gone, or that is replaced."""
    table = schema.stray
    connection.execute(table.delete().where(table.c.SOPInstanceUID == sop_uid, table.c.variant == variant))


def counts(connection: Connection, series_uids: Sequence[str]) -> dict[str, int]:
    """How many files of each series (few hundred) are strays, those series left out that have none."""
    table = schema.instance.c
    query = (
        select(table.SeriesInstanceUID, func.count())
        .join_from(schema.instance, schema.stray, OF_INSTANCE)
        .where(table.SeriesInstanceUID.in_(series_uids))
        .group_by(table.SeriesInstanceUID)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def series_of_study(connection: Connection, study_uid: str) -> list[str]:
    """The series that have strays of this study."""
    query = (
        select(schema.instance.c.SeriesInstanceUID)
        .join_from(schema.stray, schema.instance, OF_INSTANCE)
        .where(schema.stray.c.StudyInstanceUID == study_uid)
        .distinct()
    )
    return list(connection.scalars(query))
