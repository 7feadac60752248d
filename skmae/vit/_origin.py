"""What is noted beside weights: the model that they were made with, in skmae's words and in those of transformers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import prod
from numbers import Real
from typing import Any, Self

import torch
from torch import Tensor

from skmae._config import ViTConfig
from skmae._grid import PatchGrid, check_shape, resolve_shape
from skmae._typing import Shape

# transformers' name of each size
_SIZES = {
    "embed_dim": "hidden_size",
    "encoder_layers": "num_hidden_layers",
    "encoder_heads": "num_attention_heads",
    "decoder_dim": "decoder_hidden_size",
    "decoder_layers": "decoder_num_hidden_layers",
    "decoder_heads": "decoder_num_attention_heads",
    "norm_eps": "layer_norm_eps",
    "qkv_bias": "qkv_bias",
}
_SAME_ACTIVATION = {
    "gelu_python": "gelu",
    "gelu_new": "gelu_pytorch_tanh",
    "gelu_fast": "gelu_pytorch_tanh",
    "gelu_python_tanh": "gelu_pytorch_tanh",
    "swish": "silu",
}
_OF_DECODER = ("decoder_dim", "decoder_layers", "decoder_heads", "decoder_mlp_ratio", "normalize_target")
_POOLS = ("mean", "cls")


@dataclass(frozen=True)
class Origin:
    """The model that weights were made with.

    Parameters
    ----------
    grid : PatchGrid
    config : ViTConfig
    normalize_target : bool
    mask : float
    pool : {"mean", "cls"}
    mean, scale : list of float or None
        Of the pixels, for all channels or one by one; None where it is not known.
    """

    grid: PatchGrid
    config: ViTConfig
    normalize_target: bool = False
    mask: float = 0.75
    pool: str = "mean"
    mean: list[float] | None = None
    scale: list[float] | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            if getattr(self, name) is not None:
                per_channel(name, getattr(self, name), self.grid.n_channels)
        if not isinstance(self.normalize_target, bool):
            raise ValueError(f"normalize_target={self.normalize_target!r} is not true or false.")
        if isinstance(self.mask, bool) or not isinstance(self.mask, Real) or not 0 <= self.mask < 1:
            raise ValueError(f"mask={self.mask!r} is not a share of at least 0 and less than 1.")
        if self.pool not in _POOLS:
            raise ValueError(f"pool={self.pool!r} is not one of {_POOLS}.")

    @property
    def kernel(self) -> Shape:
        """(channels, \\*patch)"""
        return self.grid.n_channels, *self.grid.patch_shape

    def parameters(self) -> dict[str, Any]:
        """Those of the `ViTMAE` that this is."""
        sizes = asdict(self.config)
        beyond = {name: sizes.pop(name) for name in ("norm_eps", "activation", "qkv_bias", "decoder_mlp_ratio")}
        usual = ViTConfig()
        net_params = {f"module__{name}": value for name, value in beyond.items() if value != getattr(usual, name)}
        return {
            "image_shape": self.grid.image_shape,
            "channel_axis": self.grid.channel_axis,
            "patch": self.grid.patch_shape,
            **sizes,
            "normalize_target": self.normalize_target,
            "mask": self.mask,
            "pool": self.pool,
            "net_params": net_params or None,
        }

    def refuse_other(self, other: "Origin", with_decoder: bool) -> None:
        """Refuse a model of the same kernel whose function is another, naming each difference."""
        made, here = self._shaping(with_decoder), other._shaping(with_decoder)
        differing = [name for name in made if made[name] != here[name]]
        if not differing:
            return
        mine = self.parameters()
        net_params = {f"module__{name}": made[name] for name in differing if name not in mine}
        remedy = {name: made[name] for name in differing if name in mine}
        remedy |= {"net_params": net_params} if net_params else {}
        raise ValueError(
            f"The weights were made with {_said(made, differing)}; this estimator has {_said(here, differing)}. "
            f"Pass {', '.join(f'{name}={value!r}' for name, value in remedy.items())}."
        )

    def _shaping(self, with_decoder: bool) -> dict[str, Any]:
        """All numbers that the function follows from, but for the grid's; ratios as the widths that they give."""
        config = self.config
        numbers = asdict(config) | {
            "decoder_dim": config.decoder_width,
            "mlp_ratio": config.mlp_width / config.embed_dim,
            "decoder_mlp_ratio": config.decoder_mlp_width / config.decoder_width,
            "normalize_target": self.normalize_target,
        }
        return {name: value for name, value in numbers.items() if with_decoder or name not in _OF_DECODER}

    # -- skmae's own words ---------------------------------------------------------------------------------------

    def to_notes(self) -> dict[str, Any]:
        """For a JSON text that `from_notes` reads."""
        others = {name: getattr(self, name) for name in ("normalize_target", "mask", "pool", "mean", "scale")}
        grid = {"image_shape": self.grid.image_shape, "channel_axis": self.grid.channel_axis}
        numbers = {**asdict(self.config), **others}
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in numbers.items()}
        return {**grid, "patch": self.grid.patch_shape, **plain}

    @classmethod
    def from_notes(cls, notes: Any) -> Self:
        """What `to_notes` gave.

        Raises
        ------
        ValueError
            If anything is missing, or not of the right kind.
        """
        names = [*_GRID, *(field.name for field in fields(ViTConfig)), *_OTHERS]
        notes = _complete(notes, names)
        grid = _grid(*(notes[name] for name in _GRID))
        config = ViTConfig.from_parameters(notes)
        return cls(grid, config, **{name: notes[name] for name in _OTHERS})

    # -- those of transformers -----------------------------------------------------------------------------------

    def to_transformers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What belongs into config.json and preprocessor_config.json.

        Raises
        ------
        ValueError
            If transformers' ViTMAE cannot be this model.
        """
        self._refuse_what_transformers_lacks()
        config, notes = self.config, self.to_notes()
        side = self.grid.grid_shape[0]
        model = {name: notes[ours] for ours, name in _SIZES.items()} | {
            "decoder_hidden_size": config.decoder_width,
            "intermediate_size": config.mlp_width,
            "decoder_intermediate_size": config.decoder_mlp_width,
            "hidden_act": config.activation,
            "image_size": side,
            "patch_size": self.grid.patch_shape[0],
            "num_channels": self.grid.n_channels,
            "norm_pix_loss": self.normalize_target,
            "mask_ratio": notes["mask"],
            "model_type": "vit_mae",
            "attention_probs_dropout_prob": 0.0,
            "hidden_dropout_prob": 0.0,
        }
        pixels = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": side, "width": side},
            "do_rescale": False,  # mean and scale are in the units of the pixels
            "rescale_factor": 1.0,
            "do_normalize": True,
            "image_mean": self.mean,
            "image_std": self.scale,
        }
        return model, pixels

    def _refuse_what_transformers_lacks(self) -> None:
        config, grid = self.config, self.grid
        instead = "Use save_weights, which writes any model for load_weights and from_pretrained."
        if len(grid.grid_shape) != 2 or len({*grid.grid_shape}) > 1 or len({*grid.patch_shape}) > 1:
            raise ValueError(
                f"transformers' ViTMAE takes square pictures cut into square patches; this model takes samples of "
                f"shape {grid.image_shape} cut into patches of {grid.patch_shape}. {instead}"
            )
        for name, width in (("embed_dim", config.embed_dim), ("decoder_dim", config.decoder_width)):
            if width % 4:
                raise ValueError(f"transformers' ViTMAE takes widths that 4 divides; {name} is {width}. {instead}")

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any], pixels: Mapping[str, Any] | None = None) -> Self:
        """From the content of config.json, and of preprocessor_config.json if there is one.

        Raises
        ------
        ValueError
            If the model is no ViTMAE, or something is missing, or not of the right kind.
        """
        kind = config.get("model_type")
        if kind != "vit_mae":
            classifies = "ForImageClassification" in str(config.get("architectures"))
            raise ValueError(
                f"model_type is {kind!r}{', a classifier' if classifies else ''}; only 'vit_mae', a masked "
                f"autoencoder, can be read. Pass the folder of the ViTMAE that it was made from."
            )
        config = {"mask_ratio": 0.75, **_complete(config, _NEEDED)}
        shape = [*_pair(config, "image_size"), _count(config, "num_channels")]
        has_channels = shape[2] > 1
        grid = _grid(shape if has_channels else shape[:2], 2 if has_channels else None, _pair(config, "patch_size"))
        sizes = {ours: config[name] for ours, name in _SIZES.items()}
        act = config["hidden_act"]
        sizes["activation"] = _SAME_ACTIVATION.get(act, act) if isinstance(act, str) else act
        for ours, hidden, width in (
            ("mlp_ratio", "intermediate_size", "hidden_size"),
            ("decoder_mlp_ratio", "decoder_intermediate_size", "decoder_hidden_size"),
        ):
            sizes[ours] = _count(config, hidden) / _count(config, width)
        if sizes["decoder_mlp_ratio"] == sizes["mlp_ratio"]:
            sizes["decoder_mlp_ratio"] = None
        mean, scale = (None, None) if pixels is None else _standardization(pixels)
        return cls(
            grid, ViTConfig(**sizes), config["norm_pix_loss"], config["mask_ratio"], "mean", mean=mean, scale=scale
        )


def origin_of(net: Any) -> str:
    """The notes of what a net trains, as JSON; empty of a network that is not a Vision Transformer's."""
    module = net.plain_module
    if not isinstance(getattr(module, "config", None), ViTConfig):
        return ""
    origin = Origin(module.grid, module.config, net.criterion_.normalize_target, net.mask)
    return json.dumps(origin.to_notes())


