"""300 calls of every public method: as much memory, as many tensors and as many objects afterwards as before.

A case is one method. It is called 40 times to warm up, and 300 times more.
"""

import ctypes
import gc
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator

from skmae import (
    JacobianBasis,
    LinearAE,
    LinearDAE,
    LinearMAE,
    LinearMAESearchCV,
    Moments,
    SpatialEntropy,
    ViTMAE,
    ViTMAEClassifier,
    ViTMAERegressor,
)
from skmae.inspection import (
    ComponentsDisplay,
    ReconstructionDisplay,
    basis_similarity,
    influence_by_distance,
    linear_cka,
    mask_power_spectrum,
    spatial_autocorrelation,
)
from stress._frame import Failure, Trial
from stress.campaigns.kills import SMALL, small

torch.set_num_threads(1)

SLICE = 3
_WARM_UP, _CALLS = 40, 300
_SPARE_BYTES = 3 * 2**20  # of the allocator's own; a leak of an activation or an image a call is far more


def case(trial: Trial) -> None:
    names = list(methods())
    name = names[trial.number % len(names)]
    trial.cell(name, "", "", f"{_CALLS} calls")
    trial.note(method=name)
    call = methods()[name]
    repeat(call, _WARM_UP)
    if grown(call) and (more := grown(call)):  # twice: what libraries keep for good, they take once
        raise Failure(f"{name}, {_CALLS} calls: {more}")


