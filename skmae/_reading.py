"""What `read_samples` makes of anything that may come in: which arrays are samples, and which are refused, and why."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from os import PathLike
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from skmae._compat import is_numpy_namespace, namespace_and_device
from skmae._dask_samples import DaskSamples
from skmae._device_samples import DeviceSamples
from skmae._samples import ArrayLibrary, Samples, is_dask, naming, to_numpy
from skmae._typing import Array, BoolArray, Shape

_CPU = 1  # kDLCPU of the DLPack standard


def read_samples(X: Any, reader: Any, *, may_have_gaps: bool = False, parameter: str = "X") -> Samples:
    """Samples from whatever came in, checked to be real numbers, not yet checked for NaN.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, \\*sample_shape)
    reader : estimator or str
        Who reads, for error texts.
    may_have_gaps : bool
        Whether entries may be masked.
    parameter : str
        What error texts call X.

    Returns
    -------
    Samples
        X itself, if it has been read before.

    Raises
    ------
    ValueError, TypeError
        If X is empty, has no two axes, or holds anything but real numbers; if it is no array of samples, but something
        that samples can be had from.
    """
    if isinstance(X, Samples):
        return X
    allowed = "an array of (n_samples, n_features) or (n_samples, *image_shape), of real numbers"
    with _called(parameter), naming("X", allowed):
        samples = _read(X, reader)
        if samples.masked is not None and not may_have_gaps:
            samples.check_finite()
    return samples


def _read(X: Any, reader: Any) -> Samples:
    if is_dask(X):
        return _read_dask(X)
    if _is_hdf5(X):
        return _read_hdf5(X)
    estimator, name = (None, reader) if isinstance(reader, str) else (reader, type(reader).__name__)
    frame = X if _is_frame(X) else None
    library, masked = library_of(X), None
    if frame is not None:
        _check_numeric_columns(frame, name)
        rows, sample_shape = frame, None
    else:
        _refuse_no_array(X, name)
        X = X.detach() if hasattr(X, "detach") else X  # of a tensor with gradients
        if isinstance(X, list | tuple):
            X = _joined(X, estimator)
        rows, sample_shape = _as_rows(X, library)
        rows, masked = _unmasked(rows)
    rows = check_array(rows, dtype="numeric", ensure_all_finite=False, input_name="X", estimator=estimator)
    if library is not None and not library.on_cpu:
        return DeviceSamples(rows, sample_shape, library=library)
    return Samples(to_numpy(rows), sample_shape, frame=frame, library=library, masked=masked)


@contextmanager
def _called(parameter: str) -> Iterator[None]:
    """Let errors about X call it by another name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if parameter == "X":
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(re.sub(r"\bX\b", parameter, str(error))) from error


def _as_rows(X: Any, library: ArrayLibrary | None) -> tuple[Any, Shape | None]:
    """One row per sample in C order, and the shape of a sample if it had more than one axis.

    Nothing is copied unless the memory layout forces it, and never to a wider type.
    """
    if library is None and not (issparse(X) or hasattr(X, "iloc")):  # which scikit-learn has texts for
        X = to_numpy(X)
        _check_type(X)
    if getattr(X, "ndim", 2) <= 2:
        return X, None
    sample_shape = tuple(X.shape[1:])
    rows = (X.shape[0], prod(sample_shape))
    return (X.reshape(rows) if library is None else library.xp.reshape(X, rows)), sample_shape


def _unmasked(rows: Any) -> tuple[Any, BoolArray | None]:
    """The values of a masked array, and where they are masked; None if nowhere."""
    if not isinstance(rows, np.ma.MaskedArray):
        return rows, None
    masked = np.ma.getmaskarray(rows)
    return rows.data, masked if masked.any() else None


def _check_type(X: Array) -> None:
    """Refuse arrays of dates, texts and records; those of objects are left to be read as numbers."""
    if X.dtype.kind == "c":
        raise ValueError(f"X is of type {X.dtype}. Complex data not supported: pass X.real, X.imag or abs(X).")
    if X.dtype.kind not in "biufOSU":
        raise ValueError(
            f"X is of type {X.dtype}; samples are real numbers. Convert it, or leave it out: of dates and times, for "
            f"example, (X - X.min()) / numpy.timedelta64(1, 's')."
        )
    if X.ndim == 1 and X.dtype.kind != "O":
        raise ValueError(
            f"X has one axis, of length {len(X)}: Expected 2D array, got 1D array instead. Reshape your data: one "
            f"sample is X[None], samples of one feature are X[:, None]."
        )


