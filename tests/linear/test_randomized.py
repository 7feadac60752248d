"""solver="randomized" against exact solvers: the loss to its tolerance, in few passes, for any data and masks."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skmae import LinearAE, LinearDAE, LinearMAE, Moments
from skmae._grid import PatchGrid
from skmae._samples import Samples
from skmae.datasets import load_photo_patches
from skmae.linear import Corruption, _randomized, _solvers
from skmae.linear._losses import HiddenFeatures
from skmae.linear._problem import Problem, Summary
from skmae.linear._solvers import choose_solver, solve
from skmae.masking import Blocks

GRID = PatchGrid.build((9, 14), None, 3)  # 126 features; the last patches are smaller
D = GRID.n_features


class Rows:
    """Data at hand."""

    is_float32, has_rows, is_complete = False, True, True

    def __init__(self, X, weights=None):
        self.X, self.weights = X, weights
        self.n_rows, self.n_features = X.shape

    def summary(self, dtype):
        return Summary.using_up(Moments.from_data(self.X, sample_weight=self.weights, dtype=dtype))

    def samples(self):
        return Samples(self.X), self.weights


@pytest.fixture
def passes(monkeypatch):
    """Rows read from samples, by their number, since this was last looked at."""
    read, blocks = [0.0], Samples.blocks

    def counted(self, *args):
        for rows, block in blocks(self, *args):
            read[0] += len(block) / len(self)
            yield rows, block

    def count():
        found, read[0] = read[0], 0.0
        return round(found, 9)

    monkeypatch.setattr(Samples, "blocks", counted)
    return count


def correlated(rng, n, d=D):
    return rng.normal(size=(n, d)) * np.linspace(1, 3, d) @ rng.normal(size=(d, d)) / 10 + 5 * rng.normal(size=d)


def smooth(rng, n, sigma=2, shape=(24, 24)):
    return np.stack([gaussian_filter(rng.normal(size=shape), sigma) for _ in range(n)])


def assert_within(ours, exact, tolerance=_randomized.TOLERANCE):
    assert (ours.solver, exact.solver) == ("randomized", "eigh")
    assert -1e-9 < ours.expected_loss / exact.expected_loss - 1 <= tolerance
    assert_allclose(ours.eigenvalues, exact.eigenvalues, atol=0.01 * exact.eigenvalues[0])
    assert_allclose(ours.mean, exact.mean, rtol=1e-12)
    assert_allclose(ours.decoder.T @ ours.decoder, np.eye(ours.n_components), atol=1e-12)


CORRUPTIONS = {
    "nothing": Corruption(),
    "scale alone": Corruption(across=2.0),
    "patches": Corruption.bernoulli(0.75).with_groups(GRID.patch_of_feature),
    "exact count": Corruption.exact(4, 15).with_groups(GRID.patch_of_feature),
    "all at once": Corruption(within=3.0, groups=np.zeros(D, int)),
    "a weight for each group": Corruption(0.8, within=np.linspace(0.2, 3, 15), groups=GRID.patch_of_feature),
    "features": Corruption(within=0.5),
    "noise alone": Corruption(noise=0.7, across=1.5),
    "noise and groups": Corruption(within=0.5, noise=0.7, groups=GRID.patch_of_feature),
    "noise where nothing else": Corruption(within=np.r_[0.0, np.ones(14)], noise=2.0, groups=GRID.patch_of_feature),
    "one large group": Corruption(within=1.0, groups=np.maximum(np.arange(D) - 100, 0)),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize(("n", "weighted"), [(60, True), (400, False)])
def test_the_loss_is_within_the_tolerance_of_the_least_for_any_corruption(name, n, weighted, rng):
    X = correlated(rng, n)
    X[:, [3, 10, 40]] = 1e3 + 0.1
    weights = rng.integers(0, 4, n).astype(float) if weighted else None
    problem = Problem(GRID, CORRUPTIONS[name], n_components=5, solver="randomized", random_state=0)
    ours = solve(problem, Rows(X, weights))
    assert_within(ours, solve(replace(problem, solver="eigh"), Rows(X, weights)))
    errors = problem.expected_error(X - ours.mean, ours.components, ours.decoder)
    assert_allclose(np.average(errors, weights=weights) / D, ours.expected_loss, rtol=1e-9)
    assert not ours.components[:, [3, 10, 40]].any()
    assert not ours.decoder[[3, 10, 40]].any()


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("model", [LinearMAE(6, patch=4), LinearMAE(6, patch=4, mask=0.2), LinearAE(6)])
def test_what_the_loss_is_estimated_to_lack_is_no_less_than_it_does(model, tolerance, monkeypatch):
    monkeypatch.setattr(_randomized, "TOLERANCE", tolerance)
    images = load_photo_patches(400, size=12, random_state=0).images / 255.0
    ours, exact = (fitted(model, images, solver=solver) for solver in ("randomized", "eigh"))
    assert -1e-9 < ours.expected_loss_ / exact.expected_loss_ - 1 <= tolerance


def fitted(model, X, weights=None, **parameters):
    parameters = {"random_state": 0, **parameters}
    return type(model)(**{**model.get_params(), **parameters}).fit(X, sample_weight=weights)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("model", [LinearMAE(8, patch=4), LinearMAE(8, patch=4, mask=0.9, whiten=True), LinearAE(8)])
def test_any_type_of_numbers(model, dtype):
    images = load_photo_patches(400, size=12, random_state=0).images.astype(dtype)
    ours, exact = (fitted(model, images, solver=solver) for solver in ("randomized", "eigh"))
    assert -1e-9 < ours.expected_loss_ / exact.expected_loss_ - 1 <= 1e-4
    assert_allclose(-ours.score(images), ours.expected_loss_, rtol=1e-9)


def test_sums_of_many_8_bit_samples_are_exact(rng):
    X = np.where(rng.random((6000, 1, 1)) < 0.5, 255, 3 * np.arange(6)) - rng.integers(0, 2, (6000, 6, 6))
    X = X.clip(0, 255).astype(np.uint8)
    ours, exact = (fitted(LinearMAE(3, patch=2), X, solver=solver) for solver in ("randomized", "eigh"))
    assert -1e-9 < ours.expected_loss_ / exact.expected_loss_ - 1 <= 1e-4
    assert_allclose(-ours.score(X), ours.expected_loss_, rtol=1e-9)


def test_the_mean_is_subtracted_with_all_its_digits(rng):
    """Of whole numbers so far from zero that float32 holds them, but no mean of them."""
    X = np.rint(8 * smooth(rng, 300, 1, (12, 12))).astype(np.float32)
    near, far = (fitted(LinearMAE(5, patch=3), Y, solver="randomized") for Y in (X, X + np.float32(2**23)))
    assert_allclose(far.mean_ - 2**23, near.mean_, rtol=1e-6)
    assert_allclose(far.expected_loss_, near.expected_loss_, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-100, 1e-16, 1e16, 1e120])
def test_units_do_not_count(scale, rng):
    X = correlated(rng, 100)
    for model in (LinearMAE(4, patch=3, image_shape=(9, 14)), LinearDAE(4, noise_std=0.5)):
        one = fitted(model, X, solver="randomized")
        if isinstance(model, LinearDAE):
            model = LinearDAE(4, noise_std=0.5 * scale)
        other = fitted(model, X * scale, solver="randomized")
        assert_allclose(other.expected_loss_ / scale**2, one.expected_loss_, rtol=1e-4)
        assert_allclose(other.decoder_.T @ other.decoder_, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("fault", ["duplicates", "few samples", "offset"])
def test_singular_patches(fault, rng):
    X = correlated(rng, 30 if fault == "few samples" else 300).reshape(-1, 9, 14)
    if fault == "duplicates":
        X[:, 1], X[:, :, 5] = X[:, 0], X[:, :, 4]
    if fault == "offset":
        X += 1e5
    for patch in (3, 7):
        model = LinearMAE(5, patch=patch)
        ours, exact = (fitted(model, X, solver=solver) for solver in ("randomized", "eigh"))
        assert -1e-8 < ours.expected_loss_ / exact.expected_loss_ - 1 <= 1e-4
        assert_allclose(-ours.score(X), ours.expected_loss_, rtol=1e-7)
        assert np.linalg.norm(ours.components_) < 1.01 * np.linalg.norm(exact.components_)  # the least norm


def test_fewer_directions_than_components(rng):
    X = correlated(rng, 8)
    ours = fitted(LinearMAE(8, patch=3, image_shape=(9, 14)), X, solver="randomized")
    exact = fitted(LinearMAE(8, patch=3, image_shape=(9, 14)), X, solver="eigh")
    assert_allclose(ours.eigenvalues_, exact.eigenvalues_, atol=1e-8 * exact.eigenvalues_[0])
    assert not ours.components_[7].any()
    assert_allclose(ours.decoder_.T @ ours.decoder_, np.eye(8), atol=1e-9)


@pytest.mark.parametrize("value", [57, 0.1])
def test_samples_that_are_all_equal_teach_nothing(value):
    model = fitted(LinearMAE(3, patch=2), np.full((40, 6, 6), value), solver="randomized")
    assert model.solver_ == "randomized"
    assert model.expected_loss_ == 0
    assert not model.components_.any()


def test_weights_are_repetitions(rng, monkeypatch):
    monkeypatch.setattr(_randomized, "NUMBERS_AT_A_TIME", 20 * D)  # some blocks have no weight at all
    X, weights = correlated(rng, 200).reshape(-1, 9, 14), rng.integers(0, 4, 200)
    weights[:45] = 0
    X[weights == 0] = 1e30
    model = LinearMAE(5, patch=3)
    weighted = fitted(model, X, weights, solver="randomized")
    repeated = fitted(model, np.repeat(X, weights, axis=0), solver="randomized")
    assert_allclose(weighted.expected_loss_, repeated.expected_loss_, rtol=1e-6)
    assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12)
    assert weighted.n_samples_seen_ == weights.sum()


# -- float32 -----------------------------------------------------------------------------------------------------


def test_float32_is_left_where_patches_are_too_smooth_for_it(rng):
    X = smooth(rng, 300).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = fitted(LinearMAE(6, patch=4), X, solver="randomized")
    exact = fitted(LinearMAE(6, patch=4), X.astype(np.float64), solver="eigh")
    assert model.expected_loss_ < (1 + 1e-4) * exact.expected_loss_
    assert_allclose(-model.score(X), model.expected_loss_, rtol=1e-6)


def test_what_was_found_in_float32_is_compared_with_float64(rng, monkeypatch):
    """And is not taken for what it seems to be, where patches are so smooth that float32 is far off."""
    monkeypatch.setattr(_randomized, "_RCOND_FOR_FLOAT32", 0)
    X = smooth(rng, 300, 3).astype(np.float32)
    model = fitted(LinearMAE(6, patch=4), X, solver="randomized")
    exact = fitted(LinearMAE(6, patch=4), X.astype(np.float64), solver="eigh")
    assert model.expected_loss_ < (1 + 1e-4) * exact.expected_loss_
    assert_allclose(-model.score(X), model.expected_loss_, rtol=1e-6)


# -- passes, memory, progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "most"), [(LinearMAE(16, patch=4), 13), (LinearMAE(16, patch=4, mask=0.95), 9), (LinearAE(16), 12)]
)
def test_passes(model, most, passes):
    """One for the mean, one to begin with, two a step, or one; the last for the residual alone, or for float64."""
    images = load_photo_patches(800, size=24, random_state=0).images
    fitted(model, images, solver="randomized")
    count = passes()
    assert 4 <= count <= most
    assert count == int(count)
    assert isinstance(model, LinearAE) or count % 2 == 0
    fitted(model, images.astype(np.float64), solver="randomized")
    assert passes() <= most  # a look for NaN, and no pass to compare with float64


@pytest.mark.parametrize("weighted", [False, True])
def test_memory_maps_and_hdf5_are_read_in_blocks(weighted, tmp_path, monkeypatch, rng):
    import h5py

    monkeypatch.setattr(_randomized, "NUMBERS_AT_A_TIME", 2**18)
    X = np.asarray(rng.integers(0, 256, (2000, 1, 32, 3)) + rng.integers(0, 20, (2000, 32, 32, 3)), np.uint16)
    weights = rng.random(2000) if weighted else None
    model = LinearMAE(2, patch=4)
    in_memory = fitted(model, X, weights, solver="randomized")
    np.save(tmp_path / "X.npy", X)
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file["X"] = X
        for values in (np.load(tmp_path / "X.npy", mmap_mode="r"), file["X"]):
            tracemalloc.start()
            found = fitted(model, values, weights, solver="randomized")
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert_array_equal(found.components_, in_memory.components_)
            assert peak < 0.6 * 4 * X.size  # X in float32 is 25 MB, S of float64 75 MB


def test_progress_is_shown_where_it_is_asked_for(capsys):
    images = load_digits().images
    fitted(LinearMAE(4, patch=2), images, solver="randomized")
    assert not capsys.readouterr().err
    fitted(LinearMAE(4, patch=2), images, solver="randomized", verbose=True)
    assert "samples" in capsys.readouterr().err


def test_random_state():
    images = load_digits().images
    same = [fitted(LinearMAE(4, patch=2), images, solver="randomized", random_state=7) for _ in range(2)]
    other = fitted(LinearMAE(4, patch=2), images, solver="randomized", random_state=8)
    assert_array_equal(same[0].components_, same[1].components_)
    assert not np.array_equal(same[0].components_, other.components_)
    assert_allclose(same[0].expected_loss_, other.expected_loss_, rtol=1e-4)


# -- what it refuses, and when it is taken -------------------------------------------------------------------------


def masked(**options):
    given = {"corruption": CORRUPTIONS["patches"], "n_components": 5, "solver": "randomized"}
    return Problem(GRID, **{**given, **options})


@pytest.mark.parametrize(
    ("problem", "has_rows", "match"),
    [
        (masked(), False, 'solver="randomized" reads all rows again and again, and complete ones'),
        (masked(loss=HiddenFeatures()), True, 'solver="randomized" knows loss="all" only.*use solver="auto"'),
        (masked(n_components=None), True, "n_components=None does not say how many. Pass an int"),
        (masked(n_components=0.9), True, "n_components=0.9 does not say how many. Pass an int"),
        (
            masked(corruption=Corruption(within=np.r_[0.0, np.ones(14)], groups=GRID.patch_of_feature)),
            True,
            "takes corruptions of all features or of none",
        ),
        (
            masked(corruption=Corruption.of_masks(Blocks(), GRID, 0.5)),
            True,
            'solver="randomized" takes masks that hide groups of patches.*use solver="auto"',
        ),
    ],
)
def test_what_it_refuses(problem, has_rows, match, monkeypatch):
    with pytest.raises(ValueError, match=match):
        choose_solver(problem, 200, has_rows=has_rows)
    monkeypatch.setattr(_solvers, "physical_memory", lambda: 0)
    assert choose_solver(replace(problem, solver="auto"), 200, has_rows=has_rows).name == "auto"


def test_samples_with_holes_are_refused():
    X = np.array(load_digits().images)
    X[3, 4, 5] = np.nan
    with pytest.raises(ValueError, match="complete ones, without NaN or masked entries"):
        LinearMAE(4, solver="randomized").fit(X)
    with pytest.raises(ValueError, match='solver="randomized" reads all rows'):
        LinearMAE(4, solver="randomized").partial_fit(load_digits().images)


def test_auto_takes_it_where_nothing_exact_fits_in_memory(monkeypatch):
    images = load_digits().images
    assert LinearMAE(4, patch=2).fit(images).solver_ == "cholesky"
    monkeypatch.setattr(_solvers, "physical_memory", lambda: 0)
    assert LinearMAE(4, patch=2).fit(images).solver_ == "cholesky"  # nothing fits: then rather an exact one
    exact = _solvers.SOLVERS["auto"].cost(masked(), 200).bytes
    monkeypatch.setattr(_solvers.Randomized, "cost", lambda *_: _solvers.Cost(1e30, exact / 2))
    monkeypatch.setattr(_solvers, "physical_memory", lambda: 0.6 * exact)
    assert LinearMAE(4, patch=2, image_shape=(9, 14)).fit(correlated(np.random.default_rng(0), 200)).solver_ == (
        "randomized"
    )
    assert LinearMAE(patch=2).fit(images).solver_ == "cholesky"  # which says itself how many components there are


@pytest.mark.parametrize(
    ("n", "gib", "name"), [(60_000, 24, "randomized"), (300_000, 2048, "auto"), (60_000, 256, "dual")]
)
def test_photographs_are_too_large_for_the_others(n, gib, name, monkeypatch):
    monkeypatch.setattr(_solvers, "physical_memory", lambda: gib * 2**30)
    grid = PatchGrid.build((224, 224, 3), 2, 16)
    problem = Problem(grid, Corruption.bernoulli(0.75).with_groups(grid.patch_of_feature), n_components=64)
    assert choose_solver(problem, n, has_rows=True).name == name


def test_who_stops_too_early_says_so(monkeypatch):
    monkeypatch.setattr(_randomized, "_MAX_STEPS", 1)
    images = load_photo_patches(300, size=16, random_state=0).images
    with pytest.warns(ConvergenceWarning, match=r"after 1 steps with a loss that is estimated to be within \d.*1e-04"):
        model = fitted(LinearMAE(8, patch=4, mask=0.3), images, solver="randomized")
    assert_allclose(-model.score(images), model.expected_loss_, rtol=1e-9)  # exact all the same
