"""LocalTokens against loops over windows, and what does not change them."""

import pickle
import tracemalloc
from itertools import product
from os import cpu_count

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from threadpoolctl import threadpool_info, threadpool_limits

from skmae import LinearMAE, LocalTokens
from skmae._samples import Samples
from skmae.datasets import load_photo_patches

KINDS = ("kmeans", "random", "pca")


@pytest.fixture(scope="module")
def photos():
    return load_photo_patches().images[:300, :16, :16]


def windows_of(image, size, stride=1):
    """All windows of (*pixels, channels), one after another, as rows of float64."""
    firsts = [range(0, n - s + 1, stride) for n, s in zip(image.shape, size, strict=False)]
    rows = [image[tuple(np.s_[f : f + s] for f, s in zip(first, size, strict=True))] for first in product(*firsts)]
    return np.array(rows, float).reshape(len(rows), -1), tuple(map(len, firsts))


def whitened(images, size, stride=1):
    """What turns windows of images into whitened ones, and their whitening matrix."""
    windows = np.concatenate([windows_of(image, size, stride)[0] for image in images])
    centre, scale = windows.mean(), windows.std()

    def contrast(rows):
        rows = (rows - centre) / scale
        return (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + flat)

    flat = 0.01 * ((windows - windows.mean(1, keepdims=True)) / scale).var(1).mean()
    u = contrast(windows)
    C = np.cov(u.T, bias=True)
    values, vectors = np.linalg.eigh(C + 0.1 * np.trace(C) / len(C) * np.eye(len(C)))
    Z = vectors @ np.diag(values**-0.5) @ vectors.T
    return lambda rows: (contrast(rows) - u.mean(0)) @ Z, Z, windows


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "axis", "size", "pool", "stride"),
    [((9, 8, 3), 2, (3, 2), (2, 3), 1), ((11,), None, (4,), (3,), 2), ((4, 5, 6), None, (2, 3, 2), (2, 1, 2), 1)],
)
def test_tokens_are_averages_over_windows(shape, axis, size, pool, stride, kind):
    X = np.random.RandomState(0).standard_normal((12, *shape)).cumsum(axis=1)
    maker = LocalTokens(5, size, filters=kind, pool=pool, stride=stride, channel_axis=axis, random_state=0).fit(X)
    images = X if axis is not None else X[..., np.newaxis]
    whiten, Z, _ = whitened(images, size, stride)
    k = 4 if kind == "pca" and size == (4,) else 5  # no more directions than values of a window
    directions = np.linalg.solve(Z, maker.filters_.reshape(k, -1).T)  # of unit length, for whitened windows
    assert_allclose(np.linalg.norm(directions, axis=0), 1)
    expected = []
    for image in images:
        rows, places = windows_of(image, size, stride)
        r = (whiten(rows) @ directions).reshape(*places, k)
        both = np.concatenate([np.maximum(r - 0.5, 0), np.maximum(-r - 0.5, 0)], axis=-1)
        cells = [
            [np.arange(n)[np.arange(n) * k // n == i] for i in range(k)] for n, k in zip(places, pool, strict=True)
        ]
        expected.append([both[np.ix_(*cell)].mean(axis=tuple(range(len(pool)))) for cell in product(*cells)])
    tokens = maker.transform(X)
    assert tokens.shape == ((12, *pool, 2 * k) if len(shape) > 1 else (12, 3 * 2 * k))
    assert maker.tokens_shape_ == (*pool, 2 * k)
    assert_allclose(tokens.reshape(12, -1, 2 * k), np.array(expected), atol=1e-10)


def test_random_filters_are_whitened_windows(photos):
    maker = LocalTokens(10, 3, filters="random", random_state=0).fit(photos[:20])
    whiten, Z, windows = whitened(photos[:20], (3, 3))
    some = whiten(windows)
    directions = np.linalg.solve(Z, maker.filters_.reshape(10, -1).T)
    cosines = some @ directions / np.linalg.norm(some, axis=1, keepdims=True)
    assert_allclose(cosines.max(axis=0), 1)
    assert len(np.unique(cosines.argmax(axis=0))) == 10


def test_pca_filters_are_eigenvectors(photos):
    maker = LocalTokens(100, 3, filters="pca").fit(photos[:20])
    _, Z, _ = whitened(photos[:20], (3, 3))
    assert maker.n_filters_ == 27  # as many as a window has values
    F = maker.filters_.reshape(27, -1)
    assert_allclose(F @ F.T, np.diag(np.sort(np.linalg.eigvalsh(Z @ Z))), atol=1e-8)


def test_kmeans_filters_are_centres_of_clusters():
    """Windows of three kinds, and noise: each filter answers to one kind."""
    random = np.random.RandomState(0)
    kinds = np.array([[3, -1, -1, -1], [-1, 3, -1, -1], [-1, -1, 3, -1]])
    X = np.repeat(kinds, 50, axis=0) + 0.01 * random.standard_normal((150, 4))
    maker = LocalTokens(3, 2, pool=1, image_shape=(2, 2), channel_axis=None, random_state=0)
    ahead = maker.fit_transform(X)[:, :3].reshape(3, 50, 3)
    assert_array_equal(np.sort(ahead.mean(axis=1).argmax(axis=1)), [0, 1, 2])


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3), kind=st.sampled_from(KINDS))
@settings(max_examples=20, deadline=None)
def test_units_do_not_matter(photos, scale, shift, kind):
    X = photos[:30].astype(float)
    maker = LocalTokens(8, 4, filters=kind, random_state=0)
    assert_allclose(clone(maker).fit_transform(scale * X + shift), maker.fit_transform(X), atol=1e-6)


