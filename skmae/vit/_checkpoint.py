"""The state of a training: kept in memory after every epoch, and written to a file that a killed run goes on from."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from skmae._samples import Samples
from skmae.vit._archives import first_line
from skmae.vit._data import DatasetSamples

FORMAT = "skmae.vit 2"
LAST = "last.pt"


def capture(net: Any, fingerprint: str = "", *, finished: bool = False) -> dict[str, Any]:
    """All that training goes on from, copied to the CPU: tensors, numbers and strings, as ``weights_only`` asks."""
    return {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "finished": finished,
        "epoch": len(net.history),
        "seed": net.seed,  # of every generator, which are functions of it and of the epoch
        "module": _copied(net.plain_module.state_dict()),
        "optimizer": _copied(net.optimizer_.state_dict()),
        "scaler": net.scaler_.state_dict(),
        "history": json.dumps(list(net.history), default=_plain),
    }


def restore(net: Any, state: dict[str, Any]) -> None:
    """Put a net back to what `capture` saw."""
    net.seed = state["seed"]
    net.plain_module.load_state_dict(state["module"])
    net.optimizer_.load_state_dict(state["optimizer"])
    if state["scaler"]:
        net.scaler_.load_state_dict(state["scaler"])
    net.history[:] = json.loads(state["history"])


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_copied(item) for item in value)
    return value


def _plain(value: Any) -> Any:
    """Numbers of NumPy and PyTorch, which callbacks may have recorded, as Python's."""
    return value.item() if hasattr(value, "item") else str(value)


def write_atomically(path: Path, write: Callable[[Any], Any]) -> None:
    """Let `write` fill a file that takes the place of `path` only when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException as error:
            os.unlink(file.name)
            if isinstance(error, OSError | RuntimeError):  # PyTorch's writer wraps what the system says
                kept = "The file that was there before is whole." if path.exists() else "Nothing was there before."
                raise OSError(f"{path} could not be written: {error}. {kept}") from error
            raise


class Checkpointer(Callback):
    """Keeps the state of the last whole epoch in memory, and in a folder if there is one.

    Parameters
    ----------
    folder : Path or None
    every : int or None
        Epochs between the files that stay, ``epoch-00010.pt`` and so on, beside the last.
    fingerprint : str
        Of the parameters and the data, written into the files.
    writes : bool
        Whether this process is the one that writes.
    """

    def __init__(
        self, folder: Path | None = None, every: int | None = None, fingerprint: str = "", writes: bool = True
    ):
        self.folder = folder
        self.every = every
        self.fingerprint = fingerprint
        self.writes = writes

    def begin(self, net: Any) -> None:
        """Keep the state that the training begins with, in memory."""
        self.state_ = self.before_ = capture(net, self.fingerprint)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self.save(net)

    def save(self, net: Any, *, finished: bool = False) -> None:
        """Keep the state as it is now; write it."""
        state = capture(net, self.fingerprint, finished=finished)
        if state["epoch"] > self.state_["epoch"]:
            self.before_ = self.state_
        self.state_ = state
        if self.every and self.state_["epoch"] % self.every == 0:
            self.write(f"epoch-{self.state_['epoch']:05d}.pt")
        self.write(LAST)

    def good_state(self, error: BaseException) -> dict[str, Any]:
        """The state to go back to: that of the last whole epoch, or the one before if its weights are of no use."""
        useless = getattr(error, "good_epoch", self.state_["epoch"]) < self.state_["epoch"]
        return self.before_ if useless else self.state_

    def write(self, name: str) -> None:
        """Write the state that is kept."""
        if self.folder is not None and self.writes:
            write_atomically(self.folder / name, lambda file: torch.save(self.state_, file))

    def resume(self, net: Any) -> bool:
        """Put a net to the last state in the folder, if there is one; say whether that training is finished.

        Raises
        ------
        ValueError
            If the file is damaged, or not of this training.
        """
        state = None if self.folder is None else read(self.folder, self.fingerprint)
        if state is None:
            return False
        restore(net, state)
        return state["finished"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("state_", "before_")}


def train(net: Any, dataset: Any, checkpointer: Checkpointer, epochs: int) -> BaseException | None:
    """Train a net; whatever stops it, it has the weights of the last whole epoch then.

    Returns
    -------
    KeyboardInterrupt, FloatingPointError or None
        What stopped the training and left a net that can be used, to be raised once that net is kept. Other errors are
        raised at once.
    """
    checkpointer.begin(net)
    others = net.callbacks_
    net.callbacks_ = [*others, ("checkpointer", checkpointer)]  # after all that may change or record something
    try:
        net.partial_fit(dataset, epochs=epochs)
    except BaseException as error:
        state = checkpointer.good_state(error)
        restore(net, state)
        if isinstance(error, FloatingPointError):
            error.args = (f"{error} The estimator goes back to the weights of epoch {state['epoch']}.",)
            return error
        if isinstance(error, KeyboardInterrupt):
            checkpointer.write(LAST)
            return error
        raise
    finally:
        net.callbacks_ = others
    checkpointer.save(net, finished=True)
    return None


def read(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The last state in a folder; None if there is none yet.

    Raises
    ------
    ValueError
        If the file is damaged, or not of this training.
    """
    path = folder / LAST
    if not path.exists():
        return None
    remedy = f"Delete {path} to start anew, or pass another folder as checkpoint."
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged archive makes PyTorch raise
        raise ValueError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}: {first_line(error)}). {remedy}"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this version of skmae ({FORMAT!r}). {remedy}")
    if state["fingerprint"] != fingerprint:
        raise ValueError(f"The checkpoint {path} belongs to other parameters or other data. {remedy}")
    return state


def fingerprint_of(parameters: dict[str, Any], data: Samples | DatasetSamples) -> str:
    """A name for a training: the same for the same parameters and data."""
    try:
        described = joblib.hash({name: _described(value) for name, value in parameters.items()})
    except Exception as error:  # pickling fails in many ways
        raise ValueError(
            f"With checkpoint, all parameters must be such as can be pickled, to tell one training from another: "
            f"{str(error.args[0] if error.args else error)[:200]}. Define functions at the top of a module."
        ) from error
    return hashlib.sha256(f"{FORMAT} {described} {_data_digest(data)}".encode()).hexdigest()[:20]


def _described(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_described(item) for item in value]
    return (type(value).__qualname__, value.get_params()) if isinstance(value, Callback) else value


def _data_digest(data: Samples | DatasetSamples) -> str:
    """Of all samples of an array; of the type and the length of a Dataset."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(data, DatasetSamples):
        digest.update(f"{type(data.dataset).__qualname__} {len(data)}".encode())
        return digest.hexdigest()
    digest.update(f"{(len(data), data.n_features)} {data.dtype.str}".encode())
    for _, block in data.blocks():
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()
