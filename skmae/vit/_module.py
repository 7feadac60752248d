"""The architecture of He et al.: a Vision Transformer that sees some patches, and a small one that predicts the others.

n samples, N patches of P values, K of them visible, width D (encoder) or E (decoder), h heads.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmae._config import ACTIVATIONS, ViTConfig
from skmae._grid import PatchGrid
from skmae._typing import Shape
from skmae.vit._network import PatchModule
from skmae.vit._precision import attend


class MaskedAutoencoder(PatchModule):
    """Encoder of the visible patches, decoder of all.

    Parameters
    ----------
    grid : PatchGrid
        What a sample looks like; its patches must all have the same size.
    config : ViTConfig
    """

    takes_padding = True
    draws_nothing = True

    def __init__(self, grid: PatchGrid, config: ViTConfig):
        super().__init__(grid)
        self.config = config
        self.encoder = Encoder(grid, config)
        self.decoder = Decoder(grid, config)
        self.apply(_initialize)

    def forward(
        self, images: Tensor, keep: Tensor | None = None, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Predict all patches from some.

        Parameters
        ----------
        images : Tensor of shape (n, \\*image_shape) or (n, n_features)
            Standardised (`standardize`).
        keep : Tensor of int64 of shape (n, K), or None
            Numbers of the visible patches; None hides nothing.
        present : Tensor of bool of shape (n, K), or None
            False where `keep` names a patch only to fill its row up: it is hidden. None: all of `keep` are visible.

        Returns
        -------
        prediction : Tensor of shape (n, N, P)
        hidden : Tensor of bool of shape (n, N)
        """
        if keep is None:
            keep = torch.arange(self.grid.n_patches, device=images.device).expand(images.shape[0], -1)
        latent = self.encoder(self.patchify(images), keep, present)  # (n, 1 + K, D)
        return self.decoder(latent, keep, present), self.hidden(keep, present)

    def encode(self, images: Tensor) -> Tensor:
        """Class token and all patches, nothing hidden: (n, 1 + N, D)."""
        return self.encoder(self.patchify(images))

    @property
    def blocks(self) -> nn.ModuleList:
        return self.encoder.blocks

    def embed(self, images: Tensor) -> Tensor:
        """What the first block gets: (n, 1 + N, D)."""
        return self.encoder.embed(self.patchify(images))

    @property
    def finish(self) -> nn.LayerNorm:
        return self.encoder.norm

    def without_decoder(self) -> "MaskedAutoencoder":
        """A copy that can `encode` but not predict."""
        alone = super().without_decoder()
        del alone.decoder
        return alone


