"""Analyzers and pictures of linear models, against finite differences and double loops."""

from collections.abc import Callable
from itertools import product
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE, SpatialEntropy
from skmae import inspection as shown
from stress import _reference as reference
from stress._frame import Failure, Trial
from stress._inputs import Samples, Shape, draw_samples, draw_shape
from stress._reference import Wide

BUDGET = 6_000
SLICE = 60


def case(trial: Trial) -> None:
    shape = draw_shape(trial, largest=24)
    samples = draw_samples(trial, int(trial.rng.integers(4, 9)), shape.sample, moderate=trial.chance(0.8))
    checks: list[Callable[[Trial, Shape, Samples], None]] = [
        *(_autocorrelation, _influence, _entropy, _cka, _spectrum, _jacobian, _linearized, _similarity),
    ]
    check = _display if trial.chance(0.03) else trial.choose(*checks)
    trial.note(check=check.__name__, shape=samples.values.shape, sample=shape.sample, channel_axis=shape.said)
    trial.note(dtype=samples.dtype, layout=samples.layout, structure=samples.structure)
    trial.note(largest=float(np.abs(samples.values).max()))
    trial.cell(check.__name__.strip("_"), samples.dtype, samples.layout)
    try:
        check(trial, shape, samples)
    except ValueError as error:
        text = str(error)
        constant = "constant" in text and _is_constant(shape, samples)
        extreme = "range of float" in text and not 1e-100 < np.abs(samples.values).max() < 1e100
        signal = "carries no signal" in text or "nothing to learn" in text
        if not (constant or extreme or signal):
            raise
    finally:
        plt.close("all")


def _is_constant(shape: Shape, samples: Samples) -> bool:
    images = _by_channel(shape, samples.values.astype(Wide))
    spread = images.std(axis=(0, 1))
    return bool((spread < 1e-7 * np.abs(images).max(axis=(0, 1)) + 1e-300).any())


def _grid(shape: Shape) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(shape.sample) if axis != shape.channel_axis)


def _by_channel(shape: Shape, values: np.ndarray) -> np.ndarray:
    """(n, n_pixels, n_channels)."""
    images = values.reshape(len(values), *shape.sample)
    if shape.channel_axis is None:
        return images.reshape(len(values), -1, 1)
    moved = np.moveaxis(images, shape.channel_axis + 1, -1)
    return moved.reshape(len(values), -1, moved.shape[-1])


def _close(found: Any, exact: Any, tolerance: float, what: str, *, size: float = 0.0) -> None:
    """Equal but for rounding of numbers of the largest size that there is, or of `size`."""
    found, exact = np.asarray(found, float), np.asarray(exact, float)
    if found.shape != exact.shape:
        raise Failure(f"{what} has shape {found.shape}, not {exact.shape}")
    same = np.isclose(
        found, exact, rtol=tolerance, atol=tolerance * np.nanmax(np.abs(exact), initial=size), equal_nan=True
    )
    if not same.all():
        at = tuple(int(i) for i in np.argwhere(~same)[0])
        raise Failure(f"{what}{list(at)} is {found[at]:.9g}, not {exact[at]:.9g}")


# -- functions ---------------------------------------------------------------------------------------------------------


