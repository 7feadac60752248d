"""A training that ends before its schedule does."""

from pathlib import Path
from typing import Any

from skorch.callbacks import Callback


class StopAfter(Callback):
    """Ends a training after some epoch, as Ctrl-C would.

    The epoch is no parameter, which its name tells skorch: trainings that stop at different ones are parts of the same.
    """

    epoch_: int | None = None

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if self.epoch_ is not None and len(net.history) > self.epoch_:  # of the next one, when the last is kept
            raise KeyboardInterrupt


def train_until(predictor: Any, X: Any, y: Any, epoch: int, folder: Path) -> None:
    """Fit an estimator that keeps checkpoints, up to an epoch of its schedule, from what is in the folder.

    Raises
    ------
    KeyboardInterrupt
        If it was stopped by anything else.
    """
    given = {name: getattr(predictor, name) for name in ("callbacks", "checkpoint")}
    stop = StopAfter()
    stop.epoch_ = epoch if epoch < predictor.max_epochs else None
    predictor.set_params(callbacks=[*(given["callbacks"] or ()), ("stop_after", stop)])
    try:
        is_whole = _fit(predictor.set_params(checkpoint=folder), X, y)
        if len(predictor.history_) > epoch:  # another search has gone farther
            is_whole = _fit(predictor.set_params(checkpoint=folder / f"until-{epoch}"), X, y)
        if len(predictor.history_) != epoch and not is_whole:
            raise KeyboardInterrupt
    finally:
        predictor.set_params(**given)


def _fit(predictor: Any, X: Any, y: Any) -> bool:
    """Fit; whether nothing from outside stopped it, though a callback of its own may have."""
    try:
        predictor.fit(X, y)
    except KeyboardInterrupt:
        return False
    return True
