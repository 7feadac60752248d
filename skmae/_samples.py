"""One reader for everything that may come in: samples as rows, read and checked once, walked over in blocks.

NumPy arrays of any type, order and byte order, memory maps, HDF5 datasets, data frames, lists of images, tensors, Dask
arrays: how they differ is decided here and nowhere else. n samples of d features.
"""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skmae._compat import array_to_numpy, import_optional, is_numpy_namespace, namespace_and_device, widest_float
from skmae._linalg import ProductSum
from skmae._typing import Array, DType, FloatArray, Shape

#: Rows converted at a time. 1024 products of 8-bit numbers sum exactly in float32 (2¹⁴ · 2¹⁰ = 2²⁴).
BLOCK_ROWS = 1024

_CPU = 1  # kDLCPU of the DLPack standard
_MIDPOINT = {np.dtype(np.uint8): 128.0, np.dtype(np.int8): 0.0, np.dtype(np.bool_): 0.0}

Weights = FloatArray | None
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
    ):
        self.values = values
        self.sample_shape = sample_shape
        self.frame = frame
        self.library = library
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
        return self.rows().reshape(self.original_shape) if self.frame is None else self.frame

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
        """The same less `centre`, as `dtype`, in one buffer used again and again."""
        centre = centre.astype(dtype)
        buffer = np.empty((min(size, len(self)), self.n_features), dtype)
        for rows, values in self.blocks(size):
            block = buffer[: len(values)] if len(values) <= len(buffer) else np.empty(values.shape, dtype)
            np.subtract(values, centre, out=block, casting="unsafe", dtype=np.dtype(dtype))
            yield rows, block

    def check_finite(self) -> None:
        """Refuse NaN and infinity, saying where the first one is; look no more than once."""
        if self._is_finite or self.dtype.kind != "f":
            return
        for rows, block in self.blocks():
            refuse_not_finite(block, rows.start)
        self._is_finite = True

    def check_weights(self, sample_weight: Any) -> Weights:
        """Weights of the samples, (n,) float64, or None if every sample counts once."""
        return None if sample_weight is None else _check_weights(sample_weight, len(self))

    # -- what is made of them -------------------------------------------------------------------------------------

    def adopt(self, array: Array) -> Any:
        """A result where the samples came from."""
        return array if self.library is None else self.library.adopt(array)

    def project(self, components: FloatArray, mean: FloatArray) -> Any:
        """(X − mean) componentsᵀ, (n, k), in the type of results."""
        return self.adopt(self.encode(components, mean))

    def encode(self, components: FloatArray, mean: FloatArray) -> Array:
        """`project`, in NumPy."""
        dtype = self.output_dtype
        encoder = components.T.astype(dtype)
        Z = np.empty((len(self), len(components)), dtype)
        whole = isinstance(self.values, np.ndarray) and self.dtype == dtype
        for rows, block in self.blocks(max(len(self), 1) if whole else BLOCK_ROWS):  # blocks only to convert them
            np.matmul(block.astype(dtype, copy=False), encoder, out=Z[rows])
        Z -= mean.astype(dtype) @ encoder
        if not np.isfinite(Z).all():
            self.check_finite()
        return Z

    def reduce(self, function: Callable[["Samples", Weights], Result], weights: Weights) -> Result:
        """What a function makes of the samples and their weights; of parts, if that is how they come, its sum."""
        return function(self, weights)

    def recall(self, problem: Any, weights: Weights) -> Any:  # noqa: ARG002
        """What is the solution of a problem for these samples, where a search has solved it before."""
        return None

    def recall_features(self, problem: Any, solution: Any) -> Array | None:  # noqa: ARG002
        """What that solution makes of the samples, where a search has encoded them before."""
        return None

    def choose_shift(self, dtype: DType) -> FloatArray:
        """A centre near the samples that `dtype` holds: an 8-bit type's mid-point, else the mean of the first rows."""
        if self.dtype in _MIDPOINT:
            return np.full(self.n_features, _MIDPOINT[self.dtype])
        first = self.read(slice(0, BLOCK_ROWS))
        refuse_not_finite(first)
        mean: FloatArray = first.mean(axis=0, dtype=np.float64)
        if dtype == np.float64:
            return mean
        with np.errstate(over="ignore"):
            rounded = mean.astype(np.float32).astype(np.float64)
        return np.where(np.isfinite(rounded), rounded, mean)

    def add_products(
        self,
        shift: FloatArray,
        weights: Weights,
        scatter: FloatArray,
        *,
        dtype: DType,
        batch_size: int,
        progress: Callable[[Iterator[Any]], Iterator[Any]],
    ) -> tuple[FloatArray, bool]:
        """Add Σ w (x − shift)(x − shift)ᵀ to the lower triangle of `scatter`, (d, d).

        Returns
        -------
        first : ndarray of shape (d,)
            Σ w (x − shift).
        exact : bool
            Whether all sums are those of whole numbers, without rounding.
        """
        # less its mid-point, 8-bit data is at most 2⁷: 1024 products sum to at most 2²⁴
        exact = weights is None and self.dtype in _MIDPOINT and bool((shift == _MIDPOINT[self.dtype]).all())
        in_float32 = exact or (dtype == np.float32 and np.array_equal(shift.astype(np.float32), shift))
        size = min(batch_size, BLOCK_ROWS) if exact else batch_size
        products = ProductSum(scatter, exact=exact)
        first = np.zeros(self.n_features)
        for rows, block in progress(self.centred_blocks(shift, np.float32 if in_float32 else np.float64, size)):
            w = None if weights is None else weights[rows]
            total = block.sum(axis=0, dtype=np.float64) if w is None else w @ block
            if not np.isfinite(total).all():
                self.check_finite()
            first += total
            if not products.add(_weighted(block, w)):
                products.add(_weighted(np.subtract(self.read(rows), shift, dtype=np.float64), w))
        products.flush()
        return first, exact


