"""Batches of images: where they come from, in which order, and which part of them a process takes."""

import os
from collections.abc import Iterator
from math import prod
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from skmae._grid import PatchGrid
from skmae._samples import Samples

_HELD_BY = {"u2": "f4", "u4": "i8", "u8": "f8", np.dtype(np.longdouble).str[1:]: "f8"}  # types that PyTorch lacks
_SHARE_OF_DEVICE = 0.25  # share of the free memory of a device that data may take for good
_VALUES_WIDENED = 2**21  # at a time, to float64
_MAX_SAMPLES_READ = 4096  # of a Dataset, for its statistics
_LARGEST, _SMALLEST = 1e37, 1e-35  # values and ranges that float32 computes with


class DatasetSamples:
    """Samples that a ``torch.utils.data.Dataset`` gives: what `Samples` are to an array, but checked as they are read.

    Parameters
    ----------
    dataset : Dataset
        Its samples have one shape, or are tuples that begin with one that has.
    """

    def __init__(self, dataset: Any):
        self.dataset = dataset
        refuse_streams(dataset)
        shape = tuple(first_sample(dataset).shape)
        self.n_features = prod(shape)
        self.sample_shape = shape if len(shape) > 1 else None
        self.original_shape = (len(dataset), *shape)

    def __len__(self) -> int:
        return len(self.dataset)

    def instead_of(self, X: Any) -> Any:
        """What may be read again in place of X."""
        return X

    def record(self, estimator: Any) -> None:
        """Let an estimator remember the width; there are no names."""
        estimator.__dict__.pop("feature_names_in_", None)
        estimator.n_features_in_ = self.n_features

    def check_against(self, estimator: Any) -> None:
        """Refuse another width than an estimator remembers."""
        if self.n_features != estimator.n_features_in_:
            raise ValueError(
                f"X has samples of {self.n_features} features, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input."
            )

    def rows(self) -> np.ndarray:
        """All samples, (n, d), not checked."""
        rows = [to_array(collate_unchecked([self.dataset[index]])[0]) for index in range(len(self))]
        return np.concatenate(rows).reshape(len(self), -1)

    def check_finite(self) -> None:
        """Nothing: samples are checked batch by batch, as they are read."""


def refuse_streams(X: Any) -> None:
    """Refuse what gives samples only one after the other, and say what to pass."""
    if isinstance(X, DataLoader):
        raise TypeError(
            "X is a DataLoader. Pass its dataset (loader.dataset); batch_size is the estimator's, and its other "
            'settings go into net_params, as {"iterator_train__num_workers": 4}.'
        )
    if isinstance(X, IterableDataset) or (isinstance(X, Dataset) and not hasattr(X, "__len__")):
        kind = "an IterableDataset" if isinstance(X, IterableDataset) else "a Dataset without __len__"
        raise TypeError(
            f"X is {kind}, {type(X).__name__}: training shuffles numbered samples. Pass a Dataset with __len__ and "
            f"__getitem__, an array, or a memory-mapped array."
        )


AnySamples = Samples | DatasetSamples
Images = ArrayLike | Dataset[Any]


