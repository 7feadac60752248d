"""Similarity of representations."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from skmae._linalg import divide, power_of_two
from skmae._samples import row_blocks
from skmae._typing import Array, FloatArray
from skmae.inspection._inputs import read_names, read_numbers, read_rows
from skmae.inspection._plotting import ImageDisplay, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEWEST = {True: 4, False: 2}  # samples that the unbiased and the biased form need


@validate_params({"unbiased": ["boolean"]}, prefer_skip_nested_validation=True)
def linear_cka(X: ArrayLike, Y: ArrayLike, *, unbiased: bool = True, batch_size: int | None = None) -> float:
    """Linear centred kernel alignment of two representations of the same samples [1]_.

    HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y)): 1 if they are the same up to rotation and scale, 0 if unrelated.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        More axes are flattened.
    Y : array-like of shape (n_samples, n_other_features)
    unbiased : bool, default=True
        Use the unbiased estimate of HSIC [2]_, which does not grow with the number of features; it can be slightly
        negative. False takes the biased one, from 0 to 1.
    batch_size : int or None, default=None
        Average HSIC over batches of so many samples, in the order that they come in [3]_; samples left over that are
        too few for a batch of their own are not used. None takes all at once.

    Returns
    -------
    float
        0 where X or Y is constant: never NaN.

    Raises
    ------
    ValueError
        If X and Y differ in their number of samples, hold NaN, or have fewer samples than the estimate needs (4, or
        2 for the biased one).

    See Also
    --------
    skmae.inspection.CKADisplay : All pairs of many representations.

    References
    ----------
    .. [1] Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019.
    .. [2] Song et al., "Feature Selection via Dependence Maximization", JMLR 2012.
    .. [3] Nguyen, Raghu and Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skmae.inspection import linear_cka
    >>> X = load_digits().data
    >>> round(linear_cka(X, PCA(64).fit_transform(X)), 6)  # a rotation
    1.0
    >>> round(linear_cka(X, PCA(4).fit_transform(X)), 2)
    0.9
    """
    return _similarity(read_rows(X), read_rows(Y, "Y"), unbiased, batch_size)


def _similarity(X: Array, Y: Array, unbiased: bool, batch_size: int | None) -> float:
    """`linear_cka` of rows that were read and checked."""
    if len(X) != len(Y):
        raise ValueError(f"X has {len(X)} samples and Y {len(Y)}: pass two representations of the same samples.")
    fewest = _FEWEST[bool(unbiased)]
    size = len(X) if batch_size is None else batch_size
    if not isinstance(size, Integral) or size < fewest or len(X) < fewest:
        raise ValueError(
            f"{len(X)} samples in batches of {batch_size}: {fewest} of each are needed at least "
            f"{'' if not unbiased else '(2 with unbiased=False)'}. Pass more samples, or a larger batch_size."
        )
    xy = xx = yy = 0.0
    scales = power_of_two(X), power_of_two(Y)  # of all batches alike, so that nothing overflows; it cancels
    for rows in row_blocks(len(X), int(size)):
        if rows.stop - rows.start < fewest:
            continue
        x, y = (_centred(divide(features[rows], scale)) for features, scale in zip((X, Y), scales, strict=True))
        xy, xx, yy = xy + _hsic(x, y, unbiased), xx + _hsic(x, x, unbiased), yy + _hsic(y, y, unbiased)
    if min(xx, yy) <= 0:
        return 0.0
    return float(np.clip(xy / np.sqrt(xx) / np.sqrt(yy), -1, 1))


def _centred(X: FloatArray) -> FloatArray:
    """Columns of mean zero, constant ones exactly zero."""
    largest = np.abs(X).max(axis=0)
    X -= X.mean(axis=0)
    X[:, np.abs(X).max(axis=0) <= 1e-12 * largest] = 0
    return X


def _hsic(X: FloatArray, Y: FloatArray, unbiased: bool) -> float:
    """HSIC of centred features, whose kernels K = X Xᵀ and L = Y Yᵀ are never formed where features are fewer.

    With K̃ = K - diag(k): K̃ 1 = -k, 1ᵀ K̃ 1 = -Σ k, and tr(K̃ L̃) = ‖Xᵀ Y‖² - k·l.
    """
    n = len(X)
    together = np.sum((X.T @ Y) ** 2) if X.shape[1] * Y.shape[1] <= n * n else np.sum((X @ X.T) * (Y @ Y.T))
    if not unbiased:
        return float(together) / (n - 1) ** 2
    k, ell = (np.einsum("nd,nd->n", features, features) for features in (X, Y))
    trace = together - k @ ell
    return float(trace + k.sum() * ell.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ ell)) / (n * (n - 3))


class CKADisplay(ImageDisplay):
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

    def __init__(self, similarities: ArrayLike, *, row_names: Sequence[str], column_names: Sequence[str]):
        self.similarities = similarities
        self.row_names = row_names
        self.column_names = column_names

    @classmethod
    def from_features(
        cls,
        features: Mapping[str, ArrayLike],
        others: Mapping[str, ArrayLike] | None = None,
        *,
        unbiased: bool = True,
        batch_size: int | None = None,
        ax: "Axes | None" = None,
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
        for name, representations in (("features", features), ("others", others)):
            is_left_out = name == "others" and representations is None
            if not is_left_out and not isinstance(representations, Mapping):
                raise TypeError(
                    f"{name} must be a dict of representations by name, as in {{'pca': X_pca}}; got "
                    f"{type(representations).__name__}."
                )
            if representations is not None and not representations:
                raise ValueError(f"{name} is empty: pass one representation at least, as in {{'pca': X_pca}}.")
        rows = {name: read_rows(values, "X") for name, values in features.items()}
        compared = (
            rows
            if others is None
            else {name: read_rows(values, f"others[{name!r}]") for name, values in others.items()}
        )
        similarities = np.array(
            [[_similarity(x, y, unbiased, batch_size) for y in compared.values()] for x in rows.values()]
        )
        return cls(similarities, row_names=list(rows), column_names=list(compared)).plot(ax=ax, **kwargs)

    def _picture(self) -> Picture:
        rows, columns = read_names(self.row_names, "row_names"), read_names(self.column_names, "column_names")
        why = ", a row for each of row_names and a column for each of column_names"
        values = read_numbers(self.similarities, "similarities", (len(rows), len(columns)), why)
        size = (2.2 + 0.8 * values.shape[1], 1.6 + 0.6 * values.shape[0])
        style = {"cmap": "viridis", "vmin": 0, "vmax": 1, "aspect": "auto"}
        return Picture(values, size, style, bar={"label": "Linear CKA"})

    def _annotate(self) -> None:
        self._name_cells(self.row_names, self.column_names, rotation=45, ha="right")
        self._write_cells(read_numbers(self.similarities, "similarities"), "{:.2f}")
