"""A new corruption takes one method, as the contributing guide says."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import LinearAE
from skmae.linear import Corruption, LinearAutoencoder


class Speckle(LinearAutoencoder):
    """Every feature multiplied by noise of its own, of mean 1 and standard deviation `std`."""

    def __init__(
        self, n_components=None, *, std=0.5, image_shape=None, channel_axis="auto", whiten=False, solver="auto"
    ):
        self.n_components = n_components
        self.std = std
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.whiten = whiten
        self.solver = solver

    def _corruption(self, grid):  # noqa: ARG002
        return Corruption(within=self.std**2)  # a patch is a feature


@pytest.mark.parametrize("solver", ["cholesky", "eigh", "dual"])
@pytest.mark.parametrize("shape", [(6,), (2, 2, 3), (3, 2, 2)])
def test_the_new_model_solves_its_own_problem(shape, solver, rng):
    """Per feature is per feature, also where three channels are one pixel."""
    d, n = int(np.prod(shape)), 300 if solver != "dual" else 10
    X = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).reshape(n, *shape)
    model = Speckle(2, std=0.8, solver=solver).fit(X)
    x = X.reshape(n, d) - model.mean_
    noisy = x * rng.normal(1, 0.8, size=(600_000 // n, n, d))

    def error(encoder, decoder):
        return np.mean((x - noisy @ encoder.T @ decoder.T) ** 2)

    assert_allclose(error(model.components_, model.decoder_), model.expected_loss_, rtol=0.02)
    assert_allclose(-model.score(X), model.expected_loss_, rtol=1e-9)
    S = x.T @ x / n
    V = S + 0.64 * np.diag(S.diagonal())
    best = np.trace(S) - np.linalg.eigvalsh(S @ np.linalg.pinv(V, 1e-10, True) @ S)[::-1][:2].sum()
    assert_allclose(model.expected_loss_ * d, best, rtol=1e-9)
    plain = LinearAE(2).fit(X)
    assert error(model.components_, model.decoder_) < error(plain.components_, plain.decoder_)


@parametrize_with_checks([Speckle()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
