"""What training a ViTMAE will cost: counted, and timed by steps of blocks that are short."""

from collections.abc import Callable
from math import ceil
from numbers import Integral
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from skmae._compat import import_optional
from skmae._cost import Architecture
from skmae._grid import PatchGrid, check_shape, resolve_shape
from skmae.vit._augmentation import drawing_from
from skmae.vit._build import resolve_device, resolve_precision
from skmae.vit._data import dataset_of
from skmae.vit._module import Block, ViTConfig
from skmae.vit._vitmae import ViTMAE

_TOKENS = 2**13  # per step that is timed, at most, but for one sample
_LENGTHS = 4  # sequence lengths that are timed, for each width of blocks
_REPEATS = 3  # of which the fastest counts
_STEPS = 2  # of a whole training that is timed
_SIZES = {"mask", "patch", "embed_dim", "encoder_layers", "encoder_heads", "decoder_dim", "decoder_layers"} | {
    "decoder_heads",
    "mlp_ratio",
    "batch_size",
    "max_epochs",
}


def training_cost(
    estimator: ViTMAE,
    image_shape: tuple[int, ...],
    *,
    param_grid: Any = None,
    n_samples: int | None = None,
    measure: bool = True,
) -> Any:
    """What training will cost, before it starts: tokens, FLOPs, memory and, by a short measurement, time.

    Parameters
    ----------
    estimator : ViTMAE
        It is not changed, and need not be fitted.
    image_shape : tuple of int
        Shape of one sample, channels included.
    param_grid : dict of str to list, list of such, or None, default=None
        Parameters to vary, as in `GridSearchCV`: one row of the table for each combination.
    n_samples : int or None, default=None
        Samples to train on; None leaves out what depends on their number.
    measure : bool, default=True
        Time some short steps of single blocks on the estimator's device, of the sequence lengths and widths that are
        asked for, and add up what longer ones will take. It takes seconds, on a CPU perhaps half a minute.

    Returns
    -------
    pandas.DataFrame
        The parameters varied, and

        - ``encoder_tokens``, ``decoder_tokens``: of one sample, class token included;
        - ``gflops``: 10⁹ multiplications and additions of one sample's forward and backward pass (attention counted
          as if nothing were fused, recomputation not at all);
        - ``activations_mib``: what one step keeps for its backward pass, in float32;
        - ``step_s``: one step of `batch_size` samples, with `measure`;
        - ``epoch_flops``, ``total_flops``, ``total_h``: of an epoch, and of `max_epochs`, with `n_samples`.

    Raises
    ------
    TypeError
        If the estimator is not a ViTMAE.
    ValueError
        If `fit` would refuse a parameter, such as a patch that does not divide the grid; if a parameter is not known,
        or one is varied that measurements do not tell apart; if an `image_shape` of a model is not the one passed.

    See Also
    --------
    skmae.suggest_masking : Which of them may be worth it.

    Notes
    -----
    Time is that of a block for each layer, γ + batch_size (α n + β n²) for n tokens, fitted to a few n for each width
    of blocks, and of all around the blocks, fitted to two whole steps.

    Examples
    --------
    >>> from skmae import ViTMAE, training_cost
    >>> grid = {"patch": [2, 4, 8], "mask": [0.5, 0.9]}
    >>> table = training_cost(ViTMAE(), (32, 32, 3), param_grid=grid, n_samples=50_000, measure=False)
    >>> table[["mask", "patch", "encoder_tokens", "gflops"]].round(2)
       mask  patch  encoder_tokens  gflops
    0   0.5      2             129    7.94
    1   0.5      4              33    1.82
    2   0.5      8               9    0.48
    3   0.9      2              27    4.23
    4   0.9      4               7    0.96
    5   0.9      8               3    0.28
    """
    pandas = import_optional("pandas", extra="plot", purpose="training_cost")
    if not isinstance(estimator, ViTMAE):
        raise TypeError(f"training_cost takes a ViTMAE; got {type(estimator).__name__}.")
    _check_n_samples(n_samples)
    image_shape = check_shape(image_shape)
    settings = list(ParameterGrid({} if param_grid is None else param_grid))
    if measure:
        _check_sizes_only(settings)
    models = [clone(estimator).set_params(**setting) for setting in settings]
    for model in models:
        _check_parameters(model)
        _check_same_shape(model, image_shape)
    architectures = [architecture_of(model, image_shape) for model in models]
    times = _StepTimes(models, architectures, image_shape) if measure else None
    rows = []
    for setting, model, architecture in zip(settings, models, architectures, strict=True):
        flops = architecture.training_flops()
        row = {
            **setting,
            "encoder_tokens": architecture.encoder_tokens,
            "decoder_tokens": architecture.decoder_tokens,
            "gflops": flops / 1e9,
            "activations_mib": model.batch_size * architecture.activation_bytes() / 2**20,
        }
        if times is not None:
            row["step_s"] = times.step(model, architecture)
        if n_samples is not None:
            row |= {"epoch_flops": n_samples * flops, "total_flops": model.max_epochs * n_samples * flops}
            if times is not None:
                row["total_h"] = model.max_epochs * ceil(n_samples / model.batch_size) * row["step_s"] / 3600
        rows.append(row)
    return pandas.DataFrame(rows)


def _check_n_samples(n_samples: Any) -> None:
    if n_samples is not None and (not isinstance(n_samples, Integral) or n_samples < 1):
        raise ValueError(f"n_samples must be a whole number >= 1, or None; got {n_samples!r}.")


