"""Values by distance, as a table."""

from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from skmae._compat import import_optional
from skmae._typing import Array

if TYPE_CHECKING:
    from pandas import DataFrame

_FINEST = 1e-9  # pixels: no two distances of a grid are nearer


def by_distance(squared: Array, totals: Array, pairs: Array, name: str, bin_width: float | None) -> "DataFrame":
    """Means of values over pairs of pixels of one distance, or of one bin of distances.

    Parameters
    ----------
    squared : ndarray of shape (n,)
        Squared distances; of equal ones, equal numbers.
    totals, pairs : ndarray of shape (n,)
        Sum of the values, and how many there are of each.
    name : str
        Column of the means.
    bin_width : float or None

    Returns
    -------
    pandas.DataFrame
        ``distance``, `name`, ``n_pairs``.
    """
    if bin_width is not None and not (isinstance(bin_width, Real) and bin_width > 0):
        raise ValueError(f"bin_width={bin_width!r} must be above 0 pixels, or None to keep each distance apart.")
    pandas = import_optional("pandas", extra="plot", purpose="A table of distances")
    distances, place = np.unique(squared, return_inverse=True)
    distances = np.sqrt(distances)
    bins = np.arange(len(distances))
    if bin_width is not None:
        bins = np.unique(np.rint(distances / max(bin_width, _FINEST)), return_inverse=True)[1]
    bin_of = bins[place.ravel()]
    n_pairs = np.bincount(bin_of, pairs)
    kept = n_pairs > 0
    distance, value = (
        np.bincount(bin_of, weights)[kept] / n_pairs[kept] for weights in (distances[place.ravel()] * pairs, totals)
    )
    return pandas.DataFrame({"distance": distance, name: value, "n_pairs": np.rint(n_pairs[kept]).astype(np.int64)})
