"""What reads bytes or texts from outside: each must read them, or refuse them with an error of ours."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydicom.data import get_testdata_file

from demo.studies import Study
from pypx.actions.do import Delay, parse_verb_options, parse_verbs
from pypx.actions.found import Found, FoundSeries, FoundStudy, from_json, read_documents, to_json
from pypx.actions.push import SeriesVerdict
from pypx.actions.push.result import FileState, FileVerdict, PushResult
from pypx.actions.register.of_push import is_push, of_push
from pypx.actions.report.studies import read as read_reported
from pypx.basemount.layout import Basemount
from pypx.basemount.services import read as read_services
from pypx.basemount.templates import Template
from pypx.cube import documents
from pypx.dcmtk.answer_file import read_answer
from pypx.dicom.header import read_header
from pypx.dicom.integrity import dataset_digest
from pypx.dicom.matching import matching_value
from pypx.dicom.node import Node
from pypx.errors import PypxError

_KEYWORDS = frozenset(
    {"PatientID", "PatientName", "StudyDate", "SeriesDescription", "InstanceNumber", "PixelSpacing"}
)

#: Samples of pydicom's, by what is odd about them.
_SAMPLES = (
    *("CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm", "image_dfl.dcm", "nested_priv_SQ.dcm"),
    *("reportsi.dcm", "no_meta.dcm", "UN_sequence.dcm", "chrH32.dcm", "MR_small_bigendian.dcm"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads.

    Parameters
    ----------
    read : callable
        Gets the bytes; may raise PypxError and nothing else.
    seeds : callable
        Gives inputs that are good, to begin from.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]

    def try_with(self, given: bytes) -> None:
        """Read something, which may be refused."""
        try:
            self.read(given)
        except PypxError:
            pass


_directory = tempfile.TemporaryDirectory(prefix="pypx-fuzz-")


def _scratch() -> Path:
    return Path(_directory.name)


def _file(given: bytes, name: str = "file") -> Path:
    path = _scratch() / name
    path.write_bytes(given)
    return path


def _header(given: bytes) -> object:
    header = read_header(_file(given), _KEYWORDS)
    assert header.sop_instance_uid
    assert header.series_instance_uid
    return dataset_digest(_file(given))


@cache
def _dicom() -> tuple[bytes, ...]:
    made = Study("FUZZ", attributes={"PatientName": "Müller^Jürgen"}).series(1).write(_scratch() / "made")
    found = (get_testdata_file(name) for name in _SAMPLES)
    return tuple(Path(str(path)).read_bytes()[:20_000] for path in (*made, *found) if path)


def _found() -> Found:
    series = FoundSeries({"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3", "Modality": "MR"})
    return Found((FoundStudy({"StudyInstanceUID": "1.2", "PatientName": "山田^太郎"}, (series,)),))


def _finds(given: bytes) -> object:
    return [from_json(document) for document in read_documents(given.decode("utf-8", "replace"))]


def _report(given: bytes) -> object:
    return read_reported(read_documents(given.decode("utf-8", "replace")))


def _push(given: bytes) -> object:
    told = list(read_documents(given.decode("utf-8", "replace")))
    return [of_push(document) for document in told if is_push(document)]


def _pushed() -> bytes:
    file = FileVerdict(Path("/a.dcm"), "SERVICES/PACS/A/p/s/r/a.dcm", FileState.UPLOADED, "1.2.3.4", 10)
    verdict = SeriesVerdict("1.2", "1.2.3", "T1", "fs:/store", "SERVICES/PACS/A/p/s/r", (file,), 1)
    return json.dumps(PushResult((verdict,)).to_json()).encode()


def _services(given: bytes) -> object:
    basemount = Basemount.of_log_directory(_scratch() / "basemount" / "log")
    basemount.services.mkdir(parents=True, exist_ok=True)
    (basemount.services / "pacs.json").write_bytes(given)
    return read_services(basemount, "pacs")


def _cube(given: bytes) -> object:
    try:
        document = json.loads(given)
    except (ValueError, RecursionError):
        return None
    return documents.links(document), documents.items(document), documents.message(document)


def _texts(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda given: read(given.decode("utf-8", "surrogateescape"))


def _template(text: str) -> object:
    template = Template.parse(text)
    name = template.component(dict.fromkeys(_KEYWORDS, text))
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert len(name.encode()) <= 255
    return name


def _matching(text: str) -> object:
    from datetime import date

    return [
        matching_value(name, text, date(2026, 1, 1))
        for name in ("PatientName", "StudyDate", "StudyInstanceUID")
    ]


def _verbs(text: str) -> object:
    for read in (parse_verbs, lambda given: parse_verb_options(given, ("push", "push"))):
        with contextlib.suppress(PypxError):
            read(text)
    return Delay.parse(text)


def _collection() -> Mapping[str, object]:
    item = {
        "data": [{"name": "SeriesInstanceUID", "value": "1.2"}],
        "links": [{"rel": "pacs", "href": "http://a/"}],
    }
    return {"collection": {"items": [item], "links": item["links"], "error": {"message": '["no"]'}}}


TARGETS: Mapping[str, Target] = {
    "header": Target(_header, _dicom),
    "findscu answer": Target(lambda given: read_answer(_file(given)), _dicom),
    "find's JSON": Target(_finds, lambda: [json.dumps(to_json(_found())).encode()]),
    "reported JSON": Target(_report, lambda: [json.dumps(to_json(_found())).encode(), _pushed()]),
    "push's JSON": Target(_push, lambda: [_pushed()]),
    "services": Target(_services, lambda: [b'{"archive": {"aec": "A", "ip": "192.0.2.1", "port": "104"}}']),
    "CUBE's answer": Target(
        _cube, lambda: [json.dumps(_collection()).encode(), b'{"count": 0, "results": []}']
    ),
    "template": Target(
        _texts(_template), lambda: [b"%_md5|7_PatientID-%StudyDate", b"%_strmsk|*xx_PatientName"]
    ),
    "matching": Target(
        _texts(_matching), lambda: [b"20200101-20201231", b"last-7-days", b"M*ller^?", b"1.2\\1.3"]
    ),
    "node": Target(_texts(Node.parse), lambda: [b"pacs.example.org:ORTHANC:4242", b"[::1]:A:104"]),
    "verbs": Target(
        _texts(_verbs),
        lambda: [b'{"a": 1};{}', b"push,register", b"dynamic:6"],
    ),
}
