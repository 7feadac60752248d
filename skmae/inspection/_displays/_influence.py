"""Influence against distance (Figs. 5 and 6)."""

from typing import Any, Self

from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skmae.inspection._displays._curves import draw_curve
from skmae.inspection._influence import influence_by_distance
from skmae.inspection._jacobian import JacobianBasis, check_reconstructor


class InfluenceDisplay:
    """Mean influence of an input pixel against its distance from the output pixel.

    It is recommended to use `from_estimator` or `from_maps`. Models are compared in one axes: pass
    ``ax=display.ax_`` to the next.

    Parameters
    ----------
    table : pandas.DataFrame
        As `influence_by_distance` gives it: columns ``distance`` and ``influence``.
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    See Also
    --------
    influence_by_distance : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearAE, LinearMAE
    >>> from skmae.inspection import InfluenceDisplay
    >>> X = load_digits().images
    >>> display = InfluenceDisplay.from_estimator(LinearAE(16).fit(X), X[:1])
    >>> display = InfluenceDisplay.from_estimator(LinearMAE(16, patch=2).fit(X), X[:1], ax=display.ax_)
    >>> display.figure_.savefig("influence.png")  # doctest: +SKIP
    """

    def __init__(self, table: Any, *, name: str | None = None):
        self.table = table
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
        bin_width: float | None = 1.0,
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the influence curve of a fitted autoencoder.

        Parameters
        ----------
        estimator : fitted autoencoder
            As for `JacobianBasis`.
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Samples that Jacobians are taken at; one is enough for a linear model.
        outputs, visible, n_masks, random_state
            As in `JacobianBasis`.
        bin_width : float or None, default=1.0
            As in `influence_by_distance`.
        name : str or None, default=None
            For the legend; None takes the estimator's class.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        InfluenceDisplay
        """
        check_reconstructor(estimator)
        check_is_fitted(estimator)
        basis = JacobianBasis(
            FrozenEstimator(estimator), outputs=outputs, visible=visible, n_masks=n_masks, random_state=random_state
        ).fit(X)
        return cls.from_maps(
            basis.transform(X),
            basis.image_shape_,
            outputs=outputs,
            channel_axis=basis.channel_axis_,
            bin_width=bin_width,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_maps(
        cls,
        maps: Any,
        image_shape: tuple[int, ...],
        *,
        outputs: Any = "all",
        channel_axis: Any = "auto",
        bin_width: float | None = 1.0,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the influence curve of maps that `JacobianBasis` made.

        Parameters
        ----------
        maps : array-like of shape (n_samples, n_outputs * n_pixels)
        image_shape, outputs, channel_axis, bin_width
            As in `influence_by_distance`.
        name : str or None, default=None
            For the legend.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        InfluenceDisplay
        """
        table = influence_by_distance(
            maps, image_shape, outputs=outputs, channel_axis=channel_axis, bin_width=bin_width
        )
        return cls(table, name=name).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        self
        """
        labels = {"xlabel": "Distance (pixels)", "ylabel": "Influence (share per pixel)", "yscale": "log"}
        x, y = self.table["distance"], self.table["influence"]
        draw_curve(self, x, y, ax=ax, labels=labels, name=self.name, style=kwargs)
        return self
