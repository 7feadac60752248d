"""Samples as rows, walked over in blocks: of arrays, memory maps and HDF5 datasets.

`_reading` makes them of whatever comes in; `_device_samples` and `_dask_samples` have those that lie elsewhere.
n samples of d features.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from math import prod
from threading import Lock
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from threadpoolctl import threadpool_info, threadpool_limits

from skmae._compat import array_to_numpy, widest_float
from skmae._gaps import PairSums
from skmae._gram import EIGHT_BIT_ROWS, GramSum, takes_eight_bit
from skmae._typing import Array, BoolArray, DType, FloatArray, Shape

#: Rows converted at a time. 1024 products of 8-bit numbers sum exactly in float32 (2¹⁴ · 2¹⁰ = 2²⁴).
BLOCK_ROWS = 1024

MIDPOINT = {np.dtype(np.uint8): 128.0, np.dtype(np.int8): 0.0, np.dtype(np.bool_): 0.0}

_SQUARES = (1e-140, 1e150)  # absolute values whose squares float64 sums, with all their digits
_COMPLETE = (
    "Every value must be there and finite: drop such samples, fill the gaps first (skmae.PatchImputer), or "
    "hide them with visible=, where a method has it. The linear autoencoders take NaN and masked entries as hidden."
)

Weights = FloatArray | None
Fill = Callable[[Array, BoolArray], Array]
Result = TypeVar("Result")


class ArrayLibrary(NamedTuple):
    """The library and the device of an array that is not NumPy's, known only with ``array_api_dispatch=True``."""

    xp: Any
    device: Any
    on_cpu: bool

    def adopt(self, array: Array) -> Any:
        """The array in this library, on this device; float64 becomes float32 where the device has no more."""
        if array.dtype == np.float64 and self.widest == self.xp.float32:
            array = array.astype(np.float32)
        return self.xp.asarray(np.ascontiguousarray(array), device=self.device)

    @property
    def widest(self) -> Any:
        """The widest floating-point type of the device."""
        return widest_float(self.xp, self.device)


