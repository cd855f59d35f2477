"""Check that tree and catalogue agree, and mend where they do not."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.smdb.findings import CheckResult, Fault, Finding, stray
from pypx.actions.smdb.mend import mend
from pypx.actions.smdb.survey import Survey, survey
from pypx.basemount import inventory
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.errors import CatalogueDamaged

logger = logging.getLogger("pypx.smdb")


def check(
    basemount: Basemount, catalogue: Catalogue, *, repair: bool = False, progress: Progress = ignore_progress
) -> CheckResult:
    """Compare data/, quarantine/ and incoming/ with the catalogue.

    Parameters
    ----------
    basemount : Basemount
    catalogue : Catalogue
        Of it.
    repair : bool
        Mend what can be mended (:func:`pypx.actions.smdb.mend.mend`); a damaged catalogue in a file is moved
        aside and made anew from data/. What was requested, pushed and registered is then not known any more.
    progress : callable
        Told of files that are compared and packed.

    Raises
    ------
    CatalogueDamaged
        When it is damaged and not to be repaired, or cannot be.
    BasemountUnusable, DiskFull, CatalogueLocked
    """
    begun = time.monotonic()
    aside = _see_catalogue(catalogue, repair=repair)
    found = survey(basemount, catalogue, progress)
    first = [Finding(Fault.DAMAGED_CATALOGUE, aside, "", "moved aside, and made anew", True)] if aside else []
    mended = mend(basemount, catalogue, found, progress) if repair else tuple(found.findings(basemount))
    # What is left to a person, as it is now.
    strays = [stray(basemount, *where) for where in inventory.straying(catalogue)]
    return _result(found, (*first, *mended, *strays), time.monotonic() - begun)


def _result(found: Survey, findings: tuple[Finding, ...], seconds: float) -> CheckResult:
    return CheckResult(found.files, found.instances, found.replaced, found.busy, findings, seconds)


def _see_catalogue(catalogue: Catalogue, *, repair: bool) -> Path | None:
    """Where a damaged catalogue is now, after it was moved aside; None where it is whole."""
    try:
        catalogue.database.examine()
    except CatalogueDamaged:
        aside = catalogue.database.move_aside() if repair else None
        if aside is None:
            raise
        logger.warning("The catalogue is damaged; it is %s now, and is made anew from data/", aside)
        return aside
    return None
