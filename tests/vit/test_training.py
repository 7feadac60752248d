"""Training: deterministic, resumable, and safe to interrupt."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit

from skmae import ViTMAE
from skmae._grid import PatchGrid
from skmae.masking import ExactCount
from skmae.vit._checkpoint import read
from skmae.vit._data import EpochBatches
from skmae.vit._log import duration
from skmae.vit._masking import draw, patch_numbers
from skmae.vit._net import WarmupCosine
from skmae.vit._training import ReconstructionLoss

TINY = {
    "patch": 2,
    "embed_dim": 12,
    "encoder_layers": 1,
    "encoder_heads": 2,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "max_epochs": 4,
    "warmup_epochs": 1,
    "batch_size": 16,
    "learning_rate": 2e-2,
    "device": "cpu",
    "random_state": 0,
}


def tiny(**changes):
    return ViTMAE(**{**TINY, **changes})


@pytest.fixture
def X():
    return np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)


def weights(mae):
    return {name: tensor.numpy().copy() for name, tensor in mae.net_.module_.state_dict().items()}


def assert_same_weights(a, b):
    a, b = (weights(mae) if isinstance(mae, ViTMAE) else mae for mae in (a, b))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


# -- masks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_visible", [1, 3, 8])
def test_every_set_of_patches_is_drawn_alike(n_visible):
    grid = PatchGrid.build((8,), None, 1)
    visible = draw(ExactCount(), 20_000, grid, 1 - n_visible / 8, torch.Generator().manual_seed(0))
    keep = patch_numbers(visible, n_visible)
    assert keep.shape == (20_000, n_visible)
    assert (keep.diff(dim=1) > 0).all()  # ascending, none twice
    assert visible.gather(1, keep).all()
    assert (visible.sum(dim=1) == n_visible).all()
    share, both = n_visible / 8, n_visible * (n_visible - 1) / (8 * 7)
    together = visible.float().T @ visible.float() / len(visible)
    expected = torch.full((8, 8), both).fill_diagonal_(share)
    torch.testing.assert_close(together, expected, atol=0.015, rtol=0)


@pytest.mark.parametrize(("mask", "expected"), [(0, 0), (0.75, 0.75), (0.99, 15 / 16), (0.3, 5 / 16)])
def test_the_share_that_is_really_hidden_is_reported(X, mask, expected):
    mae = tiny(mask=mask, max_epochs=1).fit(X)
    assert mae.mask_ == pytest.approx(expected)
    assert (~mae.sample_visible(7, 0)).mean(axis=1) == pytest.approx(expected)


# -- loss -------------------------------------------------------------------------------------------------------


def test_loss_counts_hidden_patches_and_all_where_none_is_hidden():
    prediction, target = torch.zeros(1, 2, 3), torch.tensor([[[1.0, 1, 1], [3, 3, 3]]])
    loss = ReconstructionLoss()
    assert loss(prediction, target, torch.tensor([[True, False]])) == 1
    assert loss(prediction, target, torch.tensor([[False, True]])) == 9
    assert loss(prediction, target, torch.tensor([[False, False]])) == 5


def test_patches_of_one_value_can_be_normalised():
    loss = ReconstructionLoss(normalize_target=True)
    assert torch.isfinite(loss(torch.zeros(2, 4, 1), torch.randn(2, 4, 1), torch.ones(2, 4, dtype=torch.bool)))


# -- schedule ---------------------------------------------------------------------------------------------------


def test_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    schedule = WarmupCosine(1.0, warmup_epochs=2, max_epochs=10)
    factors = np.array([schedule.factor(step, 5) for step in range(50)])
    np.testing.assert_allclose(factors[:10], np.arange(1, 11) / 10)
    np.testing.assert_allclose(factors[10:], 0.5 * (1 + np.cos(np.pi * np.arange(40) / 40)))
    assert schedule.factor(50, 5) == 0


class Rates(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rates = getattr(self, "rates", [])

    def on_batch_end(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


def test_learning_rate_is_set_per_step_and_scaled_by_the_batch(X):
    mae = tiny(callbacks=[("rates", Rates())], batch_size=25, learning_rate=1e-3, max_epochs=3).fit(X)
    peak = 1e-3 * 25 / 256
    expected = [0.5, 1, 1, *(0.5 * (1 + np.cos(np.pi * np.arange(1, 4) / 4)))]
    np.testing.assert_allclose(dict(mae.net_.callbacks_)["rates"].rates, np.array(expected) * peak)


def test_a_scheduler_of_the_user_takes_the_place_of_ours(X):
    step = LRScheduler(policy="StepLR", step_size=1, gamma=0.1)
    rates = Rates()
    mae = tiny(callbacks=[step, ("rates", rates)], max_epochs=2, batch_size=50, learning_rate=1e-3).fit(X)
    seen = dict(mae.net_.callbacks_)["rates"].rates
    assert seen[1] == pytest.approx(0.1 * seen[0])
    assert not hasattr(rates, "rates")  # callbacks are copied


def test_biases_and_norms_do_not_decay(X):
    mae = tiny(max_epochs=1, weight_decay=0.3).fit(X)
    names = {id(p): name for name, p in mae.net_.module_.named_parameters()}
    decays = {names[id(p)]: g["weight_decay"] for g in mae.net_.optimizer_.param_groups for p in g["params"]}
    assert decays.keys() == set(names.values())
    for name, decay in decays.items():
        assert decay == (0 if name.endswith("bias") or "norm" in name else 0.3), name


# -- determinism ------------------------------------------------------------------------------------------------


def test_same_seed_same_weights_whatever_torch_has_drawn(X):
    first = tiny().fit(X)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    second = tiny().fit(X)
    assert_same_weights(first, second)
    assert torch.equal(torch.get_rng_state(), state)  # and the user's generator is left alone
    other = tiny(random_state=1).fit(X)
    assert not np.array_equal(
        weights(first)["encoder.patch_embed.weight"], weights(other)["encoder.patch_embed.weight"]
    )


def test_flat_rows_and_images_are_the_same(X):
    flat = tiny(image_shape=(8, 8, 3)).fit(X.reshape(len(X), -1))
    assert_same_weights(flat, tiny().fit(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_transform_does_not_depend_on_the_batch_size(X, dtype):
    mae = tiny().fit(X)
    whole = mae.transform(X.astype(dtype))
    np.testing.assert_array_equal(whole, mae.transform(X.astype(dtype)))
    mae.set_params(batch_size=7, mask=0.1)
    np.testing.assert_allclose(mae.transform(X.astype(dtype)), whole, atol=1e-5)
    assert whole.dtype == (np.float64 if dtype == np.float64 else np.float32)


def test_float64_is_computed_in_float64(X):
    mae = tiny().fit(X)
    wide, narrow = mae.transform(X.astype(float)), mae.transform(X.astype(np.float32))
    assert 0 < np.abs(wide - narrow).max() < 1e-4
    one_by_one = np.concatenate([mae.transform(x[np.newaxis].astype(float)) for x in X])
    np.testing.assert_allclose(one_by_one, wide, atol=1e-12)


def test_score_and_reconstruct_do_not_depend_on_the_batch_size(X):
    mae = tiny().fit(X)
    visible = mae.sample_visible(len(X), 0)
    score, rebuilt = mae.score(X), mae.reconstruct(X, visible)
    mae.set_params(batch_size=3)
    assert mae.score(X) == pytest.approx(score, abs=1e-5)
    np.testing.assert_allclose(mae.reconstruct(X, visible), rebuilt, atol=1e-2)


@pytest.mark.parametrize("augment", ["auto", None])
def test_calls_of_partial_fit_equal_fit(X, augment):
    whole = tiny(augment=augment).fit(X)
    parts = tiny(augment=augment)
    for _ in range(TINY["max_epochs"]):
        parts.partial_fit(X)
    assert_same_weights(whole, parts)
    assert whole.history_[:, "train_loss"] == parts.history_[:, "train_loss"]


def test_partial_fit_goes_on_after_a_pickle(X, tmp_path):
    import joblib

    whole = tiny().fit(X)
    part = tiny()
    for _ in range(TINY["max_epochs"]):
        part.partial_fit(X)
        joblib.dump(part, tmp_path / "part.joblib")
        part = joblib.load(tmp_path / "part.joblib")
    assert_same_weights(whole, part)


def test_loaded_in_another_process(X, tmp_path):
    import joblib

    mae = tiny(max_epochs=1).fit(X)
    joblib.dump((mae, X), tmp_path / "mae.joblib")
    code = (
        f"import joblib; mae, X = joblib.load({str(tmp_path / 'mae.joblib')!r});"
        f"import numpy as np; np.save({str(tmp_path / 'Z.npy')!r}, mae.transform(X))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "Z.npy"), mae.transform(X), atol=1e-6)


def test_training_lowers_the_loss_on_structured_images():
    from sklearn.datasets import load_digits

    X = load_digits().images[:400]
    mae = tiny(max_epochs=15, learning_rate=0.1, embed_dim=16, augment=None, mask=0.5).fit(X[:300])
    assert mae.score(X[300:]) > -0.75  # -1 is what the mean of the pixels reaches


# -- parameters within a training -------------------------------------------------------------------------------


def test_parameters_that_cannot_change_within_a_training_are_refused(X):
    mae = tiny().partial_fit(X)
    with pytest.raises(ValueError, match=r"embed_dim was 12 when this training began and is 24 now"):
        mae.set_params(embed_dim=24).partial_fit(X)
    mae.set_params(embed_dim=12, max_epochs=10, learning_rate=1e-3).partial_fit(X)
    assert len(mae.history_) == 2


# -- checkpoints ------------------------------------------------------------------------------------------------

SCRIPT = """
import sys, os, signal, numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from skorch.callbacks import Callback
from skmae import ViTMAE
folder, parameters, out, kill = sys.argv[1], eval(sys.argv[2]), sys.argv[3], sys.argv[4]
X = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
class Reaper(Callback):
    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 3 and len(net.history[-1]["batches"]) == 2 and kill != "no":
            os.kill(os.getpid(), getattr(signal, kill))
