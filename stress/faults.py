"""Faults that were mended, each put back by changing a line: the campaign that guards against it must find it."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from textwrap import dedent
from typing import Any

from stress._frame import Outcome, campaigns, run


@dataclass(frozen=True)
class Fault:
    """A mended fault.

    Attributes
    ----------
    name : str
    campaign : str
        The one that finds it within its budget.
    put_back : callable
        A context manager in which the fault is there again.
    """

    name: str
    campaign: str
    put_back: Callable[[], AbstractContextManager]


def line(name: str, campaign: str, where: str, old: str, new: str) -> Fault:
    """A fault that is one line, or part of one: `old` as it is now, `new` as it was."""
    return Fault(name, campaign, partial(_edited, where, old, new))


def lines(name: str, campaign: str, *edits: tuple[str, str, str]) -> Fault:
    """A fault that one line after another guards against."""
    return Fault(name, campaign, partial(_all_edited, edits))


@contextmanager
def _all_edited(edits: tuple[tuple[str, str, str], ...]) -> Iterator[None]:
    with ExitStack() as stack:
        for edit in edits:
            stack.enter_context(_edited(*edit))
        yield


@contextmanager
def _edited(where: str, old: str, new: str) -> Iterator[None]:
    """Run with a function's text changed, under all names that it goes by.

    Parameters
    ----------
    where : str
        Such as "skmae.moments:Moments.update".
    old, new : str
        What is looked for in its source, once, and what takes its place.
    """
    module_name, _, path = where.partition(":")
    module = import_module(module_name)
    *owners, name = path.split(".")
    owner: Any = module
    for part in owners:
        owner = getattr(owner, part)
    before = inspect.getattr_static(owner, name)
    function = getattr(before, "__func__", getattr(before, "fget", getattr(before, "func", before)))
    text = dedent(inspect.getsource(inspect.unwrap(function)))
    if text.count(old) != 1:
        raise ValueError(f"{where} has {old!r} {text.count(old)} times: the fault must be put back another way.")
    namespace: dict[str, Any] = {}
    exec(compile(text.replace(old, new), f"<{where}, as it was>", "exec"), vars(module), namespace)
    after = namespace[name]
    places = [owner]
    if not owners:
        others = [m for key, m in list(sys.modules.items()) if key.startswith("skmae") and m is not None]
        places += [m for m in others if vars(m).get(name) is before and m is not module]
    for place in places:
        setattr(place, name, after)
        getattr(after, "__set_name__", lambda *_: None)(place, name)
    try:
        yield
    finally:
        for place in places:
            setattr(place, name, before)


FAULTS: list[Fault] = [
    line(
        "eigenvectors by LAPACK's default driver, unchecked",
        "linear",
        "skmae._linalg:symmetric_eigen",
        'driver="evd"',
        'driver="evr"',
    ),
    line(
        "dual: a direction without signal is kept",
        "linear",
        "skmae.linear._dual:_leading",
        "values = np.where(carries_signal(values, max(n, d)), values, 0)",
        "values = np.where(values > 2e-18 * values[0], values, 0)",
    ),
    line(
        "a copy shares its moments",
        "linear",
        "skmae.linear._base:LinearAutoencoder.__copy__",
        "moments=copy(state.moments)",
        "moments=state.moments",
    ),
    line(
        "without corruption, the encoder is V⁺S applied",
        "linear",
        "skmae.linear._losses:_uncorrupted",
        "if multiple is None:",
        "if True:",
    ),
    line(
        "dual: decoders mixed by rounding",
        "linear",
        "skmae.linear._dual:orthonormalise",
        "    if n_kept:",
        "    if False:",
    ),
    line(
        "weighted 8-bit sums about a far centre",
        "linear",
        "skmae._samples:Samples.choose_shift",
        "if self.dtype in MIDPOINT and weights is None:",
        "if self.dtype in MIDPOINT:",
    ),
    line(
        "pictures of whole numbers",
        "inspection",
        "skmae.inspection._plotting:between_black_and_white",
        "ends = (known.min(), known.max()) if known.size else (0.0, 1.0)",
        "ends = known.min(initial=np.inf), known.max(initial=-np.inf)",
    ),
    line(
        "dual of 8-bit samples: rows are not centred",
        "linear",
        "skmae.linear._dual:_samples_gram",
        "H -= H.mean(axis=1, keepdims=True)",
        "pass",
    ),
    line(
        "hidden loss: worse than a start",
        "linear",
        "skmae.linear._descent:solve_hidden",
        "best = int(np.argmin(losses))",
        "best = 0",
    ),
    line(
        "sums about zero cancel",
        "moments",
        "skmae._samples:Samples.choose_shift",
        "mean = np.where(np.isfinite(mean) & counted.any(axis=0), mean, 0)",
        "mean = np.zeros_like(mean)",
    ),
    line(
        "samples of weight zero are counted",
        "moments",
        "skmae._samples:count_rows",
        "int(np.count_nonzero(weights))",
        "n_samples",
    ),
    line(
        "less is left of a subtraction than rounding",
        "moments",
        "skmae.moments:Moments._require_a_rest",
        "if self.n < self._eps**0.5 * self._heaviest",
        "if False",
    ),
    line(
        "masks that are rare are taken to hide all together",
        "linear",
        "skmae.linear._corruptions:_constants",
        "tolerance = _ROUNDING * diagonal.max()",
        "tolerance = 1e-9 * diagonal.max()",
    ),
    line(
        "hidden loss: a share of the variance keeps directions without signal",
        "linear",
        "skmae.linear._descent:solve_hidden",
        "else _with_signal(found[best]), losses",
        "else found[best], losses",
    ),
    line(
        "float32 sums do, whatever the encoder magnifies",
        "linear",
        "skmae.linear._solvers:Primal._from_summary",
        "and _error_of_float32(minimiser, S) < _ERROR_FOR_FLOAT32",
        "",
    ),
    line(
        "samples beyond float32 are rounded before their centre is subtracted",
        "moments",
        "skmae._samples:Samples.centred_blocks",
        "digits = np.result_type(self.dtype, dtype)",
        "digits = np.dtype(dtype)",
    ),
    lines(
        "squares beyond float64",
        "moments",
        ("skmae._samples:Samples.check_bounded", "if squares and not (", "if False and not ("),
        ("skmae.moments:_require_finite", "if not np.isfinite(squares):", "if False:"),
    ),
    line(
        "the mean is subtracted after the product",
        "linear",
        "skmae._samples:Encoder.__init__",
        "self.centre = mean.astype(self.dtype)",
        "self.centre = np.zeros_like(mean, self.dtype)",
    ),
    line(
        "a list of one batch is one sample",
        "garbage",
        "skmae._reading:_joined",
        "if shapes[0] != known and not _are_images(shapes)",
        "if False",
    ),
    line(
        "frames with dates are read as numbers",
        "garbage",
        "skmae._reading:_check_numeric_columns",
        "if other:",
        "if False:",
    ),
    line(
        "checkpoints and .pth files are read without their checksums",
        "flips",
        "skmae.vit._archives:_compare_checksums",
        "    if damaged is not None:",
        "    if False:",
    ),
    line(
        "an archive of CIFAR-10 that lies there is not checked",
        "flips",
        "skmae.datasets._cifar10:_read_archive",
        "_check_md5(archive, _MD5)",
        "pass",
    ),
    line(
        "a parquet file that ends early is taken",
        "flips",
        "skmae._files:_open_parquet",
        "if batch is None and n_read != n_rows:",
        "if False:",
    ),
    line(
        "targets that are no numbers end in NumPy's words",
        "deep_garbage",
        "skmae.vit._predictor_base:read_numbers",
        "except (TypeError, ValueError) as error:",
        "except ZeroDivisionError as error:",
    ),
    line(
        "mixup and cutmix of the smallest numbers are drawn in float32",
        "deep_garbage",
        "skmae.vit._augmentation:_drawn_from_beta",
        "if alpha >= 0.1:",
        "if True:",
    ),
    line(
        "mask functions of other arguments are called",
        "deep_garbage",
        "skmae.masking:resolve_sampler",
        "_check_arguments(mask_sampling)",
        "pass",
    ),
    line(
        "a Dataset is read with PyTorch's own generator",
        "deep",
        "skmae.vit._inference:_batches",
        'parameters["generator"] = torch.Generator()',
        'parameters["generator"] = None',
    ),
    line(
        "activations of every call are kept",
        "leaks",
        "skmae._autodiff:_saved_bytes",
        "sizes.append(tensor.nbytes)",
        "return sizes.append(tensor.nbytes) or tensor",
    ),
]


def search_for(
    fault: Fault, *, seed: int = 0, seconds: float = float("inf"), cases: int | None = None
) -> tuple[str | None, Outcome]:
    """Run the campaign with the fault until a case fails that does not fail without it: its text, and the counts."""
    cases = campaigns()[fault.campaign].BUDGET if cases is None else cases
    total, found = Outcome(fault.campaign, seed), None
    while found is None and total.n_cases < cases and total.seconds < seconds:
        with fault.put_back():
            part = run(
                fault.campaign,
                seed=seed,
                first=total.n_cases,
                cases=cases - total.n_cases,
                seconds=seconds - total.seconds,
                stop_at_failure=True,
            )
        total.n_cases += part.n_cases
        total.seconds += part.seconds
        for number, text in part.failures:
            if not run(fault.campaign, seed=seed, first=number, cases=1).failures:
                found = text
                total.failures.append((number, text))
    return found, total
