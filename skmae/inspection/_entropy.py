"""How far the influence on an output pixel is spread (Eq. 11)."""

from math import prod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy.special import entr
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from skmae._compat import Interval, _fit_context
from skmae._constraints import GRID
from skmae._grid import resolve_shape
from skmae._rows import floating_dtype, row_blocks


class SpatialEntropy(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Spatial entropy of non-negative maps.

    H = −Σ p_i log p_i with p_i = m_i^power / Σ_j m_j^power over the pixels of a map m (Eq. 11): 0 if one pixel counts,
    log(n_pixels) if all count alike. It learns nothing from the data.

    Parameters
    ----------
    image_shape : tuple of int or None, default=None
        Shape of the samples that the maps belong to, channels included. Maps have one value per pixel. None takes each
        row as one map.
    channel_axis : "auto", int or None, default="auto"
        Axis of `image_shape` that holds the channels, of which maps have none. None: there are none.
    power : float, default=1
        What maps are raised to: 1 weighs by ``|J|``, 2 by its square.

    Attributes
    ----------
    n_pixels_ : int
        Values of one map.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    See Also
    --------
    JacobianBasis : Makes such maps.

    Notes
    -----
    A map of zeros has no distribution; its entropy is given as 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae import SpatialEntropy
    >>> maps = np.array([[1.0, 1, 1, 1, 5, 0, 0, 0]])  # two maps of 4 pixels
    >>> SpatialEntropy((2, 2)).fit_transform(maps).round(4)  # log(4), and 0
    array([[1.3863, 0.    ]])
    >>> SpatialEntropy((2, 2)).effective_pixels(maps)
    array([[4., 1.]])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "image_shape": ["array-like", None],
        "channel_axis": GRID["channel_axis"],
        "power": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, image_shape: tuple[int, ...] | None = None, *, channel_axis: Any = "auto", power: float = 1):
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.power = power

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Check the maps; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_maps * n_pixels)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds negative numbers, NaN or infinity, or its width is not a multiple of a map's.
        """
        X = self._check(X, reset=True)
        self.n_pixels_ = self._count_pixels(X.shape[1])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Entropy of each map, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_maps * n_pixels)

        Returns
        -------
        ndarray of shape (n_samples, n_maps)
            From 0 to log(n_pixels), up to rounding; float32, or float64 where X is.

        Raises
        ------
        ValueError
            For the same faults of X as `fit`.
        """
        X = self._check(X, reset=False)
        n_pixels = self._count_pixels(X.shape[1])
        out = np.empty((len(X), X.shape[1] // n_pixels), floating_dtype(X))
        for rows in row_blocks(len(X)):
            out[rows] = self._entropies(X[rows].reshape(-1, n_pixels)).reshape(-1, out.shape[1])
        return out

    def effective_pixels(self, X: Any) -> np.ndarray:
        """Number of pixels that a uniform map of the same entropy has: exp(H).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_maps * n_pixels)

        Returns
        -------
        ndarray of shape (n_samples, n_maps)
            From 1 to n_pixels.

        Raises
        ------
        ValueError
            For the same faults of X as `fit`.
        """
        return np.exp(self.transform(X))

    def _entropies(self, maps: np.ndarray) -> np.ndarray:
        maps = maps.astype(np.float64)
        maps /= np.maximum(maps.max(axis=1, keepdims=True), np.finfo(float).tiny)  # no power over- or underflows
        maps **= self.power
        maps /= np.maximum(maps.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        return np.clip(entr(maps).sum(axis=1), 0, np.log(maps.shape[1]))

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        X = validate_data(self, X, reset=reset, dtype="numeric")
        check_non_negative(X, type(self).__name__)
        return X

    def _count_pixels(self, width: int) -> int:
        if self.image_shape is None:
            return width
        shape = tuple(self.image_shape)
        if not shape or not all(isinstance(size, Integral) and size >= 1 for size in shape):
            raise ValueError(
                f"image_shape={self.image_shape!r} is not a shape: pass whole numbers >= 1, as in (32, 32)."
            )
        _, channels = resolve_shape(shape, self.channel_axis, n_features=prod(shape), sample_shape=None)
        n_pixels = prod(shape) // (1 if channels is None else shape[channels])
        if width % n_pixels:
            raise ValueError(
                f"X has {width} columns, which is not a multiple of the {n_pixels} pixels of image_shape={shape}. Rows "
                f"must be whole maps laid end to end, one value per pixel (channels summed), as JacobianBasis gives "
                f"them; pass the image_shape and channel_axis that they were made with."
            )
        return n_pixels

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self, "n_pixels_")
        return self.n_features_in_ // self.n_pixels_

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.positive_only = True
        tags.requires_fit = False
        return tags
