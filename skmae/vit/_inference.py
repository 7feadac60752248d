"""What a trained module makes of samples, batch by batch."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from skmae._autodiff import TorchLinearization
from skmae._grid import PatchGrid
from skmae._rows import check_finite, floating_dtype, row_blocks
from skmae.vit._data import as_tensor, collate
from skmae.vit._masking import draw_visible, equal_counts, read_patches
from skmae.vit._module import MaskedAutoencoder
from skmae.vit._net import SeededNet
from skmae.vit._training import MAENet, normalize_patches

Function = Callable[[Any, Tensor, slice], Tensor]


def over_batches(net: SeededNet, X: Any, batch_size: int, function: Function) -> np.ndarray:
    """Rows of ``function(module, standardised images, rows)`` for an array or a Dataset.

    In float64 where X is, else in float32.
    """
    module, out = None, None
    for rows, batch in _batches(net, X, batch_size):
        dtype = torch.float64 if batch.dtype == torch.float64 else torch.float32
        if module is None:
            module = module_in(net, dtype)
        with torch.inference_mode():
            images = module.standardize(batch.to(net.where, non_blocking=True), dtype)
            result = function(module, images, rows).cpu().numpy()
        if isinstance(X, np.ndarray) and not np.isfinite(result).all():
            check_finite(X)
        if out is None:
            out = np.empty((len(X), *result.shape[1:]), _output_dtype(X, result))
        out[rows] = result
    return np.empty((0,)) if out is None else out


def module_in(net: SeededNet, dtype: torch.dtype) -> Any:
    """The trained module, for inference in float32 or float64."""
    module = deepcopy(net.plain_module).double() if dtype == torch.float64 else net.plain_module
    return module.eval()


def linearize(net: MAENet, X: np.ndarray, visible: np.ndarray | None, batch_size: int | None) -> TorchLinearization:
    """`predict_pixels` linearized at rows of X, under one mask of (1, N) or none."""
    dtype = torch.float64 if X.dtype == np.float64 else torch.float32
    module = module_in(net, dtype)
    grid, normalized = module.grid, net.criterion_.normalize_target
    keep = None if visible is None else torch.from_numpy(np.flatnonzero(visible)[np.newaxis]).to(net.where)

    def rebuild(images: Tensor) -> Tensor:
        shown = None if keep is None else keep.expand(len(images), -1)
        return predict_pixels(module, module.standardize(images, dtype), shown, normalized).flatten(1)

    inputs = np.arange(grid.n_features) if visible is None else np.flatnonzero(grid.per_feature(visible)[0])
    return TorchLinearization(rebuild, X, torch.empty((), dtype=dtype, device=net.where), inputs, batch_size)


def _output_dtype(X: Any, result: np.ndarray) -> np.dtype:
    return floating_dtype(X) if isinstance(X, np.ndarray) else result.dtype


def _batches(net: SeededNet, X: Any, batch_size: int) -> Iterator[tuple[slice, Tensor]]:
    if isinstance(X, np.ndarray):
        for rows in row_blocks(len(X), batch_size):
            yield rows, as_tensor(X[rows])
        return
    start = 0
    parameters = net.get_params_for("iterator_valid")
    for batch, _ in DataLoader(X, batch_size=batch_size, collate_fn=collate, **parameters):
        yield slice(start, start + len(batch)), batch
        start += len(batch)


def predict_from(module: MaskedAutoencoder, images: Tensor, visible: np.ndarray | None, normalized: bool) -> Tensor:
    """`predict_pixels` for samples of which different numbers of patches may be visible: bool of (n or 1, N)."""
    if visible is None:
        return predict_pixels(module, images, None, normalized)
    out = torch.empty_like(images)
    for some, keep in equal_counts(np.broadcast_to(visible, (len(images), visible.shape[1]))):
        index, shown = (torch.from_numpy(numbers).to(images.device) for numbers in (some, keep))
        out[index] = predict_pixels(module, images[index], shown, normalized)
    return out


def predict_pixels(module: MaskedAutoencoder, images: Tensor, keep: Tensor | None, normalized: bool) -> Tensor:
    """(n, \\*image_shape) standardised images → (n, \\*image_shape) predictions in the units of X.

    `normalized` says whether the module predicts patches of mean 0 and variance 1.
    """
    prediction, hidden = module(images, keep)  # (n, N, P), (n, N)
    if normalized:
        prediction = _denormalize(prediction, module.patchify(images), hidden)
    return module.standardize.undo(module.grid.unpatchify(prediction))


def _denormalize(prediction: Tensor, patches: Tensor, hidden: Tensor) -> Tensor:
    """Give normalised patches (n, N, P) back their mean and spread; hidden ones, what visible ones have on average."""
    _, mean, std = normalize_patches(patches)  # (n, N, 1)
    seen = (~hidden).unsqueeze(-1).to(patches.dtype)  # (n, N, 1)
    averages = [(seen * own).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True) for own in (mean, std)]
    mean, std = (own * seen + average * (1 - seen) for own, average in zip((mean, std), averages, strict=True))
    return prediction * std + mean


def read_visible(grid: PatchGrid, visible: Any, n_samples: int) -> np.ndarray:
    """(n_samples or 1, n_patches) bool from what a user says is visible: whole patches, one of them at least."""
    shown = grid.read_visible(visible, n_samples)
    if shown.shape[1] != grid.n_patches:
        shown = read_patches(shown, grid.patch_of_pixel if shown.shape[1] == grid.n_pixels else grid.patch_of_feature)
    some = shown.any(axis=1)
    if not some.all():
        raise ValueError(
            f"visible shows no patch of sample {int(np.argmin(some))}. Show at least one of its {grid.n_patches}."
        )
    return shown


def draw_keep(net: MAENet, n_samples: int, seed: int) -> Tensor:
    """(n_samples, K) numbers of visible patches, of one seed, on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    n_patches = net.plain_module.grid.n_patches
    blocks = [
        draw_visible(rows.stop - rows.start, n_patches, net.n_visible, generator) for rows in row_blocks(n_samples)
    ]
    return torch.cat(blocks) if blocks else torch.empty((0, net.n_visible), dtype=torch.int64)
