"""What the manual says of names in data/ and of the catalogue, held against what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pypx.basemount import schema
from pypx.basemount.layout import Basemount
from pypx.basemount.template_functions import FUNCTIONS
from pypx.basemount.templates import Template, TreeTemplates
from pypx.errors import InvalidTemplate

_DOCS = Path(__file__).parents[2] / "docs"
_TEMPLATES = (_DOCS / "templates.rst").read_text()
_BASEMOUNT = (_DOCS / "basemount.rst").read_text()


def _table(page: str, *titles: str) -> list[tuple[str, ...]]:
    """The lines of the table with these titles, the literals in them without their marks."""
    title = r"\s+".join(titles)
    (body,) = re.findall(rf"^{title}\n[= ]+\n(.*?)\n=+ =", page, re.MULTILINE | re.DOTALL)
    rows = [
        re.split(r"(?<=``) +", line, maxsplit=len(titles) - 1) for line in body.splitlines() if line[0] != " "
    ]
    assert rows
    return [tuple(cell.strip().strip("`") for cell in row) for row in rows]


_VALUES = dict(_table(_TEMPLATES, "Attribute", "Value"))


def test_the_usual_templates_are_those_of_the_page():
    usual = TreeTemplates()
    assert dict(_table(_TEMPLATES, "Option", "Usual template")) == {
        "--rootDirTemplate": usual.root.text,
        "--studyDirTemplate": usual.study.text,
        "--seriesDirTemplate": usual.series.text,
        "--imageTemplate": usual.image.text,
    }


def test_the_functions_are_those_of_the_page():
    assert [row[0] for row in _table(_TEMPLATES, "Function", "Arguments", "What it does")] == list(FUNCTIONS)


@pytest.mark.parametrize(("template", "name"), _table(_TEMPLATES, "Template", "Name"))
def test_a_template_of_the_page_makes_the_name_beside_it(template, name):
    assert Template.parse(template).component(_VALUES) == name


@pytest.mark.parametrize(("template", "because"), _table(_TEMPLATES, "Template", "Because"))
def test_a_template_of_the_page_is_refused_for_the_reason_beside_it(template, because):
    with pytest.raises(InvalidTemplate) as caught:
        Template.parse(template)
    assert because in caught.value.message


def test_the_templates_of_the_commands_of_the_page_are_understood():
    templates = re.findall(r"Template '([^']+)'", _TEMPLATES)
    assert len(templates) == 3
    for text in templates:
        Template.parse(text)


def _columns(table: str) -> list[str]:
    """The columns of a table, in the order in which the page names them."""
    (text,) = re.findall(rf"^``{table}``\n((?:    .*\n)+)", _BASEMOUNT, re.MULTILINE)
    return list(dict.fromkeys(re.findall(r"``(\w+)``", text)))


def test_the_tables_of_the_catalogue_are_those_of_the_page():
    described = re.findall(r"^``(\w+)``\n    ", _BASEMOUNT, re.MULTILINE)
    assert sorted(described) == sorted(schema.metadata.tables)


@pytest.mark.parametrize("name", list(schema.metadata.tables))
def test_the_columns_of_a_table_are_those_of_the_page_its_key_first(name):
    table = schema.metadata.tables[name]
    page = _columns(name)
    keys = [column.name for column in table.primary_key]
    assert page[: len(keys)] == keys
    assert sorted(page) == sorted(table.columns.keys())


def test_the_directories_are_those_of_the_page(tmp_path):
    basemount = Basemount.of_log_directory(tmp_path / "B" / "log")
    basemount.prepare()
    page = re.findall(r"^``(\w+)/`` ", _BASEMOUNT, re.MULTILINE)
    assert set(page) == {path.name for path in basemount.root.iterdir()}
