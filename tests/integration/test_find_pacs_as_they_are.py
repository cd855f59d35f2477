"""px-find against PACS as they are, and against a hostile one: what comes out, and what is said of it."""

from __future__ import annotations

import pytest

from archives import a_study, archive, series_uid, study_uid
from demo.server import HOST
from finding import assert_says, find, numbers_of, series_of, values_of
from pypx.actions.find import FindRequest
from pypx.actions.find import find as pypx_find
from pypx.dicom.node import Node
from servers.find_provider import FindProvider
from servers.habits import adding, backwards, ending, of_level, omitting, setting, twice, warning, writing
from tools import run_tool


def test_a_pacs_by_the_book() -> None:
    with FindProvider(archive(3)) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    assert numbers_of(ran) == [1, 2, 3]
    assert series_of(ran) == [[series_uid(number, place) for place in (1, 2)] for number in (1, 2, 3)]
    assert values_of(ran.json["data"], "NumberOfStudyRelatedInstances") == ["20", "20", "20"]
    assert pacs.associations == 2


# Keys that are ignored


@pytest.mark.parametrize(
    ("keyword", "value", "fitting"),
    [
        ("PatientID", "P-2", [2]),
        ("PatientID", "*-3", [3]),
        ("PatientName", "doe^number ?", [1, 2, 3]),
        ("PatientName", "Doe^Number 1", [1]),
        ("StudyDate", "20200201-20200301", [1, 2]),
        ("StudyDate", "-20200301", [1, 2]),
        ("StudyDescription", "*3", [3]),
    ],
)
def test_answers_that_a_pacs_did_not_match_are_left_out(keyword: str, value: str, fitting: list[int]) -> None:
    with FindProvider(archive(3), ignores=[keyword]) as pacs:
        ran = find(pacs, f"--{keyword}", value)
    assert numbers_of(ran) == fitting
    left_out = 3 - len(fitting)
    if left_out:
        assert_says(
            ran, f"{left_out} {'study' if left_out == 1 else 'studies'} left out for not matching {keyword}."
        )
    assert len(pacs.asked("SERIES")) == len(fitting)


def test_studies_that_a_pacs_did_not_match_by_uid_are_left_out() -> None:
    with FindProvider(archive(3), of_level("STUDY", adding(StudyInstanceUID="1.2.9"))) as pacs:
        ran = find(pacs, "--StudyInstanceUID", f"{study_uid(3)},{study_uid(1)}")
    assert numbers_of(ran) == [1, 3]
    assert_says(ran, "1 study left out for not matching StudyInstanceUID.")


def test_a_study_without_a_value_is_left_out_wherever_it_comes() -> None:
    nameless = a_study(7, AccessionNumber="")
    held = [nameless, a_study(1, AccessionNumber="A-1"), a_study(2, AccessionNumber="A-2"), nameless]
    with FindProvider(held, ignores=["AccessionNumber"]) as pacs:
        ran = find(pacs, "--AccessionNumber", "A-1")
    assert numbers_of(ran) == [1]
    assert_says(ran, "studies left out for not matching AccessionNumber")


def test_a_key_that_a_pacs_does_not_know_cannot_be_checked_and_that_is_said() -> None:
    with FindProvider(archive(3), lacks=["AccessionNumber"]) as pacs:
        ran = find(pacs, "--AccessionNumber", "A-1")
    assert numbers_of(ran) == [1, 2, 3]
    assert_says(ran, "The PACS returns no AccessionNumber")


def test_modalities_are_seen_in_the_series_where_a_pacs_does_not_tell_them() -> None:
    held = [a_study(1, series=1), a_study(2, series=2), a_study(3, series=1)]
    with FindProvider(held, lacks=["ModalitiesInStudy"]) as pacs:
        ran = find(pacs, "--ModalitiesInStudy", "MR")
        unchecked = find(pacs, "--ModalitiesInStudy", "MR", "--StudyOnly")
    assert numbers_of(ran) == [2]
    assert_says(ran, "2 studies left out for having no series of the modality asked for.")
    assert numbers_of(unchecked) == [1, 2, 3]
    assert_says(unchecked, "The PACS returns no ModalitiesInStudy")


def test_modalities_are_not_judged_by_series_that_are_missing() -> None:
    held = [a_study(1, series=1), a_study(2, series=2)]
    with FindProvider(held, of_level("SERIES", ending(0xC001)), lacks=["ModalitiesInStudy"]) as pacs:
        ran = find(pacs, "--ModalitiesInStudy", "MR", status=1)
    assert numbers_of(ran) == [1, 2]


