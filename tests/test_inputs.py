"""What is not quite an array of samples: read as it is meant, or refused with what to type instead."""

import re

import dask.array as da
import joblib
import numpy as np
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch.utils.data import DataLoader, TensorDataset

from skmae import LinearMAE, LinearMAESearchCV, Moments

IMAGES = np.random.default_rng(0).random((64, 8, 8))
COLOURS = np.random.default_rng(1).random((20, 6, 6, 3))


# -- batches are no samples ---------------------------------------------------------------------------------------


def loader(*tensors):
    return DataLoader(TensorDataset(*map(torch.from_numpy, tensors)), batch_size=16)


BATCHES = [
    [IMAGES, IMAGES],
    (IMAGES, IMAGES),
    [IMAGES.reshape(128, -1)] * 2,
    [torch.from_numpy(IMAGES)],
    [IMAGES[:40], IMAGES[40:]],
    [COLOURS, COLOURS],
    (IMAGES, np.arange(64)),
    [torch.from_numpy(IMAGES), torch.arange(64)],
]


@pytest.mark.parametrize("batches", BATCHES)
def test_a_list_of_batches_is_no_list_of_samples(batches):
    for read in (LinearMAE(patch=2).fit, LinearMAE(patch=2).partial_fit, Moments.from_data):
        with pytest.raises(ValueError, match=r"numpy\.concatenate\(X\)|pass X\[0\]"):
            read(batches)


@pytest.mark.parametrize("labelled", [False, True])
def test_batches_of_a_loader(labelled):
    batches = loader(IMAGES, np.arange(64)) if labelled else loader(IMAGES)
    with pytest.raises(ValueError, match=r"Batch 0: .*(x for x, \*_ in loader|pass X\[0\])"):
        Moments.from_batches(batches)
    moments = Moments.from_batches(x for x, *_ in batches)
    assert moments.n == 64
    assert moments.sample_shape == (8, 8)
    assert_allclose(moments.second, Moments.from_data(IMAGES).second, atol=1e-12)


@pytest.mark.parametrize("images", [list(IMAGES), tuple(IMAGES), list(COLOURS), list(torch.from_numpy(IMAGES))])
def test_a_list_of_images_is_samples(images):
    stacked = np.stack([np.asarray(image) for image in images])
    assert_array_equal(LinearMAE(3, patch=2).fit(images).components_, LinearMAE(3, patch=2).fit(stacked).components_)
    model = LinearMAE(3, patch=2).fit(stacked)
    assert_array_equal(model.transform([images[0]]), model.transform(stacked[:1]))  # its shape is known
    assert_array_equal(model.transform(list(images[:2])), model.transform(stacked[:2]))


def test_splits_as_tuples():
    X, y = load_digits(return_X_y=True)
    X, y = X[:120], y[:120].astype(float)
    splits = [(tuple(range(80)), tuple(range(80, 120))), (list(range(40, 120)), list(range(40)))]
    pipe, grid = make_pipeline(LinearMAE(5), Ridge()), {"linearmae__mask": [0.2, 0.8]}
    ours, theirs = (search(pipe, grid, cv=splits).fit(X, y) for search in (LinearMAESearchCV, GridSearchCV))
    assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


# -- one sample, another shape ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "linearize"])
def test_one_sample_in_place_of_an_array_of_one(method):
    model = LinearMAE(3, patch=2).fit(COLOURS)
    with pytest.raises(ValueError, match=r"samples of shape \(6, 6, 3\), or flat rows. X is one such sample: pass X\["):
        getattr(model, method)(COLOURS[0])
    with pytest.raises(ValueError, match=r"one sample is X\[None\]"):
        getattr(model, method)(COLOURS[0].ravel())
    for other in (COLOURS[:, :4], COLOURS[..., :1], COLOURS[..., 0]):
        with pytest.raises(
            ValueError, match=re.escape(f"samples of X have shape {other.shape[1:]}, but LinearMAE was")
        ):
            getattr(model, method)(other)
    with pytest.raises(ValueError, match=r"has 64 features, but LinearMAE is expecting 108 .* shape \(6, 6, 3\)"):
        getattr(model, method)(np.zeros((5, 64)))


