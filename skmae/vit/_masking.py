"""Masks as PyTorch draws them, and networks run under masks that show different numbers of patches.

n samples, N patches, K of them visible at most.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from skmae._grid import PatchGrid
from skmae.masking import GroupSampler, Sampler, draw_visible, hides_by_patch
from skmae.vit._data import to_device
from skmae.vit._network import Network


def drawn_on(sampler: Sampler, grid: PatchGrid, count: int | None, device: torch.device) -> torch.device:
    """Where to draw masks for a network on a device: there, unless it would have to be waited for.

    It would be for the numbers of visible patches where they differ (`count` is None), and for what NumPy draws.
    """
    return device if count is not None and hides_by_patch(sampler, grid) else torch.device("cpu")


def draw(sampler: Sampler, n_samples: int, grid: PatchGrid, mask: float, generator: torch.Generator) -> Tensor:
    """Draw masks from a generator, on its device: (n, N) bool, True where visible.

    A `GroupSampler` is given uniform random numbers of PyTorch; any other sampler draws with NumPy, from a seed that
    the generator gives.
    """
    device = generator.device
    if not isinstance(sampler, GroupSampler):
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=device))
        return torch.from_numpy(draw_visible(sampler, n_samples, grid, mask, seed)).to(device)
    levels = torch.rand(n_samples, sampler.n_levels(grid), generator=generator, device=device, dtype=torch.float32)
    return sampler.visible_from_levels(1 - levels, grid, mask)  # 1 - levels: the masks of a seed stay what they were


def run_masked(
    network: Network, images: Tensor, visible: Tensor, count: int | None = None, call: Callable[..., Any] | None = None
) -> tuple[Tensor, Tensor]:
    """Run a network under any masks; its encoder sees the visible patches of each sample, and nothing else.

    Where their numbers differ, a network that ``takes_padding`` is given the numbers of some hidden patches, too, which
    fill rows up, and which of them are visible; another is run once for each number.

    Parameters
    ----------
    network : Network
    images : Tensor of shape (n, \\*image_shape)
        Standardised.
    visible : Tensor of bool of shape (n, N)
        Best on the CPU where `count` is None: their numbers are looked at there.
    count : int or None
        Visible patches of every sample; None looks.
    call : callable or None
        What is called in place of the network: the one that several processes wrap around it.

    Returns
    -------
    prediction : Tensor of shape (n, N, P)
    hidden : Tensor of bool of shape (n, N)
    """
    run = _checked(network if call is None else call)
    if count is None:
        visible = visible.cpu()
        counts = visible.sum(dim=1)
        count = int(counts.max()) if len(counts) else 0
        if bool((counts != count).any()):
            if not getattr(network, "takes_padding", False):
                return _run_in_groups(run, images, visible, counts)
            visible = to_device(visible, images.device)
            keep = patch_numbers(visible, count)
            return run(images, keep, visible.gather(1, keep))
    return run(images, patch_numbers(to_device(visible, images.device), count))


def _checked(call: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The same, but what comes must be a prediction and what was hidden."""

    def run(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        result = call(*inputs)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(
                f"The network's forward gave a {type(result).__name__}; it must give two tensors: the prediction "
                f"(n, n_patches, n_values), and what was hidden, bool (n, n_patches)."
            )
        return result

    return run


def patch_numbers(visible: Tensor, count: int) -> Tensor:
    """(n, N) bool → numbers (n, count) of the visible patches, ascending; of hidden ones where too few are visible."""
    return visible.float().topk(count, dim=1, sorted=False).indices.sort(dim=1).values


def _run_in_groups(call: Callable[..., Any], images: Tensor, visible: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    groups = list(_by_count(counts))
    parts = [
        call(images[to_device(rows, images.device)], to_device(patch_numbers(visible[rows], count), images.device))
        for rows, count in groups
    ]
    order = to_device(torch.cat([rows for rows, _ in groups]).argsort(), images.device)
    prediction, hidden = (torch.cat(results)[order] for results in zip(*parts, strict=True))
    return prediction, hidden


def _by_count(counts: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Samples (m,) of each number of visible patches."""
    for count in counts.unique().tolist():
        yield (counts == count).nonzero().flatten(), count
