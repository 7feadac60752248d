"""Moments, against NumPy on the whole array at once."""

import copy
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skmae import LinearMAE, Moments, PatchOutlierDetector

DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "int64", "float16", "float32", "float64"]


def reference(X):
    X = np.asarray(X, dtype=np.longdouble).reshape(len(X), -1)
    mean = X.mean(axis=0)
    return mean.astype(float), ((X - mean).T @ (X - mean) / len(X)).astype(float)


def assert_moments(moments, X, rtol):
    mean, second = reference(X)
    assert moments.n == len(X)
    np.testing.assert_allclose(moments.mean, mean, rtol=rtol, atol=rtol * np.abs(mean).max())
    assert np.linalg.norm(moments.second - second) <= rtol * np.linalg.norm(second)
    np.testing.assert_array_equal(moments.second, moments.second.T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_gives_the_moments_of_the_same_numbers(dtype, rng):
    X = (rng.random((2500, 7)) * 100).astype(dtype)
    assert_moments(Moments.from_data(X), X, 1e-12)


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=4, min_side=2, max_side=6),
        elements=st.floats(-100, 100).map(lambda value: round(value, 2)),
    ),
    st.integers(1, 4),
    st.data(),
)
def test_parts_add_up_and_subtract_in_any_order(X, batch_size, data):
    order = data.draw(st.permutations(range(len(X))))
    cut = data.draw(st.integers(1, len(X) - 1))
    whole = Moments.from_data(X, batch_size=batch_size)
    a, b = Moments.from_data(X[order[:cut]]), Moments.from_data(X[order[cut:]])
    mean, second = reference(X)
    for joined in (whole, a + b, b + a, Moments(a.n_features) + a + b, Moments.from_data(X[:1]).update(X[1:])):
        assert joined.n == len(X)
        np.testing.assert_allclose(joined.mean, mean, atol=1e-11)
        np.testing.assert_allclose(joined.second, second, atol=1e-9)
    rest = whole - b
    np.testing.assert_allclose(rest.second, a.second, atol=1e-8)
    np.testing.assert_allclose(rest.mean, a.mean, atol=1e-9)


def test_adding_leaves_the_terms_alone(rng):
    a, b = (Moments.from_data(rng.normal(i, 1, (50, 4))) for i in range(2))
    before = a.second, b.second
    assert (a + b).n == 100
    np.testing.assert_array_equal(a.second, before[0])
    np.testing.assert_array_equal(b.second, before[1])


def test_eight_bit_sums_are_exact_whatever_the_order(rng):
    X = rng.integers(0, 256, (5000, 30), dtype=np.uint8)
    X[:2000] = 255  # as far from the mid-point as can be
    shuffled = rng.permutation(X)
    by_batches = Moments.from_data(shuffled[:1234], batch_size=77) + Moments.from_data(shuffled[1234:])
    np.testing.assert_array_equal(by_batches.second, Moments.from_data(X).second)
    wide = X.astype(np.int64)
    raw = wide.T @ wide * len(X) - np.outer(wide.sum(axis=0), wide.sum(axis=0))  # n² S in whole numbers
    np.testing.assert_allclose(Moments.from_data(X).second, raw / len(X) ** 2, rtol=1e-13, atol=1e-9)


@pytest.mark.parametrize(("offset", "rtol"), [(1.0, 1e-12), (1e3, 1e-12), (1e6, 1e-10), (1e9, 1e-7)])
def test_a_mean_that_is_large_against_the_spread_does_not_cancel(offset, rtol, rng):
    X = rng.normal(offset, 1, (3000, 5))
    assert_moments(Moments.from_data(X), X, rtol)


def test_sorted_data_keeps_its_digits(rng):
    X = np.sort(rng.normal(1e6, 1, (20_000, 4)), axis=0)
    assert_moments(Moments.from_data(X), X, 1e-11)


def test_single_rows_add_up_to_the_whole(rng):
    X = rng.normal(50, 1, (200, 6))
    moments = Moments(6)
    for row in X:
        moments.update(row[np.newaxis])
    assert_moments(moments, X, 1e-12)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_float32_products_stay_in_range(scale, rng):
    X = (rng.normal(1, 1, (3000, 6)) * scale).astype(np.float32)
    assert_moments(Moments.from_data(X, dtype=np.float32), X, 1e-6)


