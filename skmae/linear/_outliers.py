"""The patch that does not belong."""

from collections.abc import Iterator
from copy import copy
from numbers import Real
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval, StrOptions, fit_context
from skmae._estimator import GridEstimator
from skmae._grid import PatchGrid, check_patch
from skmae._parameters import GRID, GRID_DOCS, MASKING, shared_docs
from skmae._samples import Samples
from skmae._typing import Array, ChannelAxis, Constraints, DType, FloatArray, IntArray, Patch, Shape
from skmae.linear._leave_out import LogScores, Windows, log_scores, precision_of, without_themselves
from skmae.moments import Moments

_ROWS = 4096  # scored at a time
_CALIBRATION_ROWS = 10_000
_FLOAT32 = (1e-25, 1e25)  # entries of P whose products with samples and each other float32 holds
_AUTO = 0.01  # share of training samples below the threshold


@shared_docs(GRID_DOCS)
class PatchOutlierDetector(OutlierMixin, GridEstimator):
    """Find samples in which a patch does not belong, and the patch.

    Each patch is predicted from all the rest of its sample, and judged by how far it is from that, at every place and
    in closed form: one precision matrix serves them all.

    Parameters
    ----------
    patch : int or tuple of int, default=4
        Pixels of a patch along each axis of the grid, or one number for all axes: about the size of what does not
        belong. A patch larger than an axis is clipped; with one patch in all, its score is the Mahalanobis distance.
    stride : int, tuple of int or None, default=None
        Pixels from one place of the patch to the next; None is 1, every place.
    contamination : float or "auto", default="auto"
        Share of outliers in the training samples, 0 < contamination <= .5, which sets ``offset_``. "auto" is .01.
    %(image_shape)s
    %(channel_axis)s
    regularization : float, default=1e-4
        ε: what is added to the variance of each feature, as a share of their average.

    Attributes
    ----------
    offset_ : float
        Threshold of `score_samples`: the share `contamination` of the training samples has a score below it. For
        "auto", each training sample is scored as if it had been left out of the training. If `fit` has seen no
        samples, the threshold is that of Gaussian samples, with Bonferroni's correction for the number of places.
    mean_ : ndarray of shape (n_features,)
    precision_ : ndarray of shape (n_features, n_features)
        P of the notes.
    log_score_mean_, log_score_std_ : ndarray of shape (\\*places,)
        Mean and standard deviation of the log scores of training samples, at each place of the patch.
    image_shape_ : tuple of int
    channel_axis_ : int or None
        Counted from the front of `image_shape_`.
    patch_, stride_ : tuple of int
        For each axis of the grid.
    n_samples_seen_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had any.
    moments_ : Moments

    See Also
    --------
    LinearMAE : Features of samples, from the same moments.

    Notes
    -----
    With S the second moment of X and P = (S + ε (tr S / d) I)⁻¹, the score of the features j of a patch is
    (P y)_jᵀ P_jj⁻¹ (P y)_j, where y is the sample less its mean: the squared Mahalanobis distance of the patch from
    what the rest of the sample says of it, χ² where samples are Gaussian. Its logarithm is standardised at each place
    by that of training samples (10,000 of them, evenly spaced, if there are more; no rows are kept), so that smooth
    and rough parts of a picture count alike. Each training sample is scored as if it had been left out, in closed form:
    where samples are few and features many, training samples lie nearer to the fitted moments than new samples do.
    `score_samples` is minus the largest over all places.

    Fitting takes O(n d²) for S, O(d³) for P; scoring a sample takes O(d²) and O(p²) for each place of p features.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae import PatchOutlierDetector
    >>> from skmae.datasets import load_photo_patches
    >>> X = load_photo_patches().images[:, :16, :16]
    >>> detector = PatchOutlierDetector(patch=4).fit(X[:3000])
    >>> odd = X[3000:3100].copy()
    >>> odd[:, 5:9, 2:6] = X[:100, 5:9, 2:6]  # a patch of another image
    >>> bool(detector.score_samples(odd).mean() < detector.score_samples(X[3000:3100]).mean())
    True
    >>> detector.patch_scores(odd).shape
    (100, 16, 16)
    """

    _parameter_constraints: Constraints = {
        "patch": MASKING["patch"],
        "stride": [*MASKING["patch"], None],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        **GRID,
        "regularization": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        patch: Patch = 4,
        *,
        stride: Patch | None = None,
        contamination: float | Literal["auto"] = "auto",
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        regularization: float = 1e-4,
    ):
        self.patch = patch
        self.stride = stride
        self.contamination = contamination
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.regularization = regularization

    # -- fitting --------------------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Learn what patches are like beside the rest of their sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Read in blocks, in any real type.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds NaN or infinity, has fewer than two samples, none that differ, or does not fit `image_shape`.
        """
        samples = self._as_samples(X)
        samples.check_finite()
        new = copy(self)  # whatever happens meanwhile, this one is what it was
        new._learn(Moments._of(samples), self._windows(samples.n_features, samples.sample_shape))
        samples.record(new)
        # what yᵀ P y leaves of n − 1 takes more digits than float32 has
        parts = [scores for _, *scores in new._log_scores(_some(samples), np.dtype(np.float64))]
        values, squares = map(np.concatenate, zip(*parts, strict=True))
        fresh = without_themselves(values, squares, len(samples))
        new._log_scores_of_training = LogScores.of(fresh)
        judged = fresh if self.contamination == "auto" else values
        scores = -new._log_scores_of_training.standardise(judged).max(axis=1)
        new.offset_ = float(np.percentile(scores, 100 * self._share_of_outliers))
        self.__dict__ = new.__dict__
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Add a batch to ``moments_``. Each call inverts them, O(d³): of many small batches, gather `Moments` first.

        After `fit`, log scores are standardised as its samples were, and ``offset_`` stays; else as in `fit_moments`.
        Patch and stride are those of the first call.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For the same faults of X as `fit`. A batch that is refused leaves the detector as it was.
        """
        is_first = not self.__sklearn_is_fitted__()
        samples = self._as_samples(X) if is_first else self._as_fitted_samples(X)
        samples.check_finite()
        batch = Moments._of(samples)
        if is_first:
            self.fit_moments(batch)
            samples.record(self)
            return self
        self._learn(self.moments_ + batch, self._fitted_windows)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_moments(self, moments: Moments) -> Self:
        """Learn from moments that were gathered elsewhere; log scores are standardised as those of Gaussian samples.

        Parameters
        ----------
        moments : Moments
            They are copied. If they came from flat rows, `image_shape` says what a sample looks like.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `moments` is not a `Moments`.
        ValueError
            If they hold fewer than two samples, none that differ, or do not fit `image_shape`.
        """
        if not isinstance(moments, Moments):
            raise TypeError(f"moments must be a skmae.Moments, got {type(moments).__name__}: Moments.from_data(X).")
        windows = self._windows(moments.n_features, moments.sample_shape)
        self._learn(copy(moments), windows)
        moments._record(self)
        self._log_scores_of_training = LogScores.in_theory(windows)
        self.offset_ = -self._log_scores_of_training.quantile(self._share_of_outliers)
        return self

    def _windows(self, n_features: int, sample_shape: Shape | None) -> Windows:
        shape = self._resolve_shape(n_features, sample_shape)
        grid = PatchGrid.build(*shape, self.patch)
        try:
            stride = check_patch(1 if self.stride is None else self.stride, *shape)
        except ValueError as error:
            raise ValueError(str(error).replace("patch=", "stride=")) from error
        return Windows(grid, stride)

    def _learn(self, moments: Moments, windows: Windows) -> None:
        """Keep the moments, their mean and precision; nothing is changed where that cannot be had."""
        if moments.n_rows < 2:
            raise ValueError(f"n_samples={moments.n_rows} is too few: at least 2 samples are needed to tell one apart.")
        precision = precision_of(moments.second, self.regularization)
        self.moments_, self.mean_, self.precision_ = moments, moments.mean, precision
        self._fitted_windows = windows

    @property
    def _share_of_outliers(self) -> float:
        return _AUTO if isinstance(self.contamination, str) else float(self.contamination)

    def __sklearn_is_fitted__(self) -> bool:
        return "offset_" in self.__dict__

    # -- what was fitted ------------------------------------------------------------------------------------------

    def _fitted_grid(self) -> PatchGrid:
        check_is_fitted(self)
        return self._fitted_windows.grid

    @property
    def image_shape_(self) -> Shape:  # type: ignore[override]
        return self._fitted_grid().image_shape

    @property
    def channel_axis_(self) -> int | None:  # type: ignore[override]
        return self._fitted_grid().channel_axis

    @property
    def patch_(self) -> Shape:
        return self._fitted_grid().patch_shape

    @property
    def n_samples_seen_(self) -> float:
        check_is_fitted(self)
        return self.moments_.n

    @property
    def stride_(self) -> Shape:
        check_is_fitted(self)
        return self._fitted_windows.stride

    @property
    def log_score_mean_(self) -> FloatArray:
        check_is_fitted(self)
        return self._log_scores_of_training.mean.reshape(self._fitted_windows.shape)

    @property
    def log_score_std_(self) -> FloatArray:
        check_is_fitted(self)
        return self._log_scores_of_training.std.reshape(self._fitted_windows.shape)

    # -- using ----------------------------------------------------------------------------------------------------

    def score_samples(self, X: ArrayLike) -> Array:
        """Minus the largest standardised log score over all places of the patch: the lower, the odder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        samples = self._whole_samples(X)
        scores = np.empty(len(samples), samples.output_dtype)
        for rows, values, _ in self._log_scores(samples, samples.output_dtype):
            scores[rows] = -self._log_scores_of_training.standardise(values).max(axis=1)
        return scores

    def decision_function(self, X: ArrayLike) -> Array:
        """`score_samples` less `offset_`: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        scores = self.score_samples(X)
        scores -= scores.dtype.type(self.offset_)
        return scores

    def predict(self, X: ArrayLike) -> IntArray:
        """-1 for samples with a patch that does not belong, 1 for others.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of int of shape (n_samples,)
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def patch_scores(self, X: ArrayLike, kind: Literal["score", "pvalue"] = "score") -> Array:
        """How odd each pixel is: that of the oddest patch that covers it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        kind : {"score", "pvalue"}, default="score"
            "score": the standardised log score, the higher, the odder. "pvalue": the probability of a score as large
            in this place, from the χ² distribution whose logarithm has the mean and the variance of training samples;
            the lower, the odder. It counts one place: of many places, some are odd by chance.

        Returns
        -------
        ndarray of shape (n_samples, \\*grid_shape)
            The shape of the image, without channels.

        Raises
        ------
        ValueError
            If `kind` is neither; for the same faults of X as `score_samples`.
        """
        if kind not in ("score", "pvalue"):
            raise ValueError(f'kind must be "score" or "pvalue", got {kind!r}.')
        samples = self._whole_samples(X)
        windows, known = self._fitted_windows, self._log_scores_of_training
        out = np.empty((len(samples), *windows.grid.grid_shape), samples.output_dtype)
        for rows, values, _ in self._log_scores(samples, samples.output_dtype):
            if kind == "score":
                out[rows] = windows.largest_at_pixels(known.standardise(values))
            else:
                out[rows] = -windows.largest_at_pixels(-known.p_values(values))
        return out

    def _whole_samples(self, X: ArrayLike) -> Samples:
        samples = self._as_fitted_samples(X)
        samples.check_finite()
        return samples

    def _log_scores(self, samples: Samples, dtype: DType) -> Iterator[tuple[slice, Array, Array]]:
        """Rows, their log scores (m, n_windows), and yᵀ P y of the whole, some at a time."""
        diagonal = self.precision_.diagonal()
        if not (_FLOAT32[0] < diagonal.min() and diagonal.max() < _FLOAT32[1]):
            dtype = np.dtype(np.float64)
        for rows, block in samples.centred_blocks(self.mean_, dtype, _ROWS):
            yield rows, *log_scores(block, self.precision_, self._fitted_windows)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _some(samples: Samples) -> Samples:
    """Samples to standardise by, evenly spaced."""
    if len(samples) <= _CALIBRATION_ROWS:
        return samples
    return Samples(samples.read(np.linspace(0, len(samples) - 1, _CALIBRATION_ROWS).astype(np.intp)))
