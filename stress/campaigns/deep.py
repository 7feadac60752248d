"""Deep models of every make, asked in every way: against a second implementation of the network, and themselves."""

import copy
import pickle
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score
from skorch.callbacks import Callback

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor
from skmae.vit._inference import draw_visible
from stress import _vit_reference as reference
from stress._deep_models import Made, as_form, made_for
from stress._frame import Failure, Trial

torch.set_num_threads(1)  # networks this small have nothing to divide

BUDGET = 10_000
SLICE = 80


def case(trial: Trial) -> None:
    check = trial.choose(*CHECKS)
    made = made_for(trial)
    trial.note(check=check.__name__, parameters=made.parameters, shape=made.X.shape)
    before = world()
    try:
        check(trial, made)
    finally:
        if world() != before:
            raise Failure("the state of a global random generator, or a global setting, is another one afterwards")


def world() -> Any:
    """What belongs to everybody and must be left alone."""
    numbers = [pickle.dumps(np.random.get_state()), torch.get_rng_state().numpy().tobytes(), random.getstate()]
    settings = [torch.get_default_dtype(), torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled()]
    return numbers, settings, np.geterr()


def same(found: Any, expected: Any, tolerance: float = 0.0, what: str = "") -> None:
    """Within a tolerance relative to the largest number expected; bit for bit at 0."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise Failure(f"{what}: shape {found.shape}, not {expected.shape}")
    if tolerance == 0:
        if not np.array_equal(found, expected):
            raise Failure(f"{what}: not the same bits")
        return
    difference = np.abs(found.astype(np.float64) - expected).max(initial=0.0)
    if not difference <= tolerance * max(1.0, np.abs(expected).max(initial=0.0)):
        raise Failure(f"{what}: off by {difference:.3g} of {np.abs(expected).max():.3g}")


def precision_of(dtype: str) -> float:
    return 1e-9 if dtype.endswith("float64") or dtype == "f8" else 2e-4


def some(trial: Trial, made: Made) -> np.ndarray:
    """A few of the samples, in any order."""
    return made.X[trial.rng.permutation(len(made.X))[: trial.rng.integers(1, len(made.X) + 1)]]


def masks(trial: Trial, made: Made, n: int) -> np.ndarray:
    """(n or 1, N) bool, at least one patch visible in each."""
    rows = trial.choose(n, n, 1)
    visible = trial.rng.random((rows, made.n_patches)) < trial.choose(0.1, 0.5, 0.9, 1.0)
    visible[np.arange(rows), trial.rng.integers(made.n_patches, size=rows)] = True
    return visible


def per_feature(made: Made, visible: np.ndarray) -> np.ndarray:
    """(m, N) → (m, *image_shape)."""
    shape = made.X.shape[1:]
    n_values = int(np.prod(shape)) // visible.shape[1]
    return reference.glue(np.repeat(visible[..., np.newaxis], n_values, axis=-1), shape, made.patch, made.channel_axis)


def as_mask(trial: Trial, made: Made, visible: np.ndarray, n: int) -> tuple[Any, str]:
    """The same mask in one of the shapes that are documented, where no other reading of that shape comes first."""
    grid = made.mae.net_.grid
    features = per_feature(made, visible)
    pixels = features if made.channel_axis is None else features.take(0, axis=1 + made.channel_axis)
    m = len(visible)
    forms = {
        "patches": visible,
        "grid of patches": visible.reshape(m, *grid.patches_per_axis),
        "pixels": pixels,
        "features": features.reshape(m, -1),
        "image": features,
    }
    sizes = [form.shape[1:] for form in forms.values()]
    possible = {}
    for name, form in forms.items():
        possible[name] = form
        if m == 1:
            possible[f"{name}, shared"] = form[0]
    leading = [(n,), (1,), ()]
    name = trial.choose(*possible)
    mask = possible[name]
    meant = (leading.index(() if "shared" in name else (m,)), list(forms).index(name.removesuffix(", shared")))
    first = next((i, j) for i in range(3) for j, size in enumerate(sizes) if mask.shape == leading[i] + size)
    if sizes[first[1]] != sizes[meant[1]] or leading[first[0]] != leading[meant[0]]:
        return visible, "patches"
    wrap = trial.choose(lambda a: a, lambda a: a, np.asfortranarray, torch.from_numpy, lambda a: a.tolist())
    return wrap(mask), name


# -- what is asked of a fitted model ----------------------------------------------------------------------------------


def asked_in_any_form(trial: Trial, made: Made) -> None:
    """The same numbers, whatever they come as, give what the reference says."""
    X = some(trial, made)
    entry = trial.choose("transform", "patch_features", "layer_features", "reconstruct", "score")
    came, dtype, form = as_form(trial, X)
    trial.cell(f"ViTMAE.{entry}", dtype, form)
    trial.note(form=form, dtype=dtype)
    tolerance = precision_of(dtype)
    kept = copy.deepcopy(came)
    if entry == "reconstruct":
        visible = masks(trial, made, len(X))
        mask, name = as_mask(trial, made, visible, len(X))
        trial.note(visible=name)
        trial.cell("ViTMAE.reconstruct", dtype, form, f"visible={name}")
        found = made.mae.reconstruct(came, mask)
        is_flat = form in ("flat", "data frame") or (form == "subclass" and came.ndim == 2)
        shape = (len(X), X[0].size) if is_flat else X.shape
        expected = made.reconstruction(X, np.broadcast_to(visible, (len(X), made.n_patches))).reshape(shape)
    elif entry == "score":
        visible = draw_visible(made.mae.net_, len(X), made.mae.net_.seed).numpy()
        found, expected = made.mae.score(came), -made.loss(X, visible)
    else:
        found = getattr(made.mae, entry)(came)
        of_layers = made.layers(X)
        expected = {
            "transform": lambda: made.pooled(of_layers[-1]),
            "patch_features": lambda: of_layers[-1][:, 1:],
            "layer_features": lambda: np.stack([made.pooled(x) for x in of_layers], axis=1),
        }[entry]()
    same(found, expected, tolerance, entry)
    if entry != "score" and np.asarray(found).dtype != (np.float64 if tolerance < 1e-6 else np.asarray(found).dtype):
        raise Failure(f"{entry} gives {found.dtype} for {dtype}")
    if isinstance(came, np.ndarray):
        same(came, kept, 0, "X afterwards")
        if isinstance(found, np.ndarray) and (np.shares_memory(found, came) or not found.flags.writeable):
            raise Failure(f"{entry} gives memory of X, or memory that cannot be written to")


def hidden_pixels_are_never_read(trial: Trial, made: Made) -> None:
    """NaN, infinity and any numbers in pixels that `visible` hides change nothing."""
    dtype = trial.choose("<f4", ">f4", "<f8", ">f8", "<f2")
    X = some(trial, made).astype(dtype)
    visible = masks(trial, made, len(X))
    mask, name = as_mask(trial, made, visible, len(X))
    garbage = trial.choose(np.nan, np.inf, -np.inf, np.finfo(dtype).max, "any")
    entry = trial.choose("reconstruct", "reconstruct", "linearize")
    if entry == "linearize":
        mask = visible = visible[:1]
    seen = np.broadcast_to(per_feature(made, visible), X.shape)
    filler = trial.rng.standard_normal(X.shape) * 1e4 if garbage == "any" else garbage
    damaged = np.where(seen, X, filler).astype(dtype)
    trial.cell(f"ViTMAE.{entry}", dtype, "C", f"hidden pixels {garbage}")
    trial.note(garbage=garbage, visible=name)
    if entry == "reconstruct":
        same(made.mae.reconstruct(damaged, mask), made.mae.reconstruct(X, mask), 0, "reconstruct")
        return
    rows = np.arange(min(3, X[0].size))
    found, expected = (np.asarray(made.mae.linearize(Z, mask).rows(rows)) for Z in (damaged, X))
    same(found, expected, 0, "linearize")


def asked_in_blocks(trial: Trial, made: Made) -> None:
    """Twice the same bits; in other blocks the same up to rounding; of a sample what it is among others."""
    X, dtype, form = as_form(trial, made.X)
    entry = trial.choose("transform", "patch_features", "layer_features", "reconstruct")
    trial.cell(f"ViTMAE.{entry}", dtype, form, "batch_size")
    call = getattr(made.mae, entry)
    whole = call(X)
    same(call(X), whole, 0, "asked again")
    before = made.mae.batch_size
    try:
        made.mae.batch_size = int(trial.rng.integers(1, 20))
        same(call(X), whole, precision_of(dtype), "in other blocks")
        one = int(trial.rng.integers(len(made.X)))
        alone = call(made.X[one : one + 1])
        same(alone.reshape(-1), whole[one].reshape(-1), 2e-4, "alone")
    finally:
        made.mae.batch_size = before


def masks_are_drawn(trial: Trial, made: Made) -> None:
    """As many patches are visible as is documented, the same for the same seed, and `mask_` of them hidden."""
    n, seed = int(trial.rng.integers(0, 300)), int(trial.rng.integers(1000))
    trial.cell("ViTMAE.sample_visible", "", "", f"mask_sampling={made.parameters['mask_sampling']}")
    visible = made.mae.sample_visible(n, seed)
    if visible.shape != (n, made.n_patches) or visible.dtype != bool:
        raise Failure(f"masks of shape {visible.shape} and type {visible.dtype}")
    same(made.mae.sample_visible(n, np.random.RandomState(seed)), visible, 0, "drawn again")
    hidden = made.mae.mask_
    if made.parameters["mask_sampling"] == "exact":
        shown = min(max(round((1 - made.parameters["mask"]) * made.n_patches), 1), made.n_patches)
        same(visible.sum(axis=1), np.full(n, shown), 0, "patches visible")
        same(hidden, 1 - shown / made.n_patches, 1e-12, "mask_")
    elif n:
        spread = np.sqrt(hidden * (1 - hidden) / n)  # of the rate of one patch, whatever goes together
        if abs((1 - visible.mean()) - hidden) > 6 * spread + 1e-12:
            raise Failure(f"{1 - visible.mean():.3f} hidden, while mask_ is {hidden:.3f}")


def derivatives(trial: Trial, made: Made) -> None:
    """`linearize` against differences of `reconstruct`, in float64."""
    X = some(trial, made)[:2].astype(np.float64)
    visible = masks(trial, made, 1)[:1]
    trial.cell("ViTMAE.linearize", "float64", "C")
    linear = made.mae.linearize(X, visible)
    sample = int(trial.rng.integers(len(X)))
    direction = trial.rng.standard_normal(X[0].size) * per_feature(made, visible)[0].ravel()
    outputs = trial.rng.standard_normal(X[0].size)
    step = 1e-5

    def at(t: float) -> np.ndarray:
        moved = X[sample : sample + 1] + t * direction.reshape(X[:1].shape)
        return made.mae.reconstruct(moved, visible).ravel()

    expected = (at(step) - at(-step)) / (2 * step)
    tolerance = 1e-6 * max(1.0, np.abs(expected).max())
    forward = np.asarray(linear.jvp(direction[:, np.newaxis], sample))[:, 0]
    backward = np.asarray(linear.vjp(outputs[:, np.newaxis], sample))[:, 0]
    same(forward, expected, tolerance, "jvp")
    same(backward @ direction, outputs @ expected, tolerance * 100, "vjp")
    rows = trial.rng.permutation(X[0].size)[:3]
    same(np.asarray(linear.rows(rows))[sample] @ direction, expected[rows], tolerance * 100, "rows")


def predictors(trial: Trial, made: Made) -> None:
    """Classifier and regressor against the reference, in any form."""
    X, kind = some(trial, made), trial.choose("classifier", "regressor")
    model = getattr(made, kind)
    weights = reference.weights_of(model.net_.module_)
    came, dtype, form = as_form(trial, X)
    if "Dataset" in form:
        came, dtype, form = X, "float32", "C"
    entry = (
        trial.choose("predict", "score", "predict_proba") if kind == "classifier" else trial.choose("predict", "score")
    )
    trial.cell(f"{type(model).__name__}.{entry}", dtype, form)
    trial.note(form=form, dtype=dtype)
    outputs = predicted(made, weights, X)
    if kind == "regressor":
        values = (outputs * model.target_scale_ + model.target_mean_).reshape(len(X), *made.targets.shape[1:])
        scale = np.abs(values).max() + 1e-300
        if entry == "predict":
            same(model.predict(came) / scale, values / scale, precision_of(dtype), "predict")
        elif len(X) > 1:
            y = values + trial.rng.standard_normal(values.shape) * model.target_scale_.reshape(made.targets.shape[1:])
            expected = r2_score(y.reshape(len(y), -1), values.reshape(len(y), -1))
            same(model.score(came, y), expected, 1e-2, "score")
        return
    expected = softmax(outputs, axis=1)
    if entry == "predict_proba":
        found = model.predict_proba(came)
        same(found, expected, precision_of(dtype), "predict_proba")
        same(found.sum(axis=1), np.ones(len(X)), 1e-12, "rows of predict_proba")
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - best[:, -2] > 1e-3
    names = np.unique(made.labels)
    answers = model.predict(came)
    if not (answers[clear] == names[expected.argmax(axis=1)][clear]).all() or answers.dtype != names.dtype:
        raise Failure(f"predict: {answers}, not {names[expected.argmax(axis=1)]}")
    if entry == "score":
        y, w = trial.rng.choice(names, len(X)), trial.rng.random(len(X)) + 0.1
        same(model.score(came, y, w), np.average(answers == y, weights=w), 1e-12, "score")


def predicted(made: Made, weights: reference.Weights, X: np.ndarray) -> np.ndarray:
    """(n, n_outputs) of a predictor on the encoder of a model, by the reference."""
    own = {name.removeprefix("network."): value for name, value in weights.items() if name.startswith("network.")}
    tokens = made.standardised(X)
    x = reference.layers(tokens, np.arange(tokens.shape[1]), own, made.heads[0], 1e-6)[-1]
    return reference.linear((made.pooled(x) - weights["head.mean"]) / weights["head.scale"], weights, "head.linear")


def written_and_read(trial: Trial, made: Made) -> None:
    """Pickles, copies and files of weights give the same bits."""
    way = trial.choose("pickle", "joblib", "copy", "deepcopy", "mae", "transformers", "state dict", "torch file")
    model = trial.choose(made.mae, made.mae, made.classifier, made.regressor)
    if way in ("mae", "transformers", "state dict", "torch file"):
        model = made.mae
    trial.cell(f"{type(model).__name__}", "", "", f"through {way}")
    trial.note(way=way)
    with tempfile.TemporaryDirectory() as folder:
        other = through(way, model, made, Path(folder) / "file")
    use = "transform" if model is made.mae else "predict"
    same(getattr(other, use)(made.X), getattr(model, use)(made.X), 0, way)
    if model is made.mae:
        visible = made.mae.sample_visible(len(made.X), 0)
        visible[~visible.any(axis=1), 0] = True
        same(other.reconstruct(made.X, visible), made.mae.reconstruct(made.X, visible), 0, way)


def through(way: str, model: Any, made: Made, path: Path) -> Any:
    if way == "pickle":
        return pickle.loads(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
    if way == "joblib":
        joblib.dump(model, path, compress=3)
        return joblib.load(path)
    if way in ("copy", "deepcopy"):
        return getattr(copy, way)(model)
    fresh = made.fresh(image_shape=made.X.shape[1:])
    if way == "state dict":
        known = {"mean": made.mae.mean_, "scale": made.mae.scale_}
        return fresh.load_weights(made.mae.net_.module_.state_dict(), **known)
    if way == "torch file":
        torch.save({"model": made.mae.net_.module_.state_dict()}, path)
        return fresh.load_weights(path, mean=made.mae.mean_, scale=made.mae.scale_)
    made.mae.save_weights(path, layout=way)
    return fresh.load_weights(path)


# -- how models are trained -------------------------------------------------------------------------------------------


def bits(model: Any) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.net_.module_.state_dict().items()}


def same_weights(found: Any, expected: Any, tolerance: float = 0.0, what: str = "") -> None:
    mine, theirs = ({name: value.ravel() for name, value in bits(model).items()} for model in (found, expected))
    if mine.keys() != theirs.keys():
        raise Failure(f"{what}: other weights")
    for name, value in mine.items():
        same(value, theirs[name], tolerance, f"{what}, {name}")


def trained_again(trial: Trial, made: Made) -> None:
    """The same parameters and data give the same bits: anew, cloned, in steps, from a checkpoint, of any form."""
    way = trial.choose(
        "anew", "clone", "partial_fit", "checkpoint", "interrupted", "form", "torch's default", "grad off"
    )
    trial.cell("ViTMAE.fit", "", "", way)
    trial.note(way=way)
    if way == "anew":
        same_weights(made.fresh().fit(made.X), made.mae, 0, way)
    elif way == "clone":
        same_weights(clone(made.mae).fit(made.X), made.mae, 0, way)
    elif way == "partial_fit":
        mae = made.fresh()
        for _ in range(made.parameters["max_epochs"]):
            mae.partial_fit(made.X)
        same_weights(mae, made.mae, 0, way)
    elif way == "form":
        X, dtype, form = as_form(trial, made.X)
        trial.cell("ViTMAE.fit", dtype, form)
        trial.note(form=form, dtype=dtype)
        same_weights(made.fresh(image_shape=made.X.shape[1:]).fit(X), made.mae, 3e-3, form)
    elif way == "torch's default":
        torch.set_default_dtype(torch.float64)
        try:
            same_weights(made.fresh().fit(made.X), made.mae, 0, way)
        finally:
            torch.set_default_dtype(torch.float32)
    elif way == "grad off":
        with torch.no_grad():
            same_weights(made.fresh().fit(made.X), made.mae, 0, way)
    else:
        with tempfile.TemporaryDirectory() as folder:
            from_checkpoint(trial, made, folder, way == "interrupted")


class StopAt(Callback):
    """Raises at a step of the training."""

    def __init__(self, step: int, error: type):
        self.step = step
        self.error = error

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if training:
            self.step -= 1
            if self.step < 0:
                raise self.error("stopped")


def from_checkpoint(trial: Trial, made: Made, folder: str, interrupted: bool) -> None:
    """Stopped at any step and begun again, as often as may be."""
    steps = made.parameters["max_epochs"] * -(-len(made.X) // made.parameters["batch_size"])
    for _ in range(trial.rng.integers(1, 4) if interrupted else 0):
        stop = StopAt(int(trial.rng.integers(steps)), trial.choose(KeyboardInterrupt, OSError, SystemExit))
        mae = made.fresh(checkpoint=folder)
        fit_until_stopped(mae, made.X, stop)
    mae = made.fresh(checkpoint=folder).fit(made.X)
    same_weights(mae, made.mae, 0, "from a checkpoint")
    if len(mae.history_) != made.parameters["max_epochs"]:
        raise Failure(f"the history has {len(mae.history_)} epochs of {made.parameters['max_epochs']}")
    same_weights(made.fresh(checkpoint=folder).fit(made.X), made.mae, 0, "a finished one")
    strangers = [path.name for path in Path(folder).rglob("*") if path.is_file() and path.name != "last.pt"]
    if strangers:
        raise Failure(f"left behind: {strangers}")


def fit_until_stopped(mae: ViTMAE, X: np.ndarray, stop: StopAt) -> None:
    """As a signal would: the callback is not one of the estimator's, whose parameters stay the same."""
    original = stop_in_batches.on_batch_end
    stop_in_batches.on_batch_end = lambda self, net, *args, **kwargs: stop.on_batch_end(
        net, kwargs.get("training", False)
    )
    try:
        mae.fit(X)
    except (KeyboardInterrupt, OSError, SystemExit):
        pass
    finally:
        stop_in_batches.on_batch_end = original


