"""What an autoencoder looks at: analyzers, statistics and pictures of linear and deep models alike."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from skmae.inspection._appendix_b import linearized_loss
from skmae.inspection._autocorrelation import AutocorrelationDisplay, spatial_autocorrelation
from skmae.inspection._cka import CKADisplay, linear_cka
from skmae.inspection._components import ComponentsDisplay
from skmae.inspection._entropy import SpatialEntropy, SpatialEntropyDisplay
from skmae.inspection._halving import HalvingDisplay
from skmae.inspection._influence import (
    InfluenceDisplay,
    basis_similarity,
    influence_by_distance,
    influence_radius,
    own_patch_share,
)
from skmae.inspection._jacobian import JacobianBasis
from skmae.inspection._jacobian_display import JacobianDisplay
from skmae.inspection._loss import LossDisplay
from skmae.inspection._outliers import OutlierDisplay
from skmae.inspection._reconstruction import ReconstructionDisplay
from skmae.inspection._search import SearchDisplay
from skmae.inspection._spectrum import MaskSpectrumDisplay, mask_power_spectrum

if TYPE_CHECKING:
    from skmae.inspection._adapter import TorchAutoencoder

__all__ = [
    "AutocorrelationDisplay",
    "CKADisplay",
    "ComponentsDisplay",
    "HalvingDisplay",
    "InfluenceDisplay",
    "JacobianBasis",
    "JacobianDisplay",
    "LossDisplay",
    "MaskSpectrumDisplay",
    "OutlierDisplay",
    "ReconstructionDisplay",
    "SearchDisplay",
    "SpatialEntropy",
    "SpatialEntropyDisplay",
    "basis_similarity",
    "influence_by_distance",
    "influence_radius",
    "linear_cka",
    "linearized_loss",
    "mask_power_spectrum",
    "own_patch_share",
    "spatial_autocorrelation",
]

if find_spec("torch") is not None:  # listed only where PyTorch is
    __all__ += ["TorchAutoencoder"]


def __getattr__(name: str) -> Any:
    if name == "TorchAutoencoder":
        from skmae._compat import import_optional

        import_optional("torch", extra="deep", purpose=name)
        from skmae.inspection._adapter import TorchAutoencoder

        return TorchAutoencoder
    raise AttributeError(f"module 'skmae.inspection' has no attribute {name!r}")
