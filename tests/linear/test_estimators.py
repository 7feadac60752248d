"""LinearMAE, LinearDAE, LinearAE: what they promise to their users."""

import copy
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skmae import LinearAE, LinearDAE, LinearMAE, Moments
from skmae.datasets import make_ising
from skmae.linear import _losses


@pytest.fixture(scope="module")
def digits():
    return load_digits().images


def smooth_images(rng, n=300, shape=(8, 8)):
    """Random images with correlations between patches."""
    d = int(np.prod(shape))
    where = np.indices(shape).reshape(len(shape), -1).T
    distance = np.sqrt(((where[:, None] - where) ** 2).sum(-1))
    return (rng.normal(size=(n, d)) @ np.linalg.cholesky(np.exp(-distance / 3)).T).reshape(n, *shape)


# -- limit cases ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: LinearAE(**kw),
        lambda **kw: LinearMAE(mask=0, **kw),
        lambda **kw: LinearMAE(mask=0, mask_sampling="exact", patch=3, **kw),
        lambda **kw: LinearDAE(noise_std=0, **kw),
        lambda **kw: LinearAE(solver="eigh", **kw),
    ],
)
def test_without_corruption_it_is_pca(make, whiten, digits):
    X = digits.reshape(len(digits), -1)
    model = make(n_components=20, whiten=whiten).fit(X)
    pca = PCA(20, whiten=whiten).fit(X)
    scale = np.sqrt(len(X) / (len(X) - 1)) if whiten else 1.0  # the divisor: n here, n - 1 there
    features = model.transform(X) / scale
    assert_allclose(features * np.sign((features * pca.transform(X)).sum(axis=0)), pca.transform(X), atol=1e-8)
    assert_allclose(model.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-10)
    assert_allclose(model.inverse_transform(model.transform(X)), pca.inverse_transform(pca.transform(X)), atol=1e-8)
    assert_allclose(-model.score(X), np.mean((X - pca.inverse_transform(pca.transform(X))) ** 2), rtol=1e-9)


@pytest.mark.parametrize("n_components", [0.5, 0.9, 0.99])
def test_a_share_picks_as_many_components_as_pca(n_components, digits):
    X = digits.reshape(len(digits), -1)
    assert LinearAE(n_components).fit(X).n_components_ == PCA(n_components).fit(X).n_components_


def test_none_keeps_what_carries_signal(digits):
    constant = (digits.reshape(len(digits), -1).std(axis=0) == 0).sum()
    assert LinearMAE().fit(digits).n_components_ == 64 - constant


@pytest.mark.parametrize("decades", [10, 12, 14])
def test_small_components_are_pca_components_too(decades, rng):
    basis = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    X = rng.normal(size=(500, 20)) * np.logspace(0, -decades / 2, 20) @ basis
    model, pca = LinearAE(20).fit(X), PCA(20).fit(X)
    assert model.components_.any(axis=1).all()
    cosine = np.abs(np.sum(model.components_ * pca.components_, axis=1)) / np.linalg.norm(model.components_, axis=1)
    angle = 10 * np.finfo(float).eps * 10.0**decades  # what moments in float64 can tell
    assert cosine.min() > 1 - angle**2
    assert LinearAE().fit(X).n_components_ == 20


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1e5])
@pytest.mark.parametrize("solver", ["cholesky", "eigh"])
def test_units_do_not_decide_what_is_read(solver, scale, rng):
    """Small features that know of a large one are read, however small."""
    X = rng.normal(size=(1000, 1)) + 0.5 * rng.normal(size=(1000, 4))
    units = np.array([1.0, scale, scale, scale])
    model = LinearMAE(1, mask=0.5, patch=1, image_shape=(4,), solver=solver).fit(X * units)
    S = np.cov(X.T, bias=True) * np.outer(units, units)
    V = S + np.diag(np.diag(S))
    explained = np.linalg.eigvalsh((S / units) @ np.linalg.solve(V / np.outer(units, units), (S / units).T))[-1]
    assert_allclose(model.eigenvalues_, explained, rtol=1e-8)


def test_constant_pixels_are_no_signal_whatever_their_value(rng):
    X = np.full((200, 6), 0.1)
    with pytest.raises(ValueError, match="carries no signal"):
        LinearAE().fit(X)
    X[:, 2] = 1e6 + 0.1
    X[:, 4] += rng.normal(size=200)
    for dtype in (np.float32, np.float64):
        model = LinearAE().fit(X.astype(dtype))
        assert model.n_components_ == 1
        assert_array_equal(np.flatnonzero(model.components_[0]), [4])