import torch; torch.set_num_threads(1)
mae = ViTMAE(**parameters, checkpoint=folder, callbacks=[Reaper()]).fit(X)
np.savez(out, **{k: v.numpy() for k, v in mae.net_.module_.state_dict().items()})
print(len(mae.history_))
"""


def run(folder, out, kill):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), repr(TINY), str(out), kill], capture_output=True, text=True
    )


@pytest.mark.parametrize("kill", ["SIGKILL", "SIGINT"])
def test_killed_in_an_epoch_and_run_again(tmp_path, kill):
    whole = run(tmp_path / "whole", tmp_path / "whole.npz", "no")
    assert whole.returncode == 0, whole.stderr
    killed = run(tmp_path / "killed", tmp_path / "none.npz", kill)
    assert killed.returncode != 0
    if kill == "SIGINT":
        assert "KeyboardInterrupt" in killed.stderr
    assert not (tmp_path / "none.npz").exists()
    (folder,) = (tmp_path / "killed").iterdir()
    assert torch.load(folder / "last.pt", weights_only=True)["epoch"] == 2
    again = run(tmp_path / "killed", tmp_path / "again.npz", "no")
    assert again.returncode == 0, again.stderr
    with np.load(tmp_path / "whole.npz") as a, np.load(tmp_path / "again.npz") as b:
        assert_same_weights(dict(a), dict(b))


class Interrupt(Callback):
    """Ctrl-C at a step of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("epoch", [1, 3])