from skmae.vit._net import SeededNet as stop_in_batches  # noqa: N813


def scales_and_offsets(trial: Trial, made: Made) -> None:
    """Pixels in another unit or with an offset: the same training, the same features, reconstructions in that unit."""
    X = made.X.astype(np.float64)
    power = int(trial.rng.integers(-30, 31))
    scale, offset = trial.choose((2.0**power, 0.0), (1.0, 2.0 ** trial.rng.integers(3, 30)), (10.0**power, 10.0**power))
    dtype = trial.choose("float64", "float64", "float32", "int64")
    if dtype == "int64":
        scale, offset = 1, int(offset) % 2**40
    changed = (X * scale + offset).astype(dtype)
    if dtype == "float32":  # only what it holds
        X = (changed.astype(np.float64) - offset) / scale
        if np.abs(X - made.X).max() > 1e-3:
            return
    trial.cell("ViTMAE.fit", dtype, "C", "scale, offset")
    trial.note(scale=scale, offset=offset, dtype=dtype)
    mae = made.fresh(precision="float32").fit(changed)
    plain = made.fresh(precision="float32").fit(made.X.astype(np.float64))
    same((mae.mean_.astype(np.longdouble) - offset) / scale, plain.mean_, 1e-4, "mean_")
    same(mae.scale_.astype(np.longdouble) / scale, plain.scale_, 1e-4, "scale_")
    same(mae.transform(changed), plain.transform(made.X), 5e-3, "transform")


