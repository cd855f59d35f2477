"""Element values as text: whole, decoded, and never a failure."""

from __future__ import annotations

import struct
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.tag import Tag
from pydicom.valuerep import VR

from pypx.dicom.values import SPECIFIC_CHARACTER_SET, RawValue, character_sets, decode, texts_of

PATIENT_NAME = Tag("PatientName")


def text_of(
    tag: int, vr: str | None, value: bytes, declared: bytes | None = None, *, little_endian: bool = True
) -> str:
    """The text of the one value of a data set."""
    elements: dict[int, RawValue] = {tag: ((vr or "").encode(), value)}
    if declared is not None:
        elements[SPECIFIC_CHARACTER_SET] = (b"CS", declared)
    return texts_of(elements, {tag: "value"}, little_endian=little_endian)["value"]


def name_text(declared: bytes | None, value: bytes, vr: str | None = "PN") -> str:
    return text_of(PATIENT_NAME, vr, value, declared)


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        (None, b"Doe^Jane ", "Doe^Jane"),
        (b"", b"Doe^Jane\0", "Doe^Jane"),
        (b"ISO_IR 100", "Müller^Jürgen".encode("latin-1"), "Müller^Jürgen"),
        (b"ISO_IR 192", "山田^太郎".encode(), "山田^太郎"),
        (b"ISO_IR 144 ", "Люкceмбypг".encode("iso8859-5"), "Люкceмбypг"),
        (b"GB18030 ", "王^小东".encode("gb18030"), "王^小东"),
        (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        (
            b"ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
    ],
)
def test_declared_character_sets(declared: bytes | None, value: bytes, text: str) -> None:
    assert name_text(declared, value) == text
    assert name_text(declared, value, vr=None) == text
    assert name_text(declared, value, vr="UN") == text


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        (None, "Müller".encode(), "Müller"),
        (None, "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 192", "Müller".encode("latin-1"), "Müller"),
        (b"ISO_IR 100", "Müller".encode(), "Müller"),
        (b"ISO_IR 148", "Müller".encode(), "Müller"),
        (b"ISO_IR 101", "SÓŁ".encode("iso8859-2"), "SÓŁ"),
        (b"ISO_IR 999", "Müller".encode(), "Müller"),
        (b"ISO_IR 6", "Müller".encode(), "Müller"),
        (b"ISO_IR 6", "Müller".encode("latin-1"), "Müller"),
        (b"\\ISO 2022 IR 87", "Müller".encode(), "Müller"),
        (b"\xff\xfe", "Müller".encode(), "Müller"),
        (b"ISO_IR \x00100", "Müller".encode(), "Müller"),
        (b"idna", "Müller".encode(), "Müller"),
        (b"unicode_escape", b"\\u0041\xc3\xbc", "\\u0041ü"),
        (b"zlib_codec", "Müller".encode(), "Müller"),
        (b"ISO-IR 100", "Müller".encode("latin-1"), "Müller"),
        (b"\\ISO 2022 IR 87", b"\x1b$B\xff\xff\x1b(B", "\x1b$Bÿÿ\x1b(B"),
        (None, b"red\x1b[31m\xfc", "red\x1b[31mü"),
    ],
)
def test_wrongly_declared_character_sets(declared: bytes | None, value: bytes, text: str) -> None:
    assert name_text(declared, value) == text


def test_no_more_character_sets_are_looked_at_than_go_together() -> None:
    declared = b"\\ISO 2022 IR 87" + b"\\" * 60_000
    assert len(character_sets(declared)) <= 16
    assert name_text(declared, b"\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B") == "山田^太郎"


def test_values_are_whole() -> None:
    description = Tag("SeriesDescription")
    for text in ("a]b[c", "a, b", "one\ttwo\r\nthree", "$(x) `y` \"z\" 'w'", "..", "a\\b\\c", " leading"):
        assert text_of(description, "LO", text.encode()) == text


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "text"),
    [
        ("Rows", "US", struct.pack("<H", 512), "512"),
        ("Rows", None, struct.pack("<H", 512), "512"),
        ("Rows", "UN", struct.pack("<H", 512), "512"),
        ("Rows", "ZZ", struct.pack("<H", 512), "512"),
        ("Rows", "US", b"", ""),
        ("Rows", "US", b"\x01", ""),
        ("Rows", "US", b"\x01\0\x02", "1"),
        ("SmallestImagePixelValue", "SS", struct.pack("<h", -5), "-5"),
        ("ReferencedFrameNumbers", "US", struct.pack("<HH", 1, 2), "1\\2"),
        ("SelectorFDValue", "FD", struct.pack("<d", 0.5), "0.5"),
        ("SelectorSVValue", "SV", struct.pack("<q", -(2**60)), str(-(2**60))),
        ("FrameIncrementPointer", "AT", struct.pack("<HH", 0x18, 0x1063), "(0018,1063)"),
        ("NumberOfFrames", "IS", b"12 ", "12"),
        ("PatientWeight", "DS", b"seventy ", "seventy"),
        ("StudyDate", "DA", b"20201399", "20201399"),
        ("SOPInstanceUID", "UI", b"1.2.3\0", "1.2.3"),
        ("ImageType", "CS", b"ORIGINAL\\PRIMARY\\ ", "ORIGINAL\\PRIMARY\\"),
        ("PixelData", "OW", b"\0\1\2\3", ""),
        ("ReferencedImageSequence", "SQ", b"\xfe\xff\0\xe0\0\0\0\0", ""),
    ],
)
def test_any_kind_of_value(keyword: str, vr: str | None, value: bytes, text: str) -> None:
    tag = tag_for_keyword(keyword) or Tag("SelectorFDValue")
    assert text_of(tag, vr, value) == text


def test_big_endian_numbers() -> None:
    for _ in range(2):  # what is remembered of the one is not told of the other
        assert text_of(Tag("Rows"), "US", b"\x02\0", little_endian=False) == "512"
        assert text_of(Tag("Rows"), "US", b"\x02\0") == "2"


def test_private_tags() -> None:
    private = 0x00091001
    assert text_of(private, "LO", b"GE ") == "GE"
    assert text_of(private, None, b"GE ") == "GE"


def test_what_is_not_there() -> None:
    elements = {PATIENT_NAME: (b"PN", b""), SPECIFIC_CHARACTER_SET: (b"CS", b"ISO_IR 100")}
    assert texts_of(elements, {Tag("PatientID"): "PatientID", PATIENT_NAME: "PatientName"}) == {
        "PatientName": ""
    }
    assert texts_of({}, {PATIENT_NAME: "PatientName"}) == {}


vrs = st.sampled_from([None, "ZZ", *(vr.value for vr in VR if len(vr.value) == 2)])


@given(st.none() | st.binary(max_size=40), vrs, st.binary(max_size=60), st.booleans())
@example(b"\\ISO 2022 IR 87\\ISO 2022 IR 159", "PN", b"\x1b$B\x1b$(D\x1b", True)
def test_no_value_raises_or_warns(declared: bytes | None, vr: str | None, value: bytes, little: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = text_of(PATIENT_NAME, vr, value, declared, little_endian=little)
    assert isinstance(text, str)


@given(st.text())
def test_utf8_comes_back(text: str) -> None:
    assert decode(text.encode("utf-8", "replace"), ["UTF8"]) == text.encode("utf-8", "replace").decode()