def _autocorrelation(trial: Trial, shape: Shape, samples: Samples) -> None:
    grid = _grid(shape)
    n_pixels = int(np.prod(grid))
    visible = None
    if trial.chance(0.4):
        visible = trial.rng.random((len(samples.values), n_pixels)) < 0.7
        visible[0, :2] = True
    given = None if visible is None else visible.reshape(-1, *grid)
    images = _by_channel(shape, samples.values.astype(Wide))
    r = np.ones(images.shape[:2], bool) if visible is None else visible
    seen = images[r]
    spread = seen.std(axis=0)
    offset = np.abs(seen.mean(axis=0))
    if (spread <= 1e-6 * offset).any():  # what rounding makes of a constant
        return
    found = shown.spatial_autocorrelation(
        samples.X, shape.sample, channel_axis=shape.said, visible=given, radial=False, bin_width=None
    )
    table = shown.spatial_autocorrelation(
        samples.X, shape.sample, channel_axis=shape.said, visible=given, bin_width=None
    )
    f = np.where(r[:, :, np.newaxis], (images - seen.mean(axis=0)) / spread, 0)
    exact = np.full(tuple(2 * size - 1 for size in grid), np.nan, Wide)
    sums, counts = np.zeros(exact.shape, Wide), np.zeros(exact.shape, Wide)
    places = list(product(*map(range, grid)))
    for (i, p), (j, q) in product(enumerate(places), repeat=2):
        lag = tuple(b - a + size - 1 for a, b, size in zip(p, q, grid, strict=True))
        sums[lag] += (f[:, i] * f[:, j]).sum()
        counts[lag] += (r[:, i] & r[:, j]).sum() * f.shape[2]
    exact[counts > 0] = sums[counts > 0] / counts[counts > 0]
    tolerance = 1e-3 if samples.dtype in ("float16", "float32") else 1e-8 + 1e-14 * float((offset / spread).max())
    _close(found, exact, tolerance, "spatial_autocorrelation")
    lags = np.indices(exact.shape) - np.array(grid).reshape(-1, *[1] * len(grid)) + 1
    distance = np.sqrt((lags**2).sum(axis=0))
    lengths = np.unique(distance[counts > 0])
    means = [sums[(distance == x)].sum() / counts[distance == x].sum() for x in lengths]
    _close(table["distance"], lengths, 1e-12, "distance")
    _close(table["correlation"], means, tolerance, "correlation")


def _maps(trial: Trial, n_outputs: int, n_pixels: int) -> np.ndarray:
    maps = trial.rng.random((3, n_outputs, n_pixels)) ** 3
    if trial.chance(0.2):
        maps[0, 0] = 0
    if trial.chance(0.2):
        maps *= 10 ** trial.rng.uniform(-300, 300)
    return maps.astype(str(trial.choose("float64", "float32")) if maps.max() < 1e30 and maps.max() > 1e-30 else float)


def _influence(trial: Trial, shape: Shape, samples: Samples) -> None:
    grid = _grid(shape)
    places = np.array(list(product(*map(range, grid))))
    outputs = trial.rng.permutation(len(places))[: trial.rng.integers(1, len(places) + 1)]
    maps = _maps(trial, len(outputs), len(places))
    totals = maps.sum(axis=2, keepdims=True, dtype=Wide)
    shares = np.where(totals > 0, maps / np.where(totals > 0, totals, 1), 0)
    distance = np.sqrt(((places[outputs][:, np.newaxis] - places) ** 2).sum(axis=2))
    flat, options = maps.reshape(3, -1), {"outputs": outputs, "channel_axis": shape.said}
    near = 1e-5 if maps.dtype == np.float32 else 1e-9
    _close(shown.influence_radius(flat, shape.sample, **options), (shares * distance).sum(axis=2), near, "radius")
    table = shown.influence_by_distance(flat, shape.sample, bin_width=None, **options)
    lengths = np.unique(distance)
    exact = [shares.mean(axis=0)[distance == x].mean() for x in lengths]
    _close(table["distance"], lengths, 1e-12, "distance")
    _close(table["influence"], exact, near, "influence")
    patch = int(trial.rng.integers(1, 4))
    labels = _pixel_labels(shape, patch)
    same = labels[outputs][:, np.newaxis] == labels
    share = shown.own_patch_share(flat, shape.sample, patch, **options)
    _close(share, (shares * same).sum(axis=2), near, "own_patch_share")


def _pixel_labels(shape: Shape, patch: int) -> np.ndarray:
    return reference.patches(_grid(shape), None, patch)[0]


def _entropy(trial: Trial, shape: Shape, samples: Samples) -> None:
    n_pixels = int(np.prod(_grid(shape)))
    maps = _maps(trial, 2, n_pixels)
    power = float(trial.choose(1, 2, 0.5))
    if power == 2 and not 1e-15 < maps.max() < 1e15:
        power = 1.0
    entropy = SpatialEntropy(shape.sample, channel_axis=shape.said, power=power)
    found = entropy.fit_transform(maps.reshape(3, -1))
    p = maps.astype(Wide) ** Wide(power)
    total = p.sum(axis=2, keepdims=True)
    p = np.where(total > 0, p / np.where(total > 0, total, 1), 0)
    exact = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=2)
    some = total[:, :, 0] > 0
    _close(np.asarray(found)[some], exact[some], 1e-5 if maps.dtype == np.float32 else 1e-9, "SpatialEntropy")


