"""Sphinx configuration."""

import skmae

project = "skmae"
author = "the skmae developers"
version = release = skmae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
]
myst_enable_extensions = ["dollarmath"]
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
autodoc_default_options = {
    "members": True,
    "inherited-members": True,
    "exclude-members": "set_output, get_metadata_routing",  # scikit-learn's, with links into its own pages
}
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Masked autoencoders as scikit-learn estimators", "fixed_sidebar": True}


def skip_scikit_learns(app, what, name, obj, skip, options):  # noqa: ARG001
    """Leave methods to scikit-learn's own pages where their text links to these."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    return skip or module.startswith(("sklearn.utils._metadata_requests", "sklearn.model_selection"))


def setup(app):
    app.connect("autodoc-skip-member", skip_scikit_learns)
