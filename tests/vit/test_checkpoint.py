"""Files that a training leaves: what they say, what damages them, and what a fault of the machine does."""

import json
import os
import subprocess
import sys
import time
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import StepLR

from skmae import ViTMAE, ViTMAEClassifier
from skmae.vit import _checkpoint
from skmae.vit._checkpoint import write_atomically

ENCODER = {"patch": 4, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2}
TRAINING = {"max_epochs": 3, "warmup_epochs": 0, "batch_size": 16, "device": "cpu", "random_state": 0}


def mae(**changes):
    return ViTMAE(**{**ENCODER, **TRAINING, "decoder_layers": 1, "decoder_heads": 2, **changes})


@pytest.fixture(scope="module")
def X():
    return load_digits().images[:40].astype(np.float32)


class Stop(Callback):
    """Ctrl-C in an epoch, unless a file says to go on."""

    def __init__(self, epoch, unless):
        self.epoch = epoch
        self.unless = unless

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch and not self.unless.exists():
            raise KeyboardInterrupt


def last_file(folder):
    (path,) = folder.glob("*/last.pt")
    return path


# -- what is resumed --------------------------------------------------------------------------------------------------


def test_what_cannot_change_the_result_does_not_begin_anew(X, tmp_path):
    folder, go_on = tmp_path / "states", tmp_path / "go"
    stop = Stop(2, go_on)
    with pytest.raises(KeyboardInterrupt):
        mae(checkpoint=folder, callbacks=[stop], warmup_epochs=1).fit(X)
    go_on.touch()
    same = {"iterator_train__num_workers": 1, "iterator_train__prefetch_factor": 4, "iterator_valid__num_workers": 0}
    others = {"patch": (4, 4), "warmup_epochs": np.int64(1), "mask": np.float64(0.75), "mlp_ratio": 4.0}
    resumed = mae(checkpoint=folder, callbacks=[stop], net_params=same, verbose=1, **others).fit(X)
    assert len(list(folder.iterdir())) == 1
    assert_array_equal(resumed.transform(X), mae(warmup_epochs=1).fit(X).transform(X))


def test_one_line_says_whether_a_training_was_resumed(X, tmp_path, capsys):
    def lines(**changes):
        fitted = mae(checkpoint=tmp_path / "states", verbose=1, **changes)
        with suppress(KeyboardInterrupt):
            fitted.fit(X)
        return [line for line in capsys.readouterr().out.splitlines() if "esumed" in line]

    stop = {"callbacks": [Stop(3, tmp_path / "go")]}
    assert lines(**stop) == [f"Not resumed: {tmp_path / 'states'} holds no training yet."]
    (tmp_path / "go").touch()
    (path,) = (tmp_path / "states").glob("*/last.pt")
    assert lines(**stop) == [f"Resumed: {path}, after epoch 2."]
    assert lines(**stop) == [f"Resumed: {path}, which is finished."]
    (line,) = lines(**stop, learning_rate=1.0, mask=0.5)
    assert line == f"Not resumed: the trainings in {tmp_path / 'states'} differ, the nearest in learning_rate, mask."
    (line,) = lines()
    assert line.endswith("the nearest in callbacks.")
    mae(checkpoint=tmp_path / "states").fit(X)
    assert capsys.readouterr().out == ""


def test_a_classifier_s_checkpoint_depends_on_what_counts_for_it(X, tmp_path):
    y = load_digits().target[:40]
    encoder = mae().fit(X)

    def fit(**changes):
        settings = {**TRAINING, "checkpoint": tmp_path, "augment": None, **changes}
        ViTMAEClassifier(encoder, **settings).fit(X, y)
        return len(list(tmp_path.iterdir()))

    assert fit() == 1
    assert fit(embed_dim=99, patch=1, n_iter_no_change=3) == 1  # an encoder is given, and nothing is set aside
    assert fit(learning_rate=0.1) == 2


