"""Trainings that are watched by TensorBoard and by MLflow, through skorch's callbacks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from skorch.callbacks import MlflowLogger, TensorBoard

from skmae import ViTMAE


def watched_by(callback):
    sizes = {"patch": 2, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1}
    training = {"decoder_heads": 2, "max_epochs": 3, "warmup_epochs": 0, "device": "cpu", "random_state": 0}
    X = np.random.RandomState(0).random((40, 8, 8))
    return ViTMAE(**sizes, **training, callbacks=[callback]).fit(X)


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(tmp_path)
    mae = watched_by(TensorBoard(writer))
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    written = [event.value for event in events.Scalars("Loss/train_loss")]
    assert_allclose(written, mae.history_[:, "train_loss"], rtol=1e-6)


def test_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    experiment = mlflow.MlflowClient().create_experiment("skmae")
    with mlflow.start_run(experiment_id=experiment) as run:
        mae = watched_by(MlflowLogger(run, mlflow.MlflowClient()))
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train_loss")
    assert_allclose([metric.value for metric in history], mae.history_[:, "train_loss"], rtol=1e-6)
