"""Linear models as ONNX, run by onnxruntime."""

import numpy as np
import onnxruntime
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearAE, LinearDAE, LinearMAE
from skmae.linear import register_onnx_converters


def run(model, X):
    register_onnx_converters()
    session = onnxruntime.InferenceSession(skl2onnx.to_onnx(model, X[:1]).SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: X})


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.mark.parametrize(
    "model", [LinearMAE(5, patch=2), LinearDAE(5, noise_std=2.0), LinearAE(5, whiten=True)], ids=str
)
@pytest.mark.parametrize(("dtype", "atol"), [("float32", 1e-4), ("float64", 1e-10), ("uint8", 1e-4)])
def test_the_same_features(digits, model, dtype, atol):
    X = digits[0].astype(dtype)
    model.fit(X)
    (Z,) = run(model, X)
    expected = model.transform(X)
    assert Z.dtype == expected.dtype
    assert_allclose(Z, expected, atol=atol)


def test_in_a_pipeline(digits):
    X, y = digits[0].astype(np.float32), digits[1]
    pipe = make_pipeline(LinearMAE(8, patch=2), StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)
    assert_array_equal(run(pipe, X)[0], pipe.predict(X))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_images_in_colour(rng, dtype):
    X, y = rng.integers(0, 256, (60, 8, 8, 3)).astype(dtype), np.arange(60) % 2
    pipe = make_pipeline(LinearMAE(8, patch=2), StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)
    labels, _ = run(pipe, X)
    assert_array_equal(labels, pipe.predict(X))
    assert_allclose(run(pipe[0], X)[0], pipe[0].transform(X), rtol=1e-3, atol=1e-2)
