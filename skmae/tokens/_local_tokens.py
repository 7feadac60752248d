"""Images in, a coarse grid of non-linear tokens out."""

from math import prod
from numbers import Integral
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from skmae._compat import Interval, StrOptions, fit_context, output_is_frame
from skmae._estimator import GridEstimator, ReadsOnce
from skmae._parameters import GRID, GRID_DOCS, MASKING, shared_docs
from skmae._samples import Samples
from skmae._typing import ChannelAxis, Constraints, FloatArray, Patch, RandomState, Shape
from skmae.tokens._derivative import TokenDerivative
from skmae.tokens._filters import FilterKind, learn_filters
from skmae.tokens._grid import TokenGrid
from skmae.tokens._tokenizer import Tokenizer


@shared_docs(GRID_DOCS)
class LocalTokens(ClassNamePrefixFeaturesOutMixin, ReadsOnce, GridEstimator):
    """Non-linear features of small windows, averaged over a coarse grid: what a `LinearMAE` gains most from.

    Filters are learned from windows of the images, without labels, in about a second. Each responds to every window;
    what is large of its response, on either side, is averaged over the windows around each token. A `LinearMAE` that
    hides whole tokens then finds what distant ones share.

    Parameters
    ----------
    n_filters : int, default=96
        Twice as many channels come out. There are fewer filters where there are fewer windows to learn from, or, for
        ``filters="pca"``, fewer values in a window.
    size : int or tuple of int, default=6
        Pixels of a window along each axis of the grid, or one number for all axes; clipped to the axis.
    filters : {"kmeans", "random", "pca"}, default="kmeans"
        Centres of the clusters of whitened windows; some of these windows; or their leading directions.
    pool : int or tuple of int, default=4
        Tokens along each axis of the grid, at most one for each place of a window.
    stride : int or tuple of int, default=1
        Pixels from one window to the next. Above 1 it takes less time, and finds less.
    %(image_shape)s
    %(channel_axis)s
    random_state : int, RandomState instance or None, default=None
        Draws windows, and begins the clusters. Pass an int for the same filters each time.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, \\*size, n_channels)
        What the contrast-normalised window is multiplied by; the whitening is part of it.
    n_filters_ : int
    tokens_shape_ : tuple of int
        Of the tokens of a sample, channels last: ``(*pool, 2 * n_filters_)``.
    positions_ : ndarray of shape (n_tokens, n_axes)
        Of each token, the mean position of the pixels of all its windows.
    size_, stride_ : tuple of int
        For each axis of the grid.
    image_shape_ : tuple of int
    channel_axis_ : int or None
        Counted from the front of `image_shape_`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had any.

    See Also
    --------
    LinearMAE : Of tokens: ``LinearMAE(mask=0.9, patch=1, channel_axis=-1)``.

    Notes
    -----
    A window w of scaled pixels becomes u = (w − its mean) / sqrt(its variance + .01 of the average variance). Windows u
    are whitened (ZCA) by (C + .1 (tr C / p) I)^(-1/2), C their covariance and p the values of a window. The response r
    of a filter of unit length gives two channels, max(r − .5, 0) and max(−r − .5, 0). This is the recipe of [1]_ and
    [2]_; the constants were chosen by a probe on training images of CIFAR-10.

    Where X came flat, so do the tokens: tell what follows, ``LinearMAE(image_shape=tokens.tokens_shape_, ...)``.

    Filters are learned from 100,000 windows. `transform` needs, beside the tokens, a few megabytes for each thread;
    multiplying an image of n windows takes O(n n_filters p). Tokens come in the precision of X. Where they are too many
    for memory, give a `LinearMAE` those of one batch after another by `partial_fit`, or pass a Dask array.

    References
    ----------
    .. [1] Coates, Ng and Lee, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011.
    .. [2] Coates and Ng, "The Importance of Encoding Versus Training with Sparse Coding and Vector Quantization",
       ICML 2011.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmae import LinearMAE, LocalTokens
    >>> from skmae.datasets import load_photo_patches
    >>> images = load_photo_patches().images[:500]
    >>> LocalTokens(random_state=0).fit_transform(images).shape
    (500, 4, 4, 192)
    >>> deep = make_pipeline(LocalTokens(random_state=0), LinearMAE(16, mask=0.9, patch=1, channel_axis=-1))
    >>> deep.fit_transform(images).shape
    (500, 16)
    """

    _parameter_constraints: Constraints = {
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "size": MASKING["patch"],
        "filters": [StrOptions({"kmeans", "random", "pca"})],
        "pool": MASKING["patch"],
        "stride": MASKING["patch"],
        **GRID,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_filters: int = 96,
        size: Patch = 6,
        *,
        filters: FilterKind = "kmeans",
        pool: Patch = 4,
        stride: Patch = 1,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        random_state: RandomState = None,
    ):
        self.n_filters = n_filters
        self.size = size
        self.filters = filters
        self.pool = pool
        self.stride = stride
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
        """Learn filters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Read in blocks, in any real type. What is missing must be filled first: `PatchImputer`.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds NaN or infinity, or does not fit `image_shape`, `size`, `stride` and `pool`.
        """
        samples = self._as_samples(X)
        self._fitted: Tokenizer = samples.recall_step(self) or self._learn(samples)
        samples.record(self)
        return self

    def _learn(self, samples: Samples) -> Tokenizer:
        shape, axis = self._resolve_shape(samples.n_features, samples.sample_shape)
        grid = TokenGrid.build(shape, axis, size=self.size, stride=self.stride, pool=self.pool)
        samples.check_finite()
        samples.check_bounded(squares=True)
        random = check_random_state(self.random_state)
        return Tokenizer(grid, learn_filters(samples, grid, self.n_filters, self.filters, random))

    def transform(self, X: ArrayLike) -> Any:
        """Make tokens.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray or dask.array.Array
            Of images, (n_samples, \\*tokens_shape_); of flat rows, data frames, and where `set_output` asks for one,
            the same as flat rows. Where X is a Dask array, another, in the same chunks.

        Raises
        ------
        ValueError
            If X holds NaN or infinity, or has another width or sample shape than the training data.
        """
        samples = self._as_fitted_samples(X)
        if output_is_frame(self):
            return self._state.tokens(samples, is_flat=True)
        return samples.recall_made(self._state) or self._state.tokens(samples, is_flat=samples.sample_shape is None)

    def linearize(self, X: ArrayLike) -> TokenDerivative:
        """The derivative of `transform` at samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        TokenDerivative
            ``jvp(vectors, sample)`` and ``vjp(vectors, sample)``, products of the Jacobian of one sample, and of its
            transpose, with the columns of a matrix. Where a response is at the threshold exactly, its derivative is
            taken as 0.

        Raises
        ------
        ValueError
            For the same faults of X as `transform`.
        """
        samples = self._as_fitted_samples(X)
        samples.check_finite()
        return self._state.derivative(samples)

    @property
    def _state(self) -> Tokenizer:
        check_is_fitted(self)
        return self._fitted

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in self.__dict__

    @property
    def filters_(self) -> FloatArray:
        return self._state.filters.filters.reshape(-1, *self._state.grid.window_shape)

    @property
    def n_filters_(self) -> int:
        return len(self._state.filters.offset)

    @property
    def tokens_shape_(self) -> Shape:
        return self._state.tokens_shape

    @property
    def positions_(self) -> FloatArray:
        return self._state.grid.centres

    @property
    def size_(self) -> Shape:
        return self._state.grid.size

    @property
    def stride_(self) -> Shape:
        return self._state.grid.stride

    @property
    def image_shape_(self) -> Shape:  # type: ignore[override]
        return self._state.grid.image_shape

    @property
    def channel_axis_(self) -> int | None:  # type: ignore[override]
        return self._state.grid.channel_axis

    @property
    def _n_features_out(self) -> int:
        return prod(self.tokens_shape_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
