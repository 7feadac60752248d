"""A line for each epoch: how far the training is, how it goes, and how long it will take."""

from numbers import Real
from statistics import median
from typing import Any

from skorch.callbacks import PrintLog

_BESIDE = {"epoch", "dur", "train_batch_count", "valid_batch_count"}  # said in other words, or of no interest


class TrainingLog(PrintLog):
    """Prints, at the end of each epoch, all numbers that the history has of it.

    Plain text, a line each, so that it can be read in a file. skorch calls a `PrintLog` after all other callbacks.
    """

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if net.writes():
            self.sink("  ".join(self._parts(net)))

    def _parts(self, net: Any) -> list[str]:
        row, done, planned = net.history[-1], len(net.history), net.max_epochs
        numbers = {name: value for name, value in row.items() if name not in _BESIDE and _is_number(value)}
        seconds = median(net.history[-5:, "dur"])
        left = max(planned - done, 0) * seconds
        return [
            f"epoch {done:{len(str(planned))}}/{planned}",
            *(f"{name} {value:.4g}" for name, value in numbers.items()),
            f"rate {max(group['lr'] for group in net.optimizer_.param_groups):.2e}",
            f"{row['dur']:.1f} s",
            f"{duration(left)} left",
        ]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def duration(seconds: float) -> str:
    """To two digits or so: 12 s, 3.4 min, 5.6 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"
