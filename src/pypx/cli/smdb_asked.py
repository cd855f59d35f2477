"""What the command line asks of an action of px-smdb: which values, whose, which files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypx.discretion import hide
from pypx.errors import UsageError
from pypx.home import at_home

if TYPE_CHECKING:
    from pypx.actions.sources import SourceFiles
    from pypx.basemount.layout import Basemount


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for.

    Parameters
    ----------
    action : str
    options : mapping
    basemount : Basemount
    """

    action: str
    options: Mapping[str, Any]
    basemount: Basemount

    @property
    def text(self) -> str:
        """``--actionArgs`` as it is."""
        return str(self.options["actionArgs"] or "").strip()

    @property
    def plain_text(self) -> str:
        """``--actionArgs`` where it is no JSON object; else empty."""
        return "" if self.text.startswith("{") else self.text

    def members(self) -> dict[str, Any]:
        """``--actionArgs`` as a JSON object, where it is one; else empty."""
        if not self.text.startswith("{"):
            return {}
        try:
            members = json.loads(self.text)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"--actionArgs begins like JSON, and is none ({error})", "Correct it, or give plain text."
            ) from error
        return dict(members)

    def value(self, keyword: str) -> str:
        """The attribute that the action is about: of ``--actionArgs``, else of the option of that name.

        Raises
        ------
        UsageError
            When none of them has it.
        """
        value = str(self.members().get(keyword, self.plain_text) or self.options.get(keyword) or "")
        if not value:
            raise self._lacks(keyword)
        if keyword == "PatientID":
            hide([value])
        return value

    def matching(self) -> dict[str, str]:
        """What the query options look for, and the members of ``--actionArgs``.

        Raises
        ------
        UsageError
            When ``--actionArgs`` is a text that no attribute is named for.
        """
        from pypx.cli.query import QUERY_OPTIONS, matching_of

        if self.plain_text:
            raise UsageError(
                f"{self.action} takes query options or a JSON object",
                """Write --PatientID VALUE, or --actionArgs '{"PatientID": "VALUE"}'.""",
            )
        members = self.members()
        named = {name: value for name, value in members.items() if name in QUERY_OPTIONS}
        others = [f"{name}={value}" for name, value in members.items() if name not in QUERY_OPTIONS]
        given = {name: value for name, value in self.options.items() if value not in (None, "", ())}
        return matching_of({**named, **given, "query": [*others, *(self.options["query"] or ())]})

    def files(self) -> list[Path] | None:
        """The files that the options name, or ``--actionArgs``; None where neither names any."""
        named = self._named_files() or self._file_of_text()
        return None if named is None else list(named.files())

    def identifiers(self, keyword: str) -> list[str]:
        """The values that an attribute has in the files that are named; else those that are named themselves.

        Parameters
        ----------
        keyword : str
            PatientID, StudyInstanceUID or SeriesInstanceUID.

        Raises
        ------
        UsageError
            When neither files nor values are named.
        NotDicom, FileDamaged, FileUnreadable
            When the one file that is named cannot be read.
        """
        from pypx.actions.smdb.identifiers import identifiers_of
        from pypx.cli.options import uids_of

        named = self._named_files()
        if named is None and self._text_is_path(keyword):
            named = self._file_of_text()
        if named is None:
            value = self.value(keyword)
            values = [value] if keyword == "PatientID" else uids_of({keyword: value}, keyword)
            if not values:
                raise self._lacks(keyword)
            return values
        values = identifiers_of(named, keyword)
        if keyword == "PatientID":
            hide(values)
        return values

    def _lacks(self, keyword: str) -> UsageError:
        return UsageError(f"{self.action} needs a {keyword}", f"Give it with --actionArgs or --{keyword}.")

    def _named_files(self) -> SourceFiles | None:
        from pypx.cli.options import files_of

        is_named = any(self.options[name] for name in ("xcrdir", "xcrfile", "xcrdirfile"))
        return files_of(self.options) if is_named else None

    def _file_of_text(self) -> SourceFiles | None:
        from pypx.actions.sources import SourceFiles

        return SourceFiles(path=at_home(self.plain_text)) if self.plain_text else None

    def _text_is_path(self, keyword: str) -> bool:
        """Whether ``--actionArgs`` is a file: a UID has no slash in it, but a PatientID may."""
        if "/" not in self.plain_text:
            return False
        # Not is_file(), which fails where a name is too long.
        return keyword != "PatientID" or os.path.isfile(at_home(self.plain_text))  # noqa: PTH113