def _cka(trial: Trial, shape: Shape, samples: Samples) -> None:
    X = samples.values
    Y = X[:, :2] + trial.rng.standard_normal((len(X), 2)) * np.abs(X).max() / 2
    unbiased = trial.chance(0.5)
    if any(np.ptp(Z, axis=0).max() <= 1e-6 * np.abs(Z).max() for Z in (X, Y)):
        return
    found = shown.linear_cka(samples.X, Y, unbiased=unbiased)
    grams = []
    for Z in (X.astype(Wide), Y.astype(Wide)):
        Z = Z - Z.mean(axis=0)
        Z = Z / np.abs(Z).max()
        grams.append(Z @ Z.T)
    a, b = (_hsic(*pair, unbiased) for pair in ((grams[0], grams[0]), (grams[1], grams[1])))
    exact = _hsic(*grams, unbiased) / np.sqrt(a * b) if a > 1e-9 and b > 1e-9 else found
    narrow = samples.dtype in ("float16", "float32")
    if abs(found - exact) > (1e-3 if narrow else 1e-6):
        raise Failure(f"linear_cka {found:.9g}, not {float(exact):.9g}")


def _hsic(K: np.ndarray, L: np.ndarray, unbiased: bool) -> np.longdouble:
    n = len(K)
    if not unbiased:
        return (K * L).sum()
    total = Wide(0)
    K, L = K - np.diag(K.diagonal()), L - np.diag(L.diagonal())
    total = (K * L).sum() + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 * (K.sum(axis=0) @ L.sum(axis=0)) / (n - 2)
    return total / (n * (n - 3))


def _spectrum(trial: Trial, shape: Shape, samples: Samples) -> None:
    grid = _grid(shape)
    patch = int(trial.rng.integers(1, 4))
    labels, counts = reference.patches(grid, None, patch)
    mask = float(trial.rng.uniform(0, 0.95))
    sampling = str(trial.choose("bernoulli", "exact"))
    units = reference.single_units(counts)
    keep = min(max(round((1 - mask) * len(units)), 1), len(units))
    masks = reference.Masks(units, p=mask) if sampling == "bernoulli" else reference.Masks(units, keep=keep)
    found = shown.mask_power_spectrum(shape.sample, patch, mask, channel_axis=shape.said, mask_sampling=sampling)
    together = masks.two[np.ix_(labels, labels)].astype(float)
    waves = np.fft.fftn(np.eye(len(labels)).reshape(-1, *grid), axes=range(1, len(grid) + 1)).reshape(len(labels), -1)
    exact = np.einsum("pk,pq,qk->k", waves, together, waves.conj()).real
    _close(np.ravel(found), exact, 1e-9, "mask_power_spectrum")


# -- Jacobians ---------------------------------------------------------------------------------------------------------


def _model(trial: Trial, shape: Shape, samples: Samples) -> Any:
    k = int(trial.rng.integers(1, min(samples.values.shape) + 1))
    common = {"n_components": k, "channel_axis": shape.said, "image_shape": shape.sample}
    kind = trial.choose("mae", "mae", "dae", "ae")
    if kind == "mae":
        sampling = str(trial.choose("bernoulli", "exact"))
        model: Any = LinearMAE(**common, patch=int(trial.rng.integers(1, 4)), mask=0.5, mask_sampling=sampling)
    else:
        model = (
            LinearDAE(**common, noise_std=min(float(np.ptp(samples.values)), 1e150) or 1.0)
            if kind == "dae"
            else LinearAE(**common)
        )
    return model.fit(samples.values)