class RowsDataset(Dataset[Any]):
    """Samples of a type that may be narrow, or on a disk; they are copied batch by batch.

    Parameters
    ----------
    samples : Samples
    """

    def __init__(self, samples: Samples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> Tensor:
        order = np.argsort(indices)  # files are read in order only
        ascending = self.samples.read(np.asarray(indices)[order])
        return as_tensor(ascending[np.argsort(order)])


class ResidentDataset(Dataset[Any]):
    """Samples that lie on a device, whole.

    Parameters
    ----------
    rows : Tensor of shape (n_samples, ...)
    """

    def __init__(self, rows: Tensor):
        self.rows = rows

    @classmethod
    def of(cls, samples: Samples, device: torch.device) -> "ResidentDataset":
        """In the type they came in, copied block by block."""
        first = as_tensor(samples.read(slice(0, 1)))
        tensor = torch.empty(len(samples), samples.n_features, dtype=first.dtype, device=device)
        for rows, block in samples.blocks():
            tensor[rows] = as_tensor(block).to(device)
        return cls(tensor)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        return self.rows[index]

    def __getitems__(self, indices: list[int]) -> Tensor:
        return self.rows[to_device(torch.tensor(indices), self.rows.device)]


class LabelledRows(Dataset[Any]):
    """Samples of another dataset, each with its target, batch by batch.

    Parameters
    ----------
    samples : Dataset
        `RowsDataset` or `ResidentDataset`.
    targets : Tensor
        One for each sample; where the samples lie on a device, there too.
    index : ndarray of int of shape (m,)
        The samples to take.
    """

    def __init__(self, samples: Any, targets: Tensor, index: np.ndarray):
        self.dataset = samples
        self.targets = targets
        self.index = index

    def take(self, index: np.ndarray) -> "LabelledRows":
        """Some of the samples, by their numbers in the other dataset."""
        return LabelledRows(self.dataset, self.targets, index)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, targets = self.__getitems__([index])
        return images[0], targets[0]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        rows = self.index[indices]
        numbers = to_device(torch.from_numpy(rows), self.targets.device)
        return self.dataset.__getitems__(rows.tolist()), self.targets[numbers]


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, which is not waited for; mps must be, since it may read what is there no more."""
    return tensor.to(device, non_blocking=device.type != "mps")


def fits(n_bytes: int, device: torch.device) -> bool:
    """Whether that much may be kept in the memory of a device for good."""
    return n_bytes < _SHARE_OF_DEVICE * _free_bytes(device)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return 2**32


def as_tensor(rows: np.ndarray) -> Tensor:
    """A tensor with a copy of some rows; a type that PyTorch does not have becomes one that holds its numbers."""
    name = rows.dtype.str[1:]
    with np.errstate(over="ignore"):  # of longdouble, to infinity
        return torch.from_numpy(np.array(rows, _HELD_BY.get(name, name), order="C"))


def to_array(tensor: Tensor) -> np.ndarray:
    """What a tensor holds, in a type that NumPy has."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def without_masked(X: Any) -> Any:
    """A masked array with NaN where it hides its values; anything else as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    return np.ma.filled(X.astype(np.result_type(X.dtype, np.float32)), np.nan)


def dataset_of(samples: Samples | DatasetSamples | np.ndarray, device: torch.device) -> Dataset[Any]:
    """The dataset that serves these samples fastest: on the device where they fit, else read batch by batch."""
    if isinstance(samples, DatasetSamples):
        return samples.dataset
    samples = Samples(samples) if isinstance(samples, np.ndarray) else samples
    if device.type == "cuda" and fits(len(samples) * samples.n_features * samples.dtype.itemsize, device):
        return ResidentDataset.of(samples, device)
    return RowsDataset(samples)


def is_resident(dataset: Any) -> bool:
    """Whether the samples of a dataset, or of the one that it is a subset of, lie on a device."""
    while hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    return isinstance(dataset, ResidentDataset)


def collate(samples: Any) -> tuple[Tensor, None]:
    """A batch as skorch takes it, images and no target, whatever a dataset gives beside its images."""
    if isinstance(samples, Tensor):
        return samples, None
    images, _ = collate_unchecked(samples)
    check_finite(images)
    return images, None


def collate_unchecked(samples: Any) -> tuple[Tensor, None]:
    """The same, of samples of a Dataset that may hold NaN."""
    firsts = [sample[0] if isinstance(sample, list | tuple) and sample else sample for sample in samples]
    strange = [first for first in firsts if not _is_numbers(first)]
    if strange:
        kind = getattr(strange[0], "dtype", type(strange[0]).__name__)
        raise TypeError(
            f"X is a Dataset whose batches are of type {kind}. Its samples must be arrays or tensors of real numbers "
            f"and of one shape, or tuples that begin with one: convert them in the Dataset, a picture of PIL by "
            f"transform=numpy.asarray."
        )
    images = [first.detach() if isinstance(first, Tensor) else as_tensor(np.asarray(first)) for first in firsts]
    _check_shapes(images)
    return torch.stack(images), None


def _check_shapes(images: list[Tensor]) -> None:
    """Refuse samples of a Dataset that have several shapes."""
    shapes = sorted({tuple(image.shape) for image in images})
    if len(shapes) > 1:
        raise TypeError(
            f"X is a Dataset whose samples differ in shape: {shapes[0]} and {shapes[1]}. Resize or crop them in the "
            f"Dataset."
        )


def check_finite(images: Tensor) -> None:
    """Refuse NaN and infinity in what a Dataset gave."""
    if not torch.isfinite(images).all():
        raise ValueError(
            "X is a Dataset some of whose samples contain NaN or infinity. Every value must be finite: leave such "
            "samples out, let the Dataset fill the gaps, or hide them by reconstruct(X, visible=...)."
        )


def _is_numbers(sample: Any) -> bool:
    """Whether a sample is a tensor or an array of real numbers, or one number."""
    if isinstance(sample, Tensor):
        return not (sample.is_complex() or sample.is_sparse)
    return isinstance(sample, np.ndarray | Real | np.generic) and np.asarray(sample).dtype.kind in "biuf"


def first_sample(dataset: Any) -> Tensor:
    """One sample of a Dataset, to learn its shape from."""
    if len(dataset) == 0:
        raise ValueError("X is a Dataset with 0 samples, while a minimum of 1 is required.")
    return collate_unchecked([dataset[0]])[0][0]


class BatchPart(NamedTuple):
    """What one process takes of a batch."""

    total: int
    rows: slice
    weight: float  # of its mean loss, so that the mean over processes is the mean over the batch


class EpochBatches(Sampler[list[int]]):
    """Numbers of the samples of each batch of an epoch, for one process of several.

    Parameters
    ----------
    n_samples, batch_size : int
        Of all processes together.
    seed : int or None
        None leaves the samples in order.
    rank, world : int
        Number of this process, and how many there are.
    """

    def __init__(self, n_samples: int, batch_size: int, seed: int | None, rank: int = 0, world: int = 1):
        self.n_samples = n_samples
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Shuffle the next pass as that of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.n_samples // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = np.arange(self.n_samples)
        if self.seed is not None:
            np.random.default_rng((self.seed, self.epoch, 0)).shuffle(order)
        for step in range(len(self)):
            start = step * self.batch_size
            yield order[start : start + self.batch_size][self.part(step).rows].tolist()

    def part(self, step: int) -> BatchPart:
        """This process's part of a batch. Where there is none, it takes a sample that does not count."""
        total = min(self.batch_size, self.n_samples - step * self.batch_size)
        start, stop = (total * rank // self.world for rank in (self.rank, self.rank + 1))
        weight = (stop - start) * self.world / total
        return BatchPart(total, slice(start, stop) if weight else slice(0, 1), weight)


class ChannelStatistics:
    """Mean and standard deviation per channel, block by block (Chan et al.)."""

    def __init__(self, grid: PatchGrid):
        self.grid = grid
        self.n = 0
        self.mean = np.zeros(grid.n_channels)
        self.squares = np.zeros(grid.n_channels)
        self.low = np.full(grid.n_channels, np.inf)
        self.high = -self.low
        self.rounding = 1e-12  # relative to the mean: what spreads less is constant

    def update(self, rows: np.ndarray) -> None:
        """Add rows of shape (n, n_features)."""
        values = self.grid.patchify(rows).reshape(-1, self.grid.n_channels)
        self.low, self.high = np.minimum(self.low, values.min(axis=0)), np.maximum(self.high, values.max(axis=0))
        largest = max(-self.low.min(), self.high.max())
        if largest > _LARGEST:
            raise ValueError(
                f"X has values as large as {largest:.3g}; a network computes in float32, which ends at 3.4e38. Divide "
                f"X by {largest:.0e} first."
            )
        if rows.dtype.kind == "f" and rows.dtype.itemsize <= 4:
            self.rounding = 1e-7
        values = values.astype(np.float64)
        mean = values.mean(axis=0)
        shift, total = mean - self.mean, self.n + len(values)
        self.squares += ((values - mean) ** 2).sum(axis=0) + shift**2 * (self.n * len(values) / total)
        self.mean += shift * (len(values) / total)
        self.n = total

    @property
    def scale(self) -> np.ndarray:
        """Standard deviations; 1 where a channel is constant."""
        width = self.high - self.low
        varies = width > self.rounding * np.abs(self.mean)
        if (width[varies] < _SMALLEST).any():
            raise ValueError(
                f"X varies by {width[varies].min():.3g} only; a network computes in float32, which begins at 1.2e-38. "
                f"Multiply X by {1 / _SMALLEST:.0e} or more first."
            )
        spread = np.sqrt(self.squares / self.n)
        return np.where(spread > self.rounding * np.abs(self.mean), spread, 1.0)

    @classmethod
    def of(cls, samples: Samples | DatasetSamples, grid: PatchGrid) -> "ChannelStatistics":
        """From all samples; from some of a Dataset, evenly spaced, if there are many."""
        if isinstance(samples, DatasetSamples):
            return cls._of_dataset(samples.dataset, grid)
        statistics = cls(grid)
        for _, block in samples.blocks(max(_VALUES_WIDENED // samples.n_features, 1)):
            statistics.update(block)
        return statistics

    @classmethod
    def _of_dataset(cls, dataset: Any, grid: PatchGrid) -> "ChannelStatistics":
        statistics, first = cls(grid), first_sample(dataset)
        count = min(len(dataset), _MAX_SAMPLES_READ)
        for index in np.linspace(0, len(dataset) - 1, count).astype(int).tolist():
            sample = collate([dataset[index]])[0]
            _check_shapes([first, sample[0]])
            statistics.update(to_array(sample.reshape(1, -1)))
        return statistics
