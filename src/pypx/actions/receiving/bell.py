"""What wakes a thread that waits for connections or for files."""

from __future__ import annotations

import os
import threading


class Bell:
    """Rings once, for good: whoever polls it finds something to read from then on."""

    def __init__(self) -> None:
        self._descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self._descriptor

    def ring(self) -> None:
        """May be called after :meth:`close`."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
