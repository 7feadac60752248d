"""First and second moments of data, in one pass: all that a linear autoencoder needs to know."""

from collections.abc import Iterable
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.linalg.blas import dsyr, dsyr2

from skmae._files import open_shards, with_progress
from skmae._gaps import PairSums
from skmae._linalg import EPS, EPS_FLOAT32, mirror_lower, variance_of_rounding
from skmae._reading import read_samples
from skmae._samples import BLOCK_ROWS, Samples, Weights, count_rows
from skmae._typing import AnyPath, DType, FloatArray, Shape

_FLOAT64 = np.dtype(np.float64)
_CANCELLED = 4.0  # sums that shrank by more have lost digits that the rank of S may hang on
_WIDEST = 2**31 - 1  # what fits nowhere
_LEAST = 1e-270  # sums of squares below this have lost digits


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
    NaN and masked entries are missing: the mean of a feature is taken over the samples that know it, the second moment
    of a pair over those that know both, and a pair that is never known together counts as uncorrelated. Such a second
    moment may have negative eigenvalues. The sums take three times the memory then.

    Sums are kept about a shift close to the data, so that a mean that is large against the spread does not cancel
    the digits away. Products of 8-bit integers and bool are exact, in float32 or, where PyTorch is imported and the
    processor is fast at it (VNNI, AMX), in 8-bit arithmetic; those of wider types are taken in float64 unless float32
    is asked for. Sums across blocks are in float64. Subtraction cannot bring back digits: what is left of sums
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
    _pairs: PairSums | None = None  # of samples that are known in part
    _eps: float = EPS  # of the coarsest sums
    _heaviest: float = 0.0  # the largest that n has been before a sum or a difference

    def __init__(self, n_features: int):
        n_features = _checked_width(n_features)
        self.n: float = 0
        self.n_rows = 0
        self.sample_shape: Shape | None = None
        self._shift = np.zeros(n_features)  # chosen with the first data, then kept
        self._first = np.zeros(n_features)  # Σ (x − shift) of complete samples
        self._scatter = np.zeros((n_features, n_features), order="F")  # Σ (x − shift)(x − shift)ᵀ, lower triangle
        self._peak = np.zeros(n_features)  # the largest that the diagonal has been: what rounding is relative to
        self._exact = True  # sums of whole numbers, without rounding

    @classmethod
    def from_data(
        cls,
        X: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        batch_size: int = BLOCK_ROWS,
        dtype: DTypeLike = np.float64,
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
            If X holds infinity, or numbers whose squares float64 cannot hold; if it is empty, or is not numeric; if a
            weight is negative, or all are zero.
        """
        _check_dtype(dtype)
        _check_batch_size(batch_size)
        samples = read_samples(X, "Moments", may_have_gaps=True)
        return cls._of(samples, samples.check_weights(sample_weight), dtype, batch_size, verbose)

    @classmethod
    def _of(
        cls,
        samples: Samples,
        weights: Weights = None,
        dtype: DTypeLike = np.float64,
        batch_size: int = BLOCK_ROWS,
        verbose: bool = False,
    ) -> "Moments":
        """The moments of samples that have been read; there may be none, or all without weight."""
        part = partial(_moments_of_part, dtype=np.dtype(dtype), batch_size=batch_size, verbose=verbose)
        moments = samples.reduce(part, weights)
        moments.sample_shape, moments._names = samples.sample_shape, samples.names
        return moments

    @classmethod
    def from_batches(cls, batches: Iterable[ArrayLike], *, verbose: bool = False) -> "Moments":
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
            If there is no batch; if one is empty, holds infinity, or differs from the first in its width, or in
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
        if not isinstance(batches, Iterable) or getattr(batches, "ndim", 1) == 0:
            raise TypeError(
                f"batches must be an iterable of arrays, a list or a generator; got {type(batches).__name__}."
            )
        for number, batch in enumerate(with_progress(batches, total=None, verbose=verbose)):
            try:
                moments = cls.from_data(batch) if moments is None else moments.update(batch)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"Batch {number}: {error}") from error
        if moments is None:
            raise ValueError("There is no batch: batches is empty, or a generator that was used up before.")
        return moments

    @classmethod
    def from_files(
        cls,
        paths: AnyPath | Iterable[AnyPath],
        *,
        batch_size: int = BLOCK_ROWS,
        verbose: bool = False,
    ) -> "Moments":
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
            infinity.

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
    def mean(self) -> FloatArray:
        pairs = self._known_pairs()
        return self._shift + (self._first / self.n if pairs is None else pairs.first / pairs.n)

    @property
    def second(self) -> FloatArray:
        return self._centred(self._scatter.copy(order="F"))

    @property
    def _count_of_pairs(self) -> float:
        """Weight of the samples that know both features of a pair, on average over all pairs."""
        pairs = self._known_pairs()
        return float(self.n if pairs is None else pairs.counts.mean())

    @property
    def _has_gaps(self) -> bool:
        """Whether some sample was known in part only."""
        return self._pairs is not None

    def _release_second(self) -> FloatArray:
        """`second` in the memory of the sums themselves, which are lost: the last use of moments that are not kept."""
        S = self._centred(self._scatter)
        self.n = self.n_rows = 0
        return S

    def _centred(self, scatter: FloatArray) -> FloatArray:
        """scatter / n less the product of means, both triangles, in place; constant features are exactly zero."""
        pairs = self._known_pairs()
        counts: float | FloatArray
        if pairs is not None:
            offset, counts, S = pairs.first / pairs.n, pairs.n, pairs.centre(scatter)
        elif self._exact:  # n² S is a whole number, too, and one that float64 holds for n up to 700,000
            offset, counts = self._first / self.n, self.n
            scatter *= self.n
            S = dsyr(-1.0, self._first, lower=1, a=scatter, overwrite_a=1)
            S /= self.n**2
        else:
            offset, counts = self._first / self.n, self.n
            scatter /= self.n
            S = dsyr(-1.0, offset, lower=1, a=scatter, overwrite_a=1)
        rounding = variance_of_rounding(self._peak / counts, self._shift + offset, self._eps)
        constant = (S.diagonal() <= rounding) & np.isfinite(rounding)
        S[constant] = 0
        S[:, constant] = 0
        mirror_lower(S)
        return S

    def _known_pairs(self) -> PairSums | None:
        """The sums of all samples, complete ones too, if some are not; refused while a feature was never seen."""
        self._require_data()
        if self._pairs is None:
            return None
        pairs = PairSums(self.n - self._pairs.n_samples, self._first).combine(self._pairs, 1)
        never = np.flatnonzero(pairs.n <= 0)
        if len(never):
            some = [repr(self._names[i]) if self._names else str(i) for i in never[:5]]
            raise ValueError(
                f"{len(never)} of {self.n_features} features are missing in every sample: {', '.join(some)}"
                f"{', ...' if len(never) > 5 else ''}. Nothing is known of them: leave them out, or add samples that "
                f"know them."
            )
        return pairs

    def update(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
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
            If X holds infinity, or numbers whose squares float64 cannot hold; if it is empty, or has another width, or
            other columns; if a weight is negative, or all are zero. Nothing of X has been added then.
        """
        samples = read_samples(X, "Moments", may_have_gaps=True)
        self._require_width(samples.n_features, "X")
        names = self._shared_names(samples.names, "X")
        shape = self._shared_shape(samples.sample_shape, "X")
        weights = samples.check_weights(sample_weight)
        if samples.rows_at_hand:
            samples.check_bounded(weights, squares=True)
            self._add(samples, weights)
        else:
            self.__dict__.update((self + self._of(samples, weights)).__dict__)
        self.sample_shape, self._names = shape, names
        return self

    def __add__(self, other: object) -> "Moments":
        return self._combine(other, sign=1) if isinstance(other, Moments) else NotImplemented

    def __radd__(self, other: object) -> "Moments":
        """So that `sum` adds moments, starting from 0."""
        return self.__copy__() if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: object) -> "Moments":
        return self._combine(other, sign=-1) if isinstance(other, Moments) else NotImplemented

    def __copy__(self) -> "Moments":
        return self + Moments(self.n_features)

    def __repr__(self) -> str:
        return f"Moments(n={self.n}, n_features={self.n_features})"

    def _add(
        self,
        samples: Samples,
        weights: Weights,
        dtype: DType = _FLOAT64,
        batch_size: int = BLOCK_ROWS,
        verbose: bool = False,
    ) -> None:
        if not self._counts.all():  # features that no sample has shown yet, or all
            self._shift = np.where(self._counts > 0, self._shift, samples.choose_shift(dtype, weights))
        if not self._scatter.flags.writeable:  # read from a file that is mapped into memory
            self._scatter = self._scatter.copy(order="F")
        first, exact, pairs = samples.add_products(
            self._shift,
            weights,
            self._scatter,
            dtype=dtype,
            batch_size=batch_size,
            progress=partial(with_progress, total=len(samples), verbose=verbose),
        )
        diagonal = self._scatter.diagonal()
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
            total, total_first = diagonal.sum(), first.sum()
        if not (np.isfinite(total) and np.isfinite(total_first) and diagonal.max(initial=0) > _LEAST):
            samples.check_bounded(weights, squares=True)
            _require_finite(total)
        self._first = self._first + first
        self._exact &= exact
        if dtype == np.float32 and not exact:
            self._eps = EPS_FLOAT32
        if pairs is not None:
            self._pairs = pairs if self._pairs is None else self._pairs.copy().combine(pairs, 1)
        self.n += len(samples) if weights is None else float(weights.sum())
        self.n_rows += count_rows(len(samples), weights)
        self._peak = np.maximum(self._peak, diagonal)

    def _combine(self, other: "Moments", sign: int) -> "Moments":
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
        result._shift = np.where(base._counts > 0, base._shift, other._shift)  # whoever knows a feature
        moved_first, moved_scatter, moved_pairs = other._about(result._shift)
        result._first = self._first + sign * moved_first
        result._scatter = self._scatter.copy(order="F")
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused
            (np.add if sign > 0 else np.subtract)(result._scatter, moved_scatter, out=result._scatter)
            _require_finite(result._scatter.diagonal().sum())
        result._eps = max(self._eps, other._eps)
        result._pairs = _combined(self._pairs, moved_pairs, sign)
        if sign < 0 and result._pairs is not None:
            result._pairs = result._pairs.among(result.n, self.n)
        same_shift = self.n_rows == 0 or other.n_rows == 0 or np.array_equal(result._shift, other._shift)
        result._exact = self._exact and other._exact and same_shift
        result._peak = np.maximum.reduce(
            [self._peak, other._peak, moved_scatter.diagonal(), result._scatter.diagonal()]
        )
        result._heaviest = max(self._heaviest, other._heaviest, self.n, other.n)
        if sign < 0:
            result._require_a_rest()
        return result

    @property
    def _counts(self) -> FloatArray:
        """Weight of the samples that know each feature, (d,)."""
        counts = np.full(self.n_features, float(self.n))
        return counts if self._pairs is None else counts - self._pairs.n_samples + self._pairs.n

    def _nothing_left(self, other: "Moments") -> "Moments":
        if not np.isclose(self.n, other.n):
            raise ValueError(
                f"Cannot take {other.n_rows} samples of weight {other.n} from as many of weight {self.n}: weigh a part "
                f"as it was weighed in its whole."
            )
        return Moments(self.n_features)

    def _require_a_rest(self) -> None:
        """Refuse a difference that no samples have, or that is too small a part of all there was to be known."""
        first, counts = self._first, self._counts
        if self._pairs is not None:
            first = first + self._pairs.first
        mean_square = np.divide(first**2, counts, out=np.zeros_like(first), where=counts > 0)
        variance = self._scatter.diagonal() - mean_square
        impossible = variance < -0.01 * self._eps**0.5 * (self._scatter.diagonal() + mean_square + self._peak)
        if self.n <= 0 or (counts < 0).any() or impossible.any():
            raise ValueError(
                "What is left has a negative variance or weight: the moments that were subtracted are not those of a "
                "part of these samples, weighed as they were."
            )
        if self.n < self._eps**0.5 * self._heaviest:  # half of the digits, or more, are those of rounding
            raise ValueError(
                f"What is left has a weight of {self.n:.3g} of {self._heaviest:.3g}: too little for its moments to be "
                f"known by subtraction, which leaves the digits of the whole. Gather the moments of these samples by "
                f"themselves."
            )

    def _about(self, shift: FloatArray) -> tuple[FloatArray, FloatArray, PairSums | None]:
        """The sums about another shift: with δ = old − new, Σ(x−new)(x−new)ᵀ gains Σ(x−old)δᵀ + δΣ(x−old)ᵀ + nδδᵀ."""
        delta = self._shift - shift
        if self.n_rows == 0 or not delta.any():
            return self._first, self._scatter, self._pairs
        pairs = self._pairs
        n = self.n if pairs is None else self.n - pairs.n_samples
        half_way = self._first + n * delta / 2
        scatter = dsyr2(1.0, half_way, delta, lower=1, a=self._scatter)
        if pairs is not None:
            scatter += pairs.gain(delta)
        return self._first + n * delta, scatter, None if pairs is None else pairs.moved(delta)

    def _has_cancelled(self) -> bool:
        """Whether subtraction cost digits: some feature varies little outside the part that was taken away."""
        return not self._exact and bool((self._peak > _CANCELLED * self._scatter.diagonal()).any())

    def _require_data(self) -> None:
        if self.n_rows == 0:
            raise ValueError("These moments hold no samples (n=0): call update(X) first.")

    def _shared_shape(self, shape: Shape | None, what: str) -> Shape | None:
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

    def _record(self, estimator: Any) -> None:
        """Let an estimator remember the width, and the names of the columns, as `fit` would."""
        estimator.__dict__.pop("feature_names_in_", None)
        estimator.n_features_in_ = self.n_features
        if self._names is not None:
            estimator.feature_names_in_ = np.array(self._names, object)

    def _require_width(self, n_features: int, what: str) -> None:
        if n_features != self.n_features:
            raise ValueError(
                f"n_features is {n_features} in {what} and {self.n_features} in these moments. Moments of different "
                f"widths cannot be combined."
            )


