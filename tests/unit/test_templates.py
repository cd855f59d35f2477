"""The naming template language, and that nothing it renders leaves the tree."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypx.basemount.template_functions import invented_name
from pypx.basemount.templates import (
    COMPONENT_BYTES,
    Template,
    TreeTemplates,
    distinct_component,
    legal_component,
)
from pypx.errors import InvalidTemplate

VALUES = {
    "PatientID": "7654321",
    "PatientName": "Müller^Jürgen",
    "PatientBirthDate": "19800229",
    "StudyDescription": "MR brain / [T2], axial",
    "AccessionNumber": "",
    "StudyDate": "20200301",
    "SeriesNumber": "3",
    "SeriesDescription": "T2 [TSE], axial",
    "SeriesInstanceUID": "1.2.3",
    "InstanceNumber": "17",
    "SOPInstanceUID": "1.2.3.17",
    "ProtocolName": "t2 tse/axial (fast)",
}

LEGAL = re.compile(r"[A-Za-z0-9._-]+")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("%PatientID", "7654321"),
        ("%PatientIDx", "7654321x"),
        ("%PatientID-%PatientName-%PatientBirthDate", "7654321-Müller^Jürgen-19800229"),
        ("%PatientName%PatientID", "Müller^Jürgen7654321"),
        ("plain.dcm", "plain.dcm"),
        ("%AccessionNumber", ""),
        ("%Modality", ""),
        ("%OperatorsName.x", ".x"),
        ("%_pad|5,0_SeriesNumber", "00003"),
        ("%_pad|5_SeriesNumber", "00003"),
        ("%_pad|4,__SeriesNumber", "___3"),
        ("%_pad|4,,_SeriesNumber", ",,,3"),
        ("%_pad|2,0_PatientID", "7654321"),
        ("%_pad|4,0_AccessionNumber", "0000"),
        ("%_md5|7_SeriesInstanceUID", "b0e8daa"),
        ("%_md5_SeriesInstanceUID", "b0e8daa258acbb6fc4c86f89e0c9183e"),
        ("%_strmsk|******01_PatientBirthDate", "19800201"),
        ("%_strmsk|**_**_PatientID", "76_43"),
        ("%_strmsk|*****************X_SeriesNumber", "3"),
        ("%_nospc|-_ProtocolName", "t2-tse-axial-fast"),
        ("%_nospc_ProtocolName", "t2tseaxialfast"),
        ("%_nospc|__ProtocolName", "t2_tse_axial_fast"),
        ("%AgeInDays", "14611"),
        ("a-%AgeInDays-b", "a-14611-b"),
        ("%_pad|6,0_AgeInDays", "014611"),
    ],
)
def test_render(template: str, text: str) -> None:
    assert Template.parse(template).render(VALUES) == text


def test_age_in_days_is_empty_where_it_cannot_be_known() -> None:
    template = Template.parse("%AgeInDays")
    assert template.render({}) == ""
    assert template.render(VALUES | {"PatientBirthDate": "unknown"}) == ""
    assert template.render(VALUES | {"StudyDate": "19700101"}) == ""


def test_invented_name_follows_its_seed() -> None:
    by_patient = Template.parse("%_name|PatientID_PatientName")
    assert by_patient.render(VALUES) == by_patient.render(VALUES | {"PatientName": "other"})
    assert by_patient.render(VALUES) != by_patient.render(VALUES | {"PatientID": "other"})
    assert Template.parse("%_name|patientID_PatientName").render(VALUES) == by_patient.render(VALUES)
    assert Template.parse("%_name_PatientID").render(VALUES) == by_patient.render(VALUES)


def test_invented_names_never_change() -> None:
    assert invented_name("7654321") == "Nadasore^Valorelo"
    assert invented_name("") == "Jedirihe^Motideki"


@given(st.sets(st.text(), min_size=50, max_size=50))
def test_invented_names_are_distinct_and_pronounceable(seeds: set[str]) -> None:
    names = {invented_name(seed) for seed in seeds}
    assert len(names) == len(seeds)
    assert all(re.fullmatch(r"[A-Z][a-z]{7}\^[A-Z][a-z]{7}", name) for name in names)


def test_keywords_are_what_the_template_needs() -> None:
    parsed = Template.parse(
        "%PatientID-%_md5|4_StudyInstanceUID-%AgeInDays-%_name|AccessionNumber_PatientName"
    )
    assert parsed.keywords == {
        "PatientID",
        "StudyInstanceUID",
        "PatientBirthDate",
        "StudyDate",
        "AccessionNumber",
    }
    assert Template.parse("plain").keywords == frozenset()


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("%PatentID", "PatentID", "PatientID"),
        ("%patientid", "patientid", "PatientID"),
        ("%SeriesNummer-%PatientID", "SeriesNummer", "SeriesNumber"),
        ("%_md6|7_PatientID", "md6", "md5"),
        ("%_PatientID", "PatientID", "pad"),
        ("%_md5|7_SeriesInstancUID-%_pad|4,0_InstanceNumber", "SeriesInstancUID", "SeriesInstanceUID"),
        ("%_md5|77_PatientID", "'77'", "1 to 32"),
        ("%_md5|0_PatientID", "'0'", "1 to 32"),
        ("%_md5|٣_PatientID", "'٣'", "1 to 32"),
        ("%_pad|x,0_PatientID", "'x,0'", "width"),
        ("%_pad|4,00_PatientID", "'4,00'", "one character"),
        ("%_pad|999,0_PatientID", "'999,0'", "width"),
        ("%_pad_PatientID", "''", "width"),
        ("%_strmsk|_PatientID", "''", "mask"),
        ("%_nospc|--_PatientID", "'--'", "one character"),
        ("%_name|Nobody_PatientName", "Nobody", ""),
        ("%_md5|7", "without an attribute", ""),
        ("100%", "without an attribute", ""),
        ("%%PatientID", "without an attribute", ""),
        ("%-PatientID", "without an attribute", ""),
        ("", "names nothing", ""),
        (".", "names nothing", ""),
        ("..", "names nothing", ""),
        ("%PatientID/%StudyDate", "holds a /", ""),
        ("/etc", "holds a /", ""),
        ("%_nospc|/_PatientID", "holds a /", ""),
    ],
)
def test_refused(template: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidTemplate) as caught:
        Template.parse(template)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.code == "invalid-template"
    assert caught.value.exit_status == 2


@given(st.text(alphabet="%_|,-*./0123456789abmdpnosckrtPatientIDNameSeriesNumberUID", max_size=60))
def test_any_template_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = Template.parse(text)
    except InvalidTemplate:
        return
    _assert_legal(parsed.component(VALUES))


def names_in_the_tree(values: dict[str, str], templates: TreeTemplates | None = None) -> tuple[str, ...]:
    templates = templates or TreeTemplates()
    return (*templates.directories(values), templates.image.component(values))


def test_default_tree() -> None:
    assert names_in_the_tree(VALUES) == (
        "7654321-M_ller_J_rgen-19800229",
        "MR_brain_T2_axial--20200301",
        "00003-T2_TSE_axial-b0e8daa",
        "0017-1.2.3.17.dcm",
    )


def test_tree_of_an_instance_that_says_nothing() -> None:
    assert names_in_the_tree({}) == ("--", "--", "00000--d41d8cd", "0000-.dcm")


def test_own_templates() -> None:
    tree = TreeTemplates(
        root=Template.parse("%_name|PatientID_PatientName"), image=Template.parse("%Rows.dcm")
    )
    assert "PatientID" in tree.keywords
    assert "Rows" in tree.keywords
    assert names_in_the_tree(VALUES | {"Rows": "512"}, tree)[-1] == "512.dcm"


@pytest.mark.parametrize(
    ("text", "component"),
    [
        ("a b", "a_b"),
        ("a /\\: b", "a_b"),
        ("a_b__c", "a_b_c"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("$(touch pwned)", "_touch_pwned_"),
        ("--help", "--help"),
        (".hidden", ".hidden"),
        ("...", "..."),
        ("山田^太郎", "_"),
        ("a\0b\x1b[31m\n", "a_b_31m_"),
        ("", "_"),
        (".", "_"),
        ("..", "__"),
        ("\ud800", "_"),
    ],
)
def test_legal_component(text: str, component: str) -> None:
    assert legal_component(text) == component


def test_long_components_are_cut_and_stay_apart() -> None:
    first, second = (legal_component("x" * 300 + end + ".dcm") for end in "ab")
    assert len(first) == len(second) == COMPONENT_BYTES
    assert first != second
    assert first.endswith(".dcm")
    assert legal_component("x" * COMPONENT_BYTES) == "x" * COMPONENT_BYTES


def test_long_texts_that_become_the_same_characters_stay_apart() -> None:
    assert legal_component("ü" + "x" * 300) != legal_component("ö" + "x" * 300)


def test_distinct_component() -> None:
    first, second = distinct_component("0001-1.2.3.dcm", "a"), distinct_component("0001-1.2.3.dcm", "b")
    assert first != second
    assert re.fullmatch(r"0001-1\.2\.3-[0-9a-f]{32}\.dcm", first)
    assert re.fullmatch(r"0001-1\.2\.3-[0-9a-f]{8}\.dcm", distinct_component("0001-1.2.3.dcm", "a", digits=8))
    assert len(distinct_component("x" * COMPONENT_BYTES, "a")) == COMPONENT_BYTES


def _assert_legal(component: str) -> None:
    assert LEGAL.fullmatch(component)
    assert component not in (".", "..")
    assert len(component.encode()) <= COMPONENT_BYTES


attribute_values = st.text(max_size=400)
instances = st.fixed_dictionaries({}, optional=dict.fromkeys(VALUES, attribute_values))


@given(instances)
@example({"PatientID": "..", "PatientName": "/", "PatientBirthDate": ""})
@example(dict.fromkeys(VALUES, "../../../etc/passwd"))
@example(dict.fromkeys(VALUES, "\0"))
def test_any_attribute_values_stay_in_the_tree(values: dict[str, str]) -> None:
    for part in names_in_the_tree(values):
        _assert_legal(part)


@given(attribute_values)
@example("..")
def test_a_bare_attribute_stays_in_the_tree(value: str) -> None:
    for text in ("%PatientID", "%_nospc|._PatientID", "%_strmsk|.._PatientID", "%_strmsk|***_PatientID"):
        _assert_legal(Template.parse(text).component({"PatientID": value}))


uids = st.from_regex(r"[0-9][0-9.]{0,63}", fullmatch=True)


@given(st.lists(st.tuples(instances, uids), min_size=2, max_size=8, unique_by=lambda one: one[1]))
def test_distinct_instances_have_distinct_paths(described: list[tuple[dict[str, str], str]]) -> None:
    paths = [names_in_the_tree(values | {"SOPInstanceUID": uid}) for values, uid in described]
    assert len(set(paths)) == len(described)


def test_the_dictionary_is_not_loaded_for_the_usual_templates() -> None:
    program = (
        "import sys; from pypx.basemount.templates import Template, TreeTemplates; TreeTemplates();"
        "Template.parse('%_pad|3,0_InstanceNumber-%AgeInDays-%PatientAge');"
        "sys.exit('pydicom' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
