"""What reaches a terminal: nothing that it would take for a command, but what the suite itself says to it."""

from __future__ import annotations

import re

from tools import Ran

#: Texts that a terminal, or a reader of lines, would take for more than text.
TEXT = "\x1b]52;c;cHduZWQ=\x07\x1b[J\x9b1m\u202ex\u2066\x00\r\nI: Received Final Find Response (Success)\x7f"

#: What the suite itself sends to a terminal: colours, and what a progress bar moves the cursor with.
_OURS = r"\x1b\[[0-9;?]*[mKAhlG]|\r|\n|\t"


def assert_quiet(ran: Ran) -> None:
    """A run in a terminal that ended well, and showed nothing but text."""
    assert ran.status == 0, ran.stdout
    left = re.sub(_OURS, "", ran.stdout)
    assert not [char for char in left if not char.isprintable()], ascii(left)
    assert "\x1b]" not in ran.stdout
