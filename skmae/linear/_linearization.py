"""The Jacobian of a linear autoencoder: B, with the columns of what is hidden left out."""

import numpy as np


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

    def __init__(self, encoder: np.ndarray, decoder: np.ndarray, scale: np.ndarray, n_samples: int):
        self.encoder = encoder * scale
        self.decoder = decoder
        self.n_samples = n_samples

    def cheaper_inputs(self, n_outputs: int) -> None:  # noqa: ARG002
        """Rows are a gather."""
        return

    def rows(self, outputs: np.ndarray, samples: slice = slice(None)) -> np.ndarray:
        rows = self.decoder[outputs] @ self.encoder
        return np.broadcast_to(rows, (len(range(*samples.indices(self.n_samples))), *rows.shape))

    def jvp(self, vectors: np.ndarray, sample: int = 0) -> np.ndarray:  # noqa: ARG002
        return self.decoder @ (self.encoder @ vectors)

    def vjp(self, vectors: np.ndarray, sample: int = 0) -> np.ndarray:  # noqa: ARG002
        return self.encoder.T @ (self.decoder.T @ vectors)
