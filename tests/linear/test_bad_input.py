"""Bad input, and what the user is told."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from skmae import LinearAE, LinearDAE, LinearMAE

X = np.random.default_rng(0).normal(size=(30, 36))
IMAGES = X.reshape(30, 6, 6)

PARAMETERS = [
    (LinearMAE(mask=1), r"'mask' parameter of LinearMAE must be a float in the range \[0.0, 1.0\). Got 1 instead"),
    (LinearMAE(mask=-0.1), r"'mask' parameter .* Got -0.1 instead"),
    (LinearMAE(mask=1.5), r"'mask' parameter .* Got 1.5 instead"),
    (LinearMAE(mask=np.nan), r"'mask' parameter .* Got nan instead"),
    (LinearMAE(mask=np.array([0.5, 0.75])), r"'mask' parameter .* Got array\(\[0.5 , 0.75\]\) instead"),
    (LinearMAE(mask="high"), r"'mask' parameter .* Got 'high' instead"),
    (LinearMAE(patch=0), r"'patch' parameter of LinearMAE must be an int in the range \[1, inf\).* Got 0 instead"),
    (LinearMAE(patch=2.5), r"'patch' parameter .* Got 2.5 instead"),
    (LinearMAE(patch=(2, 0)), r"patch=\(2, 0\) is not made of whole numbers of pixels >= 1"),
    (LinearMAE(patch=(2, 2, 2)), r"patch=\(2, 2, 2\) has 3 sizes, but the grid \(6, 6\) has 2 axes. Pass one int"),
    (LinearMAE(image_shape=(5, 7)), r"image_shape=\(5, 7\) has 35 values, but X has 36 features. .* product is 36"),
    (LinearMAE(image_shape=(6, -6)), r"image_shape=\(6, -6\) is not a shape"),
    (LinearMAE(image_shape=()), r"image_shape=\(\) is not a shape"),
    (LinearMAE(image_shape="6x6"), r"'image_shape' parameter .* Got '6x6' instead"),
    (LinearMAE(image_shape=(2, 2, 3, 3), channel_axis=None), r"leaves a grid of 4 axes; 1 to 3 are supported"),
    (LinearMAE(image_shape=(36,), channel_axis=0), r"leaves a grid of 0 axes"),
    (
        LinearMAE(image_shape=(6, 6), channel_axis=2),
        r"channel_axis=2 is not an axis of image_shape=\(6, 6\): pass -2 to 1",
    ),
    (
        LinearMAE(channel_axis=0),
        r"channel_axis=0 says .* X came flat with 36 features.* Pass image_shape, channels incl",
    ),
    (LinearMAE(channel_axis="last"), r"'channel_axis' parameter .* Got 'last' instead"),
    (LinearMAE(mask_sampling="random"), r"'mask_sampling' parameter .* Got 'random' instead"),
    (LinearMAE(loss="visible"), r"'loss' parameter .* Got 'visible' instead"),
    (LinearMAE(solver="svd"), r"'solver' parameter .* Got 'svd' instead"),
    (LinearMAE(n_components=0), r"'n_components' parameter .* Got 0 instead"),
    (LinearMAE(n_components=1.0), r"'n_components' parameter .* Got 1.0 instead"),
    (
        LinearMAE(n_components=31),
        r"n_components=31 is larger than min\(n_samples=30, n_features=36\) = 30. Pass at most 30",
    ),
    (LinearAE(n_components=37), r"n_components=37 is larger than min\(n_samples=30, n_features=36\) = 30"),
    (LinearDAE(noise_std=-1), r"'noise_std' parameter of LinearDAE .* Got -1 instead"),
    (LinearDAE(noise_std=np.nan), r"'noise_std' parameter .* Got nan instead"),
    (LinearDAE(noise_std=1e308), r"'noise_std' parameter .* in the range \[0.0, 1e\+150\]. Got 1e\+308 instead"),
    (LinearMAE(mask=Fraction(1, 2)), r"'mask' parameter .* Got Fraction\(1, 2\) instead"),
]


@pytest.mark.parametrize(("model", "message"), PARAMETERS)
def test_parameters(model, message):
    with pytest.raises((InvalidParameterError, ValueError), match=message):
        model.fit(X)


def with_value(value):
    bad = X.copy()
    bad[17, 5] = value
    return bad


def with_text_column():
    import pandas as pd

    return pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(species="cat")


DATA = [
    (with_value(np.inf), ValueError, r"contains infinity: X\[17, 5\] is inf. Every value must be finite, or NaN"),
    (with_value(-np.inf).astype(np.float32), ValueError, r"X\[17, 5\] is -inf"),
    (np.empty((0, 36)), ValueError, r"0 sample\(s\)"),
    (np.empty((0, 6, 6)), ValueError, r"0 sample\(s\)"),
    (np.empty((30, 0)), ValueError, r"0 feature\(s\)"),
    (X[:1], ValueError, r"n_samples=1 is too few"),
    (X[0], ValueError, r"Expected 2D array, got 1D array"),
    (5.0, ValueError, r"Expected 2D array, got scalar"),
    (np.array([["a", "b"], ["c", "d"]]), ValueError, r"dtype='numeric' is not compatible with arrays of bytes/strings"),
    (
        with_text_column(),
        ValueError,
        r"columns that are not numbers: \['species'\]. LinearMAE takes numeric columns only",
    ),
    (sp.csr_matrix(X), TypeError, r"Sparse data was passed.*Use '.toarray\(\)'"),
    (X + 1j, ValueError, r"Complex data not supported"),
    (None, ValueError, r"Expected 2D array, got scalar"),
    (np.zeros((30, 2, 2, 2, 2, 2)), ValueError, r"leaves a grid of 4 axes"),
    (np.full((30, 36), 7.0), ValueError, r"X carries no signal \(all samples are equal\)"),
]


@pytest.mark.parametrize(("data", "error", "message"), DATA)
def test_training_data(data, error, message):
    with pytest.raises(error, match=message):
        LinearMAE(patch=2).fit(data)


USE = [
    (X[:, :35], "X has 35 features, but LinearMAE is expecting 36 features"),
    (X.reshape(30, 4, 9), r"samples of X have shape \(4, 9\), but LinearMAE was fitted on samples of shape \(6, 6\)"),
    (with_value(np.inf), r"X\[17, 5\] is inf"),
    (np.empty((0, 36)), r"0 sample\(s\)"),
]


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score"])
@pytest.mark.parametrize(("data", "message"), USE)
def test_data_in_use(method, data, message):
    model = LinearMAE(3, patch=2).fit(IMAGES)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(data)


def test_fit_on_images_that_are_not_of_the_given_shape():
    with pytest.raises(
        ValueError, match=r"image_shape=\(4, 9\), but the samples of X have shape \(6, 6\). Pass image_"
    ):
        LinearMAE(image_shape=(4, 9)).fit(IMAGES)


@pytest.mark.parametrize(
    ("visible", "message"),
    [
        (np.ones(9), r"visible must be an array of bool, True where a sample may be seen; got dtype float64"),
        (
            np.ones(8, bool),
            r"visible has shape \(8,\), which fits neither patches, pixels nor features. Pass \(9,\) for patches",
        ),
        (np.ones((29, 9), bool), r"visible has shape \(29, 9\), which fits neither"),
    ],
)
def test_visible(visible, message):
    model = LinearMAE(3, patch=2).fit(IMAGES)
    with pytest.raises(ValueError, match=message):
        model.reconstruct(IMAGES, visible)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_are_checked_again_at_every_call(method):
    model = getattr(LinearMAE(3, patch=2), method)(IMAGES)
    with pytest.raises(InvalidParameterError, match="'mask' parameter"):
        getattr(model.set_params(mask=1.0), method)(IMAGES)


def test_values_beyond_float64():
    with pytest.raises(
        ValueError, match=r"largest absolute value of X is .* its square is beyond the range of float64. Divide X by a"
    ):
        LinearMAE(3, patch=2).fit(X * 1e160)


@pytest.mark.parametrize("solver", ["cholesky", "eigh", "dual"])
@pytest.mark.parametrize("std", [1e78, 1e150, np.float32(1e25)])
def test_noise_far_above_all_samples_leaves_nothing_to_reconstruct(std, solver):
    model = LinearDAE(2, noise_std=std, solver=solver).fit(X)
    np.testing.assert_allclose(model.expected_loss_, np.var(X, axis=0).mean())
    np.testing.assert_allclose(-model.score(X), model.expected_loss_)


def test_noise_that_float64_cannot_weigh_against_samples():
    with pytest.raises(ValueError, match=r"noise of variance 1e\+156 \(noise_std squared\) beside samples of variance"):
        LinearDAE(2, noise_std=1e78, solver="eigh").fit(X * 1e-100)


def test_weighted_scores_of_samples_beyond_float64_are_refused():
    model, weights = LinearDAE(2).fit(X), np.arange(30.0)
    with pytest.raises(ValueError, match=r"The largest absolute value of X is 1.e\+200, and its square is beyond"):
        model.score(np.full(X.shape, 1e200), sample_weight=weights)


def test_columns_of_dates_are_not_decoded():
    import pandas as pd

    dates = pd.DataFrame({"a": pd.date_range("2024", periods=3), "b": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match=r"X has columns that are not numbers: \['a'\]. inverse_transform takes"):
        LinearDAE(2).fit(X).inverse_transform(dates)


def test_masked_features_and_weights_are_not_read():
    model = LinearDAE(2).fit(X)
    features = np.ma.masked_array(model.transform(X), mask=False)
    features[0, 0] = np.ma.masked
    with pytest.raises(ValueError, match="X cannot be read: it has masked entries"):
        model.inverse_transform(features)
    weights = np.ma.masked_array(np.ones(len(X)), np.arange(len(X)) == 0)
    with pytest.raises(ValueError, match="sample_weight cannot be read: it has masked entries"):
        LinearDAE(2).fit(X, sample_weight=weights)


def test_features_that_are_no_numbers_are_not_decoded():
    with pytest.raises(ValueError, match=r"X cannot be read: .* float: 'a'\. Pass features of"):
        LinearDAE(2).fit(X).inverse_transform(np.full((3, 2), "a", dtype=object))


def test_inverse_transform_of_another_width():
    model = LinearMAE(3, patch=2).fit(IMAGES)
    with pytest.raises(ValueError, match="X has 4 features, but inverse_transform of this LinearMAE takes the 3"):
        model.inverse_transform(np.zeros((2, 4)))


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "reconstruct", "score", "sample_visible"])
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        getattr(LinearMAE(), method)(X)
    assert not hasattr(LinearMAE(), "components_")


def test_a_batch_is_refused_before_it_is_added(rng):
    stream = LinearMAE(3, patch=2, image_shape=(2, 3)).partial_fit(rng.normal(size=(40, 6)))
    stream.set_params(solver="dual")
    with pytest.raises(ValueError, match="needs all rows at once"):
        stream.partial_fit(rng.normal(size=(40, 6)))
    assert stream.moments_.n == stream.n_samples_seen_ == 40


def test_batches_of_several_threads_are_all_counted(rng):
    batches = rng.normal(size=(40, 10, 6))
    stream = LinearMAE(3, patch=2, image_shape=(2, 3))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(stream.partial_fit, batches))
    assert stream.moments_.n == stream.n_samples_seen_ == 400
