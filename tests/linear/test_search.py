"""LinearMAESearchCV against GridSearchCV on the same folds."""

import pickle
import warnings

import numpy as np
import pytest
import sklearn
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from skmae import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV, Moments
from skmae._samples import Samples

N = 500
GRID = {"mae__mask": [0.25, 0.75], "mae__patch": [1, 2, (4, 2)]}
SPLITTERS = {
    "KFold": KFold(4, shuffle=True, random_state=0),
    "GroupKFold": GroupKFold(3),
    "TimeSeriesSplit": TimeSeriesSplit(3),
    "ShuffleSplit": ShuffleSplit(3, test_size=0.3, random_state=0),
    "ShuffleSplit, most rows unused": ShuffleSplit(3, train_size=0.3, test_size=0.2, random_state=0),
    "RepeatedKFold": RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
}


@pytest.fixture(scope="module")
def digits():
    digits = load_digits()
    groups = np.random.default_rng(0).integers(0, 7, N)
    return digits.data[:N] / 16, digits.target[:N], groups


def both(pipe, grid, X, y=None, fit_params=None, **options):
    fitted = []
    for search in (GridSearchCV, LinearMAESearchCV):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
            fitted.append(search(pipe, grid, **options).fit(X, y, **(fit_params or {})))
    return fitted


def assert_same_results(peer, ours, atol=1e-9):
    assert set(ours.cv_results_) == set(peer.cv_results_)
    assert ours.cv_results_["params"] == peer.cv_results_["params"]
    for key in (key for key in peer.cv_results_ if "_score" in key and "time" not in key and "rank" not in key):
        np.testing.assert_allclose(ours.cv_results_[key], peer.cv_results_[key], atol=atol, err_msg=key)
    assert ours.n_splits_ == peer.n_splits_


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_regression_scores(splitter, digits):
    X, y, groups = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    grid = {**GRID, "ridge__alpha": [0.1, 10.0], "mae__n_components": [3, 8]}
    options = {"cv": SPLITTERS[splitter], "return_train_score": True}
    peer, ours = both(pipe, grid, X, y.astype(float), {"groups": groups}, **options)
    assert_same_results(peer, ours, atol=1e-6)
    assert ours.best_params_ == peer.best_params_
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), atol=1e-6)


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_classification_scores(splitter, digits):
    X, y, groups = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("clf", LogisticRegression(max_iter=3000))])
    peer, ours = both(pipe, GRID, X, y, {"groups": groups}, cv=SPLITTERS[splitter])
    flips = 2 / (0.2 * N / 2)  # two samples of the smallest test set
    for fold in range(ours.n_splits_):
        key = f"split{fold}_test_score"
        np.testing.assert_allclose(ours.cv_results_[key], peer.cv_results_[key], atol=flips)


class FixedMask:
    """Error of what is hidden, under masks that do not depend on the candidate."""

    def __call__(self, model, X, y=None):  # noqa: ARG002
        visible = np.random.default_rng(0).random((len(X), 64)) < 0.5
        errors = (X - model.reconstruct(X, visible)) ** 2
        assert isinstance(X.reshape(-1), np.ndarray)  # scorers see an array, whatever they do to it
        assert X[0].shape == (64,)
        assert X.mean() == pytest.approx(np.asarray(X).mean())
        return -errors[~visible].mean()


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("scoring", [FixedMask(), {"fixed": FixedMask()}], ids=["single", "multi"])
def test_a_scorer_with_a_fixed_mask(splitter, scoring, digits):
    X, _, groups = digits
    grid = {"mask": [0.25, 0.75], "patch": [1, 4], "n_components": [4, 8]}
    options = {"cv": SPLITTERS[splitter], "scoring": scoring, "refit": "fixed" if isinstance(scoring, dict) else True}
    peer, ours = both(LinearMAE(), grid, X, None, {"groups": groups}, return_train_score=True, **options)
    assert_same_results(peer, ours)
    assert ours.best_params_ == peer.best_params_


@pytest.mark.parametrize("n_components", [[2, 9, None], [0.5, 0.9], [5]])
@pytest.mark.parametrize("model", [LinearMAE(mask=0.5), LinearDAE(noise_std=0.3), LinearAE()], ids=str)
def test_ranks_and_corruptions_by_score(model, n_components, digits):
    X = digits[0]
    assert_same_results(*both(model, {"n_components": n_components, "whiten": [False, True]}, X))
    peer, ours = both(model, {"n_components": n_components}, X)
    np.testing.assert_allclose(ours.best_estimator_.components_, peer.best_estimator_.components_, atol=1e-9)
    assert ours.best_estimator_.n_samples_seen_ == N


