"""Which inputs each output pixel of an autoencoder depends on."""

from collections.abc import Iterator
from functools import reduce
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import qr, svd
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, check_random_state
from sklearn.utils.extmath import svd_flip
from sklearn.utils.validation import check_is_fitted

from skmae._compat import HasMethods, Interval, StrOptions, _fit_context, _num_samples
from skmae._estimator import ReadsOnce
from skmae._samples import Samples, row_blocks
from skmae._typing import BoolArray, Constraints, FloatArray, Floats, IntArray, RandomState
from skmae.inspection._inputs import as_taken_by, features_of_pixels, grid_of, read, resolve_outputs
from skmae.inspection._inspected import PixelModel, as_inspected, check_inspected
from skmae.inspection._protocol import Linearization, Reconstructor
from skmae.inspection._stack import TokenStack, is_stack
from skmae.masking import read_visible

_EXACT = 512  # rows or columns up to which a Jacobian is formed and decomposed
_OVERSAMPLING, _ITERATIONS = 10, 6  # of the randomized decomposition


class JacobianSVD(NamedTuple):
    """Singular vectors of Jacobians, as ``numpy.linalg.svd`` names them.

    Attributes
    ----------
    U : ndarray of shape (n_samples, n_output_features, n_components)
    S : ndarray of shape (n_samples, n_components)
    Vh : ndarray of shape (n_samples, n_components, n_features)
    """

    U: Floats
    S: Floats
    Vh: Floats


