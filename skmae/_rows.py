"""Samples as rows: flatten them, walk over them in blocks, check them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_array

from skmae._arrays import home_of, reshape, to_numpy

#: Rows converted at a time. 1024 products of 8-bit numbers sum exactly in float32 (2¹⁴ · 2¹⁰ = 2²⁴).
BLOCK_ROWS = 1024


def flatten_samples(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return `X` with one row per sample, and the shape of a sample if it had more than one axis.

    Rows are in C order. Nothing is copied unless the memory layout forces it, and never to a wider type.
    """
    if isinstance(X, list | tuple) and np.ndim(X[0] if len(X) else X) > 1:
        X = np.asarray(X)
    if getattr(X, "ndim", 2) <= 2:
        return X, None
    sample_shape = tuple(X.shape[1:])
    return reshape(X, (X.shape[0], int(np.prod(sample_shape)))), sample_shape


def check_numeric_columns(X: Any, consumer: str) -> None:
    """Refuse a data frame with columns that are not numbers, by name."""
    if not hasattr(X, "dtypes") or not hasattr(X, "columns"):
        return
    other = [str(name) for name, dtype in zip(X.columns, X.dtypes, strict=True) if not _is_number(dtype)]
    if other:
        raise ValueError(
            f"X has columns that are not numbers: {other}. {consumer} takes numeric columns only; drop them, or "
            f"encode them first (sklearn.compose.ColumnTransformer)."
        )


def _is_number(dtype: Any) -> bool:
    kind = getattr(dtype, "kind", None)  # data frame libraries without NumPy dtypes are left to check_array
    return kind is None or kind in "biuf"


def floating_dtype(X: np.ndarray) -> np.dtype:
    """The floating-point type in which results for `X` are given: float32, or wider where `X` is."""
    return np.result_type(X.dtype, np.float32)


def row_blocks(n_rows: int, size: int = BLOCK_ROWS) -> Iterator[slice]:
    """Slices that cover `n_rows` in order, `size` at a time."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def centred_blocks(
    X: np.ndarray, centre: np.ndarray, dtype: Any, size: int = BLOCK_ROWS
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield ``(rows, X[rows] - centre)`` as `dtype`, block by block, in one buffer used again and again."""
    centre = centre.astype(dtype)
    buffer = np.empty((min(size, len(X)), X.shape[1]), dtype)
    for rows in row_blocks(len(X), size):
        block = buffer[: rows.stop - rows.start]
        np.subtract(X[rows], centre, out=block, casting="unsafe", dtype=dtype)
        yield rows, block


class Rows:
    """Some rows of an array, gathered as they are read.

    Parameters
    ----------
    values : ndarray of shape (n, d)
    index : ndarray of int or None
        None for all rows.
    """

    def __init__(self, values: np.ndarray, index: np.ndarray | None):
        self.values = values
        self.index = index
        self.dtype = values.dtype

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values) if self.index is None else len(self.index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.values[rows] if self.index is None else self.values[self.index[rows]]


def project(X: Any, components: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(X − mean) componentsᵀ, (n, k), in X's floating-point type; infinite or NaN where X is, or where it overflows."""
    dtype = floating_dtype(X)
    encoder = components.T.astype(dtype)
    Z = np.empty((len(X), len(components)), dtype)
    for rows in row_blocks(len(X), BLOCK_ROWS if X.dtype != dtype else max(len(X), 1)):  # blocks only to convert them
        np.matmul(X[rows].astype(dtype, copy=False), encoder, out=Z[rows])
    Z -= mean.astype(dtype) @ encoder
    return Z


def check_finite(X: Any) -> None:
    """Refuse NaN and infinity, saying where the first one is."""
    home = home_of(X)
    if home is not None:
        if not home.on_cpu and home.all_finite(X):
            return
        X = to_numpy(X)
    if X.dtype.kind != "f":
        return
    for rows in row_blocks(len(X)):
        block = X[rows]
        if np.isfinite(block.sum(dtype=np.float64)) or np.isfinite(block).all():
            continue
        row, column = np.argwhere(~np.isfinite(block))[0]
        raise ValueError(
            f"Input X contains NaN or infinity: X[{rows.start + row}, {column}] is {block[row, column]}. Every "
            f"value must be finite: drop such samples, or fill the gaps first (sklearn.impute.SimpleImputer)."
        )


def check_weights(sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
    """(n_samples,) float64, or None if every sample counts once."""
    if sample_weight is None:
        return None
    weights = check_array(to_numpy(sample_weight), ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (X.shape[0],):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; it must hold one weight per sample: ({X.shape[0]},)."
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
