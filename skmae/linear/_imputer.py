"""Samples with holes in, whole samples out."""

from copy import copy
from typing import Any, Self, cast, get_args

from numpy.typing import ArrayLike
from sklearn.base import OneToOneFeatureMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmae._compat import StrOptions, fit_context, output_is_frame
from skmae._estimator import GridEstimator, ReadsOnce
from skmae._typing import Constraints, Shape
from skmae.linear._base import LinearAutoencoder
from skmae.linear._filling import FillMethod
from skmae.linear._models import LinearMAE


def _can_go_on(imputer: Any) -> bool:
    if imputer.__sklearn_is_fitted__():
        imputer.estimator_.partial_fit  # noqa: B018 - says why not, if it cannot
    return True


def _solved(estimator: Any) -> None:
    """Refuse what a stream may begin with, but no fit: a single sample, a feature that none has shown."""
    try:
        estimator._conditional  # noqa: B018
    except NotFittedError as error:
        raise ValueError(str(error)) from error


class PatchImputer(OneToOneFeatureMixin, ReadsOnce, GridEstimator):
    """Fill missing entries of images, signals and volumes, in place of `sklearn.impute.SimpleImputer`.

    NaN and masked entries are filled by what a linear masked autoencoder makes of the rest of the sample. What is
    there stays as it is.

    Parameters
    ----------
    estimator : LinearMAE, LinearDAE, LinearAE or None, default=None
        It is cloned and fitted; its parameters say what a sample looks like. None is ``LinearMAE()``.
    method : {"conditional", "linear"}, default="conditional"
        "conditional" is the best linear answer for each mask: one system of equations for each distinct mask, .04 s at
        3,072 features. "linear" is the reconstruction of `estimator`, one product for all samples: for many samples
        with a mask of their own, or too many features for a matrix of n_features × n_features.

    Attributes
    ----------
    estimator_ : LinearMAE, LinearDAE or LinearAE
        Its `fill` tells how sure each filled entry is, too, after ``method="conditional"`` or `partial_fit`.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had any.

    See Also
    --------
    LinearMAE : Takes samples with holes itself: `transform` fills them, then encodes.
    sklearn.impute.KNNImputer : For small images it may be better.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmae import PatchImputer
    >>> X, y = load_digits(return_X_y=True)
    >>> holes = X.copy()
    >>> holes.reshape(-1, 8, 8)[:, 2:5, 2:5] = np.nan
    >>> PatchImputer().fit(X).transform(holes).shape
    (1797, 64)
    >>> clf = make_pipeline(PatchImputer(), LogisticRegression(max_iter=5000)).fit(X[:1200], y[:1200])
    >>> clf.score(holes[1200:], y[1200:]) > 0.8
    True
    """

    _may_have_gaps = True

    estimator_: LinearAutoencoder

    _parameter_constraints: Constraints = {
        "estimator": [LinearAutoencoder, None],
        "method": [StrOptions(set(get_args(FillMethod)))],
    }

    def __init__(self, estimator: LinearAutoencoder | None = None, *, method: FillMethod = "conditional"):
        self.estimator = estimator
        self.method = method

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Learn what samples look like, from samples with holes or without.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            As in `LinearMAE.fit`.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `LinearMAE.fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For the same faults of X as `LinearMAE.fit`.
        """
        estimator, samples = self._new_estimator(), self._as_samples(X)
        if self.method == "conditional":
            estimator.partial_fit(samples, sample_weight=sample_weight)
            _solved(estimator)
        else:
            estimator.fit(samples, sample_weight=sample_weight)
        return self._learned(estimator, samples)

    @available_if(_can_go_on)
    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Add a batch: any order and any batch size gives the answer of `fit` on all of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self

        Raises
        ------
        AttributeError
            After `fit` with ``method="linear"``, which keeps no moments to go on from.
        ValueError
            For the same faults of X as `fit`. A batch that is refused leaves the imputer as it was.
        """
        is_first = not self.__sklearn_is_fitted__()
        samples = self._as_samples(X) if is_first else self._as_fitted_samples(X)
        estimator = self._new_estimator() if is_first else self.estimator_
        estimator.partial_fit(cast(ArrayLike, samples), sample_weight=sample_weight)
        return self._learned(estimator, samples) if is_first else self

    def _new_estimator(self) -> Any:
        return LinearMAE() if self.estimator is None else clone(self.estimator)

    def _learned(self, estimator: Any, samples: Any) -> Self:
        samples.record(self)
        self.estimator_ = estimator
        return self

    def _fitted_estimator(self) -> LinearAutoencoder:
        check_is_fitted(self)
        return self.estimator_

    def __copy__(self) -> Self:
        """A copy whose `partial_fit` leaves this imputer alone."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__)
        if self.__sklearn_is_fitted__():
            other.estimator_ = copy(self.estimator_)
        return other

    def __sklearn_is_fitted__(self) -> bool:
        return "estimator_" in self.__dict__

    def transform(self, X: ArrayLike) -> Any:
        """Fill what is missing.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray
            As `LinearMAE.fill` returns: in the shape of X; flat rows for data frames, and where `set_output` asks for
            these.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds infinity.
        """
        samples = self._as_fitted_samples(X)
        filled = self.estimator_.fill(cast(ArrayLike, samples), method=self.method)
        return filled.reshape(len(samples), -1) if output_is_frame(self) else filled

    @property
    def image_shape_(self) -> Shape:  # type: ignore[override]
        return self._fitted_estimator().image_shape_

    @property
    def channel_axis_(self) -> int | None:  # type: ignore[override]
        return self._fitted_estimator().channel_axis_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
