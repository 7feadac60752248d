"""The masked loss of a non-linear model, to second order (Appendix B)."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmae._compat import _num_samples
from skmae._grid import PatchGrid
from skmae._rows import flatten_samples
from skmae.inspection._jacobian import check_reconstructor


def linearized_loss(
    estimator: Any, X: Any, *, mask: float | None = None, patch: Any = None, rescale: bool = True
) -> float:
    """Expected error of reconstructing samples with blanked-out patches, if the model were linear around them.

    With z = x - mean, each patch r ∈ {0, 1} visible with probability q = 1 - mask, and x̃ = mean + r z / q:
    E‖x - f(x̃)‖² ≈ ‖x - f(x)‖² + (1 - q)/q Σ_j ‖J(x)_{:,j} z_j‖², the sum over patches j. What hiding adds is a penalty
    on how strongly the reconstruction depends on any one patch.

    Parameters
    ----------
    estimator : fitted autoencoder
        As for `JacobianBasis`. f is its ``reconstruct`` with nothing hidden, of images in which patches are blank: for
        a ViT, which leaves hidden patches out, that is not the loss that it was trained on.
    X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
    mask : float or None, default=None
        Share of patches blanked out, each by itself. None takes the estimator's ``mask_``.
    patch : int, tuple of int or None, default=None
        Pixels of a patch along each axis. None takes the estimator's ``patch_``.
    rescale : bool, default=True
        Divide what is left by q, as linear models are trained. False is the paper's form, x̃ = mean + r z:
        ‖x - f(mean + q z)‖² + q (1 - q) Σ_j ‖J(mean + q z)_{:,j} z_j‖².

    Returns
    -------
    float
        Mean over samples and features, in units of X squared. Of a `LinearMAE` with ``loss="all"`` it is ``-score(X)``
        exactly (Lemma 1); otherwise it lacks what is of second order in f, which does not vanish for small masks.

    Raises
    ------
    ValueError
        If `mask` is not in [0, 1) or not known; for faults of X and patch as the estimator says.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> from skmae.inspection import linearized_loss
    >>> X = load_digits().images
    >>> mae = LinearMAE(16, mask=0.5, patch=2).fit(X)
    >>> bool(np.isclose(linearized_loss(mae, X[:100]), -mae.score(X[:100])))
    True
    """
    check_reconstructor(estimator)
    check_is_fitted(estimator)
    q = 1 - _read_mask(estimator, mask)
    shape, axis = tuple(estimator.image_shape_), estimator.channel_axis_
    grid = PatchGrid.build(shape, axis, estimator.patch_ if patch is None else patch)
    mean = _mean_per_feature(getattr(estimator, "mean_", 0.0), grid)
    z = np.asarray(flatten_samples(X)[0], dtype=np.float64) - mean  # (n, d)
    point = mean + z if rescale else mean + q * z
    weight = (1 - q) / q if rescale else q * (1 - q)
    error = mean + z - np.asarray(estimator.reconstruct(point))
    total = np.sum(error**2)
    if weight:
        linearization = estimator.linearize(point)
        for sample in range(_num_samples(X)):
            parts = np.zeros((grid.n_features, grid.n_patches))
            parts[np.arange(grid.n_features), grid.patch_of_feature] = z[sample]
            total += weight * np.sum(linearization.jvp(parts, sample) ** 2)
    return float(total) / z.size


def _read_mask(estimator: Any, mask: float | None) -> float:
    mask = getattr(estimator, "mask_", None) if mask is None else mask
    if not isinstance(mask, Real) or not 0 <= float(mask) < 1:
        raise ValueError(
            f"mask={mask!r} must be a share of patches, 0 <= mask < 1"
            + (f"; {type(estimator).__name__} has none of its own, so pass one." if mask is None else ".")
        )
    return float(mask)


def _mean_per_feature(mean: Any, grid: PatchGrid) -> np.ndarray:
    """(d,) from one mean for all, per channel or per feature."""
    mean = np.asarray(mean, dtype=np.float64)
    if mean.size not in (1, grid.n_features):
        place = np.indices(grid.image_shape)[grid.channel_axis].ravel()
        mean = mean[place]
    return np.broadcast_to(mean.ravel(), (grid.n_features,))