class DeviceSamples(Samples):
    """Samples on a device that NumPy cannot read: products are taken there, and come to the host as sums."""

    library: ArrayLibrary

    @property
    def dtype(self) -> DType:
        return np.dtype(str(self.values.dtype).rpartition(".")[2])

    def read(self, rows: Any) -> Array:
        return array_to_numpy(self.values[rows, :])

    def check_finite(self) -> None:
        if not self._all_finite(self.values):
            super().check_finite()

    def project(self, components: FloatArray, mean: FloatArray) -> Any:
        xp = self.library.xp
        dtype = xp.float64 if self.values.dtype == xp.float64 else xp.float32
        encoder = xp.astype(self.adopt(components.T), dtype)
        Z = xp.astype(self.values, dtype) @ encoder - xp.astype(self.adopt(mean), dtype) @ encoder
        if not self._all_finite(Z):
            self.check_finite()
        return Z

    def choose_shift(self, dtype: DType) -> FloatArray:
        xp, widest = self.library.xp, self.library.widest
        mean = xp.mean(xp.astype(self.values[: min(BLOCK_ROWS, len(self)), :], widest), axis=0)
        # whole numbers and float32 alike are held by float32 without rounding
        return array_to_numpy(xp.round(mean) if self._is_narrow(dtype) else mean).astype(np.float64)

    def add_products(
        self,
        shift: FloatArray,
        weights: Weights,
        scatter: FloatArray,
        *,
        dtype: DType,
        batch_size: int,
        progress: Callable[[Iterator[Any]], Iterator[Any]],  # noqa: ARG002
    ) -> tuple[FloatArray, bool]:
        xp, widest = self.library.xp, self.library.widest
        product = xp.float32 if self._is_narrow(dtype) else xp.float64
        centre = xp.astype(self.adopt(shift), product)
        first, total = xp.zeros_like(centre, dtype=widest), None
        for rows in row_blocks(len(self), batch_size):
            block = xp.astype(self.values[rows, :], product) - centre
            if weights is None:
                first = first + xp.sum(xp.astype(block, widest), axis=0)
            else:
                w = xp.astype(self.adopt(weights[rows, np.newaxis]), product)
                first = first + xp.sum(xp.astype(block * w, widest), axis=0)
                block = block * xp.sqrt(w)
            products = xp.astype(block.T @ block, widest)
            total = products if total is None else total + products
        first = array_to_numpy(first)
        if not np.isfinite(first).all():
            self.check_finite()
        scatter += array_to_numpy(total)
        return first, False

    def _is_narrow(self, dtype: DType) -> bool:
        """Whether float32 products are what is asked for, or all that is needed."""
        xp = self.library.xp
        is_8_bit = xp.isdtype(self.values.dtype, ("bool", xp.uint8, xp.int8))
        return dtype == np.float32 or is_8_bit or self.library.widest == xp.float32

    def _all_finite(self, array: Any) -> bool:
        xp = self.library.xp
        return not xp.isdtype(array.dtype, "real floating") or bool(xp.all(xp.isfinite(array)))


