"""A skorch net whose training can be repeated and taken up again, and its learning rate."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import cos, pi
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, PassthroughScoring, ProgressBar
from skorch.dataset import unpack_data
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from skmae._undisturbed import undisturbed
from skmae.vit._augmentation import Augment
from skmae.vit._data import BatchPart, EpochBatches, collate, is_resident
from skmae.vit._drawing import DrawingFrom
from skmae.vit._log import TrainingLog
from skmae.vit._precision import name_of

_STEPS_BETWEEN_CHECKS = 50  # of the loss, each of which waits for the device
NO_DECAY = [("*bias", {"weight_decay": 0.0}), ("*norm*", {"weight_decay": 0.0})]


class DivergedError(FloatingPointError):
    """The loss is not finite.

    Parameters
    ----------
    message : str
    good_epoch : int
        The last epoch from whose weights a finite loss was computed.
    """

    def __init__(self, message: str, good_epoch: int):
        super().__init__(message)
        self.good_epoch = good_epoch


class FailedAtEndError(Exception):
    """A callback failed after the last epoch. Its error is the cause; the net is trained."""


class WarmupCosine(Callback):
    """Learning rate per step: up in a line, then down along half a cosine.

    Parameters
    ----------
    learning_rate : float
        At the top.
    warmup_epochs, max_epochs : int
    """

    def __init__(self, learning_rate: float, warmup_epochs: int, max_epochs: int):
        self.learning_rate = learning_rate
        self.warmup_epochs = warmup_epochs
        self.max_epochs = max_epochs

    def factor(self, step: int, steps_per_epoch: int) -> float:
        """Of the learning rate, at a step counted from the beginning of the training."""
        warmup, total = self.warmup_epochs * steps_per_epoch, self.max_epochs * steps_per_epoch
        if step < warmup:
            return (step + 1) / warmup
        if step >= total:
            return 0.0
        return 0.5 * (1 + cos(pi * (step - warmup) / (total - warmup)))

    def on_batch_begin(self, net: "SeededNet", batch: Any = None, training: bool = False, **kwargs: Any) -> None:  # noqa: ARG002
        if not training:
            return
        rate = self.learning_rate * self.factor(*net.position())
        for group in net.optimizer_.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)


class EpochDraws:
    """All that is random in an epoch, as a function of a seed and the number of the epoch.

    Nothing random is carried from one epoch to the next, so that training can be taken up at any of them.
    """

    def __init__(self, seed: int, epoch: int, batches: EpochBatches, device: torch.device, masks_on: torch.device):
        self.batches = batches
        self.step = 0

        def generator(number: int, device: torch.device | str = device) -> torch.Generator:
            return torch.Generator(device).manual_seed(_seed(seed, epoch, number))

        self.masks = generator(1, masks_on)
        self.augmentation = DrawingFrom(generator(2, "cpu"), generator(4))
        self.network = DrawingFrom(generator(3), generator(5, "cpu"))
        """For what the network itself draws, in dropout for instance."""
        self.workers = _seed(seed, epoch, 6)

    def next_part(self) -> BatchPart:
        """This process's part of the next batch."""
        part = self.batches.part(self.step)
        self.step += 1
        return part


def _seed(*entropy: int) -> int:
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def drawing_weights(seed: int) -> Iterator[None]:
    """Let modules that are built draw their weights from the seed, whatever PyTorch's own generator has drawn."""
    with DrawingFrom(torch.Generator().manual_seed(_seed(seed))), undisturbed():
        yield


class Prebuilt:
    """Hands a module that is there to skorch, which wants to call something for it, and forgets it.

    Parameters
    ----------
    module : Module
    """

    def __init__(self, module: nn.Module):
        self.modules = [module]

    def __call__(self) -> nn.Module:
        return self.modules.pop()