# -- what samples can be had from ---------------------------------------------------------------------------------


class Pairs:
    """A Dataset."""

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, i):
        return IMAGES[i], i


def archive(folder):
    np.savez(folder / "images.npz", images=IMAGES)
    return np.load(folder / "images.npz")


NO_ARRAYS = [
    (lambda _: "images.npy", r"a path, not samples. .*numpy.load\(path\)"),
    (lambda folder: folder / "images.npy", r"a path, not samples"),
    (lambda folder: [folder / "a.npy", folder / "b.npy"], r"Moments.from_files\(paths\)"),
    (archive, r"an .npz archive of arrays \['images'\]. Pass one of them: X\['images'\]"),
    (lambda _: {"images": IMAGES}, r"a mapping with keys \['images'\]"),
    (lambda _: loader(IMAGES), r"a loader of batches. Read them with Moments.from_batches\(x for x, \*_ in loader\)"),
    (lambda _: (x for x in IMAGES), r"an iterator, not an array. Of batches: Moments.from_batches\(batches\)"),
    (lambda _: iter(IMAGES), r"of samples: numpy.stack\(list\(samples\)\)"),
    (lambda _: Moments.from_data(IMAGES), "moments, not samples. Pass them to fit_moments"),
    (lambda _: Pairs(), r"Of a Dataset of \(image, label\) pairs: numpy.stack\("),
]


@pytest.mark.parametrize(("make", "message"), NO_ARRAYS)
def test_what_samples_can_be_had_from(make, message, tmp_path):
    X = make(tmp_path)
    model = LinearMAE(3, patch=2).fit(IMAGES)
    for read in (LinearMAE(patch=2).fit, LinearMAE(patch=2).partial_fit, model.transform, Moments.from_data):
        with pytest.raises(TypeError, match=message):
            read(X)


NO_NUMBERS = [
    (
        [np.zeros((8, 8)), np.zeros((6, 6))],
        r"different shapes, \(8, 8\) and \(6, 6\) among them. .* resize them to one",
    ),
    (IMAGES.astype("datetime64[s]"), r"X is of type datetime64\[s\]; samples are real numbers. Convert it"),
    (IMAGES.astype("timedelta64[s]"), r"X is of type timedelta64\[s\]"),
    (IMAGES + 1j, r"X is of type complex128. Complex data not supported: pass X.real"),
    (np.zeros(5, "f8,f8"), r"X is of type \[\('f0'"),
    (np.array([[1, [2]], [3, 4]], object), r"X cannot be read: .* Pass an array of \(n_samples, n_features\)"),
]


@pytest.mark.parametrize(("X", "message"), NO_NUMBERS)
def test_what_is_no_number_is_named(X, message):
    for read in (LinearMAE(patch=2).fit, LinearMAE(patch=2).partial_fit, Moments.from_data):
        with pytest.raises(ValueError, match=message):
            read(X)


@pytest.mark.parametrize("weights", ["a", [[1, [2]]], 3.0, object(), np.full(64, "a"), np.zeros(64, "datetime64[s]")])
def test_weights_that_are_no_numbers_are_named(weights):
    for read in (LinearMAE(patch=2).fit, LinearMAE(patch=2).fit(IMAGES).score, Moments.from_data):
        with pytest.raises((ValueError, TypeError), match="sample_weight"):
            read(IMAGES, sample_weight=weights)


# -- the right answer ---------------------------------------------------------------------------------------------