def _jacobian(trial: Trial, shape: Shape, samples: Samples) -> None:
    """Finite differences of `reconstruct`, which is linear: exact but for rounding."""
    model = _model(trial, shape, samples)
    grid, d = _grid(shape), samples.values.shape[1]
    labels = reference.patches(shape.sample, shape.channel_axis, model.patch_)[0]
    visible = None
    if trial.chance(0.5):
        visible = trial.rng.random(int(labels.max()) + 1) < 0.6
    n_pixels = int(np.prod(grid))
    outputs = trial.rng.permutation(n_pixels)[: trial.rng.integers(1, n_pixels + 1)]
    from sklearn.frozen import FrozenEstimator

    basis = JacobianBasis(FrozenEstimator(model), outputs=outputs, visible=visible).fit(samples.X)
    found = basis.jacobian(samples.X)
    step = float(np.ptp(samples.values)) or 1.0
    base = np.repeat(model.mean_[np.newaxis], d, axis=0)
    moved = model.reconstruct(base + step * np.eye(d), visible) - model.reconstruct(base, visible)
    pixel_of = reference.patches(shape.sample, shape.channel_axis, 1)[0]
    rows = np.concatenate([np.flatnonzero(pixel_of == pixel) for pixel in outputs])
    exact = (moved / step).T[rows]
    size = 1 + np.abs(model.mean_).max() / step
    near = 1e-4 if samples.dtype not in ("float64", "longdouble", "uint64", "int64", "int32", "uint32") else 1e-9
    _close(found, np.broadcast_to(exact, (len(samples.values), *exact.shape)), near * size, "jacobian", size=1)
    exact_maps = np.zeros((len(outputs), n_pixels))
    for i, pixel in enumerate(outputs):
        for other in range(n_pixels):
            exact_maps[i, other] = np.abs(exact[np.ix_(pixel_of[rows] == pixel, pixel_of == other)]).sum()
    _close(basis.transform(samples.X)[0], exact_maps.ravel(), near * size, "transform", size=1)
    svd = basis.basis(samples.X, 1)
    _close(svd.S[0, 0], np.linalg.svd(exact, compute_uv=False)[0], near * size, "basis", size=1)


def _linearized(trial: Trial, shape: Shape, samples: Samples) -> None:
    """Exact for linear models with Bernoulli masks (Lemma 1)."""
    model = LinearMAE(
        int(trial.rng.integers(1, min(samples.values.shape) + 1)),
        mask=float(trial.rng.uniform(0, 0.9)),
        patch=int(trial.rng.integers(1, 4)),
        channel_axis=shape.said,
        image_shape=shape.sample,
    ).fit(samples.values)
    found = shown.linearized_loss(model, samples.X)
    exact = -model.score(samples.values)
    size = float(np.square(samples.values).max())
    if abs(found - exact) > 1e-9 * max(abs(exact), 1e-6 * size):
        raise Failure(f"linearized_loss {found:.12g}, -score {exact:.12g}")


def _similarity(trial: Trial, shape: Shape, samples: Samples) -> None:
    J = trial.rng.standard_normal((4, 3, 5))
    if trial.chance(0.3):
        J[int(trial.rng.integers(4)), 1] = 0
    if trial.chance(0.3):
        J = J * 10 ** trial.rng.uniform(-250, 250)
    found = shown.basis_similarity(J)
    exact = []
    for row in range(3):
        some = [v / np.linalg.norm(v) for v in (J[:, row] / np.abs(J).max()) if np.any(v)]
        exact.append(np.mean([u @ v for i, u in enumerate(some) for j, v in enumerate(some) if i != j]))
    _close(found, exact, 1e-9, "basis_similarity")


# -- pictures ----------------------------------------------------------------------------------------------------------


def _display(trial: Trial, shape: Shape, samples: Samples) -> None:
    """They draw, whatever comes in."""
    grid = _grid(shape)
    said: dict[str, Any] = {"channel_axis": shape.said}
    which = trial.choose("autocorrelation", "components", "influence", "jacobian", "reconstruction", "entropy", "mask")
    trial.note(display=which)
    trial.cell(f"display of {which}", samples.dtype, samples.layout)
    if which == "autocorrelation":
        shown.AutocorrelationDisplay.from_samples(samples.X, shape.sample, **said).plot()
    elif which == "mask":
        shown.MaskSpectrumDisplay.from_mask(shape.sample, patch=1, mask=0.5, **said)
    elif len(grid) <= 2 or which in ("influence", "entropy"):
        model = _model(trial, shape, samples)
        kind = {
            "components": lambda: shown.ComponentsDisplay.from_estimator(model),
            "influence": lambda: shown.InfluenceDisplay.from_estimator(model, samples.X),
            "jacobian": lambda: shown.JacobianDisplay.from_estimator(model, samples.X, n_samples=2),
            "reconstruction": lambda: shown.ReconstructionDisplay.from_estimator(model, samples.X, n_samples=3),
            "entropy": lambda: shown.SpatialEntropyDisplay.from_estimator(model, samples.X),
        }[str(which)]
        display = kind()
        display.figure_.canvas.draw()
