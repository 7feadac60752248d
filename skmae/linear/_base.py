"""What the linear autoencoders share: data in, moments, solution, features out."""

from collections.abc import Callable
from math import prod
from numbers import Integral
from threading import Lock
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from skmae._arrays import adopt, home_of, reshape, to_numpy
from skmae._compat import Interval, RealNotInt, StrOptions, _fit_context, check_same_namespace
from skmae._constraints import GRID
from skmae._estimator import GridEstimator, all_or_nothing
from skmae._grid import PatchGrid
from skmae._rows import (
    Rows,
    centred_blocks,
    check_finite,
    check_weights,
    flatten_samples,
    floating_dtype,
    project,
)
from skmae.linear._corruptions import Corruption
from skmae.linear._dask import check_chunks, encode_lazily, gather_moments, is_dask
from skmae.linear._linearization import LinearMap
from skmae.linear._losses import resolve_loss
from skmae.linear._problem import FromSummary, Problem, Solution, Summary, check_rank
from skmae.linear._shared import RowView
from skmae.linear._solvers import choose_solver, solve
from skmae.masking import Bernoulli, ExactCount
from skmae.moments import Moments

# Set by the solution; after `partial_fit` they are made when first asked for
SOLVED = (
    "components_",
    "decoder_",
    "mean_",
    "eigenvalues_",
    "explained_variance_ratio_",
    "expected_loss_",
    "n_components_",
    "solver_",
)


def _attributes(solution: Solution, home: Any) -> dict[str, Any]:
    """The fitted attributes, their arrays where the data lives."""
    solution = solution if home is None else solution.map_arrays(home.adopt)
    return {name: getattr(solution, name.rstrip("_")) for name in SOLVED}


class _Samples:
    """Data of which the rows are at hand."""

    has_rows = True

    def __init__(self, X: Any, weights: np.ndarray | None):
        self._X, self._weights = X, weights
        self.n_rows = X.shape[0] if weights is None else int(np.count_nonzero(weights))
        self.n_features = X.shape[1]
        self.is_float32 = str(X.dtype).endswith(("float16", "float32"))

    def summary(self, dtype: Any) -> Summary:
        return Summary.using_up(Moments.from_data(self._X, sample_weight=self._weights, dtype=dtype))

    def rows(self) -> tuple[np.ndarray, np.ndarray | None]:
        return to_numpy(self._X), self._weights


class _PicklableLock:
    """A lock that a pickle or a copy replaces by a fresh one."""

    def __init__(self) -> None:
        self._lock = Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return _PicklableLock, ()


def _can_go_on(estimator: "LinearAutoencoder") -> bool:
    return "moments_" in estimator.__dict__ or "components_" not in estimator.__dict__


class LinearAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GridEstimator):
    """Base of the linear autoencoders: a subclass says how it corrupts, and on which patches.

    To add a corruption, write a subclass with ``__init__`` and `_corruption`.
    """

    n_components: int | float | None
    whiten: bool
    solver: str

    _parameter_constraints: dict[str, list[Any]] = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        **GRID,
        "whiten": ["boolean"],
        "solver": [StrOptions({"auto", "cholesky", "eigh", "dual"})],
    }

    def _corruption(self, grid: PatchGrid) -> Corruption:
        """The corruption that this autoencoder learns to undo."""
        raise NotImplementedError  # pragma: no cover

    def _patch(self) -> Any:
        """Patch size: what `visible` hides at once. None for a model without patches: a pixel."""
        return None

    # -- fitting ------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:  # noqa: ARG002
        """Fit in closed form.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Any real type; 8-bit, memory-mapped and read-only arrays are read in blocks and never copied whole. A Dask
            array, cut along its samples, is read where its chunks are.
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
            If X holds NaN or infinity, has fewer than two samples of a weight above zero, or does not fit
            `image_shape`; if `n_components` exceeds min(n_samples, n_features); if a weight is negative.
        """
        if is_dask(X):
            return self._fit_chunks(X, sample_weight)
        with all_or_nothing(self):
            fold = X.fold if isinstance(X, RowView) else None
            X = self._check_X(X, reset=True)
            home = home_of(X)
            weights = check_weights(sample_weight, X)
            data = _Samples(X, weights)
            check_rank(self.n_components, data.n_rows, data.n_features)
            self._problem = self._pose()
            solution = fold.solution(self._problem, weights) if fold else None
            if solution is None:
                solution = solve(self._problem, _Samples(X[:] if isinstance(X, Rows) else X, weights))
            self._forget()
            self.__dict__.update(_attributes(solution, home))
            self.n_samples_seen_ = X.shape[0] if weights is None else float(weights.sum())
        return self

    def _fit_chunks(self, X: Any, sample_weight: Any) -> Self:
        check_chunks(X)
        with all_or_nothing(self):
            self._expect(prod(X.shape[1:]), tuple(X.shape[1:]) if X.ndim > 2 else None)
            self._problem = self._pose_for_moments()
            moments = gather_moments(X, sample_weight)
            n = moments.n
            solution = solve(self._problem, FromSummary(Summary.using_up(moments)))
            self._forget()
            self.__dict__.update(_attributes(solution, None))
            self.n_samples_seen_ = n
        return self

    @available_if(_can_go_on)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:  # noqa: ARG002
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
        with self.__dict__.setdefault("_solving", _PicklableLock()), all_or_nothing(self):
            first = "moments_" not in self.__dict__
            sample_shape = flatten_samples(X)[1]
            X = self._check_X(X, reset=first)
            if not first:
                self._set_grid(self.moments_.sample_shape)  # image_shape may have been set since
            problem = self._pose_for_moments()
            moments = Moments(X.shape[1]) if first else self.moments_
            moments.update(reshape(X, (X.shape[0], *sample_shape)) if sample_shape else X, sample_weight)
            self._postpone(problem, moments)
            self._like = None if home_of(X) is None else X[:0, :]
        return self

    @_fit_context(prefer_skip_nested_validation=True)
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
        with self.__dict__.setdefault("_solving", _PicklableLock()), all_or_nothing(self):
            self._expect(moments.n_features, moments.sample_shape)
            self._postpone(self._pose_for_moments(), moments + Moments(moments.n_features))
        return self

    def _pose(self) -> Problem:
        """The problem that the parameters state, on the grid that the data came on."""
        self._validate_params()
        patch = self._patch()
        grid = PatchGrid.build(self.image_shape_, self.channel_axis_, 1 if patch is None else patch)
        corruption = self._corruption(grid)
        if patch is not None:
            corruption = corruption.with_groups(grid.patch_of_feature)
        loss = resolve_loss(getattr(self, "loss", "all"), corruption)
        return Problem(grid, corruption, loss, self.n_components, self.whiten, self.solver)

    def _pose_for_moments(self) -> Problem:
        problem = self._pose()
        choose_solver(problem, problem.grid.n_features, has_rows=False)
        return problem

    def _pose_for(self, n_features: int, sample_shape: tuple[int, ...] | None) -> Problem:
        """The problem that `fit` would pose to samples of this shape."""
        self._expect(n_features, sample_shape)
        return self._pose()

    def _postpone(self, problem: Problem, moments: Moments) -> None:
        """Keep the moments, and solve when the solution is asked for."""
        self._forget()
        self._problem = problem
        self.moments_ = moments
        self.n_samples_seen_ = moments.n

    def _forget(self) -> None:
        for name in (*SOLVED, "moments_", "_like"):
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        if name in SOLVED and "moments_" in self.__dict__:
            with self._solving:
                if name not in self.__dict__:
                    self.__dict__.update(self._solve_late())
                return self.__dict__[name]
        if name == "partial_fit":  # hidden by available_if
            raise NotFittedError(
                f"partial_fit cannot go on from fit, which keeps no moments. Start with partial_fit on a fresh "
                f"{type(self).__name__}, or with fit_moments(Moments.from_data(X))."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _solve_late(self) -> dict[str, Any]:
        try:
            solution = solve(self._problem, FromSummary(Summary.of(self.moments_)))
        except ValueError as error:  # an AttributeError too, so that hasattr says False while samples are too few
            raise NotFittedError(str(error)) from error
        return _attributes(solution, home_of(self.__dict__.get("_like")))

    def __sklearn_is_fitted__(self) -> bool:
        return "components_" in self.__dict__ or "moments_" in self.__dict__

    # -- data ---------------------------------------------------------------------------------------------------

    def _check_X(self, X: Any, *, reset: bool) -> Any:
        """Rows in the type they came in, not yet checked for NaN; with `reset`, the grid is learned from them."""
        if isinstance(X, RowView):  # checked when the table was made
            validate_data(self, X.table.values, reset=reset, skip_check_array=True)
            if reset:
                self._set_grid(X.table.sample_shape)
            else:
                self._check_sample_shape(X.table.sample_shape)
            return X.rows
        return self._check_rows(X, reset=reset)

    def _check_used(self, X: Any, method: str) -> Any:
        """`_check_X` for a fitted model, which takes arrays of the library that it was fitted on."""
        check_is_fitted(self)
        if not isinstance(X, RowView):
            check_same_namespace(X, self, attribute="components_", method=method)
        return self._check_X(X, reset=False)

    def _apply(self, X: np.ndarray, function: Callable[..., np.ndarray], width: int) -> np.ndarray:
        """Rows of `function(centred rows, slice)`, block by block, in X's floating-point type."""
        dtype = floating_dtype(X)
        out = np.empty((len(X), width), dtype)
        for rows, block in centred_blocks(X, to_numpy(self.mean_), dtype):
            out[rows] = function(block, rows)
            if not np.isfinite(out[rows]).all():
                check_finite(X)
        return out

    # -- using --------------------------------------------------------------------------------------------------

    def transform(self, X: Any) -> np.ndarray:
        """Encode whole samples: ``(X - mean_) @ components_.T``. Nothing is hidden, nothing is random.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            float32, or wider where X is. Of a Dask array, a Dask array, not yet computed.

        Raises
        ------
        ValueError
            If X has another width or sample shape than the training data, or holds NaN or infinity.
        """
        check_is_fitted(self)
        if is_dask(X):
            return self._transform_chunks(X)
        if isinstance(X, RowView) and (known := X.features(self._problem, self.components_)) is not None:
            return known
        X = self._check_used(X, "transform")
        home = home_of(X)
        components, mean = to_numpy(self.components_), to_numpy(self.mean_)
        if home is not None and not home.on_cpu:
            Z, finite = home.project(X, components, mean)
        else:
            encoded = project(X if home is None else to_numpy(X), components, mean)
            Z, finite = adopt(encoded, home), np.isfinite(encoded).all()
        if not finite:
            check_finite(X)
        return Z

    def _transform_chunks(self, X: Any) -> Any:
        check_chunks(X)
        if (X.ndim > 2 and tuple(X.shape[1:]) != self.image_shape_) or prod(X.shape[1:]) != self.n_features_in_:
            raise ValueError(
                f"X is a Dask array of shape {X.shape}, but {type(self).__name__} was fitted on samples of shape "
                f"{self.image_shape_}. Pass samples of that shape, or flat rows of {self.n_features_in_} features."
            )
        return encode_lazily(X, to_numpy(self.components_), to_numpy(self.mean_))

    def inverse_transform(self, X: Any) -> np.ndarray:
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
        check_same_namespace(X, self, attribute="components_", method="inverse_transform")
        Z = check_array(X, dtype="numeric", input_name="X")
        home, Z = home_of(Z), to_numpy(Z)
        Z = Z.astype(floating_dtype(Z), copy=False)
        if Z.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {Z.shape[1]} features, but inverse_transform of this {type(self).__name__} takes the "
                f"{self.n_components_} that transform gives (n_components_)."
            )
        X = Z @ to_numpy(self.decoder_).T.astype(Z.dtype) + to_numpy(self.mean_).astype(Z.dtype)
        return adopt(X, home)

    def reconstruct(self, X: Any, visible: Any = None) -> np.ndarray:
        """Hide part of each sample, encode what is left, and decode.

        What is hidden is set to the mean, and what is left is divided by the share of patches that is visible.
        (Training with ``mask_sampling="bernoulli"`` divides by ``1 - mask``, whatever that share.) Visible parts are
        reconstructed, too. A sample of which nothing is visible becomes the mean.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            True where the sample may be seen. Per patch: (n_patches,), or the grid of patches; per pixel: the shape of
            the image without channels; or per feature: (n_features,), or `image_shape_`. With a leading axis of
            n_samples or 1, or for all samples. Where a shape fits more than one of these, masks per sample come first,
            and patches before pixels before features. None hides nothing.

        Returns
        -------
        ndarray
            In the shape that X came in; float32, or wider where X is.

        Raises
        ------
        ValueError
            If `visible` is not bool or fits neither patches, pixels nor features; for the same faults of X as
            `transform`.
        """
        shape = tuple(X.shape) if hasattr(X, "shape") else np.shape(X)
        X = self._check_used(X, "reconstruct")
        home, X = home_of(X), to_numpy(X)
        dtype = floating_dtype(X)
        fitted = (to_numpy(self.components_).T, to_numpy(self.decoder_).T, to_numpy(self.mean_))
        encoder, decoder, mean = (a.astype(dtype) for a in fitted)
        grid = self._problem.grid
        shown = None if visible is None else grid.read_visible(to_numpy(visible), len(X))

        def rebuild(block: np.ndarray, rows: slice) -> np.ndarray:
            if shown is not None:
                seen = grid.per_feature(shown[rows] if len(shown) == len(X) else shown)
                share = (seen @ grid.patch_shares.astype(dtype))[:, np.newaxis]
                block *= seen / np.where(share > 0, share, 1)
            return block @ encoder @ decoder + mean

        return adopt(self._apply(X, rebuild, len(mean)).reshape(shape), home)

    def linearize(self, X: Any, visible: Any = None, *, batch_size: int | None = None) -> LinearMap:  # noqa: ARG002
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
        X = self._check_used(X, "linearize")
        X = X if isinstance(X, Rows) else to_numpy(X)
        check_finite(X[:] if isinstance(X, Rows) else X)
        dtype = floating_dtype(X)
        encoder, decoder = (to_numpy(a).astype(dtype) for a in (self.components_, self.decoder_))
        scale = np.ones(X.shape[1], dtype)
        if visible is not None:
            grid = self._problem.grid
            seen = grid.per_feature(grid.read_visible(to_numpy(visible), 1))[0]
            scale = seen / max(seen @ grid.patch_shares, np.finfo(dtype).tiny)
        return LinearMap(encoder, decoder, scale.astype(dtype), len(X))

    def sample_visible(self, n_samples: int, random_state: Any = None) -> np.ndarray:
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
        check_is_fitted(self)
        grid, corruption = self._problem.grid, self._problem.corruption
        sampler = Bernoulli() if corruption.across == 1 else ExactCount()
        return sampler(n_samples, grid, corruption.hidden, check_random_state(random_state))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:  # noqa: ARG002
        """Minus the expected error of reconstructing corrupted samples, per feature, in closed form.

        It compares models under one corruption. It cannot choose the mask or the patch: hiding less is always easier.

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
        X = self._check_used(X, "score")
        X = X if isinstance(X, Rows) else to_numpy(X)
        weights = check_weights(sample_weight, X)
        components, decoder, mean = (to_numpy(a) for a in (self.components_, self.decoder_, self.mean_))
        errors = np.empty(len(X))
        for rows, block in centred_blocks(X, mean, np.float64):
            errors[rows] = self._problem.expected_error(block, components, decoder)
            if not np.isfinite(errors[rows]).all():
                check_finite(X)
        return -float(np.average(errors, weights=weights)) / X.shape[1]

    @property
    def patch_(self) -> tuple[int, ...]:
        check_is_fitted(self)
        return self._problem.grid.patch_shape

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        tags.array_api_support = True
        return tags