def extreme_scales(trial: Trial, made: Made) -> None:
    """Pixels at the ends of what a type holds: the right features, or a refusal."""
    dtype = trial.choose("float64", "float32", "longdouble", "float16")
    ends = np.finfo(dtype)
    low, high = int(np.log10(ends.tiny)), int(np.log10(ends.max))
    power = int(trial.rng.integers(low, high))
    changed = (made.X.astype(dtype) / 100) * np.asarray(10, dtype) ** power
    trial.cell("ViTMAE.fit", dtype, "C", "extreme scale")
    trial.note(power=power, dtype=dtype)
    try:
        mae = made.fresh(precision="float32").fit(changed)
    except ValueError as error:
        return refused(error, "X")
    features = mae.transform(changed)
    plain = made.fresh(precision="float32").fit(made.X.astype(np.float64))
    if dtype != "float16" or power > -2:  # fewer digits there
        same(features, plain.transform(made.X), 1e-2, "transform")
    if not np.isfinite(mae.reconstruct(changed)).all():
        raise Failure("reconstruct is not finite")
    return None


def channels_elsewhere(trial: Trial, made: Made) -> None:
    """Channels moved to another axis, of the same pixels: the same weights and features."""
    if made.channel_axis is None:
        return
    axis = int(trial.rng.integers(made.X.ndim - 1))
    moved = np.moveaxis(made.X, 1 + made.channel_axis, 1 + axis)
    trial.cell("ViTMAE.fit", "float32", "C", "channel_axis")
    shape = None if made.parameters["image_shape"] is None else moved.shape[1:]
    mae = made.fresh(channel_axis=trial.choose(axis, axis - moved.ndim + 1), image_shape=shape, augment=None).fit(moved)
    plain = made.fresh(augment=None).fit(made.X)
    same_weights(mae, plain, 1e-3, "channel_axis")
    same(mae.transform(moved), plain.transform(made.X), 1e-3, "channel_axis")


