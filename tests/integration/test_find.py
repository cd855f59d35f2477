"""px-find: the same questions to both PACS, and every value back to the last character."""

import shlex
import subprocess
from typing import Any

import pytest

from datasets import AWKWARD_TEXTS, NAMES, awkward_identifier, awkward_study, named_study, plain_study
from demo.pacs import Pacs
from demo.studies import Study
from servers.needs import require
from servers.orthanc import Orthanc
from servers.peers import Wire
from tools import run_in_terminal, run_tool


def _find(pacs: Pacs, *query: str) -> Any:
    ran = run_tool("px-find", *pacs.node.options, *query)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.json["status"] == "success"
    return ran.json


def _value(member: dict[str, Any], keyword: str) -> str:
    value = member[keyword]["value"]
    assert isinstance(value, str)
    assert member[keyword]["label"] == keyword
    return value


@pytest.mark.parametrize("kind", AWKWARD_TEXTS)
def test_awkward_values_come_back_whole(pacs: Pacs, kind: str) -> None:
    study, text = awkward_study(kind), AWKWARD_TEXTS[kind]
    found = _find(pacs, "--PatientID", study.patient_id)
    assert len(found["data"]) == 1
    assert _value(found["data"][0], "PatientID") == study.patient_id
    assert _value(found["data"][0], "StudyInstanceUID") == study.uid
    assert _value(found["data"][0], "StudyDescription") == text
    (series,) = found["data"][0]["series"]
    assert _value(series, "SeriesInstanceUID") == study.all_series[0].uid
    assert _value(series, "SeriesDescription") == (text if pacs.answers_series_texts else "")


@pytest.mark.parametrize("kind", NAMES)
def test_names_come_back_in_their_letters(pacs: Pacs, kind: str) -> None:
    study, (_, name) = named_study(kind), NAMES[kind]
    (found,) = _find(pacs, "--PatientID", study.patient_id)["data"]
    assert _value(found, "PatientName") == name
    assert _value(found, "StudyDescription") == name.split("^")[0]
    expected = name.split("^")[0] if pacs.answers_series_texts else ""
    assert _value(found["series"][0], "SeriesDescription") == expected


def test_an_awkward_identifier_can_be_asked_for(pacs: Pacs) -> None:
    study = awkward_identifier()
    (found,) = _find(pacs, "--PatientID", study.patient_id)["data"]
    assert _value(found, "PatientID") == "../../AWKWARD/ID"
    assert _value(found, "PatientName") == "..^$(touch pwned)"


def test_a_query_in_letters_beyond_ascii_finds(orthanc: Orthanc) -> None:
    found = _find(orthanc, "--PatientName", "Müller*")
    assert {_value(study, "PatientID") for study in found["data"]} == {"NAMED-latin", "NAMED-utf8-german"}


def _assert_describes(found: dict[str, Any], study: Study, pacs: Pacs) -> None:
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "AccessionNumber"):
        assert _value(found, keyword) == study.attributes[keyword]
    count = str(study.instances) if pacs.answers_counts else ""
    assert _value(found, "NumberOfStudyRelatedInstances") == count
    by_uid = {_value(series, "SeriesInstanceUID"): series for series in found["series"]}
    assert set(by_uid) == {series.uid for series in study.all_series}
    for series in study.all_series:
        told = by_uid[series.uid]
        assert _value(told, "SeriesNumber") == str(series.number)
        assert _value(told, "Modality") == series.attributes["Modality"]
        count = str(series.instances) if pacs.answers_counts else ""
        assert _value(told, "NumberOfSeriesRelatedInstances") == count


def test_a_study_with_all_its_series(pacs: Pacs) -> None:
    study = plain_study()
    found = _find(pacs, "--StudyInstanceUID", study.uid)
    assert len(found["data"]) == 1
    _assert_describes(found["data"][0], study, pacs)


def test_the_json_keeps_its_contract(pacs: Pacs) -> None:
    found = _find(pacs, "--PatientID", "PLAIN-1")
    assert found["returncode"] == 0
    assert found["args"]["PatientID"] == "PLAIN-1"
    assert found["args"]["aec"] == pacs.aec
    assert found["args"]["serverPort"] == pacs.port
    words = shlex.split(found["command"])
    assert words[0].endswith("findscu")
    assert "QueryRetrieveLevel=STUDY" in " ".join(words)
    for place, study in enumerate(found["data"]):
        assert study["uid"] == {"tag": 0, "value": place, "label": "uid"}
        assert study["PatientID"] == {"tag": "0010,0020", "value": "PLAIN-1", "label": "PatientID"}
        for position, series in enumerate(study["series"]):
            assert series["uid"] == {"tag": 0, "value": position, "label": "uid"}
            assert series["label"] == {"tag": 0, "value": "SERIES", "label": "RetrieveLevel"}
            assert set(series["command"]) == set(series["status"]) == {"tag", "value", "label"}
            assert f"StudyInstanceUID={_value(study, 'StudyInstanceUID')} " in series["command"]["value"]
            assert series["SeriesInstanceUID"]["tag"].lower() == "0020,000e"


