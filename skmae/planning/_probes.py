"""How good the features of every layer are, along a training."""

import re
from collections.abc import Sequence
from copy import copy
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skmae._compat import import_optional
from skmae._typing import AnyPath, Array
from skmae.planning._targets import are_classes, read_targets

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor, nn

    from skmae.vit import DeepAutoencoder


def probe_layers(
    estimator: "DeepAutoencoder",
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    weights: AnyPath | Sequence[AnyPath] | None = None,
    probe: Any = None,
) -> "DataFrame":
    """Score a probe on the features of every layer, at every checkpoint of a training.

    The samples are read, and passed through each checkpoint, once.

    Parameters
    ----------
    estimator : fitted ViTMAE or other DeepAutoencoder
        It is not changed. ``pool`` says how features of patches become those of a sample.
    X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        The probe is fitted on these,
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        and their targets.
    X_test, y_test : array-like
        It is scored on these.
    weights : path, list of paths or None, default=None
        Files that `ViTMAE.load_weights` reads; of a folder, the series that ``checkpoint_every`` leaves in it or in
        folders within it. None takes the estimator's own weights.
    probe : estimator or None, default=None
        A classifier or regressor. None takes, on standardised features, a logistic regression, or a ridge regression
        if y holds numbers that are not whole (whole ones are read as classes: pass a regressor if they are not).

    Returns
    -------
    pandas.DataFrame
        Columns ``weights`` (name of the file), ``epoch`` (where the name tells it), ``layer``, ``score``. Layer 0 is
        what the first block gets; the last, after the norm, is what `transform` gives. A network that does not name its
        blocks has this layer only.

    Raises
    ------
    TypeError
        If the estimator is neither a ViTMAE nor another `skmae.vit.DeepAutoencoder`.
    FileNotFoundError
        If there is no such file, or the folder has no series.
    ValueError
        If samples and targets differ in number, or X does not fit the estimator.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import ViTMAE, probe_layers
    >>> X, y = load_digits().images, load_digits().target
    >>> mae = ViTMAE(patch=2, embed_dim=16, encoder_layers=2, encoder_heads=2, decoder_layers=1, decoder_heads=2,
    ...              max_epochs=2, learning_rate=4e-3, random_state=0).fit(X)
    >>> table = probe_layers(mae, X[:1000], y[:1000], X[1000:], y[1000:])
    >>> list(table.columns), list(table["layer"])
    (['weights', 'epoch', 'layer', 'score'], [0, 1, 2])
    """
    pandas = import_optional("pandas", extra="plot", purpose="probe_layers")
    import_optional("torch", extra="deep", purpose="probe_layers")
    from skmae.vit import DeepAutoencoder

    if not isinstance(estimator, DeepAutoencoder):
        raise TypeError(f"probe_layers takes a ViTMAE or another DeepAutoencoder; got {type(estimator).__name__}.")
    check_is_fitted(estimator)
    y, y_test = read_targets(y), read_targets(y_test, "y_test")
    check_consistent_length(X, y)
    check_consistent_length(X_test, y_test)
    files = _files(weights)
    modules = [_with_weights(estimator, path) for path in files]
    probe = _default_probe(y) if probe is None else probe
    train, test = (_features(estimator, modules, samples) for samples in (X, X_test))  # (n, C, layers, D)
    rows = []
    for i, path in enumerate(files):
        for layer in range(train.shape[2]):
            fitted = clone(probe).fit(train[:, i, layer], y)
            row = {"weights": None if path is None else path.name, "epoch": _epoch(path, estimator), "layer": layer}
            rows.append({**row, "score": fitted.score(test[:, i, layer], y_test)})
    return pandas.DataFrame(rows)


def _files(weights: AnyPath | Sequence[AnyPath] | None) -> Sequence[Path | None]:
    if weights is None:
        return [None]
    if not isinstance(weights, str | PathLike):
        files = [Path(path) for path in weights]
        if not files:
            raise ValueError("weights is empty. Pass files, a folder, or None for the estimator's own.")
        return files
    folder = Path(weights)
    if not folder.is_dir():
        return [folder]
    series = sorted(folder.rglob("epoch-*.pt"))
    if not series:
        raise FileNotFoundError(
            f"weights={str(weights)!r} has no files epoch-*.pt, in it or in folders within it. They are written by "
            f"ViTMAE(checkpoint={str(weights)!r}, checkpoint_every=10)."
        )
    return series


def _epoch(path: Path | None, estimator: "DeepAutoencoder") -> int | None:
    if path is None:
        return len(estimator.history_)
    match = re.fullmatch(r"epoch-(\d+)", path.stem)
    return int(match[1]) if match else None


def _with_weights(estimator: "DeepAutoencoder", path: Path | None) -> "nn.Module":
    """The network of the estimator, with the weights of a file, or with its own."""
    if path is None:
        return estimator.net_.plain_module
    other = copy(estimator)
    other.image_shape, other.channel_axis = estimator.image_shape_, estimator.channel_axis_
    other.random_state = 0  # else a RandomState that both estimators share would be drawn from
    return other.load_weights(path).net_.plain_module.to(estimator.net_.where)


def _features(estimator: "DeepAutoencoder", modules: list[Any], X: ArrayLike) -> Array:
    """(n, checkpoints, layers, D)."""
    import torch

    from skmae.vit._inference import over_batches
    from skmae.vit._network import layers_of

    def of_all(_: Any, images: "Tensor", rows: slice) -> "Tensor":  # noqa: ARG001
        net = estimator.net_
        pixels = net.plain_module.standardize.undo(images)
        layers = [layers_of(m, m.standardize(pixels), estimator.pool, net.grid.n_patches) for m in modules]
        return torch.stack(layers, dim=1)

    return over_batches(estimator.net_, estimator._as_fitted_samples(X), estimator.batch_size, of_all)


def _default_probe(y: Array) -> Any:
    model = LogisticRegression(max_iter=1000) if are_classes(y) else RidgeCV(np.logspace(-2, 4, 13))
    return make_pipeline(StandardScaler(), model)