def test_numbers_of_numpy_are_kept_as_python_s(X, tmp_path):
    of_numpy = {"learning_rate": np.logspace(-3, -2, 3)[1], "weight_decay": np.float32(0.5), "batch_size": np.uint8(16)}
    first = mae(checkpoint=tmp_path, **of_numpy, normalize_target=np.False_).fit(X)
    again = mae(checkpoint=tmp_path, **{name: value.item() for name, value in of_numpy.items()}).fit(X)
    assert len(list(tmp_path.iterdir())) == 1
    assert_array_equal(again.transform(X), first.transform(X))
    y = np.arange(len(X)) % 2
    for _ in range(2):
        predictor = ViTMAEClassifier(FrozenEstimator(first), **TRAINING, checkpoint=tmp_path / "y", augment=None)
        predictor.set_params(**of_numpy, layer_decay=np.float64(0.7)).fit(X, y)
    assert len(list((tmp_path / "y").iterdir())) == 1


@pytest.mark.parametrize(
    "changes",
    [{"encoder_heads": 4}, {"net_params": {"module__activation": "relu"}}, {"net_params": {"module__norm_eps": 0.1}}],
)
def test_a_training_is_not_taken_up_for_an_encoder_that_does_something_else_with_the_same_weights(X, changes, tmp_path):
    encoder, y = mae().fit(X), np.arange(len(X)) % 2
    other = mae(image_shape=(8, 8), **changes).load_weights(dict(encoder.net_.module_.state_dict()))
    of_encoder, of_other = (
        ViTMAEClassifier(FrozenEstimator(each), **TRAINING, checkpoint=tmp_path, augment=None).fit(X, y)
        for each in (encoder, other)
    )
    fresh = ViTMAEClassifier(FrozenEstimator(other), **TRAINING, augment=None).fit(X, y)
    assert_array_equal(of_other.predict_proba(X), fresh.predict_proba(X))
    assert not np.array_equal(of_encoder.predict_proba(X), fresh.predict_proba(X))


class NotesRate(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.history.record("rate", net.optimizer_.param_groups[0]["lr"])


def test_a_scheduler_of_the_user_does_not_step_twice_where_a_training_goes_on(X, tmp_path):
    def halving():
        return [LRScheduler(StepLR, step_size=1, gamma=0.5), NotesRate()]

    whole = mae(max_epochs=5, callbacks=halving()).fit(X)
    in_parts = mae(max_epochs=5, callbacks=halving())
    for _ in range(5):
        in_parts.partial_fit(X)
    stopped = mae(max_epochs=5, callbacks=[*halving(), Stop(3, tmp_path / "go")], checkpoint=tmp_path / "states")
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X)
    (tmp_path / "go").touch()
    assert whole.history_[:, "rate"] == pytest.approx(whole.history_[0, "rate"] * 0.5 ** np.arange(5))
    for other in (in_parts, stopped.fit(X)):
        assert other.history_[:, "rate"] == whole.history_[:, "rate"]
        assert_array_equal(other.transform(X), whole.transform(X))


# -- damage -----------------------------------------------------------------------------------------------------------


def test_any_flipped_bit_is_seen(X, tmp_path):
    fitted = mae(checkpoint=tmp_path, max_epochs=1).fit(X)
    path = last_file(tmp_path)
    content, expected = path.read_bytes(), fitted.transform(X)
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            features = mae(checkpoint=tmp_path, max_epochs=1).fit(X).transform(X)
        except ValueError as error:
            refused.append(str(error))
        else:
            assert_array_equal(features, expected)  # a flip in what is not read
    assert len(refused) > 30
    assert all(f"{path} cannot be read" in text and f"Delete {path}" in text for text in refused)


def test_contents_that_do_not_fit_are_refused_by_name(X, tmp_path):
    mae(checkpoint=tmp_path, max_epochs=1).fit(X)
    path = last_file(tmp_path)
    good = torch.load(path, weights_only=True)
    module = good["module"]
    name = "encoder.norm.weight"
    cases = [
        ({key: value for key, value in good.items() if key != "optimizer"}, "is damaged: it lacks optimizer"),
        ({**good, "history": 3}, "is damaged: it lacks history"),
        ({**good, "module": {**module, name: torch.full_like(module[name], np.nan)}}, f"holds NaN or .*, in {name}"),
        ({**good, "module": {**module, name: module[name][:3]}}, "does not fit .*size mismatch"),
        ({**good, "module": {key: value for key, value in module.items() if key != name}}, "does not fit"),
        ({**good, "history": "{"}, "does not fit"),
        ({**good, "optimizer": {}}, "does not fit"),
    ]
    for state, text in cases:
        torch.save(state, path)
        with pytest.raises(ValueError, match=f"The checkpoint {path} {text}.*Delete {path} to start anew"):
            mae(checkpoint=tmp_path, max_epochs=1).fit(X)


