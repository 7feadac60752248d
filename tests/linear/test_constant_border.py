"""Images with a constant border, as MNIST's padded to 32 × 32: everything is as without the border."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skmae import LinearDAE, LinearMAE, LinearMAESearchCV, Moments
from skmae.linear._krylov import uses_krylov

SIZE, BORDER = 32, 4  # 1024 pixels that vary, enough for every way to solve; a border of whole patches
PADDED = SIZE + 2 * BORDER


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(0).normal(size=(1100, SIZE, SIZE))
    smooth = gaussian_filter(noise, (0, 1, 1)) + 0.1 * noise
    return np.clip(128 + 150 * smooth, 0, 255).astype(np.uint8)


def bordered(images, value):
    return np.pad(images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)), constant_values=value)


def inside(images):
    return images[:, BORDER:-BORDER, BORDER:-BORDER]


def assert_the_border_is_nothing(padded, plain, images, value, atol=1e-7):
    """Two fitted models, `padded` of the images with a border of `value`."""
    X = bordered(images, value)
    assert_allclose(padded.eigenvalues_, plain.eigenvalues_, rtol=1e-9)
    assert padded.expected_loss_ * PADDED**2 == pytest.approx(plain.expected_loss_ * SIZE**2, rel=1e-9)
    assert padded.score(X[:100]) * PADDED**2 == pytest.approx(plain.score(images[:100]) * SIZE**2, rel=1e-7)
    features = plain.transform(images[:100].astype(float))
    assert_allclose(padded.transform(X[:100].astype(float)), features, atol=atol * np.abs(features).max())
    encoder = padded.components_.reshape(-1, PADDED, PADDED)
    assert_allclose(inside(encoder).reshape(len(encoder), -1), plain.components_, atol=atol)
    rebuilt = padded.reconstruct(X[:100].astype(float))
    assert_allclose(inside(rebuilt), plain.reconstruct(images[:100].astype(float)), atol=256 * atol)
    inside(encoder)[:] = 0
    inside(rebuilt)[:] = value
    assert not encoder.any()
    assert_allclose(rebuilt, value, atol=1e-12)


@pytest.mark.parametrize(
    ("solver", "value", "mask"),
    [("cholesky", 0, 0), ("cholesky", 0, 0.75), ("cholesky", 201, 0.75), ("eigh", 201, 0.75), ("dual", 0, 0.75)],
)
def test_few_components_of_many_features(solver, value, mask, images):
    """Products with what varies, on a Krylov space; or rows."""
    assert uses_krylov(SIZE**2, 6)
    images = images[:150] if solver == "dual" else images
    plain = LinearMAE(6, mask=mask, patch=4, solver=solver).fit(images)
    padded = LinearMAE(6, mask=mask, patch=4, solver=solver).fit(bordered(images, value))
    assert padded.solver_ == plain.solver_ == solver
    assert_the_border_is_nothing(padded, plain, images, value)


def test_noise_in_place_of_masks(images):
    """Noise falls on the border, too; nothing is read from there."""
    plain = LinearDAE(6, noise_std=20.0, solver="cholesky").fit(images)
    padded = LinearDAE(6, noise_std=20.0, solver="cholesky").fit(bordered(images, 9))
    assert_allclose(padded.eigenvalues_, plain.eigenvalues_, rtol=1e-9)
    features = plain.transform(images[:50].astype(float))
    assert_allclose(padded.transform(bordered(images, 9)[:50].astype(float)), features, atol=1e-7 * features.max())


def test_several_masks_from_one_pass(images):
    """A search solves them together, with what they share."""
    target = images[:, 10:14, 10:14].mean(axis=(1, 2)).astype(float)
    scores = []
    for X in (images, bordered(images, 77)):
        pipe = make_pipeline(LinearMAE(6, patch=4, solver="cholesky"), Ridge())
        search = LinearMAESearchCV(pipe, {"linearmae__mask": [0.5, 0.75]}, cv=2, refit=False).fit(X, target)
        scores.append(search.cv_results_["mean_test_score"])
    assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_hidden_loss(images):
    small = images[:, 8:20, 8:20]
    plain = LinearMAE(mask=0.75, patch=4, loss="hidden").fit(small)
    padded = LinearMAE(mask=0.75, patch=4, loss="hidden").fit(bordered(small, 13))
    assert padded.expected_loss_ * 20**2 == pytest.approx(plain.expected_loss_ * 12**2, rel=1e-9)
    features = plain.transform(small.astype(float))
    assert_allclose(padded.transform(bordered(small, 13).astype(float)), features, atol=1e-7 * np.abs(features).max())


def test_moments_know_what_is_constant(images):
    second = Moments.from_data(bordered(images[:100], 3)).second.reshape([PADDED] * 4)
    assert not second[:BORDER].any()
    assert not second[:, :, :, -BORDER:].any()
    assert (second[BORDER:-BORDER, BORDER:-BORDER].diagonal(axis1=0, axis2=2) != 0).any()
