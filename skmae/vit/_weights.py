"""Weights in the layouts of facebookresearch/mae and of transformers, to and from the module's own."""

import json
import re
from collections.abc import Mapping
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmae._grid import PatchGrid
from skmae._typing import Shape
from skmae.vit._archives import first_line
from skmae.vit._checkpoint import write_atomically
from skmae.vit._module import MaskedAutoencoder

State = dict[str, Tensor]
LAYOUTS = ("mae", "transformers")

# transformers' name for each part, in the order in which they are replaced; facebookresearch's follows
_TRANSFORMERS = (
    (r"^vit\.layernorm\.", "norm."),
    (r"^vit\.embeddings\.cls_token$", "cls_token"),
    (r"^vit\.embeddings\.position_embeddings$", "pos_embed"),
    (r"^vit\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^vit\.layers\.", "blocks."),
    (r"^decoder\.decoder_layers\.", "decoder_blocks."),
    (r"^decoder\.(mask_token|decoder_\w+)", r"\1"),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.([qkv])_proj\.", r".attn.\1."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
)
# what older versions of transformers wrote, and the files on its hub still say
_TRANSFORMERS_OLD = (
    (r"^vit\.encoder\.layer\.", "vit.layers."),
    (r"^decoder\.decoder_encoder\.layer\.", "decoder.decoder_layers."),  # what transformers 5 writes by default
    (r"\.attention\.attention\.query\.", ".attention.q_proj."),
    (r"\.attention\.attention\.key\.", ".attention.k_proj."),
    (r"\.attention\.attention\.value\.", ".attention.v_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)
_TO_TRANSFORMERS = (
    (r"^norm\.", "vit.layernorm."),
    (r"^cls_token$", "vit.embeddings.cls_token"),
    (r"^pos_embed$", "vit.embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "vit.embeddings.patch_embeddings.projection."),
    (r"^blocks\.", "vit.layers."),
    (r"^decoder_blocks\.", "decoder.decoder_layers."),
    (r"^(mask_token|decoder_(?:pos_embed|embed|norm|pred))", r"decoder.\1"),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.([qkv])\.", r".attention.\1_proj."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
)
_MODULE_TO_MAE = (
    (r"^encoder\.patch_embed\.", "patch_embed.proj."),
    (r"^encoder\.", ""),
    (r"^decoder\.mask_token$", "mask_token"),
    (r"^decoder\.", "decoder_"),
)
_TOKENS = ("cls_token", "mask_token", "pos_embed", "decoder_pos_embed")


def read_weights(source: Any) -> tuple[State, dict[str, Any]]:
    """A state dict from a file or a mapping, and what skmae noted beside it.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds no tensors by name.
    """
    notes: dict[str, Any] = {}
    if isinstance(source, Mapping):
        content: Any = source
    elif not isinstance(source, str | PathLike):
        raise TypeError(
            f"weights is of type {type(source).__name__}. Pass the path of a file, or a mapping from names to tensors."
        )
    elif not Path(source).exists():
        raise FileNotFoundError(f"weights: there is no file {str(source)!r}.")
    else:
        try:
            content, notes = _read_file(Path(source))
        except Exception as error:  # whatever a damaged file makes the libraries raise
            raise ValueError(
                f"weights: {str(source)!r} cannot be read ({type(error).__name__}: {first_line(error)}). It is "
                f"damaged, or neither a .safetensors file nor a .pth file of tensors alone (weights_only=True)."
            ) from error
    for key in ("model", "module", "state_dict"):  # facebookresearch's files, ViTMAE's checkpoints, others
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError("weights hold no state dict: pass a mapping from names to tensors, or a file with one.")
    return dict(content), notes


def _read_file(path: Path) -> tuple[Any, dict[str, Any]]:
    with open(path, "rb") as head:
        is_safetensors = head.read(9)[8:] == b"{"  # after eight bytes with the length of what this begins
    if not is_safetensors:
        return torch.load(path, map_location="cpu", weights_only=True), {}
    with safetensors.safe_open(path, framework="pt") as file:
        notes = json.loads((file.metadata() or {}).get("skmae", "{}"))
        return {name: file.get_tensor(name) for name in file.keys()}, notes  # noqa: SIM118


def write_weights(path: Path, module: MaskedAutoencoder, layout: str) -> None:
    """A safetensors file in a layout, "mae" or "transformers", with pixel statistics and grid as metadata."""
    grid = module.grid
    mean, scale = module.standardize.statistics()
    notes = {
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "patches_per_axis": grid.patches_per_axis,
    }
    state = {name: tensor.contiguous().cpu() for name, tensor in from_module(module, layout).items()}
    content = safetensors.torch.save(state, {"format": "pt", "skmae": json.dumps(notes)})
    write_atomically(path, lambda file: file.write(content))


def from_module(module: MaskedAutoencoder, layout: str = "mae") -> State:
    """The weights of a module in a layout, "mae" or "transformers"."""
    state = {_renamed(name, _MODULE_TO_MAE): tensor for name, tensor in module.state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if not name.startswith("standardize.")}
    for name in _TOKENS:
        state[name] = state[name].reshape(1, -1, state[name].shape[-1])  # (D,) or (1 + N, D) → (1, ·, D)
    state["patch_embed.proj.weight"] = _as_convolution(state["patch_embed.proj.weight"], module.grid)
    if layout == "mae":
        return state
    return {_renamed(name, _TO_TRANSFORMERS): tensor for name, tensor in _split_qkv(state).items()}


def load_into(module: MaskedAutoencoder, state: State, notes: dict[str, Any], parameters: list[str]) -> bool:
    """Put weights of any known layout into a ViT; say whether they held a decoder.

    Raises
    ------
    ValueError
        As `load_state`.
    """
    state = _to_module_names(state)
    has_decoder = any(name.startswith("decoder.") for name in state)
    expected = module.state_dict()
    for name in ("encoder.pos_embed", "decoder.pos_embed"):
        if name in state and state[name].shape[-1] == expected[name].shape[-1]:
            state[name] = interpolate_positions(
                state[name], module.grid.patches_per_axis, notes.get("patches_per_axis")
            )
    load_state(module, state, parameters, optional=("standardize.",) if has_decoder else ("standardize.", "decoder."))
    return has_decoder


def load_state(module: nn.Module, state: State, parameters: list[str], optional: tuple[str, ...]) -> None:
    """Put weights of a module's own names into it.

    Parameters
    ----------
    module : Module
    state : dict of str to Tensor
    parameters : list of str
        Parameters of the estimator that the names and shapes follow from.
    optional : tuple of str
        What names may begin with that are left as they are where the weights have none.

    Raises
    ------
    ValueError
        If weights are missing, unexpected, of another shape, or not finite; nothing is loaded then.
    """
    expected = module.state_dict()
    missing = [name for name in expected if name not in state and not name.startswith(optional)]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {tuple(state[name].shape)} and should be {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(f"The weights hold NaN or infinity, in {_listed(broken)}. Load those of an earlier epoch.")
    if missing or unexpected or shapes:
        faults = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        found = "; ".join(f"{what}: {_listed(names)}" for what, names in faults if names)
        raise ValueError(
            f"The weights do not fit this network; {found}. Set {', '.join(parameters)} to those that the weights were "
            f"made with."
        )
    module.load_state_dict({**expected, **state})


def per_channel(name: str, values: Any, n_channels: int) -> Tensor:
    """What pixels are standardised by: a finite number, or one for each channel; scales are above zero."""
    try:
        numbers = torch.as_tensor(values, dtype=torch.float64).flatten()
    except (TypeError, ValueError, RuntimeError):
        numbers = torch.tensor([])
    narrow = numbers.float()
    if (
        len(numbers) not in (1, n_channels)
        or not torch.isfinite(narrow).all()
        or (name == "scale" and (narrow <= 0).any())
    ):
        above = ", above 0" if name == "scale" else ""
        raise ValueError(
            f"{name}={values!r}: pass a finite number{above}, or one for each of the {n_channels} channels."
        )
    return numbers


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _to_module_names(state: State) -> State:
    """Names and shapes of the module, from any of the layouts."""
    if "encoder.cls_token" in state:
        return dict(state)
    if "embeddings.cls_token" in state:  # transformers' ViTMAEModel, without the decoder
        state = {f"vit.{name}": tensor for name, tensor in state.items()}
    if "vit.embeddings.cls_token" in state:
        state = {_renamed(_renamed(n, _TRANSFORMERS_OLD), _TRANSFORMERS): tensor for n, tensor in state.items()}
        state = _join_qkv(state)
    renamed: State = {}
    for name, tensor in state.items():
        if name in _TOKENS:
            tensor = tensor[0] if name.endswith("pos_embed") else tensor.reshape(-1)
        elif name == "patch_embed.proj.weight":
            tensor = _as_linear(tensor)
        renamed[_module_name(name)] = tensor
    return renamed


def _module_name(name: str) -> str:
    """The module's name for one of facebookresearch's."""
    if name.startswith("patch_embed.proj."):
        return name.replace("patch_embed.proj.", "encoder.patch_embed.")
    if name == "mask_token":
        return "decoder.mask_token"
    return name.replace("decoder_", "decoder.", 1) if name.startswith("decoder_") else f"encoder.{name}"


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _join_qkv(state: State) -> State:
    """One ``attn.qkv`` of the three that transformers has."""
    joined = {name: tensor for name, tensor in state.items() if not re.search(r"\.attn\.[qkv]\.", name)}
    for name in state:
        if ".attn.q." in name:
            parts = [name.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
            if all(part in state for part in parts):
                joined[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat([state[part] for part in parts])
    return joined


def _split_qkv(state: State) -> State:
    split: State = {}
    for name, tensor in state.items():
        if ".attn.qkv." not in name:
            split[name] = tensor
            continue
        for part, rows in zip("qkv", tensor.chunk(3), strict=True):
            split[name.replace(".attn.qkv.", f".attn.{part}.")] = rows
    return split


def _as_linear(kernel: Tensor) -> Tensor:
    """(D, C, \\*patch) of a convolution → (D, P), pixels before channels."""
    return kernel.movedim(1, -1).reshape(len(kernel), -1)


def _as_convolution(weight: Tensor, grid: PatchGrid) -> Tensor:
    return weight.reshape(len(weight), *grid.patch_shape, grid.n_channels).movedim(-1, 1)


def interpolate_positions(positions: Tensor, patches_per_axis: Shape, source: Any = None) -> Tensor:
    """Positions (1 + M, D) of another grid, resampled to (1 + N, D): bicubic in two axes, linear in one or three.

    Parameters
    ----------
    positions : Tensor of shape (1 + M, D)
    patches_per_axis : tuple of int
    source : sequence of int or None
        Patches per axis that they were made for. None takes these to be `patches_per_axis` if their number is the
        same, and else as many along every axis.

    Raises
    ------
    ValueError
        If the grid of the source is not known.
    """
    n, count, axes = prod(patches_per_axis), len(positions) - 1, len(patches_per_axis)
    if (count == n and source is None) or (source is not None and tuple(source) == patches_per_axis):
        return positions
    shape = tuple(source) if source is not None else (round(count ** (1 / axes)),) * axes
    if len(shape) != axes or prod(shape) != count:
        raise ValueError(
            f"The weights have positions of {count} patches, which are not a grid of {axes} equal axes. They can be "
            f"used on grids of {count} patches; this one has {patches_per_axis}."
        )
    mode = {1: "linear", 2: "bicubic", 3: "trilinear"}[axes]
    grid = positions[1:].T.reshape(1, -1, *shape)  # (1, D, \*source)
    resampled = F.interpolate(grid, size=patches_per_axis, mode=mode, align_corners=False)
    return torch.cat((positions[:1], resampled.reshape(positions.shape[-1], -1).T))