class Encoder(nn.Module):
    """Vision Transformer over the visible patches."""

    def __init__(self, grid: PatchGrid, config: ViTConfig):
        super().__init__()
        dim = config.embed_dim
        self.patch_embed = nn.Linear(grid.n_features // grid.n_patches, dim)
        self.cls_token = nn.Parameter(torch.zeros(dim))
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", sincos_positions(grid.patches_per_axis, dim))  # (1 + N, D)
        self.blocks = nn.ModuleList(
            Block(
                dim, config.encoder_heads, config.mlp_width / dim, config.norm_eps, config.activation, config.qkv_bias
            )
            for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(dim, eps=config.norm_eps)

    def forward(self, tokens: Tensor, keep: Tensor | None = None, present: Tensor | None = None) -> Tensor:
        """(n, N, P) and the visible patches (n, K), or all → (n, 1 + K, D)."""
        x = self.embed(tokens, keep)
        attended = None if present is None else F.pad(present, (1, 0), value=True)[:, None, None]  # (n, 1, 1, 1 + K)
        for block in self.blocks:
            x = block(x, attended)
        return self.norm(x)

    def embed(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """What the first block gets: (n, N, P) → (n, 1 + K, D)."""
        positions = self.pos_embed[1:].expand(tokens.shape[0], -1, -1)  # (n, N, D)
        if keep is not None:
            tokens, positions = _take(tokens, keep), _take(positions, keep)  # (n, K, P), (n, K, D)
        patches = self.patch_embed(tokens) + positions  # (n, K, D)
        cls = (self.cls_token + self.pos_embed[0]).expand(tokens.shape[0], 1, -1)  # (n, 1, D)
        return torch.cat((cls, patches), dim=1)  # (n, 1 + K, D)


class Decoder(nn.Module):
    """Small transformer over all patches: what was encoded, and a learned token where a patch is hidden."""

    def __init__(self, grid: PatchGrid, config: ViTConfig):
        super().__init__()
        dim = config.decoder_width
        self.embed = nn.Linear(config.embed_dim, dim)
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", sincos_positions(grid.patches_per_axis, dim))  # (1 + N, E)
        ratio = config.decoder_mlp_width / dim
        self.blocks = nn.ModuleList(
            Block(dim, config.decoder_heads, ratio, config.norm_eps, config.activation, config.qkv_bias)
            for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.pred = nn.Linear(dim, grid.n_features // grid.n_patches)

    def forward(self, latent: Tensor, keep: Tensor, present: Tensor | None = None) -> Tensor:
        """(n, 1 + K, D) and the visible patches (n, K) → (n, N, P)."""
        x = self.embed(latent)  # (n, 1 + K, E)
        n, _, dim = x.shape
        mask_token = self.mask_token.to(x.dtype)
        encoded = x[:, 1:] if present is None else torch.where(present.unsqueeze(-1), x[:, 1:], mask_token)
        patches = mask_token.expand(n, self.pos_embed.shape[0] - 1, dim)  # (n, N, E)
        patches = patches.scatter(1, keep.unsqueeze(-1).expand(-1, -1, dim), encoded)
        x = torch.cat((x[:, :1], patches), dim=1) + self.pos_embed  # (n, 1 + N, E)
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x[:, 1:]))  # (n, N, P)


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_ratio: float,
        norm_eps: float,
        activation: str = "gelu",
        qkv_bias: bool = True,
    ):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = Attention(dim, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, round(mlp_ratio * dim), activation)

    def forward(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        """(n, L, D) → (n, L, D); `attended` (n, 1, 1, L) is False for tokens that no other may look at."""
        x = x + self.attn(self.norm1(x), attended)
        return x + self.mlp(self.norm2(x))

    def branches(self) -> tuple[Callable[[Tensor], Tensor], ...]:
        """What is added to x, one after the other; each may be left out in training (stochastic depth)."""
        return (lambda x: self.attn(self.norm1(x)), lambda x: self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int, bias: bool):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        n, length, dim = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (n, h, length, D / h)
        x = attend(q, k, v, attended)  # (n, h, length, D / h)
        return self.proj(x.transpose(1, 2).reshape(n, length, dim))


class Mlp(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, dim: int, hidden_dim: int, activation: str):
        super().__init__()
        self.activation = _ACTIVATIONS[activation]
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = dict(
    zip(ACTIVATIONS, (F.gelu, _gelu_tanh, _quick_gelu, F.relu, F.silu, torch.tanh), strict=True)
)


def sincos_positions(patches_per_axis: Shape, dim: int) -> Tensor:
    """Fixed positions of a class token (zeros) and of every patch: (1 + N, dim).

    An equal share of `dim` goes to each axis, the last axis first (as in the published weights): sines, then cosines,
    of wavelengths from 2π to 10000 · 2π patches. What does not divide is left zero.
    """
    n_waves = dim // (2 * len(patches_per_axis))
    frequencies = 10000 ** -(torch.arange(n_waves, dtype=torch.float64) / max(n_waves, 1))
    axes = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in patches_per_axis), indexing="ij")
    angles = [axis.reshape(-1, 1) * frequencies for axis in reversed(axes)]  # (N, n_waves) each
    waves = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
    return F.pad(waves, (0, dim - waves.shape[1], 1, 0)).float()


def _take(x: Tensor, keep: Tensor) -> Tensor:
    """(n, N, d), (n, K) → (n, K, d)."""
    return x.gather(1, keep.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Encoder):
        nn.init.normal_(module.cls_token, std=0.02)
    elif isinstance(module, Decoder):
        nn.init.normal_(module.mask_token, std=0.02)
