"""How samples, maps and shapes come in."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.utils import check_array

from skmae._arrays import to_numpy
from skmae._grid import PatchGrid, check_shape, resolve_shape
from skmae._rows import flatten_samples


def read_once(X: Any) -> Any:
    """X in memory, so that whatever follows may look at it again: what can become a NumPy array is one.

    A data frame is left as it is, for the names of its columns.
    """
    if isinstance(X, np.ndarray) or hasattr(X, "columns") or not hasattr(X, "__array__"):
        return X
    return to_numpy(X) if hasattr(X, "__dlpack_device__") else np.asarray(X)


def read_rows(X: ArrayLike, name: str = "X", **checks: Any) -> NDArray[Any]:
    """(n_samples, n_features), checked by scikit-learn's ``check_array``; more axes are flattened."""
    return check_array(flatten_samples(read_once(X))[0], **{"dtype": "numeric", "input_name": name, **checks})


def read_samples(
    X: ArrayLike,
    image_shape: Sequence[int] | None,
    channel_axis: Any,
    patch: Any = 1,
) -> tuple[NDArray[Any], PatchGrid]:
    """Rows (n_samples, n_features), checked, and the grid that each of them is."""
    rows, sample_shape = flatten_samples(read_once(X))
    rows = check_array(rows, dtype="numeric", input_name="X")
    shape, axis = resolve_shape(image_shape, channel_axis, n_features=rows.shape[1], sample_shape=sample_shape)
    return rows, PatchGrid.build(shape, axis, patch)


def grid_of(image_shape: Sequence[int], channel_axis: Any, patch: Any = 1) -> PatchGrid:
    """The grid of samples of which nothing but the shape is known."""
    shape = check_shape(image_shape)
    shape, axis = resolve_shape(shape, channel_axis, n_features=int(np.prod(shape)), sample_shape=shape)
    return PatchGrid.build(shape, axis, patch)


def features_of_pixels(grid: PatchGrid) -> NDArray[np.intp]:
    """(n_pixels, n_channels) the features of each pixel."""
    return np.argsort(grid.pixel_of_feature, kind="stable").reshape(grid.n_pixels, grid.n_channels)


class ReadsOnce(TransformerMixin):
    """A transformer whose `fit_transform` reads X once for `fit` and for `transform`."""

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, and transform the same samples.

        Parameters
        ----------
        X : array-like
            As in `fit`.
        y : array-like or None, default=None
            As in `fit`.

        Returns
        -------
        ndarray
            As `transform` returns.
        """
        X = read_once(X)
        return self.fit(X, y).transform(X)
