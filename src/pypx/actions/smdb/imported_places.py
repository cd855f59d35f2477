"""Where the images lie that a tree of JSON tables tells of: nothing outside data/ counts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pypx.basemount.layout import Basemount


def location_of(told: Mapping[str, Any], name: str) -> str | None:
    """What a table of images says of one: where it lies; None where it does not say."""
    images = told.get("imageObj")
    image = images.get(name) if isinstance(images, dict) else None
    location = image.get("FSlocation") if isinstance(image, dict) else None
    return location if isinstance(location, str) else None


class Places:
    """Finds what a location means in data/.

    Parameters
    ----------
    basemount : Basemount
        Whose data/.
    """

    def __init__(self, basemount: Basemount) -> None:
        self._data = basemount.data
        self._real_data = os.path.realpath(basemount.data)

    def is_inside(self, location: str) -> bool:
        """Whether it names something in data/, there or not."""
        return any(True for _ in self._candidates(location))

    def find(self, location: str) -> Path | None:
        """The plain file in data/ that it names, None where there is none."""
        for path in self._candidates(location):
            try:
                # A directory on the way may be a link that leads elsewhere.
                real = os.path.realpath(path.parent)
                if stat.S_ISREG(path.lstat().st_mode) and f"{real}/".startswith(f"{self._real_data}/"):
                    return path
            except (OSError, ValueError):
                continue
        return None

    def _candidates(self, location: str) -> Iterator[Path]:
        """As it stands; and where the tree was written under another BASEMOUNT, below that one's data/."""
        if not location.startswith("/") or "\0" in location or "/../" in f"{location}/":
            return
        path = os.path.normpath(location)
        if path.startswith(f"{self._data}/"):
            yield Path(path)
        parts = path.split("/data/")
        for place in range(1, len(parts)):
            yield self._data / "/data/".join(parts[place:])
