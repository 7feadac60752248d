"""Linear autoencoders in closed form, and what they are built from: corruptions, losses and solvers."""

from skmae.linear._base import LinearAutoencoder
from skmae.linear._corruptions import Corruption
from skmae.linear._imputer import PatchImputer
from skmae.linear._losses import AllFeatures, HiddenFeatures, Loss
from skmae.linear._models import LinearAE, LinearDAE, LinearMAE
from skmae.linear._onnx import register_onnx_converters
from skmae.linear._outliers import PatchOutlierDetector
from skmae.linear._primal import Minimiser, reduced_rank_regression
from skmae.linear._problem import Solution
from skmae.linear._search import LinearMAESearchCV
from skmae.linear._solvers import Cost, Solver

__all__ = [
    "AllFeatures",
    "Corruption",
    "Cost",
    "HiddenFeatures",
    "LinearAE",
    "LinearAutoencoder",
    "LinearDAE",
    "LinearMAE",
    "LinearMAESearchCV",
    "Loss",
    "Minimiser",
    "PatchImputer",
    "PatchOutlierDetector",
    "Solution",
    "Solver",
    "reduced_rank_regression",
    "register_onnx_converters",
]
