"""Successive halving over epochs: the survivors of a rung go on from where they are."""

import warnings
from collections.abc import Iterator
from copy import deepcopy
from math import ceil
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skmae._compat import Interval, fit_context, import_optional
from skmae._estimator import LinkedToItsPage
from skmae._typing import Constraints, RandomState
from skmae.planning._ladder import Ladder, Rung
from skmae.planning._results import best_first, results_of
from skmae.planning._trials import Course, Memory, Trial, first_of, path_to_first

if TYPE_CHECKING:
    from pandas import DataFrame

_DEPTHS = ("encoder_layers", "decoder_layers")
_SAFE_SHARE = 0.3  # of the schedule, before which networks of different depths cannot be compared
_OWN = {
    "max_epochs": "set max_epochs of the estimator, which is the length of every schedule",
    "warmup_epochs": "set it on the estimator: schedules of different forms cannot be compared half-way",
    "checkpoint": "pass checkpoint to the search",
    "random_state": "pass n_seeds to the search",
    "verbose": "pass verbose to the search",
}


class EpochHalvingSearchCV(LinkedToItsPage, BaseSearchCV):
    """Search over what a deep masked autoencoder is, within a budget: the worse candidates stop early.

    All candidates begin. After `min_epochs`, the best ``1 / factor`` of them go on **from where they are**, until they
    have seen `factor` times as many epochs, and so on, until the last ones reach the end of the schedule. Nothing is
    trained twice, and the schedule of the learning rate is that of the whole training from the first epoch on.

    Parameters
    ----------
    estimator : Pipeline, DeepAutoencoder, ViTMAEClassifier or ViTMAERegressor
        A pipeline that begins with a `ViTMAE` or another `skmae.vit.DeepAutoencoder` and ends in a predictor, the
        probe; or one alone, with `scoring`; or a predictor that is fine-tuned, whose encoder is None or a fitted one in
        a ``sklearn.frozen.FrozenEstimator``. Its `max_epochs` is the whole schedule.
    param_grid : dict or list of dict
        Lists of values to try, as in `sklearn.model_selection.GridSearchCV`.
    min_epochs : int, default=1
        Epochs before candidates are compared for the first time.
    factor : float, default=3
        How many times fewer candidates, and more epochs, each rung has; > 1.
    max_candidates : int or None, default=None
        Candidates that are tried, drawn from the grid; None is all of them.
    n_seeds : int, default=1
        Trainings of each candidate of the last rung. Those after the first begin anew, with random states drawn from
        `random_state`; scores are averages over them.
    scoring : str, callable or None, default=None
        One metric; None is the estimator's `score`.
    cv : int, cross-validation generator or iterable, default=5
        Or a single split: ``ShuffleSplit(1, test_size=0.2, random_state=0)``.
    refit : bool, default=True
        Train the best, from the beginning, on all data.
    n_jobs : int or None, default=None
        Trainings at a time. Results do not depend on it.
    checkpoint : path-like or None, default=None
        Folder to keep what was trained in. If the search is killed, the next `fit` with the same parameters and data
        gives the same results, and trains again only what had not reached the end of its rung. The files are pickles:
        use folders only that nobody else writes to. None keeps the survivors' networks in memory.
    error_score : "raise" or float, default=nan
        Score of a candidate that fails; it goes no further.
    return_train_score : bool, default=False
    verbose : int, default=0
        1 prints a line for each rung, with the time that the others will take.
    random_state : int, RandomState instance or None, default=None
        Draws `max_candidates` and the seeds of `n_seeds`.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        As `sklearn.model_selection.HalvingGridSearchCV` gives it: a row for each candidate and rung, with ``iter``,
        ``n_resources`` (epochs trained so far), ``params``, ``mean_test_score`` and the like; and ``seconds``, those of
        this rung alone, over all folds.
    best_estimator_ : Pipeline or DeepAutoencoder
        Trained anew on all data, for `max_epochs`.
    best_params_ : dict
    best_score_ : float
        Of the last rung.
    best_index_ : int
    n_resources_ : list of int
        Epochs of each rung.
    n_candidates_ : list of int
        Candidates of each rung.
    n_iterations_ : int
        Rungs.
    noise_ : float
        Standard deviation of mean scores between seeds, pooled over the candidates of the last rung; NaN for one seed.
    control_ : dict
        What the best candidate scores untrained, with random weights: ``mean_test_score`` and ``test_scores`` of the
        folds.
    n_splits_ : int
    scorer_ : callable
    multimetric_ : False
    refit_time_ : float

    See Also
    --------
    skmae.inspection.HalvingDisplay : Scores against epochs, as a picture.
    skmae.training_cost : What `plan` is made of.

    Notes
    -----
    Networks of different depth learn at different speed: compared before 30 % of the schedule, the wrong one may stop
    (a warning says so). A rung with one candidate is left out: the last one goes straight to the end.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmae import EpochHalvingSearchCV, ViTMAE
    >>> X, y = load_digits(return_X_y=True)
    >>> sizes = {"embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}
    >>> mae = ViTMAE(**sizes, max_epochs=3, warmup_epochs=0, random_state=0)
    >>> pipe = make_pipeline(mae, LogisticRegression(max_iter=2000))
    >>> search = EpochHalvingSearchCV(pipe, {"vitmae__patch": [1, 2, 4]}, cv=2).fit(X[:200], y[:200])
    >>> search.n_resources_, search.n_candidates_
    ([1, 3], [3, 1])
    """

    _parameter_constraints: Constraints = {
        **BaseSearchCV._parameter_constraints,
        "param_grid": [dict, list],
        "min_epochs": [Interval(Integral, 1, None, closed="left")],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "max_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "scoring": [str, callable, None],
        "refit": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "random_state": ["random_state"],
    }
    _parameter_constraints.pop("pre_dispatch")

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        min_epochs: int = 1,
        factor: float = 3,
        max_candidates: int | None = None,
        n_seeds: int = 1,
        scoring: Any = None,
        cv: Any = 5,
        refit: bool = True,
        n_jobs: int | None = None,
        checkpoint: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        verbose: int = 0,
        random_state: RandomState = None,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.min_epochs = min_epochs
        self.factor = factor
        self.max_candidates = max_candidates
        self.n_seeds = n_seeds
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.verbose = verbose
        self.random_state = random_state

    # -- what will be done ----------------------------------------------------------------------------------------

    def plan(self, X: Any, y: Any = None, *, groups: Any = None) -> "DataFrame":
        """What the search will cost, before it starts; nothing is trained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y, groups : array-like or None, default=None
            For the splitter, as in `fit`.

        Returns
        -------
        pandas.DataFrame
            A row for each rung, and one each for further seeds, the control and the refit: ``candidates``; ``epochs``
            that each has seen at its end; ``epochs_in_all``, over candidates and folds; ``hours`` in one process, by
            `training_cost`, for candidates of average cost; ``memory_gib`` of the costliest one's step. The last two
            are NaN for networks other than `ViTMAE`, which it does not know.

        Raises
        ------
        ValueError, TypeError
            For all that `fit` refuses before it trains.
        """
        pandas = import_optional("pandas", extra="plot", purpose="plan")
        candidates, rungs = self._check(deepcopy(self.random_state))  # `fit` will draw the same
        splits = self._splits(X, y, groups)
        n_splits, share = len(splits), np.mean([len(train) for train, _ in splits]) / _num_samples(X)
        hours, gib = self._costs(candidates, X, share)
        rows, before = [], 0
        for number, rung in enumerate(rungs):
            in_all = rung.n_candidates * n_splits * (rung.epochs - before)
            rows.append(
                {"what": f"rung {number + 1}", "candidates": rung.n_candidates, "epochs": rung.epochs}
                | {"epochs_in_all": in_all}
            )
            before = rung.epochs
        last = rungs[-1]
        more = {"further seeds": last.n_candidates * (self.n_seeds - 1) * n_splits * last.epochs}
        more |= {"control": n_splits, "refit": last.epochs * bool(self.refit)}
        rows += [
            {"what": what, "candidates": 1, "epochs": last.epochs if what != "control" else 0, "epochs_in_all": epochs}
            for what, epochs in more.items()
            if epochs
        ]
        table = pandas.DataFrame(rows)
        table["hours"] = table["epochs_in_all"] * hours * np.where(table["what"] == "refit", 1 / share, 1)
        table["memory_gib"] = gib
        return table

    def _costs(self, candidates: list[dict[str, Any]], X: Any, share: float) -> tuple[float, float]:
        """Hours of an epoch of a fold, of candidates of average cost, and GiB of a step of the costliest."""
        from skmae.planning._cost import training_cost
        from skmae.vit import ViTMAE

        path, first = path_to_first(self.estimator), first_of(self.estimator)
        if not isinstance(first, ViTMAE):
            return np.nan, np.nan
        own = [{k.removeprefix(path): [v] for k, v in each.items() if k.startswith(path)} for each in candidates]
        samples = first._as_samples(X)
        shape, _ = first._resolve_shape(samples.n_features, samples.sample_shape)
        costs = training_cost(first, shape, param_grid=own, n_samples=max(1, round(share * len(samples))))
        return costs["total_h"].mean() / first.max_epochs, costs["activations_mib"].max() / 1024

    def _check(self, random_state: RandomState) -> tuple[list[dict[str, Any]], list[Rung]]:
        """The candidates and the rungs; refuse what cannot be searched before anything is trained."""
        from skmae.vit import DeepAutoencoder, ViTMAEClassifier, ViTMAERegressor

        self._validate_params()
        first = first_of(self.estimator)
        if not isinstance(first, DeepAutoencoder | ViTMAEClassifier | ViTMAERegressor):
            raise TypeError(
                f"estimator must be a ViTMAE or another deep autoencoder, a Pipeline that begins with one, a "
                f"ViTMAEClassifier or a ViTMAERegressor; got {type(self.estimator).__name__}, which begins with "
                f"{type(first).__name__}. Only these can be trained for some epochs and go on; for others use "
                f"sklearn.model_selection.HalvingGridSearchCV."
            )
        encoder = getattr(first, "encoder", None)
        if encoder is not None and not isinstance(encoder, FrozenEstimator):
            raise ValueError(
                f"estimator={type(first).__name__}(encoder={encoder!r}) would train its encoder again for each "
                f"candidate. Fit it once, and pass encoder=sklearn.frozen.FrozenEstimator(encoder), or None."
            )
        candidates = list(ParameterGrid(self.param_grid))
        self._check_grid(candidates)
        if self.max_candidates is not None and self.max_candidates < len(candidates):
            drawn = check_random_state(random_state).choice(len(candidates), self.max_candidates, replace=False)
            candidates = [candidates[i] for i in np.sort(drawn)]
        if self.min_epochs > first.max_epochs:
            raise ValueError(
                f"min_epochs={self.min_epochs} is more than max_epochs={first.max_epochs} of the estimator. Pass "
                f"min_epochs <= {first.max_epochs}."
            )
        rungs = list(self._rungs(len(candidates), first.max_epochs))
        self._warn_of_depths(candidates, rungs, first.max_epochs)
        return candidates, rungs

    def _splits(self, X: Any, y: Any, groups: Any) -> list[Any]:
        """Pairs of training and test indices; an iterator of them is read once, and kept."""
        known = self.__dict__.get("_splits_of")
        if known is None or known[0] is not self.cv:
            known = self.cv, check_cv(self.cv, y, classifier=is_classifier(self.estimator))
            if isinstance(self.cv, Iterator):
                self._splits_of = known
        everything = np.arange(_num_samples(X))
        splits = [(everything[train], everything[test]) for train, test in known[1].split(X, y, groups)]
        if not splits:
            raise ValueError(
                f"cv={self.cv!r} gives no splits. Pass a number of folds, a splitter, or a list of splits."
            )
        return splits

    def _check_grid(self, candidates: list[dict[str, Any]]) -> None:
        path = path_to_first(self.estimator)
        searched = sorted({name for candidate in candidates for name in candidate})
        for name in searched:
            if name.removeprefix(path) in _OWN and name.startswith(path):
                raise ValueError(f"param_grid searches {name!r}. Leave it out: {_OWN[name.removeprefix(path)]}.")
        for candidate in candidates:
            other = candidate.get(path.removesuffix("__")) if path else None
            if other is not None and getattr(other, "max_epochs", None) != first_of(self.estimator).max_epochs:
                raise ValueError(
                    f"param_grid has {path.removesuffix('__')}={other!r}, which has another max_epochs than the "
                    f"estimator, {first_of(self.estimator).max_epochs}. Give all the same."
                )
        if self.scoring is None and not hasattr(self.estimator, "predict"):
            raise ValueError(
                f"param_grid searches {searched}, but the estimator has no predictor and scoring is None: score is the "
                f"error under each candidate's own mask, which is best where least is hidden. Add a predictor to the "
                f"pipeline, or pass scoring."
            )

    def _rungs(self, n_candidates: int, max_epochs: int) -> Iterator[Rung]:
        epochs: float = self.min_epochs
        before = 0
        while round(epochs) < max_epochs and n_candidates > 1:
            if round(epochs) > before:  # a small factor may leave them as they were
                before = round(epochs)
                yield Rung(before, n_candidates)
                n_candidates = ceil(n_candidates / self.factor)
            epochs *= self.factor
        yield Rung(max_epochs, n_candidates)

    def _warn_of_depths(self, candidates: list[dict[str, Any]], rungs: list[Rung], max_epochs: int) -> None:
        path = path_to_first(self.estimator)
        for depth in _DEPTHS:
            values = {candidate[path + depth] for candidate in candidates if path + depth in candidate}
            if len(values) > 1 and len(rungs) > 1 and rungs[0].epochs < _SAFE_SHARE * max_epochs:
                warnings.warn(
                    f"param_grid varies {path + depth}, and candidates are compared after {rungs[0].epochs} of "
                    f"{max_epochs} epochs: deeper networks are slower to begin with, and may stop wrongly. Pass "
                    f"min_epochs={ceil(_SAFE_SHARE * max_epochs)}, 30 % of the schedule.",
                    stacklevel=4,
                )

    # -- doing it -------------------------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Search.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        groups : array-like of shape (n_samples,), default=None
            For the splitter.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator does not begin with a deep autoencoder.
        ValueError
            If `param_grid` holds what the search itself decides, there is nothing that could compare candidates, or
            `min_epochs` is more than the schedule has; if all candidates fail.
        """
        candidates, rungs = self._check(self.random_state)
        scorer = check_scoring(self.estimator, scoring=self.scoring)
        splits = self._splits(X, y, groups)
        memory = Memory(self.checkpoint, self._fingerprint(X, y))
        trials = [[Trial(candidate, *split) for split in splits] for candidate in candidates]
        with TemporaryDirectory() as made:
            folder = Path(made) if memory.folder is None else memory.folder
            course = Course(self.estimator, X, y, scorer, self.error_score, self.return_train_score, folder)
            self._search(Ladder(course, memory, self.n_jobs, print if self.verbose else None), trials, rungs)
        self.n_resources_, self.n_candidates_ = ([each[i] for each in rungs] for i in (0, 1))
        self.n_iterations_, self.n_splits_ = len(rungs), len(splits)
        self.scorer_, self.multimetric_ = scorer, False
        if self.refit:
            self._refit(X, y)
        return self

    def _search(self, ladder: Ladder, trials: list[list[Trial]], rungs: list[Rung]) -> None:
        rows = ladder.climb(trials, rungs)
        last = [row for row in rows if row.rung == len(rungs) - 1]
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.n_seeds - 1)
        self.noise_ = ladder.average_over(seeds, last)
        self.cv_results_ = results_of(rows, with_train_score=self.return_train_score)
        best = best_first(last)[0]
        if best.error:
            raise ValueError(f"All candidates failed. The best of them said: {best.error}")
        self.best_index_ = next(i for i, row in enumerate(rows) if row is best)
        self.best_params_, self.best_score_ = best.parameters, best.mean_test_score
        self.control_ = ladder.control(best)

    def _fingerprint(self, X: Any, y: Any) -> str:
        """Of what outcomes depend on, beside the trial and its epochs; not looked at where nothing is kept."""
        if self.checkpoint is None:
            return ""
        from skmae.vit._checkpoint import described

        given = {"": self.estimator, **self.estimator.get_params()}
        frozen = tuple(f"{name}__" for name, value in given.items() if isinstance(value, FrozenEstimator))
        settings = {
            name: _identity(value) if hasattr(value, "get_params") else described(value)
            for name, value in given.items()
            if name.rpartition("__")[2] not in ("steps", "verbose") and not name.startswith(frozen)
        }
        fingerprint: str = joblib.hash((settings, self.scoring, self.return_train_score, X, y))
        return fingerprint

    def _refit(self, X: Any, y: Any) -> None:
        start = perf_counter()
        estimator = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        self.best_estimator_ = estimator.fit(X) if y is None else estimator.fit(X, y)
        self.refit_time_ = perf_counter() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _run_search(self, evaluate_candidates: Any) -> None:
        raise NotImplementedError  # scikit-learn's way, which trains from the beginning


def _identity(estimator: Any) -> Any:
    """The kind of an estimator, whose parameters are looked at one by one; of a frozen one, all that it has learned."""
    if not isinstance(estimator, FrozenEstimator):
        return type(estimator).__module__, type(estimator).__qualname__
    fitted = estimator.estimator
    if not hasattr(fitted, "net_"):
        return joblib.hash(fitted)
    from skmae.vit._checkpoint import described_network

    return joblib.hash(described_network(fitted.net_.plain_module))