def test_ctrl_c_saves_the_last_whole_epoch_and_raises(X, tmp_path, epoch):
    mae = tiny(checkpoint=tmp_path, callbacks=[Interrupt(epoch)])
    with pytest.raises(KeyboardInterrupt):
        mae.fit(X)
    (folder,) = tmp_path.iterdir()
    assert torch.load(folder / "last.pt", weights_only=True)["epoch"] == epoch - 1
    assert len(mae.history_) == epoch - 1
    expected = tiny()
    for _ in range(epoch - 1):
        expected.partial_fit(X)
    if epoch > 1:
        assert_same_weights(mae, expected)
    assert np.isfinite(mae.transform(X)).all()


def test_a_finished_training_is_not_done_again(X, tmp_path):
    first = tiny(checkpoint=tmp_path).fit(X)

    second = tiny(checkpoint=str(tmp_path)).fit(X)
    assert_same_weights(first, second)
    assert [row["dur"] for row in first.history_] == [row["dur"] for row in second.history_]
    assert_same_weights(first, tiny().fit(X))


def test_every_training_has_its_own_folder(X, tmp_path):
    base = tiny(checkpoint=tmp_path, max_epochs=1)
    base.fit(X)
    assert len(list(tmp_path.iterdir())) == 1
    for changes, data in (
        ({"mask": 0.5}, X),
        ({"random_state": 1}, X),
        ({"net_params": {"optimizer__eps": 1e-6}}, X),
        ({}, X[::-1]),
        ({}, X.astype(np.float32)),
        ({}, X[:40]),
    ):
        before = len(list(tmp_path.iterdir()))
        tiny(checkpoint=tmp_path, max_epochs=1, **changes).fit(data)
        assert len(list(tmp_path.iterdir())) == before + 1, changes
    before = len(list(tmp_path.iterdir()))
    tiny(checkpoint=tmp_path, max_epochs=1, pool="cls", checkpoint_every=1).fit(X)  # the same training
    assert len(list(tmp_path.iterdir())) == before