class _OneBlasThread:
    """Within which products have one thread each, whoever else is within it; entered, it says how many they had."""

    def __init__(self) -> None:
        self._lock, self._n_within, self._limits = Lock(), 0, None

    def __enter__(self) -> int:
        with self._lock:
            n_threads = max(
                (each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"), default=1
            )
            if self._n_within == 0:
                self._limits = threadpool_limits(1)
            self._n_within += 1
            return n_threads

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n_within -= 1
            if self._n_within == 0 and self._limits is not None:
                self._limits.restore_original_limits()


_ONE_BLAS_THREAD = _OneBlasThread()


class Samples:
    """Samples of one shape, as rows.

    Parameters
    ----------
    values : array of shape (n, d) or (n, \\*sample_shape)
        Anything whose slices of rows NumPy can read: they are read when they are needed.
    sample_shape : tuple of int or None
        Shape of a sample, if it came with more than one axis.
    frame : data frame or None
        What the samples came as, if its columns have names.
    library : ArrayLibrary or None
        Where results go; None is NumPy.
    masked : array of bool of shape (n, d) or None
        True where a masked array hides its values; None if nothing is. NaN hides as well.
    """

    rows_at_hand = True
    """Whether all rows can be had at once."""

    def __init__(
        self,
        values: Any,
        sample_shape: Shape | None = None,
        *,
        frame: Any = None,
        library: ArrayLibrary | None = None,
        masked: BoolArray | None = None,
    ):
        self.values = values
        self.sample_shape = sample_shape
        self.frame = frame
        self.library = library
        self.masked = masked
        self._is_finite = False  # as far as is known

    # -- what they look like --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def n_features(self) -> int:
        return prod(self.values.shape[1:])

    @property
    def dtype(self) -> DType:
        dtype: DType = np.dtype(self.values.dtype)
        return dtype

    @property
    def output_dtype(self) -> DType:
        """The floating-point type in which results are given: float32, or wider where the samples are."""
        return floating_dtype(self)

    @property
    def original_shape(self) -> Shape:
        """Of the array that came in."""
        return (len(self), *(self.sample_shape or (self.n_features,)))

    @property
    def names(self) -> tuple[str, ...] | None:
        """Of the columns, where scikit-learn's estimators would keep them."""
        reader = BaseEstimator()
        self.record(reader)
        names = getattr(reader, "feature_names_in_", None)
        return None if names is None else tuple(names.tolist())

    def record(self, estimator: BaseEstimator) -> None:
        """Let an estimator remember the width, and the names of the columns."""
        validate_data(estimator, self._header, reset=True, skip_check_array=True)

    def check_against(self, estimator: BaseEstimator) -> None:
        """Refuse another width, or other names, than an estimator remembers."""
        validate_data(estimator, self._header, reset=False, skip_check_array=True)

    @property
    def _header(self) -> Any:
        """Something with the names and the width of the samples, for scikit-learn."""
        return np.broadcast_to(np.int8(0), (len(self), self.n_features)) if self.frame is None else self.frame

    # -- what they hold -------------------------------------------------------------------------------------------

    def read(self, rows: Any) -> Array:
        """Some rows, (m, d), in NumPy and in the type they came in."""
        some = self.values[rows]
        return np.asarray(some).reshape(len(some), -1)

    def rows(self) -> Array:
        """All rows, (n, d)."""
        return self.read(slice(None))

    def original(self) -> Any:
        """What others may read in place of what came in: the data frame, or an array in the shape that came in."""
        if self.frame is not None:
            return self.frame
        rows = self.rows() if self.masked is None else np.ma.masked_array(self.rows(), self.masked)
        return rows.reshape(self.original_shape)

    def instead_of(self, X: Any) -> Any:
        """What may be read again in place of X: `original` if reading X made an array of it, else X itself."""
        made = X is not self and isinstance(self.values, np.ndarray) and self.library is None
        return self.original() if made else X

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, Array]]:
        """Slices of rows, and these rows (m, d), in order."""
        for rows in row_blocks(len(self), size):
            yield rows, self.read(rows)

    def centred_blocks(
        self, centre: FloatArray, dtype: DTypeLike, size: int = BLOCK_ROWS
    ) -> Iterator[tuple[slice, Array]]:
        """The same less `centre`, as `dtype`, in one buffer used again and again. NaN stays, and so does infinity."""
        centre = centre.astype(dtype)
        buffer = np.empty((min(size, len(self)), self.n_features), dtype)
        digits = np.result_type(self.dtype, dtype)  # what is far from zero is subtracted before it is rounded
        for rows, values in self.blocks(size):
            block = buffer[: len(values)] if len(values) <= len(buffer) else np.empty(values.shape, dtype)
            with np.errstate(over="ignore", invalid="ignore"):  # whoever finds infinity in the end says so
                np.subtract(values, centre, out=block, casting="unsafe", dtype=digits)
            yield rows, block

    def eight_bit_blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, Array]]:
        """Of 8-bit samples, the same less the mid-point of their type, as int8, in one buffer used again and again."""
        flip = np.uint8(MIDPOINT[self.dtype])  # of the highest bit: of uint8, it takes 128 away
        buffer = np.empty((min(size, len(self)), self.n_features), np.int8)
        for rows, values in self.blocks(size):
            block = buffer[: len(values)]
            np.bitwise_xor(values.view(np.uint8), flip, out=block.view(np.uint8))
            yield rows, block

    # -- what of it is known --------------------------------------------------------------------------------------

    def seen(self, rows: Any, values: Array) -> BoolArray | None:
        """Which entries of some rows, whose values are these (m, d), are neither NaN nor masked; None if all are."""
        masked: BoolArray | None = None if self.masked is None else self.masked[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            may_hold_nan = values.dtype.kind == "f" and np.isnan(values.sum(dtype=np.float64))
        if may_hold_nan:
            known = ~np.isnan(values) if masked is None else ~(np.isnan(values) | masked)
        elif masked is not None:
            known = ~masked
        else:
            return None
        return None if known.all() else known

    def hiding(self, hidden: BoolArray) -> Self:
        """The same samples, of which these entries, (n, d) or (1, d), are masked as well."""
        shape = (len(self), self.n_features)
        other = copy(self)
        other.masked = np.broadcast_to(hidden, shape) if self.masked is None else self.masked | hidden
        other._is_finite = False
        return other

    def with_nan(self) -> "Samples":
        """The same samples, with NaN in place of masked entries."""
        if self.masked is None:
            return self
        rows = self.rows().astype(self.output_dtype)
        rows[self.masked] = np.nan
        return Samples(rows, self.sample_shape)

    @property
    def is_complete(self) -> bool:
        """Whether no entry is NaN or masked."""
        if self._is_finite or (self.masked is None and self.dtype.kind != "f"):
            return True
        return all(self.seen(rows, block) is None for rows, block in self.blocks())

    def check_finite(self) -> None:
        """Refuse NaN, masked entries and infinity, saying where the first one is; look no more than once."""
        if self._is_finite or (self.masked is None and self.dtype.kind != "f"):
            return
        for rows, block in self.blocks():
            refuse_not_finite(block, rows.start)
            if self.masked is not None and self.masked[rows].any():
                row, column = np.argwhere(np.asarray(self.masked[rows]))[0]
                raise ValueError(f"X[{rows.start + row}, {column}] is masked. {_COMPLETE}")
        self._is_finite = True

    def check_bounded(self, weights: "Weights" = None, *, squares: bool = False) -> None:
        """Refuse infinity in rows that have a weight, saying where the first one is.

        Parameters
        ----------
        weights : ndarray of shape (n,) or None
        squares : bool
            Whether to refuse numbers, too, whose squares float64 cannot hold.
        """
        if self.dtype.kind != "f" and self.dtype.itemsize <= 8:
            return
        largest: Any = 0.0
        for rows, block in self.blocks():
            counted = block if weights is None else block[weights[rows] > 0]
            with np.errstate(invalid="ignore"):
                high = np.fmax.reduce(np.abs(counted), axis=None, initial=0)  # in its own type, which may be wider
            if np.isinf(high):
                refuse_infinite(block, rows.start)
            largest = max(largest, np.longdouble(high))
        if squares and not (largest == 0 or _SQUARES[0] < largest < _SQUARES[1]):
            raise ValueError(
                f"The largest absolute value of X is {np.format_float_scientific(largest, 2)}, and its square "
                f"is beyond the range of float64. "
                f"Divide X by a constant first: absolute values must lie between {_SQUARES[0]:g} and {_SQUARES[1]:g}."
            )

    def check_weights(self, sample_weight: Any) -> Weights:
        """Weights of the samples, (n,) float64, or None if every sample counts once."""
        return None if sample_weight is None else _check_weights(sample_weight, len(self))

    # -- what is made of them -------------------------------------------------------------------------------------

    def adopt(self, array: Array) -> Any:
        """A result where the samples came from."""
        return array if self.library is None else self.library.adopt(array)

    def project(self, components: FloatArray, mean: FloatArray, fill: Fill) -> Any:
        """(X − mean) componentsᵀ, (n, k), in the type of results; `fill` says what stands where nothing is known.

        Parameters
        ----------
        components : ndarray of shape (k, d)
        mean : ndarray of shape (d,)
        fill : callable
            Takes rows less the mean, zero where nothing is known, and what is known, (m, d) both, and fills the rows.
        """
        return self.adopt(self.encode(components, mean, fill))

    def encode(self, components: FloatArray, mean: FloatArray, fill: Fill | None = None) -> Array:
        """`project`, in NumPy; `fill` says what stands where nothing is known."""
        Z = np.empty((len(self), len(components)), self.output_dtype)
        encoder = Encoder(components, mean, self.output_dtype)
        for rows, block in self.centred_blocks(encoder.centre, encoder.dtype):
            with np.errstate(over="ignore"):
                Z[rows] = encoder.encode(block)
        if fill is not None:
            self._encode_incomplete(Z, components, mean, fill)
        if not np.isfinite(Z).all():
            self.check_bounded() if fill else self.check_finite()
            raise ValueError(
                f"The features of X are beyond the range of {Z.dtype}. Divide X by a constant first, or pass float64."
            )
        return Z

    def _encode_incomplete(self, Z: Array, components: FloatArray, mean: FloatArray, fill: Fill) -> None:
        """Encode again the samples of which not everything is known, filled, in float64."""
        suspects = ~np.asarray(np.isfinite(Z).all(axis=1))
        for rows in row_blocks(len(self)):
            if suspects[rows].any() or (self.masked is not None and self.masked[rows].any()):
                values = self.read(rows)
                seen = self.seen(rows, values)
                if seen is not None:
                    block = np.subtract(values, mean, dtype=np.float64, casting="unsafe")
                    with np.errstate(over="ignore", invalid="ignore"):
                        Z[rows] = fill(np.where(seen, block, 0), seen) @ components.T

    def map_rows(self, function: Callable[[Array], Array], shape: Shape, size: int = BLOCK_ROWS) -> Any:
        """What a function makes of rows (m, d), `size` at a time, in threads: (n, \\*shape), in the type of results.

        It is for functions whose products are small: each thread has its own, where one would not need all cores.
        """
        self.check_finite()
        made = np.empty((len(self), *shape), self.output_dtype)

        def work(block: tuple[slice, Array]) -> None:
            rows, values = block
            made[rows] = function(values).reshape(len(values), *shape)

        with _ONE_BLAS_THREAD as n_threads, ThreadPoolExecutor(n_threads) as threads:
            ahead: deque[Future[None]] = deque()
            for block in self.blocks(size):  # no more of them are read than are worked on
                if len(ahead) > n_threads:
                    ahead.popleft().result()
                ahead.append(threads.submit(work, block))
            for future in ahead:
                future.result()
        if not np.isfinite(made).all():
            raise ValueError(
                f"What is made of X is beyond the range of {made.dtype}. Divide X by a constant first, or pass float64."
            )
        return self.adopt(made)

    def reduce(self, function: Callable[["Samples", Weights], Result], weights: Weights) -> Result:
        """What a function makes of the samples and their weights; of parts, if that is how they come, its sum."""
        return function(self, weights)

    def recall_step(self, step: Any) -> Any:  # noqa: ARG002
        """What a transformer has learned from these samples, where a search has fitted it before."""
        return None

    def recall_made(self, learned: Any) -> Any:  # noqa: ARG002
        """What a transformer that has learned this makes of the samples, where a search knows."""
        return None

    def recall(self, problem: Any, weights: Weights) -> Any:  # noqa: ARG002
        """What is the solution of a problem for these samples, where a search has solved it before."""
        return None

    def recall_features(self, problem: Any, solution: Any) -> Array | None:  # noqa: ARG002
        """What that solution makes of the samples, where a search has encoded them before."""
        return None

    def choose_shift(self, dtype: DType, weights: Weights = None) -> FloatArray:
        """A centre near the samples that `dtype` holds: the mean of the first rows, by weight.

        Of 8-bit samples without weights it is the type's mid-point, about which sums are exact; with weights they are
        rounded, and a mid-point far from the samples would cost digits.
        """
        if self.dtype in MIDPOINT and weights is None:
            return np.full(self.n_features, MIDPOINT[self.dtype])
        first = slice(0, min(BLOCK_ROWS, len(self)))
        values = self.read(first)
        seen = self.seen(first, values)
        counted = np.isfinite(values) if seen is None else seen & np.isfinite(values)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            mean: FloatArray = np.mean(values, axis=0, dtype=np.float64, where=counted | ~counted.any(axis=0))
            if weights is not None and weights[first].any():
                share = counted * weights[first, np.newaxis]
                mean = np.asarray((np.where(counted, values, 0) * share).sum(axis=0) / share.sum(axis=0), np.float64)
            mean = np.where(np.isfinite(mean) & counted.any(axis=0), mean, 0)  # what is masked is not looked at
            rounded = mean.astype(np.float32).astype(np.float64)
        return np.where(np.isfinite(rounded), rounded, mean) if dtype == np.float32 else mean

    def add_products(
        self,
        shift: FloatArray,
        weights: Weights,
        scatter: FloatArray,
        *,
        dtype: DType,
        batch_size: int,
        progress: Callable[[Iterator[Any]], Iterator[Any]],
    ) -> "Products":
        """Add Σ w y yᵀ to the lower triangle of `scatter`, (d, d); y is x − shift, and 0 where nothing is known."""
        # less its mid-point, 8-bit data is at most 2⁷: 1024 products sum to at most 2²⁴
        exact = weights is None and self.dtype in MIDPOINT and bool((shift == MIDPOINT[self.dtype]).all())
        in_float32 = exact or (dtype == np.float32 and _is_float32(shift))
        if exact and takes_eight_bit(len(self), self.n_features):
            blocks = self.eight_bit_blocks(min(8 * batch_size, EIGHT_BIT_ROWS))  # as many bytes as of float64
        else:
            size = min(batch_size, BLOCK_ROWS) if exact else batch_size
            blocks = self.centred_blocks(shift, np.float32 if in_float32 else np.float64, size)
        products = GramSum(scatter, exact=exact)
        first, pairs = np.zeros(self.n_features), None
        for rows, block in progress(blocks):
            known = _Known.of(self, rows, block, weights)
            if not products.add(_weighted(known.block, known.weights)):  # beyond the range of float32
                block = np.subtract(self.read(rows), shift, dtype=np.float64, casting="unsafe")
                known = _Known.of(self, rows, block, weights)
                products.add(_weighted(known.block, known.weights))
            first += known.first
            if known.incomplete is not None:
                y, seen, w = known.incomplete
                pairs = PairSums(0, np.zeros_like(first)) if pairs is None else pairs
                pairs.add(y, seen, w)
                products.add_any(_weighted(y, w))
        products.flush()
        return Products(first, exact, pairs)


def narrowed(array: Array, dtype: DType) -> Array:
    """In the type of samples; what that does not hold is nothing beside the rest."""
    with np.errstate(under="ignore"):
        return array.astype(dtype)


class Encoder:
    """(X − mean) componentsᵀ, block by block: the mean is subtracted before the product, which would lose its digits.

    Parameters
    ----------
    components : ndarray of shape (k, d)
    mean : ndarray of shape (d,)
    dtype : dtype
        Of the features. Where it cannot hold the components or the mean, float64 is used.

    Attributes
    ----------
    dtype : dtype
    centre : ndarray of shape (d,)
        What is to be subtracted from blocks: the mean, rounded to `dtype`.
    """

    def __init__(self, components: FloatArray, mean: FloatArray, dtype: DType):
        limits = np.finfo(dtype)
        largest = max(np.abs(mean).max(initial=0), np.abs(components).max(initial=0))
        smallest = np.abs(components).max(initial=0) or 1.0
        fits = largest < limits.max / 2 and smallest > limits.tiny / limits.eps
        self.dtype = dtype if fits else np.dtype(np.float64)
        self.centre = mean.astype(self.dtype)
        self._components = narrowed(components.T, self.dtype)
        self._rest = narrowed((mean - self.centre) @ components.T, self.dtype)

    def encode(self, block: Array) -> Array:
        """Of rows from which `centre` has been subtracted, (m, k)."""
        with np.errstate(over="ignore", invalid="ignore"):
            features: Array = block @ self._components - self._rest
        return features


class Products(NamedTuple):
    """What `Samples.add_products` finds beside the products.

    Attributes
    ----------
    first : ndarray of shape (d,)
        Σ w (x − shift) of complete samples.
    exact : bool
        Whether all sums are those of whole numbers, without rounding.
    pairs : PairSums or None
        The sums of incomplete samples, if there are any.
    """

    first: FloatArray
    exact: bool
    pairs: PairSums | None


class _Known(NamedTuple):
    """Rows of a block that have a weight: complete ones, their sum (d,), and the others with what is known of them."""

    block: Array
    weights: Weights
    first: FloatArray
    incomplete: tuple[Array, BoolArray, Weights] | None = None

    @classmethod
    def of(cls, samples: Samples, rows: slice, block: Array, weights: Weights) -> "_Known":
        w = None if weights is None else weights[rows]
        first = _first(block, w)
        if samples.masked is None and np.isfinite(first).all():  # as most are: then there is nothing to look for
            return cls(block, w, first)
        seen = samples.seen(rows, block)
        if w is not None and not w.all():
            counts = w > 0
            block, w, seen = block[counts], w[counts], None if seen is None else seen[counts]
        if seen is None:
            return cls(block, w, _first(block, w))
        whole = seen.all(axis=1)
        rest = np.where(seen[~whole], block[~whole], 0).astype(block.dtype, copy=False)
        of_whole, of_rest = (None, None) if w is None else (w[whole], w[~whole])
        return cls(block[whole], of_whole, _first(block[whole], of_whole), (rest, seen[~whole], of_rest))


def _is_float32(values: FloatArray) -> bool:
    """Whether float32 holds these numbers without rounding."""
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype(np.float32), values)


