"""Spins with known correlations (Eq. 6)."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import validate_params

from skmae._compat import Interval


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "size": [Interval(Integral, 1, None, closed="left")],
        "coupling": [Interval(Real, None, None, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_ising(n_samples: int = 1000, size: int = 32, *, coupling: float = 1.0, random_state: Any = None) -> np.ndarray:
    """Sample free Ising chains, exactly.

    P(x) ∝ exp(coupling · Σᵢ xᵢ xᵢ₊₁) over spins xᵢ = ±1 (Eq. 6). Along a free chain each spin differs from the one
    before with probability 1 / (1 + exp(2 coupling)), independently, so that E[xᵢ xⱼ] = tanh(coupling)^|i−j|.

    Parameters
    ----------
    n_samples : int, default=1000
        Chains.
    size : int, default=32
        Spins in a chain.
    coupling : float, default=1.0
        Inverse temperature times interaction; negative makes neighbours differ.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ndarray of shape (n_samples, size)
        -1.0 and 1.0.

    Examples
    --------
    >>> from skmae.datasets import make_ising
    >>> X = make_ising(20000, size=8, coupling=0.5, random_state=0)
    >>> round(float((X[:, 0] * X[:, 1]).mean()), 2)  # tanh(0.5) = 0.46
    0.46
    """
    rng = check_random_state(random_state)
    flip = expit(-2 * coupling)
    signs = np.where(rng.random_sample((n_samples, size)) < flip, -1.0, 1.0)
    signs[:, 0] = rng.choice([-1.0, 1.0], size=n_samples)
    return np.cumprod(signs, axis=1)