_GRID = ("image_shape", "channel_axis", "patch")
_OTHERS = ("normalize_target", "mask", "pool", "mean", "scale")
_NEEDED = (
    *_SIZES.values(),
    "intermediate_size",
    "decoder_intermediate_size",
    "hidden_act",
    "image_size",
    "patch_size",
    "num_channels",
    "norm_pix_loss",
)


def per_channel(name: str, values: Any, n_channels: int) -> Tensor:
    """What pixels are standardised by: a finite number, or one for each channel; scales are above zero."""
    try:
        numbers = torch.as_tensor(values, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        numbers = torch.tensor([])
    single = numbers.float()  # as they are used
    if (
        len(numbers) not in (1, n_channels)
        or not torch.isfinite(single).all()
        or (name == "scale" and (single <= 0).any())
    ):
        above = ", above 0" if name == "scale" else ""
        raise ValueError(
            f"{name}={values!r}: pass a finite number{above}, or one for each of the {n_channels} channels."
        )
    return numbers


def _said(values: Mapping[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}={values[name]!r}" for name in names)


def _complete(values: Any, names: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"a mapping is expected, and there is {_short(values)}.")
    missing = [name for name in names if name not in values]
    if missing:
        raise ValueError(f"{', '.join(missing)} is not there.")
    return values


def _grid(image_shape: Any, channel_axis: Any, patch: Any) -> PatchGrid:
    shape = check_shape(_numbers("image_shape", image_shape))
    if channel_axis is not None and type(channel_axis) is not int:
        raise ValueError(f"channel_axis={_short(channel_axis)} is not a number, or null.")
    shape, axis = resolve_shape(shape, channel_axis, n_features=prod(shape), sample_shape=None)
    return PatchGrid.build_regular(shape, axis, _numbers("patch", patch))


def _numbers(name: str, values: Any) -> list[int]:
    if not isinstance(values, list | tuple) or not all(type(value) is int and 0 < value < 2**31 for value in values):
        raise ValueError(f"{name}={_short(values)} is not a list of whole numbers from 1.")
    return list(values)


def _pair(config: Mapping[str, Any], name: str) -> list[int]:
    value = config[name]
    both = value if isinstance(value, list | tuple) else [value, value]
    if len(both) != 2:
        raise ValueError(f"{name}={_short(value)} is neither a whole number nor two.")
    return _numbers(name, both)


def _count(config: Mapping[str, Any], name: str) -> int:
    return _numbers(name, [config[name]])[0]


def _standardization(pixels: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and scale in the units of the pixels: transformers multiplies these by a factor first."""
    factor = pixels.get("rescale_factor", 1 / 255) if pixels.get("do_rescale", True) else 1.0
    normalizes = pixels.get("do_normalize", True)
    names = ("image_mean", "image_std") if normalizes else ()
    mean, scale = (_complete(pixels, names)[name] for name in names) if names else (0.0, 1.0)
    try:
        return [value / float(factor) for value in _floats(mean)], [value / float(factor) for value in _floats(scale)]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
        raise ValueError(
            f"rescale_factor={_short(factor)}, image_mean={_short(mean)} and image_std={_short(scale)} are not numbers "
            f"to standardise pixels by."
        ) from error


def _floats(values: Any) -> list[float]:
    return [float(value) for value in (values if isinstance(values, list) else [values])]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
