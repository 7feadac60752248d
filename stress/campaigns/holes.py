"""Samples with NaN and masked entries, against loops over pairs of features and over samples."""

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skmae import LinearAE, Moments
from stress._frame import Failure, Trial
from stress._inputs import Samples, draw_samples, draw_shape, laid_out
from stress._reference import Reference, Wide
from stress.campaigns import linear

BUDGET = 20_000
SLICE = 150


def case(trial: Trial) -> None:
    rng = trial.rng
    shape = draw_shape(trial, largest=16)
    samples = draw_samples(trial, int(rng.integers(3, 30)), shape.sample, moderate=True)
    seen = _draw_seen(trial, samples.values.shape)
    X = _with_holes(trial, samples, seen, shape.sample)
    weights = None if trial.chance(0.7) else rng.integers(0, 3, len(seen)) + (rng.random(len(seen)) + 0.1)
    setting = linear.draw_model(trial, shape, samples, len(seen))
    if setting.hidden_loss:
        setting.hidden_loss = False
        setting.model.set_params(loss="all")
    entry = str(trial.choose("fit", "partial_fit", "fit_moments", "from_batches"))
    trial.note(model=setting.model, shape=(len(seen), *shape.sample), dtype=samples.dtype, layout=samples.layout)
    trial.note(structure=samples.structure, entry=entry, weights=weights is not None, missing=float(1 - seen.mean()))
    trial.cell(f"{entry} with holes", samples.dtype, samples.layout, "masked" if np.ma.isMaskedArray(X) else "NaN")
    handed = Samples(X, samples.values, samples.dtype, samples.layout, samples.structure)
    try:
        if trial.chance(0.3):
            _check_moments(trial, handed, seen, weights)
            return
        linear.fitted(trial, setting.model, entry, handed, weights)
        setting.model.components_  # noqa: B018
    except (ValueError, NotFittedError) as error:
        _check_refusal(setting, seen, weights, str(error))
        return
    mean, second, scale = _pairwise(samples.values, seen, weights)
    _check_fitted(setting, samples, mean, second, scale)
    _check_uses(trial, setting, handed, seen)


def _draw_seen(trial: Trial, shape: tuple[int, ...]) -> np.ndarray:
    """What is known: entries, runs of features, or few of some columns are missing; some samples are complete."""
    rng = trial.rng
    kind = trial.choose("entries", "runs", "columns", "one")
    seen = np.ones(shape, bool)
    if kind == "entries":
        seen = rng.random(shape) >= rng.uniform(0, 0.6)
    elif kind == "runs":
        begin = rng.integers(shape[1], size=(shape[0], 1))
        seen = ~((np.arange(shape[1]) >= begin) & (np.arange(shape[1]) < begin + rng.integers(1, 5)))
    elif kind == "columns":
        seen[:, rng.random(shape[1]) < 0.4] = rng.random((shape[0], 1)) < 0.5
    else:
        seen[tuple(rng.integers(shape))] = False
    seen[rng.random(shape[0]) < 0.3] = True
    return seen


def _with_holes(trial: Trial, samples: Samples, seen: np.ndarray, sample: tuple[int, ...]) -> Any:
    """As NaN where the type has it, else as a masked array; or both."""
    array = np.array(samples.X).reshape(samples.values.shape)
    if array.dtype.kind == "f" and trial.chance(0.7):
        holes = np.where(seen, array, np.nan).astype(array.dtype).reshape(len(array), *sample)
        if trial.chance(0.2):
            some = trial.rng.random(seen.shape) < 0.5
            both = np.where(seen | some, array, np.nan).astype(array.dtype)
            return np.ma.MaskedArray(both.reshape(holes.shape), (~seen & some).reshape(holes.shape))
        return laid_out(holes, samples.layout if samples.layout != "list" else "C")
    filler = np.where(seen, array, array.dtype.type(1 if array.dtype == bool else 77))
    return np.ma.MaskedArray(filler.reshape(len(array), *sample), ~seen.reshape(len(array), *sample))


def _pairwise(values: np.ndarray, seen: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, Any]:
    """Mean of each feature, second moment of each pair, from the samples that know them; in a unit, the last."""
    unit = Wide(np.abs(values).max()) or Wide(1)
    X, d = values.astype(Wide) / unit, values.shape[1]
    w = np.ones(len(X), Wide) if weights is None else weights.astype(Wide)
    mean = np.array([np.average(X[seen[:, i], i], weights=w[seen[:, i]]) for i in range(d)])
    second = np.zeros((d, d), Wide)
    for i in range(d):
        for j in range(d):
            both = seen[:, i] & seen[:, j]
            if w[both].any():
                second[i, j] = np.average((X[both, i] - mean[i]) * (X[both, j] - mean[j]), weights=w[both])
    return mean, second, unit


