"""Spins with known correlations (Eq. 6)."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Options, validate_params

from skmae._compat import Interval
from skmae._samples import naming, row_blocks
from skmae._typing import RandomState, Shape

_SPINS_AT_A_TIME = 2**20


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "size": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "coupling": [Interval(Real, None, None, closed="neither")],
        "ndim": [Options(Integral, {1, 2})],
        "n_sweeps": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_ising(
    n_samples: int = 1000,
    size: Any = 32,
    *,
    coupling: float = 1.0,
    ndim: int = 1,
    n_sweeps: int = 50,
    random_state: RandomState = None,
) -> np.ndarray:
    """Sample Ising models: free chains exactly, lattices by a Markov chain of clusters.

    P(x) ∝ exp(coupling · Σ xᵢ xⱼ) over neighbours i, j and spins ±1 (Eq. 6). Along a free chain each spin differs from
    the one before with probability 1 / (1 + exp(2 coupling)), independently: ``E[xᵢ xⱼ] = tanh(coupling)^|i−j|``.

    Parameters
    ----------
    n_samples : int, default=1000
        Chains or lattices.
    size : int or (int, int), default=32
        Spins in a chain, or along each axis of a lattice; a lattice needs 3 at least.
    coupling : float, default=1.0
        Inverse temperature times interaction; negative makes neighbours differ. Lattices are critical at
        log(1 + √2) / 2 = 0.44: beyond that most spins agree.
    ndim : {1, 2}, default=1
        1: free chains. 2: square lattices that close on themselves (the last row is next to the first).
    n_sweeps : int, default=50
        Steps from random spins, of lattices only; each lattice goes its own way.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ndarray of shape (n_samples, size) or (n_samples, height, width)
        -1.0 and 1.0.

    Raises
    ------
    ValueError
        If the size has another number of axes than `ndim`, or a lattice has an axis of fewer than 3.

    Notes
    -----
    A step joins neighbours that satisfy their bond with probability ``1 − exp(−2 |coupling|)``, and flips each cluster
    by the toss of a coin [1]_: what Wolff's algorithm does with one cluster, for all at once.

    References
    ----------
    .. [1] Swendsen and Wang, "Nonuniversal critical dynamics in Monte Carlo simulations", PRL 1987.

    Examples
    --------
    >>> from skmae.datasets import make_ising
    >>> X = make_ising(20000, size=8, coupling=0.5, random_state=0)
    >>> round(float((X[:, 0] * X[:, 1]).mean()), 2)  # tanh(0.5) = 0.46
    0.46
    >>> make_ising(10, size=16, coupling=0.44, ndim=2, random_state=0).shape
    (10, 16, 16)
    """
    rng, coupling = check_random_state(random_state), float(coupling)
    with naming("size", "one whole number, or two for a lattice"):
        shape: tuple[Any, ...] = (size,) * ndim if isinstance(size, Integral) else tuple(size)
    if len(shape) != ndim or not all(isinstance(s, Integral) and int(s) >= (1 if ndim == 1 else 3) for s in shape):
        raise ValueError(
            f"size={size!r} does not fit ndim={ndim}: pass one whole number"
            + (" >= 1." if ndim == 1 else ", or two, of spins >= 3, so that no pair of spins is neighbours twice.")
        )
    return (
        _chains(n_samples, shape[0], coupling, rng)
        if ndim == 1
        else _lattices(n_samples, shape, coupling, n_sweeps, rng)
    )


def _chains(n_samples: int, size: int, coupling: float, rng: np.random.RandomState) -> np.ndarray:
    flip = expit(-2 * coupling)
    signs = np.where(rng.random_sample((n_samples, size)) < flip, -1.0, 1.0)
    signs[:, 0] = rng.choice([-1.0, 1.0], size=n_samples)
    return np.cumprod(signs, axis=1)


def _lattices(n_samples: int, shape: Shape, coupling: float, n_sweeps: int, rng: np.random.RandomState) -> np.ndarray:
    lattices = np.empty((n_samples, *shape))
    for some in row_blocks(n_samples, max(_SPINS_AT_A_TIME // int(np.prod(shape)), 1)):
        spins = rng.choice(np.array([-1.0, 1.0]), size=(some.stop - some.start, *shape))
        sites = np.arange(spins.size, dtype=np.int32).reshape(spins.shape)
        for _ in range(n_sweeps):
            spins = _flip_clusters(spins, sites, coupling, rng)
        lattices[some] = spins
    return lattices


def _flip_clusters(spins: np.ndarray, sites: np.ndarray, coupling: float, rng: np.random.RandomState) -> np.ndarray:
    """One step of Swendsen and Wang for many lattices, which make one graph."""
    starts, ends = [], []
    for axis in (1, 2):
        satisfied = coupling * spins * np.roll(spins, -1, axis) > 0
        joined = satisfied & (rng.random_sample(spins.shape) < -np.expm1(-2 * abs(coupling)))
        starts.append(sites[joined])
        ends.append(np.roll(sites, -1, axis)[joined])
    start, end = np.concatenate(starts), np.concatenate(ends)
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(sites.size, sites.size))
    n_clusters, cluster = connected_components(graph, directed=False)
    signs = rng.choice(np.array([-1.0, 1.0]), size=n_clusters)
    return spins * signs[cluster].reshape(spins.shape)
