"""Linear models, however they are fitted, on whatever comes in, against the equations in long double."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmae import LinearAE, LinearDAE, LinearMAE, Moments
from skmae.linear import Corruption, LinearAutoencoder
from skmae.masking import Blocks, Sampled, Stripes, Tubes
from stress import _reference as reference
from stress._frame import Failure, Trial
from stress._inputs import Samples, Shape, draw_samples, draw_shape
from stress._reference import Draws, Masks, Reference, Wide

BUDGET = 60_000
SLICE = 400

_ENTRIES = ("fit", "partial_fit", "fit_moments", "from_batches")
_MASKINGS = ("bernoulli", "exact", "Stripes", "Tubes", "Blocks", "Sampled", "LinearAE", "LinearDAE", "Speckle")
_CERTAIN = 1e-13  # a direction of a larger share of the variance is signal, whatever rounding does
_SAFE = 100  # powers of ten that a float64 can be away from 1 without an answer being out of range


@dataclass
class Setting:
    """A model, and what the reference needs to know of it."""

    model: Any
    masking: str
    labels: np.ndarray
    masks: Masks | Draws | None = None
    noise: float = 0.0
    hidden_loss: bool = False
    speckle: float = 0.0

    @property
    def d(self) -> int:
        return len(self.labels)


class Speckle(LinearAutoencoder):
    """A corruption as docs/contributing.md has it: each feature times noise of its own."""

    def __init__(
        self, n_components=None, *, std=0.5, image_shape=None, channel_axis="auto", whiten=False, solver="auto"
    ):
        self.n_components = n_components
        self.std = std
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.whiten = whiten
        self.solver = solver

    def _corruption(self, grid):
        return Corruption(within=self.std**2)


def case(trial: Trial) -> None:
    shape = draw_shape(trial)
    n = int(trial.rng.integers(1030, 2200)) if trial.chance(0.005) else int(trial.rng.integers(2, 40))
    samples = draw_samples(trial, n, shape.sample)
    weights = _weights(trial, n)
    setting = draw_model(trial, shape, samples, n)
    entry = str(trial.choose(*_ENTRIES)) if trial.chance(0.5) else "fit"
    trial.note(model=setting.model, shape=(n, *shape.sample), dtype=samples.dtype, layout=samples.layout)
    trial.note(structure=samples.structure, entry=entry, weights=weights is not None)
    trial.cell(entry, samples.dtype, samples.layout, setting.masking)
    truth = Reference(samples.values, weights, setting.labels, setting.masks, setting.noise, setting.speckle)
    before = str(setting.model.get_params())
    try:
        fitted(trial, setting.model, entry, samples, weights)
        setting.model.components_  # noqa: B018  partial_fit solves when it is asked
    except (ValueError, NotFittedError) as error:
        check_refusal(setting, samples, truth, weights, str(error))
        if str(setting.model.get_params()) != before:
            raise Failure("a refused fit changed parameters") from error
        return
    if not np.array_equal(np.asarray(samples.X, np.float64).reshape(samples.values.shape), samples.values):
        raise Failure("X was changed")
    check_fitted(setting, samples, truth, weights)
    if entry == "partial_fit" and trial.chance(0.2):
        check_copy(setting.model, samples)
    if trial.chance(0.5):
        check_uses(trial, setting, samples, truth, shape)
    if trial.chance(0.1):
        check_flat(setting, samples, shape, weights)


# -- drawing -----------------------------------------------------------------------------------------------------------


def _weights(trial: Trial, n: int) -> np.ndarray | None:
    rng = trial.rng
    if trial.chance(0.7):
        return None
    weights = rng.random(n) if trial.chance(0.5) else rng.integers(0, 4, n).astype(float)
    if trial.chance(0.2):
        weights = weights * 10 ** rng.uniform(-3, 3, n)
    weights[rng.integers(n)] = 1.0
    return weights


def draw_model(trial: Trial, shape: Shape, samples: Samples, n: int) -> Setting:
    rng = trial.rng
    masking = str(trial.choose(*_MASKINGS))
    d = samples.values.shape[1]
    k: Any = None
    if trial.chance(0.75):
        k = float(rng.uniform(0.01, 0.999)) if trial.chance(0.2) else int(rng.integers(1, min(n, d) + 1))
    common = {
        "n_components": k,
        # one axis says nothing: flat rows are read as squares where they may be
        "image_shape": tuple(map(int, shape.sample)) if len(shape.sample) == 1 or trial.chance(0.5) else None,
        "channel_axis": shape.said,
        "whiten": trial.chance(0.2),
        "solver": str(trial.choose("auto", "auto", "cholesky", "eigh", "dual")),
    }
    if masking == "LinearAE":
        return Setting(LinearAE(**common), masking, np.arange(d))
    if masking == "Speckle":
        std = float(rng.uniform(0.05, 2))
        return Setting(Speckle(**common, std=std), masking, np.arange(d), speckle=std**2)
    if masking == "LinearDAE":
        spread = float(np.abs(samples.values).max()) or 1.0
        std = float(trial.choose(0.0, 1.0)) if trial.chance(0.2) else spread * 10 ** rng.uniform(-4, 1)
        if trial.chance(0.05) and spread > 1e-60:  # far below, or far above, what the samples have
            std = spread * 10 ** rng.uniform(-50, 80)
        std = min(std, 1e150)
        return Setting(LinearDAE(**common, noise_std=std), masking, np.arange(d), noise=float(std) ** 2)
    n_axes = len(shape.sample) - (shape.channel_axis is not None)
    patch: Any = int(rng.integers(1, 5))
    if trial.chance(0.4):
        patch = tuple(int(p) for p in rng.integers(1, 6, n_axes))
    mask = float(trial.choose(0.0, 0.25, 0.5, 0.75, 0.9)) if trial.chance(0.6) else float(rng.uniform(0, 0.99))
    if trial.chance(0.03):
        mask = float(trial.choose(1e-9, 1e-6, 1 - 1e-6))
    labels, counts = reference.patches(shape.sample, shape.channel_axis, patch)
    sampler, masks = draw_masks(trial, masking, counts, mask)
    hidden = trial.chance(0.06) and len(np.unique(labels)) <= 9
    model = LinearMAE(**common, mask=mask, patch=patch, mask_sampling=sampler, loss="hidden" if hidden else "all")
    if float(1 - masks.one.mean()) == 0:
        hidden = False  # everything counts then
    return Setting(model, masking, labels, masks, hidden_loss=hidden)


def draw_masks(trial: Trial, masking: str, counts: tuple[int, ...], mask: float) -> tuple[Any, Masks | Draws]:
    """A value of `mask_sampling`, and the same for the reference."""
    rng = trial.rng
    if masking == "Blocks":
        size = tuple(int(s) for s in rng.integers(1, 4, len(counts)))
        said = size[0] if len(set(size)) == 1 else size
        return Blocks(said), Masks(reference.blocks(counts, size), p=float(-np.expm1(np.log1p(-mask) / np.prod(size))))
    if masking == "Sampled":
        sampler = Sampled(_halves, n_draws=int(trial.choose(50, 400)), random_state=int(rng.integers(100)))
        state = np.random.RandomState(sampler.random_state)
        return sampler, Draws(_draw_halves(sampler.n_draws, int(np.prod(counts)), mask, state))
    axis = int(rng.integers(-len(counts), len(counts)))
    sampling = str(trial.choose("exact", "bernoulli"))
    if masking == "Stripes":
        sampler, units = Stripes(axis, sampling), reference.stripes(counts, axis)
    elif masking == "Tubes":
        sampler, units = Tubes(axis, sampling), reference.tubes(counts, axis)
    else:
        sampler, units, sampling = masking, reference.single_units(counts), masking
    if sampling == "bernoulli":
        return sampler, Masks(units, p=mask)
    return sampler, Masks(units, keep=min(max(round((1 - mask) * len(units)), 1), len(units)))


def _halves(n_samples: int, grid: Any, mask: float, random_state: np.random.RandomState) -> np.ndarray:
    return _draw_halves(n_samples, grid.n_patches, mask, random_state)


def _draw_halves(n: int, n_patches: int, mask: float, state: np.random.RandomState) -> np.ndarray:
    """Neighbours tend to share their fate: the V of no fast solver."""
    level = state.random_sample((n, n_patches + 1))
    return (level[:, 1:] + level[:, :-1]) / 2 >= mask / 2


def fitted(trial: Trial, model: Any, entry: str, samples: Samples, weights: np.ndarray | None) -> None:
    """Fit by one of the four ways."""
    X = samples.X
    if entry == "fit":
        model.fit(X, sample_weight=weights)
        return
    if entry == "fit_moments":
        model.fit_moments(Moments.from_data(X, sample_weight=weights, batch_size=int(trial.choose(1, 3, 1024))))
        return
    cuts = np.sort(trial.rng.integers(0, len(X) + 1, trial.rng.integers(0, 4)))
    parts = [range(a, b) for a, b in zip([0, *cuts], [*cuts, len(X)], strict=True) if b > a]
    if weights is not None and entry == "partial_fit":
        parts = [part for part in parts if weights[part.start : part.stop].any()]
    order = trial.rng.permutation(len(parts))
    if entry == "from_batches":
        batches = [X[parts[i].start : parts[i].stop] for i in order]
        if weights is None:
            model.fit_moments(Moments.from_batches(batch for batch in batches))
        else:
            given = [weights[parts[i].start : parts[i].stop] for i in order]
            pairs = zip(batches, given, strict=True)
            each = [Moments.from_data(batch, sample_weight=w) for batch, w in pairs if w.any()]
            model.fit_moments(sum(each))
        return
    for i in order:
        some = slice(parts[i].start, parts[i].stop)
        model.partial_fit(X[some], sample_weight=None if weights is None else weights[some])


# -- judging -----------------------------------------------------------------------------------------------------------


def check_refusal(setting: Setting, samples: Samples, truth: Reference, weights: np.ndarray | None, text: str) -> None:
    """A refusal must be one of these, each where it is due."""
    model, k = setting.model, setting.model.n_components
    n_rows = len(samples.values) if weights is None else int(np.count_nonzero(weights))
    limit = min(n_rows, setting.d)
    nothing = float(truth.total) == 0 or is_rounding(truth)
    due = {
        "n_samples=": n_rows < 2,
        "n_components=": isinstance(k, int) and k > limit,
        "carries no signal": not isinstance(k, int) and nothing,
        'solver="dual"': model.solver == "dual",
        'solver="cholesky" needs': model.solver == "cholesky" and is_singular(setting, truth),
        'loss="hidden" needs': setting.hidden_loss and n_units(setting) == 1,
        "nothing to learn": setting.hidden_loss and len(np.unique(setting.labels[truth.S.diagonal() > 0])) < 2,
        "never shows patch": setting.masking == "Sampled" and not np.all(setting.masks.one),
        "range of float": is_extreme(samples, truth),
    }
    if not any(part in text and when for part, when in due.items()):
        raise Failure(f"refused without cause: {text}")


def is_singular(setting: Setting, truth: Reference) -> bool:
    """Whether a second moment that is to be factorised has no Cholesky factor."""
    return truth.condition() < 1e-12 or (setting.hidden_loss and truth.condition_while_hidden() < 1e-12)


def n_units(setting: Setting) -> int:
    """Groups that are hidden as a whole."""
    if isinstance(setting.masks, Draws):
        return len(setting.masks.one)
    covered = {tuple(column) for column in setting.masks.units.T}
    return len(covered)


def is_rounding(truth: Reference) -> bool:
    """Whether all that varies is lost in rounding of float64, at the size of the mean."""
    size = np.abs(truth.centre) * 2.0**-48
    return bool((truth.S.diagonal() <= size**2).all())


def is_extreme(samples: Samples, truth: Reference) -> bool:
    """Whether squares may leave the range of float64, or of float32 where answers come in it."""
    reach = _SAFE if np.dtype(samples.dtype).itemsize > 4 or np.dtype(samples.dtype).kind != "f" else 15
    largest = max(float(truth.unit), float(np.abs(truth.mean).max()))
    return not 10.0**-reach < float(truth.unit) or not largest < 10.0**reach


def tolerance(setting: Setting, samples: Samples) -> float:
    """Of losses, over tr S."""
    narrow = samples.dtype in ("float16", "float32")
    if setting.hidden_loss:
        return 1e-5 if narrow else 1e-7
    return 1e-5 if narrow and setting.model.solver != "dual" else 1e-9


def blur(truth: Reference) -> float:
    """What rounding of the centred samples changes of tr S, over tr S."""
    offset = float(np.abs(truth.centre).max())
    return 1e-15 * offset * (1 + offset * 1e-15) / max(float(truth.total), 1e-300) * len(truth.S)


def check_fitted(setting: Setting, samples: Samples, truth: Reference, weights: np.ndarray | None) -> None:
    model, d = setting.model, setting.d
    W1, W2, values = (np.asarray(a).astype(Wide) for a in (model.components_, model.decoder_, model.eigenvalues_))
    k = len(values)
    for name, array in (("components_", W1), ("decoder_", W2), ("eigenvalues_", values), ("mean_", model.mean_)):
        if not np.isfinite(array).all():
            raise Failure(f"{name} is not finite")
    if W1.shape != (k, d) or W2.shape != (d, k) or model.n_components_ != k:
        raise Failure(f"shapes {W1.shape}, {W2.shape}, {k}")
    _check_mean(model, samples, truth)
    _check_count(model, samples, weights)
    scale = float(truth.total)
    if scale == 0 or is_rounding(truth):
        return
    spread, size = np.sqrt(truth.S.diagonal()), np.abs(truth.centre)
    if ((spread > 0) & (spread < 1e-12 * size)).any():  # the last digits of float64: constant or not, both are right
        return
    near = tolerance(setting, samples) + blur(truth) + truth.rounding()
    if not setting.noise and truth.hidden == 0 and setting.masking != "Speckle":
        root = np.sqrt(values)[:, np.newaxis] if model.whiten else np.ones((k, 1))
        clear = values > 1e-12 * values.max(initial=0)
        decoder = (W2.T / np.where(root > 0, root, 1) * (truth.S.diagonal() > 0))[clear]
        difference = np.abs((W1 * root)[clear] - decoder)
        if difference.max(initial=0) > 1e-9:
            raise Failure(
                f"nothing is corrupted, but components_ differ from decoder_.T by {float(difference.max()):.2g}"
            )
    unit2 = truth.unit * truth.unit
    loss = truth.loss_hidden if setting.hidden_loss else truth.loss_all
    found = loss(W2 @ W1)
    claimed = Wide(model.expected_loss_) / unit2
    if abs(found - claimed) > near * scale / d:
        raise Failure(
            f"expected_loss_ {claimed * d / scale:.12g} of the variance, but the map's is {found * d / scale:.12g}"
        )
    check_optimum(setting, samples, truth, weights, float(found), near)
    _check_rank(setting, truth, values / unit2, weights)
    if not model.whiten:
        gram = W2.T @ W2
        if abs(gram - np.eye(k)).max() > 1e-9:
            raise Failure(f"decoder_ is not orthonormal: {float(abs(gram - np.eye(k)).max()):.2g}")
    elif not setting.hidden_loss:
        _check_whitened(truth, W1, values / unit2, near)
    if setting.masks is not None and abs(model.mask_ - truth.hidden) > 1e-9:
        raise Failure(f"mask_ {model.mask_}, not {truth.hidden}")


def _check_mean(model: Any, samples: Samples, truth: Reference) -> None:
    error = np.abs(np.asarray(model.mean_).astype(Wide) - truth.mean)
    largest = np.abs(samples.values).max(axis=0).astype(Wide)
    allowed = 1e-13 * largest + 1e-300
    if np.dtype(samples.dtype).itemsize == 1:  # sums are taken about the middle of the type
        allowed += 1e-13 * 128
    elif samples.dtype in ("float16", "float32"):  # where sums in float32 do
        allowed += 1e-7 * np.abs(truth.centred).max(axis=0) * truth.unit
    if (error > allowed).any():
        raise Failure(f"mean_ is wrong by {float((error / allowed).max()):.3g} times what rounding explains")


def _check_count(model: Any, samples: Samples, weights: np.ndarray | None) -> None:
    count = len(samples.values) if weights is None else weights.sum()
    if not np.isclose(model.n_samples_seen_, count, rtol=1e-12):
        raise Failure(f"n_samples_seen_ {model.n_samples_seen_}, not {count}")


def check_optimum(
    setting: Setting, samples: Samples, truth: Reference, weights: np.ndarray | None, found: float, near: float
) -> None:
    """No map of this rank does better."""
    model, d, scale = setting.model, setting.d, float(truth.total)
    k = model.n_components_
    if not setting.hidden_loss:
        best = truth.optimum(k)
        weakest = truth.explained[:k].min() if k else 0.0
        allowed = min(near * scale, 1e-3 * weakest + 1e-12 * scale + (blur(truth) + truth.rounding()) * scale) / d
        if not -near * scale / d <= found - best <= allowed:
            raise Failure(f"loss {found * d / scale:.12g} of the variance, the optimum {best * d / scale:.12g}")
        error = np.abs(np.asarray(model.eigenvalues_) / float(truth.unit) ** 2 - truth.explained[:k]).max(initial=0)
        if error > near * scale:
            raise Failure(f"eigenvalues_ wrong by {error / scale:.3g} of the variance")
        return
    best = truth.optimum_hidden()
    slack = 2e-4 * scale / d  # it takes smaller features where the loss hardly differs
    if found < best - slack:
        raise Failure(f"loss {found} below the optimum {best}")
    start = clone(model).set_params(loss="all", whiten=False).fit(samples.X, sample_weight=weights)
    start_loss = float(truth.loss_hidden(start.decoder_ @ start.components_))
    if isinstance(model.n_components, int) and found > start_loss + slack:
        raise Failure(f"hidden loss {found * d / scale:.9g}, but that of loss='all' has {start_loss * d / scale:.9g}")
    if model.n_components is None and found > best + slack:
        raise Failure(f"hidden loss {found * d / scale:.9g} of the variance, the optimum {best * d / scale:.9g}")


def _check_rank(setting: Setting, truth: Reference, values: np.ndarray, weights: np.ndarray | None) -> None:
    """As many directions as were asked for."""
    wanted, k, total = setting.model.n_components, setting.model.n_components_, float(truth.total)
    if isinstance(wanted, int):
        if k != wanted:
            raise Failure(f"{k} components, not {wanted}")
        return
    if (values <= 0).any() and float(truth.explained[k - 1]) * float(truth.unit) ** 2 > 1e-290:  # is a float64 at all
        raise Failure(f"n_components={wanted} kept a direction without signal")
    n_rows = len(truth.values) if weights is None else int(np.count_nonzero(weights))
    limit = min(n_rows - 1, int((truth.S.diagonal() > 0).sum()))
    if setting.masking in ("LinearAE", "LinearDAE") and blur(truth) < 1e-15:  # exact zeros are told from signal
        limit = min(limit, int((truth.explained > 1e-20 * truth.explained[0]).sum()))
    if k > limit and not setting.noise and not setting.hidden_loss:
        raise Failure(f"{k} components of samples of rank {limit}")
    if setting.hidden_loss:
        return
    explained = truth.explained
    if wanted is None:
        certain = int((explained > 1e-11 * explained[0] + 10 * blur(truth) * total).sum())
        if k < certain and truth.condition() > 1e-10:
            raise Failure(f"{k} components, but {certain} carry signal")
    else:
        share = np.cumsum(explained) / explained.sum()
        near = 1e-9 + blur(truth) + (1e-6 if setting.hidden_loss else 0)
        if share[k - 1] < wanted - near or (k > 1 and share[k - 2] > wanted + near):
            raise Failure(f"n_components={wanted} took {k}: shares {share[max(k - 2, 0) : k + 1]}")


def _check_whitened(truth: Reference, W1: np.ndarray, values: np.ndarray, near: float) -> None:
    """Features of corrupted samples have unit second moment."""
    V = truth.S * truth.Q + truth.sigma2 * np.eye(len(truth.S))
    clear = values > 1e-6 * values.max()
    W = W1[clear] * truth.unit
    error = np.abs(W @ V @ W.T - np.eye(int(clear.sum()))).max(initial=0)
    if error > max(1e-4, near * 1e6):
        raise Failure(f"whitened features have second moments wrong by {float(error):.2g}")


def check_uses(trial: Trial, setting: Setting, samples: Samples, truth: Reference, shape: Shape) -> None:
    """transform, inverse_transform, reconstruct and score of samples that may be others, against their formulas."""
    model = setting.model
    other = samples
    if trial.chance(0.3):
        other = draw_samples(trial, int(trial.rng.integers(1, 8)), shape.sample, moderate=True)
    trial.note(used_on=(other.dtype, other.layout, other.structure))
    if is_extreme(samples, truth) or (other is not samples and not 1e-10 < float(truth.unit) < 1e10):
        return
    trial.cell("transform", other.dtype, other.layout, setting.masking)
    W1, W2 = (np.asarray(a).astype(Wide) for a in (model.components_, model.decoder_))
    mean = np.asarray(model.mean_).astype(Wide)
    centred = other.values.astype(Wide) - mean
    dtype = np.result_type(np.asarray(other.X).dtype, np.float32)  # a list forgets
    eps = max(float(np.finfo(dtype).eps), 2.3e-16)
    Z = model.transform(other.X)
    size = np.abs(centred) @ np.abs(W1).T
    slack = 2.3e-16 * (np.abs(other.values) + np.abs(mean)) @ np.abs(W1).T
    _near(Z, centred @ W1.T, (64 * eps * size + 64 * slack), dtype, "transform")
    back = model.inverse_transform(Z)
    exact = Z.astype(Wide) @ W2.T + mean
    _near(back, exact, 64 * eps * (np.abs(Z).astype(Wide) @ np.abs(W2).T + np.abs(mean)), Z.dtype, "inverse_transform")
    _check_reconstruct(trial, setting, other, centred, eps, dtype)
    _check_score(setting, truth, other)


def _near(found: Any, exact: np.ndarray, allowed: np.ndarray, dtype: Any, what: str) -> None:
    if found.dtype != dtype:
        raise Failure(f"{what} gives {found.dtype}, not {dtype}")
    error = np.abs(np.asarray(found).reshape(len(exact), -1).astype(Wide) - exact)
    allowed = allowed + 64 * np.finfo(dtype).tiny * (1 + np.abs(exact).max(initial=0))
    if not (error <= allowed).all():
        worst = float(np.nanmax(error / np.maximum(allowed, 1e-300)))
        raise Failure(f"{what} is off by {worst:.3g} times what rounding explains")


def _check_reconstruct(
    trial: Trial, setting: Setting, other: Samples, centred: np.ndarray, eps: float, dtype: Any
) -> None:
    model, labels = setting.model, setting.labels
    n, N = len(centred), int(labels.max()) + 1
    visible = trial.rng.random((n, N)) < trial.rng.uniform(0, 1)
    per_patch = visible
    kind = trial.choose("none", "patches", "one for all", "features")
    given: Any = visible
    if kind == "none":
        given, per_patch = None, np.ones((n, N), bool)
    elif kind == "one for all" and n > 1:
        given, per_patch = visible[:1], np.repeat(visible[:1], n, axis=0)
    elif kind == "features" and labels.max() + 1 != len(labels):
        given = visible[:, labels]
    trial.note(visible=kind)
    trial.cell("reconstruct", other.dtype, other.layout, kind)
    r = per_patch[:, labels].astype(Wide)
    rates = None if setting.masks is None else setting.masks.one
    if given is None:
        scaled = centred
    elif rates is None or np.ptp(rates) < 1e-9:
        share = per_patch.mean(axis=1, dtype=Wide)[:, np.newaxis]
        scaled = centred * r / np.where(share > 0, share, 1)
    else:
        scaled = centred * r / rates[labels]
    W1, W2 = (np.asarray(a).astype(Wide) for a in (model.components_, model.decoder_))
    mean = np.asarray(model.mean_).astype(Wide)
    found = model.reconstruct(other.X, given)
    if found.shape != np.shape(other.X):
        raise Failure(f"reconstruct gives {found.shape} of {np.shape(other.X)}")
    share = scaled / np.where(centred == 0, 1, centred)
    rounding = 2.3e-16 * (np.abs(other.values) + np.abs(mean)) * np.abs(share)
    allowed = 64 * ((eps * np.abs(scaled) + rounding) @ np.abs(W1).T @ np.abs(W2).T + eps * np.abs(mean))
    _near(found, scaled @ W1.T @ W2.T + mean, allowed, dtype, "reconstruct")


def _check_score(setting: Setting, truth: Reference, other: Samples) -> None:
    model = setting.model
    B = np.asarray(model.decoder_).astype(Wide) @ np.asarray(model.components_).astype(Wide)
    S = truth.second_of(other.values, np.asarray(model.mean_).astype(Wide))
    loss = truth.loss_hidden if setting.hidden_loss else truth.loss_all
    exact = float(loss(B, S) * truth.unit * truth.unit)
    found = -model.score(other.X)
    size = float((S.trace() + (np.abs(B) @ np.sqrt(S.diagonal() * truth.Q.diagonal())).max() ** 2) * truth.unit**2)
    offset = float(np.abs(truth.centre).max()) * 1e-15
    rounding = d_squares(truth, B) * (float(np.abs(other.values).max()) * 1e-14) ** 2
    if abs(found - exact) > (1e-9 + offset * (1 + offset)) * max(size, abs(exact)) + rounding:
        raise Failure(f"score {found:.12g}, not {exact:.12g}")


def d_squares(truth: Reference, B: np.ndarray) -> float:
    """What the error of one value counts for, squared, at most."""
    return float(len(B) * (1 + (np.abs(B).sum(axis=1).max() * np.sqrt(truth.Q.max())) ** 2))


def check_copy(model: Any, samples: Samples) -> None:
    """A copy that goes on leaves the original alone."""
    before = (model.n_samples_seen_, model.components_.copy(), model.moments_.second)
    other = copy.copy(model).partial_fit(samples.X[:1])
    after = (model.n_samples_seen_, model.components_, model.moments_.second)
    if other.n_samples_seen_ == before[0] or not all(map(np.array_equal, before, after)):
        raise Failure("partial_fit of a copy changed the original")


def check_flat(setting: Setting, samples: Samples, shape: Shape, weights: np.ndarray | None) -> None:
    """Flat rows with `image_shape` give what images give."""
    X = np.asarray(samples.X)
    channel_axis = setting.model.channel_axis
    params = {**setting.model.get_params(), "image_shape": shape.sample, "channel_axis": channel_axis}
    kind = type(setting.model)
    one = kind(**params).fit(X, sample_weight=weights)
    two = kind(**params).fit(X.reshape(len(X), -1), sample_weight=weights)
    if not np.array_equal(one.components_, two.components_) or not np.array_equal(one.mean_, two.mean_):
        raise Failure("images and flat rows differ")
