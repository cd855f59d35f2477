"""What a receiving service says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """Something to tell, in one line without the name of a patient.

    Parameters
    ----------
    is_problem : bool
    text : str
    """

    is_problem: bool
    text: str