def test_cross_validation_is_the_same_with_checkpoints(X, tmp_path):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_validate
    from sklearn.pipeline import make_pipeline

    y = (X.mean(axis=(1, 2, 3)) > np.median(X.mean(axis=(1, 2, 3)))).astype(int)

    def scores(**changes):
        pipe = make_pipeline(tiny(max_epochs=2, **changes), LogisticRegression())
        return cross_validate(pipe, X, y, cv=3)["test_score"]

    without = scores()
    for _ in range(2):
        np.testing.assert_array_equal(scores(checkpoint=tmp_path), without)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_series_is_kept_and_can_be_loaded(X, tmp_path):
    mae = tiny(checkpoint=tmp_path, checkpoint_every=2).fit(X)
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["epoch-00002.pt", "epoch-00004.pt", "last.pt"]
    half = tiny().partial_fit(X).partial_fit(X)
    loaded = tiny(image_shape=(8, 8, 3)).load_weights(folder / "epoch-00002.pt")
    assert_same_weights(half, loaded)
    np.testing.assert_array_equal(loaded.mean_, mae.mean_)
    state = torch.load(folder / "last.pt", weights_only=True)
    assert [row["epoch"] for row in json.loads(state["history"])] == [1, 2, 3, 4]


def checkpoint_file(folder):
    return next(Path(folder).iterdir()) / "last.pt"


