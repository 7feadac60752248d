"""The analyzers as scikit-learn estimators, alone and composed."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import JacobianBasis, LinearAE, LinearMAE, SpatialEntropy

ESTIMATORS = [
    JacobianBasis(LinearMAE(1, patch=1)),
    JacobianBasis(LinearMAE(patch=2, mask=0.5), outputs="all", visible="random", n_masks=3, random_state=0),
    JacobianBasis(LinearAE(1), outputs="grid"),
    SpatialEntropy(),
    SpatialEntropy(power=2),
    SpatialEntropy(image_shape=(1,)),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scikit_learn_checks_around_a_vit():
    pytest.importorskip("torch")
    from sklearn.utils.estimator_checks import check_estimator

    from skmae import ViTMAE

    tiny = {"embed_dim": 4, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}
    mae = ViTMAE(patch=1, max_epochs=1, device="cpu", random_state=0, **tiny)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)  # SkipTestWarning: no array API with torch's net
        results = check_estimator(JacobianBasis(mae, outputs=[0], batch_size=2), on_fail=None)
    assert [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")] == []
    assert len([r for r in results if r["status"] == "passed"]) > 30


def test_entropy_is_tagged_non_negative_and_stateless():
    tags = get_tags(SpatialEntropy())
    assert tags.input_tags.positive_only
    assert not tags.requires_fit
    np.testing.assert_allclose(SpatialEntropy((2,)).transform(np.array([[1.0, 1, 0, 5]])), [[np.log(2), 0]])


@pytest.mark.parametrize("kind", ["linear", "vit"])
def test_a_pipeline_from_images_to_entropies(kind, colours, make_vit):
    mae = LinearMAE(5, patch=4) if kind == "linear" else make_vit()
    mae.fit(colours)
    pipeline = make_pipeline(JacobianBasis(FrozenEstimator(mae), outputs="grid"), SpatialEntropy((8, 8, 3)))
    entropies = pipeline.fit(colours).transform(colours)
    assert entropies.shape == (60, 16)
    assert entropies.dtype == np.float64
    assert (entropies > 0).all()
    assert (entropies <= np.log(64)).all()
    assert list(pipeline.get_feature_names_out()) == [f"spatialentropy{i}" for i in range(16)]
    assert clone(pipeline).fit(colours[:, ::-1]).transform(colours).shape == (60, 16)
    assert clone(pipeline).set_output(transform="pandas").fit_transform(colours.reshape(60, -1)).shape == (60, 16)


@pytest.mark.parametrize("kind", ["linear", "vit"])
def test_mask_and_patch_of_the_inner_estimator_are_searched(kind, colours, make_vit):
    inner = LinearMAE(5, patch=4) if kind == "linear" else make_vit()
    pipeline = make_pipeline(JacobianBasis(inner), SpatialEntropy((8, 8)), RidgeClassifier())
    patches = [1, 2] if kind == "linear" else [2, 4]
    grid = {"jacobianbasis__estimator__mask": [0.25, 0.5], "jacobianbasis__estimator__patch": patches}
    search = GridSearchCV(pipeline, grid, cv=2).fit(colours, np.arange(60) % 2)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_[0].estimator_.patch == search.best_params_["jacobianbasis__estimator__patch"]


def test_what_cannot_reconstruct_is_refused_with_what_is_needed(rng):
    X = rng.normal(size=(60, 16))
    with pytest.raises(TypeError, match=r"PCA cannot be inspected: it has no reconstruct.*TorchAutoencoder\(module"):
        JacobianBasis(PCA(2)).fit(X)
    with pytest.raises(NotFittedError):
        JacobianBasis(FrozenEstimator(LinearMAE(2))).fit(X)
    with pytest.raises(NotFittedError):
        JacobianBasis(LinearMAE(2)).transform(X)
