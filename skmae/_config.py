"""The sizes of a Vision Transformer, known without PyTorch: for the network, and for counting what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Self

from skmae._compat import Interval, StrOptions, validate_parameter_constraints
from skmae._typing import Constraints

_COUNT = [Interval(Integral, 1, None, closed="left")]
SIZES: Constraints = {
    "embed_dim": _COUNT,
    "encoder_layers": _COUNT,
    "encoder_heads": _COUNT,
    "decoder_dim": [*_COUNT, None],
    "decoder_layers": _COUNT,
    "decoder_heads": _COUNT,
    "mlp_ratio": [Interval(Real, 0, None, closed="neither")],
}
ACTIVATIONS = ("gelu", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "tanh")
_ALL: Constraints = {
    **SIZES,
    "norm_eps": [Interval(Real, 0, None, closed="neither")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "qkv_bias": ["boolean"],
    "decoder_mlp_ratio": [*SIZES["mlp_ratio"], None],
}


@dataclass(frozen=True)
class ViTConfig:
    """The sizes of a masked autoencoder's Vision Transformer.

    Parameters
    ----------
    embed_dim, encoder_layers, encoder_heads : int
        Width of the encoder, its blocks, and the heads of each.
    decoder_dim : int or None, default=None
        Width of the decoder. None is `embed_dim`.
    decoder_layers, decoder_heads : int
    mlp_ratio : float, default=4
        Width of the hidden layer of a block over the width of the block.
    norm_eps : float, default=1e-6
        Added to the variance by layer norms.
    activation : {"gelu", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "tanh"}, default="gelu"
        Between the two layers of a block's perceptron, by transformers' names.
    qkv_bias : bool, default=True
        Whether queries, keys and values have a bias.
    decoder_mlp_ratio : float or None, default=None
        The same as `mlp_ratio` for blocks of the decoder. None is `mlp_ratio`.

    Raises
    ------
    ValueError
        If one of these is of another type or range, or a number of heads does not divide its width.

    Examples
    --------
    >>> from skmae.vit import ViTConfig
    >>> ViTConfig(embed_dim=32, encoder_heads=4, decoder_heads=4).decoder_width
    32
    """

    embed_dim: int = 192
    encoder_layers: int = 12
    encoder_heads: int = 12
    decoder_dim: int | None = None
    decoder_layers: int = 4
    decoder_heads: int = 16
    mlp_ratio: float = 4
    norm_eps: float = 1e-6
    activation: str = "gelu"
    qkv_bias: bool = True
    decoder_mlp_ratio: float | None = None

    def __post_init__(self) -> None:
        validate_parameter_constraints(_ALL, vars(self), caller_name="ViTConfig")
        check_heads("encoder_heads", self.encoder_heads, "embed_dim", self.embed_dim)
        check_heads("decoder_heads", self.decoder_heads, "decoder_dim", self.decoder_width)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], **others: Any) -> Self:
        """From the parameters of an estimator, those that are sizes, and others that it does not have."""
        names = (field.name for field in fields(cls))
        return cls(**{name: parameters[name] for name in names if name in parameters}, **others)

    @property
    def decoder_width(self) -> int:
        return self.embed_dim if self.decoder_dim is None else self.decoder_dim

    @property
    def mlp_width(self) -> int:
        """Of the hidden layer of the encoder's blocks."""
        return max(1, round(self.mlp_ratio * self.embed_dim))

    @property
    def decoder_mlp_width(self) -> int:
        """Of the hidden layer of the decoder's blocks."""
        ratio = self.mlp_ratio if self.decoder_mlp_ratio is None else self.decoder_mlp_ratio
        return max(1, round(ratio * self.decoder_width))


def check_widths(n_axes: int, **widths: int) -> None:
    """Refuse widths that leave no room for positions: sines and cosines along each axis of the grid.

    Raises
    ------
    ValueError
    """
    for name, width in widths.items():
        if width < 2 * n_axes:
            raise ValueError(
                f"{name}={width} is too small for the positions of patches on a grid of {n_axes} "
                f"{'axis' if n_axes == 1 else 'axes'}, a sine and a cosine for each: pass at least {2 * n_axes}."
            )


def check_heads(name: str, heads: int, width_name: str, width: int) -> None:
    if width % heads:
        allowed = [count for count in range(1, width + 1) if width % count == 0]
        raise ValueError(f"{name}={heads} does not divide {width_name}={width}. Numbers of heads that do: {allowed}.")
