"""Influence, autocorrelation, spectra, CKA and the linearized loss against formulas, brute force and sampling."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearAE, LinearDAE, LinearMAE
from skmae.datasets import make_ising
from skmae.inspection import (
    influence_by_distance,
    influence_radius,
    linear_cka,
    linearized_loss,
    mask_power_spectrum,
    own_patch_share,
    spatial_autocorrelation,
)
from skmae.masking import Blocks, Stripes, Tubes, resolve_sampler

# -- influence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "outputs"), [((7,), "all"), ((4, 5), [3, 17]), ((3, 2, 4), "grid")])
def test_influence_by_brute_force(shape, outputs, rng):
    n_pixels = int(np.prod(shape))
    where = list(np.ndindex(*shape))
    pixels = range(n_pixels) if outputs == "all" else outputs
    if outputs == "grid":
        pixels = range(n_pixels)  # 3, 2 and 4 pixels: every one of them
    maps = rng.random((3, len(pixels), n_pixels))
    values, patches, distances = {}, np.zeros((3, len(pixels))), np.zeros((3, len(pixels)))
    for s, (i, o), p in product(range(3), enumerate(pixels), range(n_pixels)):
        share = maps[s, i, p] / maps[s, i].sum()
        distance = np.linalg.norm(np.subtract(where[o], where[p]))
        values.setdefault(round(distance, 9), []).append(share)
        distances[s, i] += share * distance
        patches[s, i] += share * (tuple(np.array(where[o]) // 2) == tuple(np.array(where[p]) // 2))
    flat = maps.reshape(3, -1)
    given_shape = {"image_shape": shape, "outputs": outputs, "channel_axis": None}
    table = influence_by_distance(flat, bin_width=None, **given_shape)
    assert_allclose(table["distance"], sorted(values))
    assert_allclose(table["influence"], [np.mean(values[d]) for d in sorted(values)])
    assert_allclose(table["influence"] @ table["n_pairs"], len(pixels))
    assert_allclose(influence_radius(flat, **given_shape), distances)
    assert_allclose(own_patch_share(flat, patch=2, **given_shape), patches)
    binned = influence_by_distance(flat, bin_width=2, **given_shape)
    assert len(binned) < len(table)
    assert_allclose(binned["influence"] @ binned["n_pairs"], len(pixels))


def test_what_is_known_of_linear_autoencoders():
    """The whole AE is the identity, a DAE is wider, an MAE looks beyond its patch."""
    X = np.cumsum(np.random.default_rng(0).normal(size=(4000, 16)), axis=1)
    line = {"image_shape": (16,)}
    models = [LinearAE(**line), LinearDAE(noise_std=1.0, **line)]
    models += [LinearMAE(patch=4, mask=mask, **line) for mask in (0.5, 0.9)]
    maps = [JacobianBasis(model, outputs="all").fit(X).transform(X[:1]) for model in models]
    radius = [influence_radius(m, (16,)).mean() for m in maps]
    assert radius == sorted(radius)
    assert radius[0] < 1e-6
    shares = [own_patch_share(m, (16,), 4).mean() for m in maps]
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(
    ("maps", "kwargs", "message"),
    [
        (np.ones((1, 10)), {}, "maps has 10 columns; 16 outputs on a grid of"),
        (-np.ones((1, 256)), {}, "maps holds negative values"),
        (np.full((1, 256), np.nan), {}, "Input maps contains NaN"),
        (np.ones((1, 16)), {"outputs": [16]}, "outside the grid"),
        (np.ones((1, 256)), {"bin_width": 0}, "bin_width=0 must be above 0"),
        (np.ones((1, 256)), {"bin_width": "a"}, "bin_width='a' must be above 0"),
        (np.ones((1, 32)), {"outputs": [[1, 2], [1]]}, "does not name pixels"),
    ],
)
def test_influence_of_bad_maps(maps, kwargs, message):
    with pytest.raises(ValueError, match=message):
        influence_by_distance(maps, (4, 4), **kwargs)


def test_a_map_of_zeros_has_no_influence():
    assert influence_radius(np.zeros((1, 16)), (4, 4), outputs="center")[0, 0] == 0
    assert own_patch_share(np.zeros((1, 16)), (4, 4), 2, outputs="center")[0, 0] == 0


# -- autocorrelation --------------------------------------------------------------------------------------------


def brute_autocorrelation(f, seen):
    """Of standardised samples (n, channels, *grid), at every lag."""
    grid = f.shape[2:]
    out = np.full([2 * s - 1 for s in grid], np.nan)
    for lag in np.ndindex(*out.shape):
        shift = np.subtract(lag, np.subtract(grid, 1))
        total, count = 0.0, 0
        for p in np.ndindex(*grid):
            q = tuple(np.add(p, shift))
            if all(0 <= a < b for a, b in zip(q, grid, strict=True)):
                both = seen[(slice(None), *p)] & seen[(slice(None), *q)]
                total += (f[(slice(None), slice(None), *p)] * f[(slice(None), slice(None), *q)] * both[:, None]).sum()
                count += both.sum() * f.shape[1]
        out[lag] = total / count if count else np.nan
    return out


@pytest.mark.parametrize("masked", ["no", "shared", "each"])
@pytest.mark.parametrize(("shape", "axis"), [((9,), None), ((4, 5), None), ((5, 4, 2), 2), ((3, 3, 4), None)])
def test_autocorrelation_by_brute_force(shape, axis, masked, rng):
    X = rng.normal(3, 2, (5, *shape)) + np.arange(shape[-1])
    grid = shape if axis is None else shape[:-1]
    n = {"no": None, "shared": 1, "each": 5}[masked]
    visible = None if n is None else rng.random((n, *grid)) < 0.4
    seen = np.ones((5, *grid), bool) if visible is None else np.broadcast_to(visible, (5, *grid))
    channels = X[:, np.newaxis] if axis is None else np.moveaxis(X, -1, 1)
    f = np.empty_like(channels)
    for c in range(channels.shape[1]):
        values = channels[:, c][seen]
        f[:, c] = (channels[:, c] - values.mean()) / values.std()
    expected = brute_autocorrelation(f, seen)
    ours = spatial_autocorrelation(X, shape, channel_axis=axis, visible=visible, radial=False)
    assert_allclose(ours, expected, atol=1e-10)
    assert_allclose(ours[tuple(s - 1 for s in grid)], 1)
    table = spatial_autocorrelation(X, shape, channel_axis=axis, visible=visible, bin_width=None)
    lags = np.indices(expected.shape).reshape(len(grid), -1).T - np.subtract(grid, 1)
    near = np.isclose((lags**2).sum(axis=1), 1)
    kept = np.isfinite(expected.ravel()) & near
    row = table[np.isclose(table["distance"], 1)]
    if masked == "no":
        pairs = [(np.prod(grid) // grid[np.argmax(np.abs(lag))]) * (grid[np.argmax(np.abs(lag))] - 1) for lag in lags]
        weights = np.array(pairs)[kept]
        assert_allclose(row["correlation"], np.average(expected.ravel()[kept], weights=weights))
    assert table["distance"].iloc[0] == 0
    assert_allclose(table["correlation"].iloc[0], 1)


def test_autocorrelation_of_white_noise_a_cosine_and_a_chain(rng):
    noise = spatial_autocorrelation(rng.normal(size=(500, 16, 16)), radial=False)
    noise[15, 15] = 0
    assert np.abs(noise[5:-5, 5:-5]).max() < 0.02
    phase = rng.uniform(0, 2 * np.pi, (4000, 1))
    wave = np.cos(2 * np.pi * np.arange(20) / 8 + phase)
    R = spatial_autocorrelation(wave, (20,), radial=False)
    assert_allclose(R, np.cos(2 * np.pi * np.arange(-19, 20) / 8), atol=0.05)
    chain = spatial_autocorrelation(make_ising(50_000, 12, coupling=0.7, random_state=0), (12,), bin_width=None)
    assert_allclose(chain["correlation"], np.tanh(0.7) ** np.arange(12), atol=0.02)


def test_autocorrelation_of_8_bits_and_of_a_constant_channel(rng):
    X = rng.integers(0, 256, (300, 6, 6, 3)).astype(np.uint8)
    wide = spatial_autocorrelation(X.astype(float))
    assert_allclose(spatial_autocorrelation(X), wide)
    X[..., 1] = 7
    two = spatial_autocorrelation(X[..., [0, 2]], channel_axis=2)
    assert_allclose(spatial_autocorrelation(X), two)


@pytest.mark.parametrize(
    ("X", "kwargs", "message"),
    [
        (np.ones((3, 4, 4)), {}, "X is constant"),
        (np.full((3, 4, 4), np.nan), {}, "contains NaN"),
        (np.eye(4), {"image_shape": (5,)}, "image_shape"),
        (np.eye(16), {"visible": np.ones(5, bool)}, r"visible has shape \(5,\)"),
        (np.empty((0, 16)), {}, "0 sample"),
        (np.eye(16), {"visible": np.zeros((4, 4), bool)}, "visible is False everywhere"),
    ],
)
def test_autocorrelation_of_bad_input(X, kwargs, message):
    with pytest.raises(ValueError, match=message):
        spatial_autocorrelation(X, **kwargs)


# -- spectra ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["bernoulli", "exact"])
@pytest.mark.parametrize(("shape", "patch"), [((12,), 3), ((10,), 4), ((6, 8), (2, 3)), ((4, 2, 5), 2)])
def test_spectrum_of_masks_by_all_masks_and_by_sampling(shape, patch, sampling):
    kwargs = {"patch": patch, "mask": 0.6, "mask_sampling": sampling, "channel_axis": None}
    expected = mask_power_spectrum(shape, **kwargs)
    sampled = mask_power_spectrum(shape, n_samples=20_000, random_state=0, **kwargs)
    assert_allclose(sampled, expected, atol=0.03 * expected.ravel()[1:].max(), rtol=0.03)
    sizes = np.broadcast_to(patch, len(shape))
    along = [np.arange(s) // p for s, p in zip(shape, sizes, strict=True)]
    counts = [a.max() + 1 for a in along]
    patch_of = np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), counts)
    n = int(np.prod(counts))
    if n > 12:
        return
    masks = np.array(list(product([0, 1], repeat=n)))
    shown = masks.sum(axis=1)
    K = min(max(round(0.4 * n), 1), n)
    weights = 0.4**shown * 0.6 ** (n - shown) if sampling == "bernoulli" else (shown == K) / np.sum(shown == K)
    power = np.abs(np.fft.fftn(masks[:, patch_of], axes=range(1, 1 + len(shape)))) ** 2
    assert_allclose(expected, np.tensordot(weights, power, 1), atol=1e-9 * expected.max())


class OneOf:
    """A few masks, each as likely as the others."""

    def __init__(self, masks):
        self.masks = masks

    def __call__(self, n_samples, _grid, _mask, random_state):
        return self.masks[random_state.randint(len(self.masks), size=n_samples)]

    def moments(self, *_):
        visible = self.masks.astype(float)
        return visible.mean(axis=0), visible.T @ visible / len(visible)


@pytest.mark.parametrize(("shape", "patch"), [((10,), 4), ((6, 8), (2, 3)), ((7, 5), 2), ((4, 2, 5), 2)])
def test_spectrum_of_a_sampler_is_the_mean_over_its_masks(shape, patch, rng):
    along = [np.arange(s) // p for s, p in zip(shape, np.broadcast_to(patch, len(shape)), strict=True)]
    patch_of = np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), [a.max() + 1 for a in along])
    masks = rng.random((5, patch_of.max() + 1)) < rng.random(patch_of.max() + 1)
    power = np.abs(np.fft.fftn(masks[:, patch_of], axes=range(1, 1 + len(shape)))) ** 2
    expected = mask_power_spectrum(shape, patch, channel_axis=None, mask_sampling=OneOf(masks))
    assert_allclose(expected, power.mean(axis=0), atol=1e-9 * expected.max())


@pytest.mark.parametrize("kind", ["bernoulli", "exact"])
def test_spectrum_of_equal_pairs_is_that_of_the_sum_over_pairs(kind):
    named = resolve_sampler(kind)

    def other(*given):
        return named(*given)

    other.moments = named.moments
    for patch in (4, 5):
        ours, by_pairs = (mask_power_spectrum((12, 15), patch, 0.6, mask_sampling=s) for s in (kind, other))
        assert_allclose(ours, by_pairs, atol=1e-9 * ours.max())


def all_but_one(n_samples, grid, *_):
    """One patch after the other hidden."""
    return ~np.eye(grid.n_patches, dtype=bool)[np.arange(n_samples) % grid.n_patches]


@pytest.mark.parametrize("sampler", [Stripes(axis=1), Tubes(sampling="bernoulli"), Blocks(size=2), all_but_one])
def test_spectrum_of_a_sampler_is_near_that_of_masks_drawn(sampler):
    expected = mask_power_spectrum((9, 12), 3, 0.6, mask_sampling=sampler)
    drawn = mask_power_spectrum((9, 12), 3, 0.6, mask_sampling=sampler, n_samples=20_000, random_state=0)
    assert_allclose(drawn, expected, rtol=0.05, atol=0.03 * expected.ravel()[1:].max())


def test_a_sampler_on_too_many_patches_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"16384 x 16384 pairs of patches.*n_samples=1000"):
        mask_power_spectrum((128, 128), 1, mask_sampling=Stripes())
    drawn = mask_power_spectrum((128, 128), 1, mask_sampling=Stripes(), n_samples=2, random_state=0)
    assert drawn[0, 0] == pytest.approx(32**2 * 128**2)
    assert mask_power_spectrum((1024, 1024), 1)[0, 0] > 0
    with pytest.raises(ValueError, match="An object is needed, not its class"):
        mask_power_spectrum((8, 8), 2, mask_sampling=Stripes)


def test_spectrum_at_the_limits():
    nothing = mask_power_spectrum((8, 8, 3), 2, 0.0)
    assert nothing.shape == (8, 8)
    assert nothing[0, 0] == 64**2
    assert_allclose(nothing.ravel()[1:], 0, atol=1e-9)
    one = mask_power_spectrum((8,), 8, 0.5, mask_sampling="exact")
    assert_allclose(one, [64, *[0] * 7], atol=1e-9)
    with pytest.raises(ValueError, match="'mask' parameter of mask_power_spectrum"):
        mask_power_spectrum((8, 8), 2, 1.0)
    with pytest.raises(ValueError, match="patch"):
        mask_power_spectrum((8, 8), (2, 2, 2))


# -- CKA --------------------------------------------------------------------------------------------------------


def brute_hsic(X, Y, unbiased):
    n = len(X)
    K, L = X @ X.T, Y @ Y.T
    if not unbiased:
        H = np.eye(n) - 1 / n
        return np.trace(K @ H @ L @ H) / (n - 1) ** 2
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    one = np.ones(n)
    terms = np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / (n - 1) / (n - 2) - 2 / (n - 2) * (one @ K @ L @ one)
    return terms / n / (n - 3)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("widths", [(3, 4), (40, 30)])
def test_cka_by_kernels(unbiased, widths, rng):
    X = rng.normal(1, 1, (12, widths[0]))
    Y = np.tanh(X @ rng.normal(size=widths) / widths[0]) + 2
    hsic = {
        pair: brute_hsic(*pair_of, unbiased) for pair, pair_of in {"xy": (X, Y), "xx": (X, X), "yy": (Y, Y)}.items()
    }
    expected = hsic["xy"] / np.sqrt(hsic["xx"] * hsic["yy"])
    assert linear_cka(X, Y, unbiased=unbiased) == pytest.approx(expected, rel=1e-9)
    batches = [slice(0, 5), slice(5, 10)]  # the last two samples are too few for the unbiased form
    if unbiased:
        sums = [sum(brute_hsic(a[b], c[b], True) for b in batches) for a, c in ((X, Y), (X, X), (Y, Y))]
        assert linear_cka(X, Y, batch_size=5) == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), rel=1e-9)


@given(st.integers(0, 1000), st.booleans(), st.floats(1e-3, 1e3))
def test_cka_does_not_see_rotation_scale_and_offset(seed, unbiased, scale):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(10, 4)), rng.normal(size=(10, 3))
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert linear_cka(X, X, unbiased=unbiased) == pytest.approx(1)
    assert linear_cka(X, scale * X @ rotation + 3, unbiased=unbiased) == pytest.approx(1)
    before = linear_cka(X, Y, unbiased=unbiased)
    assert linear_cka(scale * X @ rotation - 2, Y, unbiased=unbiased) == pytest.approx(before)
    assert linear_cka(Y, X, unbiased=unbiased) == pytest.approx(before)


def test_unbiased_cka_of_unrelated_wide_features_is_near_zero(rng):
    X, Y = rng.normal(size=(100, 2000)), rng.normal(size=(100, 2000))
    assert abs(linear_cka(X, Y)) < 0.1
    assert linear_cka(X, Y, unbiased=False) > 0.9


@pytest.mark.parametrize("unbiased", [True, False])
def test_cka_of_constant_features_is_zero(unbiased, rng):
    X = rng.normal(size=(20, 3))
    constant = np.full((20, 2), 0.1)
    assert linear_cka(X, constant, unbiased=unbiased) == 0
    assert linear_cka(constant, constant, unbiased=unbiased) == 0
    assert linear_cka(np.column_stack([X, constant]), X, unbiased=unbiased) == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "other", "kwargs", "message"),
    [
        (5, 6, {}, "X has 5 samples and Y 6"),
        (3, 3, {}, "3 samples in batches of None: 4 of each are needed"),
        (9, 9, {"batch_size": 3}, "9 samples in batches of 3: 4"),
    ],
)
def test_cka_of_bad_input(n, other, kwargs, message):
    with pytest.raises(ValueError, match=message):
        linear_cka(np.ones((n, 2)), np.ones((other, 2)), **kwargs)


# -- linearized loss --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("patch", [2, 3, 4])
@pytest.mark.parametrize("mask", [0.0, 0.3, 0.75])
def test_linearized_loss_is_exact_for_linear_models(mask, patch, colours):
    mae = LinearMAE(5, mask=mask, patch=patch).fit(colours)
    expected = -mae.score(colours)
    assert linearized_loss(mae, colours) == pytest.approx(expected)
    assert linearized_loss(FrozenEstimator(mae), colours.reshape(60, -1)) == pytest.approx(expected)
    dae = LinearDAE(5).fit(colours)
    by_masks = LinearMAE(5, mask=0.5, patch=patch).fit(colours)
    by_masks.components_, by_masks.decoder_, by_masks.mean_ = dae.components_, dae.decoder_, dae.mean_
    assert linearized_loss(dae, colours, mask=0.5, patch=patch) == pytest.approx(-by_masks.score(colours))


def loss_over_all_masks(f, X, patch_of, q, rescale):
    masks = np.array(list(product([0, 1], repeat=patch_of.max() + 1)))
    weights = (q**masks * (1 - q) ** (1 - masks)).prod(axis=1)
    losses = [((x - f(x * masks[:, patch_of] / (q if rescale else 1))) ** 2).mean(axis=1) for x in X]
    return np.mean(losses @ weights)


@pytest.mark.parametrize("rescale", [True, False])
def test_error_of_the_linearized_loss_halves_with_the_non_linear_part(rescale, rng):
    torch = pytest.importorskip("torch")
    from skmae.inspection import TorchAutoencoder

    A, C = rng.normal(size=(2, 8, 8)) / 4
    X = rng.normal(size=(3, 8))
    errors = []
    for epsilon in (0.004, 0.002, 0.001):
        weights = [torch.from_numpy(W) for W in (A, C)]

        def rebuild(x, weights=weights, epsilon=epsilon):
            return x @ weights[0] + epsilon * torch.tanh(2 * x @ weights[1])

        def same(x, epsilon=epsilon):
            return x @ A + epsilon * np.tanh(2 * x @ C)

        adapter = TorchAutoencoder(rebuild, patch=2, image_shape=(8,)).fit(X)
        expected = loss_over_all_masks(same, X, np.arange(8) // 2, 0.6, rescale)
        errors.append(linearized_loss(adapter, X, mask=0.4, rescale=rescale) - expected)
    ratios = np.divide(errors[:-1], errors[1:])
    assert (np.abs(ratios - 2) < 0.1).all(), errors


def test_linearized_loss_of_a_vit_is_that_of_its_finite_differences(colours, make_vit):
    mae = make_vit(normalize_target=False).fit(colours)
    X, mean = colours[:2], mae.mean_
    z = X - mean
    h, total = 1e-6, 0.0
    f = mae.reconstruct
    for part in np.ndindex(2, 2):
        own = np.zeros_like(z)
        rows, columns = (slice(4 * i, 4 * i + 4) for i in part)
        own[:, rows, columns] = z[:, rows, columns]
        total += (((f(X + h * own) - f(X - h * own)) / (2 * h)) ** 2).sum()
    expected = (((X - f(X)) ** 2).sum() + 0.25 / 0.75 * total) / X.size
    assert linearized_loss(mae, X, mask=0.25) == pytest.approx(expected, rel=1e-6)


def test_linearized_loss_needs_a_mask(colours):
    with pytest.raises(ValueError, match=r"mask=None must be a share.*LinearAE has none of its own"):
        linearized_loss(LinearAE(3).fit(colours), colours)
    with pytest.raises(ValueError, match="mask=1 must be a share"):
        linearized_loss(LinearAE(3).fit(colours), colours, mask=1)


def test_linearized_loss_refuses_samples_of_another_shape(colours):
    mae = LinearMAE(5, patch=4).fit(colours)
    with pytest.raises(ValueError, match=r"samples of X have shape \(3, 8, 8\), but LinearMAE was fitted on"):
        linearized_loss(mae, np.moveaxis(colours, 3, 1))
    with pytest.raises(ValueError, match="X has 96 features, but LinearMAE is expecting 192"):
        linearized_loss(mae, colours.reshape(60, -1)[:, :96])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        linearized_loss(mae, np.full((1, 192), np.nan))


def test_linearized_loss_of_a_table_and_by_blocks_of_patches(colours):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(colours.reshape(60, -1)).rename(columns=str)
    mae = LinearMAE(5, patch=1, mask=0.5).fit(table)
    expected = -mae.score(table)
    assert linearized_loss(mae, table) == pytest.approx(expected)
    with config_context(working_memory=0.05):
        assert linearized_loss(mae, table) == pytest.approx(expected)
