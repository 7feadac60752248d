"""Each public method reads X once, however often it needs it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmae import JacobianBasis, LinearMAE, SpatialEntropy
from skmae.inspection import (
    AutocorrelationDisplay,
    CKADisplay,
    InfluenceDisplay,
    JacobianDisplay,
    MaskSpectrumDisplay,
    ReconstructionDisplay,
    SpatialEntropyDisplay,
    basis_similarity,
    influence_by_distance,
    influence_radius,
    linear_cka,
    linearized_loss,
    own_patch_share,
    spatial_autocorrelation,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def mae(colours):
    return LinearMAE(5, patch=4, mask=0.5).fit(colours)


@pytest.fixture
def basis(mae, colours):
    return JacobianBasis(mae, outputs="grid", visible="random", n_masks=5, random_state=0).fit(colours)


def numbers(result):
    """What can be compared of a result: arrays, tables and numbers, or those that an estimator or display holds."""
    if hasattr(result, "get_params") or (hasattr(result, "plot") and not hasattr(result, "columns")):
        held = vars(result).values()
        return [np.asarray(value) for value in held if isinstance(value, np.ndarray) and value.dtype != object]
    return [np.asarray(part) for part in (result if isinstance(result, tuple) else (result,))]


def check_reads(recording, function, X):
    recorder = recording(X)
    result = function(recorder)
    assert recorder.reads == 1
    for ours, plain in zip(numbers(result), numbers(function(X)), strict=True):
        assert_array_equal(ours, plain)


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform", "jacobian", "basis"])
@pytest.mark.parametrize("flat", [False, True])
def test_jacobians(method, flat, basis, colours, recording):
    X = colours.reshape(60, -1) if flat else colours
    if method.startswith("fit"):
        basis.set_params(estimator__image_shape=(8, 8, 3))
    check_reads(recording, getattr(basis, method), X)


@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform", "effective_pixels"])
def test_entropies(method, rng, recording):
    check_reads(recording, getattr(SpatialEntropy((4, 4)), method), rng.random((3, 32)))


@pytest.mark.parametrize(
    "function",
    [
        spatial_autocorrelation,
        lambda X: linear_cka(X, np.random.default_rng(0).random((60, 4))),
        lambda X: linear_cka(np.random.default_rng(0).random((60, 4)), X),
        lambda X: CKADisplay.from_features({"a": X, "b": np.random.default_rng(0).random((60, 4))}),
        lambda X: CKADisplay.from_features({"a": np.random.default_rng(0).random((60, 4))}, {"b": X}),
        AutocorrelationDisplay.from_samples,
        MaskSpectrumDisplay.from_samples,
    ],
)
def test_statistics_of_samples(function, colours, recording):
    check_reads(recording, function, colours)


@pytest.mark.parametrize(
    "function",
    [
        linearized_loss,
        InfluenceDisplay.from_estimator,
        JacobianDisplay.from_estimator,
        ReconstructionDisplay.from_estimator,
        SpatialEntropyDisplay.from_estimator,
    ],
)
def test_statistics_of_models(function, mae, colours, recording):
    check_reads(recording, lambda X: function(mae, X), colours[:6])


@pytest.mark.parametrize(
    "function",
    [
        influence_by_distance,
        influence_radius,
        lambda maps, shape: own_patch_share(maps, shape, 2),
        lambda maps, shape: InfluenceDisplay.from_maps(maps, shape),
    ],
)
def test_statistics_of_maps(function, rng, recording):
    check_reads(recording, lambda maps: function(maps, (4, 4)), rng.random((2, 256)))
    check_reads(recording, basis_similarity, rng.normal(size=(3, 2, 5)))


@pytest.mark.parametrize("method", ["fit", "reconstruct", "linearize"])
def test_models_of_others(method, colours, recording):
    pytest.importorskip("torch")
    from skmae.inspection import TorchAutoencoder

    adapter = TorchAutoencoder(lambda images: images * 2, patch=4).fit(colours)
    recorder = recording(colours)
    getattr(adapter, method)(recorder)
    assert recorder.reads == 1
