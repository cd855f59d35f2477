"""The services of a BASEMOUNT as a library: for programs that keep PACS, storage and CUBE by key.

>>> from argparse import Namespace
>>> from tempfile import mkdtemp
>>> smdb = SMDB(Namespace(str_logDir=mkdtemp() + "/log"))
>>> smdb.args.str_actionArgs = '{"orthanc": {"aec": "ORTHANC", "ip": "192.0.2.1", "port": "4242"}}'
>>> smdb.service_keyAccess("PACS")["PACS"]["orthanc"]["aec"]
'ORTHANC'
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from pypx.actions.smdb.service_keys import access
from pypx.basemount.layout import Basemount
from pypx.errors import PypxError


class SMDB:
    """The keys of services, and what of the catalogue belongs to them.

    Parameters
    ----------
    args : argparse.Namespace
        ``str_logDir``: the log directory, whose parent is the BASEMOUNT; ``$BASEMOUNT/log``, or
        ``~/dicom/log``, where it is missing or empty. ``str_actionArgs``, here or set later: JSON of keys to
        be written.
    """

    def __init__(self, args: Namespace) -> None:
        self.args = args

    def service_keyAccess(self, service: str) -> dict[str, Any]:  # noqa: N802
        """Write what ``.args.str_actionArgs`` holds, then read all keys of a service, secrets included.

        Parameters
        ----------
        service : str
            PACS, storage, swift or CUBE, in whatever case.

        Returns
        -------
        dict
            ``status``: whether there are keys and nothing failed; under the service's name as it was given
            the fields of each key; ``error``, a sentence, where something failed.
        """
        try:
            keys = access(self._basemount, service, str(getattr(self.args, "str_actionArgs", "") or ""))
        except PypxError as error:
            return {"status": False, service: {}, "error": str(error)}
        return {"status": bool(keys), service: {key: dict(fields) for key, fields in keys.items()}}

    @property
    def _basemount(self) -> Basemount:
        log = getattr(self.args, "str_logDir", None)
        return Basemount.of_log_directory(Path(log) if log else None)
