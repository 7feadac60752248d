"""Similarity of many representations."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from skmae.inspection._cka import linear_cka
from skmae.inspection._displays._pictures import axes_for, image_style, write_numbers


class CKADisplay:
    """Linear CKA of each of some representations with each of others.

    It is recommended to use `from_features`.

    Parameters
    ----------
    similarities : ndarray of shape (n_rows, n_columns)
    row_names, column_names : sequence of str

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_rows, n_columns)
        The number in each cell, a matplotlib Text.

    See Also
    --------
    linear_cka : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.inspection import CKADisplay
    >>> X = load_digits().images
    >>> features = {f"mask {mask}": LinearMAE(8, mask=mask, patch=2).fit_transform(X) for mask in (0, 0.5, 0.9)}
    >>> display = CKADisplay.from_features(features)
    >>> display.similarities.shape
    (3, 3)
    """

    def __init__(self, similarities: Any, *, row_names: Any, column_names: Any):
        self.similarities = similarities
        self.row_names = row_names
        self.column_names = column_names

    @classmethod
    def from_features(
        cls,
        features: Mapping[str, Any],
        others: Mapping[str, Any] | None = None,
        *,
        unbiased: bool = True,
        batch_size: int | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Compare representations of the same samples.

        Parameters
        ----------
        features : dict of str to array-like of shape (n_samples, n_features)
            One row of the picture each.
        others : dict of str to array-like or None, default=None
            One column each; None compares `features` with themselves.
        unbiased, batch_size
            As in `linear_cka`.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        CKADisplay

        Raises
        ------
        ValueError
            If there is nothing to compare; for the same faults of representations as `linear_cka`.
        """
        columns = features if others is None else others
        for name, representations in (("features", features), ("others", columns)):
            if not representations:
                raise ValueError(f"{name} is empty: pass one representation at least, as in {{'pca': X_pca}}.")
        similarities = np.array(
            [
                [linear_cka(a, b, unbiased=unbiased, batch_size=batch_size) for b in columns.values()]
                for a in features.values()
            ]
        )
        return cls(similarities, row_names=list(features), column_names=list(columns)).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        self
        """
        values = np.asarray(self.similarities, dtype=float)
        size = (2.2 + 0.8 * values.shape[1], 1.6 + 0.6 * values.shape[0])
        self.figure_, self.ax_ = axes_for(ax, type(self).__name__, figsize=size)
        style = image_style({"cmap": "viridis", "vmin": 0, "vmax": 1, "aspect": "auto"}, kwargs)
        self.im_ = self.ax_.imshow(values, **style)
        self.ax_.set_xticks(range(values.shape[1]), self.column_names, rotation=45, ha="right")
        self.ax_.set_yticks(range(values.shape[0]), self.row_names)
        self.text_ = write_numbers(self.ax_, self.im_, values, "{:.2f}")
        self.figure_.colorbar(self.im_, ax=self.ax_, label="Linear CKA")
        return self
