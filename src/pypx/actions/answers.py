"""What of a PACS's answers is kept: PACS ignore keys, repeat themselves, and answer what nobody asked.

Each function is pure and gives back what it keeps together with notes for the reader. A note tells attributes
and numbers, never a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from pypx.dicom.matching import matches
from pypx.dicom.uid import is_uid

#: The values of one answer: keyword (or gggg,eeee) to text.
Values: TypeAlias = Mapping[str, str]

#: A number of answers that is a multiple of this, and not small, is more likely a limit than chance.
_ROUND = 50
_SMALLEST_LIMIT = 100


def distinct(answers: Iterable[Values], uid: str, what: str) -> tuple[list[Values], list[str]]:
    """Each study or series once, and none without a UID.

    Parameters
    ----------
    answers : iterable of mapping
    uid : str
        Keyword of the UID that tells them apart.
    what : str
        What they are, in the plural.
    """
    kept: dict[str, Values] = {}
    without = 0
    for values in answers:
        if is_uid(values.get(uid, "")):
            kept.setdefault(values[uid], values)
        else:
            without += 1
    notes = [f"{without} {what} left out: the PACS gave no valid {uid}."] if without else []
    return list(kept.values()), notes


def fitting(
    answers: Sequence[Values], matching: Mapping[str, str], what: str
) -> tuple[list[Values], list[str]]:
    """The answers that fit what was asked for, as far as they tell.

    A PACS may ignore a key that it does not support for matching. It then returns the attribute all the
    same, or in no answer a value of it (PS3.4, C.4.1.1.3.2): what cannot be checked is kept, and said.

    Parameters
    ----------
    answers : sequence of mapping
    matching : mapping of str to str
        What was asked for.
    what : str
        What they are, in the plural.
    """
    told = {name for name in matching if any(values.get(name) for values in answers)}
    unknown = [name for name in matching if name not in told and matching[name].strip("*")]
    notes = []
    if unknown and answers:
        notes.append(
            f"The PACS returns no {' and no '.join(unknown)}: whether the {what} match could not be checked."
        )
    kept = list(answers)
    for name in told:
        fits = [values for values in kept if matches(name, matching[name], values.get(name, ""))]
        if len(fits) < len(kept):
            notes.append(f"{len(kept) - len(fits)} {what} left out: they do not match {name}.")
        kept = fits
    return kept, notes


def of_study(answers: Iterable[Values], study_uid: str) -> tuple[list[Values], int]:
    """The answers that are of this study, or do not say; and how many are of another."""
    kept: list[Values] = []
    foreign = 0
    for values in answers:
        if values.get("StudyInstanceUID", study_uid) in (study_uid, ""):
            kept.append({**values, "StudyInstanceUID": study_uid})
        else:
            foreign += 1
    return kept, foreign


def limit_note(count: int, what: str) -> list[str]:
    """What to say when the number of answers looks like a limit of the PACS."""
    if count < _SMALLEST_LIMIT or count % _ROUND:
        return []
    return [
        f"Exactly {count} {what}: perhaps a limit of the PACS. Narrow the query to be sure that none lacks."
    ]
