"""The architecture of He et al.: a Vision Transformer that sees some patches, and a small one that predicts the others.

n samples, N patches of P values, K of them visible, width D (encoder) or E (decoder), h heads.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmae._grid import PatchGrid
from skmae.vit._masking import hidden_patches


class MaskedAutoencoder(nn.Module):
    """Encoder of the visible patches, decoder of all.

    Parameters
    ----------
    grid : PatchGrid
        What a sample looks like; its patches must all have the same size.
    embed_dim, encoder_layers, encoder_heads : int
    decoder_dim : int or None
        None is `embed_dim`.
    decoder_layers, decoder_heads : int
    mlp_ratio : float
        Width of the hidden layer of a block over the width of the block.
    norm_eps : float
        Added to the variance by layer norms.
    """

    def __init__(
        self,
        grid: PatchGrid,
        *,
        embed_dim: int = 192,
        encoder_layers: int = 12,
        encoder_heads: int = 12,
        decoder_dim: int | None = None,
        decoder_layers: int = 4,
        decoder_heads: int = 16,
        mlp_ratio: float = 4,
        norm_eps: float = 1e-6,
    ):
        super().__init__()
        grid.require_regular()
        decoder_dim = embed_dim if decoder_dim is None else decoder_dim
        check_heads("encoder_heads", encoder_heads, "embed_dim", embed_dim)
        check_heads("decoder_heads", decoder_heads, "decoder_dim", decoder_dim)
        self.grid = grid
        self.split, self.order = grid.token_layout
        self.standardize = Standardize(grid)
        size = grid.n_features // grid.n_patches
        self.encoder = Encoder(grid, size, embed_dim, encoder_layers, encoder_heads, mlp_ratio, norm_eps)
        self.decoder = Decoder(grid, size, embed_dim, decoder_dim, decoder_layers, decoder_heads, mlp_ratio, norm_eps)
        self.apply(_initialize)

    def patchify(self, images: Tensor) -> Tensor:
        """(n, \\*image_shape) or (n, n_features) → (n, N, P)."""
        tokens = images.reshape(len(images), *self.split).permute(self.order)
        return tokens.reshape(len(images), self.grid.n_patches, -1)

    def forward(self, images: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Predict all patches from some.

        Parameters
        ----------
        images : Tensor of shape (n, \\*image_shape) or (n, n_features)
            Standardised (`standardize`).
        keep : Tensor of int64 of shape (n, K), or None
            Numbers of the visible patches; None hides nothing.

        Returns
        -------
        prediction : Tensor of shape (n, N, P)
        hidden : Tensor of bool of shape (n, N)
        """
        if keep is None:
            keep = torch.arange(self.grid.n_patches, device=images.device).expand(len(images), -1)
        latent = self.encoder(self.patchify(images), keep)  # (n, 1 + K, D)
        return self.decoder(latent, keep), hidden_patches(keep, self.grid.n_patches)

    def encode(self, images: Tensor) -> Tensor:
        """Class token and all patches, nothing hidden: (n, 1 + N, D)."""
        return self.encoder(self.patchify(images))

    def layers(self, images: Tensor, pool: str) -> Tensor:
        """What every layer makes of whole images, pooled: (n, 1 + blocks, D)."""
        return torch.stack([pool_tokens(x, pool) for x in self.encoder.layers(self.patchify(images))], dim=1)


