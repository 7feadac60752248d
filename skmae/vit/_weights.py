"""Weights in the layouts of facebookresearch/mae and of transformers, to and from the module's own."""

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skmae._grid import PatchGrid
from skmae._typing import Shape
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._origin import Origin
from skmae.vit._weight_files import State, Weights

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


def from_module(module: MaskedAutoencoder, layout: str = "mae", has_decoder: bool = True) -> State:
    """The weights of a module in a layout, "mae" or "transformers", with its decoder if it is of use."""
    state = {_renamed(name, _MODULE_TO_MAE): tensor for name, tensor in module.state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if not name.startswith("standardize.")}
    for name in _TOKENS:
        state[name] = state[name].reshape(1, -1, state[name].shape[-1])  # (D,) or (1 + N, D) → (1, ·, D)
    state["patch_embed.proj.weight"] = _as_convolution(state["patch_embed.proj.weight"], module.grid)
    if not has_decoder:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(("decoder_", "mask_token"))}
    if layout == "mae":
        return state
    return {_renamed(name, _TO_TRANSFORMERS): tensor for name, tensor in _split_qkv(state).items()}


def load_into(module: MaskedAutoencoder, weights: Weights, here: Origin, parameters: list[str]) -> bool:
    """Put weights of any known layout into a ViT; say whether they held a decoder.

    Parameters
    ----------
    module : MaskedAutoencoder
        One on the device "meta", which has shapes only, checks and takes nothing.
    weights : Weights
    here : Origin
        What the module is, for which the weights must have been made.
    parameters : list of str
        As of `load_state`.

    Raises
    ------
    ValueError
        If they are those of a classifier, of another layout, or of another model; as `load_state`.
    """
    floats = {name: _converted(name, tensor, torch.float32) for name, tensor in weights.state.items()}
    state, kernel = _to_module_names(floats)
    has_decoder = any(name.startswith("decoder.") for name in state)
    made = weights.origin
    _compare_kernels(kernel if made is None else made.kernel, here)
    if made is not None:
        made.refuse_other(here, has_decoder)
    for name in ("encoder.pos_embed", "decoder.pos_embed"):
        if name in state and state[name].ndim == 2 and len(state[name]) > 1:
            state[name] = interpolate_positions(
                state[name], module.grid.patches_per_axis, None if made is None else made.grid.patches_per_axis
            )
    load_state(module, state, parameters, optional=("standardize.",) if has_decoder else ("standardize.", "decoder."))
    return has_decoder