def test_remark_1_independent_patches_give_the_decoder_of_the_autoencoder(rng):
    """The decoder spans what the autoencoder's does if no patch knows of another."""
    blocks = [rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)) for _ in range(3)]
    X = np.concatenate(blocks, axis=1)
    X -= X.mean(axis=0)
    # make the patches exactly uncorrelated
    moments = Moments.from_data(X)
    S = moments.second * np.kron(np.eye(3), np.ones((4, 4)))
    X = X @ np.linalg.inv(np.linalg.cholesky(moments.second)).T @ np.linalg.cholesky(S).T
    mae, ae = LinearMAE(3, patch=4, image_shape=(12,)).fit(X), LinearAE(3).fit(X)
    assert_allclose(np.abs(mae.decoder_.T @ ae.decoder_), np.eye(3), atol=1e-8)
    assert_allclose(np.abs(mae.components_), np.abs(ae.components_) / 4, atol=1e-8)  # shrunk by 1 / (1 + γ)


def border_energy(model):
    """Mean energy of the encoder's columns at the inner borders of patches of 8, over that elsewhere."""
    energy = (model.components_**2).sum(axis=0)
    border = np.zeros(32, bool)
    border[[7, 8, 15, 16, 23, 24]] = True
    return energy[border].mean() / energy[~border].mean()


@pytest.mark.parametrize("source", ["samples", "formula"])
def test_figure_4_features_peak_at_the_borders_of_patches(source):
    if source == "samples":
        moments = Moments.from_data(make_ising(50_000, random_state=0))
    else:
        i = np.arange(32)
        factor = np.linalg.cholesky(np.tanh(1.0) ** np.abs(i[:, None] - i))
        moments = Moments.from_data(np.concatenate([factor.T, -factor.T]) * np.sqrt(32))  # has this very covariance
        assert_allclose(moments.second, np.tanh(1.0) ** np.abs(i[:, None] - i), atol=1e-12)
    mae = LinearMAE(6, mask=0.75, patch=8, image_shape=(32,)).fit_moments(moments)
    ae = LinearAE(6, image_shape=(32,)).fit_moments(moments)
    assert border_energy(mae) >= 3
    assert 0.8 <= border_energy(ae) <= 1.25


# -- scale and loss ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["bernoulli", "exact"])
@pytest.mark.parametrize("mask", [0.25, 0.75, 0.9])
def test_score_is_the_error_of_reconstructing_masked_samples(mask, sampling, rng):
    X = smooth_images(rng)
    model = LinearMAE(10, mask=mask, patch=(2, 3), mask_sampling=sampling).fit(X)
    errors = []
    for seed in range(300):
        visible = model.sample_visible(len(X), seed)
        shown = np.repeat(np.repeat(visible.reshape(-1, 4, 3), 2, axis=1), 3, axis=2)[:, :8, :8]
        hidden = np.where(shown, (X - model.mean_.reshape(8, 8)) / (1 - model.mask_), 0).reshape(len(X), -1)
        rebuilt = hidden @ model.components_.T @ model.decoder_.T + model.mean_
        errors.append(np.mean((X.reshape(len(X), -1) - rebuilt) ** 2))
    assert_allclose(-model.score(X), np.mean(errors), rtol=0.02)
    assert_allclose(model.expected_loss_, -model.score(X), rtol=1e-9)


def test_exact_sampling_records_the_ratio_that_whole_patches_allow(digits):
    model = LinearMAE(3, mask=0.99, patch=4, mask_sampling="exact").fit(digits)
    assert model.mask_ == 0.75  # one of four patches is kept
    assert (model.sample_visible(50, 0).sum(axis=1) == 1).all()
    assert LinearMAE(3, mask=0.99, patch=4).fit(digits).mask_ == 0.99


def test_reconstruct_with_exact_masks_divides_by_the_share_that_is_visible(rng):
    X = smooth_images(rng)
    model = LinearMAE(8, mask=0.5, patch=2, mask_sampling="exact").fit(X)
    visible = model.sample_visible(len(X), 0)
    errors = [np.mean((X - model.reconstruct(X, model.sample_visible(len(X), seed))) ** 2) for seed in range(200)]
    assert_allclose(np.mean(errors), model.expected_loss_, rtol=0.02)
    shown = np.repeat(np.repeat(visible.reshape(-1, 4, 4), 2, axis=1), 2, axis=2)
    assert_allclose(model.reconstruct(X, visible), model.reconstruct(X, shown))
    assert_allclose(model.reconstruct(X, visible), model.reconstruct(X, shown.reshape(len(X), -1)))


