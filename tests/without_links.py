"""A process to which the kernel refuses hard links, as it does on filesystems that have none."""

from __future__ import annotations

import ctypes
import errno
import platform
from pathlib import Path

#: AUDIT_ARCH_… (linux/audit.h) and the numbers of link() and linkat(), by machine; aarch64 has no link().
_CALLS = {"x86_64": (0xC000003E, (86, 265)), "aarch64": (0xC00000B7, (37,))}

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_SET_SECCOMP, _FILTER, _SET_NO_NEW_PRIVILEGES = 22, 2, 38


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def refuse_links(number: int = errno.EPERM) -> None:
    """Have the kernel answer each link() of this process, and of those that it starts, with this error."""
    architecture, calls = _CALLS[platform.machine()]
    refusing = [(_JUMP_IF_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, len(refusing) + 1, architecture),
        (_LOAD, 0, 0, _NUMBER),
        *refusing,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | number),
    ]
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(len(steps), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*call):
            raise OSError(ctypes.get_errno(), "prctl")


def environment(directory: Path, number: int = errno.EPERM) -> dict[str, str]:
    """The environment of a Python program that is to have no links.

    Parameters
    ----------
    directory : pathlib.Path
        Empty; what the program is to load first is put here.
    number : int
        What the kernel says.
    """
    (directory / "sitecustomize.py").write_text(
        f"import without_links\nwithout_links.refuse_links({number})\n"
    )
    return {"PYTHONPATH": f"{directory}:{Path(__file__).parent}"}
