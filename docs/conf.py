"""The documentation site: `make docs` builds it into docs/_build/html, of the rheostat that is installed."""

import re
import sys
from pathlib import Path

import rheostat

sys.path.insert(0, str(Path(__file__).parent))  # for docstrings.py

project = "rheostat"
author = "the rheostat contributors"
project_copyright = "the rheostat contributors, Apache-2.0"
release = version = rheostat.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"rheostat {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False

myst_heading_anchors = 3
highlight_language = "python"
smartquotes = False  # a quote in a docstring is one of Python's

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"members": True}
add_module_names = False


def setup(app):
    """A link to a page of the repository that the site has not becomes its text."""

    def read(app, page, source):
        source[0] = re.sub(r"\[([^]]+)\]\(\.\./[^)]+\.md\)", r"\1", source[0])

    app.connect("source-read", read)