def test_one_mask_has_one_reconstruction_however_it_is_written(rng):
    X = smooth_images(rng, shape=(5, 7))  # ragged: patches of 4 × 4, 4 × 3, 1 × 4 and 1 × 3
    model = LinearMAE(8, mask=0.5, patch=4, mask_sampling="exact").fit(X)
    visible = model.sample_visible(len(X), 0)
    rows, columns = np.arange(5) // 4, np.arange(7) // 4
    pixels = visible.reshape(-1, 2, 2)[:, rows[:, None], columns]
    assert_allclose(model.reconstruct(X, visible), model.reconstruct(X, pixels))
    assert_allclose(model.reconstruct(X, visible), model.reconstruct(X, pixels.reshape(len(X), -1)))
    errors = [np.mean((X - model.reconstruct(X, model.sample_visible(len(X), seed))) ** 2) for seed in range(200)]
    assert_allclose(np.mean(errors), model.expected_loss_, rtol=0.02)


@pytest.mark.parametrize(("shape", "patch"), [((16, 16), 4), ((8, 16), (2, 4))])
def test_drawn_masks_are_read_as_drawn(shape, patch, rng):
    """Even where (n_samples, n_patches) happens to be the shape of an image."""
    X = rng.normal(size=(40, *shape))
    model = LinearMAE(3, patch=patch).fit(X)
    n = shape[0]
    visible = model.sample_visible(n, 0)
    assert visible.shape == shape
    for sample in range(n):
        alone = model.reconstruct(X[[sample]], visible[[sample]])
        assert_allclose(model.reconstruct(X[:n], visible)[[sample]], alone, atol=1e-10)


def test_reconstruct_of_nothing_is_the_mean_and_of_everything_is_encode_and_decode(rng):
    X = smooth_images(rng, n=20)
    model = LinearMAE(8, patch=2).fit(X)
    nothing = model.reconstruct(X, np.zeros(16, bool))
    assert_allclose(nothing, np.broadcast_to(model.mean_.reshape(8, 8), X.shape))
    everything = model.inverse_transform(model.transform(X)).reshape(X.shape)
    assert_allclose(model.reconstruct(X), everything)
    assert_allclose(model.reconstruct(X, np.ones(16, bool)), everything)
    assert_allclose(model.reconstruct(X.reshape(20, -1)), everything.reshape(20, -1))


def test_whitened_features_of_masked_samples_have_unit_second_moment(rng):
    X = smooth_images(rng)
    model = LinearMAE(5, mask=0.5, patch=2, whiten=True).fit(X)
    plain = LinearMAE(5, mask=0.5, patch=2).fit(X)
    V = plain._problem.corruption.second(Moments.from_data(X).second)
    assert_allclose(model.components_ @ V @ model.components_.T, np.eye(5), atol=1e-9)
    assert_allclose(model.reconstruct(X), plain.reconstruct(X), atol=1e-9)
    assert_allclose(model.score(X), plain.score(X), rtol=1e-10)


def check_scale(train, test, k, patch):
    spread, quality, previous = test.std(), {}, np.inf
    for mask in (0, 0.25, 0.5, 0.75, 0.9):
        model = LinearMAE(k, mask=mask, patch=patch).fit(train)
        rebuilt = model.reconstruct(test)
        r2 = 1 - np.mean((test - rebuilt) ** 2) / np.mean((test - model.mean_.reshape(test.shape[1:])) ** 2)
        assert r2 > 0
        quality[mask] = r2
        assert rebuilt.std() <= 1.05 * spread
        first = model.transform(train)[:, 0].std()
        assert first <= previous * (1 + 1e-6)
        previous = first
    return quality


def test_whole_photographs_are_not_amplified(photos):
    check_scale(*photos, k=64, patch=4)


@pytest.mark.slow
def test_whole_cifar_images_are_not_amplified(cifar10_small):
    quality = check_scale(*cifar10_small, k=64, patch=4)
    assert_allclose([quality[mask] for mask in (0, 0.75, 0.9)], [0.86, 0.74, 0.61], atol=0.01)


