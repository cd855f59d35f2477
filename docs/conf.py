"""How Sphinx makes the manual: ``sphinx-build -W -n -b html docs build/docs`` (pip install 'pypx[docs]')."""

import re
from pathlib import Path

_INIT = Path(__file__).parents[1] / "src" / "pypx" / "__init__.py"
(_VERSION,) = re.findall(r'^__version__ = "(.+)"$', _INIT.read_text(), re.MULTILINE)

project = "pypx"
author = "the pypx developers"
copyright = author
version = release = _VERSION

# What is shown as it is has no colours, unless it says what it is.
highlight_language = "none"
html_theme = "alabaster"
html_theme_options = {
    "description": "Images out of a clinical PACS, into a tidy folder",
    "fixed_sidebar": True,
    "page_width": "1100px",
}
html_show_sourcelink = False
html_copy_source = False
