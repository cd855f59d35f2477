"""What takes long to import, and how not to wait for it."""

from __future__ import annotations

import sys

#: What pydicom imports where it finds it, for pixels and downloads that no tool here asks it for: that takes
#: as long as pydicom itself.
_NOT_NEEDED = ("numpy", "requests")


def import_pydicom() -> None:
    """Import pydicom without what it can do without; for console scripts, whose process is their own."""
    if "pydicom" in sys.modules:
        return
    absent = [name for name in _NOT_NEEDED if name not in sys.modules]
    # Python's own way of saying that there is no such module (sys.modules in its library reference).
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        import pydicom  # noqa: F401
    finally:
        for name in absent:
            del sys.modules[name]
