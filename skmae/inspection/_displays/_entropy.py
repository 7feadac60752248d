"""Histograms of spatial entropy (Figs. 9 and 13)."""

from math import log
from typing import Any, Self

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skmae.inspection._displays._curves import COLOURS
from skmae.inspection._displays._pictures import axes_for
from skmae.inspection._entropy import SpatialEntropy
from skmae.inspection._jacobian import JacobianBasis, check_reconstructor

_BINS = 40


class SpatialEntropyDisplay:
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

    def __init__(self, entropies: Any, n_pixels: int, *, name: str | None = None):
        self.entropies = entropies
        self.n_pixels = n_pixels
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        outputs: Any = "all",
        visible: Any = None,
        n_masks: int = 1,
        power: float = 1,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
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
        check_reconstructor(estimator)
        check_is_fitted(estimator)
        basis = JacobianBasis(
            FrozenEstimator(estimator), outputs=outputs, visible=visible, n_masks=n_masks, random_state=random_state
        ).fit(X)
        maps = basis.transform(X)
        n_pixels = maps.shape[1] // len(basis.outputs_)
        entropies = SpatialEntropy((n_pixels,), power=power).fit_transform(maps)
        name = type(estimator).__name__ if name is None else name
        return cls(entropies, n_pixels, name=name).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.hist``.

        Returns
        -------
        self
        """
        self.figure_, self.ax_ = axes_for(ax, type(self).__name__, figsize=(5, 3.5))
        most = log(self.n_pixels) or 1.0
        drawn = len(self.ax_.patches)
        style = {"histtype": "stepfilled", "alpha": 0.5, "density": True, "label": self.name}
        style |= {"bins": np.linspace(0, most, _BINS + 1), "color": COLOURS[drawn % len(COLOURS)], **kwargs}
        self.patches_ = self.ax_.hist(np.minimum(np.ravel(self.entropies).astype(np.float64), most), **style)[2]
        if not drawn:
            self.ax_.axvline(most, color="0.4", linestyle="--", linewidth=1, label="uniform")
        self.ax_.set(xlabel="Spatial entropy (nats)", ylabel="Density of output pixels")
        self.ax_.legend()
        return self