def test_history_is_of_one_type(X, tmp_path):
    class Record(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("numpy", np.float32(0.5))
            net.history.record("tensor", torch.tensor(1.5))
            net.history.record("array", np.arange(2))

    stop = Stop(3, tmp_path / "go")
    stopped = mae(checkpoint=tmp_path / "states", callbacks=[Record(), stop])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(X)
    (tmp_path / "go").touch()
    resumed = mae(checkpoint=tmp_path / "states", callbacks=[Record(), stop]).fit(X)
    for row in resumed.history_:
        assert type(row["train_loss"]) is type(row["dur"]) is type(row["numpy"]) is type(row["tensor"]) is float
        assert row["array"] == [0, 1]
        assert type(row["train_loss_best"]) is bool
        json.dumps(row)


# -- faults of the machine --------------------------------------------------------------------------------------------


def test_what_a_kill_left_is_removed_and_what_is_written_is_not(tmp_path):
    path = tmp_path / "last.pt"
    kill = f"""
import os, signal, pathlib
from skmae.vit._checkpoint import write_atomically
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(pathlib.Path({str(path)!r}), write)
"""
    assert subprocess.run([sys.executable, "-c", kill], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".last.pt.")

    def write(file):
        assert not left.exists()
        write_atomically(path, lambda other: other.write(b"other"))  # at the same time
        file.write(b"whole")

    write_atomically(path, write)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]
    assert path.read_bytes() == b"whole"


def test_files_can_be_read_by_whom_the_system_says(tmp_path):
    (tmp_path / "plain").touch()
    write_atomically(tmp_path / "written", lambda file: file.write(b"x"))
    assert (tmp_path / "written").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("before", [True, False])
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, before):
    path = tmp_path / "weights.safetensors"
    if before:
        path.write_bytes(b"before")

    def write(file):  # noqa: ARG001
        raise OSError(28, "No space left on device", "/some/temporary/name")

    kept = "The file that was there before is whole" if before else "Nothing was there before"
    with pytest.raises(OSError, match=rf"weights.safetensors could not be written: No space left on device\. {kept}"):
        write_atomically(path, write)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"] * before


def test_no_permission_is_no_damage(X, tmp_path, monkeypatch):
    mae(checkpoint=tmp_path, max_epochs=1).fit(X)
    path = last_file(tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint, "load_archive", refuse)
        with pytest.raises(PermissionError, match=rf"The checkpoint {path} cannot be opened: Permission denied"):
            mae(checkpoint=tmp_path, max_epochs=1).fit(X)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"last\.pt cannot be opened: Not a directory\. Pass a folder that may be read"):
        mae(checkpoint=tmp_path / "file", max_epochs=1).fit(X)


def test_a_disk_that_is_full_at_the_end_loses_no_training(X, tmp_path, monkeypatch):
    def full(path, write):  # noqa: ARG001
        raise OSError(28, "No space left on device")

    class Fill(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                monkeypatch.setattr(_checkpoint, "write_atomically", full)

    fitted = mae(checkpoint=tmp_path, callbacks=[Fill()])
    monkeypatch.setattr("skmae.vit._autoencoder.fingerprint_of", lambda *_: "x")
    with pytest.raises(OSError, match="No space left"):
        fitted.fit(X)
    assert_array_equal(fitted.transform(X), mae().fit(X).transform(X))


def test_other_trainings_are_compared_without_being_read_whole(X, tmp_path):
    mae(checkpoint=tmp_path, max_epochs=1).fit(X)
    path = last_file(tmp_path)
    assert _checkpoint._hashes_in(path).keys() >= {"mask", "data", "random_state", "image_shape"}
    path.write_bytes(b"damaged")
    assert _checkpoint._hashes_in(path) == {}
    assert zipfile.is_zipfile(path) is False
    os.utime(path, (time.time(),) * 2)
    text = _checkpoint.differences(tmp_path / "another", {"mask": "x"})
    assert text == f"{tmp_path} holds trainings of other versions of skmae."
