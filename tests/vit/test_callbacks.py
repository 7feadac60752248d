"""skorch's callbacks: whose object is called, what scores say, and what becomes of a training when one fails."""

import copy
import threading
from io import StringIO

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor

ENCODER = {"patch": 4, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2}
TRAINING = {"max_epochs": 3, "warmup_epochs": 0, "batch_size": 16, "learning_rate": 0.05, "device": "cpu"}


def mae(**changes):
    return ViTMAE(**{**ENCODER, **TRAINING, "decoder_layers": 1, "decoder_heads": 2, "random_state": 0, **changes})


def classifier(**changes):
    return ViTMAEClassifier(**{**ENCODER, **TRAINING, "augment": None, "random_state": 0, **changes})


@pytest.fixture(scope="module")
def digits():
    data = load_digits(n_class=4)
    return data.images[:80].astype(np.float32), data.target[:80]


# -- whose object is called -------------------------------------------------------------------------------------------


class Locked(Callback):
    """Holds a lock, as the writer of TensorBoard does."""

    def __init__(self):
        self.lock = threading.Lock()
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        with self.lock:
            self.epochs += 1


class Writing(Callback):
    """Holds what it writes to."""

    def __init__(self, writer):
        self.writer = writer

    def on_epoch_end(self, net, **kwargs):
        self.writer.write("epoch\n")


def test_a_callback_with_a_lock_is_itself_called(digits, tmp_path):
    X, y = digits
    for make, data in ((mae, (X,)), (classifier, (X, y))):
        locked = Locked()
        estimator = make(callbacks=[("locked", locked)]).fit(*data)
        assert locked.epochs == 3
        clone(estimator).fit(*data)
        assert locked.epochs == 6
        make(callbacks=[locked], checkpoint=tmp_path).fit(*data)
        assert locked.epochs == 9
        make(callbacks=[locked], checkpoint=tmp_path).fit(*data)  # it is finished: the lock is not in its name
        assert locked.epochs == 9
    copied = copy.copy(mae(callbacks=[locked]).partial_fit(X))
    assert locked.epochs == 10
    copied.partial_fit(X)
    assert locked.epochs == 11


def test_what_a_callback_writes_to_is_shared(digits, tmp_path):
    X, y = digits
    writer = StringIO()
    search = GridSearchCV(classifier(callbacks=[Writing(writer)], max_epochs=1), {"pool": ["mean", "cls"]}, cv=2)
    search.fit(X, y)
    assert writer.getvalue().count("epoch") == 2 * 2 + 1
    with open(tmp_path / "log", "w") as file:
        mae(callbacks=[Writing(file)]).fit(X)
    assert (tmp_path / "log").read_text().count("epoch") == 3


def test_the_state_of_a_callback_is_its_copy_s(digits):
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10, threshold_mode="abs", sink=lambda _: None)
    before = dict(vars(stop))
    estimator = mae(callbacks=[stop], max_epochs=9).fit(digits[0])
    assert vars(stop) == before
    assert clone(estimator).callbacks[0] is not stop
    assert clone(estimator).get_params()["callbacks"][0].patience == 2
    assert clone(mae(callbacks=(stop,))).callbacks[0].patience == 2
    assert clone(mae()).callbacks is None


# -- scores -----------------------------------------------------------------------------------------------------------


def test_scores_of_the_part_that_validates(digits):
    X, y = digits
    names = ("accuracy", "roc_auc_ovr", "neg_log_loss", "f1_macro")
    scorers = [(name, EpochScoring(name, lower_is_better=False)) for name in names]
    fitted = classifier(early_stopping=True, n_iter_no_change=9, validation_fraction=0.4, callbacks=scorers).fit(X, y)
    for name in names:
        assert np.isfinite(fitted.history_[:, name]).all()
    net = fitted.net_
    valid = net.train_split.valid
    best = int(np.argmin(fitted.history_[:, "valid_loss"]))  # whose weights are taken
    score = accuracy_score(y[valid], fitted.predict(X[valid]))
    assert fitted.history_[best, "accuracy"] == pytest.approx(score)


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scores_of_training(digits, use_caching, precision):
    X, y = digits
    scoring = EpochScoring("accuracy", lower_is_better=False, on_train=True, name="train", use_caching=use_caching)
    history = classifier(callbacks=[scoring], precision=precision, max_epochs=8).fit(X, y).history_
    assert history[-1, "train"] > 0.6
    assert history[-1, "train_best"] in (True, False)
    targets = X.mean(axis=2)
    scoring = EpochScoring("r2", lower_is_better=False, on_train=True, name="train", use_caching=use_caching)
    history = ViTMAERegressor(**ENCODER, **TRAINING, callbacks=[scoring], precision=precision).fit(X, targets).history_
    assert np.isfinite(history[:, "train"]).all()