# -- input and output --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30,), (6, 5), (4, 5, 3), (3, 4, 2), (3, 4, 2, 2)])
def test_flat_and_image_shaped_input_agree(shape, rng):
    X = rng.normal(size=(80, *shape)) + rng.normal(size=(80, *[1] * len(shape)))
    images = LinearMAE(4, patch=2, image_shape=shape).fit(X)
    flat = LinearMAE(4, patch=2, image_shape=shape).fit(X.reshape(80, -1))
    inferred = LinearMAE(4, patch=2).fit(X) if len(shape) > 1 else flat
    for model in (flat, inferred):
        assert_array_equal(model.components_, images.components_)
        assert model.image_shape_ == shape
        assert model.channel_axis_ == images.channel_axis_
    assert_array_equal(images.transform(X), images.transform(X.reshape(80, -1)))
    assert images.score(X) == images.score(X.reshape(80, -1))
    assert images.reconstruct(X).shape == X.shape


def test_channels_may_be_anywhere(rng):
    X = smooth_images(rng, shape=(6, 6, 3))
    last = LinearMAE(4, patch=2).fit(X)
    first = LinearMAE(4, patch=2, channel_axis=0).fit(np.moveaxis(X, -1, 1))
    assert (last.channel_axis_, first.channel_axis_) == (2, 0)
    assert_allclose(first.eigenvalues_, last.eigenvalues_)
    moved = np.moveaxis(first.components_.reshape(4, 3, 6, 6), 1, -1).reshape(4, -1)
    assert_allclose(moved, last.components_, atol=1e-10)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "float64"])
def test_types_and_layouts_agree(dtype, photos, tmp_path):
    pixels = photos[0][:600, ::2, ::2]
    X = pixels.astype(dtype)
    reference = LinearMAE(8, patch=2).fit(pixels.astype(np.float64))
    path = tmp_path / "X.npy"
    np.save(path, X)
    atol = {"float64": 1e-9, "float16": 0.05, "float32": 0.05}.get(dtype, 1e-3)  # of 255 grey levels
    plain = LinearMAE(8, patch=2).fit(X)
    features, rebuilt = plain.transform(X), plain.reconstruct(X)
    assert features.dtype == rebuilt.dtype == np.result_type(dtype, np.float32)
    assert_allclose(rebuilt, reference.reconstruct(pixels.astype(float)), atol=atol)
    assert_allclose(features, reference.transform(pixels.astype(float)), atol=10 * atol)
    assert_allclose(plain.score(X), reference.score(pixels.astype(float)), rtol=1e-4)
    for variant in (np.asfortranarray(X), np.repeat(X, 2, axis=0)[::2], np.load(path, mmap_mode="r")):
        model = LinearMAE(8, patch=2).fit(variant)
        assert_array_equal(model.components_, plain.components_)
        assert_array_equal(model.transform(variant), features)
        assert_array_equal(model.reconstruct(variant), rebuilt)


def test_float32_is_within_a_thousandth_of_float64(photos):
    train, test = (images.astype(np.float64) / 255 for images in photos)
    for mask in (0, 0.5, 0.9):
        wide = LinearMAE(64, mask=mask).fit(train)
        narrow = LinearMAE(64, mask=mask).fit(train.astype(np.float32))
        assert narrow.transform(test.astype(np.float32)).dtype == np.float32
        error = narrow.reconstruct(test.astype(np.float32)) - wide.reconstruct(test)
        assert np.abs(error).max() < 1e-3


def test_float32_falls_back_to_float64_sums_where_its_own_would_not_do(rng, monkeypatch):
    sums, original = [], Moments._of

    def watched(samples, weights, dtype):
        sums.append(dtype)
        return original(samples, weights, dtype)

    monkeypatch.setattr(Moments, "_of", watched)
    X = rng.normal(size=(300, 16)).astype(np.float32)
    LinearAE(3).fit(X)
    assert sums == [np.float32]
    X[:, 5] = X[:, 6]  # singular
    LinearAE(3).fit(X)
    assert sums == [np.float32, np.float32, np.float64]


@pytest.mark.parametrize("seed", range(8))
def test_rounding_errors_of_float32_do_not_pass_for_signal(seed):
    X = np.random.default_rng(seed).normal(size=(300, 16)).astype(np.float32)
    X[:, 5] = X[:, 6] + X[:, 7]
    expected = LinearAE().fit(X.astype(np.float64)).n_components_
    assert LinearAE().fit(X).n_components_ == expected