def test_dask_arrays_stay_lazy_whatever_the_output_is_set_to():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    lazy = da.from_array(IMAGES, chunks=(20, 8, 8))
    model = LinearMAE(3, patch=2).set_output(transform="pandas").fit(IMAGES)
    expected = model.transform(IMAGES)
    assert isinstance(expected, pd.DataFrame)
    assert isinstance(model.fit_transform(IMAGES), pd.DataFrame)
    with sklearn.config_context(transform_output="pandas"):
        for features in (
            model.transform(lazy),
            model.fit_transform(lazy),
            LinearMAE(3, patch=2).fit(lazy).transform(lazy),
        ):
            assert isinstance(features, da.Array)
            assert_allclose(abs(features.compute()), abs(expected), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_mean_is_subtracted_before_the_product(dtype, rng):
    """In float32 the product of a large offset would leave three digits."""
    X = (60_000 + rng.integers(0, 9, (500, 64))).astype(dtype)
    model = LinearMAE(5, patch=2).fit(X)
    exact = (X.astype(np.float64) - model.mean_) @ model.components_.T
    assert model.transform(X).dtype == np.float32
    assert_allclose(model.transform(X), exact, atol=2e-5)
    assert_allclose(model.reconstruct(X) - 60_000.0, exact @ model.decoder_.T + (model.mean_ - 60_000), atol=5e-3)


def test_a_model_mapped_into_memory_goes_on(tmp_path):
    model = LinearMAE(3, patch=2).partial_fit(IMAGES[:30])
    joblib.dump(model, tmp_path / "model.joblib")
    joblib.dump(model.moments_, tmp_path / "moments.joblib")
    back = joblib.load(tmp_path / "model.joblib", mmap_mode="r").partial_fit(IMAGES[30:])
    moments = joblib.load(tmp_path / "moments.joblib", mmap_mode="r").update(IMAGES[30:])
    assert_allclose(back.components_, model.partial_fit(IMAGES[30:]).components_, atol=1e-12)
    assert_allclose(moments.second, Moments.from_data(IMAGES).second, atol=1e-12)
    assert joblib.load(tmp_path / "moments.joblib").n == 30


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e200, 1e300])
def test_scales_whose_squares_leave_float64_are_refused_by_name(scale):
    reading = [LinearMAE(3, patch=2).fit, LinearMAE(3, patch=2).partial_fit, Moments.from_data]
    for read in reading + [LinearMAE(3, patch=2).fit(IMAGES).score] * (scale > 1):
        with pytest.raises(ValueError, match=r"largest absolute value of X is .* Divide X by a constant first"):
            read(scale * IMAGES)


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e100])
def test_scales_that_have_squares_scale_the_result(scale):
    model = LinearMAE(3, patch=2).fit(IMAGES)
    scaled = LinearMAE(3, patch=2).fit(scale * IMAGES)
    assert_allclose(scaled.components_, model.components_, atol=1e-8)
    assert_allclose(scaled.transform(scale * IMAGES), scale * model.transform(IMAGES), rtol=1e-6)
    assert_allclose(scaled.score(scale * IMAGES), scale**2 * model.score(IMAGES), rtol=1e-8)


def test_features_that_the_type_of_the_samples_cannot_hold():
    with pytest.raises(ValueError, match=r"features of X are beyond the range of float32. .* or pass float64"):
        LinearMAE(3, patch=2).fit(1e60 * IMAGES).transform(IMAGES.astype(np.float32))


def test_subtraction_that_leaves_too_little_is_refused(rng):
    X, w = rng.standard_normal((30, 4)), np.ones(30)
    for least in (1e-20, 1e-14, 1e-10):
        w[0] = least
        whole, part = Moments.from_data(X, sample_weight=w), Moments.from_data(X[1:], sample_weight=w[1:])
        with pytest.raises(
            ValueError, match=r"What is left has a (weight of .* too little|negative variance or weight)"
        ):
            whole - part
    w[0] = 1e-3
    rest = Moments.from_data(X, sample_weight=w) - Moments.from_data(X[2:], sample_weight=w[2:])
    assert_allclose(rest.mean, Moments.from_data(X[:2], sample_weight=w[:2]).mean, atol=1e-10)


@pytest.mark.parametrize("n", [0, -1, 2.0, None, True, "a", [4]])
def test_moments_of_no_width(n):
    with pytest.raises(ValueError, match="n_features must be a whole number from 1 to 2147483647"):
        Moments(n)


@pytest.mark.parametrize("n", [None, -1, 2.0, True, "a", 2**63])
@pytest.mark.parametrize("mask", [0, 0.5])
def test_masks_of_no_number_of_samples(n, mask):
    with pytest.raises(ValueError, match=r"n_samples=.* must be a whole number, 0 to"):
        LinearMAE(3, patch=2, mask=mask).fit(IMAGES).sample_visible(n)
