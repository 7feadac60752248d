"""What training a ViT-MAE costs, in numbers that need no measurement: tokens, FLOPs, activations.

n tokens of width D; N patches of P values, K of them visible.
"""

from dataclasses import dataclass

from skmae._grid import PatchGrid

_BYTES = 4  # of a float32
_BACKWARD = 2  # a product's two derivatives cost twice what it does


@dataclass(frozen=True)
class Architecture:
    """The sizes of a masked autoencoder that decide on its cost.

    Parameters
    ----------
    n_features, n_patches, n_visible : int
        Of one sample: values, patches, and visible ones in training.
    embed_dim, encoder_layers : int
    decoder_dim, decoder_layers : int
    mlp_ratio : float
    """

    n_features: int
    n_patches: int
    n_visible: int
    embed_dim: int
    encoder_layers: int
    decoder_dim: int
    decoder_layers: int
    mlp_ratio: float

    @classmethod
    def of(
        cls,
        grid: PatchGrid,
        *,
        mask: float,
        embed_dim: int,
        encoder_layers: int,
        decoder_dim: int | None,
        decoder_layers: int,
        mlp_ratio: float,
    ) -> "Architecture":
        """From what a sample looks like, and parameters of ViTMAE."""
        return cls(
            n_features=grid.n_features,
            n_patches=grid.n_patches,
            n_visible=grid.count_visible(mask),
            embed_dim=embed_dim,
            encoder_layers=encoder_layers,
            decoder_dim=embed_dim if decoder_dim is None else decoder_dim,
            decoder_layers=decoder_layers,
            mlp_ratio=mlp_ratio,
        )

    @property
    def encoder_tokens(self) -> int:
        """Visible patches and the class token."""
        return self.n_visible + 1

    @property
    def decoder_tokens(self) -> int:
        """All patches and the class token."""
        return self.n_patches + 1

    @property
    def patch_values(self) -> int:
        """P."""
        return self.n_features // self.n_patches

    def training_flops(self) -> int:
        """Of one sample: forward and backward, a multiplication and an addition counted as two."""
        embed = 2 * self.n_visible * self.patch_values * self.embed_dim
        encoder = self.encoder_layers * block_flops(self.encoder_tokens, self.embed_dim, self.mlp_ratio)
        decoder = self.decoder_layers * block_flops(self.decoder_tokens, self.decoder_dim, self.mlp_ratio)
        into_decoder = 2 * self.encoder_tokens * self.embed_dim * self.decoder_dim
        predict = 2 * self.n_patches * self.decoder_dim * self.patch_values
        forward = embed + encoder + decoder + into_decoder + predict
        return (1 + _BACKWARD) * forward - embed  # nothing asks for the derivative by the pixels

    def activation_bytes(self) -> int:
        """What a forward pass keeps of one sample for the backward one, in float32, but for a few thin layers."""
        encoder = self.encoder_layers * block_activations(self.encoder_tokens, self.embed_dim, self.mlp_ratio)
        decoder = self.decoder_layers * block_activations(self.decoder_tokens, self.decoder_dim, self.mlp_ratio)
        return _BYTES * (encoder + decoder)


def block_flops(n: int, dim: int, mlp_ratio: float) -> int:
    """Forward pass of one transformer block over n tokens."""
    hidden = round(mlp_ratio * dim)
    projections = 2 * n * dim * (3 * dim + dim)  # to queries, keys and values; and back
    attention = 2 * (2 * n * n * dim)  # queries with keys, weights with values
    return projections + attention + 2 * (2 * n * dim * hidden)


def block_activations(n: int, dim: int, mlp_ratio: float) -> int:
    """Values that a block keeps: inputs of two norms and of four linear layers, and of attention and GELU."""
    hidden = round(mlp_ratio * dim)
    norms, linears = 2 * dim, dim + dim + dim + hidden
    attention, gelu = 3 * dim + dim, hidden
    return n * (norms + linears + attention + gelu)
