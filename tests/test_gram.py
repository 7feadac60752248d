"""8-bit arithmetic gives the sums that int64 gives, and is used only where it is right and fast."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context

from skmae import LinearMAE, Moments, _gram
from skmae._device_samples import DeviceSamples
from skmae._gram import GramSum, products, takes_eight_bit
from skmae._reading import read_samples


@pytest.fixture(autouse=True)
def forget_the_trial():
    _gram._eight_bit_product.cache_clear()
    yield
    _gram._eight_bit_product.cache_clear()


def take_eight_bit(monkeypatch):
    """Take 8-bit arithmetic where it is right, however slow it is."""
    _gram._eight_bit_product.cache_clear()
    monkeypatch.setattr(_gram, "_FAST", np.inf)
    monkeypatch.setattr(_gram, "_least_seconds", lambda _: 1.0)
    if not takes_eight_bit(1, 1):
        pytest.skip("this processor's 8-bit products saturate")


@pytest.fixture
def _eight_bit(monkeypatch):
    take_eight_bit(monkeypatch)


def whole_numbers(X):
    """n, Σ x and Σ x xᵀ in int64."""
    X = X.reshape(len(X), -1).astype(np.int64)
    return len(X), X.sum(axis=0), X.T @ X


def assert_exact(moments, X):
    n, first, second = whole_numbers(X)
    assert_allclose(moments.mean, first / n, rtol=0, atol=1e-13)
    assert_array_equal(moments.second, (n * second - np.outer(first, first)) / n**2)


@pytest.mark.usefixtures("_eight_bit")
@pytest.mark.parametrize("shape", [(2, 1), (3, 7), (17, 770), (300, 33), (1030, 5)])
def test_sums_of_blocks_are_those_of_int64(shape, rng):
    X = rng.integers(-128, 128, shape, dtype=np.int8)
    X[::2] = 127
    target = np.ones((shape[1], shape[1]), order="F")
    total = GramSum(target, exact=True)
    assert total.add(X)
    assert total.add(X[:1])
    total.flush()
    Z = X.astype(np.int64)
    assert_array_equal(np.tril(target), np.tril(1 + Z.T @ Z + Z[:1].T @ Z[:1]))
    assert_array_equal(products(X, X[:, :1]), Z.T @ Z[:, :1])


@pytest.mark.usefixtures("_eight_bit")
@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "read-only"])
def test_moments_of_extreme_samples(dtype, layout, rng, monkeypatch):
    low, high = (0, 2) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    X = rng.integers(low, high, (3000, 12)).astype(dtype)
    X[:2000:2] = high - 1
    X = {"C": X, "F": np.asfortranarray(X), "strided": np.repeat(X, 2, axis=1)[:, ::2], "read-only": X}[layout]
    X.flags.writeable = layout != "read-only"
    before = X.copy()
    monkeypatch.setattr("skmae._samples.BLOCK_ROWS", 16)
    assert_exact(Moments.from_data(X), X)
    assert_exact(Moments.from_data(X, batch_size=13), X)
    assert_exact(Moments.from_batches(np.array_split(X, 7)), X)
    assert_array_equal(X, before)


@pytest.mark.usefixtures("_eight_bit")
def test_no_sum_of_32_bits_overflows():
    X = np.full((2**17 + 5, 2), 0, np.uint8)  # −128 less the mid-point: 2¹⁷ of their squares are 2³¹
    X[-1] = 255
    assert_exact(Moments.from_data(X, batch_size=2**20), X)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_samples_with_holes(dtype, rng, monkeypatch):
    X = np.ma.masked_array(rng.integers(0, 256, (50, 6)).astype(dtype), rng.random((50, 6)) < 0.2)
    expected = Moments.from_data(X)
    take_eight_bit(monkeypatch)
    found = Moments.from_data(X)
    seen = ~X.mask[X.mask.any(axis=1)]
    assert_array_equal(found._pairs.counts, seen.T.astype(int) @ seen)
    assert_allclose(found._pairs.firsts, expected._pairs.firsts, rtol=1e-12)
    assert_allclose(found.second, expected.second, rtol=1e-12, atol=1e-10)


def test_weighted_samples_are_not_multiplied_in_8_bits(rng, monkeypatch):
    take_eight_bit(monkeypatch)
    monkeypatch.setattr(_gram.GramSum, "_add_eight_bit", None)
    X = rng.integers(0, 256, (40, 3), dtype=np.uint8)
    w = rng.random(40)
    assert np.allclose(Moments.from_data(X, sample_weight=w).second, np.cov(X.T, aweights=w, bias=True))


def saturating(A, B):
    """As processors with neither VNNI nor AMX add: products of unsigned numbers, neighbours in 16 bits."""
    unsigned, signed = A.to(torch.int64) + 128, B.to(torch.int64)
    terms = torch.nn.functional.pad(unsigned[:, :, None] * signed, (0, 0, 0, len(B) % 2))
    neighbours = terms.unflatten(1, (-1, 2)).sum(2).clamp(-(2**15), 2**15 - 1)
    return (neighbours.sum(1) - 128 * signed.sum(0)).to(torch.int32)


def missing(A, B):
    raise NotImplementedError("_int_mm is not implemented")


@pytest.mark.parametrize("broken", [saturating, missing], ids=["saturating", "missing"])
def test_a_wrong_product_is_found_out(broken, monkeypatch):
    monkeypatch.setattr(_gram, "_is_fast", lambda _: True)
    monkeypatch.setattr(torch, "_int_mm", broken)
    assert not takes_eight_bit(10**6, 10**6)


def test_a_slow_product_is_left_alone(monkeypatch):
    monkeypatch.setattr(_gram, "_least_seconds", lambda _: 1.0)
    assert not takes_eight_bit(10**6, 10**6)


def test_without_a_product_the_text_says_so(monkeypatch):
    monkeypatch.setattr(_gram, "_is_fast", lambda _: False)
    with pytest.raises(TypeError, match="takes_eight_bit"):
        products(np.zeros((2, 2), np.int8), np.zeros((2, 2), np.int8))


def run_alone(code, **environment):
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


EXACT = """
    import numpy as np
    {before}
    from skmae import Moments, _gram
    X = np.random.default_rng(0).integers(0, 256, (3000, 40), dtype=np.uint8)
    X[::2] = 255
    Z = X.astype(np.int64)
    expected = (len(X) * Z.T @ Z - np.outer(Z.sum(0), Z.sum(0))) / len(X) ** 2
    is_exact = np.array_equal(Moments.from_data(X).second, expected)
    print(is_exact, _gram.takes_eight_bit(*X.shape))