def test_shapes_that_hold_the_same(photos):
    X = photos[:40].astype(float)
    maker = LocalTokens(8, 4, random_state=0).fit(X)
    tokens = maker.transform(X)
    first = LocalTokens(8, 4, channel_axis=0, random_state=0).fit_transform(np.moveaxis(X, -1, 1))
    assert_allclose(first, tokens, atol=1e-10)
    flat = LocalTokens(8, 4, image_shape=(16, 16, 3), random_state=0).fit_transform(X.reshape(40, -1))
    assert_array_equal(flat, tokens.reshape(40, -1))
    assert_array_equal(maker.transform(X.reshape(40, -1)), flat)
    grey = X[..., 0]
    volume = LocalTokens(8, (4, 4, 1), pool=(4, 4, 1), random_state=0).fit_transform(grey[..., np.newaxis, np.newaxis])
    assert_allclose(volume[:, :, :, 0], LocalTokens(8, 4, random_state=0).fit_transform(grey), atol=1e-10)


def test_types_and_storage(photos, tmp_path):
    maker = LocalTokens(8, 4, random_state=0).fit(photos)
    tokens = maker.transform(photos)
    assert tokens.dtype == np.float32
    wide = maker.transform(photos.astype(float))
    assert wide.dtype == np.float64
    assert_allclose(tokens, wide, atol=1e-5)
    np.save(tmp_path / "X.npy", photos)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(LocalTokens(8, 4, random_state=0).fit_transform(mapped), tokens)
    assert_array_equal(maker.transform(np.asfortranarray(photos)), tokens)
    assert maker.transform(photos.astype(np.float16)).dtype == np.float32


def test_samples_do_not_depend_on_each_other(photos):
    maker = LocalTokens(random_state=0).fit(photos)
    together = maker.transform(photos)
    alone = np.concatenate([maker.transform(photos[i : i + 1]) for i in range(20)])
    assert_allclose(alone, together[:20], atol=1e-6)


def test_deterministic_whatever_the_threads(photos):
    makers, tokens = [], []
    for n in (1, 2):
        with threadpool_limits(n):
            makers.append(LocalTokens(16, random_state=3).fit(photos))
            tokens.append(makers[-1].transform(photos))
    assert_allclose(makers[0].filters_, makers[1].filters_, rtol=1e-6)
    assert_allclose(tokens[0], tokens[1], atol=1e-6)
    assert not np.allclose(LocalTokens(16, random_state=4).fit(photos).filters_, makers[0].filters_)


