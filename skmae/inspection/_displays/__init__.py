"""Displays in scikit-learn's manner: arrays in ``__init__``, pictures in ``plot``."""

from skmae.inspection._displays._components import ComponentsDisplay
from skmae.inspection._displays._reconstruction import ReconstructionDisplay
from skmae.inspection._displays._search import SearchDisplay

__all__ = ["ComponentsDisplay", "ReconstructionDisplay", "SearchDisplay"]
