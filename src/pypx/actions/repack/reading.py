"""The first stage: files are read, and gathered into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pypx.basemount import schema
from pypx.basemount.templates import TreeTemplates
from pypx.dicom.header import Header, read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, PypxError

#: A batch is written down in one transaction: large enough that this costs little, small enough that not
#: much is done twice after a kill.
BATCH_FILES = 200
BATCH_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """A file and its header, or why there is none."""

    path: Path
    header: Header | None = None
    error: PypxError | None = None


def read(files: Iterable[Path], templates: TreeTemplates) -> Iterator[Reading]:
    """Read the headers of files: all that the catalogue and the templates want to know."""
    keywords = schema.ATTRIBUTES | templates.keywords
    for path in files:
        try:
            yield Reading(path, read_header(path, keywords))
        except (NotDicom, FileDamaged, FileUnreadable) as error:
            yield Reading(path, error=error)


def batches(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    """The readings, so many together as are written down in one transaction."""
    batch: list[Reading] = []
    size = 0
    for reading in readings:
        batch.append(reading)
        size += reading.header.size if reading.header else 0
        if len(batch) == BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
