"""Reading the header of an instance, in whatever form the file comes."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

import datasets
import instances
from pypx.dicom.header import Header, read_header
from pypx.errors import FileDamaged, FileUnreadable, MediaDirectory, NotDicom, PypxError

KEYWORDS = (
    "PatientName",
    "PatientID",
    "StudyDate",
    "Modality",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "ImageType",
    "PatientAge",
)


def as_pydicom_has_it(path: Path) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path, force=True, stop_before_pixels=True)
        return {
            keyword: "\\".join(value) if isinstance(value, list) else str(value or "")
            for keyword in KEYWORDS
            if keyword in dataset
            for value in [list(dataset[keyword].value) if dataset[keyword].VM > 1 else dataset[keyword].value]
        }


@pytest.mark.parametrize("form", instances.FORMS)
def test_every_form_is_read_as_pydicom_reads_it(form: str, tmp_path: Path) -> None:
    path = instances.FORMS[form](tmp_path / "instance")
    header = read_header(path, KEYWORDS)
    assert header.values == as_pydicom_has_it(path)
    assert header.patient_id == header.values["PatientID"]
    assert header.sop_instance_uid == header.values["SOPInstanceUID"]
    assert header.study_instance_uid == header.values["StudyInstanceUID"]
    assert header.series_instance_uid == header.values["SeriesInstanceUID"]
    assert header.size == path.stat().st_size


@pytest.mark.parametrize("path", instances.shipped(), ids=lambda path: path.name)
def test_shipped_files_are_read_as_pydicom_reads_them(path: Path) -> None:
    try:
        header = read_header(path, KEYWORDS)
    except (FileDamaged, NotDicom):
        assert path.name in _NOT_WHOLE
        return
    assert path.name not in _NOT_WHOLE
    # pydicom drops the delimiters of empty groups at a name's end; here a value is whole.
    texts = {keyword: text.rstrip("=") for keyword, text in header.values.items()}
    assert texts == as_pydicom_has_it(path)


#: Those that lack a UID or their pixels, end too early, or have a byte too many at their beginning.
_NOT_WHOLE = {
    "chrJapMulti.dcm",
    "chrJapMultiExplicitIR6.dcm",
    "chrKoreanMulti.dcm",
    "chrSQEncoding.dcm",
    "chrSQEncoding1.dcm",
    "empty_charset_LEI.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "meta_missing_tsyntax.dcm",
    "MR_truncated.dcm",
    "nested_priv_SQ.dcm",
    "no_meta.dcm",
    "no_meta_group_length.dcm",
    "priv_SQ.dcm",
    "rtplan_truncated.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "UN_sequence.dcm",
}


@pytest.mark.parametrize(
    ("form", "transfer_syntax"),
    [
        ("explicit", "1.2.840.10008.1.2.1"),
        ("implicit", "1.2.840.10008.1.2"),
        ("deflated", "1.2.840.10008.1.2.1.99"),
        ("big endian", "1.2.840.10008.1.2.2"),
        ("jpeg", "1.2.840.10008.1.2.4.50"),
        ("bare explicit", "1.2.840.10008.1.2.1"),
        ("bare implicit", "1.2.840.10008.1.2"),
        ("bare big endian", "1.2.840.10008.1.2.2"),
    ],
)
def test_transfer_syntax(form: str, transfer_syntax: str, tmp_path: Path) -> None:
    assert read_header(instances.FORMS[form](tmp_path / "instance"), ()).transfer_syntax == transfer_syntax


def test_only_what_is_asked_for_and_there(tmp_path: Path) -> None:
    path = instances.save(instances.image(AccessionNumber=""), tmp_path / "instance")
    asked = ["StudyDate", "AccessionNumber", "OperatorsName", "Rows", "PixelData", "NoSuchKeyword"]
    assert read_header(path, asked).values == {"StudyDate": "20200101", "AccessionNumber": "", "Rows": "16"}


def test_file_meta_information_can_be_asked_for(tmp_path: Path) -> None:
    path = instances.FORMS["jpeg"](tmp_path / "instance")
    asked = {"TransferSyntaxUID", "MediaStorageSOPInstanceUID"}
    header = read_header(path, asked)
    assert header.values == {
        "TransferSyntaxUID": "1.2.840.10008.1.2.4.50",
        "MediaStorageSOPInstanceUID": header.sop_instance_uid,
    }


@pytest.mark.parametrize("kind", datasets.AWKWARD_TEXTS)
def test_awkward_values_are_whole(kind: str, tmp_path: Path) -> None:
    text = datasets.AWKWARD_TEXTS[kind]
    path = datasets.awkward_study(kind).write(tmp_path)[0]
    assert read_header(path, ["SeriesDescription"]).values == {"SeriesDescription": text}


@pytest.mark.parametrize("kind", datasets.NAMES)
def test_names_in_their_character_sets(kind: str, tmp_path: Path) -> None:
    path = datasets.named_study(kind).write(tmp_path)[0]
    assert read_header(path, ["PatientName"]).values == {"PatientName": datasets.NAMES[kind][1]}


def test_values_that_no_name_has_are_left_out(tmp_path: Path) -> None:
    instance = instances.image(TextValue="x" * 70_000)
    path = instances.save(instance, tmp_path / "instance", ImplicitVRLittleEndian)
    assert read_header(path, ["TextValue", "StudyDate"]).values == {"StudyDate": "20200101"}


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize(
    "uid",
    [
        None,
        "",
        " ",
        "..",
        "../../x",
        "/etc",
        ".1.2",
        "1.2.x",
        "1.2\\1.3",
        "1.2 3",
        "1.2\n",
        "1" * 65,
        "１.２",
    ],
)
def test_identifiers_that_are_none(keyword: str, uid: str | None, tmp_path: Path) -> None:
    path = _with_uid(keyword, uid, tmp_path / "instance")
    with pytest.raises(FileDamaged, match=keyword):
        read_header(path, ())


@pytest.mark.parametrize("uid", ["1", "1.2.3\0", "1.2..3", "1.02.3", "1" * 64])
def test_identifiers_that_writers_get_away_with(uid: str, tmp_path: Path) -> None:
    path = _with_uid("SOPInstanceUID", uid, tmp_path / "instance")
    assert read_header(path, ()).sop_instance_uid == uid.strip("\0")


def _with_uid(keyword: str, uid: str | None, path: Path) -> Path:
    instance = instances.image()
    if uid is None:
        delattr(instance, keyword)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # As another VR, since pydicom does not write such a UI.
            instance.add_new(keyword, "UT", uid)
    instance.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
    instance.save_as(path, enforce_file_format=False)
    return path


def test_patient_and_class_may_be_missing(tmp_path: Path) -> None:
    instance = instances.image()
    del instance.PatientID
    path = instances.save_bare(instance, tmp_path / "instance", implicit=True)
    header = read_header(path, ["PatientID"])
    assert header.values == {}
    assert header.patient_id == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"D",
        b"DICM",
        bytes(128),
        bytes(5000),
        b"Dear colleague, this is a letter.\n" * 40,
        b"%PDF-1.4\n%%EOF\n",
        b"PK\x03\x04" + bytes(200),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b'{"PatientID": "1"}',
        b"\x08\0\x05\0",
        b"\x08\0\xff\xff\x04\0\0\0abcd",
        b"\x08\0\x18\0\xff\xff\xff\x7fabcd",
    ],
)
def test_not_dicom(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(NotDicom) as caught:
        read_header(path, KEYWORDS)
    assert caught.value.code == "not-dicom"


def test_media_directories_are_told_apart() -> None:
    directory = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests" / "DICOMDIR"
    with pytest.raises(MediaDirectory) as caught:
        read_header(directory, KEYWORDS)
    assert caught.value.code == "media-directory"


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(NotDicom):
            read_header(path, ())
    for path in (tmp_path / "nothing", tmp_path / "nul\0", tmp_path / ("x" * 300)):
        with pytest.raises(FileUnreadable):
            read_header(path, ())


def test_media_directory_in_any_encoding() -> None:
    root = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
    for name in ("DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-empty.dcm"):
        with pytest.raises(MediaDirectory):
            read_header(root / name, ())


def test_encoding_other_than_declared(tmp_path: Path) -> None:
    """Some writers name one of the little endian encodings and write the other."""
    explicit = instances.save(instances.image(), tmp_path / "explicit")
    content = explicit.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")
    explicit.write_bytes(content)
    assert read_header(explicit, ["PatientName"]).values == {"PatientName": instances.PATIENT_NAME}


def test_meta_information_without_preamble(tmp_path: Path) -> None:
    path = instances.save(instances.image(), tmp_path / "instance", ExplicitVRBigEndian)
    path.write_bytes(path.read_bytes()[132:])
    assert read_header(path, ["PatientName"]).values == {"PatientName": instances.PATIENT_NAME}


def test_headers_on_their_own_pass(tmp_path: Path) -> None:
    instance = instances.image()
    for element in [each for each in instance if each.tag.group >= 0x28]:
        del instance[element.tag]
    assert isinstance(read_header(instances.save(instance, tmp_path / "instance"), ()), Header)


def test_a_message_says_which_file_and_why(tmp_path: Path) -> None:
    path = instances.save(instances.image(), tmp_path / "instance")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PypxError) as caught:
        read_header(path, ())
    assert caught.value.message == f"{path} is damaged: it ends within the element (7FE0,0010)"


def test_a_private_sequence_of_unknown_vr(tmp_path: Path) -> None:
    """A UN of undefined length holds implicit items, whatever is around it (PS3.5, 6.2.2)."""
    path = instances.save(instances.image(), tmp_path / "instance")
    content = path.read_bytes()
    at = content.index(b"\x10\0\x10\0PN")
    unknown = (
        b"\x09\0\x01\x10UN\0\0\xff\xff\xff\xff"
        b"\xfe\xff\0\xe0\xff\xff\xff\xff\x10\0\x00\x40\x06\0\0\0within\xfe\xff\x0d\xe0\0\0\0\0"
        b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    path.write_bytes(content[:at] + unknown + content[at:])
    assert read_header(path, ["PatientName"]).values == {"PatientName": instances.PATIENT_NAME}
