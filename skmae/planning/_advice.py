"""What masks and patches hide and cost, before a ViT-MAE is trained with any."""

from math import prod
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt
from sklearn.base import is_classifier
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from skmae._compat import import_optional
from skmae._config import SIZES, ViTConfig
from skmae._grid import PatchGrid
from skmae._parameters import MASKING
from skmae._typing import Array, ChannelAxis, FloatArray, Patch, RandomState, Shape
from skmae.inspection import spatial_autocorrelation
from skmae.inspection._inputs import read_rows_on_grid
from skmae.linear import LinearMAE, LinearMAESearchCV
from skmae.masking import ExactCount, draw_visible
from skmae.planning._cost import Workload, count_visible
from skmae.planning._targets import are_classes, read_targets

if TYPE_CHECKING:
    from pandas import DataFrame

    from skmae.vit import ViTMAE

_PENALTIES = np.logspace(-3, 5, 9)
_MASKS_DRAWN = 32  # over which the distance to what is visible is averaged


def suggest_masking(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    masks: Any = (0.25, 0.5, 0.75, 0.9),
    patches: Any = None,
    image_shape: Shape | None = None,
    channel_axis: ChannelAxis = "auto",
    n_components: int = 64,
    probe: Any = None,
    cv: Any = 5,
    estimator: "ViTMAE | None" = None,
    random_state: RandomState = 0,
) -> "DataFrame":
    """What each mask and patch would cost a `ViTMAE`, and what it would hide, before any is trained.

    It does not rank them. With targets, each `LinearMAE` is also scored by how well its features predict them, in one
    search that reads the data once; that is for linear models, and did not agree with the probes of small ViTs trained
    on CIFAR-10, which preferred small patches. How to choose for those: user guide, "Choosing hyper-parameters".

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Labels, or numbers.
    masks : sequence of float, default=(0.25, 0.5, 0.75, 0.9)
    patches : sequence of int or tuple of int, or None, default=None
        They must divide the grid, as a ViT needs. None takes those of 2, 4 and 8 that do and leave 4 patches at least.
    image_shape : tuple of int or None, default=None
        Shape of one sample, channels included; None infers it, see `LinearMAE`.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels.
    n_components : int, default=64
        Features of the linear models; fewer if X, or what a fold leaves of it, has fewer features or samples.
    probe : estimator or None, default=None
        A classifier or regressor. None takes, on standardised features, ridge regression, of classes, or of numbers if
        y holds some that are not whole (whole ones are read as classes: pass a regressor if they are not).
    cv : int or splitter, default=5
        Of at least 2 folds.
    estimator : ViTMAE or None, default=None
        Whose sizes the costs are for. None takes ViTMAE's defaults.
    random_state : int, RandomState instance or None, default=0
        For the masks that distances are measured with.

    Returns
    -------
    pandas.DataFrame
        A row for each patch and mask, in the order given. Columns ``mask``, ``patch``; ``tokens`` (that the encoder
        sees of a sample, class token included), ``gflops`` (of one sample in training), ``relative_cost`` (over that of
        the cheapest); ``distance`` and ``correlation`` (of a hidden pixel to, and with, the nearest visible one: mean,
        in pixels); with targets ``score`` and ``score_se`` (of a `LinearMAE`: mean over the folds, and its standard
        error).

    Raises
    ------
    ValueError
        If a patch does not divide the grid, a mask is not in [0, 1), there is nothing to choose from, X holds NaN, or
        X and y differ in length; if targets are missing, or all are the same, or `cv` gives fewer than 2 folds; if
        `n_components` or a parameter of the estimator is out of range.
    TypeError
        If the estimator has no such sizes.
    ImportError
        Without pandas: ``pip install "skmae[plot]"``.

    See Also
    --------
    skmae.training_cost : What training costs in time, by a measurement.
    LinearMAESearchCV : The search for linear models themselves.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import suggest_masking
    >>> X, y = load_digits().images, load_digits().target
    >>> table = suggest_masking(X, y, masks=(0.5, 0.75), patches=(1, 2), n_components=16)
    >>> table[["mask", "patch", "tokens", "score"]].shape
    (4, 4)
    """
    pandas = import_optional("pandas", extra="plot", purpose="suggest_masking")
    rows, pixels = read_rows_on_grid(X, image_shape, channel_axis)
    shape, axis = pixels.image_shape, pixels.channel_axis
    _check_n_components(n_components)
    _check_estimator(estimator)
    patches = _dividing(pixels.grid_shape) if patches is None else _listed("patches", patches, (2, 4))
    settings = _settings(_listed("masks", masks, (0.5, 0.75)), patches)
    grids = {patch: PatchGrid.build_regular(shape, axis, patch) for _, patch in settings}
    correlation = spatial_autocorrelation(rows, shape, channel_axis=axis)
    rng = check_random_state(random_state)
    table = pandas.DataFrame(
        [
            _costs(mask, patch, grids[patch], estimator) | _hiding(mask, grids[patch], correlation, rng)
            for mask, patch in settings
        ]
    )
    table.insert(4, "relative_cost", table["gflops"] / table["gflops"].min())
    if y is None:
        return table
    y = read_targets(y)
    check_consistent_length(rows, y)
    is_classes = are_classes(y)
    _check_targets(y)
    splitter = check_cv(cv, y, classifier=is_classes if probe is None else is_classifier(probe))
    every = np.arange(len(rows))  # folds may be tuples, or masks
    folds = [(every[np.asarray(train)], every[np.asarray(test)]) for train, test in splitter.split(rows, y)]
    _check_folds(folds)
    k = min(n_components, rows.shape[1], *(len(train) for train, _ in folds))
    mae = LinearMAE(k, image_shape=shape, channel_axis=axis)
    if probe is None:
        probe = make_pipeline(StandardScaler(), (RidgeClassifierCV if is_classes else RidgeCV)(_PENALTIES))
    table["score"], table["score_se"] = _linear_scores(rows, y, settings, mae, probe, folds)
    return table