def test_integers_are_not_mistaken_for_their_bits(rng):
    """8-bit data goes through its own sums: it must not wrap around."""
    X = rng.integers(0, 256, (2000, 25), dtype=np.uint8)
    assert_allclose(LinearAE(5).fit(X).eigenvalues_, LinearAE(5).fit(X.astype(float)).eigenvalues_, rtol=1e-12)


def test_signs_do_not_depend_on_the_order_of_samples(digits, rng):
    a, b = LinearMAE(10, patch=2).fit(digits), LinearMAE(10, patch=2).fit(digits[rng.permutation(len(digits))])
    assert_allclose(a.components_, b.components_, atol=1e-9)
    largest = np.abs(a.decoder_).argmax(axis=0)
    assert (a.decoder_[largest, np.arange(10)] > 0).all()


# -- streams -----------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from(["uint8", "float32", "float64"]))
def test_partial_fit_in_any_batches_is_fit(seed, dtype):
    rng = np.random.default_rng(seed)
    X = (smooth_images(rng, n=60, shape=(4, 4)) * 20 + 100).astype(dtype)
    cuts = np.sort(rng.choice(np.arange(1, 60), rng.integers(0, 8), replace=False))
    whole = LinearMAE(5, patch=2).fit(X.astype(np.float64))
    parts = LinearMAE(5, patch=2)
    for batch in np.split(X[rng.permutation(60)], cuts):
        parts.partial_fit(batch)
    assert parts.n_samples_seen_ == 60
    for name in ("components_", "decoder_", "eigenvalues_", "mean_"):
        expected = getattr(whole, name)
        assert_allclose(getattr(parts, name), expected, atol=1e-8 * np.abs(expected).max())
    assert_allclose(parts.eigenvalues_, whole.eigenvalues_, rtol=1e-10)


def test_partial_fit_solves_once_and_only_when_asked(rng, monkeypatch):
    solved, original = [], _losses.solve_together

    def slow(*args):
        solved.append(1)
        time.sleep(0.2)  # long enough for every thread to ask
        return original(*args)

    monkeypatch.setattr(_losses, "solve_together", slow)
    X = smooth_images(rng)
    model = LinearMAE(5, patch=2)
    for batch in np.split(X, 5):
        model.partial_fit(batch)
    assert not solved
    with ThreadPoolExecutor(8) as pool:
        features = list(pool.map(model.transform, [X] * 16))
    assert len(solved) == 1
    for other in features:
        assert_array_equal(other, features[0])
    model.partial_fit(X)
    model.components_  # noqa: B018
    assert len(solved) == 2


def test_a_batch_that_comes_while_solving_is_not_forgotten(rng, monkeypatch):
    X = smooth_images(rng)
    solving, original = threading.Event(), _losses.solve_together
    model = LinearMAE(5, patch=2).partial_fit(X[:200])
    with ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(_losses, "solve_together", lambda *a: solving.set() or time.sleep(0.2) or original(*a))
        reader = pool.submit(model.transform, X)
        assert solving.wait(10)
        monkeypatch.setattr(_losses, "solve_together", original)
        pool.submit(model.partial_fit, X[200:]).result()
        reader.result()
    assert_allclose(model.eigenvalues_, LinearMAE(5, patch=2).fit(X).eigenvalues_, rtol=1e-10)


@pytest.mark.parametrize(("make", "matrices"), [(LinearAE, 1), (LinearMAE, 2)])
def test_a_file_holds_no_matrix_twice(make, matrices, rng):
    X = rng.normal(size=(200, 256))
    model = make(32).fit(X)
    written = pickle.dumps(model)
    assert len(written) < matrices * model.components_.nbytes + 20_000
    again = pickle.loads(written)
    for method in ("transform", "reconstruct"):
        assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))
    assert_array_equal(again.inverse_transform(again.transform(X)), model.inverse_transform(model.transform(X)))


def test_a_pending_solution_survives_pickle_copy_and_clone(rng):
    X = smooth_images(rng)
    model = LinearMAE(5, patch=2).partial_fit(X[:100])
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        twin.partial_fit(X[100:])
        assert_allclose(twin.eigenvalues_, LinearMAE(5, patch=2).fit(X).eigenvalues_, rtol=1e-10)
    assert model.n_samples_seen_ == 100
    assert not hasattr(clone(model), "components_")