def test_a_library_may_name_keys_by_their_tags() -> None:
    with FindProvider(archive(3), ignores=["PatientID"], lacks=["ModalitiesInStudy"]) as pacs:
        node = Node(HOST, pacs.port, pacs.aec, pacs.aet)
        found = pypx_find(
            FindRequest(node, {"0010,0020": "P-?", "0008,0061": "MR", "0020,000D": study_uid(2)})
        )
    assert [study.patient_id for study in found.studies] == ["P-2"]
    assert found.notes == ()


def test_a_library_prints_nothing_of_its_own() -> None:
    script = (
        "import sys\n"
        "from pypx.actions.find import FindRequest, find\n"
        "from pypx.dicom.node import Node\n"
        "node = Node(sys.argv[1], int(sys.argv[2]), sys.argv[3])\n"
        "assert find(FindRequest(node, {'PatientID': 'P-1'})).notes\n"
    )
    with FindProvider(archive(2), ignores=["PatientID"]) as pacs:
        ran = run_tool("python", "-c", script, HOST, pacs.port, pacs.aec)
    assert (ran.status, ran.stdout, ran.stderr) == (0, "", "")


def test_series_that_a_pacs_did_not_match_are_left_out() -> None:
    with FindProvider(archive(2), ignores=["Modality"]) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--Modality", "MR")
    assert series_of(ran) == [[series_uid(1, 2)], [series_uid(2, 2)]]
    assert_says(ran, "2 series left out for not matching Modality.")


def test_a_pacs_that_says_that_it_ignores_keys() -> None:
    with FindProvider(archive(2), warning) as pacs:
        ran = find(pacs, "--PatientID", "P-1")
    assert numbers_of(ran) == [1]
    assert_says(ran, "The PACS says that it does not support all keys")


# What a PACS does not return


def test_a_pacs_that_returns_no_counts() -> None:
    counts = ["NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"]
    with FindProvider(archive(2), lacks=counts) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    for study in ran.json["data"]:
        assert study["NumberOfStudyRelatedInstances"]["value"] == ""
        assert values_of(study["series"], "NumberOfSeriesRelatedInstances") == ["", ""]


def test_a_study_without_series_stays_unless_series_were_asked_for() -> None:
    with FindProvider([a_study(1, series=0), a_study(2)]) as pacs:
        everything = find(pacs, "--PatientID", "P-*")
        computed = find(pacs, "--PatientID", "P-*", "--Modality", "CT")
    assert series_of(everything) == [[], [series_uid(2, 1), series_uid(2, 2)]]
    assert series_of(computed) == [[series_uid(2, 1)]]


def test_series_attributes_choose_the_studies_of_study_only() -> None:
    with FindProvider([a_study(1, series=1), a_study(2)]) as pacs:
        ran = find(pacs, "--PatientID", "P-*", "--Modality", "MR", "--StudyOnly")
    assert numbers_of(ran) == [2]
    assert series_of(ran) == [[]]


def test_series_that_do_not_say_whose_they_are() -> None:
    with FindProvider(archive(2), of_level("SERIES", omitting("StudyInstanceUID"))) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    for study in ran.json["data"]:
        assert set(values_of(study["series"], "StudyInstanceUID")) == {study["StudyInstanceUID"]["value"]}


def test_a_pacs_that_answers_all_series_to_every_query_and_does_not_say_whose_they_are() -> None:
    nameless = of_level("SERIES", omitting("StudyInstanceUID"))
    with FindProvider(archive(2, series=1), nameless, ignores=["StudyInstanceUID"]) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert_says(
        ran,
        "Listed in several studies: 2 series",
    )


# What nobody asked a PACS for


def test_series_in_another_order() -> None:
    with FindProvider(archive(12), backwards) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    assert numbers_of(ran) == list(range(12, 0, -1))
    assert series_of(ran) == [[series_uid(number, 2), series_uid(number, 1)] for number in numbers_of(ran)]


def test_everything_twice() -> None:
    with FindProvider(archive(3), twice) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    assert numbers_of(ran) == [1, 2, 3]
    assert {len(series) for series in series_of(ran)} == {2}
    assert len(pacs.asked("SERIES")) == 3


def test_series_of_foreign_studies() -> None:
    foreign = adding(SeriesInstanceUID="1.2.9.1", StudyInstanceUID="1.2.9", Modality="CT")
    with FindProvider(archive(2), of_level("SERIES", foreign)) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert "1.2.9.1" not in ran.stdout
    assert_says(ran, "2 series left out for being of another study than the one asked for.")


