"""What a comparison of tree and catalogue found, and what became of it."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypx.basemount.layout import Basemount
from pypx.errors import CatalogueDiffers, PypxError
from pypx.wording import counted


class Fault(enum.Enum):
    """What can be wrong."""

    DAMAGED_CATALOGUE = "catalogue damaged"
    MISSING = "missing"
    UNKNOWN = "unknown"
    WRONG_SIZE = "wrong size"
    QUARANTINED = "in quarantine"
    QUARANTINE_GONE = "gone from quarantine"
    INCOMING = "left in incoming"
    UNFINISHED = "unfinished copy"
    STRAY = "of another patient or study"


#: Each fault as a person reads it in a sentence, of one file and of several.
WORDS: Mapping[Fault, str] = {
    Fault.DAMAGED_CATALOGUE: "catalogue damaged",
    Fault.MISSING: "missing in data/",
    Fault.UNKNOWN: "unknown to the catalogue",
    Fault.WRONG_SIZE: "of another size than catalogued",
    Fault.QUARANTINED: "in quarantine",
    Fault.QUARANTINE_GONE: "gone from quarantine",
    Fault.INCOMING: "left in incoming",
    Fault.UNFINISHED: "copied only in part",
    Fault.STRAY: "with images of another patient or study than their series",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or was.

    Parameters
    ----------
    fault : Fault
    file : pathlib.Path
        Absolute; of strays, the directory that they are in.
    detail : str
        In words: what exactly.
    done : str
        What was done about it; "" where nothing was.
    is_mended : bool
        Whether it is right now.
    is_damaged : bool
        Whether the image itself is lost, until it is retrieved again.
    """

    fault: Fault
    file: Path
    detail: str = ""
    done: str = ""
    is_mended: bool = False
    is_damaged: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "fault": self.fault.value,
            "file": str(self.file),
            "detail": self.detail,
            "done": self.done,
            "mended": self.is_mended,
        }


def stray(basemount: Basemount, series_uid: str, directory: str, count: int) -> Finding:
    """That so many strays with the UID of a series lie in a directory below data/."""
    detail = f"{counted(count, 'image', 'images')} with the UID of the series {series_uid}"
    return Finding(Fault.STRAY, basemount.data / directory, detail)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of a check.

    Parameters
    ----------
    files : int
        Files in data/.
    instances : int
        Instances in the catalogue, before anything was mended.
    replaced : int
        Files in quarantine of whose instances whole ones are held: nothing is wrong with that.
    busy : int
        Directories that other processes receive into, or copy to, at this moment.
    findings : tuple of Finding
    seconds : float
    """

    files: int
    instances: int
    replaced: int
    busy: int
    findings: tuple[Finding, ...]
    seconds: float = 0.0

    @property
    def left(self) -> tuple[Finding, ...]:
        """What is wrong still."""
        return tuple(finding for finding in self.findings if not finding.is_mended)

    @property
    def ok(self) -> bool:
        return not self.left

    @property
    def error(self) -> PypxError | None:
        if self.ok:
            return None
        counts = Counter(finding.fault for finding in self.left)
        said = ", ".join(f"{count} {WORDS[fault]}" for fault, count in counts.items())
        what = "Not all is in order" if counts.keys() == {Fault.STRAY} else "Tree and catalogue differ"
        return CatalogueDiffers(f"{what}: {said}", self._cure())

    def _cure(self) -> str:
        others = [one for one in self.left if one.fault is not Fault.STRAY]
        cures = [_cure_of(others)] if others else []
        cures += [_CURE_OF_STRAYS] if len(others) < len(self.left) else []
        return " ".join(cures)

    def count(self, fault: Fault) -> int:
        return sum(finding.fault is fault for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-smdb."""
        document: dict[str, Any] = {
            "status": "success" if self.ok else "error",
            "summary": {
                "files": self.files,
                "instances": self.instances,
                **{_NAMES[fault]: self.count(fault) for fault in Fault},
                "replaced": self.replaced,
                "busy": self.busy,
                "mended": len(self.findings) - len(self.left),
                "left": len(self.left),
                "seconds": round(self.seconds, 3),
            },
            "data": [finding.to_json() for finding in self.findings],
        }
        if self.error:
            document["error"] = self.error.to_json()
        return document


def _cure_of(left: Sequence[Finding]) -> str:
    """What to do about what is wrong between tree and catalogue."""
    damaged = [one for one in left if one.is_damaged]
    if not damaged and not any(one.done for one in left):
        return CatalogueDiffers.cure
    retrieve = "Retrieve damaged images again (px-move --force), or remove them from quarantine/."
    decide = "Where nothing could be done, it is for a person to move the file elsewhere."
    cures = [retrieve] if damaged else []
    cures += [decide] if any(one.done and not one.is_damaged for one in left) else []
    if any(not one.done and not one.is_damaged for one in left):
        cures.append(CatalogueDiffers.cure)
    return " ".join(cures)


_CURE_OF_STRAYS = (
    "Whose the images are, a person must find out; remove those that are wrong from data/, these or the"
    " others of the series, and run px-smdb --action check --repair."
)

_NAMES: Mapping[Fault, str] = {
    Fault.DAMAGED_CATALOGUE: "damagedCatalogues",
    Fault.MISSING: "missing",
    Fault.UNKNOWN: "unknown",
    Fault.WRONG_SIZE: "wrongSize",
    Fault.QUARANTINED: "quarantined",
    Fault.QUARANTINE_GONE: "quarantineGone",
    Fault.INCOMING: "incoming",
    Fault.UNFINISHED: "unfinished",
    Fault.STRAY: "strays",
}
