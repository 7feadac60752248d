"""Each public method of the estimators and of Moments reads X once; an array that records its reads counts them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skmae import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV, Moments, ViTMAE, ViTMAEClassifier, ViTMAERegressor

IMAGES, LABELS = load_digits().images[:200], load_digits().target[:200]
FLAT = {True: IMAGES.reshape(200, -1), False: IMAGES}
SIZES = {"patch": 2, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2}
TRAINING = {"max_epochs": 1, "warmup_epochs": 0, "random_state": 0}
VIT = ViTMAE(**SIZES, **TRAINING, decoder_layers=1, decoder_heads=2)


def reads(recording, function, X):
    recorder = recording(X)
    result = function(recorder)
    return recorder.reads, result


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "fit_transform", "transform", "score", "reconstruct", "linearize"]
)
@pytest.mark.parametrize(
    "model",
    [
        LinearMAE(5, patch=2),
        LinearMAE(5, patch=2, loss="hidden"),
        LinearDAE(5),
        LinearAE(5),
        LinearMAE(5, solver="dual"),
    ],
    ids=str,
)
def test_linear_models(model, method, flat, recording):
    model = type(model)(**model.get_params())
    if method == "partial_fit" and model.solver == "dual":
        model.set_params(solver="auto")
    if "fit" not in method:
        model.fit(IMAGES)
    count, result = reads(recording, getattr(model, method), FLAT[flat])
    assert count == 1
    if isinstance(result, np.ndarray):
        expected = getattr(model, method)(FLAT[flat])
        assert_allclose(result, expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("flat", [True, False])
def test_moments(flat, recording):
    moments = Moments.from_data(IMAGES)
    for function in (Moments.from_data, moments.update, lambda X: Moments.from_batches([X])):
        assert reads(recording, function, FLAT[flat])[0] == 1


@pytest.mark.parametrize("flat", [True, False])
def test_searches(flat, recording):
    pipeline = make_pipeline(LinearMAE(5, image_shape=(8, 8)), LogisticRegression(max_iter=2000))
    search = LinearMAESearchCV(pipeline, {"linearmae__patch": [1, 2], "linearmae__mask": [0.5, 0.75]}, cv=3)
    assert reads(recording, lambda X: search.fit(X, LABELS), FLAT[flat])[0] == 1


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    "method",
    ["fit", "partial_fit", "transform", "patch_features", "layer_features", "reconstruct", "linearize", "score"],
)
def test_deep_autoencoders(method, flat, recording):
    model = VIT if "fit" in method else ViTMAE(**VIT.get_params()).fit(IMAGES)
    model = ViTMAE(**model.get_params()) if "fit" in method else model
    assert reads(recording, getattr(model, method), FLAT[flat])[0] == 1


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    "encoder", [None, VIT, "fitted"], ids=["from scratch", "pretrained in fit", "pretrained before"]
)
@pytest.mark.parametrize("kind", [ViTMAEClassifier, ViTMAERegressor])
def test_predictors(kind, encoder, flat, recording):
    encoder = ViTMAE(**VIT.get_params()).fit(IMAGES) if encoder == "fitted" else encoder
    model = kind(encoder, **(SIZES if encoder is None else {}), **TRAINING)
    assert reads(recording, lambda X: model.fit(X, LABELS), FLAT[flat])[0] == 1
    assert reads(recording, model.predict, FLAT[flat])[0] == 1
    assert reads(recording, lambda X: model.score(X, LABELS), FLAT[flat])[0] == 1
