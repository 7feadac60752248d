"""Similarity of representations."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skmae._rows import flatten_samples, row_blocks

_FEWEST = {True: 4, False: 2}  # samples that the unbiased and the biased form need


def linear_cka(X: Any, Y: Any, *, unbiased: bool = True, batch_size: int | None = None) -> float:
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
    X, Y = (check_array(flatten_samples(a)[0], dtype="numeric", input_name=name) for a, name in ((X, "X"), (Y, "Y")))
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
    scales = _size(X), _size(Y)
    for rows in row_blocks(len(X), size):
        if rows.stop - rows.start < fewest:
            continue
        a, b = (_centred(Z[rows]) / scale for Z, scale in zip((X, Y), scales, strict=True))
        xy, xx, yy = xy + _hsic(a, b, unbiased), xx + _hsic(a, a, unbiased), yy + _hsic(b, b, unbiased)
    if min(xx, yy) <= 0:
        return 0.0
    return float(np.clip(xy / np.sqrt(xx) / np.sqrt(yy), -1, 1))


def _centred(X: np.ndarray) -> np.ndarray:
    """Columns of mean zero, constant ones exactly zero."""
    X = X.astype(np.float64)
    size = np.abs(X).max(axis=0)
    X -= X.mean(axis=0)
    X[:, np.abs(X).max(axis=0) <= 1e-12 * size] = 0
    return X


def _size(X: np.ndarray) -> float:
    """The largest value, for all batches alike: the ratio does not see it, and nothing overflows."""
    return max(abs(float(X.max())), abs(float(X.min()))) or 1.0


def _hsic(X: np.ndarray, Y: np.ndarray, unbiased: bool) -> float:
    """HSIC of centred features, whose kernels K = X Xᵀ and L = Y Yᵀ are never formed where features are fewer.

    With K̃ = K - diag(k): K̃ 1 = -k, 1ᵀ K̃ 1 = -Σ k, and tr(K̃ L̃) = ‖Xᵀ Y‖² - k·l.
    """
    n = len(X)
    together = np.sum((X.T @ Y) ** 2) if X.shape[1] * Y.shape[1] <= n * n else np.sum((X @ X.T) * (Y @ Y.T))
    if not unbiased:
        return float(together) / (n - 1) ** 2
    k, ell = (np.einsum("nd,nd->n", a, a) for a in (X, Y))
    trace = together - k @ ell
    return float(trace + k.sum() * ell.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ ell)) / (n * (n - 3))
