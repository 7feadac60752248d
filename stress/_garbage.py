"""Wrong things that people pass: what they have at hand, forgot to convert, or took for something else."""

import datetime
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from skmae import LinearMAE, Moments
from stress._frame import Trial


class Opaque:
    """Something of which nothing is known; its repr does not change from run to run."""

    def __repr__(self) -> str:
        return "Opaque()"


class Shy:
    """Looks like an array and is none."""

    shape, ndim, dtype = (12, 16), 2, np.dtype(float)

    def __repr__(self) -> str:
        return "Shy()"

    def __len__(self) -> int:
        return 12


def _generator() -> Any:
    yield np.zeros((3, 16))


def _mixed_frame() -> pd.DataFrame:
    return pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})


SCALARS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "-1": lambda: -1,
    "1": lambda: 1,
    "7": lambda: 7,
    "2.5": lambda: 2.5,
    "-0.5": lambda: -0.5,
    "1.0": lambda: 1.0,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: float("-inf"),
    "1e308": lambda: 1e308,
    "5e-324": lambda: 5e-324,
    "10**30": lambda: 10**30,
    "-(10**30)": lambda: -(10**30),
    "2**63": lambda: 2**63,
    "1j": lambda: 1j,
    "''": lambda: "",
    "'abc'": lambda: "abc",
    "'3'": lambda: "3",
    "'auto'": lambda: "auto",
    "'all'": lambda: "all",
    "bytes": lambda: b"abc",
    "Decimal": lambda: Decimal("0.5"),
    "date": lambda: datetime.date(2024, 1, 1),
    "np.float32": lambda: np.float32(0.5),
    "np.int64": lambda: np.int64(2),
    "np.bool_": lambda: np.bool_(True),
    "np.str_": lambda: np.str_("abc"),
    "datetime64": lambda: np.datetime64("2024-01-01"),
    "object": Opaque,
    "class": lambda: LinearMAE,
    "estimator": lambda: LinearMAE(2),
    "Moments": lambda: Moments(3),
    "function": lambda: len,
    "lambda": lambda: lambda *args: None,
    "module": lambda: np,
    "NotImplemented": lambda: NotImplemented,
    "Ellipsis": lambda: ...,
    "slice": lambda: slice(2),
}
CONTAINERS: dict[str, Callable[[], Any]] = {
    "[]": list,
    "()": lambda: (),
    "{}": dict,
    "set": lambda: {1, 2},
    "[None]": lambda: [None],
    "[1]": lambda: [1],
    "[[1]]": lambda: [[1]],
    "(2, 2)": lambda: (2, 2),
    "(2, -2)": lambda: (2, -2),
    "(2.5, 2)": lambda: (2.5, 2),
    "('a', 2)": lambda: ("a", 2),
    "(nan, 2)": lambda: (float("nan"), 2),
    "(4, 4, 4, 4, 4)": lambda: (4, 4, 4, 4, 4),
    "ragged": lambda: [[1, 2], [3]],
    "nested": lambda: [[[[[[1.0]]]]]],
    "strings": lambda: ["a", "b", "c"],
    "rows of strings": lambda: [["a"] * 16] * 12,
    "dict": lambda: {"a": [1, 2, 3]},
    "dict of arrays": lambda: {"x": np.zeros((12, 16))},
    "range": lambda: range(5),
    "generator": _generator,
    "empty iterator": lambda: iter([]),
    "path": lambda: Path("/nowhere/images"),
    "path as str": lambda: "/nowhere/images.npy",
    "list of paths": lambda: [Path("/nowhere/a.png"), Path("/nowhere/b.png")],
    "file": lambda: io.BytesIO(b"abc"),
    "images of unequal size": lambda: [np.zeros((4, 4)), np.zeros((5, 4))],
    "list of batches": lambda: [np.zeros((6, 4, 4)), np.zeros((7, 4, 4))],
    "a batch in a list": lambda: [np.random.default_rng(0).random((12, 4, 4))],
    "tuple of X and y": lambda: (np.zeros((12, 16)), np.zeros(12)),
    "memoryview": lambda: memoryview(b"abcd"),
}
ARRAYS: dict[str, Callable[[], Any]] = {
    "0-d": lambda: np.array(0.5),
    "0-d object": lambda: np.array(None),
    "empty": lambda: np.array([]),
    "no rows": lambda: np.zeros((0, 16)),
    "no columns": lambda: np.zeros((12, 0)),
    "no pixels": lambda: np.zeros((12, 4, 0)),
    "1-d": lambda: np.arange(12.0),
    "1-d int": lambda: np.arange(12),
    "1-d negative": lambda: -np.arange(12.0),
    "one row": lambda: np.ones((1, 16)),
    "other width": lambda: np.ones((12, 15)),
    "other length": lambda: np.ones(13),
    "6-d": lambda: np.ones((12, 2, 2, 2, 2, 1)),
    "transposed": lambda: np.arange(192.0).reshape(16, 12),
    "NaN": lambda: np.full((12, 16), np.nan),
    "one NaN": lambda: np.where(np.arange(192).reshape(12, 16) == 50, np.nan, 1.0),
    "inf": lambda: np.where(np.arange(192).reshape(12, 16) == 5, np.inf, 1.0),
    "NaN weights": lambda: np.full(12, np.nan),
    "inf weights": lambda: np.full(12, np.inf),
    "zero weights": lambda: np.zeros(12),
    "complex": lambda: np.ones((12, 16), complex),
    "strings": lambda: np.full((12, 16), "a"),
    "bytes": lambda: np.full((12, 16), b"a"),
    "numbers as strings": lambda: np.full((12, 16), "1.5"),
    "datetime64": lambda: np.full((12, 16), np.datetime64("2024-01-01")),
    "timedelta64": lambda: np.full((12, 16), np.timedelta64(1, "s")),
    "objects": lambda: np.full((12, 16), None),
    "objects of numbers": lambda: np.arange(192.0).reshape(12, 16).astype(object),
    "objects of strings": lambda: np.full((12, 16), "a", dtype=object),
    "object of arrays": lambda: _objects([np.zeros((4, 4)), np.zeros((5, 4))]),
    "structured": lambda: np.zeros(12, dtype=[("a", float), ("b", int)]),
    "structured 2-d": lambda: np.zeros((12, 16), dtype=[("a", float)]),
    "void": lambda: np.zeros((12, 16), dtype="V4"),
    "masked": lambda: np.ma.masked_equal(np.arange(192.0).reshape(12, 16), 50),
    "all masked": lambda: np.ma.masked_all((12, 16)),
    "matrix": lambda: np.asmatrix(np.arange(192.0).reshape(12, 16)),
    "bool": lambda: np.ones((12, 16), bool),
    "bool 1-d": lambda: np.ones(5, bool),
    "bool 0-d": lambda: np.array(True),
    "float16 overflow": lambda: np.full((12, 16), np.float16(65504)),
    "1e308": lambda: np.arange(192.0).reshape(12, 16) * 1e305,
    "1e-308": lambda: np.arange(192.0).reshape(12, 16) * 1e-308,
    "longdouble beyond float64": lambda: (
        np.arange(192.0).reshape(12, 16).astype(np.longdouble) * np.longdouble("1e4000")
    ),
    "uint64": lambda: np.full((12, 16), 2**64 - 1, np.uint64),
    "broadcast": lambda: np.broadcast_to(np.float64(1), (12, 16)),
    "random state": lambda: np.random.RandomState(0),
    "Generator": lambda: np.random.default_rng(0),
    "looks like an array": Shy,
    "sparse": lambda: scipy.sparse.csr_matrix(np.eye(12, 16)),
    "sparse array": lambda: scipy.sparse.coo_array(np.eye(12, 16)),
}
FRAMES: dict[str, Callable[[], Any]] = {
    "frame with strings": _mixed_frame,
    "frame with dates": lambda: pd.DataFrame({"a": pd.date_range("2024", periods=12), "b": np.arange(12.0)}),
    "frame with durations": lambda: pd.DataFrame({"a": pd.to_timedelta(np.arange(12), "s"), "b": np.arange(12.0)}),
    "frame with categories": lambda: pd.DataFrame({"a": pd.Categorical(["x", "y"] * 6), "b": np.arange(12.0)}),
    "frame with missing": lambda: pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": [1.0, 2.0, 3.0]}),
    "frame with equal names": lambda: pd.DataFrame(np.zeros((12, 2)), columns=["a", "a"]),
    "frame with two levels": lambda: pd.DataFrame(
        np.zeros((12, 2)), columns=pd.MultiIndex.from_tuples([(1, 2), (3, 4)])
    ),
    "frame with mixed names": lambda: pd.DataFrame(np.zeros((12, 2)), columns=["a", 1]),
    "frame of objects": lambda: pd.DataFrame({"a": [1, "x", None]}),
    "frame of lists": lambda: pd.DataFrame({"a": [[1, 2], [3]]}),
    "empty frame": pd.DataFrame,
    "frame without rows": lambda: pd.DataFrame({"a": np.zeros(0), "b": np.zeros(0)}),
    "complex frame": lambda: pd.DataFrame({"a": np.ones(12, complex)}),
    "sparse frame": lambda: pd.DataFrame.sparse.from_spmatrix(scipy.sparse.eye(12, 16, format="csr")),
    "Series": lambda: pd.Series(np.arange(12.0)),
    "Series of strings": lambda: pd.Series(["a"] * 12),
    "Index": lambda: pd.Index(["a", "b"]),
    "polars with dates": lambda: _polars("dates"),
    "polars with strings": lambda: _polars("strings"),
    "polars nested": lambda: _polars("nested"),
    "polars with null": lambda: _polars("null"),
    "arrow with strings": lambda: _arrow(),
    "tensor": lambda: _torch("plain"),
    "tensor that requires grad": lambda: _torch("grad"),
    "bfloat16 tensor": lambda: _torch("bfloat16"),
    "complex tensor": lambda: _torch("complex"),
    "sparse tensor": lambda: _torch("sparse"),
    "DataLoader": lambda: _torch("loader"),
    "Dataset": lambda: _torch("dataset"),
    "dask": lambda: _dask(),
    "picture": lambda: _picture(),
}


