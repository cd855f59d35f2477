"""What a page takes to be done before its first command: in commands as the manual has them, too."""

from __future__ import annotations

from collections.abc import Mapping

_RETRIEVE = "px-find pacs.example.org:THEIRS:104 --PatientID 7654321 | px-move --get"
_RETRIEVE_TO_DATA = f"{_RETRIEVE} --db /data/dicom/log"
_PUSH = "px-push --swift local --swiftServicesPACS BCH --StudyInstanceUID 1.2.840.113619.2.1"
_PUSH_FILES = "px-push --swift local --swiftServicesPACS BCH --xcrdir /media/cd --recursive"
_SWIFT = (
    'px-smdb --action swift --actionArgs \'{"local": {"ip": "swift.example.org", "port": 8080, '
    '"login": "chris:chris1234", "key": "testing"}}\''
)
_CUBE = (
    'px-smdb --action CUBE --actionArgs \'{"local": {"url": "https://cube.example.org/api/v1/", '
    '"username": "chris", "password": "chris1234"}}\''
)

#: Tables as release 3 left them, which are those that are exported, and no catalogue.
_TABLES = (
    "px-smdb --db /data/dicom/log --action export --actionArgs /old/dicom/log",
    "px-smdb --db /data/dicom/log --action export --actionArgs /data/dicom/log",
    "rm /data/dicom/log/smdb.sqlite*",
)

#: Page to commands.
BEFORE: Mapping[str, tuple[str, ...]] = {
    "docs/moving-from-3.rst": (_RETRIEVE_TO_DATA, *_TABLES),
    "docs/chains.rst": (_SWIFT, _CUBE),
    "docs/json.rst": (_RETRIEVE,),
    "docs/scripts.rst": (_SWIFT,),
    "docs/storage.rst": (_RETRIEVE,),
    "docs/tools/pfstorage.rst": (_SWIFT,),
    "docs/tools/px-do.rst": (_SWIFT, _CUBE),
    "docs/tools/px-find.rst": (_SWIFT, _CUBE),
    "docs/tools/px-listen.rst": (_SWIFT, _CUBE),
    "docs/tools/px-push.rst": (_SWIFT, _CUBE, _RETRIEVE),
    "docs/tools/px-register.rst": (_SWIFT, _CUBE, _RETRIEVE, _PUSH, _PUSH_FILES),
    "docs/tools/px-report.rst": (_RETRIEVE,),
    "docs/tools/px-smdb.rst": (_SWIFT, _RETRIEVE, "px-smdb --action export --actionArgs /old/dicom/log"),
    "docs/tools/px-status.rst": (_RETRIEVE, _RETRIEVE_TO_DATA),
}
