"""What estimators share: how their parameters are kept, and how samples come in."""

from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmae._grid import resolve_shape
from skmae._samples import Samples, read_samples
from skmae._typing import ChannelAxis, Shape


def store_parameters(estimator: BaseEstimator, arguments: dict[str, Any]) -> None:
    """Keep what ``__init__`` was given: ``store_parameters(self, locals())``."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):  # the latter is there where ``super()`` is
            setattr(estimator, name, value)


class SampleReader:
    """Whatever takes samples."""

    _may_have_gaps = False
    """Whether entries may be masked or NaN, which hides them."""

    def _as_samples(self, X: Any) -> Samples:
        """Samples of any shape, checked to be real numbers, not yet checked for NaN."""
        return read_samples(X, self, may_have_gaps=self._may_have_gaps)


class ReadsOnce(SampleReader, TransformerMixin):
    """A transformer whose `fit_transform` reads X once for `fit` and for `transform`."""

    def fit_transform(self, X: Any, y: object = None, **fit_params: Any) -> Any:
        """Fit, and transform the same samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like or None, default=None
        **fit_params : dict
            For `fit`.

        Returns
        -------
        ndarray
            As `transform` returns.
        """
        return super().fit_transform(self._as_samples(X).instead_of(X), y, **fit_params)


class GridEstimator(SampleReader, BaseEstimator):
    """An estimator whose samples are grids of pixels, with the parameters `image_shape` and `channel_axis`."""

    image_shape: Shape | None
    channel_axis: ChannelAxis
    image_shape_: Shape
    channel_axis_: int | None
    n_features_in_: int

    def _as_fitted_samples(self, X: Any) -> Samples:
        """The same, of the shape and with the names that the estimator was fitted on."""
        check_is_fitted(self)
        samples = self._as_samples(X)
        samples.check_against(self)
        self._check_shape(samples)
        return samples

    def _check_shape(self, samples: Samples) -> None:
        shape = samples.sample_shape
        if shape is not None and shape != self.image_shape_:
            raise ValueError(
                f"The samples of X have shape {shape}, but {type(self).__name__} was fitted on samples of shape "
                f"{self.image_shape_}. Pass samples of that shape, or flat rows of {self.n_features_in_} features."
            )

    def _resolve_shape(self, n_features: int, sample_shape: Shape | None) -> tuple[Shape, int | None]:
        """The shape of one sample, and the axis of it that holds channels."""
        return resolve_shape(self.image_shape, self.channel_axis, n_features=n_features, sample_shape=sample_shape)
