"""Dask arrays on a cluster of two worker processes, against NumPy on the whole."""

import os
import signal
import threading
import time

import dask.array as da
import distributed
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmae import LinearDAE, LinearMAE


@pytest.fixture(scope="module", autouse=True)
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def digits():
    return load_digits().images


@pytest.mark.parametrize("chunks", [100, (1, 1000, 0, 796), 1797])
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("model", [LinearMAE(5, patch=2), LinearDAE(0.9, noise_std=2)], ids=str)
def test_chunks_give_what_the_array_gives(model, flat, dtype, chunks, digits):
    X = digits.astype(dtype)
    X = X.reshape(len(X), -1) if flat else X
    lazy = da.from_array(X, chunks=(chunks, *X.shape[1:]))
    expected = type(model)(**model.get_params()).fit(X)
    fitted = model.fit(lazy)
    rtol = 1e-9 if dtype != "float32" else 1e-4
    np.testing.assert_allclose(fitted.components_, expected.components_, atol=rtol * np.abs(expected.components_).max())
    assert fitted.n_samples_seen_ == len(X)
    assert fitted.image_shape_ == (8, 8)
    Z = fitted.transform(lazy)
    assert isinstance(Z, da.Array)  # nothing computed yet
    assert Z.shape == (len(X), fitted.n_components_)
    computed = Z.compute()
    assert computed.dtype == Z.dtype
    rtol = 1e-9 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(computed, expected.transform(X), atol=rtol * np.abs(computed).max())


@pytest.mark.parametrize("lazy_weights", [True, False])
def test_weights(lazy_weights, digits):
    X, weights = digits.reshape(len(digits), -1), np.random.default_rng(0).random(len(digits))
    weights[:300] = 0  # a whole chunk and more
    lazy = da.from_array(X, chunks=(200, 64))
    given = da.from_array(weights, chunks=777) if lazy_weights else weights
    fitted = LinearMAE(5, patch=2).fit(lazy, sample_weight=given)
    expected = LinearMAE(5, patch=2).fit(X, sample_weight=weights)
    np.testing.assert_allclose(fitted.components_, expected.components_, atol=1e-9)
    assert fitted.n_samples_seen_ == pytest.approx(weights.sum())
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is -1.0"):
        LinearMAE(5, patch=2).fit(lazy, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match="zero for all 1797 samples"):
        LinearMAE(5, patch=2).fit(lazy, sample_weight=np.zeros(len(X)))


def slowly(chunk):
    time.sleep(0.1)
    return chunk


def test_a_worker_killed_in_the_middle_loses_nothing(digits, client):
    X = da.from_array(digits, chunks=(45, 8, 8)).map_blocks(slowly)  # 40 chunks, two seconds
    expected = LinearMAE(5, patch=2).fit(digits)
    victim, pid = next(iter(client.run(os.getpid).items()))
    result = {}
    fitting = threading.Thread(target=lambda: result.update(model=LinearMAE(5, patch=2).fit(X)))
    fitting.start()
    while len(client.has_what().get(victim, ())) < 3:  # it holds moments that will be lost
        assert fitting.is_alive()
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    fitting.join(timeout=60)
    np.testing.assert_allclose(result["model"].components_, expected.components_, atol=1e-9)
    assert result["model"].n_samples_seen_ == len(digits)


def test_a_fit_that_fails_leaves_the_model_as_it_was(digits):
    fitted = LinearMAE(5, patch=2).fit(digits)
    before = fitted.components_
    gap = digits.copy()
    gap[1000, 2, 3] = np.inf
    with pytest.raises(ValueError, match=r"Chunk 2: .*X\[200, 19\] is inf"):
        fitted.fit(da.from_array(gap, chunks=(400, 8, 8)))
    assert fitted.components_ is before
    with pytest.raises(ValueError, match="contains infinity"):
        fitted.transform(da.from_array(gap, chunks=(400, 8, 8))).compute()


def test_bad_arrays(digits):
    X = da.from_array(digits, chunks=(400, 8, 4))
    with pytest.raises(ValueError, match=r"chunks along its features .* Use X.rechunk\(\{1: -1, 2: -1\}\)"):
        LinearMAE().fit(X)
    LinearMAE(5, patch=2).fit(X.rechunk({1: -1, 2: -1}))  # the remedy works
    with pytest.raises(ValueError, match=r"Dask array of shape \(8,\): pass"):
        LinearMAE().fit(da.from_array(digits[0, 0], chunks=4))
    with pytest.raises(ValueError, match='solver="dual" needs all rows at once'):
        LinearMAE(solver="dual").fit(X.rechunk({1: -1, 2: -1}))
    fitted = LinearMAE(5, patch=2).fit(digits)
    with pytest.raises(ValueError, match=r"samples of X have shape \(4, 16\), but LinearMAE was fitted on"):
        fitted.transform(da.from_array(digits.reshape(-1, 4, 16), chunks=(400, 4, 16)))
    with pytest.raises(ValueError, match="n_components=100 is larger"):
        LinearMAE(100).fit(X.rechunk({1: -1, 2: -1}))


def test_data_frames_are_shown_the_way(digits):
    frames = pytest.importorskip("dask.dataframe")
    frame = frames.from_array(digits.reshape(-1, 64), chunksize=500)
    with pytest.raises(ValueError, match=r"Of a data frame: X.to_dask_array\(lengths=True\)"):
        LinearMAE().fit(frame)
    fitted = LinearMAE(5, patch=2).fit(frame.to_dask_array(lengths=True))
    np.testing.assert_allclose(fitted.components_, LinearMAE(5, patch=2).fit(digits).components_, atol=1e-9)