class DaskSamples(Samples):
    """A Dask array, cut along its samples: read chunk by chunk, where the chunks are."""

    rows_at_hand = False

    def __len__(self) -> int:
        n = self.values.shape[0]
        if np.isnan(n):
            raise ValueError(
                "X has chunks of unknown size, whose rows cannot be counted. Call X.compute_chunk_sizes()."
            )
        return int(n)

    @property
    def _header(self) -> Any:
        return np.broadcast_to(np.int8(0), (1, self.n_features))

    def read(self, rows: Any) -> Array:
        some = np.asarray(self.values[rows])
        return some.reshape(len(some), -1)

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, Array]]:
        start = 0
        for chunk in self._chunks():
            values = np.asarray(chunk.compute())
            for rows in row_blocks(len(values), size):
                yield slice(start + rows.start, start + rows.stop), values[rows].reshape(rows.stop - rows.start, -1)
            start += len(values)

    def project(self, components: FloatArray, mean: FloatArray) -> Any:
        """A Dask array of features, (n, k), in the same chunks; nothing is computed."""
        return self.values.map_blocks(
            _project_chunk,
            components=components,
            mean=mean,
            chunks=(self.values.chunks[0], (len(components),)),
            drop_axis=list(range(2, self.values.ndim)),
            meta=np.empty((0, 0), self.output_dtype),
        )

    def reduce(self, function: Callable[[Samples, Weights], Result], weights: Weights) -> Result:
        """Chunks are reduced on the cluster and summed in pairs; only the sum comes here.

        A task that is lost with its worker is run again by the scheduler, on the same chunk: nothing counts twice.
        """
        delayed = import_optional("dask", extra="dask", purpose="Fitting Dask arrays").delayed
        chunks = self._chunks()
        cut = [None] * len(chunks) if weights is None else np.split(weights, np.cumsum(self.values.chunks[0])[:-1])
        parts = [
            delayed(_reduce_chunk)(function, chunk, w, number)
            for number, (chunk, w) in enumerate(zip(chunks, cut, strict=True))
        ]
        while len(parts) > 1:
            parts = [delayed(sum)(parts[first : first + 2]) for first in range(0, len(parts), 2)]
        total: Result = parts[0].compute()
        return total

    def _chunks(self) -> Any:
        return self.values.to_delayed().ravel()


def _project_chunk(chunk: Array, components: FloatArray, mean: FloatArray) -> Array:
    return Samples(chunk).encode(components, mean)


def _reduce_chunk(
    function: Callable[[Samples, Weights], Result], chunk: Array, weights: Weights, number: int
) -> Result:
    try:
        return function(Samples(chunk), weights)
    except ValueError as error:
        raise ValueError(f"Chunk {number}: {error}") from error


# -- reading -----------------------------------------------------------------------------------------------------------


def read_samples(X: Any, reader: Any) -> Samples:
    """Samples from whatever came in, checked to be real numbers, not yet checked for NaN.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, \\*sample_shape)
    reader : estimator or str
        Who reads, for error texts.

    Returns
    -------
    Samples
        X itself, if it has been read before.

    Raises
    ------
    ValueError, TypeError
        If X is empty, has no two axes, or holds anything but real numbers.
    """
    if isinstance(X, Samples):
        return X
    if is_dask(X):
        return _read_dask(X)
    if _is_hdf5(X):
        return _read_hdf5(X)
    estimator = None if isinstance(reader, str) else reader
    name = reader if isinstance(reader, str) else type(reader).__name__
    frame = X if _is_frame(X) else None
    library = library_of(X)
    if frame is not None:
        _check_numeric_columns(frame, name)
        rows, sample_shape = frame, None
    else:
        rows, sample_shape = _as_rows(X, library)
    rows = check_array(rows, dtype="numeric", ensure_all_finite=False, input_name="X", estimator=estimator)
    if library is not None and not library.on_cpu:
        return DeviceSamples(rows, sample_shape, library=library)
    return Samples(to_numpy(rows), sample_shape, frame=frame, library=library)


def _as_rows(X: Any, library: ArrayLibrary | None) -> tuple[Any, Shape | None]:
    """One row per sample in C order, and the shape of a sample if it had more than one axis.

    Nothing is copied unless the memory layout forces it, and never to a wider type.
    """
    if library is None and not (issparse(X) or hasattr(X, "iloc")):  # which scikit-learn has texts for
        X = to_numpy(X)
    if getattr(X, "ndim", 2) <= 2:
        return X, None
    sample_shape = tuple(X.shape[1:])
    rows = (X.shape[0], prod(sample_shape))
    return (X.reshape(rows) if library is None else library.xp.reshape(X, rows)), sample_shape


