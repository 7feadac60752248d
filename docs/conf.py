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