def test_layouts_agree(tmp_path, rng):
    images = rng.integers(0, 256, (300, 5, 4, 3), dtype=np.uint8)
    path = tmp_path / "images.npy"
    np.save(path, images)
    read_only = images.copy()
    read_only.flags.writeable = False
    expected = Moments.from_data(images.reshape(300, -1)).second
    for X in (
        np.load(path, mmap_mode="r"),
        np.asfortranarray(images),
        read_only,
        np.repeat(images, 2, axis=0)[::2],
        images.tolist(),
    ):
        np.testing.assert_allclose(Moments.from_data(X).second, expected, rtol=1e-12)


@pytest.mark.parametrize("first", ["bool", "int8", "uint8", "float32", "float64"])
@pytest.mark.parametrize("centre", [0, 50])
def test_types_may_be_mixed_in_one_stream(first, centre, rng):
    a = (
        rng.normal(centre, 10, (1500, 6)) > centre + 5 if first == "bool" else rng.normal(centre, 10, (1500, 6))
    ).astype(first)
    b, c = rng.integers(0, 256, (3000, 6), dtype=np.uint8), rng.normal(1e6, 1, (900, 6))
    stream = Moments.from_data(a).update(b).update(c)
    assert_moments(stream, np.concatenate([a, b, c]).astype(float), 1e-12)
    assert_moments(stream - Moments.from_data(c), np.concatenate([a, b]).astype(float), 1e-5)
    assert_moments(Moments.from_data(c) + Moments.from_data(b), np.concatenate([c, b]), 1e-12)


@pytest.mark.parametrize(
    "bad", [{"batch_size": 0}, {"batch_size": 2.5}, {"batch_size": True}, {"dtype": "int8"}, {"dtype": {"a": [1]}}]
)
def test_parameters_of_from_data(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be .*, got"):
        Moments.from_data(np.ones((3, 3)), **bad)


def test_estimators_remember_the_names_that_moments_know(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rng.normal(size=(60, 16))).rename(columns="p{}".format)
    moments = Moments.from_data(frame)
    fitted = (LinearMAE(2, patch=2).fit_moments(moments), PatchOutlierDetector(2).fit_moments(moments))
    for model, use in zip(fitted, ("transform", "predict"), strict=True):
        assert list(model.feature_names_in_) == list(frame.columns)
        getattr(model, use)(frame)  # warnings are errors
        with pytest.raises(ValueError, match="must be in the same order"):
            getattr(model, use)(frame.iloc[:, ::-1])
        model.fit_moments(Moments.from_data(frame.to_numpy()[:, :8]))
        assert not hasattr(model, "feature_names_in_")


def test_pickle_keeps_everything(rng):
    moments = Moments.from_data(rng.normal(size=(30, 4)))
    back = pickle.loads(pickle.dumps(moments))
    np.testing.assert_array_equal(back.second, moments.second)
    assert sum([moments, moments]).n == 60
    alone = sum([moments])
    alone.update(rng.normal(size=(5, moments.n_features)))
    assert (alone.n, moments.n) == (35, 30)
    assert repr(back) == "Moments(n=30, n_features=4)"


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 1e200])
def test_a_refused_batch_adds_nothing(bad, rng):
    moments = Moments.from_data(rng.normal(size=(30, 4)))
    before = moments.n, moments.second
    X = rng.normal(size=(3000, 4))
    X[2500, 2] = bad
    with pytest.raises(
        ValueError, match=r"infinity: X\[2500, 2\] is|largest absolute value of X is 1.e\+200.*Divide X by"
    ):
        moments.update(X)
    with pytest.raises(ValueError, match=r"infinity|1.e\+200"):
        Moments.from_data(X)
    assert moments.n == before[0]
    np.testing.assert_array_equal(moments.second, before[1])


