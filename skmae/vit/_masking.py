"""Which patches an encoder sees: an exact number of them, drawn at random or given."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def draw_visible(n_samples: int, n_patches: int, n_visible: int, generator: torch.Generator) -> Tensor:
    """Draw `n_visible` of `n_patches` patches for each sample, every set of patches alike.

    Parameters
    ----------
    n_samples, n_patches, n_visible : int
    generator : torch.Generator
        Its device is where the draw is made.

    Returns
    -------
    Tensor of int64 of shape (n_samples, n_visible)
        Numbers of the visible patches, ascending.
    """
    level = torch.rand(n_samples, n_patches, generator=generator, device=generator.device)  # (n, N)
    return level.topk(n_visible, dim=1, sorted=False).indices.sort(dim=1).values  # (n, K)


def hidden_patches(keep: Tensor, n_patches: int) -> Tensor:
    """(n, N) bool, True where hidden, from the numbers (n, K) of the patches that are visible."""
    return torch.ones(len(keep), n_patches, dtype=torch.bool, device=keep.device).scatter(1, keep, False)


def visible_patches(keep: Tensor, n_patches: int) -> np.ndarray:
    """(n, N) bool in NumPy, True where visible."""
    return ~hidden_patches(keep, n_patches).cpu().numpy()


def equal_counts(visible: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Group samples by how many of their patches are visible.

    Parameters
    ----------
    visible : ndarray of bool of shape (n_samples, n_patches)

    Yields
    ------
    rows : ndarray of int of shape (m,)
    keep : ndarray of int of shape (m, n_visible)
        Numbers of their visible patches, ascending.
    """
    counts = visible.sum(axis=1)
    for count in np.unique(counts):
        rows = np.flatnonzero(counts == count)
        yield rows, np.nonzero(visible[rows])[1].reshape(len(rows), count)


def read_patches(visible: np.ndarray, patch_of: np.ndarray) -> np.ndarray:
    """Visibility per patch from that per pixel or per feature.

    Parameters
    ----------
    visible : ndarray of bool of shape (n, n_units)
    patch_of : ndarray of int of shape (n_units,)
        The patch of each pixel or feature.

    Returns
    -------
    ndarray of bool of shape (n, n_patches)

    Raises
    ------
    ValueError
        If a patch is visible in part.
    """
    first = np.unique(patch_of, return_index=True)[1]
    patches = visible[:, first]
    if (patches[:, patch_of] != visible).any():
        raise ValueError(
            "visible shows a patch in part. A ViT hides whole patches: pass one value per patch, of shape "
            f"({len(first)},) or (n_samples, {len(first)}), as sample_visible draws them."
        )
    return patches