def _refuse_no_array(X: Any, reader: str) -> None:
    """Refuse what samples can be had from, but not in this way, and say in which."""
    advice = None
    if isinstance(X, str | bytes | PathLike) or _holds(X, (str, PathLike)):
        advice = (
            "a path, not samples. Load it first: numpy.load(path), or of several .npy or .parquet files "
            "Moments.from_files(paths) and then fit_moments"
        )
    elif hasattr(X, "files") and hasattr(X, "keys"):  # numpy's NpzFile
        advice = f"an .npz archive of arrays {sorted(X.keys())}. Pass one of them: X[{min(X.keys(), default='name')!r}]"
    elif isinstance(X, Mapping) and not hasattr(X, "columns"):
        advice = f"a mapping with keys {list(X)[:5]}. Pass one of its values: samples, a row each"
    elif hasattr(X, "dataset") and hasattr(X, "batch_size"):  # a DataLoader
        advice = (
            "a loader of batches. Read them with Moments.from_batches(x for x, *_ in loader) and call fit_moments, or "
            "call partial_fit for each"
        )
    elif hasattr(X, "from_batches"):  # Moments
        advice = "moments, not samples. Pass them to fit_moments"
    elif isinstance(X, Iterator):
        advice = (
            "an iterator, not an array. Of batches: Moments.from_batches(batches) and fit_moments, or partial_fit for "
            "each; of samples: numpy.stack(list(samples))"
        )
    elif hasattr(X, "__getitem__") and hasattr(X, "__len__") and not _is_array_like(X):
        advice = "not an array. Of a Dataset of (image, label) pairs: numpy.stack([numpy.asarray(x) for x, *_ in X])"
    if advice:
        raise TypeError(f"X of {reader} is {advice}. It came as {type(X).__module__}.{type(X).__name__}.")


def _holds(X: Any, kinds: tuple[type, ...]) -> bool:
    """Whether X is a list of such things."""
    return isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(x, kinds) for x in X)


def _is_array_like(X: Any) -> bool:
    known = ("__array__", "__array_interface__", "__dlpack__", "__dataframe__", "shape", "iloc")
    return isinstance(X, list | tuple) or any(hasattr(X, name) for name in known)


def _joined(X: Any, estimator: Any) -> Any:
    """A list of samples as one array; refused if it is a list of batches, or might be."""
    if not all(hasattr(x, "shape") and hasattr(x, "dtype") for x in X):
        return X
    shapes = [tuple(x.shape) for x in X]
    stack = np.ma.stack if any(isinstance(x, np.ma.MaskedArray) for x in X) else np.stack
    if not shapes or max(map(len, shapes)) < 2:
        return X if stack is np.stack else stack(X)
    known = getattr(estimator, "image_shape_", None) if estimator is not None else None
    known = known or (getattr(estimator, "image_shape", None) if estimator is not None else None)
    if len(set(shapes)) > 1:
        same_width = len({shape[1:] for shape in shapes}) == 1
        raise ValueError(
            f"X is a {type(X).__name__} of arrays of different shapes, {shapes[0]} and "
            f"{next(s for s in shapes if s != shapes[0])} among them. "
            + (
                "If they are batches: numpy.concatenate(X), or partial_fit for each. "
                if same_width
                else "If it is a batch of samples and labels: pass X[0]. "
            )
            + "If they are images: resize them to one size first, with skimage.transform.resize or PIL.Image.resize."
        )
    if shapes[0] != known and not _are_images(shapes):
        raise ValueError(
            f"X is a {type(X).__name__} of {len(X)} array{'s' if len(X) > 1 else ''} of shape {shapes[0]}: batches, or "
            f"samples? If batches: numpy.concatenate(X), or of a loader x for x, *_ in loader. If samples: "
            f"numpy.stack(X)."
        )
    return stack([to_numpy(x) for x in X])


def _are_images(shapes: list[Shape]) -> bool:
    """Whether several arrays of one shape can be nothing but images: grey, square or many; or in colour."""
    shape = shapes[0]
    if len(shapes) == 1 or len(shape) > 3:
        return False
    if len(shape) == 2:
        return shape[0] == shape[1] or len(shapes) >= shape[0]
    return shape[-1] in (1, 3, 4) or shape[0] in (1, 3, 4)


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


def check_columns(X: Any, reader: str) -> None:
    """Refuse X if it is a data frame with columns that are not numbers."""
    if _is_frame(X):
        _check_numeric_columns(X, reader)


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