def _check_n_components(n_components: Any) -> None:
    if not isinstance(n_components, Integral) or n_components < 1:
        raise ValueError(f"n_components must be a whole number >= 1; got {n_components!r}.")


def _check_estimator(estimator: Any) -> None:
    if estimator is None:
        return
    if not all(hasattr(estimator, name) for name in SIZES):
        raise TypeError(f"estimator is a {type(estimator).__name__}. Pass a ViTMAE, whose sizes the costs are for.")
    estimator._validate_params()


def _check_targets(targets: Array) -> None:
    if (targets == targets[0]).all():
        raise ValueError(
            f"y is {targets[0]} for all {len(targets)} samples: there is nothing to predict. Pass targets that differ, "
            f"or y=None."
        )


def _check_folds(folds: list[Any]) -> None:
    if len(folds) < 2:
        raise ValueError(f"cv gives {len(folds)} of the 2 or more folds that a standard error takes. Pass cv=5, say.")


def _dividing(sizes: Shape) -> list[int]:
    """Usual patches that divide the grid and leave some to choose from."""
    fitting = [p for p in (2, 4, 8) if all(size % p == 0 for size in sizes) and prod(sizes) >= 4 * p ** len(sizes)]
    if not fitting:
        raise ValueError(f"None of the patches 2, 4 and 8 suits a grid of {sizes}. Pass patches that divide it.")
    return fitting


def _listed(name: str, values: Any, example: tuple[float, ...]) -> list[Any]:
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"{name}={values!r} is not a sequence. Pass those to compare, as in {name}={example}.")
    return list(values)


def _settings(masks: list[Any], patches: list[Any]) -> list[tuple[float, Any]]:
    (share,) = MASKING["mask"]
    for mask in masks:
        if not share.is_satisfied_by(mask):
            raise ValueError(f"masks has {mask!r}; a mask is a share of patches, 0 <= mask < 1.")
    settings = [(mask, patch if np.ndim(patch) == 0 else tuple(patch)) for patch in patches for mask in masks]
    if not settings:
        raise ValueError(f"masks={masks!r} and patches={patches!r} leave nothing to choose from. Pass one of each.")
    return settings


def _costs(mask: float, patch: Patch, grid: PatchGrid, network: "ViTMAE | None") -> dict[str, Any]:
    workload = Workload(grid, count_visible(grid, mask), ViTConfig() if network is None else network)
    gflops = workload.training_flops() / 1e9
    return {"mask": mask, "patch": patch, "tokens": workload.encoder.n_tokens, "gflops": gflops}


def _hiding(mask: float, grid: PatchGrid, correlation: "DataFrame", rng: np.random.RandomState) -> dict[str, float]:
    """How far hidden pixels are from visible ones, and how they correlate with them."""
    if count_visible(grid, mask) == grid.n_patches:
        return {"distance": 0.0, "correlation": 1.0}
    visible = draw_visible(ExactCount(), _MASKS_DRAWN, grid, mask, rng)
    hidden = ~visible[:, grid.patch_of_pixel].reshape(-1, *grid.grid_shape)
    distances = np.concatenate([distance_transform_edt(picture)[picture] for picture in hidden])
    correlations = np.interp(distances, correlation["distance"], correlation["correlation"])
    return {"distance": float(distances.mean()), "correlation": float(correlations.mean())}


def _linear_scores(
    rows: Array, y: ArrayLike, settings: list[tuple[float, Any]], mae: LinearMAE, probe: Any, cv: list[Any]
) -> tuple[FloatArray, FloatArray]:
    """Mean score over folds and its standard error, for each setting."""
    pipeline = make_pipeline(mae, probe)
    grid = [{"linearmae__mask": [mask], "linearmae__patch": [patch]} for mask, patch in settings]
    search = LinearMAESearchCV(pipeline, grid, cv=cv, refit=False).fit(rows, y)
    folds = np.array([search.cv_results_[f"split{i}_test_score"] for i in range(search.n_splits_)])
    return folds.mean(axis=0), folds.std(axis=0, ddof=1) / np.sqrt(len(folds))
