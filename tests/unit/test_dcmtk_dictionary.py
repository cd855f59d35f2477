from __future__ import annotations

from pypx.dcmtk import dictionary


def test_it_has_commands_and_file_meta_information_and_nothing_else() -> None:
    lines = dictionary.of_messages().splitlines()
    assert "(0000,0100)\tUS\tCommandField\t1\tDICOM" in lines
    assert "(0002,0010)\tUI\tTransferSyntaxUID\t1\tDICOM" in lines
    assert {line[:6] for line in lines} == {"(0000,", "(0002,"}
