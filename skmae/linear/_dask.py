"""Dask arrays: moments chunk by chunk where the chunks are, features lazily."""

from math import prod
from typing import Any

import numpy as np

from skmae._arrays import to_numpy
from skmae._compat import import_optional
from skmae._rows import check_finite, check_weights, flatten_samples, floating_dtype, project
from skmae.moments import Moments


def is_dask(X: Any) -> bool:
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def check_chunks(X: Any) -> None:
    """Refuse what is no array, or has chunks that do not hold whole samples."""
    if getattr(X, "ndim", 0) >= 1 and len(X.shape) == 1:
        raise ValueError(f"X is a Dask array of shape {X.shape}: pass (n_samples, n_features), or images.")
    if not hasattr(X, "to_dask_array") and hasattr(X, "numblocks") and X.ndim >= 2:
        if all(n == 1 for n in X.numblocks[1:]):
            return
        axes = ", ".join(f"{axis}: -1" for axis in range(1, X.ndim))
        raise ValueError(
            f"X is cut into chunks along its features (X.chunks is {X.chunks}); a chunk must hold whole samples. Use "
            f"X.rechunk({{{axes}}})."
        )
    raise ValueError(
        f"X is a {type(X).__module__}.{type(X).__name__}; pass a dask.array of (n_samples, n_features) or (n_samples, "
        f"*image_shape). Of a data frame: X.to_dask_array(lengths=True)."
    )


def gather_moments(X: Any, sample_weight: Any) -> Moments:
    """The moments of all chunks, summed in pairs on the cluster; only their sum comes here.

    A task that is lost with its worker is run again by the scheduler, on the same chunk: nothing is counted twice.
    """
    delayed = import_optional("dask", extra="dask", purpose="Fitting Dask arrays").delayed
    chunks = X.to_delayed().ravel()
    weights = [None] * len(chunks) if sample_weight is None else _cut(sample_weight, X)
    parts = [
        delayed(_moments_of_chunk)(chunk, w, number)
        for number, (chunk, w) in enumerate(zip(chunks, weights, strict=True))
    ]
    while len(parts) > 1:
        parts = [delayed(sum)(parts[first : first + 2]) for first in range(0, len(parts), 2)]
    moments = parts[0].compute()
    if not moments.n_rows:
        raise ValueError("X holds no samples, or all of them have a weight of zero.")
    return moments


def encode_lazily(X: Any, components: np.ndarray, mean: np.ndarray) -> Any:
    """A Dask array of features, (n, k), in X's chunks."""
    return X.map_blocks(
        _encode_chunk,
        components=components,
        mean=mean,
        chunks=(X.chunks[0], (len(components),)),
        drop_axis=list(range(2, X.ndim)),
        meta=np.empty((0, 0), floating_dtype(X)),
    )


def _cut(sample_weight: Any, X: Any) -> list[np.ndarray]:
    """Weights, checked, for each chunk."""
    if np.isnan(X.shape[0]):
        raise ValueError(
            "X has chunks of unknown size, to which sample_weight cannot be cut. Call X.compute_chunk_sizes()."
        )
    weights = sample_weight.compute() if is_dask(sample_weight) else to_numpy(sample_weight)
    return np.split(np.asarray(check_weights(weights, X)), np.cumsum(X.chunks[0])[:-1])


def _moments_of_chunk(chunk: np.ndarray, weights: np.ndarray | None, number: int) -> Moments:
    if not len(chunk) or (weights is not None and not weights.any()):
        return Moments(prod(chunk.shape[1:]))
    try:
        return Moments.from_data(chunk, sample_weight=weights)
    except ValueError as error:
        raise ValueError(f"Chunk {number}: {error}") from error


def _encode_chunk(chunk: np.ndarray, components: np.ndarray, mean: np.ndarray) -> np.ndarray:
    rows, _ = flatten_samples(chunk)
    Z = project(rows, components, mean)
    if not np.isfinite(Z).all():
        check_finite(rows)
    return Z
