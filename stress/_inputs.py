"""Samples as people bring them: types, byte orders, memory layouts, scales, and structure that is hard to solve."""

import os
import tempfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from stress._frame import Trial

DTYPES = (
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64", "longdouble"),
)
LAYOUTS = ("C", "F", "strided", "reversed", "read-only", "swapped bytes", "memory map", "list", "subclass", "unaligned")
STRUCTURES = (
    *("normal", "mixed", "binary", "clustered", "levels", "low rank", "strong factor", "constant columns"),
    *("equal columns", "equal rows", "uneven columns", "sparse", "constant"),
)


@dataclass
class Samples:
    """What is drawn.

    Attributes
    ----------
    X : array-like of shape (n, *sample_shape)
        As it is handed over.
    values : ndarray of float64 of shape (n, d)
        What it holds.
    dtype, layout, structure : str
    """

    X: Any
    values: np.ndarray
    dtype: str
    layout: str
    structure: str


def draw_samples(trial: Trial, n: int, sample_shape: tuple[int, ...], *, moderate: bool = False) -> Samples:
    """Samples of any type, layout, structure and scale; of a scale near 1 if `moderate`."""
    dtype = str(trial.choose(*DTYPES))
    structure = str(trial.choose(*STRUCTURES))
    values = _structured(trial, n, int(np.prod(sample_shape)), structure)
    if not moderate:
        values = _scaled(trial, values, dtype)
    array = _cast(trial, values, dtype).reshape(n, *sample_shape)
    layout = str(trial.choose(*LAYOUTS)) if trial.chance(0.6) else "C"
    if layout == "memory map" and trial.chance(0.8):  # slow
        layout = "read-only"
    if layout == "list" and dtype == "longdouble":
        layout = "C"
    return Samples(
        laid_out(array, layout),
        np.array(array.reshape(n, -1), np.float64),
        dtype,
        layout,
        structure,
    )


def _structured(trial: Trial, n: int, d: int, structure: str) -> np.ndarray:
    rng = trial.rng
    X = rng.standard_normal((n, d))
    match structure:
        case "mixed":
            X = X @ rng.standard_normal((d, d))
        case "binary":
            X = (rng.random((n, d)) < rng.uniform(0.05, 0.95)).astype(float)
        case "clustered":  # many eigenvalues that are equal, or nearly
            X = (rng.random((n, d)) < rng.choice([0.1, 0.5, 0.8])).astype(float)
            X = X[rng.integers(max(n // 2, 1), size=n)]
        case "levels":
            X = rng.integers(0, rng.integers(2, 5), (n, d)).astype(float)
        case "low rank":
            rank = rng.integers(1, min(n, d) + 1)
            X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d))
        case "strong factor":
            X = X + 10 ** rng.uniform(1, 5) * rng.standard_normal((n, 1)) * rng.standard_normal((1, d))
        case "constant columns":
            constant = rng.random(d) < 0.4
            X[:, constant] = rng.standard_normal(int(constant.sum()))
        case "equal columns":
            X = X[:, rng.integers(d, size=d)]
        case "equal rows":
            X = X[rng.integers(n, size=n)]
        case "uneven columns":
            X = X * 10 ** rng.uniform(-4, 4, d)
        case "sparse":
            X = X * (rng.random((n, d)) < 0.2)
        case "constant":
            X = np.repeat(X[:1], n, axis=0)
    return X


def _scaled(trial: Trial, X: np.ndarray, dtype: str) -> np.ndarray:
    rng = trial.rng
    if trial.chance(0.25):
        digits = {"float16": 2, "float32": 5}.get(dtype, 9)
        X = X + 10 ** rng.uniform(-1, digits) * rng.standard_normal() * np.abs(X).max()
    if trial.chance(0.3):
        X = X * 10 ** rng.uniform(-6, 6)
    elif trial.chance(0.12):
        reach = {"float16": 4, "float32": 37}.get(dtype, 305)
        X = X / (np.abs(X).max() or 1) * 10 ** rng.uniform(-reach, reach)
    return X


def _cast(trial: Trial, X: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bool":
        return np.median(X) < X
    kind = np.dtype(dtype)
    if kind.kind == "f":
        with np.errstate(over="ignore", under="ignore"):
            largest = float(np.finfo(kind).max) if kind.itemsize <= 8 else np.inf
            return np.clip(X, -largest, largest).astype(kind)
    limit = np.iinfo(kind)
    reach = min(float(limit.max) / 2, 2.0**52)  # beyond, float64 does not hold them
    X = X / (np.abs(X).max() or 1)
    reach = 10 ** trial.rng.uniform(0, np.log10(reach))
    whole = np.rint(X * reach)
    if kind.kind == "u":
        whole = whole - whole.min()
    return np.clip(whole, float(limit.min), float(limit.max)).astype(kind)


class Subclass(np.ndarray):
    """As astropy, pint and others have them."""


def laid_out(array: np.ndarray, layout: str) -> Any:
    """The same numbers otherwise in memory."""
    match layout:
        case "F":
            return np.asfortranarray(array)
        case "strided":
            wide = np.zeros((2 * len(array), *array.shape[1:-1], 3 * array.shape[-1]), array.dtype)
            wide[::2, ..., ::3] = array
            return wide[::2, ..., ::3]
        case "reversed":
            return array[::-1, ..., ::-1].copy()[::-1, ..., ::-1]
        case "read-only":
            array = array.copy()
            array.flags.writeable = False
            return array
        case "swapped bytes":
            return array.astype(array.dtype.newbyteorder(">"))
        case "memory map":
            return _memory_map(array)
        case "list":
            return array.tolist()
        case "subclass":
            return array.view(Subclass)
        case "unaligned":
            raw = np.empty(array.nbytes + 1, np.uint8)
            moved = raw[1:].view(array.dtype).reshape(array.shape)
            moved[...] = array
            return moved
    return array


def _memory_map(array: np.ndarray) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as file:
        np.save(file, array)
    mapped = np.load(file.name, mmap_mode="r")
    os.unlink(file.name)  # the map keeps it
    return mapped


@dataclass
class Shape:
    """Shape of a sample, and how a model is told.

    Attributes
    ----------
    sample : tuple of int
    channel_axis : int or None
        Where channels are.
    said : int, None or "auto"
        The parameter `channel_axis` that says so.
    """

    sample: tuple[int, ...]
    channel_axis: int | None
    said: Any


def draw_shape(trial: Trial, largest: int = 36) -> Shape:
    """A grid of 1 to 3 axes, with or without channels, of at most `largest` features."""
    rng = trial.rng
    while True:
        n_axes = int(rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2]))
        grid = [int(rng.integers(1, {1: 17, 2: 8, 3: 5}[n_axes])) for _ in range(n_axes)]
        channel_axis = None
        if trial.chance(0.35):
            channel_axis = int(rng.integers(n_axes + 1))
            grid.insert(channel_axis, int(rng.integers(1, 5)))
        if np.prod(grid) <= largest:
            break
    shape = tuple(grid)
    by_auto = len(shape) - 1 if len(shape) > 3 or (len(shape) == 3 and shape[-1] <= 4) else None
    if by_auto == channel_axis and trial.chance(0.7):
        return Shape(shape, channel_axis, "auto")
    negative = channel_axis is not None and trial.chance(0.3)
    return Shape(shape, channel_axis, channel_axis - len(shape) if negative else channel_axis)
