"""Moments by any way they can be gathered, against sums in long double."""

import numpy as np

from skmae import Moments
from stress._frame import Failure, Trial

BUDGET = 20_000
SLICE = 200


def case(trial: Trial) -> None:
    X = trial.rng.standard_normal((trial.rng.integers(2, 20), trial.rng.integers(1, 10)))
    trial.cell("Moments.from_data", X.dtype, "C")
    wide = X.astype(np.longdouble)
    centred = wide - wide.mean(axis=0)
    second = centred.T @ centred / len(X)
    if np.abs(Moments.from_data(X).second - second).max() > 1e-14 * np.abs(second).max():
        raise Failure("second differs")
