"""Filters for whitened windows of images, learned without labels (Coates and Ng, 2011)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from skmae._samples import BLOCK_ROWS, Samples
from skmae._typing import Array, FloatArray
from skmae.tokens._grid import TokenGrid

FilterKind = Literal["kmeans", "random", "pca"]

_N_WINDOWS, _N_VALUES = 100_000, 2**24  # that filters are learned from
_FLAT = 0.01  # added to the variance of each window, as a share of their average
_WHITENING = 0.1  # added to the eigenvalues of whitened windows, as a share of their average
_THRESHOLD = 0.5  # of a filter's response, whose variance on whitened windows is about 1


@dataclass(frozen=True)
class Filters:
    """What is made of a window w: of u = (w − its mean) / σ, σ² its variance and `flat`, filters @ u − offset.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_window)
    offset : ndarray of shape (n_filters,)
        The response to the average u.
    centre, scale : float
        Subtracted from pixels, then divided by.
    flat : float
        Added to the variance of windows of scaled pixels.
    """

    filters: FloatArray
    offset: FloatArray
    centre: float
    scale: float
    flat: float

    threshold = _THRESHOLD
    """What responses must exceed, on either side, to count."""


def learn_filters(
    samples: Samples, grid: TokenGrid, n_filters: int, kind: FilterKind, random: np.random.RandomState
) -> Filters:
    """Filters of the windows of some samples: fewer than asked for, where there are fewer windows or directions."""
    windows = _draw_windows(samples, grid, random).astype(np.float64)
    centre, scale = float(windows.mean()), float(windows.std()) or 1.0
    windows = (windows - centre) / scale
    windows -= windows.mean(axis=1, keepdims=True)
    variances = windows.var(axis=1, keepdims=True)
    flat = _FLAT * float(variances.mean()) or 1.0
    windows /= np.sqrt(variances + flat)
    mean = windows.mean(axis=0)
    windows -= mean
    values, vectors = np.linalg.eigh(windows.T @ windows / len(windows))
    whitening = (vectors / np.sqrt(values + (_WHITENING * float(values.mean()) or 1.0))) @ vectors.T
    if kind == "pca":
        directions = vectors[:, ::-1][:, :n_filters].T
    else:
        directions = _typical(windows @ whitening, n_filters, kind, random)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    filters = directions / np.where(lengths > 0, lengths, 1) @ whitening
    return Filters(filters, filters @ mean, centre, scale, flat)


def _typical(whitened: FloatArray, n_filters: int, kind: FilterKind, random: np.random.RandomState) -> FloatArray:
    """Some of the windows, or the centres of their clusters."""
    n_filters = min(n_filters, len(whitened))
    if kind == "random":
        return whitened[np.sort(random.choice(len(whitened), n_filters, replace=False))]
    from sklearn.cluster import MiniBatchKMeans  # takes a while, and `LinearMAE` is imported with this

    clusters = MiniBatchKMeans(n_filters, batch_size=4096, n_init=1, max_iter=20, random_state=random)
    centres: FloatArray = clusters.fit(whitened).cluster_centers_
    return centres


def _draw_windows(samples: Samples, grid: TokenGrid, random: np.random.RandomState) -> Array:
    """(m, n_window) windows at random places of random samples; all of them, where they are few."""
    most, there = min(_N_WINDOWS, max(1, _N_VALUES // grid.n_window)), len(samples) * grid.n_places
    drawn = np.arange(there) if there <= most else np.sort(random.randint(there, size=most, dtype=np.int64))
    sample_of, place_of = np.divmod(drawn, grid.n_places)
    found = []
    for rows, block in samples.blocks(BLOCK_ROWS):
        here = slice(*np.searchsorted(sample_of, (rows.start, rows.stop)))
        windows = grid.windows(grid.channels_last(block))
        places = np.unravel_index(place_of[here], grid.places)
        found.append(windows[(sample_of[here] - rows.start, *places)].reshape(-1, grid.n_window))
    return np.concatenate(found)
