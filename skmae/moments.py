"""First and second moments of data, in one pass: all that a linear autoencoder needs to know."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from scipy.linalg.blas import dsyr, dsyr2, dsyrk, ssyrk
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skmae._arrays import Home, home_of, to_numpy
from skmae._rows import (
    BLOCK_ROWS,
    centred_blocks,
    check_finite,
    check_numeric_columns,
    check_weights,
    flatten_samples,
    row_blocks,
)
from skmae._shards import open_shards, with_progress

_MIDPOINT = {np.dtype(np.uint8): 128.0, np.dtype(np.int8): 0.0, np.dtype(np.bool_): 0.0}
_FLOAT64 = np.dtype(np.float64)
_EXACT_FLOAT32 = 2.0**24  # whole numbers up to here are exact in float32
_FLOAT32_ENERGY = (1e-20, 1e30)  # sums of squares beyond these leave float32's range
_ROUNDING = 1e-10
_CANCELLED = 4.0  # sums that shrank by more have lost digits that the rank of S may hang on
EPS = np.finfo(np.float64).eps
_PANEL = 256  # columns of a triangle handled at a time


class Moments:
    """Number of samples, mean and second moment, gathered in one pass, and additive.

    Moments of parts add up to the moments of the whole, in any order: the unit that streams, cross-validation folds
    and clusters exchange. Data is read in blocks; it is never copied whole, and never to a wider type.

    Parameters
    ----------
    n_features : int
        Width of the data.

    Attributes
    ----------
    n : int or float
        Samples seen: their number, or the sum of their weights if they came with weights.
    n_rows : int
        Samples seen that have a weight above zero.
    mean : ndarray of shape (n_features,)
        In units of X.
    second : ndarray of shape (n_features, n_features)
        Second moment about the mean (the covariance with divisor n), S of the equations, in units of X squared.
    n_features : int
        Width of the data.
    sample_shape : tuple of int or None
        Shape of a sample, if the data came with more than two axes.

    See Also
    --------
    LinearMAE.fit_moments : Fit from moments made anywhere.

    Notes
    -----
    Sums are kept about a shift close to the data, so that a mean that is large against the spread does not cancel
    the digits away. Products of 8-bit integers and bool are exact; those of wider types are taken in float64 unless
    float32 is asked for. Sums across blocks are in float64. Subtraction cannot bring back digits: what is left of sums
    that were 1e15 times larger counts as constant.

    Names of columns, where data has them, must be the same in the same order wherever moments meet. Data without names
    fits any.

    Examples
    --------
    >>> import numpy as np
    >>> from skmae import Moments
    >>> X = np.random.default_rng(0).integers(0, 256, (500, 12), dtype=np.uint8)
    >>> parts = Moments.from_data(X[:200]) + Moments.from_data(X[200:])
    >>> parts.n
    500
    >>> bool(np.allclose(parts.second, np.cov(X.T, bias=True)))
    True
    >>> (parts - Moments.from_data(X[:200])).n
    300
    """

    _names: tuple[str, ...] | None = None  # of the columns; here for pickles from before names were kept

    def __init__(self, n_features: int):
        self.n: float = 0
        self.n_rows = 0
        self.sample_shape: tuple[int, ...] | None = None
        self._shift = np.zeros(n_features)  # chosen with the first data, then kept
        self._first = np.zeros(n_features)  # Σ (x − shift)
        self._scatter = np.zeros((n_features, n_features), order="F")  # Σ (x − shift)(x − shift)ᵀ, lower triangle
        self._peak = np.zeros(n_features)  # the largest that the diagonal has been: what rounding is relative to
        self._exact = True  # sums of whole numbers, without rounding

    @classmethod
    def from_data(
        cls,
        X: Any,
        *,
        sample_weight: Any = None,
        batch_size: int = BLOCK_ROWS,
        dtype: Any = np.float64,
        verbose: bool = False,
    ) -> "Moments":
        """Gather the moments of an array, which may be memory-mapped (``np.load(path, mmap_mode="r")``).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
            Any real type.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0: a weight of 2 counts a sample twice, a weight of 0 leaves it out. None is 1 for each.
        batch_size : int, default=1024
            Rows converted at a time. It changes memory and speed, and the result by rounding at most.
        dtype : {float32, float64}, default=float64
            Type of the products within a batch. float32 takes half the time for floating-point data, and keeps about
            7 digits. 8-bit data is exact, and as fast, either way.
        verbose : bool, default=False
            Show how many samples have been read. Needs tqdm (``pip install "skmae[stream]"``).

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            If X holds NaN or infinity, is empty, or is not numeric; if a weight is negative, or all are zero.
        """
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")
        _check_batch_size(batch_size)
        names = _names_of(X)
        X, sample_shape = check_rows(X)
        moments = cls(X.shape[1])
        moments.sample_shape, moments._names = sample_shape, names
        moments._add(X, check_weights(sample_weight, X), np.dtype(dtype), batch_size, verbose)
        return moments

    @classmethod
    def from_batches(cls, batches: Iterable[Any], *, verbose: bool = False) -> "Moments":
        """Gather the moments of batches as they come, from a generator, say.

        Parameters
        ----------
        batches : iterable of array-likes, each (n_samples, n_features) or (n_samples, \\*image_shape)
        verbose : bool, default=False
            Show how many samples have been read. Needs tqdm.

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            If there is no batch; if one is empty, holds NaN or infinity, or differs from the first in its width, or in
            the names of its columns or their order. Its number is said, counted from 0.

        Examples
        --------
        >>> import numpy as np
        >>> from skmae import LinearMAE, Moments
        >>> rng = np.random.default_rng(0)
        >>> moments = Moments.from_batches(rng.random((100, 8, 8)) for _ in range(10))
        >>> LinearMAE(5, patch=2).fit_moments(moments).components_.shape
        (5, 64)
        """
        moments: Moments | None = None
        for number, batch in enumerate(with_progress(batches, total=None, verbose=verbose)):
            try:
                moments = cls.from_data(batch) if moments is None else moments.update(batch)
            except ValueError as error:
                raise ValueError(f"Batch {number}: {error}") from error
        if moments is None:
            raise ValueError("There is no batch: batches is empty, or a generator that was used up before.")
        return moments

    @classmethod
    def from_files(cls, paths: Any, *, batch_size: int = BLOCK_ROWS, verbose: bool = False) -> "Moments":
        """Gather the moments of data that lies in several files, without loading any of them whole.

        Parameters
        ----------
        paths : path or iterable of paths
            ``.npy`` arrays, (n_samples, n_features) or (n_samples, \\*image_shape), or ``.parquet`` tables, a column
            for each feature (``pip install "skmae[stream]"``).
        batch_size : int, default=1024
            Rows read at a time.
        verbose : bool, default=False
            Show how many samples have been read. Needs tqdm.

        Returns
        -------
        Moments

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        ValueError
            If a file is cut short, of another kind, or differs in width: said before anything is read. If a file holds
            NaN or infinity.

        Examples
        --------
        >>> import numpy as np, os, tempfile
        >>> from skmae import Moments
        >>> rng = np.random.default_rng(0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [os.path.join(folder, f"{i}.npy") for i in range(3)]
        ...     for path in paths:
        ...         np.save(path, rng.integers(0, 256, (50, 8, 8), dtype=np.uint8))
        ...     Moments.from_files(paths)
        Moments(n=150, n_features=64)
        """
        _check_batch_size(batch_size)
        shards = open_shards(paths)
        moments = cls(shards[0].n_features)
        moments._names = shards[0].columns
        numbered = ((shard, i, batch) for shard in shards for i, batch in enumerate(shard.batches(batch_size)))
        for shard, i, batch in with_progress(numbered, total=sum(shard.n_rows for shard in shards), verbose=verbose):
            try:
                moments.update(batch)
            except ValueError as error:
                raise ValueError(f"{shard.path}, from row {i * batch_size}: {error}") from error
        moments._require_data()
        return moments

    @property
    def n_features(self) -> int:
        return len(self._first)

    @property
    def mean(self) -> np.ndarray:
        self._require_data()
        return self._shift + self._first / self.n

    @property
    def second(self) -> np.ndarray:
        self._require_data()
        return self._centred(self._scatter.copy(order="F"))

    def _release_second(self) -> np.ndarray:
        """`second` in the memory of the sums themselves, which are lost: the last use of moments that are not kept."""
        self._require_data()
        S = self._centred(self._scatter)
        self.n = self.n_rows = 0
        return S

    def _centred(self, scatter: np.ndarray) -> np.ndarray:
        """scatter / n less the product of means, both triangles, in place; constant features are exactly zero."""
        offset = self._first / self.n
        if self._exact:  # n² S is a whole number, too, and one that float64 holds for n up to 700,000
            scatter *= self.n
            S = dsyr(-1.0, self._first, lower=1, a=scatter, overwrite_a=1)
            S /= self.n**2
        else:
            scatter /= self.n
            S = dsyr(-1.0, offset, lower=1, a=scatter, overwrite_a=1)
        rounding = variance_of_rounding(self._peak / self.n, self._shift + offset)
        constant = (S.diagonal() <= rounding) & np.isfinite(rounding)
        S[constant] = 0
        S[:, constant] = 0
        mirror_lower(S)
        return S

    def update(self, X: Any, sample_weight: Any = None) -> "Moments":
        """Add samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        sample_weight : array-like of shape (n_samples,), default=None
            As in `from_data`.

        Returns
        -------
        self : Moments

        Raises
        ------
        ValueError
            If X holds NaN or infinity, is empty, or has another width, or other columns; if a weight is negative, or
            all are zero. Nothing of X has been added then.
        """
        names = _names_of(X)
        X, sample_shape = check_rows(X)
        self._require_width(X.shape[1], "X")
        names = self._shared_names(names, "X")
        shape = self._shared_shape(sample_shape, "X")
        weights = check_weights(sample_weight, X)
        check_finite(X)
        self.sample_shape, self._names = shape, names
        self._add(X, weights)
        return self

    def __add__(self, other: Any) -> "Moments":
        return self._combine(other, sign=1)

    def __radd__(self, other: Any) -> "Moments":
        """So that `sum` adds moments, starting from 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: Any) -> "Moments":
        return self._combine(other, sign=-1)

    def __copy__(self) -> "Moments":
        return self + Moments(self.n_features)

    def __repr__(self) -> str:
        return f"Moments(n={self.n}, n_features={self.n_features})"

    def _add(
        self,
        X: np.ndarray,
        weights: np.ndarray | None,
        dtype: np.dtype = _FLOAT64,
        batch_size: int = BLOCK_ROWS,
        verbose: bool = False,
    ) -> None:
        home = home_of(X)
        if home is not None and not home.on_cpu:
            self._add_on_device(X, home, weights, dtype, batch_size)
            return
        X = to_numpy(X)
        if self.n_rows == 0:
            self._shift = _choose_shift(X, dtype)
        # less its mid-point, 8-bit data is at most 2⁷: 1024 products sum to at most 2²⁴
        exact = weights is None and X.dtype in _MIDPOINT and bool((self._shift == _MIDPOINT[X.dtype]).all())
        self._exact &= exact
        in_float32 = exact or (dtype == np.float32 and np.array_equal(self._shift.astype(np.float32), self._shift))
        size = min(batch_size, BLOCK_ROWS) if exact else batch_size
        sums = _Float32Sums(self._scatter, exact=exact) if in_float32 else None
        blocks = centred_blocks(X, self._shift, np.float32 if in_float32 else np.float64, size)
        for rows, block in with_progress(blocks, total=len(X), verbose=verbose):
            w = None if weights is None else weights[rows]
            total = block.sum(axis=0, dtype=np.float64) if w is None else w @ block
            if not np.isfinite(total).all():
                check_finite(X)
            self._first += total
            if sums is None or not sums.add(_scaled(block, w)):
                _accumulate(_scaled(np.subtract(X[rows], self._shift, dtype=np.float64), w), self._scatter)
        if sums is not None:
            sums.flush()
        self._count(len(X), weights)

    def _add_on_device(self, X: Any, home: Home, weights: np.ndarray | None, dtype: np.dtype, batch_size: int) -> None:
        """`_add` where X is; the sums come to the host at the end."""
        xp, self._exact = home.xp, False
        narrow = dtype == np.float32 or xp.isdtype(X.dtype, ("bool", xp.uint8, xp.int8)) or home.wide == xp.float32
        product = xp.float32 if narrow else xp.float64
        if self.n_rows == 0:
            first_rows = xp.mean(xp.astype(X[: min(BLOCK_ROWS, X.shape[0]), :], home.wide), axis=0)
            # whole numbers and float32 alike are held by float32 without rounding
            self._shift = to_numpy(xp.round(first_rows) if narrow else first_rows).astype(np.float64)
        shift = xp.astype(home.adopt(self._shift), product)
        first, scatter = xp.zeros_like(shift, dtype=home.wide), None
        for rows in row_blocks(X.shape[0], batch_size):
            block = xp.astype(X[rows, :], product) - shift
            if weights is not None:
                w = xp.astype(home.adopt(weights[rows, np.newaxis]), product)
                first = first + xp.sum(xp.astype(block * w, home.wide), axis=0)
                block = block * xp.sqrt(w)
            else:
                first = first + xp.sum(xp.astype(block, home.wide), axis=0)
            products = xp.astype(block.T @ block, home.wide)
            scatter = products if scatter is None else scatter + products
        total = to_numpy(first)
        if not np.isfinite(total).all():
            check_finite(to_numpy(X))
        self._first += total
        self._scatter += to_numpy(scatter)
        self._count(X.shape[0], weights)

    def _count(self, n_rows: int, weights: np.ndarray | None) -> None:
        self.n += n_rows if weights is None else float(weights.sum())
        self.n_rows += n_rows if weights is None else int(np.count_nonzero(weights))
        self._peak = np.maximum(self._peak, self._scatter.diagonal())

    def _combine(self, other: Any, sign: int) -> "Moments":
        if not isinstance(other, Moments):
            return NotImplemented
        self._require_width(other.n_features, "the other moments")
        names = self._shared_names(other._names, "the other moments")
        if sign < 0 and other.n_rows > self.n_rows:
            raise ValueError(
                f"Cannot take the moments of {other.n_rows} samples from those of {self.n_rows}: subtract a part from "
                f"its whole."
            )
        if sign < 0 and other.n_rows == self.n_rows:
            return self._nothing_left(other)
        result = Moments(self.n_features)
        result.sample_shape = self._shared_shape(other.sample_shape, "the other moments")
        result._names = names
        base = self if self.n_rows else other
        result.n_rows = self.n_rows + sign * other.n_rows
        result.n = self.n + sign * other.n
        result._shift = base._shift.copy()
        moved_first, moved_scatter = other._about(base._shift)
        result._first = self._first + sign * moved_first
        result._scatter = self._scatter.copy(order="F")
        (np.add if sign > 0 else np.subtract)(result._scatter, moved_scatter, out=result._scatter)
        same_shift = self.n_rows == 0 or other.n_rows == 0 or np.array_equal(self._shift, other._shift)
        result._exact = self._exact and other._exact and same_shift
        result._peak = np.maximum.reduce(
            [self._peak, other._peak, moved_scatter.diagonal(), result._scatter.diagonal()]
        )
        if sign < 0:
            result._require_a_rest()
        return result

    def _nothing_left(self, other: "Moments") -> "Moments":
        if not np.isclose(self.n, other.n):
            raise ValueError(
                f"Cannot take {other.n_rows} samples of weight {other.n} from as many of weight {self.n}: weigh a part "
                f"as it was weighed in its whole."
            )
        return Moments(self.n_features)

    def _require_a_rest(self) -> None:
        """Refuse a difference that no samples have."""
        variance = self._scatter.diagonal() - self._first**2 / self.n if self.n > 0 else np.array([-1.0])
        if (variance < -_ROUNDING * (self._scatter.diagonal() + self._first**2 / self.n + self._peak)).any():
            raise ValueError(
                "What is left has a negative variance or weight: the moments that were subtracted are not those of a "
                "part of these samples, weighed as they were."
            )

    def _about(self, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The sums about another shift: with δ = old − new, Σ(x−new)(x−new)ᵀ gains Σ(x−old)δᵀ + δΣ(x−old)ᵀ + nδδᵀ."""
        delta = self._shift - shift
        if self.n_rows == 0 or not delta.any():
            return self._first, self._scatter
        half_way = self._first + self.n * delta / 2
        return self._first + self.n * delta, dsyr2(1.0, half_way, delta, lower=1, a=self._scatter)

    def _has_cancelled(self) -> bool:
        """Whether subtraction cost digits: some feature varies little outside the part that was taken away."""
        return not self._exact and bool((self._peak > _CANCELLED * self._scatter.diagonal()).any())

    def _require_data(self) -> None:
        if self.n_rows == 0:
            raise ValueError("These moments hold no samples (n=0): call update(X) first.")

    def _shared_shape(self, shape: tuple[int, ...] | None, what: str) -> tuple[int, ...] | None:
        if shape is None or self.sample_shape is None or shape == self.sample_shape:
            return shape or self.sample_shape
        raise ValueError(
            f"{what} came in samples of shape {shape}, but these moments in {self.sample_shape}. Reshape one of them."
        )

    def _shared_names(self, names: tuple[str, ...] | None, what: str) -> tuple[str, ...] | None:
        if names is None or self._names is None or names == self._names:
            return names or self._names
        column = next(i for i, pair in enumerate(zip(names, self._names, strict=True)) if pair[0] != pair[1])
        raise ValueError(
            f"The columns of {what} are not those of these moments, in their order: column {column} is "
            f"{names[column]!r} there and {self._names[column]!r} here. Pass the same columns, in the same order."
        )

    def _require_width(self, n_features: int, what: str) -> None:
        if n_features != self.n_features:
            raise ValueError(
                f"{what} has {n_features} features, but these moments have n_features={self.n_features}. Moments "
                f"of different widths cannot be combined."
            )


class _Float32Sums:
    """Products of float32 blocks, passed on to a float64 triangle before they lose digits."""

    def __init__(self, target: np.ndarray, *, exact: bool):
        self._target = target
        self._exact = exact
        self._sums = np.zeros(target.shape, np.float32, order="F")
        self._energy = 0.0  # bounds every entry of _sums, by Cauchy and Schwarz

    def add(self, block: np.ndarray) -> bool:
        """Add the products of `block`; False, and nothing added, if float32's range is too small for them."""
        energy = float(np.einsum("ij,ij->j", block, block).max())
        if not self._exact and not _FLOAT32_ENERGY[0] < energy < _FLOAT32_ENERGY[1]:
            return False
        if not self._exact or self._energy + energy > _EXACT_FLOAT32:
            self.flush()
        ssyrk(1.0, block.T, beta=1.0 if self._energy else 0.0, c=self._sums, overwrite_c=1, lower=1)
        self._energy += energy
        return True

    def flush(self) -> None:
        if self._energy:
            for start in range(0, len(self._target), _PANEL):
                panel = (slice(start, None), slice(start, start + _PANEL))
                self._target[panel] += self._sums[panel]
        self._energy = 0.0


def _scaled(block: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Rows times the root of their weights, in place: the products of rows then count by weight."""
    if weights is not None:
        block *= np.sqrt(weights).astype(block.dtype)[:, np.newaxis]
    return block


def _accumulate(block: np.ndarray, scatter: np.ndarray) -> None:
    """scatter += blockᵀ block, lower triangle, half the flops of the full product."""
    dsyrk(1.0, block.T, beta=1.0, c=scatter, overwrite_c=1, lower=1)


def _choose_shift(X: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A centre near the data that `dtype` can hold: the mid-point of an 8-bit type, else the mean of the first rows."""
    if X.dtype in _MIDPOINT:
        return np.full(X.shape[1], _MIDPOINT[X.dtype])
    check_finite(X[:BLOCK_ROWS])
    mean = X[:BLOCK_ROWS].mean(axis=0, dtype=np.float64)
    if dtype == np.float64:
        return mean
    with np.errstate(over="ignore"):
        rounded = mean.astype(np.float32).astype(np.float64)
    return np.where(np.isfinite(rounded), rounded, mean)


def variance_of_rounding(square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The variance that rounding alone gives a constant feature, from sums that reached `square` on average."""
    return 16 * EPS * square + (4 * EPS * mean) ** 2


def mirror_lower(A: np.ndarray) -> None:
    """Copy the lower triangle of a square matrix onto its upper one, in place."""
    for start in range(0, len(A), _PANEL):
        stop = start + _PANEL
        A[start:stop, stop:] = A[stop:, start:stop].T
        corner = A[start:stop, start:stop]
        upper = np.triu_indices(len(corner), 1)
        corner[upper] = corner.T[upper]


def _check_batch_size(batch_size: Any) -> None:
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of rows >= 1, got {batch_size!r}.")


def _names_of(X: Any) -> tuple[str, ...] | None:
    """The names of the columns, where scikit-learn's estimators would keep them."""
    reader = BaseEstimator()
    validate_data(reader, X, skip_check_array=True, ensure_2d=False)
    names = getattr(reader, "feature_names_in_", None)
    return None if names is None else tuple(names.tolist())


def check_rows(X: Any) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Rows of real numbers, not yet checked for NaN, and the shape that a sample had if it was not flat."""
    X, sample_shape = flatten_samples(X)
    check_numeric_columns(X, "Moments")
    return check_array(X, dtype="numeric", ensure_all_finite=False, input_name="X"), sample_shape
