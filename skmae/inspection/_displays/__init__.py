"""Displays in scikit-learn's manner: arrays in ``__init__``, pictures in ``plot``."""

from skmae.inspection._displays._autocorrelation import AutocorrelationDisplay
from skmae.inspection._displays._cka import CKADisplay
from skmae.inspection._displays._components import ComponentsDisplay
from skmae.inspection._displays._entropy import SpatialEntropyDisplay
from skmae.inspection._displays._influence import InfluenceDisplay
from skmae.inspection._displays._jacobian import JacobianDisplay
from skmae.inspection._displays._reconstruction import ReconstructionDisplay
from skmae.inspection._displays._search import SearchDisplay
from skmae.inspection._displays._spectrum import MaskSpectrumDisplay

__all__ = [
    "AutocorrelationDisplay",
    "CKADisplay",
    "ComponentsDisplay",
    "InfluenceDisplay",
    "JacobianDisplay",
    "MaskSpectrumDisplay",
    "ReconstructionDisplay",
    "SearchDisplay",
    "SpatialEntropyDisplay",
]
