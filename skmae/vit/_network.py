"""What the network of a masked autoencoder must offer, what it may offer besides, and what makes one short to write.

n samples, N patches of P values, K of them visible, D features.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, ClassVar, Protocol, Self, cast

import torch
from torch import Tensor, nn

from skmae._grid import PatchGrid

POOLS = ("cls", "mean")
"""What makes one row of features for each sample."""

_NEEDED = ("standardize", "patchify", "encode", "forward")
_WIDE = (torch.float64, torch.int32, torch.int64)  # types whose numbers float32 does not hold
_NEGLIGIBLE = 1e-6  # of the spread: a shift by less is left to float32's rounding


class Network(Protocol):
    """What `DeepAutoencoder._make_module` returns: a torch module with these."""

    standardize: "Standardize"

    def patchify(self, images: Tensor) -> Tensor:
        """(n, \\*image_shape) → (n, N, P), patches and their values in the order of `PatchGrid`."""

    def encode(self, images: Tensor) -> Tensor:
        """Whole standardised images → (n, D), (n, N, D), or (n, 1 + N, D) with a class token first."""

    def __call__(self, images: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised images, numbers (n, K) of visible patches → prediction (n, N, P), hidden (n, N) bool."""


class NetworkOfBlocks(Protocol):
    """A network that names the blocks of its encoder: ``encode`` is `embed`, then each of `blocks`, then `finish`.

    Then predictors can train the last blocks alone, and every layer has features. What a block gets and gives must have
    a shape that `encode` may give. A block that has ``branches()``, functions whose results are added to its input one
    after the other, can leave them out (`drop_path`).
    """

    blocks: Sequence[nn.Module]
    finish: nn.Module

    def embed(self, images: Tensor) -> Tensor:
        """What the first block gets of standardised images."""


class Standardize(nn.Module):
    """Pixels less the mean of their channel, over its standard deviation.

    Parameters
    ----------
    grid : PatchGrid
        What a sample looks like, as `DeepAutoencoder._make_module` gets it.

    Examples
    --------
    >>> import torch
    >>> from skmae._grid import PatchGrid
    >>> from skmae.vit import Standardize
    >>> standardize = Standardize(PatchGrid.build((2, 2, 3), channel_axis=2, patch=1))
    >>> standardize.learn(mean=[1.0, 2.0, 3.0], scale=[1.0, 1.0, 2.0])
    >>> standardize(torch.full((1, 12), 5)).shape
    torch.Size([1, 2, 2, 3])
    >>> standardize(torch.full((1, 12), 5))[0, 0, 0]
    tensor([4., 3., 1.])
    """

    _is_far: bool | None = None  # None: not yet known

    def __init__(self, grid: PatchGrid):
        super().__init__()
        self.image_shape = grid.image_shape
        self.mean: Tensor
        self.mean_rest: Tensor
        self.scale: Tensor
        per_channel = [size if axis == grid.channel_axis else 1 for axis, size in enumerate(grid.image_shape)]
        self.register_buffer("mean", torch.zeros(per_channel))
        self.register_buffer("mean_rest", torch.zeros(per_channel))  # what float32 loses of a mean far from zero
        self.register_buffer("scale", torch.ones(per_channel))

    def learn(self, mean: Any, scale: Any) -> None:
        """Take one mean and one standard deviation per channel, or one for all."""
        for buffer, values in ((self.mean, mean), (self.scale, scale)):
            values = torch.as_tensor(values, dtype=torch.float64)
            buffer.copy_(values.reshape(buffer.shape if values.numel() > 1 else ()))
        mean = torch.as_tensor(mean, dtype=torch.float64, device=self.mean.device)
        rest = mean.reshape(self.mean.shape if mean.numel() > 1 else ()) - self.mean.double()
        self._is_far = None
        self.mean_rest.copy_(torch.where(rest.abs() > _NEGLIGIBLE * self.scale, rest, 0.0))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation per channel, (n_channels,) float64, on the CPU."""
        mean, rest, scale = (buffer.flatten().cpu().double() for buffer in (self.mean, self.mean_rest, self.scale))
        return mean + rest, scale

    def forward(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(n, \\*image_shape) or (n, n_features) of any type → (n, \\*image_shape) of `dtype`."""
        images = images.reshape(images.shape[0], *self.image_shape)
        images = images.to(_widest(images) if images.dtype in _WIDE else torch.float32)
        mean, rest, scale = (buffer.to(images.dtype) for buffer in (self.mean, self.mean_rest, self.scale))
        return ((images - mean - rest) / scale).to(dtype)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._is_far = None

    def is_far(self) -> bool:
        """Whether pixels are so far from zero that float32 loses some of their mean; a device is asked once only."""
        if self._is_far is None:
            self._is_far = bool(self.mean_rest.any())
        return self._is_far

    def undo(self, images: Tensor) -> Tensor:
        """Back to the units of the pixels; in float64 where these are far from zero."""
        if self.is_far():
            images = images.to(_widest(images))
        return images * self.scale + self.mean + self.mean_rest


def _widest(images: Tensor) -> torch.dtype:
    return torch.float32 if images.device.type == "mps" else torch.float64


