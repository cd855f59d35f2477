"""C-ECHO (PS3.4, annex A) through DCMTK's echoscu."""

from __future__ import annotations

from pypx.dcmtk import association
from pypx.dcmtk.process import Ended
from pypx.dicom.node import Node
from pypx.errors import PypxError, RequestFailed


def argv(binary: str, node: Node, timeout: float) -> tuple[str, ...]:
    """The command line that asks one C-ECHO.

    Parameters
    ----------
    binary : str
        Path of echoscu.
    node : Node
        The PACS.
    timeout : float
        Seconds to wait for each answer.
    """
    return (
        binary,
        "-v",
        *association.titles(node),
        *association.patience(timeout),
        *association.protection(node),
        *association.address(node),
    )


def failure(node: Node, ended: Ended) -> PypxError | None:
    """Why the C-ECHO failed; None when the PACS answered it with success."""
    responses = [line for line in ended.tail if "Received Echo Response" in line]
    if any("(Success)" in line for line in responses):
        return None
    if responses:
        return RequestFailed(f"{node} answered the C-ECHO with a failure: {responses[-1][2:].strip()}")
    return association.failure_or_unknown(node, ended)