def test_a_copy_goes_on_by_itself(rng):
    X = smooth_images(rng)
    model = LinearMAE(5, patch=2).partial_fit(X[:100])
    twin = copy.copy(model)
    twin.partial_fit(X[100:])
    assert (model.n_samples_seen_, twin.n_samples_seen_) == (100, len(X))
    for one, rows in ((model, X[:100]), (twin, X)):
        assert_allclose(one.eigenvalues_, LinearMAE(5, patch=2).fit(rows).eigenvalues_, rtol=1e-10)


def test_a_rank_that_no_batch_can_reach_is_refused_at_the_first(rng):
    X = smooth_images(rng)
    with pytest.raises(ValueError, match=r"n_components=1000 is larger than n_features=\d+\. Pass at most"):
        LinearMAE(1000, patch=2).partial_fit(X)


def test_parameters_count_as_they_stood_when_the_data_came(rng):
    X = smooth_images(rng)
    model = LinearMAE(5, mask=0.5, patch=2).partial_fit(X)
    model.set_params(mask=0.9)
    assert_allclose(model.eigenvalues_, LinearMAE(5, mask=0.5, patch=2).fit(X).eigenvalues_, rtol=1e-10)


def test_fit_moments_is_fit_and_partial_fit_goes_on_from_it(rng):
    X = smooth_images(rng)
    moments = Moments.from_data(X[:100])
    model = LinearMAE(5, patch=2).fit_moments(moments).partial_fit(X[100:])
    assert moments.n == 100  # the caller's are left alone
    assert_allclose(model.eigenvalues_, LinearMAE(5, patch=2).fit(X).eigenvalues_, rtol=1e-10)
    assert model.n_features_in_ == 64
    with pytest.raises(TypeError, match=r"moments must be a skmae.Moments, got ndarray. Make one with"):
        LinearMAE().fit_moments(X)


def test_moments_remember_the_shape_of_images(rng):
    X = smooth_images(rng, shape=(4, 16))
    assert Moments.from_data(X).sample_shape == (4, 16)
    model = LinearMAE(5, patch=2).fit_moments(sum([Moments.from_data(X[:99]), Moments.from_data(X[99:])]))
    assert model.image_shape_ == (4, 16)
    assert_allclose(model.components_, LinearMAE(5, patch=2).fit(X).components_, atol=1e-9)
    with pytest.raises(ValueError, match=r"came in samples of shape \(8, 8\), but these moments in \(4, 16\)"):
        Moments.from_data(X) + Moments.from_data(X.reshape(-1, 8, 8))
    with pytest.raises(ValueError, match="n_samples=0 is too few"):
        LinearMAE().fit_moments(Moments(4))


def test_too_few_samples_so_far_read_as_not_fitted(rng):
    X = smooth_images(rng)
    model = LinearMAE(5, patch=2).partial_fit(X[:3])
    assert not hasattr(model, "components_")
    assert model._repr_html_()
    with pytest.raises(ValueError, match=r"n_components=5 is larger than min\(n_samples=3"):
        model.transform(X)
    assert model.partial_fit(X[3:]).components_.shape == (5, 64)


def test_partial_fit_does_not_go_on_from_fit(rng):
    X = smooth_images(rng)
    model = LinearMAE(5, patch=2).fit(X)
    assert not hasattr(model, "moments_")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(ValueError, match=r"partial_fit cannot go on from fit, which keeps no moments. Start with"):
        model.partial_fit(X)
    model.fit_moments(Moments.from_data(X)).partial_fit(X)
    assert model.n_samples_seen_ == 2 * len(X)
    model.fit(X)
    assert model.n_samples_seen_ == len(X)


# -- nothing is lost ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_refused_fit_leaves_the_estimator_as_it_was(method, rng):
    X = smooth_images(rng)
    model = LinearMAE(5, patch=2)
    getattr(model, method)(X)
    before = model.transform(X)
    bad = X.copy()
    bad[-1, 0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        getattr(model, method)(bad)
    model.set_params(image_shape=(7, 9))
    with pytest.raises(ValueError, match="features"):
        getattr(model, method)(X[:, :7, :7].reshape(len(X), -1))
    assert_array_equal(model.transform(X), before)
    assert model.n_features_in_ == 64
    assert model.image_shape_ == (8, 8)
