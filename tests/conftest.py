"""Set up what has to be set before anything is imported, and shared data."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # or scikit-learn's array API checks skip themselves
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("skmae", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("skmae")


def pytest_addoption(parser):
    parser.addoption("--strict-floats", action="store_true", help="NumPy raises at overflow, underflow and the like")


@pytest.fixture(autouse=True)
def strict_floats(request):
    """With --strict-floats, what NumPy could warn of is an error; for the linear half."""
    if not request.config.getoption("--strict-floats"):
        yield
        return
    with np.errstate(all="raise"):
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class RecordingArray:
    """Samples that count how often they are read, and that nothing but reading gives away."""

    def __init__(self, values):
        self._values = np.array(values)
        self.shape, self.dtype, self.ndim = self._values.shape, self._values.dtype, self._values.ndim
        self.reads = 0

    def __len__(self):
        return len(self._values)

    def __array__(self, dtype=None, copy=None):
        self.reads += 1
        return np.array(self._values, dtype=dtype)

    def __getitem__(self, key):
        self.reads += 1
        return self._values[key].copy()


@pytest.fixture
def recording():
    """Makes arrays whose ``reads`` count calls of ``__array__`` and ``__getitem__``."""
    return RecordingArray


@pytest.fixture(scope="session")
def cifar10_small():
    """(X_train, X_test): 5,000 and 1,000 CIFAR-10 images as uint8."""
    folder = os.environ.get("SKMAE_DATA")
    path = os.path.join(folder or "", "cifar10_small.npz")
    if not folder or not os.path.exists(path):
        pytest.skip(reason="SKMAE_DATA names no folder with cifar10_small.npz")
    with np.load(path) as file:
        return file["x_train"], file["x_test"]


@pytest.fixture(scope="session")
def photos():
    """(X_train, X_test): patches of different photographs as uint8."""
    pytest.importorskip("skimage", reason="load_photo_patches needs scikit-image")
    from skmae.datasets import load_photo_patches

    train = load_photo_patches(4000, size=16)
    test = load_photo_patches(1000, size=16, subset="test")
    return train.images, test.images
