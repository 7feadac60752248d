"""A network of one's own, as examples/howto/plot_own_network.py writes it, in all that DeepAutoencoder does."""

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from torch import nn

from skmae import JacobianBasis, ViTMAE, ViTMAEClassifier, ViTMAERegressor, probe_layers
from skmae.vit import DeepAutoencoder, PatchModule

EXAMPLE = Path(__file__).parents[2] / "examples" / "howto" / "plot_own_network.py"
SOURCE = EXAMPLE.read_text(encoding="utf-8").partition("# Train and use it")[0]  # network and estimator
NAMES: dict = {"__name__": "own_network"}
exec(compile(SOURCE, str(EXAMPLE), "exec"), NAMES)
ConvMAE, ConvNetwork = NAMES["ConvMAE"], NAMES["ConvNetwork"]
TINY = {"width": 6, "patch": 2, "max_epochs": 3, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    data = load_digits(n_class=3)
    return data.images[:120].astype(np.float32), data.target[:120]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Classes of the example can be pickled, and found by their fingerprint."""
    module = type(sys)("own_network")
    module.__dict__.update(NAMES)
    monkeypatch.setitem(sys.modules, "own_network", module)


def weights(estimator):
    return {name: value.numpy().copy() for name, value in estimator.net_.module_.state_dict().items()}


def assert_same_weights(a, b):
    a, b = (x if isinstance(x, dict) else weights(x) for x in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        assert_array_equal(a[name], b[name], err_msg=name)


def test_it_is_short():
    lines = [line for line in SOURCE.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 80


@parametrize_with_checks([ConvMAE(width=4, max_epochs=1)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scikit_learn_checks_with_masks_of_unequal_counts():
    results = check_estimator(ConvMAE(width=4, max_epochs=1, mask_sampling="bernoulli", mask=0.5), on_fail=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []


def test_partial_fit_pickle_and_copy(digits):
    X, _ = digits
    whole, parts = ConvMAE(**TINY).fit(X), ConvMAE(**TINY)
    for _ in range(3):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X)))
    assert_same_weights(whole, parts)
    assert_array_equal(copy.copy(whole).transform(X), whole.transform(X))


SCRIPT = """
import os, signal, sys
import numpy as np
from skorch.callbacks import Callback
folder, out, kill = sys.argv[1], sys.argv[2], sys.argv[3] == "kill"
sys.path.insert(0, os.path.dirname(sys.argv[4]))
from own_network import ConvMAE
import torch; torch.set_num_threads(1)

class Reaper(Callback):
    def on_batch_end(self, net, **kwargs):
        if kill and len(net.history) == 3 and len(net.history[-1]["batches"]) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

X = np.random.default_rng(0).random((40, 8, 8)).astype(np.float32)
mae = ConvMAE(**eval(sys.argv[5]), checkpoint=folder)
mae.callbacks = [Reaper()]
mae.fit(X)
np.savez(out, **{name: value.numpy() for name, value in mae.net_.module_.state_dict().items()})
print([row["epoch"] for row in mae.history_])
"""


@pytest.mark.parametrize("sampling", ["exact", "bernoulli"])
def test_killed_and_resumed(tmp_path, sampling):
    (tmp_path / "own_network.py").write_text(SOURCE)
    parameters = {**TINY, "mask_sampling": sampling}

    def run(folder, out, kill):
        arguments = [str(tmp_path / folder), str(tmp_path / out), kill, str(tmp_path / "x"), repr(parameters)]
        return subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=False)

    whole, killed = run("whole", "whole.npz", "no"), run("killed", "none.npz", "kill")
    assert whole.returncode == 0, whole.stderr
    assert killed.returncode == -9, killed.stderr
    (folder,) = (tmp_path / "killed").iterdir()
    assert torch.load(folder / "last.pt", weights_only=True)["epoch"] == 2
    again = run("killed", "again.npz", "no")
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() == "[1, 2, 3]"
    with np.load(tmp_path / "whole.npz") as a, np.load(tmp_path / "again.npz") as b:
        assert_same_weights(dict(a), dict(b))


def test_probed_along_its_checkpoints(digits, tmp_path):
    X, y = digits
    mae = ConvMAE(**{**TINY, "checkpoint": tmp_path})
    mae.checkpoint_every = 1
    mae.fit(X)
    table = probe_layers(mae, X[:80], y[:80], X[80:], y[80:], weights=tmp_path)
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["layer"].tolist() == [0, 0, 0]
    own = probe_layers(mae, X[:80], y[:80], X[80:], y[80:])["score"].item()
    assert own == pytest.approx(table["score"].iloc[-1], abs=1e-9)
    first = clone(mae).set_params(checkpoint=None).partial_fit(X)
    loaded = copy.copy(mae).load_weights(next(tmp_path.rglob("epoch-00001.pt")))
    assert_same_weights(first, loaded)
    assert_allclose(mae.transform(X), ConvMAE(**TINY).fit(X).transform(X))
    with pytest.raises(
        ValueError, match=r"do not fit this network; of another shape: .* Set width, patch, image_shape to"
    ):
        ConvMAE(**{**TINY, "width": 7}).fit(X).load_weights(next(tmp_path.rglob("last.pt")))


@pytest.mark.parametrize("augment", [None, "auto"])
def test_fine_tuned(digits, augment):
    X, y = digits
    mae = ConvMAE(**TINY).fit(X)
    before = weights(mae)
    settings = {"max_epochs": 15, "batch_size": 20, "learning_rate": 0.1, "augment": augment, "random_state": 0}
    whole = ViTMAEClassifier(mae, layer_decay=0.5, **settings).fit(X, y)
    assert whole.score(X, y) > 0.8
    head = ViTMAEClassifier(mae, trainable_blocks=0, **settings).fit(X, y)
    moved = {name: not np.array_equal(before[name.removeprefix("network.")], value) for name, value in weights(
        whole
    ).items() if not name.startswith("head.")}  # fmt: skip
    encoder = {name for name in moved if name.startswith(("network.embed_patches", "network.encoder"))}
    assert {name for name, has_moved in moved.items() if has_moved} == encoder
    for name, value in weights(head).items():
        if not name.startswith("head."):
            assert_array_equal(value, before[name.removeprefix("network.")])
    rates = {group["lr_scale"] for group in whole.net_.optimizer_.param_groups if "lr_scale" in group}
    assert rates == {0.5}  # one layer below the head
    assert_same_weights(mae, before)
    scores = cross_val_score(ViTMAEClassifier(FrozenEstimator(mae), trainable_blocks=0, **settings), X, y, cv=2)
    assert np.isfinite(scores).all()
    ink = ViTMAERegressor(ConvMAE(**TINY), trainable_blocks=0, **{**settings, "augment": None}).fit(
        X, X.mean(axis=(1, 2))
    )
    assert ink.score(X, X.mean(axis=(1, 2))) > 0.3


def test_fine_tuned_by_the_block_only_where_blocks_are_named(digits):
    X, y = digits
    for encoder in (ConvMAE(**TINY), ConvMAE(**TINY).fit(X)):
        with pytest.raises(ValueError, match="trainable_blocks=1, but ConvNetwork does not name the blocks"):
            ViTMAEClassifier(encoder, trainable_blocks=1).fit(X, y)
        with pytest.raises(ValueError, match=r"drop_path=0\.1, but ConvNetwork has no blocks with branches"):
            ViTMAEClassifier(encoder, drop_path=0.1).fit(X, y)
    with pytest.raises(ValueError, match="pool='cls', but this network has no class token"):
        ViTMAEClassifier(ConvMAE(**TINY).fit(X), pool="cls").fit(X, y)


@pytest.mark.parametrize("hide", [False, True])
def test_the_jacobian_is_that_of_finite_differences(digits, hide):
    X = digits[0].astype(np.float64)
    mae = ConvMAE(**{**TINY, "mask": 0.5}).fit(X)
    visible = mae.sample_visible(1, random_state=0)[0] if hide else None
    basis = JacobianBasis(FrozenEstimator(mae), outputs="all", visible=visible).fit(X)
    jacobian = basis.jacobian(X[:2])  # (2, outputs, inputs)
    step = 1e-4
    for i in range(0, 64, 7):
        ahead, behind = X[:2].copy().reshape(2, 64), X[:2].copy().reshape(2, 64)
        ahead[:, i] += step
        behind[:, i] -= step
        difference = mae.reconstruct(ahead, visible) - mae.reconstruct(behind, visible)
        assert_allclose(jacobian[:, :, i], difference / (2 * step), atol=1e-8)
    assert np.abs(jacobian).max() > 1e-3


def test_in_a_pipeline_with_names_of_features(digits):
    X, y = digits
    pipe = make_pipeline(ConvMAE(**TINY), LogisticRegression(max_iter=500)).fit(X, y)
    assert pipe.score(X, y) > 0.5
    assert list(pipe[:1].get_feature_names_out()) == [f"convmae{i}" for i in range(6)]


# -- networks of other kinds --------------------------------------------------------------------------------------


class Blocks(PatchModule):
    """Features of patches, or of samples, from blocks without branches, with a batch norm behind them."""

    def __init__(self, grid, per_sample=False):
        super().__init__(grid)
        self.per_sample = per_sample
        self.first = nn.Linear(self.n_values, 5)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(5, 5), nn.GELU()) for _ in range(3))
        self.finish = nn.Sequential(nn.Flatten(0, 1), nn.BatchNorm1d(5), nn.Unflatten(0, (-1, grid.n_patches)))
        self.predict = nn.Linear(5, self.n_values)

    def embed(self, images):
        return self.first(self.patchify(images))

    def encode(self, images):
        x = self.embed(images)
        for block in self.blocks:
            x = block(x)
        x = self.finish(x)
        return x.mean(dim=1) if self.per_sample else x

    def forward(self, images, keep):
        hidden = self.hidden(keep)
        x = self.first(self.patchify(images)).masked_fill(hidden[..., None], 0)
        for block in self.blocks:
            x = block(x)
        return self.predict(self.finish(x) + x.mean(dim=1, keepdim=True)), hidden


class BlocksMAE(DeepAutoencoder):
    def __init__(self, per_sample=False, *, random_state=0):
        super().__init__(patch=4, max_epochs=2, batch_size=16, augment=None, random_state=random_state)
        self.per_sample = per_sample

    def _make_module(self, grid):
        return Blocks(grid, self.per_sample)


def test_blocks_that_a_network_names_are_probed_and_trained_alone(digits):
    X, y = digits
    mae = BlocksMAE().fit(X)
    table = probe_layers(mae, X[:80], y[:80], X[80:], y[80:])
    assert table["layer"].tolist() == [0, 1, 2, 3]
    before = weights(mae)
    clf = ViTMAEClassifier(mae, trainable_blocks=1, augment="auto", max_epochs=2, learning_rate=0.1, random_state=0)
    after = weights(clf.fit(X, y))
    for name, value in before.items():
        learns = name.startswith(("blocks.2.", "finish."))
        assert np.array_equal(after[f"network.{name}"], value) != learns, name
    rates = weights_by_rate(ViTMAEClassifier(mae, layer_decay=0.5, augment=None, max_epochs=1).fit(X, y))
    for name, rate in rates.items():
        layer = {"network.blocks.2": 1, "network.blocks.1": 2, "network.blocks.0": 3, "network.first": 4,
                 "network.predict": 4}.get(re.sub(r"(\.0)?\.\w+$", "", name), 0)  # fmt: skip
        assert rate == 0.5**layer, name


def weights_by_rate(estimator):
    names = {id(value): name for name, value in estimator.net_.module_.named_parameters()}
    groups = estimator.net_.optimizer_.param_groups
    return {names[id(value)]: group.get("lr_scale", 1.0) for group in groups for value in group["params"]}


def test_a_frozen_batch_norm_keeps_its_statistics(digits):
    X, y = digits
    mae = BlocksMAE().fit(X)
    clf = ViTMAEClassifier(mae, trainable_blocks=0, augment="auto", max_epochs=2, random_state=0).fit(X, y)
    for name, value in weights(mae).items():
        assert_array_equal(weights(clf)[f"network.{name}"], value, err_msg=name)


def test_one_row_of_features_for_each_sample(digits):
    X, _ = digits
    per_patch, per_sample = BlocksMAE().fit(X), BlocksMAE(per_sample=True).fit(X)
    assert_allclose(per_sample.transform(X), per_patch.transform(X), atol=1e-6)
    per_sample.pool = "cls"
    with pytest.raises(ValueError, match="pool='cls', but this network has no class token"):
        per_sample.transform(X)


def maker(make):
    class Made(DeepAutoencoder):
        def __init__(self, *, net_params=None):
            super().__init__(patch=2, max_epochs=1, augment=None, net_params=net_params)

        def _make_module(self, grid):
            return make(grid)

    return Made


def bad_forward(grid):
    module = Blocks(grid)
    module.forward = lambda images, keep: (module.encode(images), module.hidden(keep))
    return module


def bad_features(grid):
    module = Blocks(grid)
    module.encode = lambda images: images
    return module


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda _: None, TypeError, r"Made\._make_module returned a NoneType; it must return a torch\.nn\.Module"),
        (lambda _: nn.Linear(2, 2), TypeError, "returned a Linear without standardize, patchify, encode"),
        (bad_forward, ValueError, r"forward gave a prediction of shape \(120, 16, 5\)"),
        (bad_features, ValueError, r"encode gave shape \(120, 8, 8\) for 16 patches"),
    ],
)
def test_networks_that_lack_something(make, error, message, digits):
    with pytest.raises(error, match=message):
        maker(make)().fit(digits[0]).transform(digits[0])


def test_parameters_of_the_module_that_it_does_not_take(digits):
    with pytest.raises(ValueError, match=r"net_params=\{'module__depth': 3\} cannot be used: .*depth"):
        maker(Blocks)(net_params={"module__depth": 3}).fit(digits[0])


# -- what is shared and what is not ---------------------------------------------------------------------------------


def test_a_copy_shares_nothing_that_partial_fit_changes(digits):
    X, _ = digits
    vit = ViTMAE(
        patch=4, embed_dim=8, encoder_layers=1, encoder_heads=2, decoder_layers=1, decoder_heads=2, random_state=0
    )
    for mae in (vit, ConvMAE(**TINY), BlocksMAE()):
        mae.partial_fit(X)
        before, history = weights(mae), list(mae.history_)
        other = copy.copy(mae)
        assert other.get_params() == mae.get_params()
        other.partial_fit(X[::-1])
        assert len(other.history_) == 2
        assert_same_weights(mae, before)
        assert list(mae.history_) == history
        twice = copy.deepcopy(mae).partial_fit(X)
        mae.partial_fit(X)
        assert_same_weights(mae, twice)  # momentum was not shared either
