"""No character that a terminal acts on comes through."""

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pypx.printable import printable, printable_json, printable_text

#: Categories that no terminal draws: controls, surrogates, line and paragraph separators.
_NEVER = {"Cc", "Cs", "Zl", "Zp"}

#: Bidirectional overrides, isolates and marks (Unicode annex 9, 2).
_DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_every_character_that_acts_is_spelled_out() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        acts = (
            unicodedata.category(character) in _NEVER or unicodedata.bidirectional(character) in _DIRECTIONS
        )
        shown = printable(character)
        assert (shown == character) is not (acts or code in (0x200E, 0x200F, 0x061C, 0xFEFF)), hex(code)
        assert not any(unicodedata.category(part) in _NEVER for part in shown)


def test_line_breaks_and_tabs_stay_in_a_text() -> None:
    assert printable_text("a\tb\nc\r\x1b[0m") == "a\tb\nc\\r\\x1b[0m"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_all_else_is_left_alone(text: str) -> None:
    assert printable(text) == text
    assert printable_text(text) == text


@given(st.text())
def test_json_stays_the_same_json(text: str) -> None:
    shown = printable_json(json.dumps([text], ensure_ascii=False, indent=2))
    assert json.loads(shown) == [text]
    assert not any(unicodedata.category(part) in _NEVER for part in shown.replace("\n", ""))
