"""What of a PACS's answers is kept: PACS ignore keys, repeat themselves, and answer what nobody asked.

A note tells attributes and numbers, never a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pypx.dicom.fitting import fits, is_demanding
from pypx.dicom.numbers import whole_number
from pypx.dicom.uid import is_uid
from pypx.wording import counted

#: The values of one answer: keyword (or gggg,eeee) to text.
Values: TypeAlias = Mapping[str, str]

_PLURAL = {"study": "studies", "series": "series"}

#: A number of answers that is a multiple of this, and not small, is more likely a limit than chance.
_ROUND = 50
_SMALLEST_LIMIT = 100


class Sieve:
    """Takes answers one after another, and keeps those that fit, each study or series once.

    A PACS may ignore a key that it does not support for matching. It then returns the attribute all the same,
    or in no answer a value of it (PS3.4, C.4.1.1.3.2): what cannot be checked is kept, and said.

    Parameters
    ----------
    uid : str
        Keyword of the UID that tells answers apart.
    what : str
        What they are: "study" or "series".
    matching : mapping of str to str
        What was asked for.
    """

    def __init__(self, uid: str, what: str, matching: Mapping[str, str]) -> None:
        self._uid = uid
        self._what = what
        self._matching = {name: value for name, value in matching.items() if is_demanding(value)}
        self._kept: dict[str, dict[str, Values]] = {}
        self._told: set[str] = set()
        self._without_uid = 0
        self._foreign = 0
        self._unfit: Counter[str] = Counter()

    def take(self, values: Values, study_uid: str = "") -> None:
        """Take an answer.

        Parameters
        ----------
        values : mapping of str to str
        study_uid : str
            Of the study whose series were asked for; an answer that is of another is foreign.
        """
        uid = values.get(self._uid, "")
        if not is_uid(uid):
            self._without_uid += 1
        elif study_uid and values.get("StudyInstanceUID", "") not in ("", study_uid):
            self._foreign += 1
        elif self._fits(values):
            if study_uid and values.get("StudyInstanceUID") != study_uid:
                values = {**values, "StudyInstanceUID": study_uid}
            self._kept.setdefault(study_uid, {}).setdefault(uid, values)

    def _fits(self, values: Values) -> bool:
        for name, asked in self._matching.items():
            answered = values.get(name, "")
            if answered:
                self._told.add(name)
            elif name not in self._told:
                continue  # whether it returns the attribute at all is not known yet
            if not fits(name, asked, answered):
                self._unfit[name] += 1
                return False
        return True

    def settle(self) -> None:
        """Leave out what lacks a value, and came before it was known that the PACS tells the attribute."""
        for held in self._kept.values():
            for uid, values in list(held.items()):
                missing = next(
                    (name for name in self._matching if name in self._told and not values.get(name)), ""
                )
                if missing:
                    self._unfit[missing] += 1
                    del held[uid]

    def kept(self, study_uid: str = "") -> list[Values]:
        """The answers that fit, in the order in which they came."""
        return list(self._kept.get(study_uid, {}).values())

    @property
    def count(self) -> int:
        """How many are kept."""
        return sum(len(held) for held in self._kept.values())

    @property
    def unchecked(self) -> list[str]:
        """The keys that the PACS returned in no answer, if there is one."""
        return [name for name in self._matching if name not in self._told] if self.count else []

    def notes(self) -> list[str]:
        """What a reader should know of what is left out."""
        notes = [
            f"{some(count, self._what)} left out for not matching {name}."
            for name, count in self._unfit.items()
        ]
        if self._without_uid:
            notes.append(f"{some(self._without_uid, self._what)} left out for lack of a valid {self._uid}.")
        if self._foreign:
            foreign = some(self._foreign, self._what)
            notes.append(f"{foreign} left out for being of another study than the one asked for.")
        return notes


def some(count: int, what: str) -> str:
    """So many studies or series, in words: "1 study", "2 studies", "1 series"."""
    return counted(count, what, _PLURAL[what])


def unchecked_notes(names: Sequence[str], what: str) -> list[str]:
    """What to say of keys that the PACS returned in no answer."""
    if not names:
        return []
    return [
        f"The PACS returns no {' and no '.join(names)}:"
        f" whether the {_PLURAL[what]} match could not be checked."
    ]


def looks_like_a_limit(count: int) -> bool:
    """Whether a number of answers is more likely a limit of the PACS than all that it has."""
    return count >= _SMALLEST_LIMIT and count % _ROUND == 0


def said_count(values: Values, keyword: str) -> int | None:
    """A number that the PACS tells; None where it does not."""
    return whole_number(values.get(keyword, ""))
