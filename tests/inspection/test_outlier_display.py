"""OutlierDisplay: samples over maps of how odd their pixels are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skmae import PatchOutlierDetector
from skmae.inspection import OutlierDisplay


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def smooth(rng, n, *shape):
    X = rng.normal(size=(n, *shape))
    for axis in range(1, 1 + len(shape)):
        X = X.cumsum(axis=axis)
    return X


def test_the_odd_patch_is_the_brightest(rng):
    X = smooth(rng, 500, 8, 8)
    detector = PatchOutlierDetector(patch=2).fit(X[:400])
    odd = X[400:404].copy()
    odd[:, 4:6, 2:4] += 9 * np.array([[1, -1], [-1, 1]])
    display = OutlierDisplay.from_estimator(detector, odd)
    canvas = np.asarray(display.im_.get_array())
    assert canvas.shape == (2 * 9 - 1, 4 * 9 - 1, 3)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["Sample", "Oddness"]
    for number in range(4):
        light = canvas[9:, 9 * number : 9 * number + 8].sum(axis=-1)
        row, column = np.unravel_index(light.argmax(), light.shape)
        assert 4 <= row < 6
        assert 2 <= column < 4
    np.testing.assert_array_equal(display.scores, detector.patch_scores(odd))


@pytest.mark.parametrize(
    ("shape", "axis", "expected"),
    [((20,), None, (2 * 5 + 1, 20, 3)), ((6, 6, 3), -1, (13, 5 * 7 - 1, 3)), ((4, 5, 6), None, (11, 5 * 7 - 1, 3))],
)
def test_signals_colours_and_volumes(shape, axis, expected, rng):
    X = smooth(rng, 200, *shape)
    detector = PatchOutlierDetector(patch=2, channel_axis=axis).fit(X)
    assert np.asarray(OutlierDisplay.from_estimator(detector, X, n_samples=5).im_.get_array()).shape == expected


def test_ordinary_samples_stay_dark(rng):
    X = smooth(rng, 300, 6, 6)
    display = OutlierDisplay(X[:2].reshape(2, -1), np.zeros((2, 6, 6)), image_shape=(6, 6)).plot()
    assert np.asarray(display.im_.get_array())[7:13, :6].max() < 0.1
    assert display.figure_.axes[-1].get_ylim() == (0, 5)


def test_axes_and_colours_are_the_users(rng):
    X = smooth(rng, 100, 6, 6)
    detector = PatchOutlierDetector(patch=2).fit(X)
    ax = plt.subplots()[1]
    display = OutlierDisplay.from_estimator(detector, X, n_samples=2, ax=ax, cmap="viridis", alpha=0.5)
    assert display.ax_ is ax
    assert display.im_.get_alpha() == 0.5


@pytest.mark.parametrize(
    ("originals", "scores", "text"),
    [
        (np.ones((2, 36)), np.ones((2, 5, 6)), r"scores has shape \(2, 5, 6\); it must be \(2, 6, 6\)"),
        (
            np.ones((2, 35)),
            np.ones((2, 6, 6)),
            r"originals has shape \(2, 35\); it must be \(any, 36\), as image_shape says",
        ),
        (np.float64(1), np.ones((2, 6, 6)), r"originals has shape \(\); it must be \(any, 36\)"),
        ("a", np.ones((2, 6, 6)), "originals"),
    ],
)
def test_what_does_not_fit_is_refused(originals, scores, text):
    with pytest.raises(ValueError, match=text):
        OutlierDisplay(originals, scores, image_shape=(6, 6)).plot()


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"image_shape": [(6, 6), (5,)]}, "image_shape"),
        ({"image_shape": np.ones((2, 6))}, "image_shape"),
        ({"image_shape": (6, 6), "channel_axis": "last"}, "channel_axis"),
        ({"image_shape": (6, 6), "channel_axis": 1.5}, "channel_axis"),
    ],
)
def test_the_shape_that_is_wrong_is_named(where, text):
    with pytest.raises((ValueError, TypeError), match=text):
        OutlierDisplay(np.ones((2, 36)), np.ones((2, 6, 6)), **where).plot()