class JacobianBasis(ClassNamePrefixFeaturesOutMixin, ReadsOnce, BaseEstimator):
    """How much each input pixel influences chosen output pixels of an autoencoder, sample by sample.

    J(x) holds the derivatives of ``reconstruct(x, visible)`` by x (Eq. 10). A row of it is what the model looks at to
    draw one output: fixed for a linear model, where J = B, and adapted to each sample by a deep one.

    Parameters
    ----------
    estimator : autoencoder
        `LinearMAE`, `LinearDAE`, `LinearAE`, `ViTMAE`, a `TorchAutoencoder` around another model, or anything with
        ``reconstruct``, ``sample_visible`` and ``linearize``; or a stack, a Pipeline of `LocalTokens` and one of these.
        A clone of it is fitted; a fitted one is used as it is inside a ``sklearn.frozen.FrozenEstimator``.
    outputs : {"center", "grid", "all"} or array-like of int, default="center"
        Output pixels: the middle one; 4 along each axis, evenly spread; all; or chosen ones, by number in C order,
        (n_outputs,), or by coordinates, (n_outputs, n_axes). Of a stack they are tokens.
    visible : None, array-like of bool or "random", default=None
        What the model sees; other values are never read, and may be NaN. None hides nothing. A mask as in the
        estimator's ``reconstruct``, for all samples alike. In a stack it hides tokens, and all pixels are read.
        "random" averages over `n_masks` masks, drawn once, in `fit`, as the estimator's training draws them.
    n_masks : int, default=1
        Masks of ``visible="random"``.
    batch_size : int or None, default=None
        Products with J computed at a time, for deep models. None fills half of scikit-learn's ``working_memory``
        (``sklearn.config_context(working_memory=256)``, in MiB) where that many pay. It does not change the result.
    random_state : int, RandomState instance or None, default=None
        For the masks, and for the randomized decomposition of `basis`.

    Attributes
    ----------
    estimator_ : fitted autoencoder
    outputs_ : ndarray of int of shape (n_outputs,)
        The output pixels, by number.
    output_features_ : ndarray of int of shape (n_outputs * n_channels,)
        The feature that each row of `jacobian` belongs to: the channels of the first pixel, of the second, and so on;
        with ``outputs="all"`` in the order of the features. Of a stack, features of tokens.
    positions_ : ndarray of shape (n_outputs, n_axes)
        Where the outputs are on the grid of input pixels: their coordinates; of tokens, the mean position of the pixels
        of all their windows.
    masks_ : ndarray of bool of shape (n_masks, n_patches), (1, \\*grid), (1, n_features), or None
        What is visible, mask by mask.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.

    See Also
    --------
    SpatialEntropy : How far the maps reach.
    skmae.inspection.influence_by_distance : Influence against distance.

    Notes
    -----
    Linear models: J = B diag(r) / q, a product of two matrices. Deep ones: products with J or with its transpose,
    in batches; as many as there are output features or 1.5 times the visible input features, whichever are fewer.

    Stacks: ``make_pipeline(LocalTokens(), LinearMAE(96, mask=0.9, patch=1, channel_axis=-1))`` draws tokens, and sees
    pixels: J is that of the autoencoder at the tokens of x, times the derivative of tokens by pixels. It differs from
    sample to sample. Where the response of a filter is at the threshold exactly, tokens are not differentiable, and the
    derivative is taken as 0. Of each sample as many products with the transpose of that derivative are taken as there
    are output features, or ``components_`` of a linear model, whichever are fewer.

    A masked autoencoder learns to predict hidden patches only. What it makes of visible ones, and so what is seen with
    ``visible=None``, is a side effect of that training (of a `LinearMAE` only with ``loss="hidden"``).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmae import JacobianBasis, LinearMAE, SpatialEntropy
    >>> X = load_digits().images
    >>> mae = LinearMAE(16, patch=2).fit(X)
    >>> basis = JacobianBasis(FrozenEstimator(mae), outputs="grid").fit(X)
    >>> basis.transform(X[:5]).shape  # 16 maps of 64 pixels for each image
    (5, 1024)
    >>> basis.jacobian(X[:5]).shape
    (5, 16, 64)
    >>> make_pipeline(basis, SpatialEntropy((8, 8))).fit_transform(X[:5]).shape
    (5, 16)
    """

    _parameter_constraints: Constraints = {
        "estimator": [HasMethods(["fit"])],
        "outputs": [StrOptions({"center", "grid", "all"}), "array-like"],
        "visible": [StrOptions({"random"}), "array-like", None],
        "n_masks": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Reconstructor | Pipeline,
        *,
        outputs: ArrayLike = "center",
        visible: ArrayLike | None = None,
        n_masks: int = 1,
        batch_size: int | None = None,
        random_state: RandomState = None,
    ):
        self.estimator = estimator
        self.outputs = outputs
        self.visible = visible
        self.n_masks = n_masks
        self.batch_size = batch_size
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit the autoencoder, unless it is frozen, and draw the masks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like of shape (n_samples,) or None, default=None
            Passed on to the autoencoder.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator cannot reconstruct.
        ValueError
            If an output pixel is outside the grid, or `visible` does not fit it; for the same faults of X as
            `transform`.
        """
        check_inspected(self.estimator)
        samples = self._as_samples(X)
        is_frozen = isinstance(self.estimator, FrozenEstimator)
        if not is_frozen:
            self._check_outputs_early(samples)
        estimator = clone(self.estimator).fit(as_taken_by(self.estimator, samples), y)
        model = as_inspected(estimator)
        outputs = resolve_outputs(self.outputs, model.outputs)
        is_all = isinstance(self.outputs, str) and self.outputs == "all"
        of_pixels = features_of_pixels(model.outputs)[outputs].ravel()
        masks = self._read_masks(model)
        seen = model.read(samples, masks)
        if is_frozen:  # its fit took any X; this refuses what `transform` would
            model.check(seen, None if masks is None else masks[0])
        samples.record(self)
        self.estimator_, self._model, self.outputs_, self.masks_ = estimator, model, outputs, masks
        self.image_shape_, self.channel_axis_ = model.inputs.image_shape, model.inputs.channel_axis
        self.output_features_ = np.arange(model.outputs.n_features) if is_all else of_pixels
        return self

    def _as_samples(self, X: Any) -> Samples:
        return read(X, reader=type(self).__name__)

    def _check_outputs_early(self, samples: Samples) -> None:
        """Refuse a pixel outside the grid before an autoencoder is trained for hours."""
        if samples.sample_shape is not None and not is_stack(self.estimator):  # which is trained in seconds
            resolve_outputs(
                self.outputs, grid_of(samples.sample_shape, getattr(self.estimator, "channel_axis", "auto"))
            )

    def _read_masks(self, model: PixelModel | TokenStack) -> BoolArray | None:
        if self.visible is None:
            return None
        if isinstance(self.visible, str):
            return model.sample_visible(self.n_masks, check_random_state(self.random_state))
        grid = model.masked
        mask = read_visible(grid, self.visible, 1)
        per_pixel = mask.shape[1] == grid.n_pixels != grid.n_patches
        return mask.reshape(1, *grid.grid_shape) if per_pixel else mask

    def _read(self, X: Any) -> Any:
        """X as the autoencoder takes it, with the columns of `fit`; the autoencoder checks the values."""
        check_is_fitted(self)
        samples = self._as_samples(X)
        samples.check_against(self)
        return self._model.read(samples, self.masks_)

    def transform(self, X: ArrayLike) -> Floats:
        """Influence maps: ``|J|``, summed over the channels of the output and of the input.

        With ``visible="random"`` maps are averaged over the masks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples, n_outputs * n_pixels)
            Maps laid end to end. ``.reshape(n_samples, n_outputs, *grid)`` makes pictures of them. In units of output
            per input; float32, or float64 where X is.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        X = self._read(X)
        inputs, outputs = self._model.inputs, self._model.outputs
        features = features_of_pixels(outputs)[self.outputs_].ravel()
        assembler = _Assembler(
            features, outputs.n_channels, inputs.pixel_of_feature, inputs.n_pixels, outputs.n_features
        )
        maps = self._mean_over_masks(X, assembler)
        return maps.reshape(len(maps), -1)

    def jacobian(self, X: ArrayLike) -> Floats:
        """Rows of J, signed: one per channel of each output pixel.

        With ``visible="random"`` averaged over the masks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples, n_outputs * n_channels, n_features)
            Row i belongs to feature ``output_features_[i]``. Columns of hidden inputs are zero.

        Raises
        ------
        ValueError
            For the same faults of X as `transform`.
        """
        X = self._read(X)
        return self._mean_over_masks(X, self._signed())

    def _signed(self) -> "_Assembler":
        d = self.n_features_in_
        return _Assembler(self.output_features_, None, np.arange(d), d, self._model.outputs.n_features)

    def basis(self, X: ArrayLike, n_components: int = 16) -> JacobianSVD:
        """Leading singular vectors of J, restricted to the rows of `outputs`.

        They are the patterns that the model recognises in a sample (rows of Vh) and those that it draws for them
        (columns of U). Small Jacobians are formed and decomposed; of larger ones products with random vectors are
        taken, to convergence of subspaces of clearly different singular values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        n_components : int, default=16

        Returns
        -------
        JacobianSVD
            ``U`` (n_samples, n_outputs * n_channels, n_components), ``S`` (n_samples, n_components), descending, and
            ``Vh`` (n_samples, n_components, n_features). The largest entry of each column of U is positive.

        Raises
        ------
        ValueError
            If there are not that many components; for the same faults of X as `transform`.
        """
        check_is_fitted(self)
        smaller = min(len(self.output_features_), self.n_features_in_)
        if not isinstance(n_components, Integral) or not 1 <= n_components <= smaller:
            raise ValueError(
                f"n_components={n_components!r} must be a whole number from 1 to {smaller}, the smaller side of the "
                f"Jacobian of {len(self.output_features_)} outputs by {self.n_features_in_} inputs."
            )
        X = self._read(X)
        linearizations = list(self._linearizations(X))
        n = 1 if linearizations[0].shared else _num_samples(X)
        if smaller <= max(_EXACT, 2 * n_components):
            one_by_one = (self._mean_of(linearizations, slice(i, i + 1), self._signed())[0] for i in range(n))
            parts = [_leading(*svd(J, full_matrices=False), n_components) for J in one_by_one]
        else:
            rng = check_random_state(self.random_state)
            start = rng.standard_normal((self.n_features_in_, min(n_components + _OVERSAMPLING, smaller)))
            parts = [self._sketch(linearizations, i, start, n_components) for i in range(n)]
        repeats = 1 if n == _num_samples(X) else _num_samples(X)
        return JacobianSVD(*(np.repeat(np.stack(part), repeats, axis=0) for part in zip(*parts, strict=True)))

    def _sketch(self, linearizations: list[Linearization], sample: int, start: Floats, k: int) -> tuple[Floats, ...]:
        """Leading singular vectors by subspace iteration: nothing but products with J and with its transpose."""
        features = self.output_features_

        def forward(V: Floats) -> Floats:
            return np.mean([part.jvp(V, sample)[features] for part in linearizations], axis=0)

        def backward(U: Floats) -> Floats:
            whole = np.zeros((self._model.outputs.n_features, U.shape[1]), U.dtype)
            whole[features] = U
            return np.mean([part.vjp(whole, sample) for part in linearizations], axis=0)

        V = start
        for _ in range(_ITERATIONS):
            U = qr(forward(V), mode="economic")[0]
            V, R = qr(backward(U), mode="economic")  # U' J = R' V'
        small_U, S, small_Vh = svd(R.T)
        dtype = forward(V[:, :1]).dtype
        leading = _leading(U @ small_U, S, small_Vh @ V.T, k)
        return tuple(part.astype(dtype, copy=False) for part in leading)

    def _mean_over_masks(self, X: ArrayLike, assembler: "_Assembler") -> Floats:
        """One mask after the other, so that no more than one is linearized at a time."""
        n_masks, n_samples = 1 if self.masks_ is None else len(self.masks_), _num_samples(X)
        parts = (
            assembler.assemble(part, slice(0, 1 if part.shared else n_samples)) for part in self._linearizations(X)
        )
        mean = reduce(lambda total, part: np.add(total, part, out=total), parts)
        mean /= n_masks
        return mean if len(mean) == n_samples else np.repeat(mean, n_samples, axis=0)

    def _mean_of(self, linearizations: list[Linearization], samples: slice, assembler: "_Assembler") -> Floats:
        return np.mean([assembler.assemble(part, samples) for part in linearizations], axis=0)

    def _linearizations(self, X: Any) -> Iterator[Linearization]:
        for mask in [None] if self.masks_ is None else self.masks_:
            yield self._model.linearize(X, mask, self.batch_size)

    @property
    def positions_(self) -> FloatArray:
        return self._model.positions(self.outputs_)

    @property
    def _n_features_out(self) -> int:
        return len(self.outputs_) * self._model.inputs.n_pixels

    def __sklearn_is_fitted__(self) -> bool:
        return "outputs_" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags


def frozen_basis(estimator: Reconstructor | Pipeline, **parameters: Any) -> JacobianBasis:
    """The Jacobians of a fitted autoencoder, which is used as it is."""
    check_inspected(estimator)
    check_is_fitted(estimator)
    return JacobianBasis(FrozenEstimator(estimator), **parameters)


class _Assembler:
    """Puts rows of J, or maps of its absolute values, together from what a linearization computes at a time.

    Parameters
    ----------
    outputs : ndarray of int of shape (n_rows,)
        Output features.
    n_summed : int or None
        Rows whose absolute values are summed, the channels of one output pixel; None takes rows as they are, signed.
    place_of_input : ndarray of int of shape (d,)
        The column that each input is added to: its own, or that of its pixel.
    n_places : int
        Number of such columns.
    n_output_features : int
        Rows of J, of which `outputs` are some.
    """

    def __init__(
        self,
        outputs: IntArray,
        n_summed: int | None,
        place_of_input: IntArray,
        n_places: int,
        n_output_features: int,
    ):
        self.outputs = outputs
        self.n_summed = n_summed
        self.place_of_input = place_of_input
        self.n_places = n_places
        self._fitting = max(_values_at_once() // max(len(place_of_input), n_output_features), 1)  # rows, or columns

    def assemble(self, linearization: Linearization, samples: slice) -> Floats:
        """(n_samples, n_rows / n_summed, n_places), by rows or by columns of J, whichever are cheaper."""
        inputs = linearization.cheaper_inputs(len(self.outputs))
        if inputs is None:
            return self._by_rows(linearization, samples)
        return self._by_columns(linearization, samples, inputs)

    def _by_rows(self, linearization: Linearization, samples: slice) -> Floats:
        out = None
        n_summed, n = self.n_summed or 1, samples.stop - samples.start
        rows = max(min(self._fitting, len(self.outputs)) // n_summed, 1) * n_summed
        for some in row_blocks(n, max(self._fitting // rows, 1)):
            for chunk in row_blocks(len(self.outputs), rows):
                part = slice(samples.start + some.start, samples.start + some.stop)
                summed = self._sum_channels(linearization.rows(self.outputs[chunk], part))  # (m, c / n_summed, d)
                if out is None:
                    out = np.zeros((n, len(self.outputs) // n_summed, self.n_places), summed.dtype)
                here = out[some, chunk.start // n_summed : chunk.stop // n_summed]
                for inputs in self._inputs_of_different_places():
                    here[:, :, self.place_of_input[inputs]] += summed[:, :, inputs]
        return np.empty((0,)) if out is None else out

    def _by_columns(self, linearization: Linearization, samples: slice, inputs: IntArray) -> Floats:
        out = None
        n, d = samples.stop - samples.start, len(self.place_of_input)
        inputs = (
            inputs if len(inputs) else np.zeros(1, int)
        )  # all is hidden: any column is zero, and has the right type
        for i in range(n):
            for chunk in row_blocks(len(inputs), self._fitting):
                some = inputs[chunk]
                units = np.zeros((d, len(some)), np.float32)
                units[some, np.arange(len(some))] = 1
                columns = linearization.jvp(units, samples.start + i)[self.outputs]  # (n_rows, c)
                summed = self._sum_channels(columns[np.newaxis])[0]  # (n_rows / n_summed, c)
                if out is None:
                    out = np.zeros((n, len(summed), self.n_places), summed.dtype)
                np.add.at(out[i].T, self.place_of_input[some], summed.T)
        return np.empty((0,)) if out is None else out

    def _sum_channels(self, rows: Floats) -> Floats:
        """(m, n_rows, c) → (m, n_rows / n_summed, c)."""
        if self.n_summed is None:
            return rows
        return np.abs(rows).reshape(len(rows), -1, self.n_summed, rows.shape[2]).sum(axis=2)

    def _inputs_of_different_places(self) -> IntArray:
        """(n_inputs / n_places, n_places): ``+=`` adds only one of several inputs that have the same place."""
        return np.argsort(self.place_of_input, kind="stable").reshape(self.n_places, -1).T


def _values_at_once() -> int:
    """Values of which two copies take a quarter of ``working_memory``."""
    return max(int(get_config()["working_memory"] * 2**20 / 4 / 16), 1)


def _leading(U: Floats, S: Floats, Vh: Floats, k: int) -> tuple[Floats, ...]:
    """The first k singular vectors and values, with scikit-learn's signs."""
    U, Vh = svd_flip(U[:, :k], Vh[:k])
    return U, S[:k], Vh
