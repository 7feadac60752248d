"""Sphinx configuration. A build fetches nothing, and neither do the pages that it makes."""

import csv
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ConfigError

import skmae

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

project = "skmae"
author = "the skmae developers"
copyright = author
version = release = skmae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_design",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
myst_enable_extensions = ["colon_fence", "dollarmath", "substitution"]
myst_heading_anchors = 3
nitpicky = True  # a link to a name of skmae that does not exist is an error
nitpick_ignore_regex = [(r"py:.*", r"(?!skmae\.).*|.*\._.*")]
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings hold functions

default_role = "py:obj"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_typehints = "none"  # docstrings have them
autodoc_default_options = {
    "members": True,
    "inherited-members": True,
    "exclude-members": "set_output, get_metadata_routing",  # scikit-learn's, with links into its own pages
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "ignore_pattern": r"(demo|serve)\.py$",  # programs for the command line
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("skmae",),
    "remove_config_comments": True,
    "min_reported_time": 1,
    "show_signature": False,
    "write_computation_times": False,
    "capture_repr": ("_repr_html_",),
}

html_theme = "pydata_sphinx_theme"
html_title = "skmae"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["sphinx-version"],
    "footer_end": ["theme-version"],
}
html_sidebars = {"tutorial": [], "howto": [], "paper": [], "comparison": [], "changelog": [], "contributing": []}


def number(text):
    return f"{float(text):.3g}".replace("-", "−")


def verdict_cells(row):
    """Cells of a row of verdicts.csv: numbers that are compared with zero, within no margin, need not say so."""
    interval = "" if row["low"] == "nan" else f" ({number(row['low'])} to {number(row['high'])})"
    against = f"; against {number(row['than'])}" if float(row["than"]) else ""
    margin = f"; margin {number(row['margin'])}" if float(row["margin"]) else ""
    decided = f": {row['decided_by']}" if row["decided_by"] else ""
    kind = "" if row["interval"] == "none" else f"{row['interval']}, "
    return [
        row["figure"],
        row["claim"],
        row["statistic"],
        number(row["value"]) + interval + against + margin,
        f"{kind}{row['n']} {row['of']}",
        f"**{row['verdict']}**{decided}",
        f"`{row['command']}`",
    ]


def verdicts():
    """The table of the paper's claims, as Markdown, from benchmarks/results/verdicts.csv."""
    path = RESULTS / "verdicts.csv"
    columns = {"figure", "claim", "statistic", "value", "low", "high", "interval", "n", "of", "than", "margin"}
    columns |= {"verdict", "decided_by", "command"}
    if not path.exists():
        raise ConfigError(f"{path} is missing: docs/paper.md shows its columns {', '.join(sorted(columns))}.")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not columns <= rows[0].keys():
        raise ConfigError(f"{path} must have rows, and the columns {', '.join(sorted(columns))}.")
    lines = ["| Fig. | the paper | statistic | value (from, to) | n | here | command |", "| --- " * 7 + "|"]
    lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in verdict_cells(row)) + " |" for row in rows]
    return "\n".join(lines)


myst_substitutions = {"verdicts": verdicts()}


def render_inline(translator, node):
    """MathML, which browsers draw themselves: no script, and nothing to fetch."""
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def render_block(translator, node):
    translator.body.append(f'<div class="equation">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode


def skip_what_others_document(app, what, name, obj, skip, options):  # noqa: ARG001
    """Leave methods of scikit-learn whose text links into its own pages, of torch modules and of tuples to those."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    if getattr(obj, "__objclass__", None) is tuple:
        return True
    return skip or module.startswith(("sklearn.utils._metadata_requests", "sklearn.model_selection", "torch."))


def setup(app):
    app.connect("autodoc-skip-member", skip_what_others_document)
    app.add_html_math_renderer("mathml", (render_inline, None), (render_block, None))