def load_state(module: nn.Module, state: State, parameters: list[str], optional: tuple[str, ...]) -> None:
    """Put weights of a module's own names into it; what all names begin with beyond these is left out.

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
        If weights are missing, unexpected, of another shape or type, or not finite; nothing is loaded then.
    """
    expected = module.state_dict()
    state = _without_prefix(state, lambda names: not expected.keys().isdisjoint(names))
    missing = [name for name in expected if name not in state and not name.startswith(optional)]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} is {tuple(state[name].shape)} and should be {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if missing or unexpected or shapes:
        faults = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        found = "; ".join(f"{what}: {_listed(names)}" for what, names in faults if names)
        raise ValueError(
            f"The weights do not fit this network; {found}. Set {', '.join(parameters)} to those that the weights were "
            f"made with."
        )
    state = {name: _converted(name, tensor, expected[name].dtype) for name, tensor in state.items()}
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(
            f"The weights hold NaN, infinity or numbers that float32 does not, in {_listed(broken)}. Load those of an "
            f"earlier epoch."
        )
    if not any(tensor.is_meta for tensor in expected.values()):
        module.load_state_dict({**expected, **state})


def _converted(name: str, tensor: Tensor, wanted: torch.dtype) -> Tensor:
    """Of the type of the module: numbers that are floating stay so, and whole ones whole."""
    try:
        if (tensor.is_floating_point(), tensor.is_complex()) == (wanted.is_floating_point, wanted.is_complex):
            return tensor.to("cpu", wanted)
        reason: Exception | None = None
    except RuntimeError as error:  # of types of less than a byte
        reason = error
    raise ValueError(
        f"The weights hold {name} as {tensor.dtype}, which is no {wanted}. Convert it, if you know what it means."
    ) from reason


def _without_prefix(state: State, is_known: Callable[[AbstractSet[str]], bool]) -> State:
    """Names without what all of them begin with (``module.``, ``_orig_mod.``), as far as it takes to know them."""
    shorter = state
    while not is_known(shorter.keys()):
        if len({name.partition(".")[0] for name in shorter}) != 1 or not all("." in name for name in shorter):
            return state
        shorter = {name.partition(".")[2]: tensor for name, tensor in shorter.items()}
    return shorter


def _compare_kernels(theirs: Shape | None, here: Origin) -> None:
    if theirs is None or theirs == here.kernel:
        return
    channels, *patch = theirs
    raise ValueError(
        f"The weights have a patch kernel (channels, *patch) of {theirs}; this estimator has one of {here.kernel}. Set "
        f"patch={tuple(patch)}, and take samples of {channels} channels."
    )


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


_CLASSES = ("cls_token", "vit.embeddings.cls_token", "embeddings.cls_token", "encoder.cls_token")
_HEAD = re.compile(r"^(head|head_drop|fc_norm|classifier|pooler|vit\.pooler)\.")


def _to_module_names(state: State) -> tuple[State, Shape | None]:
    """Names and shapes of the module, from any of the layouts; channels and patch of the kernel, where one is there.

    Raises
    ------
    ValueError
        If the names are those of a classifier, or of no layout that is known.
    """
    found = state
    state = _without_prefix(state, _are_known)
    _refuse_unknown(found, state)
    if "encoder.cls_token" in state:
        return dict(state), None
    if "embeddings.cls_token" in state:  # transformers' ViTMAEModel, without the decoder
        state = {f"vit.{name}": tensor for name, tensor in state.items()}
    if "vit.embeddings.cls_token" in state:
        state = {_renamed(_renamed(n, _TRANSFORMERS_OLD), _TRANSFORMERS): tensor for n, tensor in state.items()}
        state = _join_qkv(state)
    kernel = state.get("patch_embed.proj.weight")
    shape = None if kernel is None or kernel.ndim < 3 else tuple(kernel.shape[1:])
    return {_module_name(name): _module_shape(name, tensor) for name, tensor in state.items()}, shape


def _are_known(names: AbstractSet[str]) -> bool:
    """Names of a layout, or those of facebookresearch/mae after ``encoder.``, which are not the module's own."""
    return not names.isdisjoint(_CLASSES) and "encoder.patch_embed.proj.weight" not in names


def _refuse_unknown(found: State, state: State) -> None:
    of_head = [name for name in state if _HEAD.match(name)]
    if of_head:
        raise ValueError(
            f"The weights are those of a classifier, with {_listed(of_head)}; this is an autoencoder. Load those that "
            f"it was fine-tuned from."
        )
    if state.keys().isdisjoint(_CLASSES):
        raise ValueError(
            f"The weights are of no layout that is known: none of {', '.join(_CLASSES)} is there. Found: "
            f"{_listed(list(found))}. Pass weights of ViTMAE, facebookresearch/mae or transformers' ViTMAE."
        )


def _module_shape(name: str, tensor: Tensor) -> Tensor:
    """Of the module, where the layouts have another; what has neither stays as it is, to be refused by name."""
    if name.endswith("pos_embed") and tensor.ndim == 3 and len(tensor) == 1:
        return tensor[0]
    if name in _TOKENS and tensor.ndim == 3 and tensor.shape[:2] == (1, 1):
        return tensor.reshape(-1)
    return _as_linear(tensor) if name == "patch_embed.proj.weight" and tensor.ndim >= 3 else tensor


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
            shapes = {tuple(state[part].shape) if part in state else () for part in parts}
            if len(shapes) == 1 and () not in shapes:
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
