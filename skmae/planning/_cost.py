"""What training a ViT-MAE costs: tokens, FLOPs and memory, which are counted, and time, which is measured.

n tokens of width D; N patches of P values, K of them visible.
"""

from dataclasses import dataclass
from math import ceil
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from skmae._compat import import_optional
from skmae._config import SIZES, ViTConfig
from skmae._grid import PatchGrid, check_shape, resolve_shape, warn_of_channels
from skmae._typing import Shape
from skmae.masking import MaskSampling, hidden_share, resolve_sampler

if TYPE_CHECKING:
    from pandas import DataFrame

    from skmae.vit import ViTMAE

_BYTES = 4  # of a float32
_BACKWARD = 2  # a product's two derivatives cost twice what it does


def training_cost(
    estimator: "ViTMAE",
    image_shape: Shape,
    *,
    param_grid: dict[str, Any] | list[dict[str, Any]] | None = None,
    n_samples: int | None = None,
    measure: bool = True,
) -> "DataFrame":
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
    ImportError
        Without pandas or PyTorch: ``pip install "skmae[deep,plot]"``.

    See Also
    --------
    skmae.suggest_masking : What they hide.

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
    import_optional("torch", extra="deep", purpose="training_cost")
    from skmae.vit import ViTMAE

    if not isinstance(estimator, ViTMAE):
        raise TypeError(f"training_cost takes a ViTMAE; got {type(estimator).__name__}.")
    _check_n_samples(n_samples)
    image_shape = check_shape(image_shape)
    warn_of_channels(image_shape, estimator.channel_axis)
    settings = list(ParameterGrid({} if param_grid is None else param_grid))
    if measure:
        _check_can_be_measured(settings)
    models = [clone(estimator).set_params(**setting) for setting in settings]
    for model in models:
        _check_parameters(model)
        _check_same_shape(model, image_shape)
    workloads = [Workload.of_model(model, image_shape) for model in models]
    step_seconds: list[float] | None = None
    if measure:
        from skmae.planning._timing import StepTimes

        times = StepTimes(models, workloads, image_shape)
        step_seconds = [times.step(load, model.batch_size) for model, load in zip(models, workloads, strict=True)]
    rows = []
    for i, (setting, model, workload) in enumerate(zip(settings, models, workloads, strict=True)):
        flops = workload.training_flops()
        row = {
            **setting,
            "encoder_tokens": workload.encoder.n_tokens,
            "decoder_tokens": workload.decoder.n_tokens,
            "gflops": flops / 1e9,
            "activations_mib": model.batch_size * workload.activation_bytes() / 2**20,
        }
        if step_seconds is not None:
            row["step_s"] = step_seconds[i]
        if n_samples is not None:
            row |= {"epoch_flops": n_samples * flops, "total_flops": model.max_epochs * n_samples * flops}
            if step_seconds is not None:
                row["total_h"] = model.max_epochs * ceil(n_samples / model.batch_size) * row["step_s"] / 3600
        rows.append(row)
    return pandas.DataFrame(rows)


class Stack(NamedTuple):
    """Equal transformer blocks, one after the other, over the tokens of one sample.

    Attributes
    ----------
    width, heads : int
    mlp_ratio : float
    n_blocks, n_tokens : int
    """

    width: int
    heads: int
    mlp_ratio: float
    n_blocks: int
    n_tokens: int

    @property
    def kind(self) -> tuple[int, int, float]:
        """What blocks have in common that take the same time: width, heads and mlp_ratio."""
        return self.width, self.heads, self.mlp_ratio

    @property
    def hidden(self) -> int:
        """Width of the hidden layer of a block's MLP."""
        return round(self.mlp_ratio * self.width)

    def flops(self) -> int:
        """Of the forward pass."""
        n, width = self.n_tokens, self.width
        projections = 2 * n * width * (3 * width + width)  # to queries, keys and values; and back
        attention = 2 * (2 * n * n * width)  # queries with keys, weights with values
        return self.n_blocks * (projections + attention + 2 * (2 * n * width * self.hidden))

    def activations(self) -> int:
        """Values kept for the backward pass: inputs of two norms and four linear layers, and of attention and GELU."""
        width, hidden = self.width, self.hidden
        norms, linears = 2 * width, width + width + width + hidden
        attention, gelu = 3 * width + width, hidden
        return self.n_blocks * self.n_tokens * (norms + linears + attention + gelu)


