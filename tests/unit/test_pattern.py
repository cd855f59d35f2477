"""Files that are written alike are read as each would be that was the first."""

from __future__ import annotations

import io
import itertools
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

import instances
from pypx.dicom.header import Header, _Reader, _wanted
from pypx.errors import FileDamaged, NotDicom, PypxError

_KEYWORDS = frozenset(
    {
        "PatientName",
        "PatientID",
        "StudyDate",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "SeriesDescription",
        "TransferSyntaxUID",
        "Rows",
    }
)

_NAMES = ("Müller^Jürgen", "Muller^Jurgen1", "山田^太郎123", "O'Neil^Shaun12", "")


def _reader(keywords: frozenset[str] = _KEYWORDS) -> _Reader:
    return _Reader(_wanted(keywords))


def _read(reader: _Reader, path: Path) -> Header | tuple[type[PypxError], str]:
    try:
        return reader.read(path)
    except (FileDamaged, NotDicom) as error:
        return type(error), error.message


def _patterns(reader: _Reader) -> int:
    return len(reader._patterns)


@st.composite
def _changed(draw: st.DrawFn, data: bytes) -> bytes:
    """A file with bytes changed here and there, or with another end."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(changed)))
        piece = draw(st.binary(max_size=4))
        changed[place : place + len(piece)] = piece
    cut = draw(st.sampled_from((0, 0, 0, 1, 8)))
    return bytes(changed[: len(changed) - cut] + draw(st.sampled_from((b"", b"", b"\0" * cut))))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    directory = tmp_path_factory.mktemp("written")
    files = [form(directory / name.replace(" ", "-")) for name, form in instances.FORMS.items()]
    for number, name in enumerate(_NAMES):
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian):
            one = instances.image(PatientName=name, SOPInstanceUID=generate_uid(entropy_srcs=[name]))
            one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
            files.append(instances.save(one, directory / f"{number}-{syntax}", syntax))
    return [file.read_bytes() for file in files]


@st.composite
def _instance(draw: st.DrawFn) -> bytes:
    """A file of one of a few forms, with values of any length."""
    uid = f"1.2.3.{draw(st.integers(0, 10**6))}"
    texts = {
        keyword: draw(st.sampled_from(("", "x", "Müller", "a longer one", "z" * 40)))
        for keyword in draw(st.sampled_from((("PatientName",), ("PatientName", "ImageComments"))))
    }
    one = instances.image(
        SOPInstanceUID=uid, SeriesDescription=draw(st.sampled_from(("", "T1", "T2"))), **texts
    )
    one.file_meta.MediaStorageSOPInstanceUID = uid
    syntax = draw(st.sampled_from((ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)))
    one.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    one.save_as(written, enforce_file_format=True)
    return written.getvalue()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_lengths_that_were_read_before_change_nothing(data: st.DataObject, tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    for source in data.draw(st.lists(_instance(), min_size=3, max_size=12)):
        path.write_bytes(source)
        assert _read(reader, path) == _read(_reader(), path)
        path.write_bytes(data.draw(_changed(source)))
        assert _read(reader, path) == _read(_reader(), path)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_was_read_before_changes_nothing(
    data: st.DataObject, written: list[bytes], tmp_path: Path
) -> None:
    reader, path = _reader(), tmp_path / "file"
    sources = data.draw(st.lists(st.sampled_from(written), min_size=1, max_size=3))
    for source in sources:
        path.write_bytes(source)
        for _ in range(2):
            _read(reader, path)
    for source in data.draw(st.lists(st.sampled_from(sources), min_size=1, max_size=4)):
        path.write_bytes(data.draw(_changed(source)))
        assert _read(reader, path) == _read(_reader(), path)


def test_the_files_of_a_series_are_gone_through_a_few_times_only(tmp_path: Path) -> None:
    reader = _reader()
    learned = []
    for number in range(200):
        uid = f"1.2.3.{9 + number}"
        name = f"A^{number // 10}"
        one = instances.image(PatientName=name, SOPInstanceUID=uid, SliceLocation=f"{number / 8:g}")
        one.file_meta.MediaStorageSOPInstanceUID = uid
        header = reader.read(instances.save(one, tmp_path / str(number)))
        assert (header.sop_instance_uid, header.values["PatientName"]) == (uid, name)
        learned.append(reader._patterns._known)
    # Learned first, and once more for each of the values above that turns out to be another, or longer.
    assert _patterns(reader) == 1
    assert sum(before != after for before, after in itertools.pairwise(learned)) <= 6


def test_lengths_may_be_any(tmp_path: Path) -> None:
    reader = _reader()
    for number in range(40):
        name, description = "A" * (number % 7 + 1), "B" * (number % 11 + 1)
        path = instances.save(
            instances.image(PatientName=name, SeriesDescription=description), tmp_path / "file"
        )
        values = reader.read(path).values
        assert (values["PatientName"], values["SeriesDescription"]) == (name, description)
    assert _patterns(reader) == 1


_ODD = ("ImageComments", "StudyID", "StationName", "Manufacturer")


def _of_form(number: int, path: Path) -> Path:
    """A file with other elements than those of other numbers below 16."""
    odd = {keyword: "x" for place, keyword in enumerate(_ODD) if number >> place & 1}
    return instances.save(instances.image(**odd), path)


def test_several_forms_are_kept_in_mind_and_not_more(tmp_path: Path) -> None:
    reader = _reader()
    for number in range(16):
        reader.read(_of_form(number, tmp_path / "file"))
        assert _patterns(reader) == min(number + 1, 8)
    before = reader._patterns._known
    for number in range(8, 16):
        assert isinstance(reader.read(_of_form(number, tmp_path / "file")), Header)
    assert reader._patterns._known == before


def test_no_more_is_learned_where_that_does_not_pay(tmp_path: Path) -> None:
    reader = _reader()
    paths = [_of_form(number, tmp_path / str(number)) for number in range(16)]
    learned = []
    for path in paths * 20:
        reader.read(path)
        learned.append(reader._patterns._known)
    assert 16 < sum(before != after for before, after in itertools.pairwise(learned)) < 80


def test_what_is_of_no_use_is_forgotten(tmp_path: Path) -> None:
    reader = _reader()
    first, other = _of_form(0, tmp_path / "0"), _of_form(1, tmp_path / "1")
    for _ in range(2):
        reader.read(first)
    for _ in range(200):
        reader.read(other)
    damaged = tmp_path / "damaged"
    for number in range(200):
        form = instances.with_sequences(instances.image(SeriesDescription=str(number)), undefined_length=True)
        form.ReferencedImageSequence[0].ReferencedSOPInstanceUID = f"1.2.{number}"
        assert isinstance(reader.read(instances.save(form, damaged)), Header)
    assert _patterns(reader) <= 4


def _learned(form: str, path: Path) -> tuple[_Reader, bytes]:
    """A reader that knows files of this form."""
    reader = _reader()
    whole = instances.FORMS[form](path).read_bytes()
    for _ in range(3):
        assert isinstance(_read(reader, path), Header)
    assert _patterns(reader) == 1
    return reader, whole


@pytest.mark.parametrize(
    ("form", "old", "new"),
    [
        ("explicit", b"\x28\0\x11\0US\2\0\x10\0", b"\x28\0\x11\0US\2\0\xff\0"),
        ("explicit", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.3.10"),
        ("explicit", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"),
        ("explicit", b"\xe0\x7f\x10\0O", b"\xe0\x7f\x11\0O"),
        ("explicit", b"UI", b"UN"),
        ("big endian", b"\0\x28\0\x11US\0\2\0\x10", b"\0\x28\0\x11US\0\2\xff\0"),
        ("undefined sequences", b"\xfe\xff\x0d\xe0", b"\xfe\xff\x0c\xe0"),
        ("undefined sequences", b"\xfe\xff\xdd\xe0", b"\xfe\xff\xdc\xe0"),
        ("undefined sequences", b"SH\x08\0", b"SH\x0a\0"),
        ("sequences", b"T-A0100", b"T-A0200"),
        ("implicit", b"\x28\0\x11\0", b"\x28\0\x12\0"),
    ],
)
def test_what_decides_how_a_file_is_read_is_looked_at(
    form: str, old: bytes, new: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    reader, whole = _learned(form, path)
    pieces = whole.split(old)
    assert len(pieces) > 1
    for place in range(1, len(pieces)):
        changed = old.join(pieces[:place]) + new + old.join(pieces[place:])
        path.write_bytes(changed)
        assert changed != whole
        assert _read(reader, path) == _read(_reader(), path)


def test_another_character_set_makes_another_name(tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    latin = instances.save(instances.image(SpecificCharacterSet="ISO_IR 100", PatientName="\xe5"), path)
    whole = latin.read_bytes()
    for charset, name in (*[(b"100", "\xe5")] * 3, (b"101", "\u013a"), (b"100", "\xe5")):
        path.write_bytes(whole.replace(b"ISO_IR 100", b"ISO_IR " + charset))
        assert reader.read(path).values["PatientName"] == name


def test_headers_on_their_own_are_not_taken_for_images_without_pixels(tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    report, endoscopy = b"1.2.840.10008.5.1.4.1.1.88.11\0", b"1.2.840.10008.5.1.4.1.1.77.1.1"
    instance = instances.image(SOPClassUID=report[:-1].decode())
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
    del instance.PixelData
    whole = instances.save(instance, path).read_bytes()
    before, meta, dataset = whole.split(report)
    for text in (report, report.replace(b".11", b".22"), report.replace(b".11", b".33")):
        path.write_bytes(before + report + meta + text + dataset)
        assert reader.read(path).sop_class_uid == text[:-1].decode()
    path.write_bytes(before + report + meta + endoscopy + dataset)
    assert _read(reader, path) == _read(_reader(), path)
    with pytest.raises(FileDamaged, match="without pixel data"):
        reader.read(path)


@pytest.mark.parametrize("implicit", [False, True])
def test_where_the_data_set_begins_is_looked_at(implicit: bool, tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    for uid in ("1.2.3", "1.2.3.4", "1.2.3.4.5.6"):
        one = instances.image(SOPInstanceUID=uid)
        one.file_meta.MediaStorageSOPInstanceUID = uid
        assert reader.read(instances.save(one, path, syntax)).sop_instance_uid == uid
    whole = path.read_bytes()
    length = int.from_bytes(whole[140:144], "little")
    assert _patterns(reader) == 1
    for other in (0, 10, length - 28, length - 2, length + 2, length + 20, len(whole), 2**32 - 1):
        path.write_bytes(whole[:140] + other.to_bytes(4, "little") + whole[144:])
        assert _read(reader, path) == _read(_reader(), path)


def test_pixel_data_is_as_long_as_its_description_has_it(tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    instance = instances.image()
    due = len(instance.PixelData)
    for length in (due, due + 2, due + 4, due + 2):
        instance.PixelData = bytes(length)
        assert isinstance(_read(reader, instances.save(instance, path)), Header)
    instance.PixelData = bytes(due - 2)
    with pytest.raises(FileDamaged, match="pixel data has"):
        reader.read(instances.save(instance, path))


def test_a_value_that_is_longer_than_what_is_read_at_once_is_whole(tmp_path: Path) -> None:
    reader, path = _reader(frozenset({"TextValue"})), tmp_path / "file"
    instance = instances.image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del instance.PixelData
    for length in (10, 20, 30, 20_000, 40_000, 10):
        instance.TextValue = "x" * length
        assert reader.read(instances.save(instance, path)).values["TextValue"] == "x" * length


def test_what_follows_the_last_element_is_looked_at(tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    whole = instances.FORMS["explicit"](path).read_bytes()
    for end in (bytes(8), bytes(8), bytes(8), b"\0" * 7 + b"x", b"x" * 8):
        path.write_bytes(whole + end)
        assert _read(reader, path) == _read(_reader(), path)
    assert _read(reader, path)[0] is FileDamaged  # type: ignore[index]


@pytest.mark.parametrize("which", [0, 1])
def test_an_attribute_that_is_there_twice_is_read_as_ever(which: int, tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    whole = instances.save(instances.image(), path).read_bytes()
    place = whole.index(b"\x10\x00\x20\x00LO")
    length = int.from_bytes(whole[place + 6 : place + 8], "little")
    head, end = whole[place : place + 8], place + 8 + length
    for letter in (b"A", b"B", b"C", b"D"):
        texts = [b"x" * length, b"x" * length]
        texts[which] = letter * length
        path.write_bytes(whole[:place] + head + texts[0] + head + texts[1] + whole[end:])
        assert _read(reader, path) == _read(_reader(), path)


def test_a_group_length_of_file_meta_information_may_be_in_the_data_set(tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    whole = instances.save(instances.image(), path).read_bytes()
    for value in (0, 0, 7, 0):
        path.write_bytes(whole + b"\x02\0\0\0UL\4\0" + value.to_bytes(4, "little"))
        assert isinstance(_read(reader, path), Header)
    assert _patterns(reader) == 1


def _element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element of explicit VR, whatever its length is said to be."""
    length = len(value) if length is None else length
    number = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if vr in (b"OB", b"SQ", b"UN"):
        return number + vr + struct.pack("<HL", 0, length) + value
    return number + vr + struct.pack("<H", length) + value