def test_memory_is_that_of_the_tokens(photos):
    X = np.tile(photos, (20, 1, 1, 1))
    maker = LocalTokens(8, 4, random_state=0).fit(photos)
    tracemalloc.start()
    tokens = maker.transform(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < tokens.nbytes + 30e6  # blocks in a few threads; windows of all of them are 194 MB


def test_dask_is_lazy_and_solves_by_chunks(photos):
    da = pytest.importorskip("dask.array")
    maker = LocalTokens(8, 4, random_state=0).fit(photos)
    lazy = maker.transform(da.from_array(photos, chunks=(70, 16, 16, 3)))
    assert lazy.chunks[0] == (70, 70, 70, 70, 20)
    tokens = maker.transform(photos)
    assert_array_equal(lazy.compute(), tokens)
    model = LinearMAE(4, mask=0.9, patch=1, channel_axis=-1)
    assert_allclose(clone(model).fit(lazy).eigenvalues_, model.fit(tokens).eigenvalues_, rtol=1e-5)


def test_threads_are_given_back(photos):
    da = pytest.importorskip("dask.array")
    maker = LocalTokens(8, 4, random_state=0).fit(photos)
    with threadpool_limits(2):
        before = threadpool_info()
        maker.transform(da.from_array(photos, chunks=(10, 16, 16, 3))).compute(scheduler="threads", num_workers=4)
        assert threadpool_info() == before


def test_rows_are_read_as_they_are_needed(photos):
    """No more blocks lie in memory than there are threads, and some."""
    within, most = 0, 0

    def slow(rows):
        nonlocal within
        within -= 1
        return rows[:, :1].astype(np.float32)

    class Counted(Samples):
        def blocks(self, size=1):
            nonlocal within, most
            for block in super().blocks(size):
                within += 1
                most = max(most, within)
                yield block

    Counted(photos.reshape(300, -1)).map_rows(slow, (1,), 1)
    assert most <= 2 * max(2, cpu_count())


def test_sizes_are_clipped():
    X = np.random.RandomState(0).random((6, 5, 3))
    maker = LocalTokens(size=9, pool=(1, 8), channel_axis=None).fit(X)
    assert (maker.size_, maker.tokens_shape_) == ((5, 3), (1, 1, 12))  # one window an image, so six filters
    assert LocalTokens(size=2, pool=8, channel_axis=None).fit(X).tokens_shape_[:2] == (4, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_one_colour(kind):
    X = np.full((5, 8, 8), 7.0)
    tokens = LocalTokens(4, 3, filters=kind, random_state=0).fit_transform(X)
    assert np.isfinite(tokens).all()


def test_features_of_a_pipeline(photos):
    y = np.arange(len(photos)) % 2
    deep = make_pipeline(
        LocalTokens(8, 4, random_state=0), LinearMAE(6, mask=0.9, patch=1, channel_axis=-1), LogisticRegression()
    )
    deep.fit(photos, y)
    assert deep[1].image_shape_ == (4, 4, 16)
    for other in (pickle.loads(pickle.dumps(deep)), clone(deep).fit(photos, y)):
        assert_allclose(other.predict_proba(photos), deep.predict_proba(photos), rtol=1e-6)
    assert list(deep[0].get_feature_names_out()[:2]) == ["localtokens0", "localtokens1"]


def test_data_frames(photos, tmp_path):
    import pandas as pd

    frame = pd.DataFrame(photos.reshape(len(photos), -1)).add_prefix("p")
    maker = LocalTokens(8, 4, image_shape=(16, 16, 3), random_state=0).fit(frame).set_output(transform="pandas")
    made = maker.transform(frame)
    assert made.shape == (300, 256)
    assert made.columns[-1] == "localtokens255"
    joblib.dump(maker, tmp_path / "tokens.joblib")
    assert_array_equal(joblib.load(tmp_path / "tokens.joblib").transform(frame), made)
    images = LocalTokens(8, 4, random_state=0).set_output(transform="pandas").fit_transform(photos)
    assert_array_equal(images, made)


def test_estimator_checks():
    check_estimator(LocalTokens(random_state=0))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"size": 0}, r"size=0 is not made of whole numbers|'size' parameter"),
        ({"size": (3, 3, 3)}, r"size=\(3, 3, 3\) has 3 sizes, but the grid \(16, 16\) has 2 axes"),
        ({"pool": (2,)}, r"pool=\(2,\) has 1 sizes"),
        ({"stride": (1, -1)}, r"stride=\(1, -1\) is not made of whole numbers"),
        ({"filters": "gabor"}, r"'filters' parameter"),
        ({"n_filters": 0}, r"'n_filters' parameter"),
        ({"image_shape": (8, 8, 3)}, r"image_shape=\(8, 8, 3\)"),
    ],
)
def test_parameters_that_are_refused(photos, parameters, text):
    with pytest.raises(ValueError, match=text):
        LocalTokens(**parameters).fit(photos)


def test_samples_that_are_refused(photos):
    maker = LocalTokens(4, 4, random_state=0)
    with pytest.raises(NotFittedError):
        maker.tokens_shape_  # noqa: B018
    holes = photos.astype(float)
    holes[3, 2, 1] = np.nan
    for call in (maker.fit, clone(maker).fit(photos).transform):
        with pytest.raises(ValueError, match=r"NaN or infinity: X\[3, 99\].*visible="):
            call(holes)
        with pytest.raises(ValueError, match=r"is masked"):
            call(np.ma.masked_array(photos, np.isnan(holes)))
    with pytest.raises(ValueError, match="beyond the range of float64"):
        maker.fit(photos * 1e200)
    maker.fit(photos)
    with pytest.raises(ValueError, match=r"samples of X have shape \(16, 15, 3\)"):
        maker.transform(photos[:, :, :15])
    with pytest.raises(ValueError, match=r"beyond the range of float32\. Divide X"):
        maker.transform(photos * np.float32(1e30))
    assert maker.transform(photos[:2]).shape == (2, 4, 4, 8)  # as it was