class SeededNet(NeuralNet):
    """A skorch net in which all that is random is a function of a seed and the number of the epoch.

    Its subclasses say what a step infers and what that costs (`infer`, `get_loss`).

    Parameters
    ----------
    *args, **kwargs
        As skorch's.
    augment : callable or None
        Function of standardised images, a `BatchPart`, and what to draw within.
    autocast : torch.dtype or None
        Type of the matrix products in training.
    seed : int
    """

    def __init__(
        self,
        *args: Any,
        augment: Augment | None = None,
        autocast: torch.dtype | None = None,
        seed: int = 0,
        **kwargs: Any,
    ):
        self.augment = augment  # before skorch looks for modules among the attributes
        super().__init__(*args, **kwargs)
        self.autocast = autocast
        self.seed = seed
        self._n_whole_epochs = 0

    collate: Callable[[Any], Any] = staticmethod(collate)  # from samples to a batch

    # -- what is built ------------------------------------------------------------------------------------------

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        callbacks = [("epoch_timer", EpochTimer()), ("train_loss", PassthroughScoring("train_loss", on_train=True))]
        if self.train_split:
            callbacks.append(("valid_loss", PassthroughScoring("valid_loss")))
        if self.verbose:
            callbacks.append(("print_log", TrainingLog()))
        if self.verbose > 1:
            callbacks.append(("progress_bar", ProgressBar(postfix_keys=[])))
        return callbacks

    def initialize_optimizer(self, triggered_directly: object = None) -> "SeededNet":
        """Build the optimizer, and what scales the loss where gradients are float16."""
        super().initialize_optimizer(triggered_directly)
        self.scaler_ = torch.amp.GradScaler(self.where.type, enabled=self.autocast == torch.float16)
        return self

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        """Compile in place: the module keeps its class and its names, and can be pickled."""
        if self.compile and name == "module":
            module.compile(**self.get_params_for("compile"))
        return module

    @property
    def plain_module(self) -> Any:
        """The module without what wraps it in several processes."""
        return self.module_

    @property
    def precision(self) -> str:
        """The type of the matrix products in training, as the parameter `precision` calls it."""
        return name_of(self.autocast)

    @property
    def where(self) -> torch.device:
        """The device that the module is on."""
        return next(self.module_.parameters()).device

    @property
    def masks_on(self) -> torch.device:
        """The device that masks are drawn on."""
        return self.where

    def get_iterator(self, dataset: Any, training: bool = False) -> DataLoader[Any]:
        """Batches of a dataset, whole: nothing is done sample by sample but what the dataset does."""
        rank, world = self.process()
        batches = EpochBatches(len(dataset), self.batch_size, self.seed if training else None, rank, world)
        kwargs = self.get_params_for("iterator_train" if training else "iterator_valid")
        kwargs.setdefault("pin_memory", self.where.type == "cuda" and not is_resident(dataset))
        return DataLoader(
            dataset, batch_sampler=batches, collate_fn=self.collate, generator=torch.Generator(), **kwargs
        )

    # -- a step -------------------------------------------------------------------------------------------------

    def drawing_network(self) -> AbstractContextManager[Any]:
        """Within which the module is run: what it draws follows from the seed. Compiled code is left as it is."""
        draws_nothing = getattr(self.plain_module, "draws_nothing", False)
        return nullcontext() if draws_nothing or self.compile else self._draws.network

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        self._set_training(True)
        x, y = unpack_data(batch)
        with torch.autocast(self.where.type, dtype=self.autocast, enabled=self.autocast is not None):
            y_pred = self.infer(x, **fit_params)
            loss = self.get_loss(y_pred, y, X=x, training=True)
        self.scaler_.scale(loss).backward()
        self.scaler_.unscale_(self.optimizer_)
        return {"loss": loss, "y_pred": y_pred}

    def _step_optimizer(self, step_fn: Callable[[], Tensor]) -> None:
        step_fn()
        self.scaler_.step(self.optimizer_)
        self.scaler_.update()

    # -- an epoch -----------------------------------------------------------------------------------------------

    def position(self) -> tuple[int, int]:
        """Steps since the beginning of the training, and steps per epoch."""
        steps = len(self._draws.batches)
        return (len(self.history) - 1) * steps + self._draws.step, steps

    def on_epoch_begin(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the batches of one epoch only: those of thousands would outgrow the model."""
        if self.history:
            self.history[-1]["batches"] = []
        super().on_epoch_begin(net, *args, **kwargs)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable[..., dict[str, Any]], **fit_params: Any
    ) -> None:
        """As skorch's, but losses are read all at once: reading each would wait for the device at every step."""
        if iterator is None:
            return
        epoch = len(self.history) - 1 if training else 0
        iterator.batch_sampler.set_epoch(epoch)
        self._draws = EpochDraws(self.seed, epoch, iterator.batch_sampler, self.where, self.masks_on)
        iterator.generator.manual_seed(self._draws.workers)
        first = len(self.history[-1]["batches"])
        losses: list[Tensor] = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            self.history.record_batch(f"{prefix}_batch_size", iterator.batch_sampler.part(len(losses) - 1).total)
            self.notify("on_batch_end", batch=batch, training=training, **step)
            if len(losses) % _STEPS_BETWEEN_CHECKS == 0:
                self._read(losses, training)
        for row, loss in zip(self.history[-1]["batches"][first:], self._read(losses, training), strict=True):
            row[f"{prefix}_loss"] = loss
        self.history.record(f"{prefix}_batch_count", len(losses))

    def _read(self, losses: list[Tensor], training: bool) -> list[float]:
        """The losses of an epoch so far, all of which must be finite."""
        values = self.mean_over_processes(torch.stack(losses)).tolist()
        wrong = next((step for step, value in enumerate(values) if not np.isfinite(value)), None)
        if wrong is None:
            return values
        epoch = len(self.history)
        good = max(epoch - (2 if training and wrong == 0 else 1), 0)  # the first loss is that of the epoch before
        raise DivergedError(
            f"The loss became {values[wrong]} at step {wrong + 1} of epoch {epoch}. Try a smaller learning_rate, more "
            f"warmup_epochs, precision='float32' or 'bfloat16', or callbacks=[skorch.callbacks."
            f"GradientNormClipping(1.0)].",
            good,
        )

    def partial_fit(self, X: Dataset[Any], y: object = None, classes: Any = None, **fit_params: Any) -> "SeededNet":  # noqa: ARG002
        """As skorch's, but a KeyboardInterrupt goes on to the caller, unless it is how EarlyStopping stops.

        Raises
        ------
        FailedAtEndError
            If a callback fails after the last epoch.
        """
        self.prepare()
        rates = [group["lr"] for group in self.optimizer_.param_groups]
        self.notify("on_train_begin", X=X, y=y)
        if self.history:  # a schedule that begins anew makes its first step, which the training has made before
            for group, rate in zip(self.optimizer_.param_groups, rates, strict=True):
                group["lr"] = rate
        try:
            failure = self._fit_epochs(X, y, **fit_params)
        finally:
            failure_at_end = self._end(X, y)
        if failure or failure_at_end:
            raise FailedAtEndError from failure or failure_at_end
        return self

    def _fit_epochs(self, X: Dataset[Any], y: object, epochs: int) -> Exception | None:
        """Train; return the error of a callback at the end of the last epoch."""
        last = len(self.history) + epochs
        try:
            self.fit_loop(X, y, epochs=epochs)
        except KeyboardInterrupt:
            if not self._stopped_early():
                raise
        except Exception as error:
            if self._n_whole_epochs < last:
                raise
            return error
        return None

    def _end(self, X: Dataset[Any], y: object) -> Exception | None:
        """Tell all callbacks that training ends; return the first error of one."""
        failures = []
        for part in (self, *(callback for _, callback in self.callbacks_)):
            try:
                part.on_train_end(self, X=X, y=y)
            except Exception as error:  # whatever a callback of the user raises
                failures.append(error)
        return failures[0] if failures else None

    def on_epoch_end(self, net: Any, *args: Any, **kwargs: Any) -> None:
        """Note, before the callbacks are told, that all batches of the epoch were trained."""
        self._n_whole_epochs = len(self.history)
        super().on_epoch_end(net, *args, **kwargs)

    def _stopped_early(self) -> bool:
        stoppers = [callback for _, callback in self.callbacks_ if isinstance(callback, EarlyStopping)]
        return any(stopper.misses_ == stopper.patience for stopper in stoppers)

    # -- several processes --------------------------------------------------------------------------------------

    def process(self) -> tuple[int, int]:
        """Number of this process, and how many there are."""
        return 0, 1

    def writes(self) -> bool:
        """Whether this process is the one that writes files."""
        return self.process()[0] == 0

    def prepare(self) -> None:
        """Wrap the module for several processes."""

    def mean_over_processes(self, values: Tensor) -> Tensor:
        """The mean over processes of what each has."""
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_draws"}


@contextmanager
def naming_net_params(parameters: dict[str, Any]) -> Iterator[None]:
    """Say of an argument that the module or a part of the net does not know that it came in `net_params`."""
    try:
        yield
    except TypeError as error:
        if not parameters["net_params"]:
            raise
        raise ValueError(f"net_params={parameters['net_params']!r} cannot be used: {error}") from error
