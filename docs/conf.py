"""How Sphinx builds the site: `make docs` writes it to docs/_build/html, warnings are errors, nothing is downloaded."""

import sys
import typing
from importlib import metadata
from pathlib import Path

typing.GENERATING_DOCUMENTATION = "deep_infomax"  # jaxtyping's shapes are shown as they are written
sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Deep InfoMax"
author = "The Deep InfoMax developers"
project_copyright = f"2026, {author}"
version = release = metadata.version("deep-infomax")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathematics",
    "reference",
]
exclude_patterns = ["_build", "_extensions", "_static"]
default_role = "py:obj"  # a link where the name is public, else code
nitpicky = True
# Other projects' inventories would need the network; what modules keep to themselves has no page.
nitpick_ignore_regex = [("py:obj", ".*"), ("py:.*", r"(?!deep_infomax).*"), ("py:.*", r"deep_infomax\.\w+\.\w+\..*")]

myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
maximum_signature_line_length = 90
python_display_short_literal_types = True
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "Deep InfoMax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
wide = ("start", "changelog", "contributing", "results", "speed", "benchmarks", "information", "information/*")
html_sidebars = {page: [] for page in wide}
html_theme_options = {
    "logo": {"text": "Deep InfoMax"},
    "github_url": "https://github.com/deep-infomax/deep-infomax",
    "use_edit_page_button": False,
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