class PatchModule(nn.Module):
    """A base for networks: it standardises pixels and cuts images into patches.

    A subclass adds ``encode(images)`` and ``forward(images, keep)``, see `DeepAutoencoder`.

    Parameters
    ----------
    grid : PatchGrid
        What a sample looks like: ``n_patches``, ``patches_per_axis``, ``n_channels``, ``n_features``. Its patches must
        all have the same size.

    Attributes
    ----------
    grid : PatchGrid
    standardize : Standardize
    n_values : int
        P, the values of a patch.

    Examples
    --------
    >>> import torch
    >>> from skmae._grid import PatchGrid
    >>> from skmae.vit import PatchModule
    >>> module = PatchModule(PatchGrid.build((4, 6, 3), channel_axis=2, patch=2))
    >>> module.patchify(torch.zeros(10, 4, 6, 3)).shape, module.n_values
    (torch.Size([10, 6, 12]), 12)
    >>> module.hidden(torch.tensor([[0, 5]]))
    tensor([[False,  True,  True,  True,  True, False]])
    """

    takes_padding: ClassVar[bool] = False
    """Whether ``forward(images, keep, present)`` leaves patches out whose `present` (n, K) is False."""
    draws_nothing: ClassVar[bool] = False
    """Whether nothing in it is random, no dropout for instance: training is a little faster then."""

    def __init__(self, grid: PatchGrid):
        super().__init__()
        grid.require_regular()
        self.grid = grid
        self.n_values = grid.n_features // grid.n_patches
        self.split, self.order = grid.token_layout
        self.standardize = Standardize(grid)

    def patchify(self, images: Tensor) -> Tensor:
        """(n, \\*image_shape) or (n, n_features) → (n, N, P)."""
        n = images.shape[0]  # which torch.jit.trace follows, unlike len
        return images.reshape(n, *self.split).permute(self.order).reshape(n, self.grid.n_patches, -1)

    def hidden(self, keep: Tensor, present: Tensor | None = None) -> Tensor:
        """Numbers (n, K) of visible patches → (n, N) bool, True where hidden."""
        visible = torch.ones_like(keep, dtype=torch.bool) if present is None else present
        return torch.ones(keep.shape[0], self.grid.n_patches, dtype=torch.bool, device=keep.device).scatter(
            1, keep, ~visible
        )

    def without_decoder(self) -> Self:
        """A copy for `encode` alone. A subclass may leave out what `encode` does not need."""
        return deepcopy(self)


def check_network(network: Any, maker: str) -> Any:
    """Refuse what is not a network, naming what it lacks."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"{maker} returned a {type(network).__name__}; it must return a torch.nn.Module.")
    missing = [name for name in _NEEDED if not hasattr(network, name)]
    if missing:
        raise TypeError(
            f"{maker} returned a {type(network).__name__} without {', '.join(missing)}. Derive it from "
            f"skmae.vit.PatchModule, which has standardize and patchify, and add encode(images) and "
            f"forward(images, keep)."
        )
    return network


def check_prediction(prediction: Tensor, target: Tensor, hidden: Tensor) -> None:
    """Refuse what `forward` gave if its shapes are not those of the patches."""
    if prediction.shape != target.shape or hidden.shape != target.shape[:2]:
        raise ValueError(
            f"The network's forward gave a prediction of shape {tuple(prediction.shape)} and hidden of shape "
            f"{tuple(hidden.shape)}; for patches of shape {tuple(target.shape)} they must have shapes "
            f"{tuple(target.shape)} and {tuple(target.shape[:2])}."
        )


def encoder_of(network: Any) -> Any:
    """A copy of the network that can encode, without its decoder if it can do without."""
    return network.without_decoder() if hasattr(network, "without_decoder") else deepcopy(network)


def blocks_of(network: Network) -> NetworkOfBlocks | None:
    """The network, if it names the blocks of its encoder."""
    names_them = all(hasattr(network, name) for name in ("embed", "blocks", "finish"))
    return cast(NetworkOfBlocks, network) if names_them else None


def layers_of(network: Network, images: Tensor, pool: str, n_patches: int) -> Tensor:
    """Pooled features (n, layers, D): of what each block gets, and of the last one; one layer without blocks."""
    return torch.stack([pool_features(x, pool, n_patches) for x in _layers(network, images)], dim=1)


def _layers(network: Network, images: Tensor) -> Iterator[Tensor]:
    of_blocks = blocks_of(network)
    if of_blocks is None:
        yield network.encode(images)
        return
    x = of_blocks.embed(images)
    for block in of_blocks.blocks:
        yield x
        x = block(x)
    yield of_blocks.finish(x)


def pool_features(features: Tensor, pool: str, n_patches: int) -> Tensor:
    """What `encode` gives, of any of its three shapes → (n, D): the mean over patches, or the class token."""
    if pool not in POOLS:
        raise ValueError(f"pool must be one of {sorted(POOLS)}, got {pool!r}.")
    if not isinstance(features, Tensor):
        raise TypeError(f"The network's encode gave a {type(features).__name__}; it must give a tensor of features.")
    length = features.shape[1] if features.ndim == 3 else None
    if length == 1 + n_patches:
        return features[:, 0] if pool == "cls" else features[:, 1:].mean(dim=1)
    if features.ndim != 2 and length != n_patches:
        raise ValueError(
            f"The network's encode gave shape {tuple(features.shape)} for {n_patches} patches. It must give one row of "
            f"features for each sample, (n, D), or for each patch, (n, {n_patches}, D), or, with a class token first, "
            f"(n, {1 + n_patches}, D)."
        )
    if pool == "cls":
        raise ValueError(
            "pool='cls', but this network has no class token: its encode would give (n, 1 + n_patches, D), the token "
            "first. Pass pool='mean'."
        )
    return features if length is None else features.mean(dim=1)
