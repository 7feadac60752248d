"""Whatever comes in, the same samples come out: rows, shape, names, and the same fit."""

import dask.array as da
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
import xarray
from numpy.testing import assert_allclose, assert_array_equal

from skmae import LinearMAE, Moments
from skmae._reading import read_samples
from skmae._samples import Samples

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 6), dtype=np.uint8)
ROWS = IMAGES.reshape(60, 24)
NAMES = [f"pixel {i}" for i in range(24)]


def in_file(images):
    file = h5py.File.in_memory()
    return file.create_dataset("images", data=images)


def on_disk(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


class ArrayLike:
    """What is known of an array by its ``__array__`` alone."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


KINDS = {
    "array": lambda a: a,
    "float64": lambda a: a.astype(np.float64),
    "float16": lambda a: a.astype(np.float16),
    "int64": lambda a: a.astype(np.int64),
    "big-endian": lambda a: a.astype(">f4"),
    "Fortran order": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "list of arrays": list,
    "nested lists": lambda a: a.tolist(),
    "array-like": ArrayLike,
    "objects": lambda a: a.astype(object),
    "tensor": torch.from_numpy,
    "tensor with gradient": lambda a: torch.from_numpy(a.astype(np.float32)).requires_grad_(),
    "xarray": lambda a: xarray.DataArray(a),
    "HDF5": in_file,
    "Dask": lambda a: da.from_array(a, chunks=(17, *a.shape[1:])),
}
FRAMES = {
    "pandas": lambda a: pd.DataFrame(a, columns=NAMES),
    "pandas, nullable": lambda a: pd.DataFrame(a, columns=NAMES).astype("Int64"),
    "polars": lambda a: pl.DataFrame(a, schema=NAMES),
    "pyarrow": lambda a: pa.table(dict(zip(NAMES, a.T, strict=True))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flat", [True, False])
def test_all_kinds_are_read_as_the_array_is(kind, flat):
    X = ROWS if flat else IMAGES
    samples = read_samples(KINDS[kind](X), "A test")
    assert len(samples) == 60
    assert samples.n_features == 24
    assert samples.sample_shape == (None if flat else (4, 6))
    assert samples.original_shape == X.shape
    assert samples.names is None
    assert_array_equal(samples.rows(), ROWS)
    blocks = list(samples.blocks(7))
    assert_array_equal(np.concatenate([block for _, block in blocks]), ROWS)
    assert [rows.start for rows, _ in blocks] == np.cumsum([0] + [len(block) for _, block in blocks])[:-1].tolist()
    centred = np.concatenate([block.copy() for _, block in samples.centred_blocks(np.full(24, 7.0), np.float64, 7)])
    assert_allclose(centred, ROWS - 7.0)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_read_with_their_names(kind):
    samples = read_samples(FRAMES[kind](ROWS), "A test")
    assert samples.names == tuple(NAMES)
    assert_array_equal(samples.rows(), ROWS)


@pytest.mark.parametrize("kind", [*KINDS, *FRAMES])
def test_a_model_of_any_kind_is_the_model_of_the_array(kind):
    expected = LinearMAE(3, patch=2, image_shape=(4, 6)).fit(ROWS.astype(np.float64))
    X = {**KINDS, **FRAMES}[kind](ROWS)
    model = LinearMAE(3, patch=2, image_shape=(4, 6)).fit(X)
    tolerance = 1e-4 if kind in ("big-endian", "float16", "tensor with gradient") else 1e-9
    scale = np.abs(expected.components_).max()
    assert_allclose(model.components_, expected.components_, atol=tolerance * scale)
    assert model.score(X) == pytest.approx(expected.score(ROWS), rel=1e-6)
    features = np.asarray(model.transform(X))
    assert_allclose(features, expected.transform(ROWS), atol=1e-4 * np.abs(features).max())
    assert_allclose(Moments.from_data(X).second, np.cov(ROWS.T.astype(float), bias=True), rtol=1e-6, atol=1e-3)


def test_hdf5_is_read_in_blocks_and_never_whole():
    class Watched(Samples):
        most = 0

        def read(self, rows):
            block = super().read(rows)
            type(self).most = max(self.most, len(block))
            return block

    images = np.random.default_rng(0).random((3000, 4, 6), dtype=np.float32)
    samples = Watched(in_file(images), (4, 6))
    model = LinearMAE(3, patch=2, solver="cholesky").fit(samples)
    model.score(samples)
    model.transform(samples)
    assert 0 < Watched.most <= 1024
    assert_allclose(model.components_, LinearMAE(3, patch=2).fit(images).components_, atol=1e-4)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("when", pd.date_range("2026-01-01", periods=4)),
        ("took", pd.to_timedelta([1, 2, 3, 4], unit="s")),
        ("kind", pd.Categorical(["a", "b", "a", "b"])),
        ("text", ["a", "b", "c", "d"]),
    ],
)
def test_columns_that_are_not_numbers_are_refused_by_name(frame, column, values):
    values = pl.Series(column, list(values)) if frame is pl.DataFrame else values
    X = frame({"size": [1.0, 2.0, 3.0, 4.0], column: values})
    for use in (LinearMAE().fit, LinearMAE().partial_fit, Moments.from_data):
        with pytest.raises(ValueError, match=rf"columns that are not numbers: \['{column}'\]"):
            use(X)


def test_numbers_and_flags_of_frames_are_kept():
    table = {"flag": [True, False, True], "small": [1, 2, 3], "real": [0.5, 1.5, 2.5]}
    for frame in (pd.DataFrame(table), pl.DataFrame(table), pa.table(table)):
        samples = read_samples(frame, "A test")
        assert_allclose(samples.rows().astype(float), [[1, 1, 0.5], [0, 2, 1.5], [1, 3, 2.5]])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (in_file(np.zeros((3, 2), "S1")), "HDF5 dataset of shape .* of real numbers"),
        (in_file(np.zeros(3)), r"HDF5 dataset of shape \(3,\)"),
        (np.zeros((0, 4)), "0 sample"),
        (np.zeros(4), "Expected 2D array"),
        (da.zeros((4, 6), chunks=(2, 3)), r"rechunk\(\{1: -1\}\)"),
    ],
)
def test_what_cannot_be_samples_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        read_samples(X, "A test")


def test_dask_arrays_are_streamed_by_every_method():
    images = IMAGES.astype(np.float64)
    lazy = KINDS["Dask"](images)
    expected = LinearMAE(3, patch=2).fit(images)
    model = LinearMAE(3, patch=2).fit(lazy)
    streamed = LinearMAE(3, patch=2).partial_fit(lazy).partial_fit(images)
    assert streamed.n_samples_seen_ == 120
    assert_allclose(streamed.mean_, expected.mean_)
    assert_allclose(streamed.components_, expected.components_, atol=1e-9)
    assert model.score(lazy) == pytest.approx(expected.score(images))
    visible = model.sample_visible(60, random_state=0)
    assert_allclose(model.reconstruct(lazy, visible), expected.reconstruct(images, visible), atol=1e-9)
    assert model.transform(lazy).chunks == (*lazy.chunks[:1], (3,))