def _objects(arrays: list[np.ndarray]) -> np.ndarray:
    out = np.empty(len(arrays), object)
    out[:] = arrays
    return out


def _polars(kind: str) -> Any:
    import polars as pl

    numbers = {"b": [1.0, 2.0, 3.0]}
    columns = {
        "dates": {"a": [datetime.date(2024, 1, day) for day in (1, 2, 3)]},
        "strings": {"a": ["x", "y", "z"]},
        "nested": {"a": [[1, 2], [3], [4]]},
        "null": {"a": [1.0, None, 3.0]},
    }
    return pl.DataFrame({**columns[kind], **numbers})


def _arrow() -> Any:
    import pyarrow as pa

    return pa.table({"a": ["x", "y", "z"], "b": [1.0, 2.0, 3.0]})


def _torch(kind: str) -> Any:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    plain = torch.arange(192.0).reshape(12, 16)
    match kind:
        case "grad":
            return plain.requires_grad_()
        case "bfloat16":
            return plain.bfloat16()
        case "complex":
            return plain.to(torch.complex64)
        case "sparse":
            return plain.to_sparse()
        case "loader":
            return DataLoader(TensorDataset(plain.reshape(12, 4, 4)), batch_size=5)
        case "dataset":
            return TensorDataset(plain)
    return plain


def _dask() -> Any:
    import dask.array as da

    return da.zeros((12, 16), chunks=(5, 8))


def _picture() -> Any:
    from PIL import Image

    return Image.fromarray(np.zeros((4, 4), np.uint8))


ALL = {**SCALARS, **CONTAINERS, **ARRAYS, **FRAMES}


NUMBERS = ("0", "-1", "-0.5", "1e308", "5e-324", "nan", "inf")  # at the edges of what floats are
FUNCTIONS = ("function", "lambda", "class", "module")


def draw_like(trial: Trial, names: tuple[str, ...]) -> tuple[str, Any]:
    """One of these scalars."""
    name = str(trial.choose(*names))
    return name, SCALARS[name]()


def draw_garbage(trial: Trial) -> tuple[str, Any]:
    """What it is called, and the thing."""
    kind = trial.choose(SCALARS, SCALARS, CONTAINERS, ARRAYS, ARRAYS, FRAMES)
    name = str(trial.choose(*kind))
    return name, kind[name]()
