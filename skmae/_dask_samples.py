"""Samples in the chunks of a Dask array."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from skmae._compat import import_optional
from skmae._samples import BLOCK_ROWS, Fill, Result, Samples, Weights, floating_dtype, row_blocks
from skmae._typing import Array, DType, FloatArray, Shape


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
    def dtype(self) -> DType:
        """That of its chunks, as they are read: masked ones hold NaN in place of what they hide."""
        masked = isinstance(getattr(self.values, "_meta", None), np.ma.MaskedArray)
        return floating_dtype(self.values) if masked else super().dtype

    @property
    def _header(self) -> Any:
        return np.broadcast_to(np.int8(0), (1, self.n_features))

    def read(self, rows: Any) -> Array:
        return _rows_of_chunk(self.values[rows].compute())

    def blocks(self, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, Array]]:
        start = 0
        for chunk in self._chunks():
            values = _rows_of_chunk(chunk.compute())
            for rows in row_blocks(len(values), size):
                yield slice(start + rows.start, start + rows.stop), values[rows]
            start += len(values)

    def project(self, components: FloatArray, mean: FloatArray, fill: Fill) -> Any:
        """A Dask array of features, (n, k), in the same chunks; nothing is computed."""
        if self.masked is not None:
            raise ValueError("visible does not go with the transform of a Dask array. Hide by NaN, in its chunks.")
        return self.values.map_blocks(
            _project_chunk,
            components=components,
            mean=mean,
            fill=fill,
            chunks=(self.values.chunks[0], (len(components),)),
            drop_axis=list(range(2, self.values.ndim)),
            meta=np.empty((0, 0), self.output_dtype),
        )

    def map_rows(self, function: Callable[[Array], Array], shape: Shape, size: int = BLOCK_ROWS) -> Any:
        """A Dask array, (n, \\*shape), in the same chunks; nothing is computed."""
        return self.values.map_blocks(
            _map_chunk,
            function=function,
            shape=shape,
            size=size,
            chunks=(self.values.chunks[0], *((length,) for length in shape)),
            drop_axis=list(range(1, self.values.ndim)),
            new_axis=list(range(1, 1 + len(shape))),
            meta=np.empty((0,) * (1 + len(shape)), self.output_dtype),
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


def _rows_of_chunk(chunk: Any) -> Array:
    """(n, d), with NaN where a masked chunk hides its values."""
    if isinstance(chunk, np.ma.MaskedArray):
        chunk = np.ma.filled(chunk.astype(floating_dtype(chunk)), np.nan)
    return np.asarray(chunk).reshape(len(chunk), prod(chunk.shape[1:]))


def _project_chunk(chunk: Array, components: FloatArray, mean: FloatArray, fill: Fill) -> Array:
    return Samples(_rows_of_chunk(chunk)).encode(components, mean, fill)


def _map_chunk(chunk: Array, function: Callable[[Array], Array], shape: Shape, size: int) -> Any:
    return Samples(_rows_of_chunk(chunk)).map_rows(function, shape, size)


def _reduce_chunk(
    function: Callable[[Samples, Weights], Result], chunk: Array, weights: Weights, number: int
) -> Result:
    try:
        return function(Samples(_rows_of_chunk(chunk)), weights)
    except ValueError as error:
        raise ValueError(f"Chunk {number}: {error}") from error