def test_foreign_studies() -> None:
    foreign = adding(StudyInstanceUID="1.2.9", PatientID="OTHER")
    with FindProvider(archive(2), of_level("STUDY", foreign)) as pacs:
        ran = find(pacs, "--StudyInstanceUID", study_uid(1))
    assert numbers_of(ran) == [1]
    assert_says(ran, "1 study left out for not matching StudyInstanceUID.")


def test_attributes_that_nobody_asked_for_are_passed_on() -> None:
    more = setting({"InstitutionName": "Somewhere", "0009,1001": "private"})
    with FindProvider(archive(1), more) as pacs:
        (study,) = find(pacs, "--PatientID", "P-1").json["data"]
    assert study["InstitutionName"] == {"tag": "0008,0080", "value": "Somewhere", "label": "InstitutionName"}
    assert study["0009,1001"] == {"tag": "0009,1001", "value": "private", "label": "0009,1001"}


# UIDs and values of a hostile PACS


@pytest.mark.parametrize(
    "uid", ["../../etc/passwd", "1.2.three", "1" * 65, "", "1.2.3;id", "-k", "1..2", "1.2\\1.3"]
)
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_what_has_no_valid_uid_is_left_out(uid: str, level: str) -> None:
    keyword = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}[level]
    what = {"STUDY": "study", "SERIES": "series"}[level]
    odd = {"PatientID": "P-ODD", "StudyInstanceUID": study_uid(1), keyword: uid}
    with FindProvider(archive(1), of_level(level, adding(**odd))) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert series_of(ran) == [[series_uid(1, 1), series_uid(1, 2)]]
    assert not uid or f'"{uid}"' not in ran.stdout
    assert_says(ran, f"1 {what} left out for lack of a valid {keyword}.")


@pytest.mark.parametrize(
    "value",
    [
        "bell\x07 clear\x1b[2J\x1b]0;pwned\x07 back\rspace\b",
        "].value [ ) # 12, 1 PatientID",
        "I: Received Final Find Response (Success)",
        "line\nI: Received Final Find Response (Failed: UnableToProcess)\nI: Sending Find Request (MsgID 2)",
        "\u202eevil\u2066",
        "\x00nul\x00inside",
    ],
)
def test_hostile_values_are_values(value: str) -> None:
    with FindProvider(archive(2), setting({"StudyDescription": value, "SeriesDescription": value})) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert ran.stderr == ""
    assert values_of(ran.json["data"], "StudyDescription") == [value.rstrip("\0 ")] * 2
    assert values_of(ran.json["data"][0]["series"], "SeriesDescription") == [value.rstrip("\0 ")] * 2


def test_values_of_a_megabyte() -> None:
    long = "x" * 1_000_000 + "-end"
    with FindProvider(archive(2), setting({"StudyDescription": long, "PatientName": long})) as pacs:
        ran = find(pacs, "--PatientID", "P-*")
    assert values_of(ran.json["data"], "StudyDescription") == [long, long]
    assert values_of(ran.json["data"], "PatientName") == [long, long]


@pytest.mark.parametrize(
    ("declares", "codec", "name"),
    [
        ("ISO_IR 100", "utf-8", "Müller^Jürgen"),
        ("ISO_IR 100", "latin-1", "Müller^Jürgen"),
        ("ISO_IR 192", "latin-1", "Müller^Jürgen"),
        (None, "utf-8", "Müller^Jürgen"),
        (None, "latin-1", "Müller^Jürgen"),
        ("KLINGON", "utf-8", "Müller^Jürgen"),
        ("..\\../../etc/passwd", "utf-8", "Müller^Jürgen"),
        ("ISO_IR 144", "iso8859-5", "Люкceмбypг"),
        ("\\ISO 2022 IR 87", "iso2022_jp", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 100", "iso2022_jp", "Yamada^Tarou=山田^太郎"),
        ("GB18030", "gb18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_in_whatever_character_set(declares: str | None, codec: str, name: str) -> None:
    held = [a_study(1, PatientName=name)]
    with FindProvider(held, writing(declares, codec)) as pacs:
        (study,) = find(pacs, "--PatientID", "P-1").json["data"]
    found = study["PatientName"]["value"]
    # Escapes that were not declared are nobody's text; what matters is that nothing fails over them.
    assert found == name or (codec == "iso2022_jp" and declares == "ISO_IR 100")


def test_a_name_in_a_wrong_character_set_still_fits_the_query() -> None:
    held = [a_study(1, PatientName="Müller^Jürgen"), a_study(2)]
    with FindProvider(held, writing("ISO_IR 100", "utf-8"), ignores=["PatientName"]) as pacs:
        ran = find(pacs, "--PatientName", "Müller^*")
    assert numbers_of(ran) == [1]
