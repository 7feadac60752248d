"""What the linear autoencoders share: samples in, moments, solution, features out."""

from copy import copy
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from skmae._compat import HasMethods, Interval, RealNotInt, StrOptions, check_same_namespace, fit_context
from skmae._estimator import GridEstimator, ReadsOnce
from skmae._gaps import by_mask
from skmae._grid import PatchGrid
from skmae._parameters import GRID
from skmae._reading import check_columns, library_of
from skmae._samples import Samples, Weights, floating_dtype, naming, narrowed, to_numpy
from skmae._typing import Array, BoolArray, Constraints, DType, FloatArray, Floats, RandomState, Shape
from skmae.linear._conditional import Conditional
from skmae.linear._corruptions import Corruption, Masks
from skmae.linear._filling import Filling, FillMethod, fill_rows
from skmae.linear._linearization import LinearMap
from skmae.linear._losses import AllFeatures, HiddenFeatures, Loss
from skmae.linear._problem import Problem, Solution, check_rank
from skmae.linear._solvers import SOLVERS, choose_solver, solve
from skmae.linear._state import Fitted, FreshLock, FromSamples, Streamed, hidden_after_fit, placed
from skmae.masking import check_n_samples, draw_visible, read_visible
from skmae.moments import Moments


class LinearAutoencoder(ClassNamePrefixFeaturesOutMixin, ReadsOnce, GridEstimator):
    """Base of the linear autoencoders: a subclass says how it corrupts samples.

    To add a corruption, write a subclass with ``__init__`` and `_corruption`; to add a distribution of masks, a sampler
    (`skmae.masking`), or a subclass with `_patch` and `_masks`.

    Examples
    --------
    Every feature multiplied by noise of its own, of mean 1 and standard deviation `std`:

    >>> from sklearn.datasets import load_digits
    >>> from skmae.linear import Corruption, LinearAutoencoder
    >>> class Speckle(LinearAutoencoder):
    ...     def __init__(
    ...         self, n_components=None, *, std=0.5, image_shape=None, channel_axis="auto", whiten=False, solver="auto"
    ...     ):
    ...         self.n_components = n_components
    ...         self.std = std
    ...         self.image_shape = image_shape
    ...         self.channel_axis = channel_axis
    ...         self.whiten = whiten
    ...         self.solver = solver
    ...
    ...     def _corruption(self, grid):
    ...         return Corruption(within=self.std**2)
    >>> Speckle(8).fit_transform(load_digits().images).shape
    (1797, 8)
    """

    _may_have_gaps = True

    n_components: int | float | None
    whiten: bool
    solver: Any
    _fitted: Fitted | Streamed
    _lock: FreshLock

    _parameter_constraints: Constraints = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        **GRID,
        "whiten": ["boolean"],
        "solver": [StrOptions(set(SOLVERS)), HasMethods(["refuses", "solve"])],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # -- what a subclass says -------------------------------------------------------------------------------------

    def _corruption(self, grid: PatchGrid) -> Corruption:
        """The corruption that this autoencoder learns to undo: by default, its masks."""
        masks = self._masks(grid)
        return Corruption() if masks is None else Corruption.of_masks(masks.sampler, grid, masks.mask)

    def _masks(self, grid: PatchGrid) -> Masks | None:  # noqa: ARG002
        """The masks that hide patches; None where nothing is hidden."""
        return None

    def _patch(self) -> Any:
        """Patch size, what is hidden at once; None if the model has no patches: every feature is one by itself."""
        return None

    def _loss(self, corruption: Corruption) -> Loss:  # noqa: ARG002
        """What the reconstruction is judged by."""
        return AllFeatures()

    def _corruption_parameters(self) -> set[str]:
        """Parameters that decide how samples are corrupted or judged, under which scores cannot be compared."""
        return set(self.get_params(deep=False)) - set(LinearAutoencoder._parameter_constraints)

    # -- fitting --------------------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Fit in closed form.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Any real type; 8-bit, memory-mapped and read-only arrays are read in blocks and never copied whole. A Dask
            array, cut along its samples, is read where its chunks are. NaN and masked entries are hidden: they are
            left out of the mean and of the second moments, each pair of features over the samples that know both.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0: a weight of 2 counts a sample twice, a weight of 0 leaves it out. None is 1 for each.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X holds infinity, has fewer than two samples of a weight above zero, a feature that no sample knows, or
            does not fit `image_shape`; if `n_components` exceeds min(n_samples, n_features); if a weight is negative.
        """
        samples = self._as_samples(X)
        weights = samples.check_weights(sample_weight)
        pose = self._pose if samples.rows_at_hand else self._pose_for_moments
        problem, masks = pose(samples.n_features, samples.sample_shape)
        data = FromSamples(samples, weights)
        solution = samples.recall(problem, weights) or solve(problem, data)
        samples.record(self)
        like = samples.adopt(np.empty(0))
        self._fitted = Fitted(problem, masks, placed(solution, like), data.n_samples)
        return self

    @hidden_after_fit
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Add a batch. Any order and any batch size gives the answer of `fit` on all of the data.

        The batch goes into ``moments_``; the closed form is solved once, when a fitted attribute or `transform` is
        next asked for. Parameters count as they stood at the last call; to change them, ``fit_moments(self.moments_)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            After `fit`, which keeps no moments to go on from.
        ValueError
            For the same faults of X as `fit`. A batch that is refused leaves the estimator as it was.
        """
        self._validate_params()  # scikit-learn does so before the first batch only
        with self.__dict__.setdefault("_lock", FreshLock()) as lock:
            before: Streamed | None = self.__dict__.get("_fitted")
            samples = self._as_samples(X) if before is None else self._as_fitted_samples(X)
            sample_shape = samples.sample_shape if before is None else before.moments.sample_shape
            problem, masks = self._pose_for_moments(samples.n_features, sample_shape)
            moments = Moments(samples.n_features) if before is None else before.moments
            moments.update(cast(ArrayLike, samples), sample_weight)
            if before is None:
                samples.record(self)
            self._fitted = Streamed(problem, masks, moments, samples.adopt(np.empty(0)), lock)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_moments(self, moments: Moments) -> Self:
        """Fit from moments that were gathered elsewhere: by a stream, by other machines, by adding folds.

        Parameters
        ----------
        moments : Moments
            They are copied; `partial_fit` may go on from them. If they came from flat rows, `image_shape` says what a
            sample looks like.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `moments` is not a `Moments`.
        ValueError
            If they hold fewer than two samples, or fewer than `n_components`; if they do not fit `image_shape`.
        """
        if not isinstance(moments, Moments):
            raise TypeError(
                f"moments must be a skmae.Moments, got {type(moments).__name__}. Make one with Moments.from_data(X)."
            )
        check_rank(self.n_components, moments.n_rows, moments.n_features)
        with self.__dict__.setdefault("_lock", FreshLock()) as lock:
            problem, masks = self._pose_for_moments(moments.n_features, moments.sample_shape)
            moments._record(self)
            self._fitted = Streamed(problem, masks, copy(moments), np.empty(0), lock)
        return self

    def _pose(self, n_features: int, sample_shape: Shape | None) -> tuple[Problem, Masks | None]:
        """The problem that the parameters state to samples of a shape, and its masks."""
        patch = self._patch()
        shape = self._resolve_shape(n_features, sample_shape)
        grid = PatchGrid.build(*shape, 1 if patch is None else patch)
        corruption = self._corruption(grid)
        if patch is not None:
            corruption = corruption.with_groups(grid.patch_of_feature)
        loss = self._loss(corruption)
        problem = Problem(grid, corruption, loss, self.n_components, self.whiten, self.solver, **self._how_to_solve())
        return problem, self._masks(grid)

    def _how_to_solve(self) -> dict[str, Any]:
        """What subclasses may have as parameters."""
        return {name: getattr(self, name) for name in ("random_state", "verbose") if hasattr(self, name)}

    def _pose_for_moments(self, n_features: int, sample_shape: Shape | None) -> tuple[Problem, Masks | None]:
        """The same, where there will be nothing but moments to solve it from."""
        problem, masks = self._pose(n_features, sample_shape)
        if isinstance(self.n_components, Integral) and self.n_components > n_features:
            raise ValueError(
                f"n_components={self.n_components} is larger than n_features={n_features}. Pass at most {n_features}, "
                f"or None to keep every direction that carries signal."
            )
        choose_solver(problem, n_features, has_rows=False)
        return problem, masks

    def __copy__(self) -> Self:
        """A copy whose `partial_fit` leaves this model alone."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__, _lock=FreshLock())
        state = self.__dict__.get("_fitted")
        if isinstance(state, Streamed):
            other._fitted = replace(state, moments=copy(state.moments), lock=other._lock)
        return other

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in self.__dict__

    # -- what was fitted ------------------------------------------------------------------------------------------

    @property
    def _state(self) -> Fitted | Streamed:
        check_is_fitted(self)
        return self._fitted

    @property
    def _problem(self) -> Problem:
        return self._state.problem

    @property
    def _solution(self) -> Solution:
        return self._state.solution

    @property
    def components_(self) -> FloatArray:
        return self._solution.components

    @property
    def decoder_(self) -> FloatArray:
        return self._solution.decoder

    @property
    def mean_(self) -> FloatArray:
        return self._solution.mean

    @property
    def eigenvalues_(self) -> FloatArray:
        return self._solution.eigenvalues

    @property
    def explained_variance_ratio_(self) -> FloatArray:
        return self._solution.explained_variance_ratio

    @property
    def expected_loss_(self) -> float:
        return self._solution.expected_loss

    @property
    def n_components_(self) -> int:
        return self._solution.n_components

    @property
    def _predicts_hidden_only(self) -> bool:
        """Whether what is made of visible features means nothing."""
        return isinstance(self._problem.loss, HiddenFeatures)

    @property
    def solver_(self) -> str:
        return self._solution.solver

    @property
    def n_samples_seen_(self) -> float:
        return self._state.n_samples_seen

    @property
    def image_shape_(self) -> Shape:  # type: ignore[override]
        return self._problem.grid.image_shape

    @property
    def channel_axis_(self) -> int | None:  # type: ignore[override]
        return self._problem.grid.channel_axis

    @property
    def patch_(self) -> Shape:
        return self._problem.grid.patch_shape

    @property
    def moments_(self) -> Moments:
        if not isinstance(self._state, Streamed):
            raise NotFittedError("fit keeps no moments. moments_ is there after partial_fit or fit_moments.")
        return self._state.moments

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    # -- using ----------------------------------------------------------------------------------------------------

    def _samples_for(self, X: Any, method: str, visible: ArrayLike | None = None) -> Samples:
        """Samples for a fitted model, which takes arrays of its own library; what is not `visible` is masked."""
        check_is_fitted(self)
        if not isinstance(X, Samples):
            check_same_namespace(X, self, attribute="components_", method=method)
        samples = self._as_fitted_samples(X)
        if visible is None:
            return samples
        grid = self._problem.grid
        return samples.hiding(~grid.per_feature(read_visible(grid, visible, len(samples))))

    def _on_host(self, *names: str) -> tuple[FloatArray, ...]:
        solution = self._solution
        return tuple(to_numpy(getattr(solution, name)) for name in names)

    def transform(self, X: ArrayLike, visible: ArrayLike | None = None) -> Array:
        """Encode whole samples: ``(X - mean_) @ components_.T``. Nothing is random.

        What is hidden is filled first, by what `reconstruct` makes of the rest of the sample. The best linear
        answer for each mask is nearer to the features of the whole sample and takes longer: ``transform(fill(X))``
        where ``moments_`` are kept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            NaN and masked entries are hidden.
        visible : array-like of bool, default=None
            As in `reconstruct`; not of a Dask array.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            float32, or wider where X is. Of a Dask array, a Dask array, not yet computed.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds infinity.
        """
        samples = self._samples_for(X, "transform", visible)
        known = samples.recall_features(self._problem, self._solution) if visible is None else None
        components, mean = self._on_host("components", "mean")
        return samples.project(components, mean, self._filling) if known is None else known

    @property
    def _filling(self) -> Filling:
        return Filling(self._problem.grid, self._state.masks, *self._on_host("components", "decoder", "mean"))

    def inverse_transform(self, X: ArrayLike) -> Array:
        """Decode features: ``X @ decoder_.T + mean_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)

        Returns
        -------
        ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If X does not have `n_components_` columns.
        """
        check_is_fitted(self)
        with naming("X", "features of (n_samples, n_components)"):
            check_same_namespace(X, self, attribute="components_", method="inverse_transform")
            check_columns(X, "inverse_transform")
            if np.ma.is_masked(X):
                raise ValueError("it has masked entries, and a feature that is not known cannot be decoded.")
            features = check_array(X, dtype="numeric", input_name="X")
            library, Z = library_of(features), to_numpy(features)
            Z = Z.astype(np.float64 if Z.dtype == object else floating_dtype(Z), copy=False)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {Z.shape[1]} features, but inverse_transform of this {type(self).__name__} takes the "
                f"{self.n_components_} that transform gives (n_components_)."
            )
        decoder, mean = (narrowed(a, Z.dtype) for a in self._on_host("decoder", "mean"))
        with np.errstate(under="ignore"):
            decoded = Z @ decoder.T + mean
        return decoded if library is None else cast(Floats, library.adopt(decoded))

    def reconstruct(
        self,
        X: ArrayLike,
        visible: ArrayLike | None = None,
        *,
        method: FillMethod = "linear",
    ) -> Array:
        """Hide part of each sample, encode what is left, and decode.

        What is hidden is set to the mean, and what is left is divided by the share of patches that is visible.
        (Training with ``mask_sampling="bernoulli"`` divides by ``1 - mask``, whatever that share.) Where patches are
        visible at different rates in training, each is divided by its own rate, as there. Visible parts are
        reconstructed, too. A sample of which nothing is visible becomes the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            True where the sample may be seen. Per patch: (n_patches,), or the grid of patches; per pixel: the shape of
            the image without channels; or per feature: (n_features,), or `image_shape_`. With a leading axis of
            n_samples or 1, or for all samples. Where a shape fits more than one of these, masks per sample come first,
            and patches before pixels before features. None hides nothing. What is hidden of X is not read; NaN and
            masked entries are hidden, too.
        method : {"linear", "conditional"}, default="linear"
            "linear" encodes and decodes, the same for all masks. "conditional" is the best linear answer for each
            mask, see `fill`; what is visible is its own reconstruction then. It needs ``moments_``.

        Returns
        -------
        ndarray
            In the shape that X came in; float32, or wider where X is.

        Raises
        ------
        NotFittedError
            If "conditional" is asked for after `fit`, which keeps no moments.
        ValueError
            If `visible` is not bool or fits neither patches, pixels nor features; for the same faults of X as
            `transform`.
        """
        samples = self._samples_for(X, "reconstruct", visible)
        dtype = samples.output_dtype
        _checked(method, get_args(FillMethod))
        if method == "conditional":
            out = fill_rows(samples, self._conditional, dtype)
        else:
            out = self._reconstruct(samples, dtype)
        return cast(Floats, samples.adopt(out.reshape(samples.original_shape)))

    def _reconstruct(self, samples: Samples, dtype: DType) -> Array:
        """(n, d), by encoder and decoder."""
        filling = self._filling
        mean = filling.mean
        components, decoder = (narrowed(a, dtype) for a in (filling.components, filling.decoder))
        out = np.empty((len(samples), len(mean)), dtype)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what is not finite in the end is refused
            rest = narrowed(mean - narrowed(mean, dtype), dtype)  # what rounding leaves of the mean
            for rows, block in samples.centred_blocks(mean, dtype):
                block -= rest
                seen = samples.seen(rows, block)
                if seen is not None:
                    block = np.where(seen, block, 0) * filling.scale(seen, dtype)
                out[rows] = block @ components.T @ decoder.T + mean
        if not np.isfinite(out).all():
            samples.check_bounded()
            raise ValueError(f"The reconstruction is beyond the range of {dtype}. Divide X by a constant first.")
        return out

    def fill(
        self,
        X: ArrayLike,
        visible: ArrayLike | None = None,
        return_std: bool = False,
        *,
        method: Literal["auto", "linear", "conditional"] = "auto",
    ) -> Any:
        """Fill what is hidden of samples, and leave what is visible as it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            NaN and masked entries are hidden.
        visible : array-like of bool, default=None
            As in `reconstruct`. What is hidden of X is not read.
        return_std : bool, default=False
            Whether to tell how sure each filled entry is. Needs ``moments_``.
        method : {"auto", "linear", "conditional"}, default="auto"
            As in `reconstruct`. "auto" is "conditional" where the model keeps ``moments_``, else "linear".

        Returns
        -------
        filled : ndarray
            In the shape of X, and in its type where that is floating; of other types in float32, or wider where
            float32 would round them. Where nothing is visible of a sample, the mean.
        std : ndarray
            Only if `return_std`: how far the true value of an entry is expected to be from its filled value, as a
            standard deviation in units of X; zero where the entry is visible. Of Gaussian samples, about 95 % of all
            entries lie within 1.96 of it, if it was learned from thirty samples or more; of CIFAR-10 94 % do.

        Raises
        ------
        NotFittedError
            If "conditional" or `return_std` is asked for after `fit`, which keeps no moments.
        ValueError
            For the same faults of X and `visible` as `reconstruct`.

        Notes
        -----
        "conditional" is ``mean_[h] + S[h, o] @ inv(S[o, o] + λ I) @ (x[o] - mean_[o])``, with o the visible features,
        h the hidden ones and S the second moment. λ is chosen by generalised cross-validation [1]_ over masks that
        hide half of the patches, from 1e-9 to 10 times the average variance; so is the factor by which the error in
        new samples exceeds that in those that S is known from. If these have holes, more is allowed for, rather too
        much. Features should be of one scale, as λ is one number for all of them.

        It takes d × d floats of memory, and O(m³) for each distinct mask, where m is the smaller of the numbers of
        visible and of hidden features: samples with one mask are filled together.

        References
        ----------
        .. [1] G. Golub, M. Heath, G. Wahba, "Generalized cross-validation as a method for choosing a good ridge
           parameter", Technometrics 21 (1979).

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_digits
        >>> from skmae import LinearMAE, Moments
        >>> X = load_digits().images
        >>> mae = LinearMAE(10, mask=0.5, patch=2).fit_moments(Moments.from_data(X[:1500]))
        >>> visible = np.ones((8, 8), bool)
        >>> visible[2:4, 2:6] = False
        >>> filled, std = mae.fill(X[1500:], visible, return_std=True)
        >>> bool((filled == X[1500:])[:, visible].all()), bool((std[:, visible] == 0).all())
        (True, True)
        """
        samples = self._samples_for(X, "fill", visible)
        _checked(method, ("auto", *get_args(FillMethod)))
        is_conditional = return_std or method == "conditional" or (method == "auto" and self._keeps_moments)
        if return_std and method == "linear":
            raise ValueError(
                'return_std=True needs method="conditional" or "auto": "linear" does not know how sure it is.'
            )
        dtype = samples.dtype if samples.dtype.kind == "f" else samples.output_dtype
        fill = self._conditional if is_conditional else self._filling
        std = np.zeros((len(samples), samples.n_features), dtype) if return_std else None
        filled = fill_rows(samples, fill, dtype, std)
        shaped = [samples.adopt(a.reshape(samples.original_shape)) for a in (filled, std) if a is not None]
        return tuple(shaped) if return_std else shaped[0]

    @property
    def _keeps_moments(self) -> bool:
        return isinstance(self._state, Streamed)

    @property
    def _conditional(self) -> Conditional:
        state = self._state
        if not isinstance(state, Streamed):
            raise NotFittedError(
                'method="conditional" and return_std=True need the second moments, which fit does not keep. Fit with '
                'fit_moments(Moments.from_data(X)), or with partial_fit; a PatchImputer with method="conditional".'
            )
        return state.conditional

    def linearize(self, X: ArrayLike, visible: ArrayLike | None = None, *, batch_size: int | None = None) -> LinearMap:  # noqa: ARG002
        """The derivative of `reconstruct`: B diag(visible) / share visible, the same for all samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            As in `reconstruct`, one mask for all samples.
        batch_size : int or None, default=None
            Ignored: there is nothing to compute in batches.

        Returns
        -------
        LinearMap
            ``rows(outputs)``, ``jvp(vectors, sample)`` and ``vjp(vectors, sample)``; see `skmae.JacobianBasis`.

        Raises
        ------
        ValueError
            For the same faults as `reconstruct`.
        """
        samples = self._samples_for(X, "linearize")
        dtype = samples.output_dtype
        components, decoder = (narrowed(a, dtype) for a in self._on_host("components", "decoder"))
        scale = np.ones((1, samples.n_features), dtype)
        if visible is None:
            samples.check_finite()
        else:
            shown = self._problem.grid.per_feature(read_visible(self._problem.grid, visible, 1))
            _check_shown(samples, shown)
            scale = self._filling.scale(shown, dtype)
        return LinearMap(components, decoder, narrowed(scale[0], dtype), len(samples))

    def sample_visible(self, n_samples: int, random_state: RandomState = None) -> BoolArray:
        """Draw what is visible of `n_samples` samples, as this model's training hides it.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of bool of shape (n_samples, n_patches)
            For `reconstruct`. All True, unless the model hides patches. With ``mask_sampling="bernoulli"`` all of a
            sample may be hidden, which ``"exact"`` never does and a ViT cannot rebuild.
        """
        grid, masks = self._problem.grid, self._state.masks
        if masks is None:
            return np.ones((check_n_samples(n_samples), grid.n_patches), bool)
        return draw_visible(masks.sampler, n_samples, grid, masks.mask, check_random_state(random_state))

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:  # noqa: ARG002
        """Minus the expected error of reconstructing corrupted samples, per feature, in closed form.

        It compares models under one corruption. It cannot choose the mask or the patch: hiding less is always easier.
        Of samples with NaN or masked entries, it is the mean over those that are known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the mean over samples.

        Returns
        -------
        float
            Mean over samples, features and corruptions of minus the squared error, in units of X squared.

        Raises
        ------
        ValueError
            For the same faults of X as `transform`.
        """
        samples = self._samples_for(X, "score")
        weights: Weights = samples.check_weights(sample_weight)
        problem = self._problem
        components, decoder, mean = self._on_host("components", "decoder", "mean")
        errors, counts = np.zeros(len(samples)), np.full(len(samples), samples.n_features)
        for rows, block in samples.centred_blocks(mean, np.float64):
            seen = samples.seen(rows, block)
            with np.errstate(over="ignore", invalid="ignore"):
                if seen is None:
                    errors[rows] = problem.expected_error(block, components, decoder)
                else:
                    counts[rows] = seen.sum(axis=1)
                    errors[rows] = _errors_of_seen(problem, np.where(seen, block, 0), seen, components, decoder)
        if weights is not None:
            errors, counts = errors[weights > 0], counts[weights > 0]
        if not np.isfinite(errors).all():
            samples.check_bounded(weights, squares=True)
        weights = None if weights is None else weights[weights > 0]
        if not counts.any():
            raise ValueError("All of X is NaN or masked: score has nothing to compare with.")
        return -float(np.average(errors, weights=weights) / np.average(counts, weights=weights))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.array_api_support = True
        tags.input_tags.allow_nan = True
        return tags


def _check_shown(samples: Samples, shown: BoolArray) -> None:
    """Refuse samples with NaN, masked entries or infinity where `shown` (1, d): their maps would differ."""
    for rows, block in samples.blocks():
        seen = samples.seen(rows, block)
        known = np.isfinite(block) if seen is None else seen & np.isfinite(block)
        wrong = ~known & shown
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"X[{rows.start + row}, {column}] is NaN, masked or infinite, but visible shows it. Hide it: "
                f"one mask counts for all samples."
            )


def _errors_of_seen(
    problem: Problem, block: FloatArray, seen: BoolArray, encoder: FloatArray, decoder: FloatArray
) -> FloatArray:
    """Expected squared errors of what is known of centred rows, zero elsewhere; those with one mask together."""
    errors = np.empty(len(block))
    for mask, rows in by_mask(seen):
        errors[rows] = problem.expected_error(block[rows], encoder, decoder * mask[:, np.newaxis])
    return errors


def _checked(method: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(method, str) or method not in allowed:
        raise ValueError(f"method={method!r} is not known. Pass one of {allowed}.")