def test_errors_say_what_to_do(rng):
    small, large = Moments.from_data(rng.normal(size=(5, 4))), Moments.from_data(rng.normal(size=(9, 4)))
    with pytest.raises(ValueError, match="moments of 9 samples from those of 5: subtract a part from its whole"):
        small - large
    with pytest.raises(ValueError, match="n_features is 3 in the other moments and 4 in these moments"):
        small + Moments(3)
    with pytest.raises(ValueError, match="n_features is 2 in X and 4 in these moments"):
        small.update([[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"hold no samples \(n=0\)"):
        Moments(3).second  # noqa: B018
    with pytest.raises(ValueError, match="0 sample"):
        Moments.from_data(np.empty((0, 3)))
    with pytest.raises(TypeError, match="unsupported operand"):
        small + 1


@pytest.fixture
def frames(rng):
    import pandas as pd

    frame = pd.DataFrame(rng.normal(size=(30, 4)), columns=list("abcd"))
    return frame, frame[list("adcb")]


def test_columns_in_another_order_are_not_mixed(frames):
    frame, shuffled = frames
    named, other = Moments.from_data(frame), Moments.from_data(shuffled[:10])
    before = named.second
    kept = (
        named,
        copy.copy(named),
        pickle.loads(pickle.dumps(named)),
        Moments(4).update(frame),
        named + Moments.from_data(frame.to_numpy()),
        Moments.from_data(frame.to_numpy()) + named,
        named - Moments.from_data(frame[:5]),
    )
    for moments in kept:
        message = "are not those of these moments, in their order: column 1 is 'd' there and 'b' here"
        with pytest.raises(ValueError, match=f"The columns of X {message}"):
            moments.update(shuffled)
        for join in (operator.add, operator.sub):
            with pytest.raises(ValueError, match=f"The columns of the other moments {message}"):
                join(moments, other)
    with pytest.raises(ValueError, match="The columns of the other moments"):
        named - Moments.from_data(shuffled)
    assert named.n == 30
    np.testing.assert_array_equal(named.second, before)


def test_columns_without_names_fit_any(frames):
    import pandas as pd

    frame, shuffled = frames
    numbered = pd.DataFrame(shuffled.to_numpy())
    for unnamed in (numbered, shuffled.to_numpy(), shuffled.to_numpy().tolist()):
        joined = Moments.from_data(frame) + Moments.from_data(unnamed)
        assert_moments(joined, np.vstack([frame, shuffled]), 1e-12)
        assert_moments(Moments.from_data(unnamed).update(frame), np.vstack([shuffled, frame]), 1e-12)


def test_pickles_from_before_names_were_kept(frames):
    old = Moments.from_data(frames[0])
    del old.__dict__["_names"]
    back = pickle.loads(pickle.dumps(old))
    assert "_names" not in back.__dict__
    assert back.update(frames[0]).n == 60
    assert (old + back).n == 90


def test_what_was_never_in_the_whole_cannot_be_taken_away(rng):
    whole = Moments.from_data(rng.normal(size=(100, 4)))
    with pytest.raises(ValueError, match="negative variance or weight"):
        whole - Moments.from_data(rng.normal(0, 10, size=(50, 4)))
    X = rng.normal(size=(50, 4))
    with pytest.raises(ValueError, match="negative variance or weight"):
        Moments.from_data(np.vstack([X, X])) - Moments.from_data(X, sample_weight=np.full(50, 10.0))
    with pytest.raises(ValueError, match="weigh a part as it was weighed"):
        Moments.from_data(X, sample_weight=np.full(50, 2.0)) - Moments.from_data(X)


def test_what_is_left_after_several_steps_is_weighed_against_all_there_was(rng):
    parts = [Moments.from_data(rng.normal(size=(50, 4)), sample_weight=np.full(50, w)) for w in (1.0, 1e-5, 1e-10)]
    rest = sum(parts) - parts[0]
    with pytest.raises(ValueError, match=r"a weight of 5e-09 of 50: too little"):
        rest - parts[1]


def test_nothing_is_left_of_moments_less_themselves(rng):
    large, small = rng.normal(1e6, 1e5, size=(100, 4)), rng.normal(size=(50, 4)) * 1e-4
    emptied = Moments.from_data(large) - Moments.from_data(large)
    assert_moments(emptied.update(small), small, 1e-12)


def test_a_copy_is_a_copy(rng):
    moments = Moments.from_data(rng.normal(size=(30, 4)))
    before = moments.second
    copied = copy.copy(moments).update(rng.normal(size=(30, 4)))
    assert (moments.n, copied.n) == (30, 60)
    np.testing.assert_array_equal(moments.second, before)


def test_float32_sums_of_wider_samples_are_about_their_centre(rng):
    """float32 holds these values to a thousand, and their differences to seven digits."""
    X = 1e10 + 3000 * rng.normal(size=(50, 4))
    np.testing.assert_allclose(
        Moments.from_data(X, dtype=np.float32).second, np.cov(X.T, bias=True), rtol=1e-5, atol=1e-2
    )


def test_a_sum_beyond_float64_is_refused():
    half = Moments.from_data(np.array([[8e153], [-8e153], [0.0]]))
    with pytest.raises(
        ValueError, match=r"sums of squares of X are beyond the range of float64. Divide X by a constant"
    ):
        half + half
