"""Names in storage: ``SERVICES/PACS/<PACS>/<root>/<study>/<series>/<image>``, never longer than all take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from pypx.actions.push.wanted import WantedFile
from pypx.basemount.templates import COMPONENT_BYTES, TreeTemplates, distinct_component
from pypx.cube.fields import SERVICES
from pypx.errors import InvalidValue

#: The longest name that every release of CUBE takes; object storages take more.
LONGEST_NAME = 512

#: What a component is cut to where the whole would be too long.
_SHORT = 110

#: Digits of the digest in a name that would be taken without one.
_DIGITS = 8
_DIGITS_OF_CUT = 16

_PACS_NAME = re.compile(r"[^/,\x00-\x1f\x7f]{1,20}")


def top_of(pacs_name: str) -> str:
    """Where the series of a PACS are in storage.

    Raises
    ------
    InvalidValue
        When CUBE would not take this name.
    """
    if not _PACS_NAME.fullmatch(pacs_name) or pacs_name != pacs_name.strip() or pacs_name in (".", ".."):
        raise InvalidValue(
            f"{pacs_name!r} cannot be the name of a PACS in storage",
            "Correct --swiftServicesPACS: 1 to 20 characters, no slash and no comma among them.",
        )
    return f"{SERVICES}/{pacs_name}"


def folder_name(
    top: str, templates: TreeTemplates, values: Mapping[str, str], series_uid: str, attempt: int
) -> str:
    """The folder to try for a series.

    Parameters
    ----------
    top : str
        Of :func:`top_of`.
    templates : TreeTemplates
    values : mapping of str to str
        Of one instance: keyword to text.
    series_uid : str
    attempt : int
        0 for the plain name; from 1 on with a digest of the series, since the plain one is another's.
    """
    parts = list(templates.directories(values))
    if len("/".join((top, *parts))) > LONGEST_NAME - _SHORT - 1:
        parts = [_cut(part) for part in parts]
    if attempt:
        identity = series_uid if attempt == 1 else f"{series_uid} {attempt}"
        # In front: CUBE counts what begins with a folder's name, and takes X-1/… for files of the folder X.
        digest = hashlib.sha256(identity.encode()).hexdigest()[:_DIGITS]
        parts[-1] = f"{digest}-{parts[-1]}"[:COMPONENT_BYTES]
    return "/".join((top, *parts))


def image_name(folder: str, templates: TreeTemplates, file: WantedFile) -> str:
    """The name of a file in its series' folder; other content of the same UID has one of its own."""
    image = templates.image.component(file.values)
    longest = _longest_in(folder)
    if len(image) > longest:
        image = distinct_component(image, image, _DIGITS_OF_CUT, longest)
    name = f"{folder}/{image}"
    return distinct_name(name, file.sop_uid, file.variant) if file.variant else name


def distinct_name(name: str, sop_uid: str, digest: str) -> str:
    """The name of an instance that finds its plain one taken by another.

    Parameters
    ----------
    name : str
        The plain one, with its folder.
    sop_uid : str
    digest : str
        Of its data set; the same as the catalogue's variant has.
    """
    folder, _, image = name.rpartition("/")
    identity = f"{sop_uid} {digest[:16]}"
    return f"{folder}/{distinct_component(image, identity, _DIGITS, _longest_in(folder))}"


def _longest_in(folder: str) -> int:
    return min(COMPONENT_BYTES, LONGEST_NAME - len(folder) - 1)


def _cut(part: str) -> str:
    return part if len(part) <= _SHORT else distinct_component(part, part, _DIGITS_OF_CUT, _SHORT)