class Standardize(nn.Module):
    """Pixels less the mean of their channel, over its standard deviation."""

    def __init__(self, grid: PatchGrid):
        super().__init__()
        self.image_shape = grid.image_shape
        self.mean: Tensor
        self.scale: Tensor
        per_channel = [size if axis == grid.channel_axis else 1 for axis, size in enumerate(grid.image_shape)]
        self.register_buffer("mean", torch.zeros(per_channel))
        self.register_buffer("scale", torch.ones(per_channel))

    def learn(self, mean: Any, scale: Any) -> None:
        """Take one mean and one standard deviation per channel, or one for all."""
        for buffer, values in ((self.mean, mean), (self.scale, scale)):
            values = torch.as_tensor(values, dtype=buffer.dtype).clone()
            buffer.copy_(values.reshape(buffer.shape if values.numel() > 1 else ()))

    def forward(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """(n, \\*image_shape) or (n, n_features) of any type → (n, \\*image_shape) of `dtype`."""
        images = images.reshape(len(images), *self.image_shape)
        images = images.to(torch.float64 if images.dtype == torch.float64 else torch.float32)
        return ((images - self.mean.to(images.dtype)) / self.scale.to(images.dtype)).to(dtype)

    def undo(self, images: Tensor) -> Tensor:
        """Back to the units of the pixels."""
        return images * self.scale + self.mean


class Encoder(nn.Module):
    """Vision Transformer over the visible patches."""

    def __init__(
        self, grid: PatchGrid, size: int, dim: int, layers: int, heads: int, mlp_ratio: float, norm_eps: float
    ):
        super().__init__()
        self.patch_embed = nn.Linear(size, dim)
        self.cls_token = nn.Parameter(torch.zeros(dim))
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", sincos_positions(grid.patches_per_axis, dim))  # (1 + N, D)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio, norm_eps) for _ in range(layers))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)

    def forward(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """(n, N, P) and the visible patches (n, K), or all → (n, 1 + K, D)."""
        x = self.embed(tokens, keep)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def layers(self, tokens: Tensor) -> Iterator[Tensor]:
        """What the first block gets, and what each block gives, the last after the norm: (n, 1 + N, D) each."""
        x = self.embed(tokens)
        for block in self.blocks:
            yield x
            x = block(x)
        yield self.norm(x)

    def embed(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """What the first block gets: (n, N, P) → (n, 1 + K, D)."""
        positions = self.pos_embed[1:].expand(len(tokens), -1, -1)  # (n, N, D)
        if keep is not None:
            tokens, positions = _take(tokens, keep), _take(positions, keep)  # (n, K, P), (n, K, D)
        patches = self.patch_embed(tokens) + positions  # (n, K, D)
        cls = (self.cls_token + self.pos_embed[0]).expand(len(tokens), 1, -1)  # (n, 1, D)
        return torch.cat((cls, patches), dim=1)  # (n, 1 + K, D)


class Decoder(nn.Module):
    """Small transformer over all patches: what was encoded, and a learned token where a patch is hidden."""

    def __init__(
        self,
        grid: PatchGrid,
        size: int,
        encoder_dim: int,
        dim: int,
        layers: int,
        heads: int,
        mlp_ratio: float,
        norm_eps: float,
    ):
        super().__init__()
        self.embed = nn.Linear(encoder_dim, dim)
        self.mask_token = nn.Parameter(torch.zeros(dim))
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", sincos_positions(grid.patches_per_axis, dim))  # (1 + N, E)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp_ratio, norm_eps) for _ in range(layers))
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.pred = nn.Linear(dim, size)

    def forward(self, latent: Tensor, keep: Tensor) -> Tensor:
        """(n, 1 + K, D) and the visible patches (n, K) → (n, N, P)."""
        x = self.embed(latent)  # (n, 1 + K, E)
        n, _, dim = x.shape
        patches = self.mask_token.to(x.dtype).expand(n, len(self.pos_embed) - 1, dim)  # (n, N, E)
        patches = patches.scatter(1, keep.unsqueeze(-1).expand(-1, -1, dim), x[:, 1:])
        x = torch.cat((x[:, :1], patches), dim=1) + self.pos_embed  # (n, 1 + N, E)
        for block in self.blocks:
            x = block(x)
        return self.pred(self.norm(x[:, 1:]))  # (n, N, P)


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, norm_eps: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, round(mlp_ratio * dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, length, dim = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (n, h, length, D / h)
        x = F.scaled_dot_product_attention(q, k, v)  # (n, h, length, D / h)
        return self.proj(x.transpose(1, 2).reshape(n, length, dim))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden_dim: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


def pool_tokens(tokens: Tensor, pool: str) -> Tensor:
    """(n, 1 + N, D) → (n, D)."""
    return tokens[:, 0] if pool == "cls" else tokens[:, 1:].mean(dim=1)


def sincos_positions(patches_per_axis: tuple[int, ...], dim: int) -> Tensor:
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
        nn.init.zeros_(module.bias)
    elif isinstance(module, Encoder):
        nn.init.normal_(module.cls_token, std=0.02)
    elif isinstance(module, Decoder):
        nn.init.normal_(module.mask_token, std=0.02)


def check_heads(name: str, heads: int, width_name: str, width: int) -> None:
    if width % heads:
        allowed = [count for count in range(1, width + 1) if width % count == 0]
        raise ValueError(f"{name}={heads} does not divide {width_name}={width}. Numbers of heads that do: {allowed}.")
