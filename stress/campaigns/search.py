"""The search that shares moments against scikit-learn's, which shares nothing."""

from typing import Any

import numpy as np
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearAE, LinearDAE, LinearMAE, LinearMAESearchCV
from skmae.linear import LinearAutoencoder
from skmae.masking import Blocks, Stripes
from stress._frame import Failure, Trial
from stress._inputs import Samples, draw_samples

BUDGET = 1_200
SLICE = 12

_CLOSE = 1e-6


def case(trial: Trial) -> None:
    rng = trial.rng
    n = int(rng.integers(12, 40))
    shape = tuple(int(s) for s in rng.choice([3, 4, 5], size=rng.choice([1, 2])))
    samples = draw_samples(trial, n, shape, moderate=True)
    classes = trial.chance(0.4)
    y = np.arange(n) % 3 if classes else rng.standard_normal(n)
    spread = float(samples.values.std()) or 1.0
    estimator, grid, prefix = _candidates(trial, classes, spread)
    cv, groups, how = _splitter(trial, n)
    fit_params: dict[str, Any] = {} if groups is None else {"groups": groups}
    weighted = trial.chance(0.25)
    if weighted:
        fit_params[f"{prefix}sample_weight"] = rng.integers(0, 3, n) + (rng.random(n) if trial.chance(0.5) else 1.0)
    options = {"return_train_score": trial.chance(0.3), "refit": not trial.chance(0.1)}
    trial.note(estimator=estimator, grid=grid, cv=how, weighted=weighted, shape=(n, *shape), dtype=samples.dtype)
    trial.note(layout=samples.layout, structure=samples.structure)
    trial.cell("search", samples.dtype, samples.layout, f"{how}, weights" if weighted else how)
    ours, theirs = (
        _searched(kind(estimator, grid, cv=_anew(cv), **options), samples.X, y, fit_params)
        for kind in (LinearMAESearchCV, GridSearchCV)
    )
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        if type(theirs) is not type(ours):
            raise Failure(f"ours: {ours!r}, GridSearchCV: {theirs!r}"[:600])
        return
    if samples.structure == "binary":  # few of them have equal eigenvalues: any direction of theirs is right
        return
    weak = samples.structure in ("strong factor", "uneven columns")  # directions near rounding
    _compare(ours, theirs, samples, narrow=weak or samples.dtype in ("float16", "float32"))


def _searched(search: Any, X: Any, y: np.ndarray, params: dict[str, Any]) -> Any:
    try:
        return search.fit(X, y, **params)
    except (ValueError, TypeError) as error:
        return error


def _anew(cv: Any) -> Any:
    """Splits that can be gone through once only must be made for each search."""
    return iter(list(cv)) if isinstance(cv, tuple) and cv and cv[0] == "iterator" else cv


def _candidates(trial: Trial, classes: bool, spread: float) -> tuple[Any, Any, str]:
    rng = trial.rng
    kind = trial.choose("mae", "mae", "mae", "dae", "ae")
    ranks = sorted(int(k) for k in rng.integers(1, 4, 2))
    if kind == "mae":
        sampling = trial.choose("bernoulli", "exact", Stripes(0), Blocks(2))
        first: Any = LinearMAE(2, patch=2, mask_sampling=sampling, whiten=trial.chance(0.2))
        grid: dict[str, list[Any]] = {"mask": [0.25, 0.75], "patch": [1, 2]}
    elif kind == "dae":
        first, grid = LinearDAE(2), {"noise_std": [0.1 * spread, spread]}
    else:
        first, grid = LinearAE(2), {}
    if trial.chance(0.5) or not grid:
        grid["n_components"] = [*ranks, None, 0.8][: int(rng.integers(1, 5))]
    if trial.chance(0.2):
        grid["solver"] = ["auto", "eigh"]
    if trial.chance(0.1):
        grid["n_components"] = [2, 10_000]  # refused by the fit of that candidate alone
    last = RidgeClassifier() if classes else Ridge()
    if trial.chance(0.15):  # alone: ranks only, which scores can compare
        return first, {"n_components": ranks}, ""
    steps = [("first", first), ("last", last)]
    if trial.chance(0.3):
        steps.insert(1, ("scale", StandardScaler()))
    named = {f"first__{name}": values for name, values in grid.items()}
    if trial.chance(0.3):
        named["last__alpha"] = [0.1, 10.0]
    return Pipeline(steps), [named, {"first__n_components": [1]}] if trial.chance(0.1) else named, "first__"


