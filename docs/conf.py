"""Sphinx configuration: `sphinx-build -W --keep-going -b html docs docs/_build/html`."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The checkout's own package, whatever is installed: for autodoc, and for the tutorial's kernel.
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
)
# Of no use on a page: a notebook in a browser would have a nicer progress bar.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"

project = "jaxstyle"
copyright = "the jaxstyle authors"
author = "the jaxstyle authors"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "docstrings",
    "option_table",
]
exclude_patterns = ["_build", "_ext"]
language = "en-GB"

html_theme = "furo"
html_title = "jaxstyle"
html_static_path: list[str] = []

# Pages are Markdown that also reads well where the repository is browsed.
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

# The tutorial runs while the site is built; a second build takes its output from the cache.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
# Docstrings have code in single backticks.
default_role = "code"
add_module_names = False
toc_object_entries_show_parents = "hide"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
