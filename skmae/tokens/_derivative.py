"""The derivative of tokens by the features of samples: the chain rule through windows, contrast and rectifier."""

from typing import NamedTuple

import numpy as np

from skmae._samples import row_blocks
from skmae._typing import Array
from skmae.tokens._encoder import TokenEncoder


class TokenDerivative:
    """T = ∂ tokens / ∂ features at some samples, (n_token_features, d) for each, never formed.

    A token is the average of max(r − θ, 0), or of max(−r − θ, 0), over windows w of scaled pixels: v = w − its mean,
    σ² = |v|² / n + flat, u = v / σ, r = F u − offset. So ∂u/∂v = (I − u uᵀ / n) / σ, and all other steps are linear
    where no response is θ or −θ exactly. Where one is, its derivative is taken as 0.

    Parameters
    ----------
    encoder : TokenEncoder
    rows : ndarray of shape (n_samples, d)
        Samples, finite.
    """

    def __init__(self, encoder: TokenEncoder, rows: Array):
        self._encoder = encoder
        self._rows = rows

    @property
    def n_samples(self) -> int:
        return len(self._rows)

    def jvp(self, vectors: Array, sample: int) -> Array:
        """T @ vectors for one sample: (d, k) to (n_token_features, k)."""
        point = self._at(sample)
        vectors = vectors.T.astype(self._encoder.dtype, copy=False)
        pushed = [self._push(point, vectors[some]) for some in row_blocks(len(vectors), self._encoder.n_rows)]
        return _joined(pushed).T

    def vjp(self, vectors: Array, sample: int) -> Array:
        """T.T @ vectors for one sample: (n_token_features, k) to (d, k)."""
        point = self._at(sample)
        vectors = vectors.T.astype(self._encoder.dtype, copy=False)
        pulled = [self._pull(point, vectors[some]) for some in row_blocks(len(vectors), self._encoder.n_rows)]
        return _joined(pulled).T

    def _at(self, sample: int) -> "_Point":
        u, sigma, r = (each[0] for each in self._encoder.respond(self._rows[sample : sample + 1]))
        threshold = self._encoder.filters.threshold
        return _Point(u, sigma, r > threshold, r < -threshold)

    def _push(self, point: "_Point", features: Array) -> Array:
        """(k, d) to (k, n_token_features)."""
        encoder, k = self._encoder, len(features)
        windows = np.empty((k * encoder.grid.n_places, encoder.grid.n_window), encoder.dtype)
        encoder.cut(features, windows)
        responses = point.contrast(windows.reshape(k, *point.u.shape)) @ encoder.directions
        first = encoder.grid.average(responses * point.above)
        second = encoder.grid.average(responses * point.below)
        return np.concatenate([first, -second], axis=2).reshape(k, -1)

    def _pull(self, point: "_Point", tokens: Array) -> Array:
        """(k, n_token_features) to (k, d), the transposes of the same steps in reverse."""
        encoder = self._encoder
        first, second = np.split(tokens.reshape(len(tokens), encoder.grid.n_tokens, -1), 2, axis=2)
        responses = encoder.grid.spread(first) * point.above
        responses -= encoder.grid.spread(second) * point.below
        return encoder.uncut(point.contrast(responses @ encoder.directions.T))


class _Point(NamedTuple):
    """What T depends on, of one sample.

    Attributes
    ----------
    u : ndarray of shape (n_places, n_window)
    sigma : ndarray of shape (n_places, 1)
    above, below : ndarray of bool of shape (n_places, n_filters)
        Which responses exceed θ, and which are below −θ.
    """

    u: Array
    sigma: Array
    above: Array
    below: Array

    def contrast(self, windows: Array) -> Array:
        """∂u/∂v, which is symmetric, times (k, n_places, n_window)."""
        along = np.einsum("kpn,pn->kp", windows, self.u)[..., np.newaxis] / self.u.shape[1]
        product: Array = (windows - self.u * along) / self.sigma
        return product


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
