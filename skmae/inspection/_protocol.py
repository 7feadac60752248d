"""What a model must offer to be inspected. Linear and deep ones do; `TorchAutoencoder` does it for others."""

from typing import Any, Protocol

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skmae._typing import Array, BoolArray, IntArray, RandomState, Shape


class Linearization(Protocol):
    """The Jacobian J of a reconstruction at some samples, under one mask; (d, d) for each sample, never formed whole.

    J holds derivatives of ``reconstruct(X, visible)`` by X, in units of X; columns of hidden features are zero. Of a
    stack it is (t, d): of tokens, of which there may be more or fewer than features, by X. A linear model's has
    `factors`, (d, k) and (k, d), whose product J is; others need not.
    """

    shared: bool
    """Whether all samples have the same Jacobian, as those of linear models have."""

    def cheaper_inputs(self, n_outputs: int) -> IntArray | None:
        """The inputs to take columns of J for, by `jvp`, where that is cheaper than `n_outputs` rows; None where not.

        All columns that are not zero are among them.
        """

    def rows(self, outputs: IntArray, samples: slice = ...) -> Array:
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

    def jvp(self, vectors: Array, sample: int) -> Array:
        """J @ vectors for one sample; vectors are (d, k), the result is (d, k), or (t, k) of a stack."""

    def vjp(self, vectors: Array, sample: int) -> Array:
        """J.T @ vectors for one sample; vectors are (d, k), or (t, k) of a stack, the result is (d, k)."""


class PatchScorer(Protocol):
    """A fitted detector of patches that do not belong."""

    image_shape_: Shape
    channel_axis_: int | None

    def patch_scores(self, X: ArrayLike) -> Array:
        """How odd each pixel is, (n_samples, \\*grid)."""


class Reconstructor(Protocol):
    """A fitted autoencoder of samples on a grid of pixels."""

    image_shape_: Shape
    channel_axis_: int | None
    patch_: Shape

    def reconstruct(self, X: ArrayLike, visible: ArrayLike | None = None) -> Array:
        """Reconstruct what is hidden, and what is visible, in the shape that X came in."""

    def sample_visible(self, n_samples: int, random_state: RandomState = None) -> BoolArray:
        """(n_samples, n_patches) bool, drawn as training draws it."""

    def linearize(
        self, X: ArrayLike, visible: ArrayLike | None = None, *, batch_size: int | None = None
    ) -> Linearization:
        """Linearize `reconstruct` at samples, under one mask for all of them.

        `batch_size` is the number of products with J that are computed at a time; None chooses.
        """


NEEDED = ("reconstruct", "sample_visible", "linearize")


def check_reconstructor(estimator: Any) -> None:
    """Refuse what cannot be inspected, and say what is needed."""
    missing = [name for name in NEEDED if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"{type(estimator).__name__} cannot be inspected: it has no {', '.join(missing)}. An autoencoder of skmae "
            f"is needed (LinearMAE, LinearDAE, LinearAE, ViTMAE), a torch module or function that reconstructs, as "
            f"skmae.inspection.TorchAutoencoder(module, ...), or an estimator with the methods {', '.join(NEEDED)}. "
            f"JacobianBasis also takes a Pipeline of LocalTokens and one of these, and of nothing else."
        )


def check_fitted_reconstructor(estimator: Any) -> None:
    """Refuse, too, what is not fitted."""
    check_reconstructor(estimator)
    check_is_fitted(estimator)