def grown(call: Callable[[], Any]) -> str:
    """What there is more of after many calls than before."""
    before = in_use()
    repeat(call, _CALLS)
    after = in_use()
    allowed = {"bytes": _SPARE_BYTES, "tensors": 5, "objects": _CALLS // 2}
    more = {what: after[what] - before[what] for what in after}
    return ", ".join(f"{more[what]} {what} more" for what, most in allowed.items() if more[what] > most)


def repeat(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        call()


def in_use() -> dict[str, int]:
    """Bytes that the process holds, tensors and Python's objects that are alive."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    alive = gc.get_objects()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {
        "bytes": resident,
        "tensors": sum(issubclass(type(thing), torch.Tensor) for thing in alive),
        "objects": len(alive),
    }


@cache
def methods() -> dict[str, Callable[[], Any]]:
    """Each public method, on small data."""
    X = load_digits().images[:64].astype(np.float32)
    flat, y = X.reshape(64, -1), load_digits().target[:64]
    linear = LinearMAE(5, patch=2).fit(X)
    lazy = LinearMAE(5, patch=2).partial_fit(X)
    deep, stepped = small(max_epochs=1).fit(X), small(max_epochs=1)
    own = {**SMALL, "patch": 2, "max_epochs": 1}
    classifier, regressor = ViTMAEClassifier(**own).fit(X, y), ViTMAERegressor(**own).fit(X, y)
    moments, Z = Moments.from_data(X), linear.transform(X)
    visible, seen = linear.sample_visible(64, 0), deep.sample_visible(64, 0)
    some = X[:2]
    folder = tempfile.mkdtemp(prefix="skmae-leaks-")
    np.save(f"{folder}/X.npy", X)
    deep.save_weights(f"{folder}/mae.safetensors")
    search = LinearMAESearchCV(LinearMAE(3, patch=2), {"n_components": [2, 3]}, cv=2)
    jacobian, deep_jacobian = (
        JacobianBasis(FrozenEstimator(linear)).fit(some),
        JacobianBasis(FrozenEstimator(deep)).fit(some),
    )
    of_all = JacobianBasis(FrozenEstimator(linear), outputs="all").fit(some)
    maps, rows = of_all.transform(some), of_all.jacobian(some)
    return {
        "LinearMAE.transform": lambda: linear.transform(X),
        "ViTMAE.transform": lambda: deep.transform(X),
        "Moments.update": lambda: moments.update(X),
        "LinearMAE.fit": lambda: LinearMAE(5, patch=2).fit(X),
        "LinearMAE.fit, hidden": lambda: LinearMAE(3, patch=4, loss="hidden").fit(X),
        "LinearMAE.fit, few samples": lambda: LinearMAE(3, patch=2).fit(X[:20]),
        "LinearMAE.partial_fit": lambda: lazy.partial_fit(X).components_,
        "LinearMAE.fit_moments": lambda: LinearMAE(5, patch=2).fit_moments(moments),
        "LinearMAE.inverse_transform": lambda: linear.inverse_transform(Z),
        "LinearMAE.reconstruct": lambda: linear.reconstruct(X, visible),
        "LinearMAE.score": lambda: linear.score(X),
        "LinearMAE.sample_visible": lambda: linear.sample_visible(64, 0),
        "LinearMAE.linearize": lambda: linear.linearize(some).rows(np.arange(3)),
        "LinearDAE.fit": lambda: LinearDAE(5).fit(X),
        "LinearAE.fit": lambda: LinearAE(5).fit(X),
        "LinearMAESearchCV.fit": lambda: search.fit(flat),
        "Moments.from_data": lambda: Moments.from_data(X),
        "Moments.from_batches": lambda: Moments.from_batches([X, X]),
        "Moments.from_files": lambda: Moments.from_files(f"{folder}/X.npy"),
        "Moments, sums": lambda: (moments + moments) - moments,
        "Moments.second": lambda: moments.second,
        "ViTMAE.fit": lambda: small(max_epochs=1).fit(some),
        "ViTMAE.fit, checkpoint": lambda: small(max_epochs=1, checkpoint=f"{folder}/states").fit(some),
        "ViTMAE.partial_fit": lambda: stepped.partial_fit(some).history_.clear(),  # a row for each epoch
        "ViTMAE.transform, float64": lambda: deep.transform(X.astype(np.float64)),
        "ViTMAE.reconstruct": lambda: deep.reconstruct(X, seen),
        "ViTMAE.score": lambda: deep.score(X),
        "ViTMAE.patch_features": lambda: deep.patch_features(X),
        "ViTMAE.layer_features": lambda: deep.layer_features(X),
        "ViTMAE.linearize": lambda: deep.linearize(some, seen[0]).rows(np.arange(3)),
        "ViTMAE.linearize, jvp": lambda: deep.linearize(some).jvp(np.ones((64, 2), np.float32), 0),
        "ViTMAE.load_weights": lambda: small(image_shape=(8, 8)).load_weights(f"{folder}/mae.safetensors"),
        "ViTMAE.save_weights": lambda: deep.save_weights(f"{folder}/other.safetensors"),
        "ViTMAEClassifier.fit": lambda: ViTMAEClassifier(deep, max_epochs=1, augment=None).fit(some, [0, 1]),
        "ViTMAEClassifier.predict_proba": lambda: classifier.predict_proba(X),
        "ViTMAERegressor.predict": lambda: regressor.predict(X),
        "JacobianBasis.fit": lambda: JacobianBasis(FrozenEstimator(linear)).fit(some),
        "JacobianBasis.transform": lambda: jacobian.transform(some),
        "JacobianBasis.fit, deep": lambda: JacobianBasis(FrozenEstimator(deep)).fit(some),
        "JacobianBasis.transform, deep": lambda: deep_jacobian.transform(some),
        "SpatialEntropy.transform": lambda: SpatialEntropy((8, 8)).fit_transform(flat),
        "spatial_autocorrelation": lambda: spatial_autocorrelation(X),
        "influence_by_distance": lambda: influence_by_distance(maps, (8, 8)),
        "basis_similarity": lambda: basis_similarity(rows),
        "linear_cka": lambda: linear_cka(Z, Z),
        "mask_power_spectrum": lambda: mask_power_spectrum((8, 8), mask=0.5, patch=2),
        "ComponentsDisplay": lambda: closed(ComponentsDisplay.from_estimator(linear)),
        "ReconstructionDisplay": lambda: closed(ReconstructionDisplay.from_estimator(linear, some)),
        "ViTMAE.history_": lambda: (deep.history_[:, "train_loss"], deep.mean_, deep.mask_),
        "ViTMAE, refusals": lambda: refused(deep, X[:, :4]),
        "ViTMAE.clone": lambda: ViTMAE(**deep.get_params()),
    }


def closed(display: Any) -> None:
    plt.close(display.figure_)


def refused(model: Any, X: np.ndarray) -> None:
    try:
        model.transform(X)
    except ValueError:
        return
    raise Failure("taken")


BUDGET = 50
