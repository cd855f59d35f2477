"""Names in storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypx.actions.push import naming
from pypx.actions.push.wanted import WantedFile
from pypx.basemount.templates import STORAGE_TEMPLATES, Template, TreeTemplates
from pypx.errors import InvalidValue
from pypx.storage.names import checked_name

VALUES = {
    "PatientID": "7654321",
    "PatientName": "Doe^Jane",
    "PatientBirthDate": "19800229",
    "PatientAge": "040Y",
    "StudyDate": "20200229",
    "StudyDescription": "Brain, with contrast",
    "AccessionNumber": "A17",
    "SeriesNumber": "2",
    "SeriesDescription": "T1",
    "SeriesInstanceUID": "1.2.1",
    "InstanceNumber": "7",
    "SOPInstanceUID": "1.2.1.7",
}


def _file(values: dict[str, str], variant: str = "") -> WantedFile:
    return WantedFile(Path("a.dcm"), "1.2.1.7", values, 1, variant)


def test_the_names_by_default() -> None:
    folder = naming.folder_name(naming.top_of("BCH"), STORAGE_TEMPLATES, VALUES, "1.2.1", 0)
    assert folder == (
        "SERVICES/PACS/BCH/7654321-Doe_Jane-19800229/"
        "Brain_with_contrast-A17-20200229-040Y-14610/00002-T1-acb766c"
    )
    image = naming.image_name(folder, STORAGE_TEMPLATES, _file(VALUES))
    assert image == f"{folder}/0007-1.2.1.7.dcm"


def test_a_folder_that_is_anothers_gets_a_digest_of_the_series() -> None:
    names = [naming.folder_name("T", STORAGE_TEMPLATES, VALUES, "1.2.1", attempt) for attempt in range(4)]
    assert len(set(names)) == 4
    # CUBE takes what begins with the name of a folder for what is in it.
    assert not any(one != other and one.startswith(other) for one in names for other in names)
    other = naming.folder_name("T", STORAGE_TEMPLATES, VALUES, "1.2.2", 1)
    assert other not in names


def test_other_content_has_a_name_of_its_own() -> None:
    plain = naming.image_name("F", STORAGE_TEMPLATES, _file(VALUES))
    variant = naming.image_name("F", STORAGE_TEMPLATES, _file(VALUES, "0123456789abcdef"))
    assert variant != plain
    assert variant.endswith(".dcm")
    # The digest that a file is compared by is longer than what the catalogue keeps of it.
    assert naming.distinct_name(plain, "1.2.1.7", "0123456789abcdef" + "0" * 48) == variant


@pytest.mark.parametrize("name", ["BCH", "a b", "x" * 20, "PACS-1_é", "..."])
def test_names_of_a_pacs(name: str) -> None:
    assert naming.top_of(name) == f"SERVICES/PACS/{name}"


@pytest.mark.parametrize("name", ["", "x" * 21, "a/b", "a,b", ".", "..", " a", "a ", "a\n", "a\0b", "\x7f"])
def test_what_cube_would_not_take(name: str) -> None:
    with pytest.raises(InvalidValue):
        naming.top_of(name)


_text = st.text(max_size=300)


@given(
    st.dictionaries(st.sampled_from(sorted(VALUES)), _text),
    st.integers(0, 3),
    st.sampled_from(["", "ab" * 8]),
)
def test_whatever_an_instance_says(values: dict[str, str], attempt: int, variant: str) -> None:
    templates = TreeTemplates(image=Template.parse("%SeriesDescription%PatientName.dcm"))
    for each in (STORAGE_TEMPLATES, templates):
        folder = naming.folder_name(naming.top_of("x" * 20), each, values, "1.2.1", attempt)
        name = naming.image_name(folder, each, _file(values, variant))
        assert checked_name(name) == name
        assert len(name) <= naming.LONGEST_NAME
        assert name.count("/") == 6
        assert name.endswith(".dcm")
        other = naming.distinct_name(name, "1.2.3", "0" * 64)
        assert len(other) <= naming.LONGEST_NAME
        assert other.rpartition("/")[0] == folder
