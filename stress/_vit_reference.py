"""The network of `ViTMAE` written a second time, in NumPy and float64, from the paper: what the deep campaign trusts.

n samples, N patches of P values, K of them visible, width D, h heads.
"""

from itertools import product
from typing import Any

import numpy as np
from scipy.special import erf, softmax

Weights = dict[str, np.ndarray]


def weights_of(module: Any) -> Weights:
    """The numbers of a PyTorch module, by name, in float64."""
    return {name: tensor.detach().double().numpy() for name, tensor in module.state_dict().items()}


def cut(images: np.ndarray, patch: tuple[int, ...], channel_axis: int | None) -> np.ndarray:
    """(n, \\*image_shape) → (n, N, P), one slice after the other; the values of a patch are pixels, then channels."""
    images = images[..., np.newaxis] if channel_axis is None else np.moveaxis(images, 1 + channel_axis, -1)
    starts = [range(0, size, step) for size, step in zip(images.shape[1:-1], patch, strict=True)]
    boxes = [tuple(slice(i, i + step) for i, step in zip(corner, patch, strict=True)) for corner in product(*starts)]
    return np.stack([images[(slice(None), *box)].reshape(len(images), -1) for box in boxes], axis=1)


def glue(
    patches: np.ndarray, image_shape: tuple[int, ...], patch: tuple[int, ...], channel_axis: int | None
) -> np.ndarray:
    """The inverse of `cut`."""
    numbers = np.arange(np.prod(image_shape)).reshape(1, *image_shape)
    places = cut(numbers, patch, channel_axis).ravel()
    flat = np.empty((len(patches), places.size), patches.dtype)
    flat[:, places] = patches.reshape(len(patches), -1)
    return flat.reshape(len(patches), *image_shape)


def layer_norm(x: np.ndarray, weights: Weights, name: str, eps: float) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def block(x: np.ndarray, weights: Weights, name: str, heads: int, eps: float) -> np.ndarray:
    """A pre-norm transformer block: (n, L, D) → (n, L, D), head after head."""
    width = x.shape[-1] // heads
    q, k, v = np.split(linear(layer_norm(x, weights, f"{name}.norm1", eps), weights, f"{name}.attn.qkv"), 3, axis=-1)
    parts = []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        attention = softmax(q[..., own] @ np.swapaxes(k[..., own], 1, 2) / np.sqrt(width), axis=-1)
        parts.append(attention @ v[..., own])
    x = x + linear(np.concatenate(parts, axis=-1), weights, f"{name}.attn.proj")
    hidden = linear(layer_norm(x, weights, f"{name}.norm2", eps), weights, f"{name}.mlp.fc1")
    return x + linear(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, weights, f"{name}.mlp.fc2")


def _count(weights: Weights, prefix: str) -> int:
    return len({name.split(".")[2] for name in weights if name.startswith(prefix)})


def layers(tokens: np.ndarray, shown: np.ndarray, weights: Weights, heads: int, eps: float) -> list[np.ndarray]:
    """What each block of the encoder gets, and what it gives in the end: (n, 1 + K, D) each, of patches (n, K, P)."""
    x = linear(tokens, weights, "encoder.patch_embed") + weights["encoder.pos_embed"][1 + shown]
    first = weights["encoder.cls_token"] + weights["encoder.pos_embed"][0]
    x = np.concatenate((np.broadcast_to(first, (len(x), 1, len(first))), x), axis=1)
    seen = []
    for i in range(_count(weights, "encoder.blocks.")):
        seen.append(x)
        x = block(x, weights, f"encoder.blocks.{i}", heads, eps)
    return [*seen, layer_norm(x, weights, "encoder.norm", eps)]


def predict(tokens: np.ndarray, visible: np.ndarray, weights: Weights, heads: tuple[int, int], eps: float) -> Any:
    """A prediction of all patches (n, N, P) from those that `visible` (n, N) shows, sample by sample."""
    predictions = []
    for patches, seen in zip(tokens, visible, strict=True):
        shown = np.flatnonzero(seen)
        latent = layers(patches[np.newaxis, shown], shown, weights, heads[0], eps)[-1]
        encoded = linear(latent, weights, "decoder.embed")[0]
        x = np.tile(weights["decoder.mask_token"], (1 + len(patches), 1))
        x[0], x[1 + shown] = encoded[0], encoded[1:]
        x = (x + weights["decoder.pos_embed"])[np.newaxis]
        for i in range(_count(weights, "decoder.blocks.")):
            x = block(x, weights, f"decoder.blocks.{i}", heads[1], eps)
        predictions.append(linear(layer_norm(x, weights, "decoder.norm", eps), weights, "decoder.pred")[0, 1:])
    return np.stack(predictions)


def normalised(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches less their mean, over their standard deviation; mean and deviation (n, N, 1)."""
    mean = patches.mean(axis=-1, keepdims=True)
    free = max(patches.shape[-1] - 1, 1)
    spread = np.sqrt(((patches - mean) ** 2).sum(axis=-1, keepdims=True) / free + 1e-6)
    return (patches - mean) / spread, mean, spread


def errors(prediction: np.ndarray, tokens: np.ndarray, visible: np.ndarray, normalize: bool) -> np.ndarray:
    """Mean squared error of the hidden patches of each sample, (n,); of all where none is hidden."""
    target = normalised(tokens)[0] if normalize else tokens
    squares = ((prediction - target) ** 2).mean(axis=-1)
    counted = ~visible | visible.all(axis=1, keepdims=True)
    return (squares * counted).sum(axis=1) / counted.sum(axis=1)


def denormalised(prediction: np.ndarray, tokens: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Normalised predictions with mean and spread put back: hidden patches get the average of the visible ones."""
    _, mean, spread = normalised(tokens)
    seen = visible[..., np.newaxis]
    count = np.maximum(visible.sum(axis=1), 1).reshape(-1, 1, 1)
    mean, spread = (np.where(seen, x, (x * seen).sum(axis=1, keepdims=True) / count) for x in (mean, spread))
    return prediction * spread + mean
