"""Tokens of samples: one product for the windows of a block, and small ones that average their responses."""

from typing import NamedTuple

import numpy as np

from skmae._typing import Array, DType
from skmae.tokens._filters import Filters
from skmae.tokens._grid import TokenGrid

_VALUES = 2**19  # of the windows of a block, or of their responses: what is worked on stays in the processor's cache


class Responses(NamedTuple):
    """Of filters to the windows of m samples.

    Attributes
    ----------
    u : ndarray of shape (m, n_places, n_window)
        Scaled pixels less the mean of their window, over σ.
    sigma : ndarray of shape (m, n_places, 1)
    r : ndarray of shape (m, n_places, n_filters)
    """

    u: Array
    sigma: Array
    r: Array


class TokenEncoder:
    """The average over places of max(r − θ, 0), and of max(−r − θ, 0), where r is the response of a filter.

    Parameters
    ----------
    grid : TokenGrid
    filters : Filters
    dtype : dtype
        Of the tokens, and of what they are computed in.
    """

    def __init__(self, grid: TokenGrid, filters: Filters, dtype: DType):
        self.grid, self.filters, self.dtype = grid, filters, dtype
        # r = F u − offset: one product with (u, 1)
        self._weights = np.column_stack([filters.filters, -filters.offset]).T.astype(dtype)

    @property
    def directions(self) -> Array:
        """(n_window, n_filters), Fᵀ."""
        return self._weights[:-1]

    @property
    def n_rows(self) -> int:
        """Samples to be encoded at a time."""
        return max(1, _VALUES // (self.grid.n_places * max(self._weights.shape)))

    def encode(self, rows: Array) -> Array:
        """(m, n_tokens, 2 n_filters) of flat samples (m, d)."""
        with np.errstate(over="ignore", invalid="ignore"):  # whoever finds infinity in the end says so
            return self._encode(rows)

    def _encode(self, rows: Array) -> Array:
        r, threshold = self.respond(rows).r, self.dtype.type(self.filters.threshold)
        above = self.grid.average(np.maximum(r, threshold))
        below = self.grid.average(np.minimum(r, -threshold, out=r))
        return np.concatenate([above, -below], axis=2) - threshold

    def respond(self, rows: Array) -> Responses:
        """Responses to flat samples (m, d)."""
        m, n_places, n = len(rows), self.grid.n_places, self.grid.n_window
        pixels = np.subtract(rows, self.filters.centre, dtype=np.result_type(rows.dtype, self.dtype), casting="unsafe")
        table = np.empty((m * n_places, n + 1), self.dtype)
        windows = table[:, :n]
        self.cut(pixels, windows)
        variances = np.einsum("ij,ij->i", windows, windows)[:, np.newaxis] / n
        table[:, n:] = sigma = np.sqrt(variances + self.dtype.type(self.filters.flat))
        table /= sigma  # its last column is 1, or NaN where squares overflowed
        r = (table @ self._weights).reshape(m, n_places, -1)
        return Responses(windows.reshape(m, n_places, n), sigma.reshape(m, n_places, 1), r)

    def cut(self, pixels: Array, windows: Array) -> None:
        """Windows of scaled pixels (m, d) less their mean, into (m · n_places, n_window): linear in pixels."""
        grid = self.grid
        images = grid.channels_last((pixels / self.filters.scale).astype(self.dtype, copy=False))
        windows.reshape(len(pixels), *grid.places, *grid.window_shape)[...] = grid.windows(images)
        windows -= windows.mean(axis=1, keepdims=True)

    def uncut(self, windows: Array) -> Array:
        """The transpose of `cut`: (m, n_places, n_window), which it overwrites, to (m, d)."""
        grid = self.grid
        windows -= windows.mean(axis=2, keepdims=True)
        images = grid.add_windows(windows.reshape(len(windows), *grid.places, *grid.window_shape))
        rows: Array = grid.as_rows(images) / self.filters.scale
        return rows.astype(self.dtype, copy=False)
