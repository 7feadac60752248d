"""The state of a training: kept in memory after every epoch, and written to a file that a killed run goes on from."""

import hashlib
import inspect
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from numbers import Real
from pathlib import Path
from typing import IO, Any

import joblib
import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn

from skmae._config import ViTConfig
from skmae._samples import Samples
from skmae.vit._archives import first_line, load_archive
from skmae.vit._data import DatasetSamples
from skmae.vit._net import FailedAtEndError
from skmae.vit._origin import origin_of

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be deleted anyway
    fcntl = None  # type: ignore[assignment]

FORMAT = "skmae.vit 3"
LAST = "last.pt"
_CONTENT = {"fingerprint": str, "finished": bool, "epoch": int, "seed": int, "module": dict, "optimizer": dict} | {
    "scaler": dict,
    "history": str,
}
_READ_TO_COMPARE = 20  # checkpoints of other trainings
# settings of a DataLoader, in `net_params`, that do not change what it gives
_OF_SPEED = {"num_workers", "pin_memory", "pin_memory_device", "prefetch_factor", "persistent_workers", "timeout"} | {
    "multiprocessing_context"
}


def capture(
    net: Any, fingerprint: str = "", hashes: dict[str, str] | None = None, *, finished: bool = False
) -> dict[str, Any]:
    """All that training goes on from, copied to the CPU: tensors, numbers and strings, as ``weights_only`` asks."""
    return {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "hashes": hashes or {},
        "finished": finished,
        "origin": origin_of(net),
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
    return value.tolist() if hasattr(value, "tolist") else str(value)


def write_atomically(path: Path, write: Callable[[Any], Any]) -> None:
    """Let `write` fill a file that takes the place of `path` only when all of it is on the disk.

    Raises
    ------
    OSError
        If it cannot be written, with its name, and that the file before is whole.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _unfinished(path) as (name, file):
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(name, path)
    except (OSError, RuntimeError) as error:  # PyTorch's writer wraps what the system says
        cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__ or error
        reason = getattr(cause, "strerror", None) or str(cause).partition("\n")[0]
        kept = "The file that was there before is whole." if os.path.exists(path) else "Nothing was there before."
        text = f"{path} could not be written: {reason}. {kept}"
        number = getattr(cause, "errno", None)
        raise (OSError(text) if number is None else OSError(number, text)) from error


@contextmanager
def _unfinished(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A file beside another, gone afterwards and locked until then: one that is not locked was left by a kill."""
    for other in path.parent.iterdir():
        if other.name.startswith(f".{path.name}."):
            _remove_if_left(other)
    while True:
        name = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with open(name, "xb") as file:
            _lock(file)
            if not name.exists():  # another process took it for one that was left
                continue
            try:
                yield name, file
            finally:
                with suppress(FileNotFoundError):
                    name.unlink()
            return


def _remove_if_left(name: Path) -> None:
    with suppress(OSError), open(name, "rb") as file:  # another process may be at it, too
        _lock(file, wait=False)
        name.unlink()


def _lock(file: IO[bytes], *, wait: bool = True) -> None:
    """Lock a file for this process, which the system undoes when it ends."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


class Checkpointer(Callback):
    """Keeps the state of the last whole epoch in memory, and in a folder if there is one.

    Parameters
    ----------
    folder : Path or None
    every : int or None
        Epochs between the files that stay, ``epoch-00010.pt`` and so on, beside the last.
    fingerprint : str
        Of the parameters and the data, written into the files.
    hashes : dict of str to str or None
        Of each parameter and of the data, to say in what another training differs.
    writes : bool
        Whether this process is the one that writes.
    say : callable or None
        What is told whether a training was resumed, or why not.
    """

    def __init__(
        self,
        folder: Path | None = None,
        every: int | None = None,
        fingerprint: str = "",
        hashes: dict[str, str] | None = None,
        *,
        writes: bool = True,
        say: Callable[[str], Any] | None = None,
    ):
        self.folder = folder
        self.every = every
        self.fingerprint = fingerprint
        self.hashes = hashes
        self.writes = writes
        self.say = say

    def begin(self, net: Any) -> None:
        """Keep the state that the training begins with, in memory."""
        self.state_ = self.before_ = capture(net, self.fingerprint, self.hashes)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:  # noqa: ARG002
        self.save(net)

    def save(self, net: Any, *, finished: bool = False) -> None:
        """Keep the state as it is now; write it."""
        if net.history:  # in the types that it has when it is read again
            net.history[-1] = json.loads(json.dumps(net.history[-1], default=_plain))
        state = capture(net, self.fingerprint, self.hashes, finished=finished)
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
        OSError
            If it cannot be opened.
        """
        if self.folder is None:
            return False
        path, state = self.folder / LAST, read(self.folder, self.fingerprint)
        if state is None:
            self._tell(lambda: f"Not resumed: {differences(path.parent, self.hashes or {})}")
            return False
        try:
            restore(net, state)
        except Exception as error:  # whatever a state that is none makes PyTorch raise
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"The checkpoint {path} does not fit ({type(error).__name__}: {reason}). {_remedy(path)}"
            ) from error
        done = "which is finished" if state["finished"] else f"after epoch {state['epoch']}"
        self._tell(lambda: f"Resumed: {path}, {done}.")
        return state["finished"]

    def _tell(self, text: Callable[[], str]) -> None:
        if self.say is not None and self.writes:
            self.say(text())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("state_", "before_")}


