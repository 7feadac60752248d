"""Spatial autocorrelation (Fig. 3)."""

from typing import Any, Self

from skmae.inspection._autocorrelation import spatial_autocorrelation
from skmae.inspection._displays._curves import draw_curve


class AutocorrelationDisplay:
    """Correlation between pixels against their distance.

    It is recommended to use `from_samples`.

    Parameters
    ----------
    table : pandas.DataFrame
        As `spatial_autocorrelation` gives it: columns ``distance`` and ``correlation``.
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    See Also
    --------
    spatial_autocorrelation : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skmae.datasets import load_photo_patches, make_ising
    >>> from skmae.inspection import AutocorrelationDisplay
    >>> display = AutocorrelationDisplay.from_samples(load_photo_patches(200).images, name="photographs")
    >>> spins = make_ising(200, size=32, coupling=0.4, ndim=2, random_state=0)
    >>> display = AutocorrelationDisplay.from_samples(spins, name="Ising", ax=display.ax_)
    >>> display.figure_.savefig("autocorrelation.png")  # doctest: +SKIP
    """

    def __init__(self, table: Any, *, name: str | None = None):
        self.table = table
        self.name = name

    @classmethod
    def from_samples(
        cls,
        X: Any,
        image_shape: tuple[int, ...] | None = None,
        *,
        channel_axis: Any = "auto",
        visible: Any = None,
        bin_width: float | None = 1.0,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the autocorrelation of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        image_shape, channel_axis, visible, bin_width
            As in `spatial_autocorrelation`.
        name : str or None, default=None
            For the legend.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        AutocorrelationDisplay
        """
        table = spatial_autocorrelation(X, image_shape, channel_axis=channel_axis, visible=visible, bin_width=bin_width)
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
        labels = {"xlabel": "Distance (pixels)", "ylabel": "Correlation"}
        x, y = self.table["distance"], self.table["correlation"]
        draw_curve(self, x, y, ax=ax, labels=labels, name=self.name, style=kwargs)
        return self
