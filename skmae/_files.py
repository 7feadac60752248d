"""Files that hold the rows of one data set between them, read batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import prod
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skmae._compat import import_optional
from skmae._reading import is_number
from skmae._samples import row_blocks
from skmae._typing import AnyPath, Array


class Shard(NamedTuple):
    """One file, opened but not read."""

    path: str
    n_rows: int
    n_features: int
    columns: tuple[str, ...] | None
    batches: Callable[[int], Iterator[Any]]


def open_shards(paths: AnyPath | Iterable[AnyPath]) -> list[Shard]:
    """Open .npy and .parquet files and compare their widths, before a row of them is read.

    Raises
    ------
    FileNotFoundError
        If one is missing.
    ValueError
        If there is none, if one is of another kind, is damaged, holds no real numbers, or differs in width.
    """
    try:
        files = [Path(fspath(path)) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]
    except TypeError as error:
        raise TypeError(f"paths must be a path, or several, of .npy or .parquet files: {error}.") from error
    if not files:
        raise ValueError("paths is empty: pass at least one .npy or .parquet file.")
    shards = [_open(path) for path in files]
    first = shards[0]
    for shard in shards[1:]:
        if shard.n_features != first.n_features:
            raise ValueError(
                f"The shards differ in width: {first.path} has {first.n_features} features, {shard.path} has "
                f"{shard.n_features}. Every shard must hold rows of one data set."
            )
        if shard.columns != first.columns:
            raise ValueError(
                f"The columns of {shard.path} are not those of {first.path}, in their order. Write the shards with "
                f"the same columns."
            )
    return shards


def _open(path: Path) -> Shard:
    openers = {".npy": _open_npy, ".parquet": _open_parquet}
    suffix = path.suffix.lower()
    if suffix not in openers:
        raise ValueError(f"{path} is not a shard that can be read in parts: pass {' or '.join(openers)} files.")
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist, or is no file.")
    return openers[suffix](path)


def _open_npy(path: Path) -> Shard:
    with _naming_damage(path, ".npy file of numbers"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.memmap):
            raise ValueError("it is an archive of arrays")
        if (size := path.stat().st_size) != array.offset + array.nbytes:
            raise ValueError(f"it has {size} bytes, and its header says {array.offset + array.nbytes}")
    if array.ndim < 2 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{path} holds an array of shape {array.shape} and type {array.dtype}; a shard is (n_samples, n_features) "
            f"or (n_samples, *image_shape), of real numbers."
        )

    def batches(size: int) -> Iterator[Array]:
        for rows in row_blocks(len(array), size):
            yield array[rows]

    return Shard(str(path), len(array), prod(array.shape[1:]), None, batches)


def _open_parquet(path: Path) -> Shard:
    parquet = import_optional("pyarrow.parquet", extra="stream", purpose="Reading parquet files")
    with _naming_damage(path, "parquet file"):
        file = parquet.ParquetFile(path)
        schema, n_rows = file.schema_arrow, file.metadata.num_rows
        index = [name for name in (schema.pandas_metadata or {}).get("index_columns", []) if isinstance(name, str)]
    names = [name for name in schema.names if name not in index]  # pandas' own index is no feature
    other = [name for name in names if not is_number(schema.field(name).type)]
    if other:
        raise ValueError(f"{path} has columns that are not numbers: {other}. Write the shards without them.")

    def batches(size: int) -> Iterator[Array]:
        with _naming_damage(path, "parquet file"):
            whole = parquet.ParquetFile(path, page_checksum_verification=True)  # of files that have checksums
            read = whole.iter_batches(size, columns=names)
        n_read = 0
        while True:
            with _naming_damage(path, "parquet file"):
                batch = next(read, None)
                if batch is None and n_read != n_rows:  # pyarrow ends at a damaged page without a word
                    raise EOFError(f"{n_read} rows where {n_rows} were written")
                columns = [] if batch is None else [c.to_numpy(zero_copy_only=False) for c in batch.columns]
            if batch is None:
                return
            n_read += len(batch)
            yield np.column_stack(columns)

    return Shard(str(path), n_rows, len(names), tuple(names), batches)


@contextmanager
def _naming_damage(path: Path, kind: str) -> Iterator[None]:
    """Whatever reading a damaged file raises, said with the file's name; of damage libraries say so in a dozen ways."""
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read: it is cut short or damaged, or no {kind} ({type(error).__name__}: {error}). Write "
            f"it again."
        ) from error


def with_progress(batches: Iterable[Any], *, total: int | None, verbose: bool) -> Iterator[Any]:
    """The batches again, each an array or a tuple that ends in one, with a bar that counts their rows."""
    if not verbose:
        yield from batches
        return
    tqdm = import_optional("tqdm.auto", extra="stream", purpose="A progress bar").tqdm
    with tqdm(total=total, unit=" samples", unit_scale=True) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch[-1] if isinstance(batch, tuple) else batch))
