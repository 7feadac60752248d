"""The Jacobian of a linear autoencoder: B, with the columns of what is hidden left out."""

import numpy as np

from skmae._typing import Floats, IntArray


class LinearMap:
    """J = decoder encoder diag(scale), the same for all samples.

    Parameters
    ----------
    encoder : ndarray of shape (k, d)
    decoder : ndarray of shape (d, k)
    scale : ndarray of shape (d,)
        What each feature is multiplied by before it is encoded: 0 where it is hidden.
    n_samples : int
    """

    shared = True

    def __init__(self, encoder: Floats, decoder: Floats, scale: Floats, n_samples: int):
        self.encoder: Floats = encoder * scale
        self.decoder = decoder
        self.n_samples = n_samples

    @property
    def factors(self) -> tuple[Floats, Floats]:
        """(d, k) and (k, d), whose product is J."""
        return self.decoder, self.encoder

    def cheaper_inputs(self, n_outputs: int) -> None:  # noqa: ARG002
        """Rows are a gather."""
        return

    def rows(self, outputs: IntArray, samples: slice = slice(None)) -> Floats:
        rows = self.decoder[outputs] @ self.encoder
        return np.broadcast_to(rows, (len(range(*samples.indices(self.n_samples))), *rows.shape))

    def jvp(self, vectors: Floats, sample: int = 0) -> Floats:  # noqa: ARG002
        product: Floats = self.decoder @ (self.encoder @ vectors)
        return product

    def vjp(self, vectors: Floats, sample: int = 0) -> Floats:  # noqa: ARG002
        product: Floats = self.encoder.T @ (self.decoder.T @ vectors)
        return product