def test_damaged_and_foreign_checkpoints_are_refused(X, tmp_path):
    mae = tiny(checkpoint=tmp_path, max_epochs=1).fit(X)
    path = checkpoint_file(tmp_path)
    content = path.read_bytes()
    before = mae.transform(X)
    for damaged in (content[: len(content) // 2], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"last\.pt cannot be read .* to start anew"):
            mae.fit(X)
        np.testing.assert_array_equal(mae.transform(X), before)  # what was fitted is still there
    torch.save({"model": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="not a checkpoint of this version"):
        mae.fit(X)
    tiny(checkpoint=tmp_path / "other", max_epochs=1, embed_dim=24).fit(X)
    path.write_bytes(checkpoint_file(tmp_path / "other").read_bytes())
    with pytest.raises(ValueError, match="belongs to other parameters or other data"):
        mae.fit(X)
    path.write_bytes(content)
    mae.fit(X)


def test_a_full_disk_leaves_the_checkpoint_before(X, tmp_path):
    resource = pytest.importorskip("resource")

    class Fill(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    mae = tiny(checkpoint=tmp_path, callbacks=[Fill()])
    import skmae.vit._autoencoder as module

    fingerprint, module.fingerprint_of = module.fingerprint_of, lambda *_: "x"  # of a class within a test
    try:
        with pytest.raises(OSError, match=r"last\.pt could not be written: .* The file that was there before is whole"):
            mae.fit(X)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
        module.fingerprint_of = fingerprint
    assert read(tmp_path / "x", "x")["epoch"] == 2
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["last.pt"]  # nothing half-written is left
    assert not hasattr(mae, "net_")


# -- losses that are not finite ---------------------------------------------------------------------------------


def test_a_nan_loss_stops_and_leaves_the_last_good_weights(X):
    class Poison(Callback):
        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == 3 and len(net.history[-1]["batches"]) == 2:
                with torch.no_grad():
                    net.module_.encoder.cls_token.fill_(float("nan"))

    mae = tiny(callbacks=[Poison()])
    with pytest.raises(FloatingPointError, match=r"The loss became nan at step 2 of epoch 3.*smaller learning_rate"):
        mae.fit(X)
    assert_same_weights(mae, tiny().partial_fit(X).partial_fit(X))
    assert len(mae.history_) == 2
    assert np.isfinite(mae.transform(X)).all()


def silent(*_):
    pass


@pytest.mark.parametrize("batch_size", [16, 50])
def test_weights_that_a_finite_loss_has_ruined_are_not_kept(X, batch_size):
    mae = tiny(learning_rate=1e30, batch_size=batch_size)
    with pytest.raises(FloatingPointError, match="goes back to the weights of epoch 0"):
        mae.fit(X)
    assert np.isfinite(mae.transform(X)).all()


def test_the_epoch_that_a_training_goes_back_to_is_named(X):
    mae = tiny().partial_fit(X)
    before = mae.transform(X)
    mae.net_.module_.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(FloatingPointError("ruined.")))
    with pytest.raises(FloatingPointError, match=r"ruined\. The estimator goes back to the weights of epoch 1\."):
        mae.partial_fit(X)
    mae.net_.module_._forward_pre_hooks.clear()
    np.testing.assert_array_equal(mae.transform(X), before)
    mae.learning_rate = 1e30
    with pytest.raises(FloatingPointError, match=r"goes back to the weights of epoch 1\."):
        mae.partial_fit(X).partial_fit(X)
    assert len(mae.history_) == 1


def test_a_line_for_each_epoch(X, capsys):
    split = ValidSplit(5)
    counted = EpochScoring(lambda *_: 0.25, name="counted", on_train=True)
    mae = tiny(max_epochs=12, warmup_epochs=2, verbose=1, net_params={"train_split": split}, callbacks=[counted])
    mae.partial_fit(X).partial_fit(X)
    lines = capsys.readouterr().out.splitlines()
    line = (
        r"epoch  2/12  train_loss [\d.]+  .*valid_loss [\d.]+  counted 0.25  rate \d.\d\de-\d\d  [\d.]+ s  \d+ s left"
    )
    assert len(lines) == 2
    assert re.fullmatch(line, lines[1])
    rate = float(re.search(r"rate (\S+)", lines[1])[1])
    assert rate == pytest.approx(mae.net_.optimizer_.param_groups[0]["lr"], rel=1e-2)


def test_durations():
    shown = [duration(seconds) for seconds in (0.2, 99, 100, 5940, 6000, 1e5)]
    assert shown == ["0 s", "99 s", "1.7 min", "99.0 min", "1.7 h", "27.8 h"]


def test_verbose_may_change_within_a_training(X, capsys):
    mae = tiny().partial_fit(X)
    assert "train_loss" not in capsys.readouterr().out
    mae.set_params(verbose=1).partial_fit(X)
    assert "train_loss" in capsys.readouterr().out
    assert_same_weights(mae, tiny().partial_fit(X).partial_fit(X))


# -- skorch -----------------------------------------------------------------------------------------------------


def test_early_stopping_ends_the_training_without_an_error(X, tmp_path):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10, threshold_mode="abs", sink=silent)
    mae = tiny(max_epochs=30, callbacks=[stop], checkpoint=tmp_path).fit(X)
    assert len(mae.history_) < 30
    again = tiny(max_epochs=30, callbacks=[stop], checkpoint=tmp_path).fit(X)
    assert len(again.history_) == len(mae.history_)


def test_a_part_of_the_data_validates(X):
    mae = tiny(net_params={"train_split": ValidSplit(5)}).fit(X)
    losses = mae.history_[:, "valid_loss"]
    assert len(losses) == 4
    assert np.isfinite(losses).all()
    assert mae.history_[-1, "train_batch_count"] == 3  # 40 samples in batches of 16


def test_history_holds_the_mean_loss_over_samples(X):
    mae = tiny(max_epochs=2).fit(X)
    last = mae.history_[-1]["batches"]
    sizes = [row["train_batch_size"] for row in last]
    assert sizes == [16, 16, 16, 2]
    mean = np.average([row["train_loss"] for row in last], weights=sizes)
    assert mae.history_[-1, "train_loss"] == pytest.approx(mean)
    assert mae.history_[0]["batches"] == []


def test_epoch_batches_visit_every_sample_once():
    for world in (1, 2, 3):
        seen = []
        for rank in range(world):
            batches = EpochBatches(50, 16, seed=3, rank=rank, world=world)
            batches.set_epoch(2)
            for step, batch in enumerate(batches):
                part = batches.part(step)
                assert len(batch) == part.rows.stop - part.rows.start == 1 or part.weight
                if part.weight:  # otherwise there is nothing for this process, and its sample does not count
                    assert part.weight == pytest.approx(len(batch) * world / part.total)
                    seen.extend(batch)
        assert sorted(seen) == list(range(50))


@pytest.mark.parametrize(("precision", "atol"), [("bfloat16", 0.05), ("float16", 0.02)])
def test_narrow_types_train_to_nearly_the_same(X, precision, atol):
    exact, narrow = tiny(augment=None).fit(X), tiny(augment=None, precision=precision).fit(X)
    np.testing.assert_allclose(narrow.history_[:, "train_loss"], exact.history_[:, "train_loss"], atol=atol)
    assert narrow.net_.module_.encoder.patch_embed.weight.dtype == torch.float32
    assert not np.array_equal(narrow.transform(X), exact.transform(X))
