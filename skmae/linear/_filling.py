"""What stands where nothing is known of a sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from skmae._grid import PatchGrid
from skmae._typing import Array, BoolArray, FloatArray
from skmae.linear._corruptions import Masks


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
    """

    grid: PatchGrid
    masks: Masks | None
    components: FloatArray
    decoder: FloatArray

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
