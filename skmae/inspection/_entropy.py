"""How far the influence on an output pixel is spread (Eq. 11)."""

from math import log
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, check_non_negative, validate_data

from skmae._compat import Interval, _fit_context
from skmae._estimator import ReadsOnce
from skmae._parameters import GRID
from skmae._samples import Samples, floating_dtype, naming, row_blocks
from skmae._typing import Array, ChannelAxis, Constraints, FloatArray, Floats, RandomState, Shape
from skmae.inspection._inputs import grid_of, read, read_numbers, read_once
from skmae.inspection._jacobian import frozen_basis
from skmae.inspection._plotting import COLOURS, CurveDisplay
from skmae.inspection._protocol import Reconstructor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 40  # of a histogram
_ROUNDING = 1e-9  # nats, by which an entropy of zero may be below it


class SpatialEntropy(ClassNamePrefixFeaturesOutMixin, ReadsOnce, BaseEstimator):
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

    _parameter_constraints: Constraints = {
        "image_shape": ["array-like", None],
        "channel_axis": GRID["channel_axis"],
        "power": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, image_shape: Shape | None = None, *, channel_axis: ChannelAxis = "auto", power: float = 1):
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.power = power

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
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
        self.n_pixels_ = self._count_pixels(self._check(X, reset=True).shape[1])
        return self

    def transform(self, X: ArrayLike) -> Floats:
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
        maps = self._check(X, reset=False)
        n_pixels = self._count_pixels(maps.shape[1])
        out = np.empty((len(maps), maps.shape[1] // n_pixels), floating_dtype(maps))
        for rows in row_blocks(len(maps)):
            out[rows] = self._entropies(maps[rows].reshape(-1, n_pixels)).reshape(-1, out.shape[1])
        return out

    def effective_pixels(self, X: ArrayLike) -> Floats:
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

    def _entropies(self, maps: Array) -> FloatArray:
        maps = maps.astype(np.float64)
        largest = maps.max(axis=1, keepdims=True)
        maps /= np.where(largest > 0, largest, 1)  # so that no power overflows
        maps **= float(self.power)
        total = maps.sum(axis=1, keepdims=True)
        maps /= np.where(total > 0, total, 1)
        return np.clip(entr(maps).sum(axis=1), 0, np.log(maps.shape[1]))

    def _as_samples(self, X: Any) -> Samples:
        return read(X, reader=type(self).__name__)

    def _check(self, X: ArrayLike, *, reset: bool) -> Array:
        with naming("X", "maps laid end to end in each row, (n_samples, n_maps * n_pixels): maps.reshape(n, -1)"):
            maps = validate_data(self, read_once(X), reset=reset, dtype="numeric")
        check_non_negative(maps, type(self).__name__)
        return maps

    def _count_pixels(self, width: int) -> int:
        if self.image_shape is None:
            return width
        n_pixels = grid_of(self.image_shape, self.channel_axis).n_pixels
        if width % n_pixels:
            raise ValueError(
                f"X has {width} columns, which is not a multiple of the {n_pixels} pixels of image_shape="
                f"{tuple(self.image_shape)}. Rows must be whole maps laid end to end, one value per pixel (channels "
                f"summed), as JacobianBasis gives them; pass the image_shape and channel_axis that they were made with."
            )
        return n_pixels

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self, "n_pixels_")
        return self.n_features_in_ // self.n_pixels_

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.positive_only = True
        tags.requires_fit = False
        return tags


class SpatialEntropyDisplay(CurveDisplay):
    """Histogram of the spatial entropy of output pixels.

    It is recommended to use `from_estimator`. Models are compared in one axes: pass ``ax=display.ax_`` to the next.

    Parameters
    ----------
    entropies : array-like
        Of all maps, in nats; its shape does not matter.
    n_pixels : int
        Pixels of a map: entropies are at most log(n_pixels).
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    patches_ : list of matplotlib Polygon

    See Also
    --------
    SpatialEntropy : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.inspection import SpatialEntropyDisplay
    >>> X = load_digits().images
    >>> ax = None
    >>> for patch in (1, 2, 4):
    ...     mae = LinearMAE(16, patch=patch).fit(X)
    ...     display = SpatialEntropyDisplay.from_estimator(mae, X[:1], name=f"patch {patch}", ax=ax)
    ...     ax = display.ax_
    >>> display.figure_.savefig("entropy.png")  # doctest: +SKIP
    """

    _labels = {"xlabel": "Spatial entropy (nats)", "ylabel": "Density of output pixels"}

    def __init__(self, entropies: ArrayLike, n_pixels: int, *, name: str | None = None):
        self.entropies = entropies
        self.n_pixels = n_pixels
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Reconstructor,
        X: ArrayLike,
        *,
        outputs: ArrayLike = "all",
        visible: ArrayLike | None = None,
        n_masks: int = 1,
        power: float = 1,
        random_state: RandomState = None,
        name: str | None = None,
        ax: "Axes | None" = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the entropies of a fitted autoencoder's influence maps.

        Parameters
        ----------
        estimator : fitted autoencoder
            As for `JacobianBasis`.
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Samples that Jacobians are taken at; one is enough for a linear model.
        outputs, visible, n_masks, random_state
            As in `JacobianBasis`.
        power : float, default=1
            As in `SpatialEntropy`.
        name : str or None, default=None
            For the legend; None takes the estimator's class.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.hist``.

        Returns
        -------
        SpatialEntropyDisplay
        """
        basis = frozen_basis(estimator, outputs=outputs, visible=visible, n_masks=n_masks, random_state=random_state)
        maps = basis.fit_transform(X)
        n_pixels = maps.shape[1] // len(basis.outputs_)
        entropies = SpatialEntropy((n_pixels,), power=power).fit_transform(maps)
        name = type(estimator).__name__ if name is None else name
        return cls(entropies, n_pixels, name=name).plot(ax=ax, **kwargs)

    def _draw(self, style: dict[str, Any]) -> None:
        if not isinstance(self.n_pixels, Integral) or self.n_pixels < 1:
            raise ValueError(f"n_pixels={self.n_pixels!r} must be a whole number >= 1: the pixels of a map.")
        most = log(self.n_pixels) or 1.0
        drawn = len(self.ax_.patches)
        defaults = {"histtype": "stepfilled", "alpha": 0.5, "density": True, "label": self.name}
        defaults |= {"bins": np.linspace(0, most, _BINS + 1), "color": COLOURS[drawn % len(COLOURS)]}
        values = np.minimum(read_numbers(self.entropies, "entropies").ravel(), most)
        if not np.isfinite(values).any():
            raise ValueError(f"entropies holds no number, but {self.entropies!r}. Pass what SpatialEntropy gives.")
        if np.nanmin(values) < -_ROUNDING:
            least = f"{np.nanmin(values):.3g}"
            raise ValueError(f"entropies holds {least}, but no entropy is below 0. Pass what SpatialEntropy gives.")
        self.patches_ = self.ax_.hist(values, **{**defaults, **style})[2]
        if not drawn:
            self.ax_.axvline(most, color="0.4", linestyle="--", linewidth=1, label="uniform")
        self.ax_.legend()
