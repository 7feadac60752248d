"""A pretrained encoder with a head that predicts: which part of it learns, and what happens to the rest.

n samples, N patches, width D, C outputs.
"""

from typing import Any

import torch
from torch import Tensor, nn

from skmae._grid import PatchGrid
from skmae.vit._module import Encoder, Standardize, pool_tokens


class Predictor(nn.Module):
    """Encoder and head.

    Parameters
    ----------
    grid : PatchGrid
    n_outputs : int
    trainable_blocks : int or None
        Blocks that learn, the last ones, with the norm behind them; 0 is the head alone, None all of the encoder,
        patch embedding included.
    pool : {"mean", "cls"}
    drop_path : float
        Share of samples for which a branch of the last block is left out in training; less in earlier blocks.
    embed_dim, encoder_layers, encoder_heads, mlp_ratio, norm_eps
        Of the encoder, see `architecture_of`.
    """

    def __init__(
        self,
        *,
        grid: PatchGrid,
        n_outputs: int,
        trainable_blocks: int | None,
        pool: str,
        drop_path: float,
        embed_dim: int,
        encoder_layers: int,
        encoder_heads: int,
        mlp_ratio: float,
        norm_eps: float,
    ):
        super().__init__()
        self.grid = grid
        self.split, self.order = grid.token_layout
        self.standardize = Standardize(grid)
        size = grid.n_features // grid.n_patches
        self.encoder = Encoder(grid, size, embed_dim, encoder_layers, encoder_heads, mlp_ratio, norm_eps)
        self.head = Head(embed_dim, n_outputs)
        self.pool = pool
        n_blocks = encoder_layers
        self.n_frozen = None if trainable_blocks is None else n_blocks - trainable_blocks
        self.drop_rates = [drop_path * i / (n_blocks - 1) for i in range(n_blocks)] if n_blocks > 1 else [drop_path]
        self.encoder.requires_grad_(self.n_frozen is None)
        if trainable_blocks:
            for part in (*self.encoder.blocks[self.n_frozen :], self.encoder.norm):
                part.requires_grad_()

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What `freeze` gave → (n, C). In training, branches are dropped as the generator draws."""
        return self.head(self.features(x, generator))

    def predict(self, images: Tensor) -> Tensor:
        """Standardised images (n, \\*image_shape) → (n, C)."""
        return self(self.freeze(images))

    def freeze(self, images: Tensor) -> Tensor:
        """What the part that learns gets of images: themselves, tokens (n, 1 + N, D), or features (n, D)."""
        if self.n_frozen is None:
            return images
        with torch.no_grad():
            x = self._embed(images)
            for block in self.encoder.blocks[: self.n_frozen]:
                x = block(x)
            return self._pool(self.encoder.norm(x)) if self.n_frozen == len(self.encoder.blocks) else x

    def features(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What `freeze` gave → (n, D)."""
        n_blocks = len(self.encoder.blocks)
        if self.n_frozen == n_blocks:
            return x
        x = self._embed(x) if self.n_frozen is None else x
        for i, block in enumerate(self.encoder.blocks):
            if i >= (self.n_frozen or 0):
                x = run_block(block, x, self.drop_rates[i] if self.training else 0.0, generator)
        return self._pool(self.encoder.norm(x))

    def _embed(self, images: Tensor) -> Tensor:
        tokens = images.reshape(len(images), *self.split).permute(self.order)
        return self.encoder.embed(tokens.reshape(len(images), self.grid.n_patches, -1))

    def _pool(self, tokens: Tensor) -> Tensor:
        return pool_tokens(tokens, self.pool)


class Head(nn.Module):
    """A linear layer on features less their mean, over their spread, both as they were before training."""

    def __init__(self, dim: int, n_outputs: int):
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))
        self.linear = nn.Linear(dim, n_outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def learn(self, features: Any) -> None:
        """Take mean and spread of some features (n, D)."""
        features = torch.as_tensor(features).double()
        spread = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.scale.copy_(torch.where(spread > 1e-6 * spread.max(), spread, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(n, D) → (n, C)."""
        return self.linear((x - self.mean) / self.scale)


def architecture_of(encoder: Encoder) -> dict[str, Any]:
    """The parameters that an encoder like this one is made from."""
    block: Any = encoder.blocks[0]
    embed_dim = encoder.norm.normalized_shape[0]
    return {
        "embed_dim": embed_dim,
        "encoder_layers": len(encoder.blocks),
        "encoder_heads": block.attn.heads,
        "mlp_ratio": block.mlp.fc1.out_features / embed_dim,
        "norm_eps": encoder.norm.eps,
    }


def run_block(block: Any, x: Tensor, drop_rate: float, generator: torch.Generator | None) -> Tensor:
    """A block (n, 1 + N, D) → (n, 1 + N, D), each branch left out for a share of the samples (stochastic depth)."""
    if drop_rate == 0:
        return block(x)

    def weight() -> Tensor:
        kept = torch.rand(len(x), 1, 1, generator=generator, device=x.device) >= drop_rate
        return kept.to(x.dtype) / (1 - drop_rate)

    x = x + weight() * block.attn(block.norm1(x))
    return x + weight() * block.mlp(block.norm2(x))


def layer_scales(n_blocks: int, decay: float) -> dict[str, float]:
    """Learning rate of each part over that of the head: decay^(number of blocks above it, and one).

    Names are patterns of the names of parameters; those of a part that is not among them have scale 1.
    """
    scales = {f"encoder.blocks.{i}.": decay ** (n_blocks - i) for i in range(n_blocks)}
    return scales | dict.fromkeys(("encoder.patch_embed.", "encoder.cls_token"), decay ** (n_blocks + 1))
