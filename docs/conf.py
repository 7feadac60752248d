"""Sphinx configuration. A build fetches nothing, and neither do the pages that it makes."""

import csv
import inspect
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.errors import ConfigError
from sphinx_gallery.sorting import ExplicitOrder

import skmae

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

project = "skmae"
author = "the skmae developers"
copyright = author
version = release = skmae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxext.opengraph",
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
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_typehints = "none"  # docstrings have them
autodoc_default_options = {"members": True, "inherited-members": True}
INHERITED = "sklearn", "torch", "builtins"  # what these packages define is collapsed, or left to their own pages
TOLD_ONCE = "LinearMAE", "ViTMAE", "ViTMAEClassifier"  # what others share with these is collapsed there

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "subsection_order": ExplicitOrder([f"../examples/{topic}" for topic in ("tutorial", "howto", "uses", "paper")]),
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
html_title = "skmae: masked autoencoders for scikit-learn"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_show_copyright = False
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "skmae"},
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "footer_start": ["sphinx-version"],
    "footer_end": ["theme-version"],
}
ALONE = ("howto", "paper", "comparison", "questions", "changelog", "contributing", "gallery/index", "gallery/*/*")
html_sidebars = {page: [] for page in ALONE}
ogp_social_cards = {"enable": False}
ogp_description_length = 160


def number(text):
    return f"{float(text):.3g}".replace("-", "−")


def verdict_row(row):
    """A row of verdicts.csv, as Markdown: numbers that are compared with zero, within no margin, need not say so."""
    interval = "" if row["low"] == "nan" else f" ({number(row['low'])} to {number(row['high'])})"
    against = f"; against {number(row['than'])}" if float(row["than"]) else ""
    margin = f"; margin {number(row['margin'])}" if float(row["margin"]) else ""
    decided = f": {row['decided_by']}" if row["decided_by"] else ""
    kind = "" if row["interval"] == "none" else f"{row['interval']}, "
    cells = [
        row["claim"],
        f"**{row['verdict']}**{decided}",
        f"{row['statistic']}: {number(row['value'])}{interval}{against}{margin}",
        f"{kind}{row['n']} {row['of']}",
    ]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def title_of(figure):
    if figure[0].isdigit():
        return f"Fig{'s' * (' ' in figure)}. {figure}"
    return {"depth": "Depth maps", "App. B": "Appendix B", "CKA": "Appendix D"}.get(figure, figure)


def verdicts():
    """The paper's claims, a table for each figure, as Markdown, from benchmarks/results/verdicts.csv."""
    path = RESULTS / "verdicts.csv"
    columns = {"figure", "claim", "statistic", "value", "low", "high", "interval", "n", "of", "than", "margin"}
    columns |= {"verdict", "decided_by", "command"}
    if not path.exists():
        raise ConfigError(f"{path} is missing: docs/paper.md shows its columns {', '.join(sorted(columns))}.")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not columns <= rows[0].keys():
        raise ConfigError(f"{path} must have rows, and the columns {', '.join(sorted(columns))}.")
    tables = defaultdict(list)
    for row in rows:
        tables[row["figure"], row["command"]].append(row)
    lines = []
    for (figure, command), some in tables.items():
        lines += [f"**{title_of(figure)}**, `{command}`", ""]
        lines += ["| the paper says | here | measured: value (from, to) | interval, n |", "| --- " * 4 + "|"]
        lines += [*map(verdict_row, some), ""]
    return "\n".join(lines)


myst_substitutions = {"verdicts": verdicts()}


def render_inline(translator, node):
    """MathML, which browsers draw themselves: no script, and nothing to fetch."""
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def render_block(translator, node):
    translator.body.append(f'<div class="equation">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode


def defined_in(obj):
    """The module that a method or property is defined in."""
    if getattr(obj, "__objclass__", None) is tuple:
        return "builtins"
    return getattr(getattr(obj, "fget", obj), "__module__", None) or ""


def methods_of(fullname):
    """The public methods of a class, by their origin: of scikit-learn, or told on the page of another class."""
    module, _, name = fullname.rpartition(".")
    own = getattr(import_module(module), name)
    found = {"scikit-learn": [], "scikit-learn's own pages": []}
    for method, obj in inspect.getmembers(own):
        if method.startswith("_") or isinstance(obj, property):
            continue
        of = defined_in(obj)
        if of == "sklearn.base":
            found["scikit-learn"].append(method)
        elif of.startswith("sklearn"):
            found["scikit-learn's own pages"].append(method)
        else:
            others = (getattr(skmae, other) for other in TOLD_ONCE)
            other = next((other for other in others if getattr(other, method, None) is obj), own)
            found.setdefault(other.__name__, []).append(method)
    return found


def skip_inherited(app, what, name, obj, skip, options):  # noqa: ARG001
    """Methods of scikit-learn stand collapsed at the end of a page; those of torch modules and tuples in their own."""
    return skip or defined_in(obj).split(".")[0] in INHERITED


autosummary_context = {"methods_of": methods_of}


def setup(app):
    app.connect("autodoc-skip-member", skip_inherited)
    app.add_html_math_renderer("mathml", (render_inline, None), (render_block, None))