"""


@pytest.mark.parametrize(
    ("before", "environment"),
    [
        ("import torch", {"ONEDNN_MAX_CPU_ISA": "AVX2"}),  # before VNNI: wrong, or slow
        ("import torch; torch.backends.mkldnn.set_flags(False)", {}),
    ],
)
def test_the_fall_back_is_exact(before, environment):
    assert run_alone(EXACT.format(before=before), **environment) == "True False"


def test_pytorch_is_imported_where_samples_repay_it():
    code = """
        import sys
        import numpy as np
        from skmae import Moments, _gram
        Moments.from_data(np.zeros((100, 10), np.uint8))
        for n_features in (10, 3072, 12_288):
            _gram.takes_eight_bit(50_000, n_features)
            print("torch" in sys.modules)
    """
    assert run_alone(code).split() == ["False", "False", "True"]


def test_models_are_the_same_in_either_arithmetic(rng, monkeypatch):
    X = rng.integers(0, 256, (60, 16), dtype=np.uint8)
    ours = LinearMAE(4, patch=2).fit(X)
    take_eight_bit(monkeypatch)
    theirs = LinearMAE(4, patch=2).fit(X)
    assert_array_equal(ours.components_, theirs.components_)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
@pytest.mark.parametrize("shape", [(5, 3), (40, 8), (17, 33)])
def test_tensors_on_a_device(dtype, shape, rng, monkeypatch):
    """A CPU takes the path of CUDA, zeros and all, if it is said to be none."""
    take_eight_bit(monkeypatch)
    low, high = (0, 2) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
    X = rng.integers(low, high, shape).astype(dtype)
    monkeypatch.setattr(_gram, "EIGHT_BIT_ROWS", 16)
    with config_context(array_api_dispatch=True):
        samples = read_samples(torch.from_numpy(X), "Moments")
        on_device = DeviceSamples(samples.library.adopt(X), library=samples.library)
        moments = Moments._of(on_device)
    assert_exact(moments, X)
    assert moments._exact


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("shape", [(5, 3), (3000, 100)])
def test_tensors_on_cuda(shape, rng):
    X = rng.integers(0, 256, shape, dtype=np.uint8)
    with config_context(array_api_dispatch=True):
        assert_exact(Moments.from_data(torch.from_numpy(X).cuda()), X)