def _meta(*elements: bytes) -> bytes:
    """File meta information of these."""
    return _element(0x00020000, b"UL", sum(map(len, elements)).to_bytes(4, "little")) + b"".join(elements)


_REPORT = b"1.2.840.10008.5.1.4.1.1.88.11\0"
_SYNTAX = _element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")

#: What each instance has, and no more.
_DATASET = b"".join(
    (
        _element(0x00080016, b"UI", _REPORT),
        _element(0x00080018, b"UI", b"1.2.3\0"),
        _element(0x0020000D, b"UI", b"1.4\0"),
        _element(0x0020000E, b"UI", b"1.5\0"),
    )
)


@pytest.mark.parametrize("what", ["class", "beginning", "syntax"])
def test_file_meta_information_without_preamble_is_read_as_ever(what: str, tmp_path: Path) -> None:
    def written(media_class: bytes, syntax: bytes) -> bytes:
        elements = (
            _element(0x00020002, b"UI", media_class.ljust(30, b"\0")),
            _element(0x00020003, b"UI", b"1.2.3".ljust(132 - 12 - 38 - 8 - 28, b"\0")),
            _element(0x00020010, b"UI", syntax.ljust(20, b"\0")),
            _element(0x00020012, b"UI", b"1.9\0"),
        )
        meta = _meta(*elements)
        assert len(meta) == 132 + len(elements[-1])
        return meta + _DATASET

    reader, path = _reader(), tmp_path / "file"
    good = written(_REPORT, b"1.2.840.10008.1.2.1")
    other = {
        "class": written(b"1.2.840.10008.1.3.10", b"1.2.840.10008.1.2.1"),
        "beginning": b"\x7fELF" + good[4:],
        "syntax": written(_REPORT, b"1.x.840.10008.1.2.1"),
    }
    for content in (good, good, other[what]):
        path.write_bytes(content)
        assert _read(reader, path) == _read(_reader(), path)
    assert isinstance(_read(reader, path), tuple)


