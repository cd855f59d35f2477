"""A file that is cut or broken anywhere is found out; a whole one costs neither time nor memory."""

from __future__ import annotations

import hashlib
import os
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRSpectroscopyStorage,
    RTDoseStorage,
)

import instances
from pypx.dicom import fileformat
from pypx.dicom.header import Header, read_header
from pypx.dicom.integrity import dataset_digest
from pypx.dicom.remains import surviving_identifiers
from pypx.errors import FileDamaged, NotDicom

PREFIX_END = 132
PIXEL_DATA = b"\xe0\x7f\x10\0"


def cut_short(path: Path) -> Iterator[tuple[int, Header | None]]:
    """Every length that the file can be cut to, from the longest, and the header if it passes for whole."""
    for length in range(path.stat().st_size - 1, -1, -1):
        os.truncate(path, length)
        try:
            yield length, read_header(path, ("PatientName", "Rows"))
        except (FileDamaged, NotDicom):
            yield length, None


@pytest.mark.parametrize("form", instances.FORMS)
def test_cut_short_anywhere(form: str, tmp_path: Path) -> None:
    path = instances.FORMS[form](tmp_path / "instance")
    content = path.read_bytes()
    for length, header in cut_short(path):
        if header is not None:
            # Between two elements nothing tells that more is due, as long as none is there that describes
            # pixels, or all pixels are. Zeros may be padding, and groups in big endian begin with one.
            rest = content[length:].lstrip(b"\0")
            assert not rest or rest.startswith(_UNTOLD.get(form, _FIRST_OF_PIXELS)), length


#: SamplesPerPixel, and Digital Signatures Sequence, in either byte order.
_FIRST_OF_PIXELS = (b"\x28\0\x02", b"\xfa\xff\xfa\xff")

#: What else may go missing unseen.
_UNTOLD = {
    "enhanced multi-frame": (b"\x28\0\x02", b"\x20\0"),
    "encapsulated pdf": (b"\x20\0", b"\x42\0"),
}


