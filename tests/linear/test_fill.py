"""What is hidden is filled: against ridge regression by brute force, and by how sure the answer says it is."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from skmae import LinearAE, LinearDAE, LinearMAE, Moments
from skmae.linear import _conditional
from skmae.linear._conditional import _Systems


def images(rng, n=200, shape=(4, 6), noise=0.3):
    """Smooth, with some noise, far from zero."""
    X = rng.standard_normal((n, *shape)).cumsum(1).cumsum(2)
    return X / 4 + noise * rng.standard_normal(X.shape) + 3


def fitted(X, **parameters):
    return LinearMAE(4, mask=0.5, patch=2, **parameters).fit_moments(Moments.from_data(X))


def ridge_of(model):
    return model._conditional._ridge


def regressed(X, x, seen, ridge):
    """Each hidden feature of one row, by a ridge regression of its own on the visible ones."""
    filled = x.copy()
    for feature in np.flatnonzero(~seen):
        filled[feature] = Ridge(alpha=ridge * len(X)).fit(X[:, seen], X[:, feature]).predict(x[np.newaxis, seen])[0]
    return filled


def errors_by_hat_matrix(X, seen, ridge, caution=1.0):
    """Generalised cross-validation of each hidden feature, by its definition: the squared error in other samples."""
    n, Y = len(X), X - X.mean(axis=0)
    hat = Y[:, seen] @ np.linalg.solve(Y[:, seen].T @ Y[:, seen] + n * ridge * np.eye(seen.sum()), Y[:, seen].T)
    rest = Y[:, ~seen] - hat @ Y[:, ~seen]
    left = 1 - caution * np.trace(hat) / (n - 1)
    return (rest**2).mean(axis=0) / left**2 if left > 0 else np.full(Y[:, ~seen].shape[1], np.inf)


@pytest.mark.parametrize("share", [0.2, 0.7])  # few hidden features, and few visible ones, are solved differently
def test_conditional_is_regression_on_what_is_visible(share, rng):
    X, new = images(rng), images(rng, 8)
    model = fitted(X)
    visible = rng.random((8, 24)) > share
    filled = model.fill(new, visible)
    for x, seen, row in zip(new.reshape(8, -1), visible, filled.reshape(8, -1), strict=True):
        assert_allclose(row, regressed(X.reshape(len(X), -1), x, seen, ridge_of(model)), rtol=1e-9)
    assert_array_equal(model.reconstruct(new, visible, method="conditional"), filled)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_std_is_that_of_generalised_cross_validation(share, rng):
    X = images(rng)
    model = fitted(X)
    visible = rng.random(24) > share
    _, std = model.fill(X[:1], visible, return_std=True)
    expected = errors_by_hat_matrix(X.reshape(len(X), -1), visible, ridge_of(model))
    assert_allclose(std.ravel()[~visible] ** 2, expected, rtol=1e-8)
    assert not std.ravel()[visible].any()


@pytest.mark.parametrize("noise", [0.0, 0.3, 10.0])
def test_the_ridge_is_that_of_the_least_error_in_other_samples(noise, rng):
    X = images(rng, noise=noise)
    model = fitted(X)
    flat = X.reshape(len(X), -1)
    seen = _conditional._half_visible(model._problem.grid)
    ridges = _conditional._SHARES * flat.var(axis=0).mean()
    errors = [errors_by_hat_matrix(flat, seen, ridge, caution=1.4).sum() for ridge in ridges]
    assert_allclose(ridge_of(model), ridges[np.argmin(errors)])


def smooth_fields(rng, n):
    return gaussian_filter(rng.standard_normal((n, 12, 12)), (0, 2, 2)) * 100 + rng.standard_normal((n, 12, 12))


@pytest.mark.parametrize("copies", [slice(0), slice(1), slice(None)])  # of no sample, of one, of each
def test_std_holds_where_samples_are_copies(copies, rng):
    """More pixels than samples: those that come twice are no reason to be surer."""
    X, new = smooth_fields(rng, 50), smooth_fields(rng, 200)
    holes = new.copy()
    holes[:, 4:8, 4:8] = np.nan
    model = LinearMAE(4, patch=2).fit_moments(Moments.from_data(np.concatenate([X, X[copies]])))
    filled, std = model.fill(holes, return_std=True)
    hidden = np.isnan(holes)
    assert 0.92 < (np.abs(filled - new) < 1.96 * std)[hidden].mean() < 0.98


@pytest.mark.parametrize("n", [3, 20])
def test_few_samples_of_noise_make_nothing_sure(n, rng):
    X, new = rng.standard_normal((n, 16, 16)), rng.standard_normal((100, 16, 16))
    holes = new.copy()
    holes[:, :8] = np.nan
    model = LinearMAE(2, patch=4).fit_moments(Moments.from_data(X))
    filled, std = model.fill(holes, method="conditional", return_std=True)
    assert np.sqrt(((filled - new) ** 2)[:, :8].mean()) < 1.3
    assert std[:, :8].mean() > 0.6


def test_what_few_directions_carry_is_filled_exactly(rng):
    X = (rng.standard_normal((300, 6)) @ rng.standard_normal((6, 144))).reshape(300, 12, 12)
    holes = X[:20].copy()
    holes[:, 4:8, 4:8] = np.nan
    model = LinearMAE(4, patch=2).fit_moments(Moments.from_data(X))
    assert_allclose(model.fill(holes, method="conditional"), X[:20], atol=1e-5)


def test_half_of_the_patches_are_hidden_where_the_ridge_is_chosen():
    grid = fitted(images(np.random.default_rng(0)))._problem.grid
    hidden = ~_conditional._half_visible(grid)
    assert set(np.bincount(grid.patch_of_feature, weights=hidden)) == {0, 4}
    assert hidden.sum() == 12
    one_patch = LinearMAE(2, patch=8).fit(images(np.random.default_rng(0)))._problem.grid
    assert _conditional._half_visible(one_patch).sum() == 12


@pytest.mark.parametrize("n", [30, 60, 300])  # of 48 features
def test_entries_lie_where_std_says(n, rng):
    root = np.linalg.cholesky(0.95 ** np.abs(np.subtract.outer(np.arange(48), np.arange(48))))
    inside = []
    for _ in range(20):
        X, new = (rng.standard_normal((m, 48)) @ root.T for m in (n, 200))
        visible = np.repeat(rng.permutation(12) < 6, 4)
        filled, std = LinearMAE(patch=4).fit_moments(Moments.from_data(X)).fill(new, visible, return_std=True)
        inside.append((np.abs(filled - new) < 1.96 * std)[:, ~visible].mean())
    assert 0.92 < np.mean(inside) < 0.98


def test_linear_is_the_model_s_own_reconstruction(rng):
    X = images(rng)
    model = LinearMAE(4, mask=0.5, patch=2).fit(X)
    visible = rng.random(X.shape) > 0.4
    expected = np.where(visible, X, model.reconstruct(X, visible))
    assert_allclose(model.fill(X, visible), expected, rtol=1e-10)
    assert_allclose(model.transform(np.where(visible, X, np.nan)), model.transform(expected), atol=1e-10)


@pytest.mark.parametrize("method", ["linear", "conditional"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.uint8, np.int32, bool])
def test_what_is_visible_is_untouched_in_its_type(method, dtype, rng):
    X = images(rng) > 3 if dtype is bool else (20 * images(rng)).astype(dtype)
    model, visible = fitted(X), rng.random(X.shape) > 0.3
    filled = model.fill(X, visible, method=method)
    assert filled.shape == X.shape
    assert filled.dtype == (dtype if np.dtype(dtype).kind == "f" else np.result_type(dtype, np.float32))
    assert_array_equal(filled[visible], X[visible])
    assert np.isfinite(filled).all()
    assert (filled[~visible] != X[~visible]).mean() > 0.5


@pytest.mark.parametrize("method", ["linear", "conditional"])
def test_hidden_is_nan_or_masked_or_not_visible(method, rng):
    X = images(rng)
    model = fitted(X)
    nan, masked, hidden = rng.random((3, *X.shape)) < 0.1
    expected = model.fill(X, ~(nan | masked | hidden), method=method)
    holes = np.ma.masked_array(np.where(nan, np.nan, np.where(hidden, np.inf, X)), masked)
    filled = model.fill(holes, ~hidden, method=method)
    assert type(filled) is np.ndarray
    assert_array_equal(filled, expected)


@pytest.mark.parametrize("method", ["linear", "conditional"])
def test_all_or_nothing_visible(method, rng):
    X = images(rng)
    model = fitted(X)
    assert_array_equal(model.fill(X, method=method), X)
    nothing = np.zeros((4, 6), bool)
    assert_allclose(model.fill(X, nothing, method=method), np.broadcast_to(X.mean(axis=0), X.shape))
    _, std = model.fill(X[:1], nothing, return_std=True)
    assert_allclose(std[0], X.std(axis=0))


def test_samples_with_one_mask_are_solved_together(rng, monkeypatch):
    X = images(rng, 3000)
    masks = rng.random((3, 24)) > 0.4
    visible = masks[rng.integers(0, 3, len(X))]
    model, solved = fitted(X), []
    find = _Systems.answer
    monkeypatch.setattr(_Systems, "answer", lambda self, mask: solved.append(mask) or find(self, mask))
    filled = model.fill(X, visible)
    assert len(solved) == 3
    assert_allclose(filled[:5], np.concatenate([model.fill(X[i : i + 1], visible[i]) for i in range(5)]))


def test_fewer_samples_than_features_and_features_that_never_vary(rng):
    X = images(rng, 15)
    X[:, 1, 1] = 7
    model, visible = fitted(X), rng.random(24) > 0.5
    visible[7] = False
    filled, std = model.fill(X, visible, return_std=True)
    assert_array_equal(filled[:, 1, 1], 7)
    assert not std[:, 1, 1].any()
    assert np.isfinite(filled).all()
    same = LinearMAE(2, patch=2).fit_moments(Moments.from_data(np.full((5, 4, 4), 2.0)))
    filled, std = same.fill(np.full((1, 4, 4), 5.0), np.arange(16) > 3, return_std=True)
    assert set(filled.ravel()) == {2.0, 5.0}
    assert not std.any()


@pytest.mark.parametrize("model", [LinearDAE(4, noise_std=0.3), LinearAE(4)])
def test_other_models_fill_too(model, rng):
    X = images(rng)
    visible = rng.random((4, 6)) > 0.4
    linear = model.fit(X).fill(X, visible)
    conditional = model.fit_moments(Moments.from_data(X)).fill(X, visible)
    wrong = [np.mean((filled - X)[:, ~visible] ** 2) for filled in (conditional, linear, X.mean(axis=0) + 0 * X)]
    assert wrong == sorted(wrong)


def test_moments_of_samples_with_holes(rng):
    X = images(rng, 2000)
    holes = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    visible = rng.random((4, 6)) > 0.4
    filled, from_whole = (fitted(train).fill(X[:100], visible) for train in (holes, X))
    assert np.mean((filled - from_whole) ** 2) < 0.02 * np.mean((from_whole - X[:100])[:, ~visible] ** 2)


def test_the_answer_follows_the_moments_and_is_not_pickled(rng):
    X = images(rng, 400)
    visible = rng.random((4, 6)) > 0.4
    model = LinearMAE(4, mask=0.5, patch=2).partial_fit(X[:200])
    size = len(pickle.dumps(model))
    before = model.fill(X, visible)
    assert len(pickle.dumps(model)) < size + model.components_.nbytes + model.decoder_.nbytes + 2000
    model.partial_fit(X[200:])
    assert_array_equal(pickle.loads(pickle.dumps(model)).fill(X, visible), model.fill(X, visible))
    assert_allclose(model.fill(X, visible), fitted(X).fill(X, visible), rtol=1e-6)
    assert np.abs(model.fill(X, visible) - before).max() > 0.01


REFUSED = [
    ({"method": "conditional"}, NotFittedError, r"second moments, which fit does not keep. .* fit_moments\("),
    ({"return_std": True}, NotFittedError, r"return_std=True need the second moments"),
    ({"method": "mean"}, ValueError, r"method='mean' is not known. Pass one of \('auto', 'linear', 'conditional'\)"),
    ({"method": None}, ValueError, r"method=None is not known"),
    ({"method": "linear", "return_std": True}, ValueError, r'return_std=True needs method="conditional" or "auto"'),
    ({"visible": np.ones(5, bool)}, ValueError, r"visible"),
]


@pytest.mark.parametrize(("options", "kind", "text"), REFUSED)
def test_what_is_refused(options, kind, text, rng):
    X = images(rng)
    with pytest.raises(kind, match=text):
        LinearMAE(4, mask=0.5, patch=2).fit(X).fill(X, **options)


def test_reconstruct_refuses_methods_and_too_few_samples(rng):
    X = images(rng)
    model = LinearMAE(4, mask=0.5, patch=2)
    with pytest.raises(ValueError, match=r"method='auto' is not known. Pass one of \('linear', 'conditional'\)"):
        model.fit(X).reconstruct(X, method="auto")
    with pytest.raises(NotFittedError, match="fit_moments"):
        model.reconstruct(X, method="conditional")
    with pytest.raises(NotFittedError, match="n_samples=1 is too few"):
        LinearMAE(patch=2).partial_fit(X[:1])._conditional  # noqa: B018


@pytest.mark.parametrize("method", ["linear", "conditional"])
def test_infinity_is_refused_where_it_is_visible(method, rng):
    X = images(rng)
    model = fitted(X)
    X[7, 1, 2] = np.inf
    visible = np.ones((4, 6), bool)
    visible[0] = False
    with pytest.raises(ValueError, match=r"contains infinity: X\[7, 8\] is inf"):
        model.fill(X, visible, method=method)
    with pytest.raises(ValueError, match=r"contains infinity: X\[7, 8\] is inf"):
        model.fill(X, method=method)
    visible[1, 2] = False
    assert np.isfinite(model.fill(X, visible, method=method)).all()


def test_what_is_filled_may_be_beyond_a_narrow_type(rng):
    X = images(rng) * 1e5
    with pytest.raises(ValueError, match="What is filled is beyond the range of float16"):
        fitted(X).fill(np.ones((2, 4, 6), np.float16), np.arange(24) > 3)


def test_what_float64_does_not_hold_is_refused(rng):
    X = images(rng, 5).astype(np.longdouble)
    X[2, 0, 0] = np.longdouble("1e400")
    visible = np.arange(24) != 5
    with pytest.raises(ValueError, match="What is filled is beyond the range of"):
        fitted(images(rng)).fill(X, visible)
    assert np.isfinite(fitted(images(rng)).fill(X, visible & (np.arange(24) > 0))).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("shared", [False, True])
def test_transform_takes_visible(dtype, shared, rng):
    X = (20 * images(rng)).astype(dtype)
    model, visible = fitted(X), rng.random((4, 6) if shared else X.shape) > 0.3
    hidden = np.broadcast_to(~visible, X.shape)
    holes = np.where(hidden, np.nan, X.astype(np.result_type(dtype, np.float32)))
    features = model.transform(X, visible)
    assert features.dtype == np.result_type(dtype, np.float32)
    assert_allclose(features, model.transform(holes), rtol=1e-4, atol=1e-4)
    assert np.abs(features - model.transform(X)).max() > 1
    other = np.where(hidden, np.array(99).astype(dtype), X)
    assert_allclose(model.transform(other, visible), features, rtol=1e-6, atol=1e-6)
    if dtype == np.float64:
        assert_array_equal(model.transform(np.where(hidden, np.inf, X), visible), features)
        masked = np.ma.masked_array(X, hidden & (rng.random(X.shape) < 0.5))
        assert_array_equal(model.transform(masked, visible), features)


def test_visible_of_dask_arrays_and_tensors(rng):
    dask, torch = pytest.importorskip("dask.array"), pytest.importorskip("torch")
    X = images(rng)
    model, visible = fitted(X), rng.random((4, 6)) > 0.3
    chunks = dask.from_array(X.reshape(len(X), -1), chunks=(50, -1))
    assert_allclose(model.fill(chunks, visible), model.fill(X, visible).reshape(len(X), -1))
    with pytest.raises(ValueError, match="visible does not go with the transform of a Dask array"):
        model.transform(chunks, visible)
    with config_context(array_api_dispatch=True):
        model = LinearMAE(4, mask=0.5, patch=2).partial_fit(torch.asarray(X))
        filled, std = model.fill(torch.asarray(X), visible, return_std=True)
        assert isinstance(filled, torch.Tensor)
        assert_allclose(filled.numpy(), fitted(X).fill(X, visible), rtol=1e-8)
        assert not std[:, visible].any()
        features = model.transform(torch.asarray(X), visible)
    assert_allclose(np.abs(features.numpy()), np.abs(fitted(X).transform(X, visible)), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n", [5, 12, 20, 40])  # of 48 features, half of them visible
def test_few_samples_are_no_worse_than_the_mean(n, rng):
    root = np.linalg.cholesky(0.9 ** np.abs(np.subtract.outer(np.arange(48), np.arange(48))) + 0.3 * np.eye(48))
    errors = []
    for _ in range(20):
        X, new = (rng.standard_normal((m, 48)) @ root.T for m in (n, 100))
        visible = np.repeat(rng.permutation(12) < 6, 4)
        filled = LinearMAE(2, patch=4).fit_moments(Moments.from_data(X)).fill(new, visible)
        errors.append([np.mean((a - new)[:, ~visible] ** 2) for a in (filled, X.mean(axis=0))])
    conditional, mean = np.mean(errors, axis=0)
    assert conditional < 1.1 * mean


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_what_was_learned_from_holes_knows_how_little_that_is(share, rng):
    X, new = images(rng, 200), images(rng, 500)
    holes = np.where(rng.random(X.shape) < share, np.nan, X)
    visible = np.ones((4, 6), bool)
    visible[1:3, 2:5] = False
    filled, std = fitted(holes).fill(new, visible, return_std=True)
    assert np.mean((filled - new)[:, ~visible] ** 2) < 0.5 * np.mean((X.mean(axis=0) - new)[:, ~visible] ** 2)
    assert 0.85 < (np.abs(filled - new) < 1.96 * std)[:, ~visible].mean() < 0.99


@pytest.mark.parametrize("scale", [1e-130, 1e-70, 1e70, 1e130])
def test_the_unit_does_not_matter(scale, rng):
    X, visible = images(rng), rng.random((4, 6)) > 0.5
    filled, std = fitted(X * scale).fill(X * scale, visible, return_std=True)
    expected = fitted(X).fill(X, visible, return_std=True)
    assert_allclose(filled / scale, expected[0], rtol=1e-9)
    assert_allclose(std / scale, expected[1], rtol=1e-9)
