"""Every public entry point of the linear half, with arguments that are right: one or two of them are then garbled."""

import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skmae import (
    JacobianBasis,
    LinearAE,
    LinearDAE,
    LinearMAE,
    LinearMAESearchCV,
    LocalTokens,
    Moments,
    PatchImputer,
    PatchOutlierDetector,
    SpatialEntropy,
    datasets,
    inspection,
    masking,
)
from skmae.linear import Corruption
from skmae.planning import HiddenPixelsScorer
from stress._frame import Trial

# What a text may call a parameter beside its name. scikit-learn's own texts about X are among them.
_ALIASES = {
    "X": [
        r"\bX\b",
        "Expected 2D array",
        r"Found array with",
        "Complex data not supported",
        "[Ss]parse data",
        "has shape",
        "missing in every",
        "image_shape",
    ],
    "sample_weight": ["sample_weight", "weights", "Sample weights", "Complex data not supported"],
    "random_state": ["random_state", "[Ss]eed"],
    "batches": ["batches", r"^Batch \d+: .*(\bX\b|Expected 2D array|Found array)", "batch"],
    "moments": ["moments", "Moments", "n_samples=0"],
    "other": ["moments", "Moments", "unsupported operand"],
    "paths": ["path", "file", "/nowhere"],
    "estimator": ["estimator", "not an instance"],  # scikit-learn's check_is_fitted
    "search": ["estimator instance"],
    "mask_sampling": [r"\(\) takes"],  # a function of the user's with other arguments
    "y": ["ScalarType", "Input should have", "Complex data not supported", "[Ss]parse data"],
    "size": [r"\bsize\b", "integer"],
}


@dataclass
class Entry:
    """A function, its arguments, and which of them to garble.

    Attributes
    ----------
    name : str
    call : callable
    make : callable
        Returns the right arguments, anew each time.
    names : tuple of str
        Arguments to garble.
    owner : object or None
        An estimator that a refusal must leave as it was.
    also : dict
        More patterns by which a text may name a parameter.
    weight : float
        How often it is drawn: less for what takes longer.
    peer : callable or None
        Of scikit-learn, which reads the same arguments: what it raises itself may be raised as it is.
    """

    name: str
    call: Callable[..., Any]
    make: Callable[[], dict[str, Any]]
    names: tuple[str, ...]
    owner: Any = None
    also: dict[str, list[str]] = field(default_factory=dict)
    weight: float = 1.0
    peer: Callable[..., Any] | None = None

    def arguments(self) -> dict[str, Any]:
        return self.make()

    def state(self) -> object:
        return None if self.owner is None else digest(self.owner)

    def aliases(self, name: str) -> list[str]:
        return [rf"\b{name}\b", *_ALIASES.get(name, []), *self.also.get(name, [])]


