"""LinearMAESearchCV behind LocalTokens against GridSearchCV, and how often filters and tokens are made."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.fixes import parse_version

import skmae.tokens._local_tokens
from skmae import LinearMAE, LinearMAESearchCV, LocalTokens
from skmae.datasets import load_photo_patches
from skmae.tokens._tokenizer import Tokenizer

N = 150
GRID = {"mae__mask": [0, 0.5, 0.9], "mae__n_components": [3, 8]}


@pytest.fixture(scope="module")
def photos():
    data = load_photo_patches()
    rows = np.random.RandomState(0).permutation(len(data.images))[:N]
    return data.images[rows, :16, :16], data.photo[rows] % 4


def deep(**parameters):
    mae = LinearMAE(8, patch=1, channel_axis=-1, **parameters)
    clf = RidgeClassifier()
    return Pipeline([("tokens", LocalTokens(4, 4, pool=3, random_state=0)), ("mae", mae), ("clf", clf)])


@pytest.fixture
def made(monkeypatch):
    """How often filters are learned, and of how many samples tokens are made."""
    count = {"filters": 0, "tokens": 0}
    learn, tokens = skmae.tokens._local_tokens.learn_filters, Tokenizer.tokens

    def counted_learn(*args):
        count["filters"] += 1
        return learn(*args)

    def counted_tokens(self, samples, **options):
        count["tokens"] += len(samples)
        return tokens(self, samples, **options)

    monkeypatch.setattr(skmae.tokens._local_tokens, "learn_filters", counted_learn)
    monkeypatch.setattr(Tokenizer, "tokens", counted_tokens)
    return count


def assert_same(peer, ours):
    for name in peer.cv_results_:
        if "score" in name and "time" not in name:
            assert_allclose(ours.cv_results_[name], peer.cv_results_[name], atol=1e-9, err_msg=name)
    assert ours.best_params_ == peer.best_params_


def both(pipe, grid, X, y, **options):
    fit = options.pop("fit", {})
    return [search(pipe, grid, **options).fit(X, y, **fit) for search in (GridSearchCV, LinearMAESearchCV)]


@pytest.mark.parametrize("cv", [KFold(3), ShuffleSplit(2, test_size=0.3, random_state=0)])
def test_the_same_as_grid_search(photos, cv):
    X, y = photos
    peer, ours = both(deep(), GRID, X, y, cv=cv, return_train_score=True)
    assert_same(peer, ours)
    assert_allclose(ours.decision_function(X), peer.decision_function(X), atol=1e-6)
    assert ours.best_estimator_["tokens"].tokens_shape_ == (3, 3, 8)


def test_filters_and_tokens_are_made_once_a_fold(photos, made):
    X, y = photos
    LinearMAESearchCV(deep(), GRID, cv=3, refit=False).fit(X, y)
    assert made == {"filters": 3, "tokens": 3 * N}


def test_each_setting_of_the_filters_has_its_own(photos, made):
    X, y = photos
    grid = {"tokens__filters": ["kmeans", "random"], "mae__mask": [0.5, 0.9]}
    search = LinearMAESearchCV(deep(), grid, cv=2, refit=False).fit(X, y)
    assert made == {"filters": 4, "tokens": 4 * N}
    peer = GridSearchCV(deep(), grid, cv=2).fit(X, y)
    assert_allclose(search.cv_results_["mean_test_score"], peer.cv_results_["mean_test_score"])


def test_weights_reach_the_autoencoder(photos):
    X, y = photos
    w = np.random.RandomState(0).randint(0, 3, N).astype(float)
    peer, ours = both(deep(), GRID, X, y, cv=3, fit={"mae__sample_weight": w})
    assert_same(peer, ours)
    plain = LinearMAESearchCV(deep(), GRID, cv=3).fit(X, y)
    assert not np.allclose(plain.cv_results_["mean_test_score"], ours.cv_results_["mean_test_score"])


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="GridSearchCV itself refuses these requests"
)
def test_weights_by_routing(photos):
    X, y = photos
    w = np.random.RandomState(0).randint(0, 3, N).astype(float)
    with config_context(enable_metadata_routing=True):
        pipe = deep()
        pipe.set_params(
            mae=pipe["mae"].set_fit_request(sample_weight=True).set_score_request(sample_weight=False),
            clf=pipe["clf"].set_fit_request(sample_weight=False).set_score_request(sample_weight=True),
        )
        outer = Pipeline([("features", pipe[:2]), ("clf", pipe["clf"])])
        grid = {f"features__{name}": values for name, values in GRID.items()}
        assert_same(*both(outer, grid, X, y, cv=3, fit={"sample_weight": w}))


@pytest.mark.parametrize("container", ["flat", "frames", "jobs"])
def test_other_ways_in(photos, container):
    X, y = photos
    pipe, options = deep(), {"cv": 2}
    if container == "flat":
        X = X.reshape(N, -1)
        pipe.set_params(tokens__image_shape=(16, 16, 3), mae__image_shape=(3, 3, 8))
    elif container == "frames":
        pipe.set_params(mae__image_shape=(3, 3, 8)).set_output(transform="pandas")
    else:
        options["n_jobs"] = 2
    assert_same(*both(pipe, GRID, X, y, **options))


def test_what_fails_fails_alone(photos):
    X, y = photos
    grid = {"tokens__size": [4, 0, (3, 3, 3)], "mae__patch": [1, (1, 1, 1)]}
    with pytest.warns(match="fits failed"), pytest.warns(match="non-finite"):
        search = LinearMAESearchCV(deep(), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).sum() == 1


def test_something_else_behind_tokens(photos):
    with pytest.raises(TypeError, match="begins with LocalTokens"):
        LinearMAESearchCV(make_pipeline(LocalTokens(), LogisticRegression()), {}).fit(*photos)


def test_tokens_alone_are_read_by_others(photos):
    """A pipeline with something between, where rows must be made."""
    X, y = photos
    pipe = deep()
    pipe.steps.insert(2, ("again", LinearMAE(3, mask=0, patch=1, image_shape=(8,))))
    search = LinearMAESearchCV(pipe, {"mae__mask": [0.5, 0.9]}, cv=3).fit(X, y)
    expected = [cross_val_score(pipe.set_params(mae__mask=m), X, y, cv=3).mean() for m in (0.5, 0.9)]
    assert_allclose(search.cv_results_["mean_test_score"], expected)


def test_mask_needs_something_that_compares(photos):
    with pytest.raises(ValueError, match=r"param_grid searches \['mae__mask'\]"):
        LinearMAESearchCV(deep()[:2], {"mae__mask": [0.5, 0.9]}).fit(photos[0])
