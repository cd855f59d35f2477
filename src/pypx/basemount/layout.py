"""Where things are in a BASEMOUNT, the directory that one site keeps its images and records in.

========================  =============================================================================
``data/``                 the images, under names that a person can read
``log/``                  the catalogue and the logs; ``--db`` names this directory
``services/``             what is known of PACS, storage and CUBE, and their secrets
``incoming/``             images on their way: one directory for each process that receives
``quarantine/``           damaged images, each with a ``.json`` beside it that says why
========================  =============================================================================
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pypx.basemount.incoming import IncomingDirectory, abandoned
from pypx.basemount.modes import make_directory
from pypx.basemount.trouble import unusable
from pypx.errors import BasemountUnusable
from pypx.home import at_home


@dataclass(frozen=True, slots=True)
class Basemount:
    """The directories of one BASEMOUNT; whether they exist shows when they are used.

    Parameters
    ----------
    root : pathlib.Path
        The BASEMOUNT itself, absolute.
    log : pathlib.Path
        The directory of the catalogue.
    data : pathlib.Path
        The top of the tree of images.
    incoming : pathlib.Path
        Where images are while they arrive; best on the filesystem of data.
    """

    root: Path
    log: Path
    data: Path
    incoming: Path

    @classmethod
    def of_log_directory(cls, path: Path | None = None, data: Path | None = None) -> Basemount:
        """The BASEMOUNT whose log directory this is.

        Parameters
        ----------
        path : pathlib.Path, optional
            The log directory (``--db``), whose parent is the BASEMOUNT; else ``$BASEMOUNT/log``, else
            ``~/dicom/log``.
        data : pathlib.Path, optional
            Where the images go instead of ``<BASEMOUNT>/data`` (``--datadir``), which becomes a link to it.

        Raises
        ------
        InvalidValue
            When one of them holds what no path can.
        """
        if path is None:
            basemount = os.environ.get("BASEMOUNT")
            path = Path(basemount, "log") if basemount else Path.home() / "dicom" / "log"
        log = _absolute(path)
        root = log.parent
        return cls(root, log, _absolute(data) if data else root / "data", root / "incoming")

    def receiving_in(self, directory: Path) -> Basemount:
        """The same, but with another incoming directory."""
        return replace(self, incoming=_absolute(directory))

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def services(self) -> Path:
        return self.root / "services"

    def prepare(self) -> None:
        """Make the directories that are missing, and see that images can be written.

        Raises
        ------
        BasemountUnusable
            When one cannot be made or written.
        """
        self._check_data()
        written = (self.log, self.data, self.incoming, self.quarantine)
        for directory in written:
            _make(directory, private=directory == self.incoming)
        _make(self.services, private=True)
        self._lead_to_data()
        for directory in written:
            if not os.access(directory, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
                raise BasemountUnusable(f"{directory} cannot be written")

    def _check_data(self) -> None:
        """See that the tree of images is a tree of its own."""
        usual = self.root / "data"
        if self.data == usual:
            return
        for other in (usual, self.log, self.services, self.incoming, self.quarantine):
            if self.data.is_relative_to(other) or other.is_relative_to(self.data):
                raise BasemountUnusable(
                    f"{self.data} cannot have the images: one of it and {other} is in the other",
                    "Name another directory with --datadir.",
                )

    def _lead_to_data(self) -> None:
        """Where the images are elsewhere, have ``data/`` be a link to there: all find them then."""
        usual = self.root / "data"
        if self.data == usual:
            return
        with suppress(OSError):
            usual.rmdir()  # an empty one
        try:
            usual.symlink_to(self.data, target_is_directory=True)
        except FileExistsError:
            there = os.path.realpath(usual)
            if there != os.path.realpath(self.data):
                raise BasemountUnusable(
                    f"The images of this BASEMOUNT are in {there}, not in {self.data}",
                    "Leave --datadir out; or move all of them there first, and remove data/.",
                ) from None
        except OSError as error:
            raise unusable(error, usual) from error

    def claim_incoming(self, purpose: str) -> IncomingDirectory:
        """A fresh directory to receive into, owned until the ``with`` block ends or the process does.

        Raises
        ------
        BasemountUnusable
            When it cannot be made.
        """
        return IncomingDirectory.claim(self.incoming, purpose)

    def abandoned_incoming(self) -> Iterator[IncomingDirectory]:
        """What processes that were killed had received, each directory owned while the loop is at it.

        Raises
        ------
        BasemountUnusable
            When they cannot be read or locked.
        """
        return abandoned(self.incoming)


def _absolute(path: Path) -> Path:
    # Not resolve(): a BASEMOUNT that is reached by a link keeps the name that the site gave it.
    return Path(os.path.abspath(at_home(path)))  # noqa: PTH100


def _make(directory: Path, *, private: bool) -> None:
    try:
        make_directory(directory, private=private)
    except FileExistsError as error:
        raise BasemountUnusable(f"{error.filename} is a file where a directory is needed") from error
    except OSError as error:
        raise unusable(error, directory) from error
