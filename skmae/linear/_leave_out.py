"""How odd a patch is beside the rest of its sample: it is left out, and predicted from all that is left.

With P = (S + ε (tr S / d) I)⁻¹ and y = x − μ, any features j of a sample have

    x_j − E[x_j | all others] = P_jj⁻¹ (P y)_j,    of covariance P_jj⁻¹,

so that q = (P y)_jᵀ P_jj⁻¹ (P y)_j is χ² with |j| degrees of freedom where samples are Gaussian and ε is small. One P
serves every patch at every place. Real q have longer tails: c times a χ² with ν degrees of freedom has the mean and the
variance of their logarithm, ψ(ν/2) + log 2c and ψ′(ν/2).

A training sample has drawn μ and P towards itself. Without it, y is n / (n − 1) times as large and S is
n / (n − 1) (S − y yᵀ / (n − 1)), so that by Sherman and Morrison, with c = n − 1 − yᵀ P y, its q is
n (n − 1) q / (c (c + q)): what a sample has that is new. (ε tr S / d is taken to grow as S does.)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.special import digamma, polygamma
from scipy.stats import chi2

from skmae._grid import PatchGrid
from skmae._linalg import mirror_lower
from skmae._typing import Array, FloatArray, Floats, IntArray, Shape

_NUMBERS = 2**22  # in a chunk of windows
_LEAST_VARIANCE = 1e-8  # of logarithms: below it χ² theory has 2e8 degrees of freedom


@dataclass(frozen=True)
class Windows:
    """The places of a patch on a grid of pixels: every `stride` pixels from the first, and the last that fits.

    Parameters
    ----------
    grid : PatchGrid
        Its patch is no larger than the grid.
    stride : tuple of int
    """

    grid: PatchGrid
    stride: Shape

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return Windows, (self.grid, self.stride)  # leave what is cached behind

    @cached_property
    def starts(self) -> list[IntArray]:
        """Along each axis, the first pixels of the windows."""
        free = [size - patch for size, patch in zip(self.grid.grid_shape, self.grid.patch_shape, strict=True)]
        return [np.unique([*range(0, last + 1, step), last]) for last, step in zip(free, self.stride, strict=True)]

    @property
    def shape(self) -> Shape:
        """Windows along each axis."""
        return tuple(map(len, self.starts))

    @cached_property
    def features(self) -> IntArray:
        """(n_windows, p) the features of each window."""
        pixels = np.arange(self.grid.n_pixels).reshape(self.grid.grid_shape)
        windows = sliding_window_view(pixels, self.grid.patch_shape)[np.ix_(*self.starts)]
        of_pixel = np.argsort(self.grid.pixel_of_feature, kind="stable").reshape(self.grid.n_pixels, -1)
        features: IntArray = of_pixel[windows.reshape(prod(self.shape), -1)]
        return features.reshape(len(features), -1)

    def largest_at_pixels(self, values: Array) -> Array:
        """For each pixel, the largest value of the windows that cover it.

        Parameters
        ----------
        values : ndarray of shape (m, n_windows)

        Returns
        -------
        ndarray of shape (m, \\*grid_shape)
        """
        values = values.reshape(len(values), *self.shape)
        sizes = zip(self.starts, self.grid.patch_shape, self.grid.grid_shape, strict=True)
        for axis, (starts, patch, size) in enumerate(sizes, 1):
            along = np.moveaxis(values, axis, 0)
            pixels = np.full((size, *along.shape[1:]), -np.inf, values.dtype)
            for start, window in zip(starts, along, strict=True):
                np.maximum(pixels[start : start + patch], window, out=pixels[start : start + patch])
            values = np.moveaxis(pixels, 0, axis)
        return np.ascontiguousarray(values)


def precision_of(S: FloatArray, regularization: float) -> FloatArray:
    """(S + ε (tr S / d) I)⁻¹, (d, d).

    Raises
    ------
    ValueError
        If S is zero, or ε so small that this is singular.
    """
    total = float(np.trace(S))
    if not total:
        raise ValueError("X carries no signal: all samples are equal. Pass samples that differ.")
    A = np.array(S, order="F")
    A[np.diag_indices_from(A)] += regularization * total / len(A)
    L, info = dpotrf(A, lower=1, overwrite_a=1)
    P, failed = dpotri(L, lower=1, overwrite_c=1) if not info else (L, 1)
    if failed or not np.isfinite(P.diagonal()).all():
        raise ValueError(
            f"regularization={regularization} is too small for the second moment of X to be inverted. Pass 1e-4 or "
            f"more, or more samples."
        )
    precision = np.asarray(P)
    mirror_lower(precision)
    return precision


def log_scores(Y: Floats, precision: FloatArray, windows: Windows) -> tuple[Floats, Floats]:
    """log q of each window of centred samples, and yᵀ P y of the whole.

    Parameters
    ----------
    Y : ndarray of float32 or float64 of shape (m, d)
    precision : ndarray of shape (d, d)
    windows : Windows

    Returns
    -------
    ndarrays of shape (m, n_windows) and (m,)
        In the type of Y.
    """
    dtype = Y.dtype
    G = precision.astype(dtype) @ Y.T  # (d, m)
    out = np.empty((len(Y), len(windows.features)), dtype)
    for some in _chunks(windows, len(Y)):
        features = windows.features[some]
        blocks = precision[features[:, :, np.newaxis], features[:, np.newaxis]]  # (w, p, p)
        whiten = np.linalg.inv(np.linalg.cholesky(blocks)).astype(dtype)
        whitened = whiten @ G[features]  # (w, p, m)
        q = np.einsum("wpm,wpm->wm", whitened, whitened)
        out[:, some] = np.log(np.maximum(q, np.finfo(dtype).tiny)).T
    return out, np.einsum("md,dm->m", Y, G)


def without_themselves(values: Floats, squares: Floats, n_training: int) -> Floats:
    """What `log_scores` of training samples would have been, had each not been among the `n_training`."""
    others = n_training - 1
    rest = np.maximum(others - squares, np.finfo(values.dtype).eps)[:, np.newaxis]
    scores: Floats = values + np.log(n_training * others / rest) - np.log(rest + np.exp(values))
    return scores


def _chunks(windows: Windows, n_rows: int) -> Iterator[slice]:
    n_windows, p = windows.features.shape
    size = max(1, _NUMBERS // (p * max(p, n_rows)))
    return (slice(start, start + size) for start in range(0, n_windows, size))


@dataclass(frozen=True)
class LogScores:
    """Mean and standard deviation of log q in each window, (n_windows,), as samples have them, or as theory says."""

    mean: FloatArray
    std: FloatArray

    @classmethod
    def in_theory(cls, windows: Windows) -> "LogScores":
        """Of Gaussian samples."""
        n_windows, p = windows.features.shape
        mean, variance = digamma(p / 2) + np.log(2), polygamma(1, p / 2)
        return cls(np.full(n_windows, mean), np.full(n_windows, np.sqrt(variance)))

    @classmethod
    def of(cls, values: Array) -> "LogScores":
        """Of log scores (m, n_windows)."""
        variance = values.var(axis=0, dtype=np.float64)
        return cls(values.mean(axis=0, dtype=np.float64), np.sqrt(np.maximum(variance, _LEAST_VARIANCE)))

    def standardise(self, values: Array) -> Array:
        """How many standard deviations above the mean."""
        standardised: Array = (values - self.mean.astype(values.dtype)) / self.std.astype(values.dtype)
        return standardised

    def p_values(self, values: Array) -> FloatArray:
        """How probable log scores as large as these are, from the χ² that has their mean and variance."""
        half = _inverse_trigamma(self.std**2)
        p_values: FloatArray = chi2.sf(2 * np.exp(values - self.mean + digamma(half)), 2 * half)
        return p_values

    def quantile(self, probability: float) -> float:
        """A standardised score that the largest of all windows exceeds with no more than this probability."""
        half = _inverse_trigamma(self.std**2)
        logarithms = np.log(chi2.isf(probability / len(half), 2 * half) / 2) - digamma(half)
        return float((logarithms / self.std).max())


def _inverse_trigamma(values: FloatArray) -> FloatArray:
    """x of ψ′(x) = value, by Newton's steps for 1/ψ′, which is convex and nearly linear."""
    x = 0.5 + 1 / values
    for _ in range(20):
        trigamma = polygamma(1, x)
        x = x + trigamma * (1 - trigamma / values) / polygamma(2, x)
    return x
