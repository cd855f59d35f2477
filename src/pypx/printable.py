"""Values as they may be shown: never a raw control character on a terminal or in a page."""

from __future__ import annotations

#: Characters that move the cursor, change the terminal's state or turn the reading direction around.
_UNPRINTABLE = (
    {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    | {0x200E: "\\u200e", 0x200F: "\\u200f", 0x061C: "\\u061c", 0xFEFF: "\\ufeff"}
    | dict.fromkeys(range(55296, 57344), "�")
    | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
)
_UNPRINTABLE_IN_TEXT = {code: shown for code, shown in _UNPRINTABLE.items() if code not in (0x0A, 0x09)}
_UNPRINTABLE_IN_JSON = {code: f"\\u{code:04x}" for code in _UNPRINTABLE_IN_TEXT}


def printable(value: str) -> str:
    """One value as it may be shown in one cell or line: every control character spelled out.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    # Most values are printable already, and asking is much faster than translating.
    return value if value.isprintable() else value.translate(_UNPRINTABLE)


def printable_text(text: str) -> str:
    """A text of several lines as it may be shown: as :func:`printable`, line breaks and tabs kept."""
    return text.translate(_UNPRINTABLE_IN_TEXT)


def printable_json(text: str) -> str:
    """A JSON document as it may be shown: what would not be printed as the escapes that JSON has for it.

    >>> printable_json('["\\x7f"]')
    '["\\\\u007f"]'
    """
    return text.translate(_UNPRINTABLE_IN_JSON)
