"""What the catalogue knows for those who push: the files of a series, and its folder in a storage."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from pypx.basemount import rows, schema, strays
from pypx.basemount.smdb import Catalogue, chunks

# All of these raise CatalogueLocked, CatalogueDamaged or BasemountUnusable; what writes DiskFull as well.


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file in data/, as the catalogue has it.

    Parameters
    ----------
    sop_uid, variant : str
        What it is known by.
    instance_number : str
        InstanceNumber (0020,0013).
    path : str
        Below data/.
    size : int
        When it was packed, in bytes.
    """

    sop_uid: str
    variant: str
    instance_number: str
    path: str
    size: int


def files_of_series(catalogue: Catalogue, series_uids: Collection[str]) -> dict[str, tuple[HeldFile, ...]]:
    """What is held of series, by SOP Instance UID and variant: nothing of a series that is not known.

    Strays are not of the series that they name, and left out.
    """
    table = schema.instance.c
    columns = (table.SOPInstanceUID, table.variant, table.InstanceNumber, table.path, table.size)
    found: dict[str, list[HeldFile]] = {uid: [] for uid in series_uids}
    with catalogue.database.reading() as connection:
        if connection is None:
            return dict.fromkeys(found, ())
        for chunk in chunks(found):
            query = select(table.SeriesInstanceUID, *columns).where(
                table.SeriesInstanceUID.in_(chunk), strays.IS_NONE
            )
            for series_uid, *held in connection.execute(query):
                found[series_uid].append(HeldFile(*held))
    # Not by the database: PostgreSQL sorts by its locale.
    return {
        uid: tuple(sorted(held, key=lambda one: (one.sop_uid, one.variant))) for uid, held in found.items()
    }


def folder_of_series(catalogue: Catalogue, target: str, series_uid: str) -> str | None:
    """The folder that a series has in a storage; None where it has none yet.

    Parameters
    ----------
    catalogue : Catalogue
    target : str
        The storage, and where in it.
    series_uid : str
        SeriesInstanceUID (0020,000E).
    """
    with catalogue.database.reading() as connection:
        return _folder(connection, target, series_uid) if connection else None


def claim_folder(catalogue: Catalogue, target: str, series_uid: str, folder: str) -> str | None:
    """Make a folder in a storage that of a series, unless it is another's or the series has one.

    Returns
    -------
    str or None
        The folder that the series has now, perhaps one that another process claimed; None where this one is
        another series', and the series has none.
    """
    row = {"target": rows.storable(target), "SeriesInstanceUID": rows.storable(series_uid), "folder": folder}
    with catalogue.database.writing() as connection:
        catalogue.put(connection, schema.storage_folder, [row])
        return _folder(connection, target, series_uid)


def _folder(connection: Connection, target: str, series_uid: str) -> str | None:
    table = schema.storage_folder.c
    query = select(table.folder).where(
        table.target == rows.storable(target), table.SeriesInstanceUID == rows.storable(series_uid)
    )
    found: str | None = connection.scalar(query)
    return found
