"""Whatever comes in: tensors, masks over values that are never read, types, scales, and what a display is given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal

from skmae import JacobianBasis, LinearMAE, Moments, PatchOutlierDetector, SpatialEntropy
from skmae.datasets import make_gabor_targets
from skmae.inspection import (
    AutocorrelationDisplay,
    CKADisplay,
    ComponentsDisplay,
    InfluenceDisplay,
    JacobianDisplay,
    MaskSpectrumDisplay,
    OutlierDisplay,
    ReconstructionDisplay,
    SearchDisplay,
    SpatialEntropyDisplay,
    basis_similarity,
    influence_by_distance,
    influence_radius,
    linear_cka,
    linearized_loss,
    own_patch_share,
    spatial_autocorrelation,
)

SHAPE = (6, 6)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def images(rng):
    return rng.normal(size=(30, *SHAPE)) + 2 * rng.normal(size=(30, 1, 1))


def canvas(display):
    return np.asarray(display.im_.get_array().data)


OF_SAMPLES = {
    "spatial_autocorrelation": lambda _, X: spatial_autocorrelation(X).to_numpy(),
    "linear_cka": lambda _, X: linear_cka(X, X[:, ::2]),
    "JacobianBasis": lambda model, X: JacobianBasis(model, outputs="grid").fit(X).transform(X[:3]),
    "JacobianBasis.basis": lambda model, X: JacobianBasis(model, outputs="grid").fit(X).basis(X[:3], 2).S,
    "linearized_loss": lambda model, X: linearized_loss(model, X[:5]),
    "make_gabor_targets": lambda _, X: make_gabor_targets(X),
    "ReconstructionDisplay": lambda model, X: canvas(ReconstructionDisplay.from_estimator(model, X)),
    "JacobianDisplay": lambda model, X: canvas(JacobianDisplay.from_estimator(model, X)),
    "InfluenceDisplay": lambda model, X: InfluenceDisplay.from_estimator(model, X[:1]).line_.get_ydata(),
    "SpatialEntropyDisplay": lambda model, X: SpatialEntropyDisplay.from_estimator(model, X[:1]).entropies,
    "AutocorrelationDisplay": lambda _, X: AutocorrelationDisplay.from_samples(X).line_.get_ydata(),
    "OutlierDisplay": lambda _, X: canvas(
        OutlierDisplay.from_estimator(PatchOutlierDetector(patch=2, regularization=0.1).fit(X), X)
    ),
    "MaskSpectrumDisplay": lambda _, X: MaskSpectrumDisplay.from_samples(X).line_.get_ydata(),
    "CKADisplay": lambda _, X: CKADisplay.from_features({"a": X, "b": X[:, ::2]}).similarities,
}
OF_MAPS = {
    "influence_radius": lambda maps: influence_radius(maps, SHAPE, outputs="grid"),
    "influence_by_distance": lambda maps: influence_by_distance(maps, SHAPE, outputs="grid").to_numpy(),
    "own_patch_share": lambda maps: own_patch_share(maps, SHAPE, 2, outputs="grid"),
    "basis_similarity": lambda maps: basis_similarity(maps.reshape(len(maps), 16, 36)),
    "SpatialEntropy": lambda maps: SpatialEntropy(SHAPE).fit_transform(maps),
    "SpatialEntropy of squares": lambda maps: SpatialEntropy(SHAPE, power=2).fit_transform(maps),
    "InfluenceDisplay": lambda maps: InfluenceDisplay.from_maps(maps, SHAPE, outputs="grid").line_.get_ydata(),
    "linear_cka": lambda maps: linear_cka(maps, maps[:, :40]),
    "linear_cka, biased": lambda maps: linear_cka(maps, maps[:, :40], unbiased=False, batch_size=3),
}


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_tensors_give_the_numbers_of_arrays(name, images):
    torch = pytest.importorskip("torch")
    model = LinearMAE(5, patch=2).fit(images)
    expected = OF_SAMPLES[name](model, images)
    with sklearn.config_context(array_api_dispatch=True):
        X = torch.from_numpy(images)
        assert_allclose(OF_SAMPLES[name](LinearMAE(5, patch=2).fit(X), X), expected, atol=1e-9)


def test_tensors_that_models_give_back(images, rng):
    torch = pytest.importorskip("torch")
    maps = rng.random((6, 16 * 36))
    with sklearn.config_context(array_api_dispatch=True):
        model = LinearMAE(5, patch=2).fit(torch.from_numpy(images))
        assert isinstance(model.components_, torch.Tensor)
        for which, rows in (("decoder", model.decoder_.T), ("encoder", model.components_)):
            display = ComponentsDisplay.from_estimator(model, which=which)
            again = ComponentsDisplay(rows.numpy(), image_shape=SHAPE).plot()
            assert_array_equal(canvas(display), canvas(again))
            assert_array_equal(canvas(ComponentsDisplay(rows, image_shape=SHAPE).plot()), canvas(again))
        for function in OF_MAPS.values():
            assert_allclose(function(torch.from_numpy(maps)), function(maps), atol=1e-12)


@pytest.mark.parametrize("scale", [5e-309, 1e-200, 1e200, 1e307])
@pytest.mark.parametrize("name", OF_MAPS)
def test_statistics_of_maps_of_any_scale(name, scale, rng):
    maps = rng.random((6, 16 * 36))
    tolerance = {"rtol": 1e-6} if scale < 1e-300 else {"rtol": 1e-10}  # of subnormal numbers digits are lost
    assert_allclose(OF_MAPS[name](maps * scale), OF_MAPS[name](maps), atol=1e-9, **tolerance)


@pytest.mark.parametrize("scale", [5e-309, 1e-200, 1e200, 1e307])
def test_statistics_of_samples_of_any_scale(scale, images):
    visible = images > -1
    for one, other in ((images, images * scale), (images[..., None] * [1, 1], images[..., None] * [1, scale])):
        expected = spatial_autocorrelation(one, visible=visible, radial=False)
        assert_allclose(spatial_autocorrelation(other, visible=visible, radial=False), expected, rtol=1e-6, atol=1e-7)
    pictures = [
        canvas(ReconstructionDisplay(X, visible.reshape(30, -1), X[::-1], image_shape=SHAPE).plot())
        for X in (images.reshape(30, -1), images.reshape(30, -1) * scale)
    ]
    assert_allclose(*pictures, atol=1e-6)


def test_scales_whose_squares_float64_cannot_hold(images):
    model = LinearMAE(5, patch=2).fit(images)
    assert_allclose(linearized_loss(model, images * 1e140), -model.score(images * 1e140))
    assert_allclose(linearized_loss(model, images * 1e-308), -model.score(images * 1e-308))
    with pytest.raises(ValueError, match=r"The loss, .* is beyond the range of float64. Divide X by its largest value"):
        linearized_loss(model, images * 1e200)
    small, one = (MaskSpectrumDisplay.from_samples(images * scale).power_ for scale in (1e-100, 1))
    assert_allclose(small, one * 1e-200)
    for scale in (1e200, 1e-200):
        with pytest.raises(ValueError, match=r"The power, .* is beyond the range of float64. Divide X by its largest"):
            MaskSpectrumDisplay.from_samples(images * scale)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -1e300])
def test_values_that_are_hidden_are_never_read(nothing, images):
    visible = np.ones(SHAPE, bool)
    visible[:2, :2] = visible[2, 4] = False
    hidden = np.where(visible, images, nothing)
    model = LinearMAE(5, patch=2).fit(images)
    per_sample = np.broadcast_to(visible, images.shape)
    for mask in (visible, per_sample):
        tables = [spatial_autocorrelation(X, visible=mask) for X in (images, hidden)]
        pd.testing.assert_frame_equal(*tables)
    basis = JacobianBasis(model, outputs="grid", visible=visible).fit(images)
    assert_array_equal(basis.transform(hidden), basis.transform(images))
    basis = JacobianBasis(sklearn.frozen.FrozenEstimator(model), outputs="grid", visible=visible).fit(hidden)
    assert_array_equal(basis.jacobian(hidden), basis.jacobian(images))
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        spatial_autocorrelation(np.where(visible, images, np.inf), visible=~visible | True)


def test_hidden_values_of_a_picture_are_grey(images):
    visible = np.ones((30, 36), bool)
    visible[:, [3, 8]] = False
    rows = images.reshape(30, -1)
    for nothing in (np.nan, np.inf):
        display = ReconstructionDisplay(
            np.where(visible, rows, nothing)[:1], visible[:1], rows[:1], image_shape=SHAPE
        ).plot()
        assert (canvas(display)[:6].ravel()[[3, 8]] == 0.5).all()
        assert (canvas(display)[7:13].ravel()[[3, 8]] == 0.5).all()
        jacobian = JacobianDisplay(np.where(visible, rows, nothing)[:1], np.ones((1, 1, 36)), [0], image_shape=SHAPE)
        assert (canvas(jacobian.plot())[0, 3] == 0.5).all()


@pytest.mark.parametrize("name", OF_SAMPLES)
def test_masked_entries_are_refused_and_a_mask_of_nothing_is_not(name, images):
    model = LinearMAE(5, patch=2).fit(images)
    masked = np.ma.masked_array(images, images > 4)
    masked[:, 2, 2] = np.ma.masked
    if name != "make_gabor_targets":
        with pytest.raises(ValueError, match=r"masked.* [Ff]ill (them|the gaps) first"):
            OF_SAMPLES[name](model, masked)
    whole = np.ma.masked_array(images, np.zeros(images.shape, bool))
    assert_allclose(OF_SAMPLES[name](model, whole), OF_SAMPLES[name](model, images))


def test_masked_maps_are_refused(rng):
    maps = np.ma.masked_array(rng.random((6, 16 * 36)), False)
    maps[0, 0] = np.ma.masked
    with pytest.raises(ValueError, match=r"^maps has masked entries"):
        influence_radius(maps, SHAPE, outputs="grid")
    with pytest.raises(ValueError, match=r"^X has masked entries"):
        SpatialEntropy(SHAPE).fit(maps)
    with pytest.raises(ValueError, match=r"^jacobian has masked entries"):
        basis_similarity(maps.reshape(6, 16, 36))
    with pytest.raises(ValueError, match=r"^X has masked entries"):
        linear_cka(list(maps), maps.data)


@pytest.mark.parametrize("dtype", [np.longdouble, np.float16, np.int64, np.uint8, bool, object, ">f4"])
def test_real_numbers_of_any_type(dtype, images):
    X = images > 1 if dtype is bool else np.abs(images * 20).astype(np.uint8)
    expected = spatial_autocorrelation(X.astype(float))
    assert_allclose(spatial_autocorrelation(X.astype(dtype)), expected, atol=1e-9)
    assert linear_cka(X.astype(dtype), X[:, 0]) == pytest.approx(linear_cka(X.astype(float), X[:, 0].astype(float)))
    model = LinearMAE(5, patch=2).fit(images)
    assert linearized_loss(model, X.astype(dtype)) == pytest.approx(linearized_loss(model, X.astype(float)))


@pytest.mark.parametrize(
    "function", [spatial_autocorrelation, lambda X: linear_cka(X, X), JacobianBasis(LinearMAE(2)).fit]
)
def test_other_types_are_refused_by_name(function, images):
    for X in (images.astype("M8[s]"), images.astype("m8[s]")):
        with pytest.raises(ValueError, match=r"(datetime|timedelta)64"):
            function(X)
    with pytest.raises(ValueError, match=r"(?i)complex"):
        function(images + 1j)


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="long double is double")
def test_long_doubles_beyond_float64_are_refused(images):
    with pytest.raises(
        ValueError, match=r"X holds \w+ numbers beyond the range of float64. Divide them by their largest"
    ):
        spatial_autocorrelation(images.astype(np.longdouble) * np.longdouble("1e400"))


def test_bins_as_narrow_as_one_likes(images):
    pd.testing.assert_frame_equal(
        spatial_autocorrelation(images, bin_width=1e-300), spatial_autocorrelation(images, bin_width=None)
    )
    assert len(spatial_autocorrelation(images, bin_width=1e300)) == 1


@pytest.mark.parametrize(
    ("display", "message"),
    [
        (
            InfluenceDisplay(pd.DataFrame({"distance": [1]})),
            r"table, a DataFrame, has no column \['influence'\]. Pass wh",
        ),
        (InfluenceDisplay(np.zeros((3, 3))), r"table, a ndarray, has no column \['distance', 'influence'\]"),
        (
            AutocorrelationDisplay(None),
            r"table, a NoneType, has no column .* Pass what spatial_autocorrelation returns",
        ),
        (AutocorrelationDisplay({"distance": ["a"], "correlation": [1]}), "table, a dict, has no column"),
        (MaskSpectrumDisplay("spectrum"), "spectrum holds no numbers"),
        (MaskSpectrumDisplay(3.0), "spectrum is a single number"),
        (
            CKADisplay(np.eye(2), row_names="abc", column_names="ab"),
            r"similarities has shape \(2, 2\); it must be \(3, 2",
        ),
        (CKADisplay(["a"], row_names="a", column_names="b"), "similarities holds no numbers"),
        (SearchDisplay(np.eye(2), masks=[1], patches=[1, 2]), r"scores has shape \(2, 2\); it must be \(2, 1\)"),
        (
            ComponentsDisplay(np.ones((2, 35)), image_shape=SHAPE),
            r"shape \(35,\) each, but image_shape=\(6, 6\) has 36 values",
        ),
        (
            JacobianDisplay(np.ones((2, 36)), np.ones((2, 36)), [0], image_shape=SHAPE),
            r"maps has shape \(2, 36\); it must",
        ),
        (SpatialEntropyDisplay([1.0], 0), "n_pixels=0 must be a whole number >= 1"),
        (SpatialEntropyDisplay(["a"], 4), "entropies holds no numbers"),
        (SpatialEntropyDisplay(["1.5"], 4), r"entropies holds no numbers \(but <U3\)"),
        (SpatialEntropyDisplay([], 4), r"entropies holds no number, but \[\]. Pass what SpatialEntropy gives"),
        (SpatialEntropyDisplay([1.0, -1.0], 4), r"entropies holds -1, but no entropy is below 0"),
        (ComponentsDisplay(np.ones((0, 36)), image_shape=SHAPE), r"components has shape \(0, 36\): nothing to draw"),
        (
            ComponentsDisplay(np.ones((2, 36), complex), image_shape=SHAPE),
            "components holds complex128 numbers beyond those of float64",
        ),
        (
            ComponentsDisplay([np.ones((6, 6)), np.ones((5, 6))], image_shape=SHAPE),
            "components holds no numbers .*inhomogeneous",
        ),
        (
            JacobianDisplay(np.ones((2, 36)), np.ones((2, 1, 36)), [0], image_shape=SHAPE, channel_axis=-1),
            "maps has shape .* without the channels of channel_axis",
        ),
    ],
)
def test_displays_refuse_what_they_cannot_draw(display, message):
    with pytest.raises(ValueError, match=message):
        display.plot()


def test_flags_are_checked(images):
    model = LinearMAE(5, patch=2).fit(images)
    for call in (
        lambda: spatial_autocorrelation(images, radial="no"),
        lambda: linear_cka(images, images, unbiased="no"),
        lambda: linearized_loss(model, images, rescale="no"),
        lambda: ReconstructionDisplay.from_estimator(model, images, paste_visible="no"),
        lambda: ComponentsDisplay(model.components_, image_shape=SHAPE).plot(n_columns=0),
        lambda: spatial_autocorrelation(images, channel_axis="last"),
        lambda: influence_radius(images.reshape(30, -1) ** 2, SHAPE, outputs="center", channel_axis=1.5),
        lambda: own_patch_share(images.reshape(30, -1) ** 2, SHAPE, 2, outputs="center", channel_axis="last"),
        lambda: influence_by_distance(images.reshape(30, -1) ** 2, SHAPE, outputs="center", channel_axis="last"),
    ):
        with pytest.raises(ValueError, match=r"parameter of|channel_axis=.* is no axis"):
            call()


def test_functions_warn_of_channels_once(rng):
    X = rng.normal(size=(100, 3, 8, 8))
    with pytest.warns(UserWarning, match="pass channel_axis=0") as caught:
        spatial_autocorrelation(X)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="pass channel_axis=0") as caught:
        basis = JacobianBasis(LinearMAE(3, patch=2)).fit(X)
    assert len(caught) == 1
    basis.transform(X)
    assert Moments.from_data(X).n == 100  # which asks for no grid
    spatial_autocorrelation(X, channel_axis=0)