def test_scores_of_an_autoencoder(digits):
    def spread(net, X, y):  # noqa: ARG001
        return float(net.predict(X).std())

    scoring = EpochScoring(spread, on_train=True, name="spread")
    history = mae(callbacks=[scoring], precision="bfloat16").fit(digits[0]).history_
    assert (np.array(history[:, "spread"]) > 0).all()


def test_scores_of_validation_without_any_are_refused(digits):
    X, y = digits
    text = r"callbacks has EpochScoring\('accuracy'\), which scores validation data, and none is set aside.*on_train"
    for estimator in (classifier(callbacks=[EpochScoring("accuracy")]), mae(callbacks=[EpochScoring("accuracy")])):
        with pytest.raises(ValueError, match=text):
            estimator.fit(X, y)


def test_early_stopping_needs_something_to_watch(digits):
    with pytest.raises(ValueError, match=r"EarlyStopping\(monitor='valid_loss'\), and no validation data is set aside"):
        mae(callbacks=[EarlyStopping()]).fit(digits[0])


def test_a_scheduler_of_the_user_is_shown(digits, capsys):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.1)
    mae(callbacks=[scheduler], verbose=1).fit(digits[0])
    assert [line[:10] for line in capsys.readouterr().out.splitlines()] == ["epoch 1/3 ", "epoch 2/3 ", "epoch 3/3 "]


# -- the best weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (classifier, {"early_stopping": True}),
        (mae, {"net_params": {"train_split": ValidSplit(5)}, "augment": None}),
    ],
)
def test_the_best_weights_are_loaded_at_the_end(digits, tmp_path, make, changes):
    X, y = digits

    class Ruin(Callback):
        """What comes after the first epoch is worse."""

        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) > 1:
                with torch.no_grad():
                    for parameter in net.module_.parameters():
                        parameter.add_(3.0)

    best = Checkpoint(monitor="valid_loss_best", load_best=True, dirname=tmp_path)
    fitted = make(callbacks=[Ruin(), best], **changes).fit(X, y)
    state = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, tensor in fitted.net_.module_.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert max(tensor.abs().max() for tensor in fitted.net_.module_.parameters()) < 3


# -- failures ---------------------------------------------------------------------------------------------------------


class Failing(Callback):
    def __init__(self, event, epoch=None):
        self.event = event
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if self.event == "epoch" and len(net.history) == self.epoch:
            raise RuntimeError("no more")

    def on_train_end(self, net, **kwargs):
        if self.event == "train":
            raise RuntimeError("no more")


@pytest.mark.parametrize("failing", [Failing("train"), Failing("epoch", 3)])
def test_no_training_is_lost_to_a_callback_that_fails_at_its_end(digits, tmp_path, failing):
    X, y = digits
    for make in (mae, classifier):
        expected, estimator = make().fit(X, y), make(callbacks=[failing], checkpoint=tmp_path)
        with pytest.raises(RuntimeError, match="no more") as caught:
            estimator.fit(X, y)
        assert caught.value.__notes__ == ["Training was through: the estimator is fitted."]
        for name, tensor in expected.net_.module_.state_dict().items():
            assert torch.equal(tensor, estimator.net_.module_.state_dict()[name]), name
        assert len(estimator.history_) == 3
        make(callbacks=[failing], checkpoint=tmp_path).fit(X, y)  # it was written, too


def test_all_callbacks_are_told_of_the_end(digits):
    class Told(Locked):
        def on_train_end(self, net, **kwargs):
            self.told = True

    locked = Told()
    with pytest.raises(RuntimeError, match="no more"):
        mae(callbacks=[Failing("train"), locked]).fit(digits[0])
    assert locked.told


def test_a_callback_that_fails_before_leaves_the_estimator_as_it_was(digits):
    X, _ = digits
    fitted = mae().fit(X)
    before = fitted.transform(X)
    for failing in (Failing("epoch", 1), Failing("epoch", 2)):
        with pytest.raises(RuntimeError, match="no more"):
            fitted.set_params(callbacks=[failing]).fit(X)
        assert_array_equal(fitted.transform(X), before)


def test_an_end_that_fails_does_not_hide_ctrl_c(digits, tmp_path):
    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    interrupted = mae(callbacks=[Interrupt(), Checkpoint(load_best=True, dirname=tmp_path)])  # which finds no file
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(digits[0])
    assert np.isfinite(interrupted.transform(digits[0])).all()