def digest(value: Any) -> object:
    """What two objects that hold the same numbers have in common."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return tuple((str(key), digest(item)) for key, item in sorted(value.items(), key=lambda pair: str(pair[0])))
    if isinstance(value, list | tuple):
        return tuple(digest(item) for item in value)
    if is_dataclass(value):  # what it has cached does not count
        return type(value).__name__, digest({f.name: getattr(value, f.name) for f in fields(value) if f.name != "lock"})
    if hasattr(value, "__dict__") and not callable(value):
        return type(value).__name__, digest({k: v for k, v in vars(value).items() if k not in ("_lock", "lock")})
    return repr(value)


def draw_entry(trial: Trial) -> Entry:
    entries = _entries()
    weights = np.array([entry.weight * len(entry.names) for entry in entries])
    return entries[int(trial.rng.choice(len(entries), p=weights / weights.sum()))]


def _images(n: int = 12) -> np.ndarray:
    return np.random.default_rng(0).random((n, 4, 4))


def _parameters(kind: type, names: tuple[str, ...], **given: Any) -> Entry:
    """Parameters of an estimator, which are looked at when it is fitted."""

    def call(**parameters: Any) -> Any:
        return kind(**{**given, **parameters}).fit(_images())

    return Entry(f"{kind.__name__}()", call, lambda: dict(given), names)


def _methods(model: Any) -> list[Entry]:
    """Methods of a fitted linear model."""
    X, flat = _images(), _images().reshape(12, 16)
    visible = np.ones((12, 4, 4), bool)
    name, k = type(model).__name__, model.n_components_
    make = {
        "transform": {"X": X, "visible": visible},
        "inverse_transform": {"X": np.ones((12, k))},
        "reconstruct": {"X": X, "visible": visible},
        "fill": {"X": X, "visible": visible, "method": "linear"},
        "score": {"X": X, "sample_weight": np.ones(12)},
        "linearize": {"X": X, "visible": visible[:1]},
        "sample_visible": {"n_samples": 3, "random_state": 0},
    }
    found = [
        Entry(f"{name}.{method}", getattr(model, method), lambda a=arguments: dict(a), tuple(arguments), owner=model)
        for method, arguments in make.items()
    ]
    moments = Moments.from_data(flat)
    fits = {
        "fit": {"X": X, "sample_weight": np.ones(12)},
        "fit_transform": {"X": X, "sample_weight": np.ones(12)},
        "fit_moments": {"moments": moments},
    }
    fitted, streamed = type(model)(2).fit(X), type(model)(2).partial_fit(X)
    fits["partial_fit"] = {"X": X, "sample_weight": np.ones(12)}
    for method, arguments in fits.items():
        call = _on_a_copy(streamed if method == "partial_fit" else fitted, method)
        found.append(Entry(f"{name}.{method}", call, lambda a=arguments: dict(a), tuple(arguments)))
    return found


def _on_a_copy(model: Any, method: str) -> Callable[..., Any]:
    """A method that changes what it is called on: on a copy each time, which must be as it was after a refusal."""
    raw, before = pickle.dumps(model), digest(model)

    def call(**arguments: Any) -> Any:
        copy = pickle.loads(raw)
        try:
            return getattr(copy, method)(**arguments)
        except Exception:
            if digest(copy) != before:
                raise AssertionError(f"{method} was refused, but changed the estimator") from None
            raise

    return call


@cache
def _entries() -> list[Entry]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [*_linear(), *_moments(), *_samplers(), *_functions(), *_displays(), *_datasets(), *_searches()]


def _linear() -> list[Entry]:
    common = ("n_components", "image_shape", "channel_axis", "whiten", "solver")
    masked = ("mask", "patch", "mask_sampling", "loss")
    tokens = LocalTokens(3, 2, random_state=0).fit(_images())
    return [
        _parameters(LinearMAE, (*common, *masked), n_components=2),
        _parameters(LinearDAE, (*common, "noise_std"), n_components=2),
        _parameters(LinearAE, common, n_components=2),
        Entry(
            "Corruption",
            lambda **k: Corruption(**k).second(np.eye(4)),
            lambda: {"across": 1.0, "within": 0.5, "noise": 0.0, "groups": np.array([0, 0, 1, 1])},
            ("across", "within", "noise", "groups"),
        ),
        *_methods(LinearMAE(2, patch=2).fit(_images())),
        *_methods(LinearDAE(2).fit(_images())),
        *_methods(LinearAE(2).fit(_images())),
        _parameters(PatchImputer, ("estimator", "method")),
        _parameters(
            PatchOutlierDetector,
            ("patch", "stride", "contamination", "image_shape", "channel_axis", "regularization"),
            regularization=0.1,
        ),
        _parameters(
            LocalTokens,
            ("n_filters", "size", "filters", "pool", "stride", "image_shape", "channel_axis", "random_state"),
            n_filters=3,
        ),
        *(
            Entry(f"LocalTokens.{method}", getattr(tokens, method), lambda: {"X": _images()}, ("X",), owner=tokens)
            for method in ("transform", "linearize")
        ),
        Entry("PatchImputer.transform", PatchImputer().fit(_images()).transform, lambda: {"X": _images()}, ("X",)),
        Entry(
            "HiddenPixelsScorer",
            lambda **k: HiddenPixelsScorer(**k)(LinearMAE(2, patch=2).fit(_images()), _images()),
            lambda: {"patch": 2},
            ("mask", "patch", "mask_sampling", "image_shape", "channel_axis", "random_state"),
        ),
    ]


def _moments() -> list[Entry]:
    X = _images().reshape(12, 16)
    one = Moments.from_data(X)

    def update(**arguments: Any) -> None:
        moments = Moments.from_data(X)
        before = (moments.n, moments.n_rows, moments.second.tobytes())
        try:
            moments.update(**arguments)
        except Exception:
            if (moments.n, moments.n_rows, moments.second.tobytes()) != before:
                raise AssertionError("update was refused, but changed the moments") from None
            raise

    return [
        Entry(
            "Moments.from_data",
            Moments.from_data,
            lambda: {"X": X, "sample_weight": np.ones(12), "batch_size": 5, "dtype": np.float64},
            ("X", "sample_weight", "batch_size", "dtype"),
        ),
        Entry("Moments.update", update, lambda: {"X": X, "sample_weight": np.ones(12)}, ("X", "sample_weight")),
        Entry("Moments.from_batches", Moments.from_batches, lambda: {"batches": [X]}, ("batches",)),
        Entry(
            "Moments.from_files",
            Moments.from_files,
            lambda: {"paths": _file(), "batch_size": 4},
            ("paths", "batch_size"),
        ),
        Entry("Moments", Moments, lambda: {"n_features": 3}, ("n_features",)),
        Entry("Moments +", lambda other: _operated(one.__add__(other)), lambda: {"other": one}, ("other",)),
        Entry("Moments -", lambda other: _operated(one.__sub__(other)), lambda: {"other": one}, ("other",)),
    ]


def _operated(result: Any) -> Any:
    """What an operator gives, had the other side none of its own."""
    if result is NotImplemented:
        raise TypeError("unsupported operand type for Moments")
    return result


@cache
def _file() -> Path:
    path = Path(tempfile.mkdtemp()) / "some.npy"
    np.save(path, _images())
    return path


def _samplers() -> list[Entry]:
    def use(sampler: Any) -> Any:
        return LinearMAE(2, patch=1, mask_sampling=sampler).fit(_images())

    half = _half
    return [
        Entry("Blocks", lambda size: use(masking.Blocks(size)), lambda: {"size": 2}, ("size",)),
        Entry(
            "Stripes",
            lambda **k: use(masking.Stripes(**k)),
            lambda: {"axis": 0, "sampling": "exact"},
            ("axis", "sampling"),
        ),
        Entry(
            "Tubes", lambda **k: use(masking.Tubes(**k)), lambda: {"axis": 0, "sampling": "exact"}, ("axis", "sampling")
        ),
        Entry(
            "Sampled",
            lambda **k: use(masking.Sampled(**k)),
            lambda: {"function": half, "n_draws": 30, "random_state": 0},
            ("function", "n_draws", "random_state"),
            also={"function": ["mask_sampling", r"\(\) takes"]},
        ),
        Entry(
            "a function as mask_sampling",
            lambda returned: use(masking.Sampled(lambda *_: returned, n_draws=12)),
            lambda: {"returned": np.ones((12, 16), bool)},
            ("returned",),
            also={"returned": ["mask_sampling"]},
        ),
    ]


def _half(n: int, grid: Any, mask: float, random_state: Any) -> np.ndarray:
    return random_state.random_sample((n, grid.n_patches)) < 0.5


def _functions() -> list[Entry]:
    X = _images()
    mae = LinearMAE(2, patch=2).fit(X)
    maps = np.random.default_rng(0).random((3, 16 * 16))
    J = np.random.default_rng(0).random((3, 16, 16))
    on_maps = {"maps": maps, "image_shape": (4, 4), "outputs": "all", "channel_axis": "auto"}

    def basis(method: str, X: Any, n_components: Any = 1, **parameters: Any) -> Any:
        found = JacobianBasis(mae, **parameters).fit(_images())
        return found.basis(X, n_components) if method == "basis" else getattr(found, method)(X)

    parameters = {"outputs": "center", "visible": None, "n_masks": 1, "batch_size": None, "random_state": 0}
    spectrum = {"image_shape": (4, 4), "patch": 2, "mask": 0.5, "channel_axis": "auto", "mask_sampling": "bernoulli"}
    spectrum |= {"n_samples": None, "random_state": 0}
    i = inspection
    return [
        Entry(
            "spatial_autocorrelation",
            i.spatial_autocorrelation,
            lambda: {"X": X, "image_shape": None, "channel_axis": "auto", "visible": None, "bin_width": 1.0},
            ("X", "image_shape", "channel_axis", "visible", "bin_width"),
        ),
        Entry(
            "influence_by_distance",
            i.influence_by_distance,
            lambda: {**on_maps, "bin_width": 1.0},
            (*on_maps, "bin_width"),
        ),
        Entry("influence_radius", i.influence_radius, lambda: dict(on_maps), tuple(on_maps)),
        Entry("own_patch_share", i.own_patch_share, lambda: {**on_maps, "patch": 2}, (*on_maps, "patch")),
        Entry("basis_similarity", i.basis_similarity, lambda: {"jacobian": J}, ("jacobian",)),
        Entry(
            "linear_cka",
            i.linear_cka,
            lambda: {"X": X.reshape(12, 16), "Y": X.reshape(12, 16)[:, :5], "unbiased": True, "batch_size": None},
            ("X", "Y", "batch_size"),
            also={"Y": ["Expected 2D array", "Found array", "Complex data", "[Ss]parse data"]},
        ),
        Entry(
            "linearized_loss",
            i.linearized_loss,
            lambda: {"estimator": mae, "X": X, "mask": 0.5, "patch": 2},
            ("estimator", "X", "mask", "patch"),
        ),
        Entry("mask_power_spectrum", _soon(i.mask_power_spectrum), lambda: dict(spectrum), tuple(spectrum)),
        Entry(
            "SpatialEntropy",
            lambda X, **k: SpatialEntropy(**k).fit_transform(X),
            lambda: {"X": maps, "image_shape": (4, 4), "channel_axis": "auto", "power": 1},
            ("X", "image_shape", "channel_axis", "power"),
        ),
        *(
            Entry(
                f"JacobianBasis.{m}", lambda m=m, **k: basis(m, **k), lambda: {"X": X, **parameters}, ("X", *parameters)
            )
            for m in ("transform", "jacobian")
        ),
        Entry(
            "JacobianBasis.basis",
            lambda **k: basis("basis", **k),
            lambda: {"X": X, "n_components": 1, **parameters},
            ("X", "n_components", *parameters),
        ),
        Entry(
            "JacobianBasis()",
            lambda estimator: JacobianBasis(estimator).fit(X).transform(X),
            lambda: {"estimator": mae},
            ("estimator",),
            also={"estimator": ["[Nn]ot fitted", "estimator"]},
        ),
    ]


def _displays() -> list[Entry]:
    import matplotlib.pyplot as plt

    X = _images()
    mae = LinearMAE(2, patch=2).fit(X)
    i = inspection

    def drawn(make: Callable[..., Any]) -> Callable[..., Any]:
        def call(**arguments: Any) -> None:
            try:
                display = make(**arguments)
                if not hasattr(display, "figure_"):
                    display.plot()
            finally:
                plt.close("all")

        return call

    def entry(name: str, make: Callable[..., Any], names: tuple[str, ...] | None = None, **arguments: Any) -> Entry:
        also = {"X": ["^images holds"]}  # what X is in the picture
        return Entry(name, drawn(make), lambda: dict(arguments), names or tuple(arguments), weight=0.06, also=also)

    maps = np.random.default_rng(0).random((3, 16 * 16))
    table = i.spatial_autocorrelation(X)
    influence = i.influence_by_distance(maps, (4, 4))
    shown = {"image_shape": (4, 4), "channel_axis": None}
    return [
        entry("LossDisplay", i.LossDisplay, train_loss=[2.0, 1.0], valid_loss=[2.0, 1.5]),
        entry("AutocorrelationDisplay", i.AutocorrelationDisplay, table=table),
        entry(
            "AutocorrelationDisplay.from_samples", i.AutocorrelationDisplay.from_samples, X=X, image_shape=None, ax=None
        ),
        entry("CKADisplay", i.CKADisplay, similarities=np.eye(2), row_names=["a", "b"], column_names=["c", "d"]),
        entry("CKADisplay.from_features", i.CKADisplay.from_features, features={"a": X.reshape(12, 16)}, others=None),
        entry("ComponentsDisplay", i.ComponentsDisplay, components=np.ones((3, 16)), **shown),
        entry(
            "ComponentsDisplay.from_estimator",
            i.ComponentsDisplay.from_estimator,
            estimator=mae,
            which="decoder",
            n_components=2,
        ),
        entry("InfluenceDisplay", i.InfluenceDisplay, table=influence),
        entry("InfluenceDisplay.from_maps", i.InfluenceDisplay.from_maps, maps=maps, image_shape=(4, 4), outputs="all"),
        entry(
            "InfluenceDisplay.from_estimator",
            i.InfluenceDisplay.from_estimator,
            estimator=mae,
            X=X,
            outputs="all",
            n_masks=1,
        ),
        entry(
            "JacobianDisplay",
            i.JacobianDisplay,
            images=X[:2],
            maps=np.ones((2, 1, 4, 4)),
            outputs=np.array([5]),
            **shown,
        ),
        entry(
            "JacobianDisplay.from_estimator",
            i.JacobianDisplay.from_estimator,
            estimator=mae,
            X=X,
            outputs=None,
            n_samples=2,
        ),
        entry("MaskSpectrumDisplay", i.MaskSpectrumDisplay, spectrum=np.ones((4, 4))),
        entry("OutlierDisplay", i.OutlierDisplay, originals=np.ones((2, 16)), scores=np.ones((2, 4, 4)), **shown),
        entry("MaskSpectrumDisplay.from_mask", i.MaskSpectrumDisplay.from_mask, image_shape=(4, 4), patch=2, mask=0.5),
        entry("MaskSpectrumDisplay.from_samples", i.MaskSpectrumDisplay.from_samples, X=X, patch=2, mask=0.5),
        entry(
            "ReconstructionDisplay",
            i.ReconstructionDisplay,
            originals=X[:2],
            visible=np.ones((2, 4, 4), bool),
            reconstructions=X[:2],
            **shown,
        ),
        entry(
            "ReconstructionDisplay.from_estimator",
            i.ReconstructionDisplay.from_estimator,
            estimator=mae,
            X=X,
            visible=None,
            n_samples=2,
        ),
        entry("SearchDisplay", i.SearchDisplay, scores=np.ones((2, 2)), masks=[0.5, 0.75], patches=[1, 2]),
        entry("SearchDisplay.from_estimator", i.SearchDisplay.from_estimator, ("search",), search=None),
        entry("SpatialEntropyDisplay", i.SpatialEntropyDisplay, entropies=np.ones((3, 16)), n_pixels=16),
        entry(
            "SpatialEntropyDisplay.from_estimator", i.SpatialEntropyDisplay.from_estimator, estimator=mae, X=X, power=1
        ),
    ]


def _datasets() -> list[Entry]:
    gabor = {"images": _images(), "frequency": 0.25, "phase": 0.0, "sigma": 2.0, "dilation": 1.0, "orientation": 0.0}
    ising = {"n_samples": 3, "size": 4, "coupling": 1.0, "ndim": 1, "n_sweeps": 2, "random_state": 0}
    return [
        Entry("make_gabor_targets", datasets.make_gabor_targets, lambda: dict(gabor), tuple(gabor)),
        Entry("make_ising", _soon(datasets.make_ising), lambda: dict(ising), tuple(ising)),
        Entry(
            "fetch_cifar10",
            datasets.fetch_cifar10,
            lambda: {"data_home": "/nowhere", "subset": "train", "download_if_missing": False},
            ("data_home", "subset"),
            also={"data_home": ["CIFAR-10", "/"], "subset": ["CIFAR-10"]},
        ),
        Entry(
            "load_image_folder",
            _soon(datasets.load_image_folder),
            lambda: {"path": _pictures(), "size": 4, "fit": "crop", "on_error": "warn", "memory_map": None},
            ("path", "size", "fit", "on_error", "memory_map"),
            also={"path": ["/"], "memory_map": ["/"]},
        ),
        Entry(
            "load_depth",
            datasets.load_depth,
            lambda: {"data_home": "/nowhere", "subset": "train", "size": 8},
            ("data_home", "subset", "size"),
            also={name: ["depth", "/"] for name in ("data_home", "subset", "size")},
        ),
    ]


@cache
def _pictures() -> str:
    """A folder with a picture."""
    from PIL import Image

    folder = Path(tempfile.mkdtemp())
    Image.new("RGB", (9, 9)).save(folder / "one.png")
    return str(folder)


def _soon(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but for numbers that would take all memory, or for ever."""

    def call(**parameters: Any) -> Any:
        large = [v for v in parameters.values() if isinstance(v, int | float | np.number) and abs(v) > 1e6]
        return None if large else function(**parameters)

    return call


def _searches() -> list[Entry]:
    X, y = _images(), np.arange(12) % 2
    pipe = Pipeline([("mae", LinearMAE(2, patch=2)), ("ridge", Ridge())])
    right = {"estimator": pipe, "param_grid": {"mae__mask": [0.5, 0.75]}, "scoring": None, "cv": 2, "refit": True}

    def by(search: Any) -> Callable[..., Any]:
        def fit(X: Any = X, y: Any = y, **parameters: Any) -> Any:
            return search(**parameters, error_score="raise").fit(X, y)

        return fit

    return [
        Entry(
            "LinearMAESearchCV",
            by(LinearMAESearchCV),
            lambda: {**right, "X": X, "y": y},
            (*right, "X", "y"),
            weight=0.05,
            peer=by(GridSearchCV),
        )
    ]
