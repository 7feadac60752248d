"""Arrays that are not NumPy's: where they live, and the way there and back.

Only with ``sklearn.set_config(array_api_dispatch=True)``; otherwise everything is NumPy's, as in scikit-learn.
"""

from typing import Any, NamedTuple

import numpy as np

from skmae._compat import array_to_numpy, is_numpy_namespace, namespace_and_device, widest_float

_CPU = 1  # kDLCPU of the DLPack standard


class Home(NamedTuple):
    """The library and the device of an array."""

    xp: Any
    device: Any
    on_cpu: bool

    def adopt(self, array: np.ndarray) -> Any:
        """The array in this library, on this device; float64 becomes float32 where the device has no more."""
        if array.dtype == np.float64 and self.wide == self.xp.float32:
            array = array.astype(np.float32)
        return self.xp.asarray(np.ascontiguousarray(array), device=self.device)

    @property
    def wide(self) -> Any:
        """The widest floating-point type of the device."""
        return widest_float(self.xp, self.device)

    def all_finite(self, X: Any) -> bool:
        floating = self.xp.isdtype(X.dtype, "real floating")
        return not floating or bool(self.xp.all(self.xp.isfinite(X)))

    def floating(self, X: Any) -> Any:
        """The floating-point type in which results for `X` are given: float32, or wider where X is."""
        return self.xp.float64 if X.dtype == self.xp.float64 else self.xp.float32

    def project(self, X: Any, components: np.ndarray, mean: np.ndarray) -> tuple[Any, bool]:
        """(X − mean) componentsᵀ, (n, k), where X is, and whether all of it is finite."""
        dtype = self.floating(X)
        encoder = self.xp.astype(self.adopt(components.T), dtype)
        Z = self.xp.astype(X, dtype) @ encoder - self.xp.astype(self.adopt(mean), dtype) @ encoder
        return Z, self.all_finite(Z)


def home_of(X: Any) -> Home | None:
    """Where X lives; None for NumPy arrays, and for everything that is going to be one."""
    if isinstance(X, np.ndarray) or not hasattr(X, "__dlpack_device__"):
        return None
    xp, device = namespace_and_device(X)
    if xp is None or is_numpy_namespace(xp):
        return None
    # array-api-strict's other devices pretend: they, too, answer 1
    return Home(xp, device, int(X.__dlpack_device__()[0]) == _CPU and "cpu" in str(device).lower())


def to_numpy(X: Any) -> np.ndarray:
    """X as a NumPy array; without a copy if it is on the CPU."""
    return X if isinstance(X, np.ndarray) else array_to_numpy(X)


def adopt(array: np.ndarray, home: Home | None) -> Any:
    return array if home is None else home.adopt(array)


def reshape(X: Any, shape: tuple[int, ...]) -> Any:
    home = home_of(X)
    return X.reshape(shape) if home is None else home.xp.reshape(X, shape)