def test_a_cut_in_the_beginning_is_damage_as_soon_as_it_is_dicom(tmp_path: Path) -> None:
    path = instances.FORMS["explicit"](tmp_path / "instance")
    os.truncate(path, PREFIX_END)
    with pytest.raises(FileDamaged):
        read_header(path, ())
    os.truncate(path, PREFIX_END - 1)
    with pytest.raises(NotDicom):
        read_header(path, ())


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a file of each form."""
    directory = tmp_path_factory.mktemp("forms")
    return {form: write(directory / "instance").read_bytes() for form, write in instances.FORMS.items()}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch") / "file"


def assert_read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        header = read_header(path, ("PatientName", "Rows", "NumberOfFrames", "ImageType", "StudyDate"))
    except (FileDamaged, NotDicom):
        pass
    else:
        assert all(isinstance(text, str) for text in header.values.values())
        for uid in (header.sop_instance_uid, header.study_instance_uid, header.series_instance_uid):
            assert set(uid) <= set("0123456789.")
            assert uid[0].isdigit()
    try:
        dataset_digest(path)
    except (FileDamaged, NotDicom):
        pass


flips = st.lists(st.tuples(st.integers(0, 2600), st.integers(0, 255)), min_size=1, max_size=6)


@given(form=st.sampled_from(list(instances.FORMS)), changes=flips)
def test_changed_bytes(
    form: str, changes: list[tuple[int, int]], formed: dict[str, bytes], scratch: Path
) -> None:
    content = bytearray(formed[form])
    for position, byte in changes:
        content[position % len(content)] = byte
    assert_read_or_refused(scratch, bytes(content))


@given(content=st.binary(max_size=400))
@example(content=b"\x08\0\x05\0CS\x04\0\xff\xff\xff\xff")
def test_random_bytes(content: bytes, scratch: Path) -> None:
    assert_read_or_refused(scratch, content)
    assert_read_or_refused(scratch, bytes(128) + b"DICM" + content)


@given(
    form=st.sampled_from(list(instances.FORMS)), position=st.integers(0, 2600), more=st.binary(max_size=40)
)
def test_inserted_bytes(
    form: str, position: int, more: bytes, formed: dict[str, bytes], scratch: Path
) -> None:
    content = formed[form]
    at = position % len(content)
    assert_read_or_refused(scratch, content[:at] + more + content[at:])


def test_sequences_without_end_are_no_recursion_without_end(tmp_path: Path) -> None:
    path = instances.save(instances.image(), tmp_path / "instance")
    opening = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    path.write_bytes(path.read_bytes() + opening * 20_000)
    with pytest.raises(FileDamaged, match="sequences one in another"):
        read_header(path, ())


@pytest.mark.parametrize("padding", [b"\0", bytes(7), bytes(8), bytes(100_000)])
def test_padding_with_zeros(padding: bytes, tmp_path: Path) -> None:
    for form in ("explicit", "implicit", "big endian", "jpeg", "encapsulated pdf"):
        path = instances.FORMS[form](tmp_path / "instance")
        path.write_bytes(path.read_bytes() + padding)
        assert read_header(path, ()).size == path.stat().st_size


def test_padding_elements_and_group_lengths(tmp_path: Path) -> None:
    path = instances.save(instances.image(DataSetTrailingPadding=bytes(64)), tmp_path / "instance")
    content = path.read_bytes()
    at = content.index(b"\x10\0\x10\0PN")
    path.write_bytes(content[:at] + b"\x10\0\0\0UL\x04\0" + bytes(4) + content[at:])
    assert read_header(path, ["PatientName"]).values == {"PatientName": instances.PATIENT_NAME}


@pytest.mark.parametrize(
    "rubbish", [b"x", b"\0\0\0x", bytes(8) + b"x", bytes(100_000) + b"x", b"<html></html>"]
)
def test_rubbish_after_the_last_element(rubbish: bytes, tmp_path: Path) -> None:
    path = instances.save(instances.image(), tmp_path / "instance")
    path.write_bytes(path.read_bytes() + rubbish)
    with pytest.raises(FileDamaged):
        read_header(path, ())


def described(**attributes: object) -> Dataset:
    """An image of 4 by 6 pixels of 16 bits unless the attributes say otherwise; 48 bytes."""
    pixels = {"Rows": 4, "Columns": 6, "PixelData": bytes(48)}
    return instances.image(**(pixels | attributes))


@pytest.mark.parametrize(
    ("attributes", "whole"),
    [
        ({}, True),
        ({"PixelData": bytes(46)}, False),
        ({"PixelData": bytes(50)}, True),
        ({"PixelData": b""}, False),
        ({"NumberOfFrames": 2}, False),
        ({"NumberOfFrames": 2, "PixelData": bytes(96)}, True),
        ({"NumberOfFrames": "1"}, True),
        ({"NumberOfFrames": "999999999999"}, False),
        ({"SamplesPerPixel": 3, "PixelData": bytes(144)}, True),
        ({"SamplesPerPixel": 3, "PixelData": bytes(96)}, False),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL_422", "PixelData": bytes(96)},
            True,
        ),
        ({"BitsAllocated": 1, "Rows": 3, "Columns": 3, "PixelData": bytes(2)}, True),
        ({"BitsAllocated": 1, "Rows": 30, "Columns": 3, "PixelData": bytes(10)}, False),
        ({"Rows": None}, True),
    ],
)
@pytest.mark.parametrize("transfer_syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_pixels_of_a_native_image(
    attributes: dict[str, object], whole: bool, transfer_syntax: object, tmp_path: Path
) -> None:
    path = instances.save(described(**attributes), tmp_path / "instance", transfer_syntax)  # type: ignore[arg-type]
    if whole:
        assert read_header(path, ()).sop_instance_uid
    else:
        with pytest.raises(FileDamaged, match="pixel data"):
            read_header(path, ())


def without_pixels(**attributes: object) -> Dataset:
    instance = described(**attributes)
    del instance.PixelData
    return instance


def test_an_image_without_pixel_data(tmp_path: Path) -> None:
    for attributes in ({}, {"SOPClassUID": RTDoseStorage}, {"NumberOfFrames": 3}):
        path = instances.save(without_pixels(**attributes), tmp_path / "instance")
        with pytest.raises(FileDamaged, match="without pixel data"):
            read_header(path, ())


def test_what_may_be_without_pixel_data(tmp_path: Path) -> None:
    elsewhere = {"PixelDataProviderURL": "https://localhost/pixels"}
    for attributes in ({"SOPClassUID": MRSpectroscopyStorage}, {"SOPClassUID": "1.2.3.4"}, elsewhere):
        path = instances.save(without_pixels(**attributes), tmp_path / "instance")
        assert read_header(path, ()).sop_instance_uid


def test_encapsulated_pixel_data_without_a_fragment(tmp_path: Path) -> None:
    path = instances.FORMS["rle"](tmp_path / "instance")
    content = path.read_bytes()
    at = content.index(PIXEL_DATA) + 12
    for items in (b"", b"\xfe\xff\0\xe0\0\0\0\0"):
        path.write_bytes(content[:at] + items + b"\xfe\xff\xdd\xe0\0\0\0\0")
        with pytest.raises(FileDamaged, match="empty"):
            read_header(path, ())


def test_fragments_that_are_none(tmp_path: Path) -> None:
    path = instances.FORMS["rle"](tmp_path / "instance")
    content = path.read_bytes()
    at = content.index(PIXEL_DATA) + 12
    path.write_bytes(content[:at] + b"\xff\xd8\xff\xe0" * 8 + content[at:])
    with pytest.raises(FileDamaged, match="where an item"):
        read_header(path, ())


def _large(path: Path, fragments: int) -> Path:
    """Half a gigabyte of pixels that take no room: native where there are no fragments."""
    size = 500 * 1024 * 1024
    instance = instances.image(Rows=1000, Columns=1000, NumberOfFrames=262, PixelData=b"")
    if fragments:
        instance = instances.encapsulated([b"\0\0"])
    form = "1.2.840.10008.1.2.4.50" if fragments else "1.2.840.10008.1.2.1"
    instances.save(instance, path, form)  # type: ignore[arg-type]
    start = path.read_bytes()
    with path.open("wb") as file:
        file.write(start[: start.index(PIXEL_DATA) + 8])
        if not fragments:
            file.write(struct.pack("<L", size))
            file.truncate(file.tell() + size)
            return path
        file.write(b"\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0")
        for _ in range(fragments):
            file.write(b"\xfe\xff\0\xe0" + struct.pack("<L", size // fragments))
            file.seek(size // fragments, os.SEEK_CUR)
        file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")
    return path


@pytest.mark.parametrize("fragments", [0, 1, 500])
def test_memory_does_not_grow_with_the_pixels(fragments: int, tmp_path: Path) -> None:
    path = _large(tmp_path / "instance", fragments)
    read_header(path, ("PatientName",))
    tracemalloc.start()
    try:
        read_header(path, ("PatientName",))
        assert tracemalloc.get_traced_memory()[1] < 256 * 1024
    finally:
        tracemalloc.stop()
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(FileDamaged):
        read_header(path, ("PatientName",))


def test_digest_is_of_the_data_set_alone(tmp_path: Path) -> None:
    first = instances.image()
    second = instances.image()
    second.file_meta.SourceApplicationEntityTitle = "PACS"
    second.file_meta.ImplementationVersionName = "OTHER"
    second.preamble = b"II*\0" + bytes(124)
    digests = {
        dataset_digest(instances.save(first, tmp_path / "first")),
        dataset_digest(instances.save(second, tmp_path / "second")),
        dataset_digest(instances.save(first, tmp_path / "deflated", DeflatedExplicitVRLittleEndian)),
        dataset_digest(instances.save_bare(first, tmp_path / "bare", implicit=False)),
    }
    assert len(digests) == 1
    assert len(digests.pop()) == 64


def test_digest_tells_data_sets_apart(tmp_path: Path) -> None:
    pixels = instances.image().PixelData
    changed = (
        instances.image(),
        instances.image(PatientName="Other"),
        instances.image(PixelData=pixels[:-1] + b"\xff"),
        instances.image(AccessionNumber=""),
    )
    digests = {dataset_digest(instances.save(each, tmp_path / "instance")) for each in changed}
    assert len(digests) == len(changed)


def test_digest_of_what_is_not_dicom(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("Dear colleague")
    with pytest.raises(NotDicom):
        dataset_digest(path)


@pytest.mark.parametrize("tag", [0x00080005, 0x00080016, 0x00280008, 0x00280004])
def test_values_longer_than_any_of_their_kind_are_not_kept_in_mind(tag: int, tmp_path: Path) -> None:
    def element(tag: int, value: bytes) -> bytes:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value

    values = {0x00080016: b"1.2.840.10008.5.1.4.1.1.88.11", 0x00080018: b"1.2", 0x00280010: b"\1\0"}
    values |= {0x0020000D: b"1.3", 0x0020000E: b"1.4"}
    path = tmp_path / "instance"

    def read(number: int) -> None:
        values[tag] = b"%d\\" % number + b"\xff" * 65_000
        path.write_bytes(b"".join(element(tag, values[tag]) for tag in sorted(values)))
        read_header(path, ())

    read(0)
    tracemalloc.start()
    try:
        for number in range(1, 60):
            read(number)
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    length = struct.pack("<HL", 0, len(value)) if vr in (b"OB", b"SQ") else struct.pack("<H", len(value))
    return head + length + value


def _deflated(dataset: bytes, path: Path) -> Path:
    """A file with this data set."""
    syntax = _element(0x00020010, b"UI", b"1.2.840.10008.1.2.1.99")
    meta = _element(0x00020000, b"UL", struct.pack("<L", len(syntax))) + syntax
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    path.write_bytes(bytes(128) + b"DICM" + meta + deflate.compress(dataset) + deflate.flush())
    return path


_UIDS = b"".join(
    _element(tag, b"UI", uid)
    for tag, uid in (
        (0x00080016, b"1.2.840.10008.5.1.4.1.1.88.11\0"),
        (0x00080018, b"1.2\0"),
        (0x0020000D, b"1.3\0"),
        (0x0020000E, b"1.4\0"),
    )
)


@pytest.mark.parametrize("beyond", [-2, 0, 2, 100, 400, 1000, 4000])
def test_a_deflated_data_set_ends_where_it_ends(beyond: int, tmp_path: Path) -> None:
    """The last bits of a file can stand for more than is inflated at once."""
    rest = 2 * 1024 * 1024 + beyond - len(_UIDS) - 12
    dataset = _UIDS + _element(0x00420011, b"OB", bytes(rest))
    path = _deflated(dataset, tmp_path / "instance")
    assert isinstance(read_header(path, ()), Header)
    assert dataset_digest(path) == hashlib.sha256(dataset).hexdigest()
    whole = path.read_bytes()
    for cut in range(1, 12):
        path.write_bytes(whole[:-cut])
        with pytest.raises(FileDamaged, match="ends within its deflated data set"):
            read_header(path, ())


def test_a_deflated_data_set_inflates_to_what_an_image_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileformat, "_MOST_INFLATED", 3 * 1024 * 1024)
    small = _deflated(_UIDS + _element(0x00420011, b"OB", bytes(2 * 1024 * 1024)), tmp_path / "small")
    assert isinstance(read_header(small, ()), Header)
    dense = _deflated(_UIDS + _element(0x00420011, b"OB", os.urandom(4 * 1024 * 1024)), tmp_path / "dense")
    assert isinstance(read_header(dense, ()), Header)
    bomb = _deflated(_UIDS + _element(0x00420011, b"OB", bytes(4 * 1024 * 1024)), tmp_path / "bomb")
    for read in (lambda path: read_header(path, ()), dataset_digest):
        with pytest.raises(FileDamaged, match="inflates to more than 3145728 bytes"):
            read(bomb)
    assert surviving_identifiers(bomb) == {}