def test_an_undefined_length_is_no_number(tmp_path: Path) -> None:
    reader, path = _reader(), tmp_path / "file"
    head = bytes(128) + b"DICM" + _meta(_SYNTAX) + _DATASET
    for length in (8, 16, 8):
        path.write_bytes(head + _element(0x0040A730, b"SQ", bytes(length)))
        assert isinstance(_read(reader, path), Header)
    ((pattern,),) = [[known.pattern for known in reader._patterns._known]]
    for length in (24, 2**32 - 2):
        last = _element(0x0040A730, b"SQ", b"", length)
        assert pattern.values(len(head + last) + length, head + last) is not None
    last = _element(0x0040A730, b"SQ", b"", 2**32 - 1)
    assert pattern.values(len(head + last) + 2**32 - 1, head + last) is None


def test_a_value_of_file_meta_information_ends_where_it_ends(tmp_path: Path) -> None:
    delimiter = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    media_class = _element(0x00020002, b"UN", delimiter, 2**32 - 1)
    reader, path = _reader(frozenset({"MediaStorageSOPClassUID"})), tmp_path / "file"
    for uid in (b"1.2.3\0", b"1.2.4\0", b"1.2.5\0"):
        content = bytes(128) + b"DICM" + _meta(media_class, _SYNTAX) + _DATASET
        path.write_bytes(content.replace(b"1.2.3\0", uid))
        header = reader.read(path)
        assert header == _reader(frozenset({"MediaStorageSOPClassUID"})).read(path)
        assert len(header.values["MediaStorageSOPClassUID"]) <= len(delimiter)
