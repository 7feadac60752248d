"""Grid search that reads the data once for all folds and all candidates."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import process_routing

from skmae._estimator import LinkedToItsPage
from skmae._reading import read_samples
from skmae._samples import Samples, naming
from skmae.linear._base import LinearAutoencoder
from skmae.linear._folds import RowView, Table, parameters_hash
from skmae.linear._problem import Problem
from skmae.tokens import LocalTokens


class LinearMAESearchCV(LinkedToItsPage, GridSearchCV):
    """Grid search over a linear autoencoder and what follows it, at about the cost of one fit.

    It takes the parameters of `GridSearchCV`, gives its results, and is used as it is. But the second moments of the
    data, gathered in one pass, answer for every fold (total minus fold), mask, patch and rank; only what follows the
    autoencoder is fitted anew each time.

    Parameters
    ----------
    estimator : Pipeline or LinearMAE, LinearDAE, LinearAE
        A pipeline that begins with a linear autoencoder, or with `LocalTokens` and then one; or an autoencoder alone,
        compared by `score`.
    param_grid : dict or list of dict
        Lists of values to try, as in `GridSearchCV`: ``{"mae__mask": [0.5, 0.75], "mae__patch": [2, 4, 8]}``.
    scoring : str, callable, list, tuple or dict, default=None
    n_jobs : int, default=None
        Processes for what follows the autoencoder. The autoencoders themselves are solved in this one, with all of its
        threads.
    refit : bool, str or callable, default=True
    cv : int, cross-validation generator or iterable, default=None
        Any of scikit-learn's splitters, or one with their interface.
    verbose : int, default=0
        Above 0: progress over the folds, then over the fits.
    pre_dispatch : int or str, default='2*n_jobs'
    error_score : 'raise' or numeric, default=np.nan
    return_train_score : bool, default=False

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        As in `GridSearchCV`. Times are those of each fit alone, without what all of them share.
    best_estimator_ : Pipeline or LinearMAE, LinearDAE, LinearAE
        Fitted to all of the data: an ordinary pipeline, to be used and saved without the search.
    best_score_ : float
    best_params_ : dict
    best_index_ : int
    scorer_ : callable or dict
    n_splits_ : int
    refit_time_ : float
    multimetric_ : bool
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The same, for any estimator.
    skmae.inspection.SearchDisplay : The scores as a picture, mask against patch.

    Notes
    -----
    What is shared: the moments of each training set (one pass over the data if the complements of the training sets
    tile it, as in k-fold splits; else one pass and one over each complement or training set, whichever is smaller); one
    solution for each distinct autoencoder, from which all smaller ranks follow; and, if the features of all
    autoencoders in all folds are fewer than those of the data, one more pass that encodes for all of them. Where a
    training set has so many features that moments do not pay (``solver="dual"``), each fit reads the rows. Nothing is
    shared for arrays of other libraries than NumPy (``array_api_dispatch``), nor for data frames (pass
    ``X.to_numpy()``); and a pipeline's `memory` has to hash all that is shared.

    Behind `LocalTokens`, filters are learned once for each training set, and for each setting of theirs in
    `param_grid`; the tokens of all samples are made once for each of these, held in memory for as long, and encoded for
    all candidates.

    `sample_weight` is shared, too, if it reaches the autoencoder.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import Pipeline
    >>> from skmae import LinearMAE, LinearMAESearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> pipe = Pipeline([("mae", LinearMAE(10)), ("clf", LogisticRegression(max_iter=2000))])
    >>> grid = {"mae__mask": [0.25, 0.5, 0.75], "mae__patch": [1, 2, 4]}
    >>> search = LinearMAESearchCV(pipe, grid).fit(X / 16, y)
    >>> search.cv_results_["mean_test_score"].shape
    (9,)
    >>> search.predict(X[:5] / 16).shape
    (5,)
    """

    def fit(self, X: Any, y: object = None, **params: Any) -> Self:
        """Try all candidates on all folds, and fit the best to all of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        **params : dict
            For the estimator's `fit`, the scorer and the splitter (``groups=...``), as in `GridSearchCV`: by metadata
            routing where that is on.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator does not begin with a linear autoencoder.
        ValueError
            If the corruption is searched with nothing that could compare (neither a predictor nor `scoring`); if X
            holds infinity; for all that `GridSearchCV` refuses.
        """
        path, autoencoder = _autoencoder_of(self.estimator)
        if not isinstance(autoencoder, LinearAutoencoder):
            raise TypeError(
                f"estimator must be a linear autoencoder, or a Pipeline that begins with one, or with LocalTokens and "
                f"then one; got {type(self.estimator).__name__}{_beginning(self.estimator)}. For other estimators use "
                f"sklearn.model_selection.GridSearchCV."
            )
        if hasattr(self.cv, "split") and not hasattr(self.cv, "get_n_splits"):  # str is refused by scikit-learn
            raise TypeError(f"cv={self.cv!r} is no splitter. Pass a number of folds, a splitter, or a list of splits.")
        self._check_comparable(path, autoencoder)
        samples = read_samples(X, self, may_have_gaps=True)
        if samples.library is not None or samples.frame is not None or not samples.rows_at_hand:
            super().fit(X, y, **params)
            return self
        samples.check_bounded()
        if hasattr(y, "__array__"):
            with naming("y", "an array of (n_samples,) or (n_samples, n_outputs)"):
                np.asarray(y)
        table = Table(samples.with_nan(), samples.check_weights(self._weights(path, params)))
        super().fit(table.view(), y, **params)
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # the autoencoder takes it as hidden
        return tags

    def _run_search(self, evaluate_candidates: Any, callback_ctx: Any = None) -> None:
        def evaluate(candidates: Any, **options: Any) -> Any:
            return evaluate_candidates(candidates, **{**options, "cv": _SharedFolds(self)})

        super()._run_search(evaluate, **({} if callback_ctx is None else {"callback_ctx": callback_ctx}))

    def _check_comparable(self, path: str, autoencoder: LinearAutoencoder) -> None:
        if self.scoring is not None or hasattr(self.estimator, "predict"):
            return
        grids = [self.param_grid] if isinstance(self.param_grid, dict) else self.param_grid
        corruption = autoencoder._corruption_parameters()
        searched = sorted({name for grid in grids for name in grid if name in {path + each for each in corruption}})
        if searched:
            raise ValueError(
                f"param_grid searches {searched}, but the estimator has no predictor and scoring is None: score is "
                f"the error under each candidate's own corruption, which is always best where least is hidden. Add a "
                f"predictor to the pipeline, or pass scoring."
            )

    def _weights(self, path: str, params: dict[str, Any]) -> Any:
        """The sample weights that will reach the autoencoder."""
        if not get_config()["enable_metadata_routing"]:
            return params.get(f"{path}sample_weight")
        params, step = process_routing(self, "fit", **params).estimator.fit, self.estimator
        for name in path.split("__")[:-1]:
            routed = process_routing(step, "fit", **params)[name]
            step = step.named_steps[name]
            params = {**routed.get("fit", {}), **routed.get("fit_transform", {})}
        return params.get("sample_weight")

    def _share(self, table: Table, trainings: list[np.ndarray]) -> None:
        """Solve for all candidates and training sets, those of the same tokens together."""
        plain, of_tokens = self._autoencoders()
        table.share(trainings, _pose(plain, table.samples), self.verbose)
        for tokens, models in of_tokens:
            table.share_made(tokens, trainings, partial(_pose, models), self.verbose)

    def _autoencoders(self) -> tuple[list[LinearAutoencoder], list[tuple[LocalTokens, list[LinearAutoencoder]]]]:
        """Of the candidates: those that come first, and those behind tokens."""
        plain: list[LinearAutoencoder] = []
        of_tokens: dict[str, tuple[LocalTokens, list[LinearAutoencoder]]] = {}
        for candidate in ParameterGrid(self.param_grid):
            with suppress(TypeError, ValueError):  # invalid parameters are left to the candidate's own fit
                estimator = clone(self.estimator).set_params(**clone(candidate, safe=False))
                first, (_, model) = first_step(estimator), _autoencoder_of(estimator)
                if isinstance(model, LinearAutoencoder):
                    model._validate_params()
                    models = plain
                    if model is not first:
                        first._validate_params()
                        models = of_tokens.setdefault(parameters_hash(first), (first, []))[1]
                    models.append(model)
        return plain, list(of_tokens.values())


def _pose(models: list[LinearAutoencoder], samples: Samples) -> list[Problem]:
    """What autoencoders ask of samples; those that do not fit them are left to their own fit."""
    problems = []
    for model in models:
        with suppress(TypeError, ValueError):
            problems.append(model._pose(samples.n_features, samples.sample_shape)[0])
    return problems


class _SharedFolds:
    """The splits that the search would make, and what it shares between them."""

    def __init__(self, search: LinearMAESearchCV):
        self._search = search

    def split(self, X: Any, y: object = None, **params: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        search = self._search
        cv = getattr(search, "_checked_cv_orig", None)  # where an iterator has been used up already
        cv = check_cv(search.cv, y, classifier=is_classifier(search.estimator)) if cv is None else cv
        if not isinstance(X, RowView):
            return list(cv.split(X, y, **params))
        table, everything = X.table, np.arange(len(X))
        original = table.samples.original()
        splits = [(_rows(everything, a), _rows(everything, b)) for a, b in cv.split(original, y, **params)]
        search._share(table, [train for train, _ in splits])
        return splits


def _rows(everything: np.ndarray, part: Any) -> np.ndarray:
    """Indices of a training or test set, whatever says which samples are in it."""
    try:
        rows: np.ndarray = everything[np.asarray(part)]
    except IndexError as error:
        raise ValueError(
            f"cv must give indices of the {len(everything)} samples, but gave {part!r}: {error}."
        ) from error
    if rows.ndim != 1:
        raise TypeError(f"cv must give pairs of training and test indices, each of shape (n_rows,); got {part!r}.")
    return rows


def first_step(estimator: Any) -> Any:
    """What samples come to first."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[0][1]
    return estimator


def _steps(estimator: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The steps of a pipeline, of pipelines in it too, with the prefixes of their parameters."""
    if not isinstance(estimator, Pipeline):
        yield path, estimator
        return
    for name, step in estimator.steps:
        yield from _steps(step, f"{path}{name}__")


def _autoencoder_of(estimator: Any) -> tuple[str, Any]:
    """The prefix of its parameters, and the step: the first one, or the next behind tokens."""
    steps = _steps(estimator)
    path, first = next(steps)
    return next(steps, (path, first)) if isinstance(first, LocalTokens) else (path, first)


def _beginning(estimator: Any) -> str:
    first = first_step(estimator)
    return f" that begins with {type(first).__name__}" if first is not estimator else ""
