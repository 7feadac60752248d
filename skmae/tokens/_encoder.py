"""Tokens of samples: one product for the windows of a block, and one that averages their responses."""

import numpy as np

from skmae._typing import Array, DType
from skmae.tokens._filters import Filters
from skmae.tokens._grid import TokenGrid

_VALUES = 2**19  # of the windows of a block, or of their responses: what is worked on stays in the processor's cache


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
        # σ r = F (w − its mean) − offset σ: one product with (w − its mean, σ)
        self._weights = np.column_stack([filters.filters, -filters.offset]).T.astype(dtype)
        self._averaging = grid.averaging.astype(dtype)

    @property
    def n_rows(self) -> int:
        """Samples to be encoded at a time."""
        return max(1, _VALUES // (self.grid.n_places * max(self._weights.shape)))

    def encode(self, rows: Array) -> Array:
        """(m, n_tokens, 2 n_filters) of flat samples (m, d)."""
        with np.errstate(over="ignore", invalid="ignore"):  # whoever finds infinity in the end says so
            return self._encode(rows)

    def _encode(self, rows: Array) -> Array:
        windows, deviations = self._windows(rows)
        responses = windows @ self._weights  # σ r
        responses = responses.reshape(len(rows), self.grid.n_places, -1)
        threshold = self.filters.threshold
        averaging = self._averaging / deviations.reshape(len(rows), 1, -1)
        limits = self.dtype.type(threshold) * deviations.reshape(len(rows), -1, 1)
        above = averaging @ np.maximum(responses, limits)
        below = averaging @ np.minimum(responses, -limits, out=responses)
        return np.concatenate([above, -below], axis=2) - self.dtype.type(threshold)

    def _windows(self, rows: Array) -> tuple[Array, Array]:
        """Of samples (m, d): windows of scaled pixels less their mean, and σ, (m · n_places, n_window + 1); σ alone."""
        grid, n = self.grid, self.grid.n_window
        pixels = np.subtract(rows, self.filters.centre, dtype=np.result_type(rows.dtype, self.dtype), casting="unsafe")
        images = grid.channels_last((pixels / self.filters.scale).astype(self.dtype, copy=False))
        table = np.empty((len(rows) * grid.n_places, n + 1), self.dtype)
        windows = table[:, :n]
        windows.reshape(len(rows), *grid.places, *grid.window_shape)[...] = grid.windows(images)
        windows -= windows.mean(axis=1, keepdims=True)
        variances = np.einsum("ij,ij->i", windows, windows) / n
        table[:, n] = deviations = np.sqrt(variances + self.dtype.type(self.filters.flat))
        return table, deviations