@dataclass(frozen=True)
class Workload:
    """What a masked autoencoder computes for one sample in training.

    Parameters
    ----------
    grid : PatchGrid
        Of patches that are all of one size.
    n_visible : int
        Visible patches; on average, where their number differs between samples.
    network : ViTMAE, ViTConfig, or whatever has their sizes by the same names
    """

    grid: PatchGrid
    n_visible: int
    network: "ViTMAE | ViTConfig"

    @classmethod
    def of_model(cls, model: "ViTMAE", image_shape: Shape) -> "Workload":
        """Of a ViTMAE, which need not be fitted, on samples of a shape."""
        shape, axis = resolve_shape(
            image_shape, model.channel_axis, n_features=int(np.prod(image_shape)), sample_shape=image_shape
        )
        grid = PatchGrid.build_regular(shape, axis, model.patch)
        return cls(grid, count_visible(grid, model.mask, getattr(model, "mask_sampling", "exact")), model)

    @property
    def encoder(self) -> Stack:
        """Blocks over the visible patches and the class token."""
        net = self.network
        return Stack(net.embed_dim, net.encoder_heads, net.mlp_ratio, net.encoder_layers, self.n_visible + 1)

    @property
    def decoder(self) -> Stack:
        """Blocks over all patches and the class token."""
        net = self.network
        width = net.embed_dim if net.decoder_dim is None else net.decoder_dim
        return Stack(width, net.decoder_heads, net.mlp_ratio, net.decoder_layers, self.grid.n_patches + 1)

    def training_flops(self) -> int:
        """Forward and backward, a multiplication and an addition counted as two."""
        encoder, decoder = self.encoder, self.decoder
        patch_values = self.grid.n_features // self.grid.n_patches  # P
        embed = 2 * self.n_visible * patch_values * encoder.width
        into_decoder = 2 * encoder.n_tokens * encoder.width * decoder.width
        predict = 2 * self.grid.n_patches * decoder.width * patch_values
        forward = embed + encoder.flops() + into_decoder + decoder.flops() + predict
        return (1 + _BACKWARD) * forward - embed  # nothing asks for the derivative by the pixels

    def activation_bytes(self) -> int:
        """What a forward pass keeps for the backward one, in float32, but for a few thin layers."""
        return _BYTES * (self.encoder.activations() + self.decoder.activations())


def count_visible(grid: PatchGrid, mask: float, mask_sampling: MaskSampling = "exact") -> int:
    """Visible patches of a sample, on average."""
    return round((1 - hidden_share(resolve_sampler(mask_sampling), grid, mask)) * grid.n_patches)


def _check_n_samples(n_samples: Any) -> None:
    if n_samples is not None and (not isinstance(n_samples, Integral) or n_samples < 1):
        raise ValueError(f"n_samples must be a whole number >= 1, or None; got {n_samples!r}.")


def _check_can_be_measured(settings: list[dict[str, Any]]) -> None:
    measured = {"mask", "patch", "batch_size", "max_epochs", *SIZES}
    other = sorted({name for setting in settings for name in setting} - measured)
    if other:
        raise ValueError(
            f"param_grid varies {other}, which measurements do not tell apart. With measure=True vary "
            f"{sorted(measured)}; for others call training_cost once for each value."
        )


def _check_parameters(model: "ViTMAE") -> None:
    """Refuse what `fit` refuses whatever the data."""
    model._validate_params()
    ViTConfig.from_parameters(model.get_params(deep=False))


def _check_same_shape(model: "ViTMAE", image_shape: Shape) -> None:
    if model.image_shape is not None and tuple(model.image_shape) != image_shape:
        raise ValueError(
            f"training_cost was told image_shape={image_shape}, but the estimator or param_grid says "
            f"image_shape={model.image_shape}. Say it to training_cost only, in a call for each shape."
        )