def test_the_loss_on_hidden_patches_may_be_searched(digits):
    X, y, _ = digits
    pipe = Pipeline([("mae", LinearMAE(patch=4)), ("ridge", Ridge())])
    grid = {"mae__loss": ["all", "hidden"], "mae__n_components": [2, 4], "mae__mask": [0, 0.75]}
    assert_same_results(*both(pipe, grid, X, y, cv=2), atol=1e-6)


def test_attributes_of_a_smaller_rank_are_those_of_its_own_fit(digits):
    X = digits[0]
    seen = []
    names = ["components_", "decoder_", "eigenvalues_", "explained_variance_ratio_", "expected_loss_", "mean_"]

    def spy(model, X, y=None):  # noqa: ARG001
        seen.append([getattr(model, name) for name in names])
        return model.score(X)

    grid = {"n_components": [2, 5, 11]}
    GridSearchCV(LinearMAE(patch=2), grid, scoring=spy, cv=2, refit=False).fit(X)
    LinearMAESearchCV(LinearMAE(patch=2), grid, scoring=spy, cv=2, refit=False).fit(X)
    for peer, ours in zip(seen[:6], seen[6:], strict=True):
        for name, a, b in zip(names, peer, ours, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_pixels_that_hardly_vary_outside_a_fold(dtype):
    """Without fold 2, two pixels are lit in one and the same sample: S is singular, and must be found so."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(dtype) if dtype == np.uint8 else X / 7
    pipe = Pipeline([("mae", LinearMAE(8, patch=2)), ("ridge", Ridge())])
    assert_same_results(
        *both(pipe, {"mae__mask": [0.25, 0.75]}, X, y, cv=KFold(3)), atol=1e-6 if dtype == np.uint8 else 1e-9
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16])
def test_types(dtype, digits):
    X, y, _ = digits
    X = (X * 16).astype(dtype)
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    peer, ours = both(pipe, GRID, X, y, cv=3)
    assert_same_results(peer, ours, atol=1e-4)
    assert ours.best_estimator_[0].transform(X).dtype == np.float32


def test_images_and_frames(digits):
    import pandas as pd

    X, y, _ = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    flat = LinearMAESearchCV(pipe, GRID, cv=3).fit(X, y)
    images = LinearMAESearchCV(pipe, GRID, cv=3).fit(X.reshape(-1, 8, 8), y)
    np.testing.assert_array_equal(images.cv_results_["mean_test_score"], flat.cv_results_["mean_test_score"])
    assert images.best_estimator_[0].image_shape_ == (8, 8)
    frame = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    seen = []
    LinearMAESearchCV(pipe, GRID, cv=3, scoring=lambda _, rows, __: seen.append(type(rows)) or 0).fit(frame, y)
    assert set(seen) == {pd.DataFrame}
    named = LinearMAESearchCV(pipe.set_output(transform="pandas"), GRID, cv=3).fit(frame, y)
    np.testing.assert_allclose(named.cv_results_["mean_test_score"], flat.cv_results_["mean_test_score"], atol=1e-12)
    assert list(named.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[frame.columns[::-1]])
    listed = LinearMAESearchCV(Pipeline(pipe.steps), GRID, cv=3).fit(X.tolist(), y.tolist())
    np.testing.assert_allclose(listed.cv_results_["mean_test_score"], flat.cv_results_["mean_test_score"], atol=1e-12)


@pytest.mark.parametrize("zero_fold", [False, True])
def test_weights(zero_fold, digits):
    X, y, _ = digits
    weights = np.random.default_rng(0).random(N)
    if zero_fold:
        weights[: N // 4] = 0
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    params = {"mae__sample_weight": weights, "ridge__sample_weight": weights}
    peer, ours = both(pipe, GRID, X, y, params, cv=KFold(4), return_train_score=True)
    assert_same_results(peer, ours)
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), atol=1e-9)
    alone = both(LinearMAE(patch=2), {"n_components": [2, 5]}, X, None, {"sample_weight": weights}, cv=KFold(3))
    assert_same_results(*alone)


def test_metadata_routing(digits):
    X, y, groups = digits
    weights = np.random.default_rng(0).random(N)
    with config_context(enable_metadata_routing=True):
        for mae_wants in (True, False):
            pipe = make_pipeline(
                LinearMAE(8).set_fit_request(sample_weight=mae_wants),
                Ridge().set_fit_request(sample_weight=True),
            )
            scoring = make_scorer(r2_score).set_score_request(sample_weight=True)
            params = {"sample_weight": weights, "groups": groups}
            peer, ours = both(pipe, {"linearmae__mask": [0.2, 0.8]}, X, y, params, cv=GroupKFold(3), scoring=scoring)
            assert_same_results(peer, ours)


def test_two_processes_get_the_same(digits):
    X, y, _ = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    one, two = (
        LinearMAESearchCV(pipe, GRID, cv=3, n_jobs=n, scoring=["r2", "neg_max_error"], refit="r2") for n in (1, 2)
    )
    one.fit(X, y)
    two.fit(X, y)
    for key in ("mean_test_r2", "std_test_neg_max_error"):
        np.testing.assert_allclose(one.cv_results_[key], two.cv_results_[key], rtol=1e-12)


def test_fewer_samples_than_features():
    X = np.random.default_rng(0).normal(size=(40, 256)).cumsum(axis=1)
    peer, ours = both(make_pipeline(LinearMAE(5), Ridge()), {"linearmae__patch": [1, 4]}, X, X[:, 0], cv=4)
    assert_same_results(peer, ours, atol=1e-7)
    assert ours.best_estimator_[0].solver_ == "dual"


@pytest.mark.parametrize("cv", [3, "iterator", "masks", PredefinedSplit(np.arange(N) % 5 - 1)], ids=str)
def test_any_splitter(cv, digits):
    X, y, _ = digits
    folds = list(KFold(3).split(X))
    if cv == "iterator" and parse_version(sklearn.__version__) < parse_version("1.9"):
        pytest.skip("scikit-learn keeps an iterator's splits from 1.9 on")

    def make():
        if cv == "iterator":
            return iter(folds)
        return [(np.isin(np.arange(N), a), np.isin(np.arange(N), b)) for a, b in folds] if cv == "masks" else cv

    pipe = make_pipeline(LinearMAE(8, patch=2), Ridge())
    peer = GridSearchCV(pipe, {"linearmae__mask": [0, 0.5]}, cv=make()).fit(X, y)
    ours = LinearMAESearchCV(pipe, {"linearmae__mask": [0, 0.5]}, cv=make()).fit(X, y)
    assert_same_results(peer, ours)


def test_the_splitter_sees_the_data_as_they_came(digits):
    import pandas as pd

    X, y, _ = digits
    frame = pd.DataFrame(X).add_prefix("p").assign(when=np.arange(N) % 2 / 1000)

    class ByColumn(KFold):
        def split(self, X, y=None, groups=None):  # noqa: ARG002
            for value in X["when"].unique():
                yield np.flatnonzero(X["when"] != value), np.flatnonzero(X["when"] == value)

    pipe = make_pipeline(LinearMAE(5, image_shape=(65,)), Ridge())
    assert_same_results(*both(pipe, {"linearmae__mask": [0, 0.5]}, frame, y, cv=ByColumn(2)))


def test_the_first_step_itself_may_be_searched(digits):
    X, y, _ = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    grid = [{"mae": [LinearMAE(8, patch=2), LinearDAE(8), PCA(8)]}, {"mae__mask": [0.5], "mae__patch": [2]}]
    assert_same_results(*both(pipe, grid, X, y, cv=3))


def test_the_best_pipeline_is_an_ordinary_one(digits):
    X, y, _ = digits
    search = LinearMAESearchCV(Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())]), GRID, cv=3).fit(X, y)
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert len(pickle.dumps(search.best_estimator_)) < 3 * 8 * (2 * 8 * 64 + 64)  # encoder and decoder, no moments
    by_hand = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())]).set_params(**search.best_params_).fit(X, y)
    np.testing.assert_allclose(search.predict(X), by_hand.predict(X), atol=1e-9)


def test_nobody_can_write_through_a_view(digits):
    X, y, _ = digits
    before = X.copy()

    def spoil(rows):
        rows = np.array(rows)
        rows[:] = 0
        rows -= 1
        return rows

    def score(model, rows, y):
        rows -= rows.mean()
        model[0].components_[:] = 0  # nor spoil the models of other candidates
        return model.score(rows, y)

    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    LinearMAESearchCV(pipe, {"mae": [FunctionTransformer(spoil)]}, cv=3).fit(X, y)
    np.testing.assert_array_equal(X, before)
    grid = {"mae__mask": [0.5], "ridge__alpha": [1, 1.0001]}
    spoilt = LinearMAESearchCV(pipe, grid, cv=3, scoring=score, refit=False).fit(X, y)
    assert spoilt.cv_results_["mean_test_score"][0] == pytest.approx(spoilt.cv_results_["mean_test_score"][1], rel=1e-3)
    np.testing.assert_array_equal(X, before)


def own_passes(monkeypatch, search, X, y, **params):
    """Rows that models read themselves, beside what the search has read for them."""
    read = []
    add = Moments._add

    def counted(self, rows, *args, **kwargs):
        read.append(len(rows))
        return add(self, rows, *args, **kwargs)

    monkeypatch.setattr(Moments, "_add", counted)
    search.fit(X, y, **params)
    return sum(read) - len(X)


def test_a_rank_that_is_too_large_does_not_keep_others_from_sharing(digits, monkeypatch):
    X, y = (digits[0] * 16).astype(np.uint8), digits[1]
    grid = {"mae__mask": [0.2, 0.5, 0.8], "mae__n_components": [2, 4]}
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    assert own_passes(monkeypatch, LinearMAESearchCV(pipe, grid, cv=3), X, y) == 0
    monkeypatch.undo()
    grid["mae__n_components"] = [2, 4, 1000]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert own_passes(monkeypatch, LinearMAESearchCV(pipe, grid, cv=3), X, y) == 0


@pytest.mark.parametrize("mae_wants", [True, False, "w"])
def test_routed_weights_are_shared(mae_wants, digits, monkeypatch):
    X, y = (digits[0] * 12).astype(np.uint8), digits[1]
    X += np.random.default_rng(1).integers(0, 60, X.shape, dtype=np.uint8)  # rare pixels would be read again
    weights = np.random.default_rng(0).random(N)
    with config_context(enable_metadata_routing=True):
        pipe = make_pipeline(
            LinearMAE(8).set_fit_request(sample_weight=mae_wants), Ridge().set_fit_request(sample_weight=True)
        )
        scoring = make_scorer(r2_score).set_score_request(sample_weight=False)
        search = LinearMAESearchCV(pipe, {"linearmae__mask": [0.2, 0.5]}, cv=3, scoring=scoring)
        params = {"sample_weight": weights, "w": weights} if mae_wants == "w" else {"sample_weight": weights}
        assert own_passes(monkeypatch, search, X, y, **params) == 0


def test_candidates_that_fail_get_the_error_score(digits):
    X, y, _ = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    grid = {"mae__mask": [0.5, 1.0], "mae__n_components": [8, 1000]}
    with pytest.warns(FitFailedWarning, match="9 fits failed"):
        search = LinearMAESearchCV(pipe, grid, cv=3, error_score=-1.0).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"][1:], -1)
    assert search.cv_results_["mean_test_score"][0] > 0
    with pytest.raises(ValueError, match="n_components=1000 is larger"):
        LinearMAESearchCV(pipe, grid, cv=3, error_score="raise").fit(X, y)


def test_the_data_is_read_once_for_all_folds_and_the_refit(digits, monkeypatch):
    X, y = (digits[0] * 16).astype(np.uint8), digits[1]
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    assert own_passes(monkeypatch, LinearMAESearchCV(pipe, GRID, cv=5), X, y) == 0
    monkeypatch.undo()
    assert own_passes(monkeypatch, GridSearchCV(pipe, GRID, cv=5), X, y) == 6 * 4 * N


@pytest.mark.parametrize(("grid", "n_solved"), [({"mae__mask": [0.25, 0.75]}, 2), ({"ridge__alpha": [0.1, 1, 10]}, 1)])
def test_the_features_of_all_folds_come_of_one_pass(grid, n_solved, digits, monkeypatch):
    X, y = digits[0] + np.linspace(0, 5, N)[:, np.newaxis], digits[1]  # each fold has a mean of its own
    widths, encode = [], Samples.encode

    def counted(self, components, *args):
        widths.append(len(components))
        return encode(self, components, *args)

    pipe = Pipeline(
        [("mae", LinearMAE(4)), ("scaler", StandardScaler(with_mean=False)), ("ridge", Ridge(fit_intercept=False))]
    )
    peer = GridSearchCV(pipe, grid, cv=KFold(3), refit=False).fit(X, y)
    monkeypatch.setattr(Samples, "encode", counted)
    ours = LinearMAESearchCV(pipe, grid, cv=KFold(3), refit=False).fit(X, y)
    assert widths == [3 * n_solved * 4]
    assert_same_results(peer, ours)


def test_progress_is_shown_on_request(digits, capsys):
    X, y, _ = digits
    pipe = Pipeline([("mae", LinearMAE(8)), ("ridge", Ridge())])
    LinearMAESearchCV(pipe, GRID, cv=3).fit(X, y)
    assert capsys.readouterr() == ("", "")
    LinearMAESearchCV(pipe, GRID, cv=3, verbose=11).fit(X, y)
    out, err = capsys.readouterr()
    assert "[Parallel(n_jobs=1)]: Done   3 tasks" in err + out  # the folds
    assert "totalling 18 fits" in out


@pytest.mark.parametrize("name", ["mask", "patch", "mask_sampling"])
def test_score_cannot_compare_corruptions(name, digits):
    values = {"mask": [0.1, 0.5], "patch": [1, 2], "mask_sampling": ["exact", "bernoulli"]}[name]
    with pytest.raises(
        ValueError, match=rf"param_grid searches \['{name}'\], but .* always best where least is hidden"
    ):
        LinearMAESearchCV(LinearMAE(), {name: values}).fit(digits[0])
    with pytest.raises(ValueError, match=rf"\['mae__{name}'\]"):
        LinearMAESearchCV(Pipeline([("mae", LinearMAE())]), [{f"mae__{name}": values}]).fit(digits[0])


@pytest.mark.parametrize("estimator", [make_pipeline(PCA(), Ridge()), Ridge(), make_pipeline(make_pipeline(PCA()))])
def test_a_pipeline_that_begins_with_something_else(estimator, digits):
    with pytest.raises(TypeError, match=r"or a Pipeline that begins with one, or with LocalTokens and then one; got"):
        LinearMAESearchCV(estimator, {}).fit(digits[0], digits[1])


def test_bad_data(digits):
    import pandas as pd

    X, y, _ = digits
    search = LinearMAESearchCV(make_pipeline(LinearMAE(), Ridge()), {"linearmae__patch": [2]})
    gap = X.copy()
    gap[7, 3] = np.inf
    with pytest.raises(ValueError, match=r"infinity: X\[7, 3\]"):
        search.fit(gap, y)
    with pytest.raises(ValueError, match=r"columns that are not numbers: \['c'\]"):
        search.fit(pd.DataFrame(X).add_prefix("p").assign(c="a"), y)
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1.0"):
        search.fit(X, y, linearmae__sample_weight=-np.ones(N))


def test_what_splits_but_is_no_splitter_is_refused(digits):
    with pytest.raises(TypeError, match=r"cv=b'3' is no splitter. Pass a number of folds, a splitter, or a list"):
        LinearMAESearchCV(LinearAE(), {"n_components": [1, 2]}, cv=b"3").fit(digits[0])
    with pytest.raises(TypeError, match=r"cv must give pairs of training and test indices, .* got 1"):
        LinearMAESearchCV(LinearAE(), {"n_components": [1, 2]}, cv=[(1, 2)]).fit(digits[0])
    for wrong in ([0.5, 1.5], [0, 10**6]):
        with pytest.raises(ValueError, match=rf"cv must give indices of the {len(digits[0])} samples, but gave"):
            LinearMAESearchCV(LinearAE(), {"n_components": [1, 2]}, cv=[(wrong, [1])]).fit(digits[0])


def test_targets_that_numpy_cannot_read_are_refused_by_name(digits):
    torch = pytest.importorskip("torch")
    search = LinearMAESearchCV(Pipeline([("mae", LinearMAE(2, patch=2)), ("ridge", Ridge())]), {"mae__mask": [0.5]})
    with pytest.raises((TypeError, ValueError), match=r"y cannot be read: .* Pass an array of \(n_samples,\)"):
        search.fit(digits[0][:20], torch.ones(20).to_sparse())
