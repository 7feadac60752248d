"""How long steps of training take, from steps of single blocks that are short."""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn.base import clone

from skmae._typing import FloatArray, Shape
from skmae.planning._cost import Workload
from skmae.vit import ViTMAE
from skmae.vit._build import resolve_device
from skmae.vit._data import dataset_of
from skmae.vit._drawing import DrawingFrom
from skmae.vit._module import Block
from skmae.vit._precision import resolve_precision

_TOKENS = 2**13  # per step that is timed, at most, but for one sample
_LENGTHS = 4  # sequence lengths that are timed, for each width of blocks
_REPEATS = 3  # of which the fastest counts
_STEPS = 2  # of a whole training that is timed


class StepTimes:
    """Times of training steps, from those of blocks and from what is around them.

    Parameters
    ----------
    models : list of ViTMAE
        All of one device and precision.
    workloads : list of Workload
    image_shape : tuple of int
    """

    def __init__(self, models: list[ViTMAE], workloads: list[Workload], image_shape: Shape):
        self.device = torch.device(resolve_device(models[0].device))
        self.autocast = resolve_precision(models[0].precision, str(self.device))
        lengths: dict[tuple[int, int, float], set[int]] = {}
        for workload in workloads:
            for stack in (workload.encoder, workload.decoder):
                lengths.setdefault(stack.kind, set()).add(stack.n_tokens)
        with DrawingFrom(torch.Generator()):
            self.blocks = {kind: self._fit_block(kind, sorted(of_kind)) for kind, of_kind in lengths.items()}
            self.around = self._fit_around(models, workloads, image_shape)

    def step(self, workload: Workload, batch_size: int) -> float:
        """Seconds."""
        around = self.around @ [1, batch_size, batch_size * _tokens(workload)]
        return float(around + self._in_blocks(workload, batch_size))

    def _in_blocks(self, workload: Workload, batch_size: int) -> float:
        return sum(
            stack.n_blocks * float(self.blocks[stack.kind] @ _terms(batch_size, stack.n_tokens))
            for stack in (workload.encoder, workload.decoder)
        )

    def _fit_block(self, kind: tuple[int, int, float], lengths: list[int]) -> FloatArray:
        """γ, α and β of a kind of blocks."""
        some = {lengths[round(i)] for i in np.linspace(0, len(lengths) - 1, _LENGTHS)}
        cases = [(batch, n) for n in sorted(some) for batch in _batches(n)]
        block = Block(*kind, 1e-6).to(self.device)
        seconds = [self._time_block(block, kind[0], *case) for case in cases]
        return _fit([_terms(*case) for case in cases], seconds, seconds)

    def _time_block(self, block: Block, dim: int, batch: int, n: int) -> float:
        optimizer = torch.optim.AdamW(block.parameters(), fused=True)
        x = torch.randn(batch, n, dim, device=self.device, requires_grad=True)

        def step() -> None:
            with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
                out = block(x)
            out.backward(torch.ones_like(out))
            optimizer.step()
            optimizer.zero_grad()

        return _fastest(step, self.device)

    def _fit_around(self, models: list[ViTMAE], workloads: list[Workload], image_shape: Shape) -> FloatArray:
        """What a step, a sample and a token take around the blocks, from whole steps of the fewest and most tokens."""
        tokens = [_tokens(workload) for workload in workloads]
        terms: list[list[float]] = []
        rests: list[float] = []
        steps: list[float] = []
        for i in {int(np.argmin(tokens)), int(np.argmax(tokens))}:
            for batch in _batches(tokens[i]):
                thin = clone(models[i]).set_params(image_shape=tuple(image_shape), encoder_layers=1, decoder_layers=1)
                thin.set_params(batch_size=batch, checkpoint=None, callbacks=None, verbose=0)
                step = self._time_training(thin, image_shape)
                terms.append([1.0, batch, batch * tokens[i]])
                rests.append(step - self._in_blocks(Workload.of_model(thin, image_shape), batch))
                steps.append(step)
        return _fit(terms, rests, steps)  # a rest may be near zero, or below it: errors relative to it mean nothing

    def _time_training(self, model: ViTMAE, image_shape: Shape) -> float:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((_STEPS * model.batch_size, *image_shape), dtype=np.float32)
        net = model._untrained(X, 0).net_
        dataset = dataset_of(X.reshape(len(X), -1), net.where)
        return _fastest(lambda: net.partial_fit(dataset, epochs=1), self.device) / _STEPS


def _tokens(workload: Workload) -> int:
    return workload.encoder.n_tokens + workload.decoder.n_tokens


def _batches(n: int) -> tuple[int, int]:
    """Numbers of samples of n tokens that are timed together."""
    most = max(_TOKENS // n, 2)
    return max(most // 4, 1), most


def _terms(batch: int, n: int) -> list[float]:
    return [1.0, batch * n, batch * n * n]


def _fit(terms: list[list[float]], seconds: list[float], units: list[float]) -> FloatArray:
    """Coefficients, none negative, of the smallest squared errors, each in a unit of its own."""
    A, b, unit = np.array(terms), np.array(seconds), np.array(units)
    scale = A.max(axis=0)
    return nnls(A / scale / unit[:, np.newaxis], b / unit)[0] / scale


def _fastest(step: Callable[[], Any], device: torch.device) -> float:
    """Seconds of the fastest of a few, after one that does not count."""
    seconds = []
    for _ in range(1 + _REPEATS):
        start = perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(perf_counter() - start)
    return min(seconds[1:])
