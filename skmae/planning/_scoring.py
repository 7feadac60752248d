"""How well estimators do where parts of samples are hidden: one mask for all of them, so that they can be compared."""

import warnings
from math import prod
from typing import Any

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer
from sklearn.utils import check_random_state

from skmae._compat import validate_parameter_constraints
from skmae._estimator import GridEstimator, store_parameters
from skmae._grid import PatchGrid
from skmae._parameters import GRID, GRID_DOCS, MASKING, shared_docs
from skmae._samples import Samples
from skmae._typing import BoolArray, ChannelAxis, Patch, RandomState, Shape
from skmae.linear._search import first_step
from skmae.masking import MaskSampling, draw_visible, resolve_sampler

_DOCS = GRID_DOCS | {"mask_sampling": GRID_DOCS["mask_sampling"] % {"default": "exact"}}


@shared_docs(_DOCS)
class HiddenPixelsScorer(GridEstimator):
    """Score estimators on samples of which patches are hidden, the same ones for every estimator.

    `score` of an autoencoder is the error under its own corruption, which is least where least is hidden. This hides
    what it is told to, so that `mask` and `patch` can be searched: pass it as ``scoring`` to `LinearMAESearchCV`,
    `GridSearchCV` or `cross_val_score`.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        A scorer of scikit-learn ("accuracy"), for estimators that take NaN as hidden: pipelines that begin with a
        linear autoencoder or a `PatchImputer`. None: the share of the variance of hidden entries that `reconstruct`
        explains, R².
    mask : float, default=0.75
        Share of patches hidden, 0 <= mask < 1.
    patch : int or tuple of int, default=4
        Pixels of a patch along each axis of the grid, or one number for all axes. It need not be the estimator's.
    %(mask_sampling)s
    %(image_shape)s
    %(channel_axis)s
    random_state : int or RandomState instance, default=0
        Seeds the masks. With an int, samples are hidden alike whenever they are scored in one order.

    Notes
    -----
    R² is one minus the squared error over hidden entries, divided by their squared difference from the mean of the
    feature over the samples scored. Entries that are missing to begin with stay hidden, and do not count.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmae import LinearMAE, LinearMAESearchCV
    >>> from skmae.planning import HiddenPixelsScorer
    >>> X, y = load_digits(return_X_y=True)
    >>> grid = {"mask": [0.25, 0.5, 0.75], "patch": [1, 2, 4]}
    >>> search = LinearMAESearchCV(LinearMAE(10), grid, scoring=HiddenPixelsScorer(mask=0.5, patch=2)).fit(X / 16)
    >>> search.best_params_
    {'mask': 0.5, 'patch': 2}

    Accuracy, where half of each test image is hidden:

    >>> pipe = make_pipeline(LinearMAE(20, patch=2), LogisticRegression(max_iter=2000))
    >>> grid, scoring = {"linearmae__mask": [0.25, 0.5, 0.75]}, HiddenPixelsScorer("accuracy", mask=0.5, patch=2)
    >>> bool(LinearMAESearchCV(pipe, grid, scoring=scoring).fit(X / 16, y).best_score_ > 0.6)
    True
    """

    _may_have_gaps = True

    _parameter_constraints = {**MASKING, **GRID, "scoring": [str, callable, None], "random_state": ["random_state"]}

    def __init__(
        self,
        scoring: Any = None,
        *,
        mask: float = 0.75,
        patch: Patch = 4,
        mask_sampling: MaskSampling = "exact",
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        random_state: RandomState = 0,
    ):
        store_parameters(self, locals())

    def __call__(self, estimator: Any, X: Any, y: object = None) -> float:
        """The score, higher is better.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like or None, default=None
            For `scoring`.

        Returns
        -------
        float

        Raises
        ------
        TypeError
            If `scoring` is None and the estimator has no `reconstruct`.
        ValueError
            If a parameter is invalid, or nothing is hidden that is known.
        """
        validate_parameter_constraints(self._parameter_constraints, self.get_params(deep=False), type(self).__name__)
        samples = self._as_samples(X)
        visible = self._visible(samples, estimator)
        if self.scoring is None:
            return _explained(estimator, samples, visible)
        if hasattr(X, "iloc"):  # of pandas: names of columns count
            holes = X.where(visible)
        else:
            rows = samples.with_nan().rows().astype(samples.output_dtype)
            rows[~visible] = np.nan
            holes = rows.reshape(samples.original_shape)
        return float(get_scorer(self.scoring)(estimator, holes, y))

    def _visible(self, samples: Samples, estimator: Any) -> BoolArray:
        """(n, d). What a sample looks like is as the parameters say, else as the estimator does."""
        fitted = first_step(estimator)
        shape = getattr(fitted, "image_shape_", None) if self.image_shape is None else None
        if shape is None or samples.sample_shape is not None or prod(shape) != samples.n_features:
            shape, axis = self._resolve_shape(samples.n_features, samples.sample_shape)
        else:
            axis = fitted.channel_axis_
        grid = PatchGrid.build(shape, axis, self.patch)
        sampler = resolve_sampler(self.mask_sampling)
        return grid.per_feature(
            draw_visible(sampler, len(samples), grid, self.mask, check_random_state(self.random_state))
        )


def _explained(estimator: Any, samples: Samples, visible: BoolArray) -> float:
    """R² of hidden entries, all of them as one."""
    if not hasattr(estimator, "reconstruct"):
        raise TypeError(
            f"scoring=None scores what reconstruct makes of hidden pixels, and {type(estimator).__name__} has no "
            f"reconstruct. Pass scoring, such as 'accuracy'."
        )
    X = samples.with_nan().rows().astype(np.float64)
    counts = ~visible & ~np.isnan(X)
    if not counts.any():
        raise ValueError(
            f"Nothing that is known of X, of {samples.original_shape}, is hidden: there is nothing to score. Pass a "
            f"larger mask, a smaller patch, or image_shape."
        )
    if len(X) < 2:
        warnings.warn("R² of one sample is not defined: the score is NaN.", UndefinedMetricWarning, stacklevel=3)
        return float("nan")
    made = np.reshape(estimator.reconstruct(samples.original(), visible.reshape(samples.original_shape)), X.shape)
    known = ~np.isnan(X)
    mean = np.where(known, X, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    wrong = np.square(made.astype(np.float64) - X, where=counts, out=np.zeros(X.shape)).sum()
    spread = np.square(X - mean, where=counts, out=np.zeros(X.shape)).sum()
    return float(1 - wrong / spread) if spread else float(wrong == 0)
