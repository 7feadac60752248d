"""Displays of Jacobians and statistics: the numbers in the pictures are those of the functions."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_rgb
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearAE, LinearMAE, SpatialEntropy
from skmae.inspection import (
    AutocorrelationDisplay,
    CKADisplay,
    InfluenceDisplay,
    JacobianDisplay,
    MaskSpectrumDisplay,
    SpatialEntropyDisplay,
    influence_by_distance,
    linear_cka,
    mask_power_spectrum,
    spatial_autocorrelation,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def mae(colours):
    return LinearMAE(5, patch=2, mask=0.5).fit(colours)


def maps_of(model, X, **parameters):
    return JacobianBasis(FrozenEstimator(model), **parameters).fit(X).transform(X)


def names_in_legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# -- curves -----------------------------------------------------------------------------------------------------


def test_influence_curves_share_an_axes(mae, colours):
    first = InfluenceDisplay.from_estimator(mae, colours[:2], outputs="grid", visible="random", random_state=0)
    maps = maps_of(mae, colours[:2], outputs="grid", visible="random", random_state=0)
    expected = influence_by_distance(maps, (8, 8, 3), outputs="grid")
    assert_allclose(first.line_.get_xydata(), expected[["distance", "influence"]])
    second = InfluenceDisplay.from_estimator(LinearAE(5).fit(colours), colours[:1], ax=first.ax_, color="k", name="AE")
    assert second.figure_ is first.figure_
    assert second.line_.get_color() == "k"
    assert names_in_legend(second) == ["LinearMAE", "AE"]
    assert first.ax_.get_xlabel() == "Distance (pixels)"
    from_maps = InfluenceDisplay.from_maps(maps, (8, 8, 3), outputs="grid")
    assert_allclose(from_maps.line_.get_ydata(), expected["influence"])
    assert from_maps.ax_.get_legend() is None


def test_autocorrelation_is_drawn_as_computed(colours):
    display = AutocorrelationDisplay.from_samples(colours, bin_width=2.0, name="noise")
    expected = spatial_autocorrelation(colours, bin_width=2.0)
    assert_allclose(display.line_.get_xydata(), expected[["distance", "correlation"]])
    assert names_in_legend(display) == ["noise"]


def test_short_names_of_a_style_stand_for_the_long(colours):
    line = AutocorrelationDisplay.from_samples(colours, c="red", ls="--").line_
    assert (line.get_color(), line.get_linestyle()) == ("red", "--")
    with pytest.raises(TypeError, match="aliases of one another"):
        AutocorrelationDisplay.from_samples(colours, c="red", color="blue")


def test_spectrum_of_a_mask_is_averaged_over_directions():
    display = MaskSpectrumDisplay.from_mask((12, 12, 3), 4, 0.75)
    spectrum = mask_power_spectrum((12, 12, 3), 4, 0.75)
    nearest = [spectrum[0, 1], spectrum[1, 0], spectrum[0, -1], spectrum[-1, 0]]
    nearest += [spectrum[i, j] for i in (1, -1) for j in (1, -1)]  # √2 rounds to 1
    assert display.power_[0] == pytest.approx(np.mean(nearest))
    assert_allclose(display.line_.get_ydata(), display.power_)
    assert display.frequency_.max() <= 0.5 + 0.5 / 12
    assert names_in_legend(display) == ["patch 4, mask 0.75"]


def test_spectrum_of_samples_is_that_of_their_transform(rng):
    X = rng.normal(size=(400, 16))
    display = MaskSpectrumDisplay.from_samples(X, (16,))
    expected = np.mean(np.abs(np.fft.fft(X - X.mean(axis=0))) ** 2, axis=0)[1:9]
    expected[:-1] = (expected[:-1] + np.mean(np.abs(np.fft.fft(X - X.mean(axis=0))) ** 2, axis=0)[:8:-1]) / 2
    assert_allclose(display.power_, expected)
    half = MaskSpectrumDisplay.from_samples(X, (16,), patch=2, mask=0.5)
    assert_allclose(half.power_.mean(), expected.mean() / 2, rtol=0.1)  # half of white noise is left
    assert names_in_legend(half) == ["samples, patch 2, mask 0.5"]


@pytest.mark.parametrize(
    ("X", "parameters", "message"),
    [
        (np.full((5, 4, 4), np.nan), {}, "Input X contains NaN"),
        (np.zeros(16), {}, "Expected 2D array, got 1D array instead"),
        (np.zeros((0, 4, 4)), {}, r"Found array with 0 sample\(s\)"),
        (np.full((5, 16), "a"), {}, "not compatible with arrays of bytes/strings"),
        (np.zeros((5, 16)), {"mask": 1.5}, r"'mask' parameter of .*from_samples must be a float in .*\[0.0, 1.0\)"),
        (np.zeros((5, 16)), {"mask": -1}, "'mask' parameter"),
        (np.zeros((5, 16)), {"patch": 2.5}, "'patch' parameter"),
        (np.zeros((5, 16)), {"image_shape": (5, 5)}, r"image_shape=\(5, 5\) has 25 values, but X has 16 features"),
    ],
)
def test_spectra_of_bad_samples(X, parameters, message):
    with pytest.raises(ValueError, match=message):
        MaskSpectrumDisplay.from_samples(X, **parameters)


# -- entropies --------------------------------------------------------------------------------------------------


def test_histograms_of_entropy_count_every_output(mae, colours):
    display = SpatialEntropyDisplay.from_estimator(mae, colours[:3], outputs="grid", name="a", density=False)
    entropies = SpatialEntropy((8, 8)).fit_transform(maps_of(mae, colours[:3], outputs="grid"))
    assert_allclose(display.entropies, entropies)
    heights = display.patches_[0].get_path().vertices[:, 1]
    assert heights.max() == np.histogram(entropies, np.linspace(0, np.log(64), 41))[0].max()
    again = SpatialEntropyDisplay(entropies, 64, name="b").plot(ax=display.ax_)
    assert sorted(names_in_legend(again)) == ["a", "b", "uniform"]
    colours_drawn = {patch.get_facecolor() for patch in again.ax_.patches}
    assert len(colours_drawn) == 2


# -- maps -------------------------------------------------------------------------------------------------------


def test_jacobians_stand_beside_their_image_in_the_colour_of_their_pixel(mae, colours):
    outputs = [(1, 2), (6, 5)]
    display = JacobianDisplay.from_estimator(mae, colours, outputs=outputs, n_samples=3)
    canvas = display.im_.get_array()
    assert canvas.shape == (3 * 9 - 1, 3 * 9 - 1, 3)
    scaled = (colours[1] - colours[:3].min()) / np.ptp(colours[:3])
    assert_allclose(canvas[9:17, :8], scaled, atol=1e-6)
    maps = maps_of(mae, colours[:3], outputs=outputs).reshape(3, 2, 8, 8)
    rings = display.ax_.collections
    for number in range(2):
        ink = np.sqrt(maps[1, number] / maps[1, number].max())[..., np.newaxis]
        colour = to_rgb(rings[0].get_edgecolors()[number])
        left = 9 * (number + 1)
        assert_allclose(canvas[9:17, left : left + 8], 1 - ink * (1 - np.array(colour)), atol=1e-6)
        assert_array_equal(rings[1 + number].get_offsets()[0], [outputs[number][1] + left, outputs[number][0]])
    assert_array_equal(rings[0].get_offsets(), [(2, 1), (5, 6)])


def test_jacobians_of_signals_grey_images_and_volumes(rng):
    for shape in ((12,), (6, 6), (2, 6, 6)):
        X = rng.normal(size=(30, *shape))
        model = LinearMAE(3, patch=2, image_shape=shape, channel_axis=0 if len(shape) == 3 else None).fit(X)
        canvas = JacobianDisplay.from_estimator(model, X, n_samples=2).im_.get_array()
        assert canvas.shape[-1] == 3
        assert np.isfinite(canvas).all()
    volume = LinearMAE(3, patch=2, image_shape=(4, 4, 4), channel_axis=None).fit(
        X[:, :1].repeat(2, 1).reshape(-1, 72)[:, :64]
    )
    with pytest.raises(ValueError, match=r"samples of shape \(4, 4, 4\) are volumes"):
        JacobianDisplay.from_estimator(volume, np.zeros((2, 64)))
    with pytest.raises(NotFittedError):
        JacobianDisplay.from_estimator(LinearMAE(), X)
    with pytest.raises(ValueError, match=r"'n_samples' parameter of JacobianDisplay.*\[1, inf\).*Got -1"):
        JacobianDisplay.from_estimator(model, X, n_samples=-1)


# -- similarities -----------------------------------------------------------------------------------------------


def test_every_pair_of_representations_is_compared(rng):
    X = rng.normal(size=(40, 6))
    features = {"all": X, "two": X[:, :2]}
    display = CKADisplay.from_features(features)
    assert_allclose(np.diag(display.similarities), 1)
    assert display.similarities[0, 1] == pytest.approx(linear_cka(X, X[:, :2]))
    other = CKADisplay.from_features(features, {"noise": rng.normal(size=(40, 3))}, unbiased=False)
    assert other.similarities.shape == (2, 1)
    assert [label.get_text() for label in other.ax_.get_xticklabels()] == ["noise"]
    assert [label.get_text() for label in other.ax_.get_yticklabels()] == ["all", "two"]
    assert other.text_[1, 0].get_text() == f"{other.similarities[1, 0]:.2f}"


def test_nothing_to_compare_is_said(rng):
    features = {"noise": rng.normal(size=(40, 3))}
    with pytest.raises(ValueError, match="features is empty: pass one representation at least"):
        CKADisplay.from_features({})
    with pytest.raises(ValueError, match="others is empty"):
        CKADisplay.from_features(features, {})


def test_a_norm_of_similarities_has_its_own_limits():
    display = CKADisplay([[0.01, 0.2], [0.2, 1.0]], row_names="ab", column_names="ab").plot(norm=LogNorm())
    assert display.im_.get_clim() == (0.01, 1.0)
    assert [text.get_color() for text in display.text_[0]] == ["white", "black"]  # 0.2 is in the upper half of it
    told = CKADisplay([[0.01, 0.2]], row_names="a", column_names="ab").plot(vmax=0.5)
    assert told.im_.get_clim() == (0, 0.5)


@pytest.mark.parametrize("display", [InfluenceDisplay, JacobianDisplay, SpatialEntropyDisplay])
def test_what_cannot_reconstruct_is_named(display, rng):
    X = rng.normal(size=(30, 16))
    with pytest.raises(TypeError, match="PCA cannot be inspected: it has no reconstruct"):
        display.from_estimator(PCA(2).fit(X), X)


def test_uniform_maps_are_in_the_histogram():
    display = SpatialEntropyDisplay(np.full(7, np.float32(np.log(5))), 5).plot(density=False)
    assert display.patches_[0].get_path().vertices[:, 1].max() == 7
