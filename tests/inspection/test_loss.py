"""Losses of trainings, as lines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from skorch.dataset import ValidSplit

from skmae import LinearMAE, ViTMAE
from skmae.inspection import LossDisplay

TINY = {"patch": 2, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}


def tiny(**parameters):
    return ViTMAE(**TINY, warmup_epochs=0, max_epochs=3, batch_size=16, device="cpu", random_state=0, **parameters)


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).random((40, 8, 8))


def test_a_training(X):
    mae = tiny().fit(X)
    display = LossDisplay.from_estimator(mae, name="run", linewidth=3)
    assert_allclose(display.line_.get_xdata(), [1, 2, 3])
    assert_allclose(display.line_.get_ydata(), mae.history_[:, "train_loss"])
    assert display.line_.get_linewidth() == 3
    assert display.valid_line_ is None
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["run"]


def test_validation_is_dashed_in_the_same_colour_and_runs_differ(X):
    split = {"train_split": ValidSplit(4)}
    first, second = tiny(net_params=split).fit(X), tiny(net_params=split).fit(-X)
    display = LossDisplay.from_estimator(first, name="first")
    other = LossDisplay.from_estimator(second, name="second", ax=display.ax_)
    assert_allclose(display.valid_line_.get_ydata(), first.history_[:, "valid_loss"])
    assert display.valid_line_.get_linestyle() == "--"
    assert display.valid_line_.get_color() == display.line_.get_color() != other.line_.get_color()
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["first", "first, validation", "second", "second, validation"]
    display.figure_.canvas.draw()


def test_what_is_refused(X):
    with pytest.raises(NotFittedError):
        LossDisplay.from_estimator(tiny())
    with pytest.raises(TypeError, match=r"LinearMAE has no history_: .* Pass a fitted ViTMAE"):
        LossDisplay.from_estimator(LinearMAE(2).fit(X))
    with pytest.raises(ValueError, match=r"valid_loss has shape \(1,\); it must be \(2\), an entry for each"):
        LossDisplay([1, 2], [3]).plot()
