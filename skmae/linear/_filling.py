"""What stands where nothing is known of a sample."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from skmae._grid import PatchGrid
from skmae._samples import Samples, refuse_infinite
from skmae._typing import Array, BoolArray, DType, FloatArray
from skmae.linear._conditional import Conditional
from skmae.linear._corruptions import Masks

FillMethod = Literal["linear", "conditional"]


@dataclass(frozen=True, eq=False)
class Filling:
    """A model's own reconstruction, from what is visible, in place of what is not.

    Parameters
    ----------
    grid : PatchGrid
    masks : Masks or None
        That the model was trained with.
    components : ndarray of shape (k, d)
    decoder : ndarray of shape (d, k)
    mean : ndarray of shape (d,)
    """

    grid: PatchGrid
    masks: Masks | None
    components: FloatArray
    decoder: FloatArray
    mean: FloatArray

    def __call__(self, block: Array, visible: BoolArray) -> Array:
        """Rows less the mean, zero where they are not visible, filled; (m, d) all three."""
        scaled = block * self.scale(visible, block.dtype)
        with np.errstate(over="ignore", invalid="ignore"):  # infinity is found in what is made of it
            filled: Array = np.where(visible, block, scaled @ self.components.T @ self.decoder.T)
        return filled.astype(block.dtype, copy=False)

    def scale(self, visible: BoolArray, dtype: DTypeLike) -> FloatArray:
        """What features (n, d) are multiplied by, given which of them are visible, (n, d).

        One over the share of patches that is visible; where training sees patches at different rates, over those.
        """
        if self.masks is not None and not self.masks.rates_are_equal:
            rates: FloatArray = (visible / self.masks.rates[self.grid.patch_of_feature]).astype(dtype)
            return rates
        share = (visible @ self.grid.patch_shares.astype(dtype))[:, np.newaxis]
        scale: FloatArray = visible / np.where(share > 0, share, 1)
        return scale


def fill_rows(samples: Samples, fill: Filling | Conditional, dtype: DType, std: Array | None = None) -> Array:
    """Rows (n, d) in which what is hidden is filled; what may be seen is as it was.

    Parameters
    ----------
    samples : Samples
    fill : Filling or Conditional
    dtype : dtype
    std : ndarray of zeros of shape (n, d) or None
        Takes how far entries may be from what fills them, which a `Conditional` knows.
    """
    out = np.empty((len(samples), samples.n_features), dtype)
    for rows, block in samples.blocks():
        seen = samples.seen(rows, block)
        if seen is None:
            refuse_infinite(block, rows.start)
            out[rows] = block
            continue
        refuse_infinite(np.where(seen, block, 0), rows.start)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite in the end is refused
            centred = np.subtract(block, fill.mean, dtype=np.float64, casting="unsafe")
            filled = fill(np.where(seen, centred, 0), seen) + fill.mean
            out[rows] = np.where(seen, block, filled)
        if not np.isfinite(out[rows]).all():
            raise ValueError(f"What is filled is beyond the range of {dtype}. Divide X by a constant first.")
        if std is not None and isinstance(fill, Conditional):
            std[rows] = fill.std(seen)
    return out
