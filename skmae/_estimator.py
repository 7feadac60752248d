"""What all estimators on grids of pixels share: how samples come in, and that a failed fit changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skmae._grid import resolve_shape
from skmae._samples import Samples, read_samples

Shape = tuple[int, ...]


def store_parameters(estimator: BaseEstimator, arguments: dict[str, Any]) -> None:
    """Keep what ``__init__`` was given: ``store_parameters(self, locals())``."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):  # the latter is there where ``super()`` is
            setattr(estimator, name, value)


@contextmanager
def all_or_nothing(estimator: BaseEstimator, but: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Give the estimator its old state back if the block fails, but for some errors, after which its state is good."""
    before = dict(estimator.__dict__)
    try:
        yield
    except but:
        raise
    except BaseException:
        for name in estimator.__dict__.keys() - before.keys():
            del estimator.__dict__[name]
        estimator.__dict__.update(before)
        raise


class GridEstimator(BaseEstimator):
    """An estimator whose samples are grids of pixels, with the parameters `image_shape` and `channel_axis`."""

    image_shape: Shape | None
    channel_axis: Any
    image_shape_: Shape
    channel_axis_: int | None
    n_features_in_: int

    def _as_samples(self, X: Any) -> Samples:
        """Samples of any shape, checked to be real numbers, not yet checked for NaN."""
        return read_samples(X, self)

    def _as_fitted_samples(self, X: Any) -> Samples:
        """The same, of the shape and with the names that the estimator was fitted on."""
        check_is_fitted(self)
        samples = self._as_samples(X)
        samples.compare(self)
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
