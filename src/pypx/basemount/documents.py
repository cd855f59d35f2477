"""The JSON tables of releases before 4, kept as they were imported: what they say must not get lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from pypx.basemount import rows, schema
from pypx.basemount.smdb import Catalogue, chunks

_FETCHED = 500

# All reading raises CatalogueLocked, CatalogueDamaged or BasemountUnusable; writing DiskFull as well.


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the tree.

    Parameters
    ----------
    owner : str
        PatientID, StudyInstanceUID or SeriesInstanceUID of what it is about.
    path : str
        In the tree, such as ``seriesData/1.2.3-meta.json``.
    content : str
        JSON, in ASCII.
    """

    owner: str
    path: str
    content: str


def keep(catalogue: Catalogue, documents: Iterable[Document]) -> None:
    """Write documents down, in the place of those that had the same path."""
    table = schema.document
    wanted = {(rows.storable(one.owner), one.path): one.content for one in documents}
    statement = catalogue.insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c.owner, table.c.path], set_={"content": statement.excluded.content}
    )
    for chunk in chunks(sorted(wanted)):
        values = [{"owner": owner, "path": path, "content": wanted[owner, path]} for owner, path in chunk]
        with catalogue.database.writing() as connection:
            connection.execute(statement, values)


def of_owners(catalogue: Catalogue, owners: Collection[str]) -> dict[str, dict[str, str]]:
    """The documents of each of these patients, studies or series: path to content."""
    table = schema.document.c
    stored = {rows.storable(owner): owner for owner in owners}
    found: dict[str, dict[str, str]] = {owner: {} for owner in owners}
    with catalogue.database.reading() as connection:
        if connection:
            for chunk in chunks(stored):
                query = select(schema.document).where(table.owner.in_(chunk)).order_by(table.path)
                for row in connection.execute(query):
                    found[stored[row.owner]][row.path] = row.content
    return found


def everything(catalogue: Catalogue) -> Iterator[Document]:
    """All documents, fetched as they are asked for."""
    table = schema.document.c
    query = select(table.owner, table.path, table.content)
    with catalogue.database.reading() as connection:
        if connection:
            for row in connection.execution_options(yield_per=_FETCHED).execute(query):
                yield Document(row.owner, row.path, row.content)
