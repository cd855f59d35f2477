"""Element values as text: whole, decoded, and never a failure."""

from __future__ import annotations

import struct
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID
from pydicom.valuerep import VR

from pypx.dicom.values import character_sets, decode, text_of, texts_of

CHARACTER_SET = Tag("SpecificCharacterSet")
PATIENT_NAME = Tag("PatientName")


def raw(tag: BaseTag, vr: str | None, value: bytes | None, little_endian: bool = True) -> RawDataElement:
    length = len(value) if value is not None else 0
    return RawDataElement(tag, vr, length, value, 0, vr is None, little_endian)


def dataset(declared: bytes | None, *elements: RawDataElement) -> Dataset:
    """A data set as it comes from a file: nothing in it converted yet."""
    found = {element.tag: element for element in elements}
    if declared is not None:
        found[CHARACTER_SET] = raw(CHARACTER_SET, "CS", declared)
    return Dataset(found)


def name_text(declared: bytes | None, value: bytes, vr: str | None = "PN") -> str | None:
    held = dataset(declared, raw(PATIENT_NAME, vr, value))
    return text_of(held, PATIENT_NAME, character_sets(held))


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


def test_values_are_whole() -> None:
    description = Tag("SeriesDescription")
    for text in ("a]b[c", "a, b", "one\ttwo\r\nthree", "$(x) `y` \"z\" 'w'", "..", "a\\b\\c", " leading"):
        held = dataset(None, raw(description, "LO", text.encode()))
        assert text_of(held, description, ["utf-8"]) == text


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
        ("PatientID", "LO", None, ""),
    ],
)
def test_any_kind_of_value(keyword: str, vr: str | None, value: bytes | None, text: str) -> None:
    number = tag_for_keyword(keyword) or Tag("SelectorFDValue")
    tag = BaseTag(number)
    assert text_of(dataset(None, raw(tag, vr, value)), tag, ["utf-8"]) == text


def test_big_endian_numbers() -> None:
    rows = Tag("Rows")
    assert text_of(dataset(None, raw(rows, "US", b"\x02\0", little_endian=False)), rows, ["utf-8"]) == "512"


def test_private_tags() -> None:
    private = BaseTag(0x00091001)
    assert text_of(dataset(None, raw(private, "LO", b"GE ")), private, ["utf-8"]) == "GE"
    assert text_of(dataset(None, raw(private, None, b"GE ")), private, ["utf-8"]) == "GE"


def test_what_is_not_there() -> None:
    assert text_of(Dataset(), PATIENT_NAME, ["utf-8"]) is None
    held = dataset(b"ISO_IR 100", raw(PATIENT_NAME, "PN", b""))
    tags = [("PatientID", Tag("PatientID")), ("PatientName", PATIENT_NAME)]
    assert texts_of(held, tags) == {"PatientName": ""}


def test_elements_that_were_converted_before() -> None:
    held = Dataset()
    held.PatientName = "Müller^Jürgen"
    held.ImageType = ["ORIGINAL", "PRIMARY"]
    held.Rows = 512
    held.PatientID = None
    held.SOPInstanceUID = UID("1.2.3")
    held.ReferencedImageSequence = [Dataset()]
    tags = [(keyword, Tag(keyword)) for keyword in ("PatientName", "ImageType", "Rows", "PatientID")]
    assert texts_of(held, [*tags, ("SOPInstanceUID", Tag("SOPInstanceUID"))]) == {
        "PatientName": "Müller^Jürgen",
        "ImageType": "ORIGINAL\\PRIMARY",
        "Rows": "512",
        "PatientID": "",
        "SOPInstanceUID": "1.2.3",
    }
    sequence = Tag("ReferencedImageSequence")
    assert text_of(held, sequence, ["utf-8"]) == ""


vrs = st.sampled_from([None, "ZZ", *(vr.value for vr in VR if len(vr.value) == 2)])


@given(st.none() | st.binary(max_size=40), vrs, st.binary(max_size=60), st.booleans())
@example(b"\\ISO 2022 IR 87\\ISO 2022 IR 159", "PN", b"\x1b$B\x1b$(D\x1b", True)
def test_no_value_raises_or_warns(declared: bytes | None, vr: str | None, value: bytes, little: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = dataset(declared, raw(PATIENT_NAME, vr, value, little))
        text = text_of(held, PATIENT_NAME, character_sets(held))
    assert isinstance(text, str)


@given(st.text())
def test_utf8_comes_back(text: str) -> None:
    assert decode(text.encode("utf-8", "replace"), ["UTF8"]) == text.encode("utf-8", "replace").decode()
