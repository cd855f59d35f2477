"""The command lines of DCMTK's programs, whole."""

from pypx.dcmtk import association, echoscu, findscu, getscu, movescu, storescp
from pypx.dicom.node import Node
from pypx.dicom.query import Level, Query

NODE = Node("pacs.example.org", 4242, "ORTHANC", "CHRISLOCAL")


def test_echoscu() -> None:
    assert echoscu.argv("/usr/bin/echoscu", NODE, 5) == (
        "/usr/bin/echoscu",
        "-v",
        *("-aet", "CHRISLOCAL", "-aec", "ORTHANC"),
        *("-to", "5", "-ta", "5", "-td", "5"),
        *("pacs.example.org", "4242"),
    )


def test_findscu() -> None:
    assert findscu.argv("findscu", NODE, ["a.dcm", "b.dcm"], "answers", 120) == (
        "findscu",
        *("-v", "-S"),
        *("-aet", "CHRISLOCAL", "-aec", "ORTHANC"),
        *("-to", "15", "-ta", "30", "-td", "120"),
        *("-sr", "-X", "-od", "answers"),
        *("pacs.example.org", "4242"),
        *("a.dcm", "b.dcm"),
    )


def test_getscu() -> None:
    assert getscu.argv("getscu", NODE, "query.dcm", "incoming/get-1", 60) == (
        "getscu",
        *("-v", "-S"),
        *("-aet", "CHRISLOCAL", "-aec", "ORTHANC"),
        *("-to", "15", "-ta", "30", "-td", "60"),
        "+B",
        *("-od", "incoming/get-1"),
        *("pacs.example.org", "4242"),
        "query.dcm",
    )


def test_movescu() -> None:
    assert movescu.argv("movescu", NODE, "query.dcm", "CHRISLOCAL", 60) == (
        "movescu",
        *("-d", "-S"),
        *("-aet", "CHRISLOCAL", "-aec", "ORTHANC"),
        *("-aem", "CHRISLOCAL"),
        *("-to", "15", "-ta", "30", "-td", "60"),
        *("pacs.example.org", "4242"),
        "query.dcm",
    )


def test_storescp() -> None:
    assert storescp.argv("storescp", "incoming/listen-1", "log.cfg", "CHRISLOCAL") == (
        "storescp",
        "--inetd",
        *("-lc", "log.cfg"),
        *("-aet", "CHRISLOCAL"),
        *("-ts", "300", "-ta", "30", "-td", "300"),
        *("-pdu", "131072"),
        *("-dhl", "+xa", "-pm", "+B", "+uf"),
        *("-od", "incoming/listen-1"),
    )


def test_less_than_a_second_of_patience_is_a_second() -> None:
    assert association.patience(0.2) == ("-to", "1", "-ta", "1", "-td", "1")


def test_the_command_that_a_person_can_type_is_quoted() -> None:
    query = Query(Level.STUDY, {"PatientName": "O'Brien^$(id)"}, ("PatientName", "StudyInstanceUID"))
    assert findscu.typed("findscu", NODE, query) == (
        "findscu -S -aet CHRISLOCAL -aec ORTHANC -k QueryRetrieveLevel=STUDY"
        """ -k 'PatientName=O'"'"'Brien^$(id)' -k StudyInstanceUID= pacs.example.org 4242"""
    )