def library_of(X: Any) -> ArrayLibrary | None:
    """Where X lives; None for NumPy arrays, and for everything that is going to be one."""
    if isinstance(X, np.ndarray) or not hasattr(X, "__dlpack_device__"):
        return None
    xp, device = namespace_and_device(X)
    if xp is None or is_numpy_namespace(xp):
        return None
    # array-api-strict's other devices pretend: they, too, answer 1
    return ArrayLibrary(xp, device, int(X.__dlpack_device__()[0]) == _CPU and "cpu" in str(device).lower())


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and (hasattr(X, "dtypes") or hasattr(X, "schema")) and not is_dask(X)


def _check_numeric_columns(frame: Any, reader: str) -> None:
    """Refuse a data frame with columns that are not numbers, by name."""
    if hasattr(frame, "dtypes"):  # pandas, polars
        names, dtypes = list(frame.columns), list(frame.dtypes)
    else:  # pyarrow
        names, dtypes = list(frame.schema.names), list(frame.schema.types)
    other = [str(name) for name, dtype in zip(names, dtypes, strict=True) if not is_number(dtype)]
    if other:
        raise ValueError(
            f"X has columns that are not numbers: {other}. {reader} takes numeric columns only; drop them, or "
            f"encode them first (sklearn.compose.ColumnTransformer)."
        )


def is_number(dtype: Any) -> bool:
    """Whether a column of this type, of NumPy, pandas, polars or pyarrow, holds real numbers."""
    if hasattr(dtype, "kind"):  # NumPy, pandas
        return dtype.kind in "biuf"
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric()) or str(dtype) == "Boolean"
    try:  # pyarrow
        return np.dtype(dtype.to_pandas_dtype()).kind in "biuf"
    except (AttributeError, NotImplementedError, TypeError):  # categories, for one
        return False


def is_dask(X: Any) -> bool:
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def _read_dask(X: Any) -> DaskSamples:
    """Refuse what is no array, or has chunks that do not hold whole samples."""
    if getattr(X, "ndim", 0) >= 1 and len(X.shape) == 1:
        raise ValueError(f"X is a Dask array of shape {X.shape}: pass (n_samples, n_features), or images.")
    if hasattr(X, "to_dask_array") or not hasattr(X, "numblocks") or X.ndim < 2:
        raise ValueError(
            f"X is a {type(X).__module__}.{type(X).__name__}; pass a dask.array of (n_samples, n_features) or "
            f"(n_samples, *image_shape). Of a data frame: X.to_dask_array(lengths=True)."
        )
    if any(n != 1 for n in X.numblocks[1:]):
        axes = ", ".join(f"{axis}: -1" for axis in range(1, X.ndim))
        raise ValueError(
            f"X is cut into chunks along its features (X.chunks is {X.chunks}); a chunk must hold whole samples. Use "
            f"X.rechunk({{{axes}}})."
        )
    return DaskSamples(X, tuple(X.shape[1:]) if X.ndim > 2 else None)


def _is_hdf5(X: Any) -> bool:
    return type(X).__module__.partition(".")[0] == "h5py" and hasattr(X, "shape")


def _read_hdf5(X: Any) -> Samples:
    """A dataset of an HDF5 file, which stays there."""
    if len(X.shape) < 2 or 0 in X.shape or X.dtype.kind not in "biuf":
        raise ValueError(
            f"X is an HDF5 dataset of shape {X.shape} and type {X.dtype}; pass one of (n_samples, n_features) or "
            f"(n_samples, *image_shape), of real numbers, with at least one sample."
        )
    return Samples(X, tuple(X.shape[1:]) if len(X.shape) > 2 else None)


def to_numpy(X: ArrayLike | Any) -> Array:
    """X as a NumPy array; without a copy if it is on the CPU."""
    return X if isinstance(X, np.ndarray) else array_to_numpy(X)


# -- rows --------------------------------------------------------------------------------------------------------------


def floating_dtype(X: Any) -> DType:
    """The floating-point type in which results for `X` are given: float32, or wider where `X` is."""
    return np.result_type(X.dtype, np.float32)


def row_blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover `n_rows` in order, `size` at a time."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def refuse_not_finite(block: Array, first_row: int = 0) -> None:
    """Refuse NaN and infinity among some rows, saying where the first one is."""
    if block.dtype.kind != "f" or np.isfinite(block.sum(dtype=np.float64)) or np.isfinite(block).all():
        return
    row, column = np.argwhere(~np.isfinite(block))[0]
    raise ValueError(
        f"Input X contains NaN or infinity: X[{first_row + row}, {column}] is {block[row, column]}. Every "
        f"value must be finite: drop such samples, or fill the gaps first (sklearn.impute.SimpleImputer)."
    )


def _check_weights(sample_weight: Any, n_samples: int) -> FloatArray:
    """(n_samples,) float64."""
    values = sample_weight.compute() if is_dask(sample_weight) else to_numpy(sample_weight)
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
