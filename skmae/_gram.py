"""Gram products of blocks of rows, AᵀA, in the fastest arithmetic that is right: 8-bit, float32 or float64.

8-bit samples less their mid-point are whole numbers of at most 2⁷. 1024 of their products sum exactly in float32, and
2¹⁶ of them in the 32-bit sums of PyTorch's product of 8-bit matrices. That is several times as fast on processors that
have instructions for it (VNNI, AMX), slow on others, and on some of those wrong without a word: pairs of products
saturate at 16 bits. So it is tried before it is used.
"""

import sys
from collections.abc import Callable
from functools import cache, partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm, dsyrk, sgemm, ssyrk
from threadpoolctl import threadpool_limits

from skmae._typing import Array, FloatArray, IntArray

#: Rows of 8-bit numbers whose products sum exactly in 32 bits: 2¹⁴ · 2¹⁶ = 2³⁰.
EIGHT_BIT_ROWS = 2**16

_EXACT_FLOAT32 = 2.0**24  # whole numbers up to here are exact in float32
_FLOAT32_ENERGY = (1e-20, 1e30)  # sums of squares beyond these leave float32's range
_PANEL = 256  # columns of a triangle handled at a time
_REPAYS_IMPORT = 1e12  # multiplications above which 8 bits save the 2.5 s that importing PyTorch takes
_FAST = 0.6  # of the time in float32

EightBitProduct = Callable[[Array, Array], NDArray[np.int32]]


class GramSum:
    """Products of the rows of blocks, added to the lower triangle of a float64 matrix (d, d).

    Those of 8-bit and float64 blocks are added at once, half the flops of the full product. Those of float32 blocks are
    summed in float32 first, and passed on before they lose digits.

    Parameters
    ----------
    target : ndarray of float64 of shape (d, d)
        In Fortran order.
    exact : bool
        Whether blocks hold whole numbers whose sums float32 does not round, as long as they stay below 2²⁴.
    """

    def __init__(self, target: FloatArray, *, exact: bool):
        self._target = target
        self._exact = exact
        self._sums: NDArray[np.float32] | None = None
        self._energy = 0.0  # bounds every entry of _sums, by Cauchy and Schwarz

    def add(self, block: Array) -> bool:
        """Add blockᵀ block; False, and nothing added, if float32's range is too small for the products of `block`."""
        if block.dtype == np.int8:
            self._add_eight_bit(block)
            return True
        if block.dtype == np.float64:
            dsyrk(1.0, block.T, beta=1.0, c=self._target, overwrite_c=1, lower=1)
            return True
        energy = float(np.einsum("ij,ij->j", block, block).max(initial=0.0))
        if not self._exact and not _FLOAT32_ENERGY[0] < energy < _FLOAT32_ENERGY[1]:
            return False
        if not self._exact or self._energy + energy > _EXACT_FLOAT32:
            self.flush()
        if self._sums is None:
            self._sums = np.zeros(self._target.shape, np.float32, order="F")
        ssyrk(1.0, block.T, beta=1.0 if self._energy else 0.0, c=self._sums, overwrite_c=1, lower=1)
        self._energy += energy
        return True

    def add_any(self, block: Array) -> None:
        """Add blockᵀ block, in float64 where float32's range is too small."""
        if not self.add(block):
            self.add(block.astype(np.float64))

    def flush(self) -> None:
        """Pass on what is summed in float32."""
        if self._energy and self._sums is not None:
            for start in range(0, len(self._target), _PANEL):
                panel = (slice(start, None), slice(start, start + _PANEL))
                self._target[panel] += self._sums[panel]
        self._energy = 0.0

    def _add_eight_bit(self, block: NDArray[np.int8]) -> None:
        import torch

        for start in range(0, block.shape[1], _PANEL):
            columns = slice(start, start + _PANEL)
            product = products(block[:, columns], block[:, start:])
            torch.from_numpy(self._target[start:, columns].T).add_(torch.from_numpy(product))  # NumPy has one thread


def products(A: Array, B: Array) -> Array:
    """AᵀB of blocks (m, a) and (m, b) of one type: int8, where `takes_eight_bit`, float32 or float64.

    Returns
    -------
    ndarray of shape (a, b)
        Of int32, float32 or float64.
    """
    if A.dtype == np.int8:
        product = _eight_bit_product()
        if product is None:
            raise TypeError("8-bit blocks are multiplied where takes_eight_bit() says so, and it does not.")
        return product(A, B)
    gemm = sgemm if A.dtype == np.float32 else dgemm
    found: Array = gemm(1.0, A.T, B.T, trans_b=True)
    return found