def train(net: Any, dataset: Any, checkpointer: Checkpointer, epochs: int) -> BaseException | None:
    """Train a net; whatever stops it, it has the weights of the last whole epoch then.

    Returns
    -------
    BaseException or None
        What stopped the training and left a net that can be used, to be raised once that net is kept: Ctrl-C, a loss
        that is not finite, or the error of a callback after the last epoch. Other errors are raised at once.
    """
    checkpointer.begin(net)
    stopped: BaseException | None = None
    others = net.callbacks_
    net.callbacks_ = [*others, ("checkpointer", checkpointer)]  # after all that may change or record something
    try:
        net.partial_fit(dataset, epochs=epochs)
    except FailedAtEndError as error:
        stopped = error.__cause__
        if stopped is not None:
            stopped.add_note("Training was through: the estimator is fitted.")
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
    try:
        checkpointer.save(net, finished=True)
    except OSError as error:
        stopped = error
    return stopped


def read(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The last state in a folder; None if there is none yet.

    Raises
    ------
    ValueError
        If the file is damaged, or not of this training.
    OSError
        If it cannot be opened.
    """
    path = folder / LAST
    try:
        state = load_archive(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        cause = error.__cause__ or error
        raise ValueError(
            f"The checkpoint {path} cannot be read ({type(cause).__name__}: {first_line(cause)}). {_remedy(path)}"
        ) from error
    except OSError as error:
        remedy = "Pass a folder that may be read and written as checkpoint."
        raise OSError(error.errno, f"The checkpoint {path} cannot be opened: {error.strerror}. {remedy}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of this version of skmae ({FORMAT!r}). {_remedy(path)}")
    missing = [name for name, kind in _CONTENT.items() if not isinstance(state.get(name), kind)]
    if missing:
        raise ValueError(f"The checkpoint {path} is damaged: it lacks {', '.join(missing)}. {_remedy(path)}")
    if state["fingerprint"] != fingerprint:
        raise ValueError(f"The checkpoint {path} belongs to other parameters or other data. {_remedy(path)}")
    broken = [name for name, weights in state["module"].items() if not torch.isfinite(weights).all()]
    if broken:
        raise ValueError(f"The checkpoint {path} holds NaN or infinity, in {broken[0]}. {_remedy(path)}")
    return state


def _remedy(path: Path) -> str:
    return f"Delete {path} to start anew, or pass another folder as checkpoint."


def differences(folder: Path, hashes: dict[str, str]) -> str:
    """Why there is nothing to resume in a folder: in what the trainings beside it differ."""
    others = [path for path in folder.parent.glob(f"*/{LAST}") if path.parent != folder]
    if not others:
        return f"{folder.parent} holds no training yet."
    newest = sorted(others, key=lambda path: path.stat().st_mtime)[-_READ_TO_COMPARE:]
    known = [found for found in map(_hashes_in, newest) if found]
    if not known:
        return f"{folder.parent} holds trainings of other versions of skmae."
    nearest = min(
        (
            sorted(name for name in hashes.keys() | found.keys() if hashes.get(name) != found.get(name))
            for found in known
        ),
        key=len,
    )
    return f"the trainings in {folder.parent} differ, the nearest in {', '.join(nearest)}."


def _hashes_in(path: Path) -> dict[str, str]:
    """Of the training in a file, of which no more is read; none if it cannot be."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["hashes"])
    except Exception:  # whatever a damaged or foreign file makes PyTorch raise
        return {}


def fingerprint_of(hashes: dict[str, str]) -> str:
    """A name for a training: the same for the same parameters and data."""
    return hashlib.sha256(f"{FORMAT} {sorted(hashes.items())}".encode()).hexdigest()[:20]


def hashes_of(parameters: dict[str, Any], data: Samples | DatasetSamples) -> dict[str, str]:
    """Of each parameter that may change the result, and of the data."""
    plain = {name: described(value) for name, value in parameters.items()}
    plain["net_params"] = _settings_that_count(parameters["net_params"])
    try:
        hashes = {name: joblib.hash(value) for name, value in plain.items()}
    except Exception as error:  # pickling fails in many ways
        raise ValueError(
            f"With checkpoint, all parameters must be such as can be pickled, to tell one training from another: "
            f"{str(error.args[0] if error.args else error)[:200]}. Define functions at the top of a module."
        ) from error
    return hashes | {"data": _data_digest(data)}


def noted_precision(precision: str, used: str) -> str:
    """The precision of a training, as its fingerprint has it: what was used, but "auto" where that is float32.

    So a training is not taken up in another one, and those of "auto" on a CPU have the names that they always had.
    """
    return precision if used == "float32" else used


def _settings_that_count(net_params: dict[str, Any] | None) -> dict[str, Any]:
    """Those that may change the result of a training."""
    kept = {}
    for name, value in (net_params or {}).items():
        kind, _, setting = name.partition("__")
        if kind != "compile" and not (kind.startswith("iterator") and setting in _OF_SPEED):
            kept[name] = described(value)
    return kept


def described(value: Any) -> Any:
    """The same for what means the same: 4 and 4.0, lists and tuples, callbacks of the same arguments."""
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if isinstance(value, Callback):
        return type(value).__qualname__, _arguments(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value


def described_network(module: nn.Module) -> Any:
    """Its weights, and what else decides what it makes of samples: the layers as they are printed, and their sizes."""
    layers = [re.sub(r" at 0x[0-9a-f]+", "", repr(layer)) for layer in module.modules() if not [*layer.children()]]
    sizes = [config for part in module.modules() if isinstance(config := getattr(part, "config", None), ViTConfig)]
    return layers, sizes, {name: value.cpu().numpy() for name, value in module.state_dict().items()}


def _arguments(callback: Callback) -> dict[str, Any]:
    """What a callback was made with, but for what cannot be pickled: a writer, a lock."""
    accepted = inspect.signature(type(callback).__init__).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted)
    names = {parameter.name for parameter in accepted}
    arguments = {}
    for name, value in callback.get_params(deep=False).items():
        if takes_any or name in names:
            with suppress(Exception):  # pickling fails in many ways
                arguments[name] = joblib.hash(value)
    return arguments


def _data_digest(data: Samples | DatasetSamples) -> str:
    """Of all samples of an array; of the type and the length of a Dataset."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(data, DatasetSamples):
        digest.update(f"{type(data.dataset).__qualname__} {data.original_shape}".encode())
        return digest.hexdigest()
    digest.update(f"{(len(data), data.n_features)} {data.dtype.str}".encode())
    for _, block in data.blocks():
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()
