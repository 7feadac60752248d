"""What a trained module makes of samples, batch by batch."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar
from torch import Tensor
from torch.utils.data import DataLoader

from skmae._autodiff import TorchLinearization
from skmae._samples import Samples, refuse_not_finite, row_blocks
from skmae._undisturbed import undisturbed
from skmae.vit._data import DatasetSamples, as_tensor, check_finite, collate, collate_unchecked, to_device
from skmae.vit._masking import patch_numbers, run_masked
from skmae.vit._net import SeededNet
from skmae.vit._network import check_prediction
from skmae.vit._training import MAENet, normalize_patches

Function = Callable[[Any, Tensor, slice], Tensor]


def over_batches(
    net: SeededNet,
    samples: Samples | DatasetSamples,
    batch_size: int,
    function: Function,
    seen: Callable[[slice], np.ndarray] | None = None,
) -> np.ndarray:
    """Rows of ``function(module, standardised images, rows)`` for samples.

    In float64 where they are, else in float32. Of some rows, ``seen(rows)`` (m or 1, d) says which values may be read;
    others are taken as 0, whatever they are.
    """
    module, out = None, None
    check_scalar(batch_size, "batch_size", Integral, min_val=1)  # set since the training, perhaps
    for rows, batch in _batches(net, samples, int(batch_size), checked=seen is None):
        if seen is not None:
            batch = _hide(batch, seen(rows))
            _refuse_not_finite(batch, samples, rows.start)
        dtype = torch.float64 if batch.dtype == torch.float64 else torch.float32
        if module is None:
            module = module_in(net, dtype)
        with undisturbed(), torch.inference_mode():
            images = module.standardize(to_device(batch, net.where), dtype)
            result = function(module, images, rows).cpu().numpy()
        if not np.isfinite(result).all():
            _refuse_not_finite(batch, samples, rows.start)
            raise ValueError(
                f"X has values too far from those of training (as large as {batch.double().abs().max():.3g}): what the "
                f"network makes of them is not finite. Give X in the units of training."
            )
        if out is None:
            dtypes = (result.dtype,) if isinstance(samples, DatasetSamples) else (samples.dtype, np.float32)
            out = np.empty((len(samples), *result.shape[1:]), np.result_type(*dtypes))
        out[rows] = result
    return np.empty((0,)) if out is None else out


def module_in(net: SeededNet, dtype: torch.dtype) -> Any:
    """The trained module, for inference in float32 or float64."""
    module = deepcopy(net.plain_module).double() if dtype == torch.float64 else net.plain_module
    return module.eval()


def _hide(batch: Tensor, seen: np.ndarray) -> Tensor:
    return batch.flatten(1).masked_fill(torch.from_numpy(~seen), 0).reshape(batch.shape)


def _refuse_not_finite(batch: Tensor, samples: Samples | DatasetSamples, first_row: int) -> None:
    """Refuse NaN and infinity in a batch, saying where they are if the samples are numbered."""
    if isinstance(samples, DatasetSamples):
        check_finite(batch)
    else:
        refuse_not_finite(batch.flatten(1).numpy(), first_row)


def linearize(net: MAENet, X: np.ndarray, visible: np.ndarray | None, batch_size: int | None) -> TorchLinearization:
    """`predict_pixels` linearized at rows (n, d), under one mask of (1, N) or none. What it hides is taken as 0."""
    if visible is not None:
        X = np.where(net.grid.per_feature(visible), X, X.dtype.type(0))
    refuse_not_finite(X)
    dtype = torch.float64 if X.dtype == np.float64 else torch.float32
    is_wide = X.dtype.kind in "iu" and X.dtype.itemsize >= 4 and net.where.type != "mps"
    held_by = torch.float64 if is_wide else dtype  # float32 does not hold such numbers; less their mean, it does
    module, grid = module_in(net, dtype), net.grid
    shared = np.ones((1, grid.n_patches), bool) if visible is None else visible
    keep = patch_numbers(torch.from_numpy(shared), int(shared.sum())).to(net.where)

    def rebuild(images: Tensor) -> Tensor:
        images = module.standardize(images, dtype)
        prediction, hidden = module(images, keep.expand(len(images), -1))
        return _to_pixels(net, module, images, prediction, hidden).flatten(1).to(held_by)

    inputs = np.flatnonzero(grid.per_feature(shared)[0])
    return TorchLinearization(rebuild, X, torch.empty((), dtype=held_by, device=net.where), inputs, batch_size)


def predict_pixels(net: MAENet, module: Any, images: Tensor, visible: Tensor | None) -> Tensor:
    """(n, \\*image_shape) standardised images → (n, \\*image_shape) predictions in the units of X.

    `visible` is bool of (n or 1, N), None where nothing is hidden.
    """
    n_patches = net.grid.n_patches
    if visible is None:
        every_patch = torch.ones(len(images), n_patches, dtype=torch.bool, device=images.device)
        return _to_pixels(net, module, images, *run_masked(module, images, every_patch, n_patches))
    return _to_pixels(net, module, images, *run_masked(module, images, visible.expand(len(images), -1)))


def _to_pixels(net: MAENet, module: Any, images: Tensor, prediction: Tensor, hidden: Tensor) -> Tensor:
    """Predicted patches (n, N, P) → (n, \\*image_shape), in the units of X."""
    patches = module.patchify(images)
    check_prediction(prediction, patches, hidden)
    if net.criterion_.normalize_target:
        prediction = _denormalize(prediction, patches, hidden)
    return module.standardize.undo(net.grid.unpatchify(prediction))


def _denormalize(prediction: Tensor, patches: Tensor, hidden: Tensor) -> Tensor:
    """Give normalised patches (n, N, P) back their mean and spread; hidden ones, what visible ones have on average."""
    _, mean, std = normalize_patches(patches)  # (n, N, 1)
    visible = (~hidden).unsqueeze(-1).to(patches.dtype)  # (n, N, 1)
    count = visible.sum(dim=1, keepdim=True).clamp(min=1)
    mean, std = (
        each * visible + (visible * each).sum(dim=1, keepdim=True) / count * (1 - visible) for each in (mean, std)
    )
    return prediction * std + mean


def _batches(
    net: SeededNet, samples: Samples | DatasetSamples, batch_size: int, *, checked: bool
) -> Iterator[tuple[slice, Tensor]]:
    """Slices of rows, and these rows; those of a Dataset are refused if they are not finite, if `checked`."""
    if not isinstance(samples, DatasetSamples):
        for rows, block in samples.blocks(batch_size):
            yield rows, as_tensor(block)
        return
    start = 0
    parameters = net.get_params_for("iterator_valid")
    parameters["generator"] = torch.Generator()  # or DataLoader draws from PyTorch's own
    parameters["collate_fn"] = collate if checked else collate_unchecked
    for batch, _ in DataLoader(samples.dataset, batch_size=batch_size, **parameters):
        yield slice(start, start + len(batch)), batch
        start += len(batch)


def draw_visible(net: MAENet, n_samples: int, seed: int) -> Tensor:
    """(n_samples, N) bool, what training would show, drawn from one seed on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    blocks = [net.draw_visible(rows.stop - rows.start, generator) for rows in row_blocks(n_samples)]
    return torch.cat(blocks) if blocks else torch.empty((0, net.grid.n_patches), dtype=torch.bool)