def _splitter(trial: Trial, n: int) -> tuple[Any, Any, str]:
    """A splitter, groups, and what it is called."""
    rng = trial.rng
    name = trial.choose(
        *("int", "KFold", "shuffled", "stratified", "ShuffleSplit", "time series", "groups", "repeated"),
        *("predefined", "leave one out", "arrays", "tuples", "lists", "one split", "overlapping"),
    )
    order = rng.permutation(n)
    seed = int(rng.integers(1000))
    match name:
        case "int":
            return int(rng.integers(2, 5)), None, "int"
        case "KFold":
            return KFold(3), None, "KFold"
        case "shuffled":
            return KFold(3, shuffle=True, random_state=seed), None, "shuffled"
        case "stratified":
            return StratifiedKFold(2, shuffle=True, random_state=seed), None, "stratified"
        case "ShuffleSplit":
            return ShuffleSplit(2, train_size=0.5, random_state=seed), None, "ShuffleSplit"
        case "time series":
            return TimeSeriesSplit(2), None, "time series"
        case "groups":
            return GroupKFold(2), rng.integers(0, 4, n), "groups"
        case "repeated":
            return RepeatedKFold(n_splits=2, n_repeats=2, random_state=seed), None, "repeated"
        case "predefined":
            return PredefinedSplit(rng.integers(-1, 2, n)), None, "predefined"
        case "leave one out":
            return (LeaveOneOut() if n < 16 else KFold(2)), None, "leave one out"
    cuts = [(order[n // 3 :], order[: n // 3]), (order[: n // 2], order[n // 2 :])]
    if name == "one split":
        return cuts[:1], None, "one split"
    if name == "overlapping":
        return [(order[: n // 2], order[n // 4 :]), (np.r_[order[:8], order[:8]], order)], None, "overlapping"
    as_type = {"arrays": np.asarray, "tuples": lambda a: tuple(a.tolist()), "lists": lambda a: a.tolist()}[str(name)]
    return [(as_type(a), as_type(b)) for a, b in cuts], None, str(name)


def _compare(ours: Any, theirs: Any, samples: Samples, *, narrow: bool) -> None:
    close = 1e-3 if narrow else _CLOSE
    X, a, b = samples.X, ours.cv_results_, theirs.cv_results_
    rounding = 1e-12 * float(np.square(samples.values).max()) if isinstance(theirs.estimator, LinearAutoencoder) else 0
    if list(a) != list(b):
        raise Failure(f"cv_results_ has {sorted(set(a) ^ set(b))} in one only")
    if a["params"] != b["params"]:
        raise Failure("candidates differ")
    for key in a:
        if "score" in key and not key.startswith("rank") and "time" not in key:
            one, two = np.asarray(a[key], float), np.asarray(b[key], float)
            if not np.allclose(one, two, rtol=close, atol=close + rounding, equal_nan=True):
                worst = int(np.argmax(np.nan_to_num(np.abs(one - two), nan=np.inf)))
                raise Failure(f"{key}: {one[worst]:.9g} and {two[worst]:.9g} of {a['params'][worst]}")
    if not ours.refit or np.isnan(b["mean_test_score"]).all():
        return
    best = b["mean_test_score"]
    if not np.isclose(best[ours.best_index_], np.nanmax(best), rtol=10 * close, atol=10 * close + rounding):
        raise Failure(f"best_params_ {ours.best_params_}, not {theirs.best_params_}")
    if ours.best_index_ == theirs.best_index_:
        method = "predict" if hasattr(theirs, "predict") else "transform"
        one, two = getattr(ours, method)(X), getattr(theirs, method)(X)
        size = np.abs(two).max() if np.asarray(two).dtype.kind == "f" else 1
        if np.mean(np.abs(np.abs(one) - np.abs(two)) > 1e-4 * (1 + size) * (100 if narrow else 1)) > 0.05:
            raise Failure(f"{method} of the best differs")