def _check_moments(trial: Trial, samples: Samples, seen: np.ndarray, weights: np.ndarray | None) -> None:
    """Gathered whole and in parts, some of which are taken away again."""
    cut = int(trial.rng.integers(1, len(seen)))
    first, last = slice(0, cut), slice(cut, None)
    w = [None, None] if weights is None else [weights[first], weights[last]]
    one, two = (Moments.from_data(samples.X[part], sample_weight=v) for part, v in zip((first, last), w, strict=True))
    kind = trial.choose("whole", "sum", "update", "difference")
    trial.note(how=kind)
    rows = slice(None)
    if kind == "whole":
        found = Moments.from_data(samples.X, sample_weight=weights, batch_size=int(trial.choose(1, 3, 1024)))
    elif kind == "sum":
        found = two + one
    elif kind == "update":
        found = one.update(samples.X[last], sample_weight=w[1])
    else:
        found, rows = (one + two) - one, last
    kept = seen[rows]
    counted = kept if weights is None else kept & (weights[rows] > 0)[:, np.newaxis]
    if not counted.any(axis=0).all():  # a feature that nobody knows: its mean is refused
        try:
            LinearAE(1).fit_moments(found).components_  # noqa: B018
        except (ValueError, NotFittedError):
            return
        raise Failure("a feature that no sample knows was not refused")
    mean, second, unit = _pairwise(samples.values[rows], kept, None if weights is None else weights[rows])
    # what is taken away leaves its rounding; features are as large as all their values, shown or not
    reach = (np.ptp(samples.values, axis=0) / unit).astype(float) + 1e-15 * np.abs(samples.values / float(unit)).max(
        axis=0
    )
    error = np.abs(found.second / float(unit) ** 2 - second)
    offset = (np.abs(samples.values).max(axis=0) / float(unit)) * (2e-14 if kind == "difference" else 1e-14)
    allowed = (1e-10 if kind == "difference" else 1e-11) * np.outer(reach, reach) + np.add.outer(
        offset, offset
    ) * reach.max()
    constant = np.sqrt(np.abs(second.diagonal())) < 1e-7 * reach + 1e-14
    allowed = allowed + np.where(constant | constant[:, np.newaxis], np.abs(second), 0)
    if not (error <= allowed).all():
        at = tuple(int(i) for i in np.unravel_index(np.argmax(error - allowed), error.shape))
        raise Failure(f"second{list(at)} is {found.second[at] / float(unit) ** 2:.9g}, not {float(second[at]):.9g}")
    if not (np.abs(found.mean / float(unit) - mean) <= 1e-11 * reach + offset).all():
        raise Failure(f"mean differs: {found.mean / float(unit) - mean}, allowed {1e-11 * reach + offset}")


def _check_refusal(setting: linear.Setting, seen: np.ndarray, weights: np.ndarray | None, text: str) -> None:
    k = setting.model.n_components
    counts = np.ones(len(seen), bool) if weights is None else weights > 0
    unknown = not seen[counts].any(axis=0).all()
    rows = seen[counts]
    due = {
        "n_samples=": len(rows) < 2,
        "n_components=": isinstance(k, int) and k > min(len(rows), seen.shape[1]),
        "missing in every sample": unknown,
        "carries no signal": not isinstance(k, int),
        'solver="dual"': setting.model.solver == "dual",
        'solver="cholesky" needs': setting.model.solver == "cholesky",
        "never shows patch": setting.masking == "Sampled" and not np.all(setting.masks.one),
    }
    if not any(part in text and when for part, when in due.items()):
        raise Failure(f"refused without cause: {text}")


_LEAST_VARIANCE = 1e-6


