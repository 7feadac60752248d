"""A new corruption takes one method, as the contributing guide says."""

import numpy as np
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


def test_the_new_model_solves_its_own_problem(rng):
    X = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    model = Speckle(2, std=0.5).fit(X)
    noisy = (X - model.mean_) * rng.normal(1, 0.5, size=(2000, *X.shape))

    def error(encoder, decoder):
        return np.mean((X - model.mean_ - noisy @ encoder.T @ decoder.T) ** 2)

    assert_allclose(error(model.components_, model.decoder_), model.expected_loss_, rtol=0.02)
    assert_allclose(-model.score(X), model.expected_loss_, rtol=1e-9)
    plain = LinearAE(2).fit(X)
    assert error(model.components_, model.decoder_) < error(plain.components_, plain.decoder_)


@parametrize_with_checks([Speckle()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