def _require_finite(squares: float) -> None:
    if not np.isfinite(squares):
        raise ValueError("The sums of squares of X are beyond the range of float64. Divide X by a constant.")


def _combined(ours: PairSums | None, theirs: PairSums | None, sign: int) -> PairSums | None:
    if theirs is None:
        return ours
    ours = PairSums(0, np.zeros(len(theirs.n))) if ours is None else ours.copy()
    pairs = ours.combine(theirs, sign)
    return pairs if pairs.n_samples > 0 else None


def _moments_of_part(samples: Samples, weights: Weights, *, dtype: DType, batch_size: int, verbose: bool) -> Moments:
    moments = Moments(samples.n_features)
    if len(samples) and (weights is None or weights.any()):
        moments._add(samples, weights, dtype, batch_size, verbose)
    return moments


def _checked_width(n_features: object) -> int:
    if not isinstance(n_features, Integral) or isinstance(n_features, bool) or not 1 <= int(n_features) <= _WIDEST:
        raise ValueError(
            f"n_features must be a whole number from 1 to {_WIDEST}, the width of the data; got {n_features!r}."
        )
    return int(n_features)


def _check_dtype(dtype: Any) -> None:
    try:
        known = np.dtype(dtype) in (np.float32, np.float64)
    except Exception:  # of whatever NumPy makes of it
        known = False
    if not known:
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}.")


def _check_batch_size(batch_size: object) -> None:
    if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of rows >= 1, got {batch_size!r}.")
