"""Small deep models of every make, and what came in to make them; a hundred cases may ask the same one."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Subset, TensorDataset

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor
from skmae.masking import Stripes
from stress import _vit_reference as reference
from stress._frame import Trial

CASES_OF_A_MODEL = 40


def checkerboard(n_samples: int, grid: Any, mask: float, random_state: Any) -> np.ndarray:
    """A mask of the user's: every other patch visible, or the others; of one patch, always that."""
    odd = np.arange(grid.n_patches) % 2 == random_state.randint(2, size=(n_samples, 1))
    return odd | (grid.n_patches == 1)


@dataclass
class Made:
    """A drawn model and its data.

    Attributes
    ----------
    X : ndarray of shape (n, *image_shape)
        Whole numbers from 0 to 100, which every real type holds.
    channel_axis : int or None
        As it should be read.
    """

    parameters: dict[str, Any]
    X: np.ndarray
    channel_axis: int | None
    patch: tuple[int, ...]
    seed: int
    notes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def mae(self) -> ViTMAE:
        return self.fresh().fit(self.X)

    def fresh(self, **changes: Any) -> ViTMAE:
        return ViTMAE(**self.parameters | changes)

    @cached_property
    def classifier(self) -> ViTMAEClassifier:
        return self.fresh_predictor(ViTMAEClassifier).fit(self.X, self.labels)

    @cached_property
    def regressor(self) -> ViTMAERegressor:
        return self.fresh_predictor(ViTMAERegressor).fit(self.X, self.targets)

    def fresh_predictor(self, kind: type, **changes: Any) -> Any:
        rng = np.random.default_rng(self.seed)
        blocks = (None, *range(self.parameters["encoder_layers"] + 1))
        chosen = {
            "encoder": self.mae,
            "trainable_blocks": blocks[rng.integers(len(blocks))],
            "pool": self.parameters["pool"],
            "augment": None,
            "max_epochs": 2,
            "warmup_epochs": 0,
            "batch_size": self.parameters["batch_size"],
            "learning_rate": 1e-2,
            "random_state": 3,
        }
        return kind(**chosen | changes)

    @cached_property
    def labels(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        names = [
            np.array(["no", "yes", "perhaps"]),
            np.array([-3, 0, 7]),
            np.array([False, True]),
            np.array([0.0, 1.0]),
        ]
        names = names[rng.integers(len(names))]
        numbers = rng.integers(len(names), size=len(self.X))
        numbers[:2] = 0, 1
        return names[numbers]

    @cached_property
    def targets(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        shape = [(), (1,), (3,), (2, 2)][rng.integers(4)]
        return rng.standard_normal((len(self.X), *shape)) * 10.0 ** rng.integers(-6, 7) + rng.integers(-2, 3) * 1e4

    # -- the same by the reference ------------------------------------------------------------------------------------

    @cached_property
    def heads(self) -> tuple[int, int]:
        return self.parameters["encoder_heads"], self.parameters["decoder_heads"]

    @cached_property
    def weights(self) -> reference.Weights:
        return reference.weights_of(self.mae.net_.module_)

    def standardised(self, X: np.ndarray) -> np.ndarray:
        """(n, *image_shape) → patches (n, N, P) of standardised pixels, in float64."""
        shape = [-1 if axis == self.channel_axis else 1 for axis in range(X.ndim - 1)]
        mean, scale = (
            self.weights[f"standardize.{name}"].ravel().reshape(shape)
            if self.channel_axis is not None
            else self.weights[f"standardize.{name}"].ravel()[0]
            for name in ("mean", "scale")
        )
        return reference.cut((X.astype(np.float64) - mean) / scale, self.patch, self.channel_axis)

    def layers(self, X: np.ndarray) -> list[np.ndarray]:
        tokens = self.standardised(X)
        return reference.layers(tokens, np.arange(tokens.shape[1]), self.weights, self.heads[0], 1e-6)

    def pooled(self, x: np.ndarray) -> np.ndarray:
        return x[:, 0] if self.parameters["pool"] == "cls" else x[:, 1:].mean(axis=1)

    def features(self, X: np.ndarray) -> np.ndarray:
        return self.pooled(self.layers(X)[-1])

    def prediction(self, X: np.ndarray, visible: np.ndarray) -> np.ndarray:
        return reference.predict(self.standardised(X), visible, self.weights, self.heads, 1e-6)

    def reconstruction(self, X: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """(n, *image_shape), in units of X."""
        prediction = self.prediction(X, visible)
        if self.parameters["normalize_target"]:
            prediction = reference.denormalised(prediction, self.standardised(X), visible)
        pictures = reference.glue(prediction, X.shape[1:], self.patch, self.channel_axis)
        mean, scale = (self.weights[f"standardize.{name}"] for name in ("mean", "scale"))
        return pictures * scale + mean

    def loss(self, X: np.ndarray, visible: np.ndarray) -> float:
        prediction, tokens = self.prediction(X, visible), self.standardised(X)
        return float(reference.errors(prediction, tokens, visible, self.parameters["normalize_target"]).mean())

    @property
    def n_patches(self) -> int:
        return self.mae.net_.grid.n_patches


def made_for(trial: Trial) -> Made:
    """The model that this case and its neighbours ask."""
    return _make(trial.seed, trial.number // CASES_OF_A_MODEL)


@lru_cache(maxsize=1)
def _make(seed: int, index: int) -> Made:
    return draw(np.random.default_rng([seed, 1, index]))


def draw(rng: np.random.Generator) -> Made:
    def one_of(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    axes = one_of(1, 2, 2, 2, 3)
    per_axis = tuple(int(count) for count in rng.integers(1, {1: 9, 2: 5, 3: 3}[axes], size=axes))
    patch = tuple(int(size) for size in rng.integers(1, 4, size=axes))
    shape = [count * size for count, size in zip(per_axis, patch, strict=True)]
    channels, channel_axis = one_of(None, None, 1, 2, 3, 5), None
    if channels is not None:
        channel_axis = one_of(0, axes, int(rng.integers(axes + 1)))
        shape.insert(channel_axis, channels)
    encoder_heads, decoder_heads = (int(rng.integers(1, 4)) for _ in range(2))
    encoder, decoder = (heads * -(-one_of(6, 8, 10) // heads) for heads in (encoder_heads, decoder_heads))
    n = int(rng.integers(4, 16))
    parameters = {
        "mask": one_of(0, 0.25, 0.5, 0.75, 0.9),
        "patch": one_of(patch, list(patch), patch[0] if len(set(patch)) == 1 else patch),
        "image_shape": one_of(None, tuple(shape)) if len(shape) > 1 else tuple(shape),  # or squares are guessed
        "channel_axis": channel_axis if channel_axis is None else one_of(channel_axis, channel_axis - len(shape)),
        "mask_sampling": one_of("exact", "exact", "bernoulli", Stripes(0), checkerboard),
        "embed_dim": encoder,
        "encoder_layers": one_of(1, 1, 2),
        "encoder_heads": encoder_heads,
        "decoder_dim": decoder,
        "decoder_layers": one_of(1, 1, 2),
        "decoder_heads": decoder_heads,
        "mlp_ratio": one_of(1, 2, 0.5),
        "normalize_target": one_of(False, False, True),
        "pool": one_of("mean", "cls"),
        "max_epochs": one_of(1, 2, 3),
        "batch_size": int(rng.integers(1, n + 3)),
        "learning_rate": one_of(1e-3, 1e-1),
        "warmup_epochs": one_of(0, 1),
        "weight_decay": one_of(0, 0.05),
        "augment": one_of(None, None, None, "auto") if axes == 2 and min(per_axis) > 1 else None,
        "precision": one_of("auto", "auto", "float32", "bfloat16"),
        "random_state": int(rng.integers(1000)),
    }
    X = rng.integers(0, 101, (n, *shape)).astype(np.float32)
    return Made(parameters, X, channel_axis, patch, int(rng.integers(2**31)))


# -- one and the same X in many forms ---------------------------------------------------------------------------------

DTYPES = ("u1", "i1", "<u2", ">i2", "<i4", ">u4", "<i8", ">u8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g")
TENSORS = (torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Plain(Dataset):
    """A dataset of the user's, of arrays or tensors, alone or with something beside them."""

    def __init__(self, X: Any, beside: bool):
        self.X = X
        self.beside = beside

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, index: int) -> Any:
        return (self.X[index], index) if self.beside else self.X[index]


def as_array(trial: Trial, X: np.ndarray) -> tuple[np.ndarray, str, str]:
    """The same numbers in another type and layout, and their names."""
    dtype = trial.choose(*DTYPES)
    X = X.astype(dtype)
    layout = trial.choose("C", "Fortran", "strided", "backwards", "read-only", "flat", "offset")
    if layout == "Fortran":
        X = np.asfortranarray(X)
    elif layout == "strided":
        X = np.repeat(X, 2, axis=-1)[..., ::2]
    elif layout == "backwards":
        X = X[::-1].copy()[::-1]
    elif layout == "read-only":
        X.flags.writeable = False
    elif layout == "flat":
        X = X.reshape(len(X), -1)
    elif layout == "offset":  # bytes that no processor would choose
        raw = np.empty(X.nbytes + 1, np.uint8)[1:].view(X.dtype).reshape(X.shape)
        raw[...] = X
        X = raw
    return X, str(np.dtype(dtype)), layout


def as_form(trial: Trial, X: np.ndarray) -> tuple[Any, str, str]:
    """The same numbers as an array, list, tensor, data frame or Dataset; the names of type and form."""
    form = trial.choose("array", "array", "array", "list", "tensor", "frame", "dataset", "subclass", "memmap")
    if form in ("array", "subclass"):
        X, dtype, layout = as_array(trial, X)
        return (X, dtype, layout) if form == "array" else (X.view(Marked), dtype, "subclass")
    if form == "list":
        if X.ndim > 3 or trial.chance(0.5):  # a list of volumes could be one of batches
            return X.tolist(), "float64", "list"
        return list(X.astype("i2")), "int16", "list of arrays"
    if form == "tensor":
        dtype = trial.choose(*TENSORS)
        tensor = torch.from_numpy(X).to(dtype)
        if trial.chance(0.3):
            tensor = tensor.flip(0).flip(0).transpose(0, -1).contiguous().transpose(0, -1)
        if dtype.is_floating_point and trial.chance(0.3):
            tensor.requires_grad_()
        return tensor, str(dtype), "tensor"
    if form == "frame":
        import pandas as pd

        rows = X.reshape(len(X), -1)
        dtype = trial.choose("float32", "float64", "int16", "uint8")
        return pd.DataFrame(rows.astype(dtype)), dtype, "data frame"
    if form == "memmap":
        from tempfile import TemporaryFile

        mapped = np.memmap(TemporaryFile(), "<i2", "w+", shape=X.shape)
        mapped[...] = X
        return mapped, "int16", "memmap"
    dtype = trial.choose("f4", "f8", "i2", "u1")
    tensor = torch.from_numpy(X.astype(dtype))
    kind = trial.choose("TensorDataset", "arrays", "tuples", "Subset")
    datasets = {
        "TensorDataset": lambda: TensorDataset(tensor, torch.arange(len(X))),
        "arrays": lambda: Plain(X.astype(dtype), beside=False),
        "tuples": lambda: Plain(tensor, beside=True),
        "Subset": lambda: Subset(TensorDataset(torch.cat((tensor, tensor))), range(len(X), 2 * len(X))),
    }
    return datasets[kind](), dtype, f"Dataset ({kind})"


class Marked(np.ndarray):
    """A subclass of NumPy's, as units of measure and others are."""
