"""What an autoencoder looks at: analyzers, statistics and pictures of linear and deep models alike."""

from skmae.inspection._displays import ComponentsDisplay, ReconstructionDisplay, SearchDisplay
from skmae.inspection._entropy import SpatialEntropy
from skmae.inspection._jacobian import JacobianBasis

__all__ = ["ComponentsDisplay", "JacobianBasis", "ReconstructionDisplay", "SearchDisplay", "SpatialEntropy"]