def _check_sizes_only(settings: list[dict[str, Any]]) -> None:
    other = sorted({name for setting in settings for name in setting} - _SIZES)
    if other:
        raise ValueError(
            f"param_grid varies {other}, which measurements do not tell apart. With measure=True vary "
            f"{sorted(_SIZES)}; for others call training_cost once for each value."
        )


def _check_parameters(model: ViTMAE) -> None:
    """Refuse what `fit` refuses whatever the data."""
    model._validate_params()
    ViTConfig.from_parameters(model.get_params(deep=False))


def _check_same_shape(model: ViTMAE, image_shape: tuple[int, ...]) -> None:
    if model.image_shape is not None and tuple(model.image_shape) != image_shape:
        raise ValueError(
            f"training_cost was told image_shape={image_shape}, but the estimator or param_grid says "
            f"image_shape={model.image_shape}. Say it to training_cost only, in a call for each shape."
        )


def architecture_of(model: ViTMAE, image_shape: tuple[int, ...]) -> Architecture:
    """The sizes of a ViTMAE on samples of a shape."""
    shape = tuple(image_shape)
    shape, axis = resolve_shape(shape, model.channel_axis, n_features=int(np.prod(shape)), sample_shape=None)
    names = ("mask", "embed_dim", "encoder_layers", "decoder_dim", "decoder_layers", "mlp_ratio")
    return Architecture.of(
        PatchGrid.build_regular(shape, axis, model.patch), **{name: getattr(model, name) for name in names}
    )


def blocks_of(model: ViTMAE, architecture: Architecture) -> tuple[tuple[Any, int, int], tuple[Any, int, int]]:
    """Of encoder and decoder: the kind of blocks, (width, heads, mlp_ratio), their number, and tokens."""
    a = architecture
    encoder = ((a.embed_dim, model.encoder_heads, a.mlp_ratio), a.encoder_layers, a.encoder_tokens)
    decoder = ((a.decoder_dim, model.decoder_heads, a.mlp_ratio), a.decoder_layers, a.decoder_tokens)
    return encoder, decoder


class _StepTimes:
    """Times of training steps, from those of blocks and from what is around them.

    Parameters
    ----------
    models : list of ViTMAE
        All of one device and precision.
    architectures : list of Architecture
    image_shape : tuple of int
    """

    def __init__(self, models: list[ViTMAE], architectures: list[Architecture], image_shape: tuple[int, ...]):
        self.device = torch.device(resolve_device(models[0].device))
        self.autocast = resolve_precision(models[0].precision, str(self.device))
        lengths: dict[Any, set[int]] = {}
        for model, architecture in zip(models, architectures, strict=True):
            for kind, _, n in blocks_of(model, architecture):
                lengths.setdefault(kind, set()).add(n)
        with drawing_from(torch.Generator()):
            self.blocks = {kind: self._fit_block(kind, sorted(of_kind)) for kind, of_kind in lengths.items()}
            self.around = self._fit_around(models, architectures, image_shape)

    def step(self, model: ViTMAE, architecture: Architecture) -> float:
        """Seconds."""
        tokens = architecture.encoder_tokens + architecture.decoder_tokens
        around = self.around @ [1, model.batch_size, model.batch_size * tokens]
        return float(around + self._in_blocks(model, architecture, model.batch_size))

    def _in_blocks(self, model: ViTMAE, architecture: Architecture, batch_size: int) -> float:
        of_blocks = blocks_of(model, architecture)
        return sum(count * float(self.blocks[kind] @ _terms(batch_size, n)) for kind, count, n in of_blocks)

    def _fit_block(self, kind: tuple[int, int, float], lengths: list[int]) -> np.ndarray:
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

    def _fit_around(
        self, models: list[ViTMAE], architectures: list[Architecture], image_shape: tuple[int, ...]
    ) -> np.ndarray:
        """What a step, a sample and a token take around the blocks, from whole steps of the fewest and most tokens."""
        tokens = [a.encoder_tokens + a.decoder_tokens for a in architectures]
        terms: list[list[float]] = []
        rests: list[float] = []
        steps: list[float] = []
        for i in {int(np.argmin(tokens)), int(np.argmax(tokens))}:
            for batch in _batches(tokens[i]):
                thin = clone(models[i]).set_params(image_shape=tuple(image_shape), encoder_layers=1, decoder_layers=1)
                thin.set_params(batch_size=batch, checkpoint=None, callbacks=None, verbose=0)
                step = self._time_training(thin, image_shape)
                terms.append([1.0, batch, batch * tokens[i]])
                rests.append(step - self._in_blocks(thin, architecture_of(thin, image_shape), batch))
                steps.append(step)
        return _fit(terms, rests, steps)  # a rest may be near zero, or below it: errors relative to it mean nothing

    def _time_training(self, model: ViTMAE, image_shape: tuple[int, ...]) -> float:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((_STEPS * model.batch_size, *image_shape), dtype=np.float32)
        net = model._untrained(X, 0).net_
        dataset = dataset_of(X.reshape(len(X), -1), net.where)
        return _fastest(lambda: net.partial_fit(dataset, epochs=1), self.device) / _STEPS


def _batches(n: int) -> tuple[int, int]:
    """Numbers of samples of n tokens that are timed together."""
    most = max(_TOKENS // n, 2)
    return max(most // 4, 1), most


def _terms(batch: int, n: int) -> list[float]:
    return [1.0, batch * n, batch * n * n]


def _fit(terms: list[list[float]], seconds: list[float], units: list[float]) -> np.ndarray:
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