def fine_tuned_again(trial: Trial, made: Made) -> None:
    """Predictors: the same bits again, from a checkpoint, inside a FrozenEstimator, and the encoder left alone."""
    kind = trial.choose(ViTMAEClassifier, ViTMAERegressor)
    expected, y = (made.classifier, made.labels) if kind is ViTMAEClassifier else (made.regressor, made.targets)
    way = trial.choose("anew", "frozen", "checkpoint", "form")
    trial.cell(f"{kind.__name__}.fit", "", "", way)
    trial.note(way=way)
    before = bits(made.mae)
    if way == "checkpoint":
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(2):
                same_weights(made.fresh_predictor(kind, checkpoint=folder).fit(made.X, y), expected, 0, way)
    elif way == "frozen":
        encoder = FrozenEstimator(made.mae)
        same_weights(clone(made.fresh_predictor(kind, encoder=encoder)).fit(made.X, y), expected, 0, way)
    elif way == "form":
        X, dtype, form = as_form(trial, made.X)
        if "Dataset" in form:
            return
        trial.cell(f"{kind.__name__}.fit", dtype, form)
        y = trial.choose(y, y.tolist(), np.asfortranarray(y), pd.Series(y) if y.ndim == 1 else y)
        same_weights(made.fresh_predictor(kind).fit(X, y), expected, 5e-3, form)
    else:
        same_weights(made.fresh_predictor(kind).fit(made.X, y), expected, 0, way)
    for name, value in bits(made.mae).items():
        same(value, before[name], 0, f"the encoder afterwards, {name}")