def takes_eight_bit(n_rows: int, n_features: int) -> bool:
    """Whether 8-bit samples are multiplied as they are: where PyTorch is imported, or so many repay importing it."""
    repays = "torch" in sys.modules or n_rows * n_features**2 > _REPAYS_IMPORT
    return repays and _eight_bit_product() is not None


def eight_bit_sums(X: Any) -> tuple[IntArray, IntArray] | None:
    """Σ z and Σ z zᵀ of the rows z of an 8-bit tensor less its mid-point, taken on its device.

    Parameters
    ----------
    X : torch.Tensor of uint8, int8 or bool of shape (m, d)

    Returns
    -------
    (d,) and (d, d), or None where PyTorch cannot multiply 8-bit numbers, or is wrong
    """
    product = _product_on_device(X.device)
    if product is None:
        return None
    import torch

    d = X.shape[1]
    first, total = (torch.zeros(shape, dtype=torch.int64, device=X.device) for shape in ((d,), (d, d)))
    for rows in X.split(EIGHT_BIT_ROWS):
        Z = (rows.bitwise_xor(128) if rows.dtype == torch.uint8 else rows).view(torch.int8)
        first += Z.sum(0)
        total += product(Z, Z)
    return first.cpu().numpy(), total.cpu().numpy()


# -- PyTorch's product of 8-bit matrices -------------------------------------------------------------------------------


@cache
def _eight_bit_product() -> EightBitProduct | None:
    """(m, a) and (m, b) ↦ AᵀB; None where it is missing, wrong or slow, as it is found to be once in a process."""
    try:
        import torch

        multiply = torch._int_mm  # the one product of 8-bit matrices with 32-bit sums that PyTorch has
    except (ImportError, AttributeError):
        return None

    def product(A: Array, B: Array) -> NDArray[np.int32]:
        if A.shape[1] == 1:  # PyTorch takes one column for its transpose, and multiplies what lies behind it
            return A.T.astype(np.int32) @ B
        return multiply(torch.from_numpy(A).T, torch.from_numpy(B)).numpy()

    try:
        return product if _is_exact(product) and _is_fast(product) else None
    except RuntimeError:  # not implemented on this processor
        return None


@cache
def _product_on_device(device: Any) -> Callable[[Any, Any], Any] | None:
    """`_eight_bit_product` of tensors on a device. CUDA multiplies more than 16 rows, and multiples of 8: zeros do."""
    import torch

    def padded(A: Any) -> Any:
        rows, columns = A.shape
        return torch.nn.functional.pad(A, (0, -columns % 8, 0, max(-rows % 8, 24 - rows)))

    def product(A: Any, B: Any) -> Any:
        return torch._int_mm(padded(A).T, padded(B))[: A.shape[1], : B.shape[1]]

    def through_host(A: Array, B: Array) -> NDArray[np.int32]:
        found: NDArray[np.int32] = product(*(torch.from_numpy(block).to(device) for block in (A, B))).cpu().numpy()
        return found

    try:
        return product if _is_exact(through_host) else None
    except (AttributeError, RuntimeError):
        return None


def _is_exact(product: EightBitProduct) -> bool:
    """Whether neighbours of 127² or −127 · 128 do not saturate, in some shapes: each has a kernel of its own."""
    high, low = np.full((256, 2), 127, np.int8), np.full((256, 2), -128, np.int8)
    X = np.random.RandomState(0).randint(-128, 128, (256, 67)).astype(np.int8)
    X[::2] = 127
    pairs = [(high, high), (high, low), (X, X), (X[:131, :33], X[:131])]
    return all(np.array_equal(product(A, B), A.T.astype(np.int64) @ B) for A, B in pairs)


def _is_fast(product: EightBitProduct) -> bool:
    """Whether it takes less time than the product in float32 of one triangle does; a small one tells the slowest.

    In one thread each: the threads of one library go on spinning for a while, in the way of the other's.
    """
    with threadpool_limits(1):
        for rows, columns, limit in ((256, 256, 2.0), (1024, 768, _FAST)):
            whole = np.random.RandomState(0).randint(-128, 128, (rows, columns)).astype(np.int8)
            single = whole.astype(np.float32)
            in_float32 = _least_seconds(partial(ssyrk, 1.0, single.T, lower=1))
            if _least_seconds(partial(product, whole, whole)) > limit * in_float32:
                return False
    return True


def _least_seconds(run: Callable[[], Any]) -> float:
    """Of three runs, after one to begin with."""
    run()
    seconds = []
    for _ in range(3):
        start = perf_counter()
        run()
        seconds.append(perf_counter() - start)
    return min(seconds)
