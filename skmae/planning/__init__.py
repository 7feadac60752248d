"""Before and along a training: which settings may be worth it, what they cost, and what came of them."""

from importlib.util import find_spec

from skmae.planning._advice import suggest_masking
from skmae.planning._cost import training_cost
from skmae.planning._halving import EpochHalvingSearchCV
from skmae.planning._probes import probe_layers
from skmae.planning._scoring import HiddenPixelsScorer

__all__ = ["HiddenPixelsScorer", "suggest_masking"]

if find_spec("torch") is not None:  # listed only where PyTorch is
    __all__ += ["EpochHalvingSearchCV", "probe_layers", "training_cost"]