def targets_in_other_units(trial: Trial, made: Made) -> None:
    """y times a number, plus a number: predictions likewise."""
    scale, offset = 10.0 ** trial.rng.integers(-12, 13), float(trial.choose(0.0, 1.7e9, -3e5))
    offset *= scale
    trial.cell("ViTMAERegressor.fit", trial.choose("uint8", "float32"), "C", "y in other units")
    trial.note(scale=scale, offset=offset)
    X = made.X.astype(trial.cells[-1][1])
    y = np.random.default_rng(made.seed).standard_normal(len(X))
    plain = made.fresh_predictor(ViTMAERegressor).fit(X, y)
    other = made.fresh_predictor(ViTMAERegressor).fit(X, y * scale + offset)
    moved = (other.predict(X).astype(np.longdouble) - offset) / scale
    rounding = 1e-15 * abs(offset / scale)
    same(moved, plain.predict(X), 1e-3 + rounding, "predict")


def names_and_frames(trial: Trial, made: Made) -> None:
    """Names of features go out, names of columns are kept, and others are refused."""
    rows = made.X.reshape(len(made.X), -1)
    frame = pd.DataFrame(rows, columns=[f"pixel {i}" for i in range(rows.shape[1])])
    trial.cell("ViTMAE.transform", "float32", "data frame", "set_output")
    mae = made.fresh(image_shape=made.X.shape[1:]).fit(frame)
    out = copy.copy(mae).set_output(transform="pandas").transform(frame)
    names = [f"vitmae{i}" for i in range(made.parameters["embed_dim"])]
    if list(out.columns) != names or list(mae.get_feature_names_out()) != names:
        raise Failure(f"names {list(out.columns)}")
    same(out.to_numpy(), mae.transform(frame), 0, "set_output")
    try:
        mae.transform(frame[frame.columns[::-1]])
    except ValueError as error:
        refused(error, "feature names")
    else:
        if rows.shape[1] > 1:
            raise Failure("columns in another order were taken")


def refused(error: Exception, *names: str) -> None:
    """That an error names what is wrong."""
    if not any(name in str(error) for name in names):
        raise Failure(f"an error that names none of {names}: {type(error).__name__}: {error}") from error


CHECKS: list[Callable[[Trial, Made], None]] = [
    *[asked_in_any_form] * 12,
    *[hidden_pixels_are_never_read] * 4,
    *[asked_in_blocks] * 3,
    masks_are_drawn,
    *[derivatives] * 2,
    *[predictors] * 4,
    *[written_and_read] * 3,
    *[trained_again] * 4,
    *[scales_and_offsets] * 2,
    extreme_scales,
    channels_elsewhere,
    *[fine_tuned_again] * 2,
    targets_in_other_units,
    names_and_frames,
]