def _check_fitted(
    setting: linear.Setting, samples: Samples, mean: np.ndarray, second: np.ndarray, unit: np.longdouble
) -> None:
    """The map is the best for the second moment less its negative part; the loss is told of the variances measured."""
    model, d = setting.model, setting.d
    offset = np.abs(samples.values).max(axis=0) / float(unit)
    narrow = samples.dtype in ("float16", "float32")
    error = np.abs(model.mean_ / float(unit) - mean)
    if not (error <= (1e-6 if narrow else 1e-11) * offset + 1e-300).all():
        raise Failure(f"mean_ is wrong by {float(error.max()):.2g} of the largest value")
    variance = second.diagonal()
    scale = float(variance.sum())
    if scale == 0 or (variance < (1e-10 * offset) ** 2).any():  # features that may count as constant
        return
    values = np.linalg.eigvalsh(second.astype(np.float64))
    if variance.min() < _LEAST_VARIANCE * variance.max() and values[0] < 0:
        return  # float64 cannot tell what is negative of small features from the rounding of large ones
    size = np.sqrt(np.where(variance > 0, variance, 1)).astype(np.float64) if values[0] >= 0 else np.ones(d)
    values, U = np.linalg.eigh((second / np.outer(size, size)).astype(np.float64))  # small features keep their digits
    values = np.where(values > 1e-15 * d * values[-1], values, 0)  # or rounding would be directions of its own
    root = (U * np.sqrt(values)).T * size * np.sqrt(d)
    root[:, variance == 0] = 0  # rounding would be features, as good as any
    truth = Reference(
        np.vstack([root, -root]),
        None,
        setting.labels,
        setting.masks,
        float(setting.noise / unit / unit),
        setting.speckle,
    )
    to_scale = float(truth.unit) ** 2
    W1, W2 = (np.asarray(a).astype(Wide) for a in (model.components_, model.decoder_))
    found = float(truth.loss_all(W2 @ W1)) * to_scale
    best = truth.optimum(model.n_components_) * to_scale
    near = ((1e-4 if narrow else 1e-8) + truth.rounding()) * scale / d
    if not -near <= found - best <= near:
        raise Failure(f"loss {found * d / scale:.9g} of the variance, the optimum {best * d / scale:.9g}")
    excess = float((truth.S.diagonal() * to_scale - variance).sum())
    claimed = float(model.expected_loss_ / unit / unit)
    if abs(claimed - max(found - excess / d, 0.0)) > near:
        raise Failure(f"expected_loss_ {claimed * d / scale:.9g}, not {found * d / scale - excess / scale:.9g}")


def _check_uses(trial: Trial, setting: linear.Setting, samples: Samples, seen: np.ndarray) -> None:
    model, labels = setting.model, setting.labels
    trial.cell("transform with holes", samples.dtype, samples.layout, setting.masking)
    W1, W2 = (np.asarray(a).astype(Wide) for a in (model.components_, model.decoder_))
    mean = np.asarray(model.mean_).astype(Wide)
    y = np.where(seen, samples.values.astype(Wide) - mean, 0)
    B, size = W2 @ W1, np.abs(W2) @ np.abs(W1)
    dtype = np.result_type(samples.X.dtype, np.float32)
    eps = max(float(np.finfo(dtype).eps), 2.3e-16)
    scale = _scales(setting, seen)
    filled = np.where(seen, y, (y * scale) @ B.T)
    slack = 256 * eps * (np.abs(filled) + (np.abs(y) * scale) @ size.T + 1e-9 * np.abs(mean))
    _near(model.transform(samples.X), filled @ W1.T, slack @ np.abs(W1).T, "transform")
    _check_fill(trial, setting, samples, seen, filled, slack)
    visible = trial.rng.random((len(seen), int(labels.max()) + 1)) < 0.6
    both = seen & visible[:, labels]
    scale = _scales(setting, both)
    y_seen = np.where(both, y, 0)
    found = model.reconstruct(samples.X, visible)
    slack = 256 * eps * ((np.abs(y_seen) * scale) @ size.T + np.abs(mean)) + _floor(mean, eps)
    _near(found.reshape(seen.shape), (y_seen * scale) @ B.T + mean, slack, "reconstruct")
    if samples.X.dtype.kind == "f" and not np.ma.isMaskedArray(samples.X):
        other = np.array(samples.X)
        hidden = ~visible[:, labels].reshape(other.shape)
        other[hidden] = trial.choose(np.nan, np.inf, np.finfo(other.dtype).max)
        if not np.array_equal(model.reconstruct(other, visible), found):
            raise Failure("reconstruct depends on what visible hides")
    error, count = Wide(0), 0
    Q = Reference(samples.values, None, labels, setting.masks, 0.0, setting.speckle).Q
    for row, known in zip(y, seen, strict=True):
        part = B * known[:, np.newaxis]
        error += row @ row - 2 * row @ part @ row + ((part.T @ part) * np.outer(row, row) * Q).sum()
        error += Wide(setting.noise) * (part**2).sum()
        count += int(known.sum())
    exact = float(error / count)
    reach = float((y**2).sum() / count) * (1 + float(np.abs(B).sum(axis=1).max() ** 2 * Q.max()))
    if abs(-model.score(samples.X) - exact) > 1e-9 * max(reach, abs(exact)) + (1e-14 * float(np.abs(mean).max())) ** 2:
        raise Failure(f"score {model.score(samples.X):.12g}, not {-exact:.12g}")


