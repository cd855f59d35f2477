"""The tabular report and the tree: as wide as they may be, nothing lost, nothing that a terminal acts on."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from datasets import AWKWARD_TEXTS
from finds import found, plain_find, series, status_document, status_row, study
from pypx.actions.found import Found
from pypx.actions.report.layout import Asked, for_report
from pypx.actions.report.lines import fold, label
from pypx.actions.report.studies import Reported, gather, read
from pypx.actions.report.tabular import tabular
from pypx.actions.report.tree import tree
from pypx.cli.painting import THEMES, drawable, painted, unpainted
from pypx.printable import printable

FORMS = {"tabular": tabular, "tree": tree}

AWKWARD = [
    *AWKWARD_TEXTS.values(),
    "x" * 10_000,
    "山田^太郎 " * 500,
    "e\u0301" * 90,
    "👩‍👩‍👧 ❤️" * 40,
    "\0\ud800",
    " ",
]


def drawn(form: str, reported: Reported | Found, width: int | None, **asked: object) -> list[str]:
    if isinstance(reported, Found):
        reported = gather([reported])
    return list(unpainted(FORMS[form](reported, for_report(Asked(**asked), reported), width)))


def awkward_find() -> Found:
    return found(
        *(
            study(
                f"1.2.{number}",
                series(
                    f"1.2.{number}.1",
                    SeriesDescription=text,
                    Modality="MR",
                    NumberOfSeriesRelatedInstances="2",
                ),
                PatientName=text,
                PatientID=f"ID-{number}",
                StudyDescription=text,
            )
            for number, text in enumerate(AWKWARD)
        )
    )


def test_tabular_of_two_patients() -> None:
    assert drawn("tabular", plain_find(), 80) == [
        "━━ Study 1 of 3 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 2 series, 17 images ━━",
        " Patient      Doe^Jane                   Patient ID   P-1",
        " Birth Date   19800229                   Age          040Y",
        " Sex          F                          Study Date   20200229",
        " Description  Brain                      Accession    A-1",
        " Modalities   MR                         Study UID    1.2.3",
        "",
        " No.  Description  Modality  Images  Series UID",
        " ───  ───────────  ────────  ──────  ──────────",
        "   1  T1           MR            12  1.2.3.1",
        "   2  T2           MR             5  1.2.3.2",
        "",
        "━━ Study 2 of 3 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 1 series, unknown images ━━",
        " Patient      Doe^Jane                   Patient ID   P-1",
        " Birth Date                              Age",
        " Sex                                     Study Date   20210301",
        " Description  Follow-up                  Accession",
        " Modalities   CT                         Study UID    1.2.4",
        "",
        " No.  Description  Modality  Images  Series UID",
        " ───  ───────────  ────────  ──────  ──────────",
        "   1  Thorax       CT                1.2.4.1",
        "",
        "━━ Study 3 of 3 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ unknown series, unknown images ━━",
        " Patient      Müller^Jürgen              Patient ID   P-2",
        " Birth Date                              Age",
        " Sex                                     Study Date   20190101",
        " Description                             Accession",
        " Modalities                              Study UID    1.2.5",
        "",
        " No series.",
        "",
        "3 studies, unknown series, unknown images",
    ]


def test_tree_of_two_patients() -> None:
    assert drawn("tree", plain_find(), 80) == [
        "2 patients, 3 studies, unknown series, unknown images",
        "├── Doe^Jane  P-1  19800229  F  (2 studies, 3 series, unknown images)",
        "│   ├── 20200229  Brain  A-1  MR  040Y  (2 series, 17 images)",
        "│   │   ├── 1  T1  MR  (12 images)",
        "│   │   └── 2  T2  MR  (5 images)",
        "│   └── 20210301  Follow-up  CT  (1 series, unknown images)",
        "│       └── 1  Thorax  CT  (unknown images)",
        "└── Müller^Jürgen  P-2  (1 study, unknown series, unknown images)",
        "    └── 20190101  (unknown series, unknown images)",
    ]


def test_nothing_found() -> None:
    assert drawn("tabular", found(), 80) == ["No studies."]
    assert drawn("tree", found(), 80) == ["0 patients, 0 studies, 0 series, 0 images"]


def test_no_table_where_no_series_was_asked_for() -> None:
    assert not any("series." in line for line in drawn("tabular", found(study("1"), study("2")), 80))


def test_tree_tells_patients_of_one_id_apart_by_name() -> None:
    same_id = found(study("1", PatientID="1", PatientName="A"), study("2", PatientID="1", PatientName="B"))
    assert drawn("tree", same_id, 80)[0].startswith("2 patients")


def test_tree_shows_what_was_asked_for() -> None:
    lines = drawn(
        "tree", plain_find(), 80, study=("PatientID", "StudyInstanceUID"), series=("SeriesInstanceUID",)
    )
    assert lines[1:4] == [
        "├── P-1  (2 studies, 3 series, unknown images)",
        "│   ├── 1.2.3  (2 series, 17 images)",
        "│   │   ├── 1.2.3.1  (12 images)",
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [20, 40, 80, 133, 200])
def test_no_line_is_wider_than_the_terminal(form: str, width: int) -> None:
    for line in drawn(form, awkward_find(), width):
        assert cell_len(line) <= width


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_value_is_cut(form: str, width: int) -> None:
    shown = "".join(re.sub(r"[│├└─ ]", "", line) for line in drawn(form, awkward_find(), width))
    for text in AWKWARD:
        whole = re.sub(r"[│├└─ ]", "", printable(text))
        assert whole in shown


@pytest.mark.parametrize("form", FORMS)
def test_values_are_whole_on_one_line_where_there_is_no_terminal(form: str) -> None:
    lines = drawn(form, awkward_find(), None)
    for text in AWKWARD:
        assert any(printable(text).rstrip(" ") in line for line in lines)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [80, None])
def test_nothing_that_a_terminal_acts_on(form: str, width: int | None) -> None:
    for line in drawn(form, awkward_find(), width):
        assert not {unicodedata.category(character) for character in line} & {"Cc", "Cs", "Zl", "Zp"}
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", line)


@given(st.lists(st.text(max_size=200), max_size=3), st.integers(20, 220))
@settings(max_examples=60, deadline=None)
def test_any_values_fit_any_width(texts: list[str], width: int) -> None:
    of_it = [
        series(f"1.{number}", SeriesDescription=text, Modality=text) for number, text in enumerate(texts)
    ]
    for line in drawn("tabular", found(study("1", *of_it, PatientName="".join(texts))), width):
        assert cell_len(line) <= width


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=300), st.integers(2, 40))
def test_folding_loses_nothing(text: str, width: int) -> None:
    lines = fold(text, width)
    assert "".join(lines) == text
    assert all(cell_len(line) <= width for line in lines)


def test_folding_breaks_behind_spaces() -> None:
    assert fold("one two three", 9) == ["one two ", "three"]
    assert fold("a " + "b" * 20, 10) == ["a bbbbbbbb", "b" * 10, "bb"]
    assert fold("山田太郎", 5) == ["山田", "太郎"]


def test_wide_characters_keep_columns_in_line() -> None:
    wide = study(
        "1",
        series("1.1", SeriesDescription="頭部CT 山田", Modality="CT"),
        series("1.2", SeriesDescription="plain", Modality="CT"),
    )
    *_, first, second, _, _ = drawn("tabular", found(wide), 80)
    assert first == " 頭部CT 山田  CT        1.1"
    assert second == " plain        CT        1.2"


def test_uids_are_left_out_where_they_would_not_be_whole() -> None:
    uid = "1.2.826.0.1.3680043.8.498." + "1" * 38
    long = found(study("1", series(uid, SeriesDescription="D" * 30, Modality="MR")))
    narrow, wide = drawn("tabular", long, 80), drawn("tabular", long, 120)
    assert narrow[-1] == "Left out at this width: SeriesInstanceUID."
    assert not any(uid in line for line in narrow)
    assert sum(uid in line for line in wide) == 1


def test_uids_that_were_asked_for_are_whole_at_any_width() -> None:
    uid = "1.2.826.0.1.3680043.8.498." + "1" * 38
    long = found(study("1", series(uid, SeriesDescription="D" * 30)))
    lines = drawn("tabular", long, 80, series=("SeriesInstanceUID", "SeriesDescription"))
    assert f"   Series UID   {uid}" in lines


def test_columns_of_a_status_fit_80_columns() -> None:
    reported = read([status_document(*(status_row("1", f"1.{number}") for number in range(3)))])
    lines = drawn("tabular", reported, 80)
    headings = next(line for line in lines if "Requested" in line)
    assert headings == " Description  Requested  Received  Packed  Pushed  Registered  State"


@pytest.mark.parametrize("theme", THEMES)
def test_painting_adds_colour_and_nothing_else(theme: str) -> None:
    reported = gather([awkward_find()])
    lines = list(tabular(reported, for_report(Asked(), reported), 80))
    plain, coloured = list(unpainted(lines)), list(painted(lines, theme))
    assert plain != coloured
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == plain


def test_rules_are_drawn_with_what_the_terminal_has() -> None:
    assert drawable("━━ ─ │ ├── └── Ü", "utf-8") == "━━ ─ │ ├── └── Ü"
    assert drawable("━━ ─ │ ├── └── Ü", "latin-1") == "== - | |-- `-- Ü"


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("PatientName", "Patient"),
        ("PerformedStationAETitle", "Performed Station AE Title"),
        ("SOPInstanceUID", "SOP Instance UID"),
        ("requested", "Requested"),
        ("0009,1001", "0009,1001"),
        ("\x1b[31mred", "\\x1b[31mred"),
    ],
)
def test_labels(tag: str, words: str) -> None:
    assert label(tag) == words
