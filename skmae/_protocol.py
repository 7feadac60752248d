"""What an autoencoder must offer to be inspected. Linear and deep ones do; `TorchAutoencoder` does it for others."""

from typing import Any, Protocol

import numpy as np


class Linearization(Protocol):
    """The Jacobian J of a reconstruction at some samples, under one mask; (d, d) for each sample, never formed whole.

    J holds derivatives of ``reconstruct(X, visible)`` by X, in units of X; columns of hidden features are zero.
    """

    shared: bool
    """Whether all samples have the same Jacobian, as those of linear models have."""

    def cheaper_inputs(self, n_outputs: int) -> np.ndarray | None:
        """Input features by whose columns so many rows of J are computed more cheaply, with `jvp`; None if by `rows`.

        All columns that are not zero are among them.
        """

    def rows(self, outputs: np.ndarray, samples: slice = ...) -> np.ndarray:
        """Rows of J: derivatives of some output features by all inputs.

        Parameters
        ----------
        outputs : ndarray of int of shape (n_outputs,)
            Features.
        samples : slice
            Of the samples linearized at.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, d)
            It may be read-only.
        """

    def jvp(self, vectors: np.ndarray, sample: int) -> np.ndarray:
        """J @ vectors for one sample; vectors and result are (d, k)."""

    def vjp(self, vectors: np.ndarray, sample: int) -> np.ndarray:
        """J.T @ vectors for one sample; vectors and result are (d, k)."""


class Reconstructor(Protocol):
    """A fitted autoencoder of samples on a grid of pixels."""

    image_shape_: tuple[int, ...]
    channel_axis_: int | None
    patch_: tuple[int, ...]

    def reconstruct(self, X: Any, visible: Any = None) -> np.ndarray:
        """Reconstruct what is hidden, and what is visible, in the shape that X came in."""

    def sample_visible(self, n_samples: int, random_state: Any = None) -> np.ndarray:
        """(n_samples, n_patches) bool, drawn as training draws it."""

    def linearize(self, X: Any, visible: Any = None, *, batch_size: int | None = None) -> Linearization:
        """Linearize `reconstruct` at samples, under one mask for all of them.

        `batch_size` is the number of products with J that are computed at a time; None chooses.
        """