def _check_fill(
    trial: Trial, setting: linear.Setting, samples: Samples, seen: np.ndarray, filled: np.ndarray, slack: np.ndarray
) -> None:
    """By the model's own reconstruction, and by a system of equations for each sample; what is visible is untouched."""
    model, X = setting.model, np.ma.getdata(samples.X).reshape(seen.shape)
    dtype = X.dtype if X.dtype.kind == "f" else np.result_type(X.dtype, np.float32)
    if dtype == np.float16:  # may be too narrow for what is filled, which is refused
        return
    mean, eps = np.asarray(model.mean_).astype(Wide), max(float(np.finfo(dtype).eps), 2.3e-16)
    own = model.fill(samples.X, method="linear").reshape(seen.shape)
    if own.dtype != dtype or not np.array_equal(own[seen], X[seen]):
        raise Failure("fill changed what is visible, or its type")
    _near(own, np.where(seen, X, filled + mean), np.where(seen, 0, slack + 8 * eps * np.abs(mean)), "fill")
    if not hasattr(model, "moments_"):
        return
    trial.cell("fill by the conditional", samples.dtype, samples.layout)
    answer, std = (a.reshape(seen.shape) for a in model.fill(samples.X, return_std=True))
    if not np.array_equal(answer[seen], X[seen]) or std[seen].any() or not (std >= 0).all():
        raise Failure("fill changed what is visible, or is not sure of it, or std is none")
    again = model.fill(answer.reshape(samples.X.shape))
    if not np.array_equal(again.reshape(seen.shape), answer):
        raise Failure("whole samples were filled")
    A = model._conditional._systems.regular
    if not A.diagonal().all():  # nothing varies
        return
    size = 1 / np.sqrt(A.diagonal())
    condition = np.linalg.cond(A * np.outer(size, size))  # where little is hidden, A is inverted as a whole
    for row, known, found in zip(X, seen, answer, strict=True):
        if known.any() and not known.all():
            y = row[known].astype(Wide) - mean[known]
            weights = _solved(A[np.ix_(known, known)], y)
            expected = A[np.ix_(~known, known)].astype(Wide) @ weights + mean[~known]
            size = np.sqrt(A.diagonal()[~known]) * np.sqrt(np.abs(y @ weights)) + np.abs(expected)
            _near(found[~known], expected, 8 * (eps + 1e-15 * condition) * size, "the conditional")


def _solved(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A⁻¹ y, refined with residuals in wide numbers."""
    scale = 1 / np.sqrt(A.diagonal())
    scaled = A * np.outer(scale, scale)
    x = np.zeros(len(y), Wide)
    for _ in range(8):
        rest = scale * (y - A.astype(Wide) @ x)
        unit = np.abs(rest).max() or Wide(1)
        x = x + scale * np.linalg.solve(scaled, (rest / unit).astype(np.float64)) * unit
    return x


def _scales(setting: linear.Setting, visible: np.ndarray) -> np.ndarray:
    """1 over the share of patches that is visible, each patch counting the same; or over their rates."""
    labels = setting.labels
    rates = None if setting.masks is None else setting.masks.one
    if rates is not None and np.ptp(rates) > 1e-9:
        return (1 / rates)[labels] * visible
    sizes = np.bincount(labels)
    share = np.array([np.bincount(labels, row) / sizes for row in visible]).mean(axis=1)[:, np.newaxis]
    return visible / np.where(share > 0, share, 1)


def _floor(mean: np.ndarray, eps: float) -> float:
    return float(np.abs(mean).max()) * eps * 1e-6


def _near(found: Any, exact: np.ndarray, allowed: np.ndarray, what: str) -> None:
    error = np.abs(np.asarray(found).astype(Wide) - exact)
    if not (error <= allowed + 1e-37).all():
        worst = float(np.nanmax(error / np.maximum(allowed, 1e-37)))
        raise Failure(f"{what} is off by {worst:.3g} times what rounding explains")
