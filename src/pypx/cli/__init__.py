"""One file a console script: options in, one action called, its result printed."""

from __future__ import annotations

import signal
import sys
import threading


def _end_at_ctrl_c() -> None:
    """Let Ctrl-C end a console script that is still importing, where it would show what it imports.

    :func:`pypx.cli.edge.run` takes signals for what they mean to the tool. The library comes here as well, in
    a process of somebody else: there, nothing is changed.
    """
    is_script = sys.argv[0].rpartition("/")[2].startswith(("px-", "pfstorage"))
    if (
        is_script
        and "pypx.library" not in sys.modules
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, signal.SIG_DFL)


_end_at_ctrl_c()
