"""Samples on a device that NumPy cannot read."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skmae._compat import array_to_numpy
from skmae._gram import eight_bit_sums
from skmae._samples import BLOCK_ROWS, MIDPOINT, ArrayLibrary, Fill, Products, Samples, Weights, row_blocks
from skmae._typing import Array, DType, FloatArray, IntArray


class DeviceSamples(Samples):
    """Products are taken on the device, and come to the host as sums."""

    library: ArrayLibrary

    @property
    def dtype(self) -> DType:
        return np.dtype(str(self.values.dtype).rpartition(".")[2])

    def read(self, rows: Any) -> Array:
        return array_to_numpy(self.values[rows, :])

    def check_finite(self) -> None:
        if not self._all_finite(self.values):
            super().check_finite()

    @property
    def is_complete(self) -> bool:
        return self._all_finite(self.values) or super().is_complete

    def project(self, components: FloatArray, mean: FloatArray, fill: Fill) -> Any:
        if self.masked is not None:
            return super().project(components, mean, fill)
        xp = self.library.xp
        dtype = xp.float64 if self.values.dtype == xp.float64 else xp.float32
        encoder, centre = xp.astype(self.adopt(components.T), dtype), xp.astype(self.adopt(mean), dtype)
        rest = self.adopt((mean - array_to_numpy(centre).astype(np.float64)) @ components.T)
        with np.errstate(over="ignore", invalid="ignore"):  # of libraries that compute in NumPy
            Z = (xp.astype(self.values, dtype) - centre) @ encoder - xp.astype(rest, dtype)
        return Z if self._all_finite(Z) else super().project(components, mean, fill)  # which finds out why

    def choose_shift(self, dtype: DType, weights: Weights = None) -> FloatArray:
        if self.dtype in MIDPOINT and weights is None:
            return super().choose_shift(dtype)
        xp, widest = self.library.xp, self.library.widest
        mean = xp.mean(xp.astype(self.values[: min(BLOCK_ROWS, len(self)), :], widest), axis=0)
        if not self._all_finite(mean):
            return super().choose_shift(dtype, weights)
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
        progress: Callable[[Iterator[Any]], Iterator[Any]],
    ) -> Products:
        sums = self._eight_bit_sums(shift, weights)
        if sums is not None:
            scatter += sums[1]
            return Products(sums[0].astype(np.float64), exact=True, pairs=None)
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
            with np.errstate(over="ignore", invalid="ignore"):
                products = xp.astype(block.T @ block, widest)
            total = products if total is None else total + products
        if not self._all_finite(first):  # on the host, where what is not known can be told apart
            return super().add_products(shift, weights, scatter, dtype=dtype, batch_size=batch_size, progress=progress)
        scatter += array_to_numpy(total)
        return Products(array_to_numpy(first), exact=False, pairs=None)

    def _eight_bit_sums(self, shift: FloatArray, weights: Weights) -> tuple[IntArray, IntArray] | None:
        """Σ y and Σ y yᵀ in whole numbers, where they are, and PyTorch adds them so."""
        is_torch = type(self.values).__module__.partition(".")[0] == "torch"
        if is_torch and weights is None and self.dtype in MIDPOINT and (shift == MIDPOINT[self.dtype]).all():
            return eight_bit_sums(self.values)
        return None

    def _is_narrow(self, dtype: DType) -> bool:
        """Whether float32 products are what is asked for, or all that is needed."""
        xp = self.library.xp
        is_8_bit = xp.isdtype(self.values.dtype, ("bool", xp.uint8, xp.int8))
        return dtype == np.float32 or is_8_bit or self.library.widest == xp.float32

    def _all_finite(self, array: Any) -> bool:
        xp = self.library.xp
        return not xp.isdtype(array.dtype, "real floating") or bool(xp.all(xp.isfinite(array)))
