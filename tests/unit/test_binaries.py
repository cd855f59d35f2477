"""Which program is started where several bear the name."""

from pathlib import Path

import pytest

from pypx.dcmtk.binaries import Binaries
from pypx.errors import BinaryMissing

_PYNETDICOM = """\
#!/usr/bin/python3
import sys
from pynetdicom.apps.echoscu.echoscu import main
sys.exit(main())
"""


def _install(directory: Path, text: str) -> Path:
    directory.mkdir()
    program = directory / "echoscu"
    program.write_text(text)
    program.chmod(0o755)
    return program


def test_pynetdicoms_script_of_the_same_name_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path / "venv", _PYNETDICOM)
    wrapper = _install(tmp_path / "site", "#!/bin/sh\nexec /opt/dcmtk/bin/echoscu\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'venv'}:{tmp_path / 'missing'}:{wrapper.parent}")
    assert Binaries().path("echoscu") == str(wrapper)


def test_pynetdicom_alone_is_not_dcmtk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path / "venv", _PYNETDICOM)
    monkeypatch.setenv("PATH", str(tmp_path / "venv"))
    with pytest.raises(BinaryMissing, match="apt-get install dcmtk"):
        Binaries().path("echoscu")


def test_a_named_program_is_taken_as_it_is(tmp_path: Path) -> None:
    program = _install(tmp_path / "venv", _PYNETDICOM)
    assert Binaries({"echoscu": str(program)}).path("echoscu") == str(program)
