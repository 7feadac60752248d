"""Arrays of other libraries in, the same library and device out, with NumPy's numbers.

array-api-strict's "device1" is no CPU: it takes the path that a GPU takes, with nothing but the standard's functions.
"""

import pickle

import array_api_strict
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skmae import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV, Moments
from skmae._samples import to_numpy

LIBRARIES = {
    "torch": torch.asarray,
    "strict": array_api_strict.asarray,
    "strict on a device": lambda a: array_api_strict.asarray(a, device=array_api_strict.Device("device1")),
}


@pytest.fixture(autouse=True)
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


@pytest.fixture(params=LIBRARIES)
def make(request):
    return LIBRARIES[request.param]


def assert_same(ours, numpy, like, rtol):
    assert type(ours) is type(like)
    assert ours.device == like.device
    ours = to_numpy(ours)
    assert ours.dtype == numpy.dtype
    np.testing.assert_allclose(ours, numpy, atol=rtol * np.abs(numpy).max(), rtol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", "int16"])
@pytest.mark.parametrize(
    "model",
    [
        LinearMAE(5, patch=2, mask=0.5),
        LinearMAE(4, patch=(2, 4), mask_sampling="exact", whiten=True),
        LinearMAE(3, patch=2, solver="dual"),
        LinearMAE(3, patch=2, solver="randomized", random_state=0),
        LinearDAE(0.9, noise_std=3),
        LinearAE(),
    ],
    ids=str,
)
def test_every_method_gives_numpys_numbers(model, dtype, make):
    images = load_digits().images[:150].astype(dtype)
    X = make(images)
    reference = type(model)(**model.get_params()).fit(images)
    model = type(model)(**model.get_params()).fit(X)
    rtol = 1e-7 if dtype != "float32" else 2e-4
    for name in ("components_", "decoder_", "mean_", "eigenvalues_", "explained_variance_ratio_"):
        assert_same(getattr(model, name), getattr(reference, name), X, rtol)
    Z = model.transform(X)
    rtol = 1e-9 if dtype == "float64" else 2e-4
    assert_same(Z, reference.transform(images), X, rtol)
    assert_same(model.inverse_transform(Z), reference.inverse_transform(reference.transform(images)), X, rtol)
    visible = model.sample_visible(150, random_state=0)
    assert_same(model.reconstruct(X, make(visible)), reference.reconstruct(images, visible), X, rtol)
    assert model.score(X) == pytest.approx(reference.score(images), rel=rtol)


def test_streams_and_weights(make):
    X, weights = load_digits().data, np.random.default_rng(0).random(1797)
    reference = LinearMAE(5, patch=2).fit(X, sample_weight=weights)
    streamed = LinearMAE(5, patch=2)
    for rows in np.split(np.arange(1797), [100, 1000]):
        streamed.partial_fit(make(X[rows]), sample_weight=make(weights[rows]))
    assert_same(streamed.transform(make(X)), reference.transform(X), make(X), 1e-9)
    assert_same(streamed.components_, reference.components_, make(X), 1e-9)
    whole = LinearMAE(5, patch=2).fit(make(X), sample_weight=make(weights))
    assert_same(whole.components_, reference.components_, make(X), 1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8", "bool"])
@pytest.mark.parametrize("offset", [0, 1e5])
def test_moments_of_any_library_are_numpy_moments(dtype, offset, make):
    X = np.random.default_rng(0).normal(3, 40, (3000, 6)).clip(0, 255)
    X = (X + offset if dtype.startswith("float") else X).astype(dtype)
    ours, reference = Moments.from_data(make(X)), Moments.from_data(X)
    scale = np.abs(reference.second).max()
    np.testing.assert_allclose(ours.second, reference.second, atol=1e-11 * scale)
    np.testing.assert_allclose((ours + reference).update(make(X)).second, reference.second, atol=1e-11 * scale)
    narrow = Moments.from_data(make(X), dtype=np.float32)
    scale *= 1 + offset / 10  # float32 holds seven digits of the offset, too
    # float32 rounds by 6e-8; a kernel that adds 1024 products one by one, by 30 times as much
    np.testing.assert_allclose(narrow.second, reference.second, atol=4e-6 * scale)


def test_libraries_are_not_mixed(make):
    X = load_digits().data
    fitted = LinearMAE(5, patch=2).fit(X)
    Z = fitted.transform(X)
    for use in (fitted.transform, fitted.score, fitted.reconstruct):
        with pytest.raises(ValueError, match="must use the same namespace"):
            use(make(X))
    with pytest.raises(ValueError, match="must use the same namespace"):
        fitted.inverse_transform(make(Z))
    moved = LinearMAE(5, patch=2).fit(make(X))
    assert_same(pickle.loads(pickle.dumps(moved)).transform(make(X)), Z, make(X), 1e-9)


def test_infinity_is_found_wherever_it_is(make):
    X = load_digits().data.copy()
    fitted = LinearMAE(5, patch=2).fit(make(X))
    X[1234, 5] = np.inf
    for refuse in (LinearMAE(patch=2).fit, LinearMAE(patch=2).partial_fit, fitted.transform, fitted.score):
        with pytest.raises(ValueError, match=r"contains infinity: X\[1234, 5\]"):
            refuse(make(X))


def test_pipelines_and_searches_of_torch_tensors():
    X, y = load_digits(return_X_y=True)
    pipe = make_pipeline(LinearMAE(8, patch=2), Ridge(solver="svd"))
    expected = pipe.fit(X, y).predict(X)
    predicted = pipe.fit(torch.asarray(X), torch.asarray(y.astype(float))).predict(torch.asarray(X))
    np.testing.assert_allclose(predicted.numpy(), expected, atol=1e-9)
    grid = {"linearmae__mask": [0.25, 0.75]}
    reference = LinearMAESearchCV(pipe, grid, cv=3).fit(X, y.astype(float)).cv_results_["mean_test_score"]
    search = LinearMAESearchCV(pipe, grid, cv=3).fit(torch.asarray(X), torch.asarray(y.astype(float)))
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], reference, atol=1e-9)


def test_without_dispatch_tensors_become_arrays():
    X = torch.asarray(load_digits().data)
    with config_context(array_api_dispatch=False):
        fitted = LinearMAE(5, patch=2).fit(X)
        assert type(fitted.transform(X)) is np.ndarray
        assert type(fitted.components_) is np.ndarray


@pytest.mark.filterwarnings("ignore:torch.asarray. unspecified requires_grad:UserWarning")
def test_tensors_that_numpy_cannot_read():
    X = torch.asarray(load_digits().data)
    reference = LinearMAE(5, patch=2).fit(X)
    fitted = LinearMAE(5, patch=2).fit(X.clone().requires_grad_())
    np.testing.assert_array_equal(fitted.components_.numpy(), reference.components_.numpy())
    with pytest.raises(ValueError, match=r"type bfloat16, .* Convert it to float32"):
        LinearMAE(5, patch=2).fit(X.to(torch.bfloat16))


def test_moments_of_numpy_after_a_tensor_give_numpy_attributes():
    X = load_digits().data
    model = LinearMAE(5, patch=2).partial_fit(torch.asarray(X))
    assert type(model.components_) is torch.Tensor
    assert type(model.fit_moments(Moments.from_data(X)).components_) is np.ndarray


def test_no_training_data_is_pickled(make):
    X = np.random.default_rng(0).random((20_000, 64))
    model = LinearMAE(5, patch=2).partial_fit(make(X))
    assert len(pickle.dumps(model)) < 100_000 < X.nbytes
