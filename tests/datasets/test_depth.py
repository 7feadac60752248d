"""Depth maps from a small stand-in for the file."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skmae.datasets import load_depth


@pytest.fixture
def folder(tmp_path, rng, monkeypatch):
    arrays = {
        "rgb": rng.integers(0, 256, (5, 64, 64, 3)).astype(np.uint8),
        "depth_mm": rng.integers(700, 10_000, (5, 64, 64)).astype(np.uint16),
        "is_test": np.array([True, False, False, True, False]),
    }
    np.savez(tmp_path / "nyuv2_depth64.npz", **arrays)
    monkeypatch.setenv("SKMAE_DATA", str(tmp_path))
    return tmp_path, arrays


def test_both_parts_in_metres(folder):
    path, arrays = folder
    train, test = load_depth(), load_depth(path, subset="test")
    assert_array_equal(train.images, arrays["rgb"][~arrays["is_test"]])
    assert_allclose(test.target, arrays["depth_mm"][arrays["is_test"]] / 1000, rtol=1e-6)
    assert train.images.dtype == np.uint8
    assert train.target.dtype == np.float32


def test_smaller_ones_are_means_of_blocks(folder):
    small = load_depth(size=16)
    rgb, depth = (folder[1][name][~folder[1]["is_test"]] for name in ("rgb", "depth_mm"))
    assert small.images.shape == (3, 16, 16, 3)
    assert small.images[1, 2, 3, 0] == round(rgb[1, 8:12, 12:16, 0].mean())
    assert small.target[2, 0, 15] == pytest.approx(depth[2, :4, 60:].mean() / 1000)


def test_bad_input(folder, tmp_path, monkeypatch):
    path, _ = folder
    with pytest.raises(ValueError, match="'size' parameter of load_depth"):
        load_depth(size=48)
    with pytest.raises(FileNotFoundError, match=r"elsewhere/nyuv2_depth64.npz does not exist. Pass the folder"):
        load_depth(tmp_path / "elsewhere")
    whole = (path / "nyuv2_depth64.npz").read_bytes()
    (path / "nyuv2_depth64.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"nyuv2_depth64.npz cannot be read .*fetch the file again"):
        load_depth()
    np.savez(path / "nyuv2_depth64.npz", rgb=np.zeros((2, 8, 8, 3)), depth_mm=np.zeros((2, 8, 8)), is_test=np.ones(2))
    with pytest.raises(
        ValueError, match=r"rgb is float64 of shape \(2, 8, 8, 3\), not uint8 of shape \(2, 64, 64, 3\)"
    ):
        load_depth()
    with open(path / "nyuv2_depth64.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="cannot be read"):
        load_depth()
    monkeypatch.delenv("SKMAE_DATA")
    with pytest.raises(FileNotFoundError, match="name it in the environment variable SKMAE_DATA"):
        load_depth()