def test_the_command_shown_can_be_run_by_hand(pacs: Pacs) -> None:
    found = _find(pacs, "--PatientID", "AWKWARD-shell")
    again = subprocess.run(shlex.split(found["command"]), capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert awkward_study("shell").uid in again.stdout + again.stderr


@pytest.mark.parametrize(
    ("query", "patients"),
    [
        (["--PatientID", "PLAIN-*", "--StudyDate", "2020-02-29"], {"PLAIN-1"}),
        (["--PatientID", "PLAIN-1", "--StudyDate", "20190101-20200228"], set()),
        (["--PatientName", "Doe^J*"], {"PLAIN-1", "NAMED-ascii"}),
        (["--AccessionNumber", "P-1"], {"PLAIN-1"}),
        (["--PatientID", "AWKWARD-dot?"], {"AWKWARD-dots"}),
    ],
)
def test_queries_match_as_dicom_says(pacs: Pacs, query: list[str], patients: set[str]) -> None:
    found = _find(pacs, *query)
    assert {_value(study, "PatientID") for study in found["data"]} == patients


def test_several_uids_in_one_query(pacs: Pacs) -> None:
    uids = [plain_study().uid, awkward_study("long").uid]
    found = _find(pacs, "--StudyInstanceUID", ",".join(uids))
    assert {_value(study, "StudyInstanceUID") for study in found["data"]} == set(uids)


def test_a_series_query_leaves_out_what_does_not_match(pacs: Pacs) -> None:
    found = _find(pacs, "--PatientID", "PLAIN-1", "--Modality", "CT")
    assert [_value(study, "StudyDate") for study in found["data"]] == ["20210301"]
    assert [_value(series, "Modality") for series in found["data"][0]["series"]] == ["CT"]


def test_study_only_asks_for_no_series(pacs: Pacs) -> None:
    found = _find(pacs, "--PatientID", "PLAIN-1", "--StudyOnly")
    assert [study["series"] for study in found["data"]] == [[], []]


def test_more_attributes_can_be_asked_for(orthanc: Orthanc) -> None:
    found = _find(orthanc, "--PatientID", "PLAIN-1", "--QueryReturnTags", "PatientComments,BodyPartExamined")
    assert _value(found["data"][0], "PatientComments") == ""
    assert _value(found["data"][0]["series"][0], "BodyPartExamined") == ""


def test_study_only_tells_which_attributes_it_leaves_out(pacs: Pacs) -> None:
    ran = run_tool(
        *("px-find", *pacs.node.options, "--PatientID", "PLAIN-1", "--StudyOnly"),
        *("--QueryReturnTags", "PatientComments,BodyPartExamined,StationName"),
    )
    assert ran.status == 0
    assert ran.json["notes"] == [
        "With --StudyOnly nothing is told of series; left out: BodyPartExamined, StationName."
    ]
    assert "PatientComments" in ran.json["data"][0]


def test_no_match_is_a_success_without_data(pacs: Pacs) -> None:
    found = _find(pacs, "--PatientID", "NOBODY-*")
    assert found["data"] == []
    assert "error" not in found


def test_the_whole_archive_takes_at_most_three_associations(pacs: Pacs) -> None:
    with Wire(pacs.port) as wire:
        node = f"{pacs.node.host}:{pacs.aec}:{wire.port}"
        ran = run_tool("px-find", node, "--PatientID", "*")
        assert ran.status == 0
        assert len(ran.json["data"]) == 3 + len(AWKWARD_TEXTS) + len(NAMES)
        assert wire.connections <= 3


def test_jq_reads_a_value_to_the_last_character(orthanc: Orthanc) -> None:
    jq = require("jq", "jq")
    ran = run_tool("px-find", *orthanc.node.options, "--PatientID", "AWKWARD-bracket*")
    filtered = subprocess.run(
        [jq, ".data[0].series[0].SeriesDescription.value"],
        input=ran.stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert filtered.stdout == '"T2 [TSE], axial] [ ]]"\n'


@pytest.mark.parametrize("columns", [80, 200])
def test_people_get_a_report_in_which_no_value_moves_the_cursor(orthanc: Orthanc, columns: int) -> None:
    ran = run_in_terminal(["px-find", *orthanc.node.options, "--PatientID", "AWKWARD-terminal"], columns)
    assert ran.status == 0
    assert "AWKWARD-terminal" in ran.stdout
    assert "\x1b]0;" not in ran.stdout
    assert "\x07" not in ran.stdout
    assert "\\x1b[31m" in ran.stdout.replace("\r\n", "")


def test_people_are_told_when_nothing_matches(pacs: Pacs) -> None:
    ran = run_in_terminal(["px-find", *pacs.node.options, "--PatientID", "NOBODY"])
    assert ran.status == 0
    assert "No study matches." in ran.stdout
