"""Packing instances that say anything at all: each comes to lie inside data/, under a name of its own."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import packed
from pypx.actions.repack import RepackResult, Source, pack
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import Template, TreeTemplates
from trees import files_below

#: What the default templates name things by, in the order of the tags; UIDs come apart from these.
_TAGS = {
    "StudyDate": (0x0008, 0x0020, b"DA"),
    "AccessionNumber": (0x0008, 0x0050, b"SH"),
    "StudyDescription": (0x0008, 0x1030, b"LO"),
    "SeriesDescription": (0x0008, 0x103E, b"LO"),
    "PatientName": (0x0010, 0x0010, b"PN"),
    "PatientID": (0x0010, 0x0020, b"LO"),
    "PatientBirthDate": (0x0010, 0x0030, b"DA"),
    "SeriesNumber": (0x0020, 0x0011, b"IS"),
    "InstanceNumber": (0x0020, 0x0013, b"IS"),
}
_UID_TAGS = {
    "SOPClassUID": (0x0008, 0x0016, b"UI"),
    "SOPInstanceUID": (0x0008, 0x0018, b"UI"),
    "StudyInstanceUID": (0x0020, 0x000D, b"UI"),
    "SeriesInstanceUID": (0x0020, 0x000E, b"UI"),
}

_LEGAL = re.compile(r"[A-Za-z0-9._-]+")


def _write(path: Path, values: Mapping[str, bytes], character_set: bytes) -> Path:
    """A file whose values are these very bytes, whatever a library would say to them (PS3.5, 7.1.2)."""
    tags = {(0x0008, 0x0005): (b"CS", character_set)}
    for keyword, (group, element, vr) in {**_TAGS, **_UID_TAGS}.items():
        if keyword in values:
            tags[group, element] = (vr, values[keyword])
    elements = b"".join(_element(*tag, *tags[tag]) for tag in sorted(tags))
    syntax = _element(0x0002, 0x0010, b"UI", b"1.2.840.10008.1.2.1")
    path.write_bytes(bytes(128) + b"DICM" + syntax + elements)
    return path


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    padded = value + b"\0" * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(padded)) + padded


_hostile = st.sampled_from(
    [
        b"",
        b".",
        b"..",
        b"/",
        b"/etc/passwd",
        b"../../../x",
        b"a/../../b",
        b"~",
        b"-rf",
        b"\0",
        b"a\0b",
        b"\n",
        b"con",
        b"x" * 300,
        b"y" * 60_000,
        b"A/B",
        b"A_B",
        b"a b",
        "Müller^Jürgen".encode(),
        "山田".encode("iso2022_jp"),
        b"\xff\xfe",
        b"\x1b[31m",
        b"a\\b",
    ]
)
_value = st.one_of(_hostile, st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode()))
_values = st.fixed_dictionaries({}, optional=dict.fromkeys(_TAGS, _value))
_uid = st.one_of(
    st.sampled_from([b"1", b"1.2", b"1..", b"9" * 64]), st.from_regex(rb"[0-9][0-9.]{0,63}", fullmatch=True)
)
_instance = st.tuples(_values, _uid, _uid, _uid)
_instances = st.lists(_instance, min_size=1, max_size=6)
_character_set = st.sampled_from(
    [b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO 2022 IR 87", b"\\ISO 2022 IR 87", b"nonsense"]
)


def _templates(*texts: str) -> TreeTemplates:
    return TreeTemplates(*(Template.parse(text) for text in texts))


_TEMPLATES = (
    TreeTemplates(),
    # Values alone, and names that tell nothing apart.
    _templates("%PatientID", "%StudyDescription", "%SeriesNumber", "%PatientName"),
    _templates("..%PatientID", "study", "series", "image.dcm"),
    _templates("%_strmsk|.*_PatientID", "%_nospc|._StudyDescription", "%AgeInDays", "%_pad|255,._PatientID"),
)


def _pack(basemount: Basemount, files: Sequence[Path], templates: TreeTemplates) -> RepackResult:
    with Catalogue.open(basemount) as catalogue:
        return pack(files, basemount, catalogue, templates, source=Source.KEEP)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_instances, _character_set, st.sampled_from(_TEMPLATES))
@example(
    [(dict.fromkeys(_TAGS, value), b"1", b"1", b"1") for value in (b"..", b"/", b"")],
    b"",
    _TEMPLATES[1],
)
@example(
    [({"PatientID": b"A/B"}, b"1", b"1", b"1"), ({"PatientID": b"A_B"}, b"2", b"2", b"2")], b"", _TEMPLATES[2]
)
def test_any_values_give_each_instance_a_legal_place_of_its_own(instances, character_set, templates):
    with tempfile.TemporaryDirectory() as scratch:
        basemount = Basemount.of_log_directory(Path(scratch, "around", "basemount", "log"))
        basemount.prepare()
        source = Path(scratch, "source")
        source.mkdir()
        files = []
        for number, (values, *uids) in enumerate(instances):
            described = {**values, "SOPClassUID": b"1.2.840.10008.5.1.4.1.1.66"}
            described.update(
                zip(("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"), uids, strict=True)
            )
            files.append(_write(source / f"{number}.dcm", described, character_set))
        contents = {file.read_bytes() for file in files}

        result = _pack(basemount, files, templates)

        assert result.ok
        assert result.stored + result.conflicts == len(contents)
        assert result.stored == len({uids[0] for _, *uids in instances})
        held = files_below(basemount.data)
        assert {file.read_bytes() for file in held} == contents
        assert len(held) == len(contents)
        for file in held:
            parts = file.resolve().relative_to(basemount.data.resolve()).parts
            assert len(parts) == 4
            assert all(_LEGAL.fullmatch(part) and part not in (".", "..") for part in parts)
            assert all(len(part.encode()) <= 255 for part in parts)
        assert sorted(path.name for path in Path(scratch).iterdir()) == ["around", "source"]
        assert [path.name for path in Path(scratch, "around").iterdir()] == ["basemount"]
        packed.assert_catalogue_is_exact(basemount.root)
        before = packed.everything(basemount.root)
        assert _pack(basemount, files, templates).duplicates == len(files)
        assert packed.everything(basemount.root) == before
