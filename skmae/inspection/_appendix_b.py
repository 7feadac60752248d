"""The masked loss of a non-linear model, to second order (Appendix B)."""

from itertools import product
from math import isfinite
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils._param_validation import validate_params

from skmae._grid import PatchGrid
from skmae._linalg import power_of_two
from skmae._samples import Samples, row_blocks, to_numpy
from skmae._typing import FloatArray, Patch
from skmae.inspection._inputs import as_taken_by, check_rows, grid_of, read
from skmae.inspection._protocol import Reconstructor, check_fitted_reconstructor


@validate_params({"rescale": ["boolean"]}, prefer_skip_nested_validation=False)
def linearized_loss(
    estimator: Reconstructor,
    X: ArrayLike,
    *,
    mask: float | None = None,
    patch: Patch | None = None,
    rescale: bool = True,
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
        Mean over samples and features, in units of X squared. Of a `LinearMAE` with ``loss="all"`` and Bernoulli masks
        it is ``-score(X)`` exactly (Lemma 1); otherwise it lacks what is of second order in f, which does not vanish
        for small masks.

    Raises
    ------
    ValueError
        If `mask` is not in [0, 1) or not known; if the loss is beyond float64; for faults of X and patch as the
        estimator says.

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
    check_fitted_reconstructor(estimator)
    q = 1 - _read_mask(estimator, mask)
    patch = estimator.patch_ if patch is None else patch
    grid = grid_of(estimator.image_shape_, estimator.channel_axis_, patch)
    mean = _mean_per_feature(to_numpy(getattr(estimator, "mean_", np.zeros(()))), grid)
    samples = read(X, "X", "linearized_loss")
    rows = _check_rows(samples, estimator, grid)
    z = rows - mean  # (n, d)
    point = Samples(rows if rescale else mean + q * z, frame=samples.frame, library=samples.library)
    point = as_taken_by(estimator, point)
    weight = (1 - q) / q if rescale else q * (1 - q)
    error = rows - to_numpy(estimator.reconstruct(point)).reshape(rows.shape)
    scale = power_of_two(np.array([np.abs(z).max(), np.abs(error).max()]))  # squares would over- or underflow
    total = np.sum((error / scale) ** 2)
    if weight:
        linearization = estimator.linearize(point)
        block = max(int(get_config()["working_memory"] * 2**20 / 4 / (16 * grid.n_features)), 1)
        for sample, patches in product(range(len(z)), row_blocks(grid.n_patches, block)):
            in_patch = np.arange(patches.start, patches.stop) == grid.patch_of_feature[:, np.newaxis]  # (d, patches)
            products = linearization.jvp(in_patch * z[sample][:, np.newaxis], sample)
            total += weight * np.sum((products / scale) ** 2)
    loss = float(total) / z.size * scale * scale
    if not isfinite(loss):
        raise ValueError(
            "The loss, in units of X squared, is beyond the range of float64. Divide X by its largest value."
        )
    return loss


def _check_rows(samples: Samples, estimator: Reconstructor, grid: PatchGrid) -> FloatArray:
    """(n, d) in float64, checked."""
    if samples.sample_shape not in (None, grid.image_shape):
        raise ValueError(
            f"The samples of X have shape {samples.sample_shape}, but {type(estimator).__name__} was fitted on samples "
            f"of shape {grid.image_shape}. Pass samples of that shape, or flat rows of {grid.n_features} features."
        )
    rows: FloatArray = check_rows(samples).astype(np.float64)
    if rows.shape[1] != grid.n_features:
        raise ValueError(
            f"X has {rows.shape[1]} features, but {type(estimator).__name__} is expecting {grid.n_features} features."
        )
    return rows


def _read_mask(estimator: Reconstructor, mask: float | None) -> float:
    mask = getattr(estimator, "mask_", None) if mask is None else mask
    if not isinstance(mask, Real) or not 0 <= float(mask) < 1:
        raise ValueError(
            f"mask={mask!r} must be a share of patches, 0 <= mask < 1"
            + (f"; {type(estimator).__name__} has none of its own, so pass one." if mask is None else ".")
        )
    return float(mask)


def _mean_per_feature(mean: ArrayLike, grid: PatchGrid) -> FloatArray:
    """(d,) from one mean for all, per channel or per feature."""
    mean = np.asarray(mean, dtype=np.float64)
    if mean.size not in (1, grid.n_features):
        place = np.indices(grid.image_shape)[grid.channel_axis].ravel()
        mean = mean[place]
    return np.broadcast_to(mean.ravel(), (grid.n_features,))