def _first(block: Array, weights: Weights) -> FloatArray:
    """Σ w y, (d,) float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = block.sum(axis=0, dtype=np.float64) if weights is None else weights @ block
        return np.asarray(total, np.float64)


def floating_dtype(X: Any) -> DType:
    """The floating-point type in which results for `X` are given: float32, or wider where `X` is."""
    return np.result_type(X.dtype, np.float32)


def row_blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover `n_rows` in order, `size` at a time."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def refuse_not_finite(block: Array, first_row: int = 0) -> None:
    """Refuse NaN and infinity among some rows, saying where the first one is."""
    with np.errstate(over="ignore", invalid="ignore"):
        if block.dtype.kind != "f" or np.isfinite(block.sum(dtype=np.float64)) or np.isfinite(block).all():
            return
    row, column = np.argwhere(~np.isfinite(block))[0]
    raise ValueError(
        f"Input X contains NaN or infinity: X[{first_row + row}, {column}] is {block[row, column]}. {_COMPLETE}"
    )


def refuse_infinite(block: Array, first_row: int = 0) -> None:
    """Refuse infinity among some rows, saying where the first one is."""
    infinite = np.isinf(block) if block.dtype.kind == "f" else np.zeros(0, bool)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise ValueError(
            f"Input X contains infinity: X[{first_row + row}, {column}] is {block[row, column]}. Every value must be "
            f"finite, or NaN where it is missing."
        )


def _check_weights(sample_weight: Any, n_samples: int) -> FloatArray:
    """(n_samples,) float64."""
    with naming("sample_weight", f"an array of ({n_samples},), of real numbers"):
        values = sample_weight.compute() if is_dask(sample_weight) else to_numpy(sample_weight)
        if values.ndim == 0:
            raise ValueError(f"it is a single value, {values}.")
        if np.ma.is_masked(values):
            raise ValueError("it has masked entries, and a weight that is not known cannot be used.")
        weights: FloatArray = check_array(values, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; it must hold one weight per sample: ({n_samples},)."
        )
    if (weights < 0).any():
        first = int(np.argmax(weights < 0))
        raise ValueError(
            f"sample_weight[{first}] is {weights[first]}: weights must be >= 0. A weight of 0 leaves a sample out."
        )
    if not np.isfinite(weights.sum()):
        raise ValueError(
            "The sum of sample_weight is beyond the range of float64. Divide the weights by their largest."
        )
    if not weights.any():
        raise ValueError(f"sample_weight is zero for all {len(weights)} samples: at least one must count.")
    return weights


def count_rows(n_samples: int, weights: Weights) -> int:
    """Samples that have a weight above zero."""
    return n_samples if weights is None else int(np.count_nonzero(weights))


def _weighted(block: Array, weights: Weights) -> Array:
    """Rows times the root of their weights, in place: the products of rows then count by weight."""
    if weights is not None:
        block *= np.sqrt(weights).astype(block.dtype)[:, np.newaxis]
    return block


@contextmanager
def naming(parameter: str, allowed: str) -> Iterator[None]:
    """Let errors of a conversion say which parameter is meant, if they do not, and what is allowed."""
    try:
        yield
    except Exception as error:  # of whatever library X is from
        if re.search(rf"\b{parameter}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{parameter} cannot be read: {str(error).removesuffix('.')}. Pass {allowed}.") from error


def is_dask(X: Any) -> bool:
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def to_numpy(X: ArrayLike | Any) -> Array:
    """X as a NumPy array; without a copy if it is on the CPU."""
    return X if isinstance(X, np.ndarray) else array_to_numpy(X)
