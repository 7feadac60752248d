"""What estimators share: how their parameters are kept, and how samples come in."""

from collections.abc import Callable
from functools import wraps
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skmae._grid import resolve_shape, warn_of_channels
from skmae._reading import read_samples
from skmae._samples import Samples, is_dask
from skmae._typing import ChannelAxis, Shape


def store_parameters(estimator: BaseEstimator, arguments: dict[str, Any]) -> None:
    """Keep what ``__init__`` was given: ``store_parameters(self, locals())``."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):  # the latter is there where ``super()`` is
            setattr(estimator, name, value)


def documentation_url() -> str:
    """Where the site is, as the package's metadata say; empty while they hold a placeholder, or are not there."""
    try:
        lines = metadata("skmae").get_all("Project-URL", [])
    except PackageNotFoundError:  # a checkout that is not installed
        return ""
    url = dict(line.split(", ", 1) for line in lines).get("Documentation", "")
    return "" if ".invalid" in url else url


class LinkedToItsPage:
    """An estimator whose name, in its HTML repr, leads to its page of the site."""

    _doc_link_module = "skmae"

    @property
    def _doc_link_template(self) -> str:
        site = documentation_url()
        return site and f"{site}/generated/{{page}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        from skmae import __all__ as in_short  # here, since the package imports this module

        name, public = type(self).__name__, ".".join(type(self).__module__.split(".")[:2])
        return {"page": f"skmae.{name}" if name in in_short else f"{public}.{name}"}


class SampleReader(LinkedToItsPage):
    """Whatever takes samples."""

    _may_have_gaps = False
    """Whether entries may be masked or NaN, which hides them."""

    def _as_samples(self, X: Any) -> Samples:
        """Samples of any shape, checked to be real numbers, not yet checked for NaN."""
        return read_samples(X, self, may_have_gaps=self._may_have_gaps)


def _leaving_dask_alone(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose output scikit-learn puts into data frames, but not that of Dask arrays: it would be computed."""
    plain = getattr(method, "__wrapped__", method)

    @wraps(method)
    def wrapped(self: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
        return (plain if is_dask(X) else method)(self, X, *args, **kwargs)

    return wrapped


class ReadsOnce(SampleReader, TransformerMixin):
    """A transformer whose `fit_transform` reads X once for `fit` and for `transform`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "transform" in cls.__dict__:
            cls.transform = _leaving_dask_alone(cls.transform)

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
        if is_dask(X):
            return self.fit(X, y, **fit_params).transform(X)
        return super().fit_transform(self._as_samples(X).instead_of(X), y, **fit_params)


ReadsOnce.fit_transform = _leaving_dask_alone(ReadsOnce.fit_transform)  # type: ignore[method-assign]


class GridEstimator(SampleReader, BaseEstimator):
    """An estimator whose samples are grids of pixels, with the parameters `image_shape` and `channel_axis`."""

    image_shape: Shape | None
    channel_axis: ChannelAxis
    image_shape_: Shape
    channel_axis_: int | None
    n_features_in_: int

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """With a remark on how samples were read, where the parameters do not say it: flat rows are guessed."""
        text: str = super().__repr__(N_CHAR_MAX)
        shape = getattr(self, "image_shape_", None) if getattr(self, "image_shape", ()) is None else None
        return text if shape is None else f"{text}  # image_shape_={shape}"

    def _as_fitted_samples(self, X: Any) -> Samples:
        """The same, of the shape and with the names that the estimator was fitted on."""
        check_is_fitted(self)
        samples = self._as_samples(X)
        self._check_shape(samples)
        samples.check_against(self)
        return samples

    def _check_shape(self, samples: Samples) -> None:
        shape = samples.sample_shape
        if samples.n_features != self.n_features_in_ and (shape is None or samples.original_shape == self.image_shape_):
            is_one = samples.original_shape == self.image_shape_
            raise ValueError(
                f"X has {samples.n_features} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                f"features as input: samples of shape {self.image_shape_}, or flat rows. "
                + ("X is one such sample: pass X[None]." if is_one else "Pass samples as in fit.")
            )
        if shape is not None and shape != self.image_shape_:
            raise ValueError(
                f"The samples of X have shape {shape}, but {type(self).__name__} was fitted on samples of shape "
                f"{self.image_shape_}. Pass samples of that shape, or flat rows of {self.n_features_in_} features."
            )

    def _resolve_shape(self, n_features: int, sample_shape: Shape | None) -> tuple[Shape, int | None]:
        """The shape of one sample, and the axis of it that holds channels."""
        shape, axis = resolve_shape(
            self.image_shape, self.channel_axis, n_features=n_features, sample_shape=sample_shape
        )
        warn_of_channels(shape, self.channel_axis)
        return shape, axis
