"""Moments gathered in parts, added, taken away, copied and pickled, against sums in long double."""

import copy
import pickle
from typing import Any

import numpy as np

from skmae import Moments
from stress._frame import Failure, Trial
from stress._inputs import Samples, draw_samples
from stress._reference import Wide

BUDGET = 20_000
SLICE = 300

_LOST = 1e-7  # an entry of S may be wrong by no more than this, relative to the spread of all that was ever added
_FEW = 1e5  # so many times the weight that is left may have been taken away, and the rest must still be right
_FEW_NARROW = 1e3  # of sums in float32


def case(trial: Trial) -> None:
    rng = trial.rng
    n, d = int(rng.integers(1, 30)), int(rng.integers(1, 9))
    if trial.chance(0.01):
        n = int(rng.integers(1000, 2100))
    samples = draw_samples(trial, n, (d,))
    weights = _weights(trial, n)
    parts = [np.sort(part) for part in np.array_split(rng.permutation(n), rng.integers(1, 6))]
    parts = [part for part in parts if len(part) and (weights is None or weights[part].any())]
    trial.note(shape=(n, d), dtype=samples.dtype, layout=samples.layout, structure=samples.structure)
    narrow = trial.chance(0.1)
    trial.note(largest=float(np.abs(samples.values).max()), spread=float(np.ptp(samples.values, axis=0).max()))
    trial.note(weights=weights, parts=[len(part) for part in parts], narrow=narrow)
    try:
        total, kept = _gathered(trial, samples, weights, parts, narrow)
        _check(total, samples, weights, np.concatenate([parts[i] for i in kept]), narrow)
    except ValueError as error:
        _check_refusal(samples, weights, parts, narrow, str(error))


def _weights(trial: Trial, n: int) -> np.ndarray | None:
    rng = trial.rng
    if trial.chance(0.5):
        return None
    weights = rng.random(n)
    if trial.chance(0.5):
        weights = rng.integers(0, 3, n).astype(float)
    elif trial.chance(0.3):
        weights = 10 ** rng.uniform(-20, 3, n)
    weights[rng.integers(n)] = 1.0
    return weights


def _gathered(
    trial: Trial, samples: Samples, weights: np.ndarray | None, parts: list[np.ndarray], narrow: bool
) -> tuple[Moments, list[int]]:
    """Moments of some of the parts, by a random way, and which parts these are."""
    rng = trial.rng
    X = np.asarray(samples.X) if samples.layout == "list" else samples.X

    def of(i: int) -> Moments:
        w = None if weights is None else weights[parts[i]]
        options: dict[str, Any] = {"dtype": np.float32} if narrow else {}
        size = int(trial.choose(1, 2, 1024))
        return Moments.from_data(X[parts[i]], sample_weight=w, batch_size=size, **options)

    trial.cell("from_data", samples.dtype, samples.layout, "weights" if weights is not None else "")
    total, kept, untouched = of(0), [0], []
    for i in range(1, len(parts)):
        how = trial.choose("+", "update", "sum", "right")
        trial.cell(str(how), samples.dtype, samples.layout)
        if how == "update":
            if trial.chance(0.5):
                untouched.append((total, total.n, total.second))
                total = trial.choose(copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)))(total)
            total.update(X[parts[i]], sample_weight=None if weights is None else weights[parts[i]])
        else:
            other = of(i)
            total = sum([total, other]) if how == "sum" else other + total if how == "right" else total + other
        kept.append(i)
    while len(kept) > 1 and trial.chance(0.4):
        i = kept.pop(int(rng.integers(len(kept))))
        trial.cell("-", samples.dtype, samples.layout)
        total = total - of(i)
    for before, count, second in untouched:
        if before.n != count or not np.array_equal(before.second, second):
            raise Failure("an update of a copy changed the original")
    if trial.chance(0.2):
        _check_pickle(total)
    return total, kept


def _check_pickle(moments: Moments) -> None:
    raw = pickle.dumps(moments)
    again = pickle.loads(raw)
    if again.n != moments.n or not np.array_equal(again.second, moments.second):
        raise Failure("a pickle differs")
    if len(raw) > 5_000 + 8 * (moments.n_features + 4) ** 2:
        raise Failure(f"a pickle of {moments.n_features} features has {len(raw)} bytes")


def _check(moments: Moments, samples: Samples, weights: np.ndarray | None, rows: np.ndarray, narrow: bool) -> None:
    unit = Wide(np.abs(samples.values).max()) or Wide(1)
    everything = samples.values.astype(Wide) / unit
    w = np.ones(len(everything), Wide) if weights is None else weights.astype(Wide)
    X, left = everything[rows], w[rows]
    mean = left @ X / left.sum()
    second = ((X - mean) * left[:, np.newaxis]).T @ (X - mean) / left.sum()
    if not np.isclose(moments.n, float(left.sum()), rtol=1e-9 + 1e-15 * float(w.sum() / left.sum())):
        raise Failure(f"n is {moments.n}, not {left.sum()}")
    if moments.n_rows != np.count_nonzero(left):
        raise Failure(f"n_rows is {moments.n_rows}, not {np.count_nonzero(left)}")
    reach = np.ptp(everything, axis=0)
    if np.dtype(samples.dtype).itemsize == 1:  # sums are taken about the middle of the type
        reach = reach + np.abs(everything - (Wide(128) if samples.dtype == "uint8" else 0) / unit).max(axis=0)
    taken = float(w.sum() / left.sum())
    lost = min(1e-13 * taken, _LOST)
    last_digit = 2e-15 * np.abs(mean)
    if narrow:
        lost, last_digit = max(lost, min(3e-7 * max(taken, 10), 1e-3)), 3e-7 * np.abs(everything).max(axis=0)
    error = np.abs(moments.second.astype(Wide) / unit / unit - second)
    allowed = lost * np.outer(reach, reach) + np.add.outer(last_digit, last_digit) * (reach + last_digit).max()
    spread = np.sqrt(second.diagonal())
    least = (2e-3 if narrow else 1e-7) * np.sqrt(taken)
    constant = spread < least * reach + 1e-14 * np.abs(mean)  # may count as such
    allowed = allowed + np.where(constant | constant[:, np.newaxis], np.outer(spread, spread), 0)
    tiny = np.finfo(np.float64).tiny / unit / unit
    if not (error <= allowed + tiny).all():
        i, j = np.unravel_index(np.argmax(error / (allowed + tiny)), error.shape)
        raise Failure(
            f"second[{i}, {j}] is {float(second[i, j]):.3g}, wrong by {float(error[i, j]):.3g}, of {reach[i]:.3g}"
        )
    error = np.abs(moments.mean.astype(Wide) / unit - mean)
    if not (error <= lost * reach + last_digit + np.finfo(np.float64).tiny / unit).all():
        raise Failure(f"mean is wrong by {float(error.max()):.3g} of the largest value")


def _check_refusal(
    samples: Samples, weights: np.ndarray | None, parts: list[np.ndarray], narrow: bool, text: str
) -> None:
    largest = np.abs(samples.values).max()
    w = np.ones(len(samples.values)) if weights is None else weights
    sums = [w[part].sum() for part in parts]
    taken = sum(sums) / min(sums)
    due = {
        "range of float": not 1e-100 < largest < 1e100 or float(np.ptp(samples.values, axis=0).max()) < 1e-100,
        "What is left": taken > (_FEW_NARROW if narrow else _FEW),
        "Cannot take": False,
    }
    if not any(part in text and when for part, when in due.items()):
        raise Failure(f"refused without cause: {text}")
