"""Successive halving over epochs, against trainings that are straight, counted, and killed."""

import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, ShuffleSplit, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.callbacks import Callback, EarlyStopping

from skmae import EpochHalvingSearchCV, LinearMAE, ViTMAE, ViTMAEClassifier
from skmae.inspection import HalvingDisplay, SearchDisplay
from skmae.planning._trials import Course

SIZES = {"embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1, "decoder_heads": 2}
GRID = {"mae__patch": [2, 4], "mae__mask": [0.5, 0.75]}
EPOCHS = []


class Counts(Callback):
    """Notes every epoch that any copy of it sees."""

    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002
        EPOCHS.append((net.grid.patch_shape, net.mask))


class CountsAll(Callback):
    def on_epoch_end(self, net, **kwargs):  # noqa: ARG002
        EPOCHS.append(None)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:160], y[:160] % 2


@pytest.fixture(autouse=True)
def nothing_counted():
    EPOCHS.clear()


def pipeline(**changes):
    training = {"max_epochs": 6, "warmup_epochs": 1, "batch_size": 40, "learning_rate": 0.02, "callbacks": [Counts()]}
    mae = ViTMAE(**{**SIZES, **training, "device": "cpu", "random_state": 0, **changes})
    return Pipeline([("mae", mae), ("scale", StandardScaler()), ("clf", LogisticRegression())])


def search_of(grid=GRID, pipe=None, **options):
    return EpochHalvingSearchCV(pipeline() if pipe is None else pipe, grid, **{"factor": 2, "cv": 2, **options})


def scores(search):
    return {name: np.asarray(v) for name, v in search.cv_results_.items() if "score" in name and "time" not in name}


def assert_same(one, other):
    assert scores(one).keys() == scores(other).keys()
    for name, values in scores(one).items():
        assert_array_equal(values, scores(other)[name], err_msg=name)
    assert one.cv_results_["params"] == other.cv_results_["params"]


def test_rungs_and_epochs_are_those_of_resuming(digits):
    search = search_of().fit(*digits)
    assert (search.n_resources_, search.n_candidates_) == ([1, 2, 6], [4, 2, 1])
    assert_array_equal(search.cv_results_["iter"], [0] * 4 + [1] * 2 + [2])
    assert_array_equal(search.cv_results_["n_resources"], [1] * 4 + [2] * 2 + [6])
    of_search = 2 * (4 * 1 + 2 * 1 + 1 * 4)
    assert len(EPOCHS) == of_search + 2 * 1 + 6  # the control, the refit


def test_each_score_is_that_of_a_straight_training(digits):
    X, y = digits
    search = search_of().fit(X, y)
    splits = list(StratifiedKFold(2).split(X, y))
    for row, params in enumerate(search.cv_results_["params"]):
        for fold, (train, test) in enumerate(splits):
            pipe = pipeline().set_params(**params)
            for _ in range(search.cv_results_["n_resources"][row]):
                pipe[0].partial_fit(X[train])
            pipe[1:].fit(pipe[0].transform(X[train]), y[train])
            expected = pipe[1:].score(pipe[0].transform(X[test]), y[test])
            assert search.cv_results_[f"split{fold}_test_score"][row] == expected


def test_the_best_is_trained_straight_through(digits):
    X, y = digits
    search = search_of().fit(X, y)
    straight = pipeline().set_params(**search.best_params_).fit(X, y)
    for one, other in zip(
        search.best_estimator_[0].net_.module_.parameters(), straight[0].net_.module_.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    assert_array_equal(search.predict_proba(X), straight.predict_proba(X))
    last = search.cv_results_["iter"] == 2
    assert search.best_score_ == search.cv_results_["mean_test_score"][last].max()
    assert search.cv_results_["params"][search.best_index_] == search.best_params_
    assert search.cv_results_["iter"][search.best_index_] == 2


def test_the_better_half_goes_on(digits):
    results = search_of().fit(*digits).cv_results_
    first = results["mean_test_score"][:4]
    assert [results["params"][i] for i in np.argsort(-first, kind="stable")[:2]] == results["params"][4:6]


def test_jobs_do_not_matter(digits):
    assert_same(search_of(refit=False).fit(*digits), search_of(refit=False, n_jobs=2).fit(*digits))


@pytest.mark.parametrize("killed_after", [1, 11])
def test_killed_and_run_again(digits, tmp_path, monkeypatch, killed_after):
    whole = search_of(refit=False).fit(*digits)
    all_epochs, count = len(EPOCHS), 0
    run = Course.run

    def dies(self, *args):
        nonlocal count
        count += 1
        if count > killed_after:
            raise KeyboardInterrupt
        return run(self, *args)

    monkeypatch.setattr(Course, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        search_of(refit=False, checkpoint=tmp_path).fit(*digits)
    monkeypatch.setattr(Course, "run", run)
    EPOCHS.clear()
    assert_same(search_of(refit=False, checkpoint=tmp_path).fit(*digits), whole)
    assert len(EPOCHS) < all_epochs
    EPOCHS.clear()
    assert_same(search_of(refit=False, checkpoint=tmp_path).fit(*digits), whole)
    assert not EPOCHS
    assert_same(
        search_of(refit=False, checkpoint=tmp_path).fit(digits[0] + 1, digits[1]),
        search_of().fit(digits[0] + 1, digits[1]),
    )
    assert EPOCHS  # other data


@pytest.mark.slow
def test_a_killed_process(digits, tmp_path):
    script = f"""
import os, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_halving as t
from sklearn.datasets import load_digits
X, y = load_digits(return_X_y=True)
run, count = t.Course.run, 0
def dies(self, *args):
    global count
    count += 1
    if count > 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(self, *args)
t.Course.run = dies
t.search_of(pipe=t.pipeline(callbacks=None), refit=False, checkpoint={str(tmp_path)!r}).fit(X[:160], y[:160] % 2)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pipe = pipeline(callbacks=None)
    kept = len(list(tmp_path.rglob("*.joblib")))
    again = search_of(pipe=pipe, refit=False, checkpoint=tmp_path).fit(*digits)
    assert kept == 5
    assert_same(again, search_of(pipe=pipe, refit=False).fit(*digits))


def test_a_damaged_file_is_trained_again(digits, tmp_path):
    whole = search_of(refit=False, checkpoint=tmp_path).fit(*digits)
    victim = sorted(tmp_path.rglob("*.joblib"))[0]
    victim.write_bytes(victim.read_bytes()[:50])
    with pytest.warns(UserWarning, match="cannot be read .* trained again"):
        assert_same(search_of(refit=False, checkpoint=tmp_path).fit(*digits), whole)


def test_models_of_those_that_stopped_are_not_kept(digits, tmp_path):
    import joblib

    search_of(refit=False, checkpoint=tmp_path).fit(*digits)
    kept = [outcome for path in tmp_path.rglob("*.joblib") if (outcome := joblib.load(path)).model is not None]
    assert not kept


def test_seeds_and_noise(digits):
    one = search_of(refit=False).fit(*digits)
    assert np.isnan(one.noise_)
    search = search_of(refit=False, n_seeds=3, random_state=1).fit(*digits)
    assert search.cv_results_["params"] == one.cv_results_["params"]  # no rows of their own
    X, y = digits
    seeds = np.random.RandomState(1).randint(2**31 - 1, size=2)
    runs = []
    for seed in (0, *seeds):
        folds = []
        for train, test in StratifiedKFold(2).split(X, y):
            pipe = pipeline(random_state=int(seed)).set_params(**search.best_params_).fit(X[train], y[train])
            folds.append(pipe.score(X[test], y[test]))
        runs.append(np.mean(folds))
    assert search.best_score_ == pytest.approx(np.mean(runs))
    assert search.noise_ == pytest.approx(np.std(runs, ddof=1))


def test_the_control_is_untrained(digits):
    X, y = digits
    search = search_of().fit(X, y)
    control = search.control_
    assert control["params"] == search.best_params_
    fresh = pipeline(learning_rate=1e-30, max_epochs=1, warmup_epochs=0).set_params(**search.best_params_)
    expected = []
    for train, test in StratifiedKFold(2).split(X, y):
        expected.append(fresh.fit(X[train], y[train]).score(X[test], y[test]))
    assert_allclose(control["test_scores"], expected)
    assert control["mean_test_score"] == pytest.approx(np.mean(expected))


def test_candidates_are_drawn(digits):
    some = [
        search_of(max_candidates=2, random_state=s, refit=False).fit(*digits).cv_results_["params"] for s in (0, 0, 3)
    ]
    assert some[0] == some[1] != some[2]
    assert len({tuple(p.items()) for p in some[0]}) == 2


def test_one_split_and_a_scorer_of_ones_own(digits):
    X, _ = digits
    alone = EpochHalvingSearchCV(
        pipeline()[0],
        {"patch": [2, 4]},
        cv=ShuffleSplit(1, test_size=0.25, random_state=0),
        scoring=lambda mae, X: -float(np.mean((X - mae.reconstruct(X)) ** 2)),
        factor=2,
    ).fit(X)
    assert alone.n_splits_ == 1
    assert alone.transform(X).shape == (160, 8)
    assert np.isfinite(alone.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_classifier_goes_on_from_its_checkpoint(digits, tmp_path, checkpoint):
    X, y = digits
    sizes = {k: v for k, v in SIZES.items() if not k.startswith("decoder")}
    training = {"max_epochs": 4, "warmup_epochs": 0, "batch_size": 40, "device": "cpu", "random_state": 0}
    clf = ViTMAEClassifier(patch=4, **sizes, **training, callbacks=[CountsAll()])
    grid = {"learning_rate": [1e-2, 1e-3, 1e-5]}
    options = {"checkpoint": tmp_path} if checkpoint else {}
    search = EpochHalvingSearchCV(clf, grid, cv=2, factor=2, **options).fit(X, y)
    assert (search.n_resources_, search.n_candidates_) == ([1, 2, 4], [3, 2, 1])
    assert len(EPOCHS) == 2 * (3 * 1 + 2 * 1 + 1 * 2) + 2 * 1 + 4
    train, test = next(iter(StratifiedKFold(2).split(X, y)))
    straight = clone(clf).set_params(**search.best_params_).fit(X[train], y[train])
    assert search.cv_results_["split0_test_score"][search.best_index_] == straight.score(X[test], y[test])
    assert search.best_estimator_.checkpoint is None
    assert_array_equal(search.predict_proba(X), clone(clf).set_params(**search.best_params_).fit(X, y).predict_proba(X))


def test_an_encoder_must_be_fitted(digits):
    for encoder in (ViTMAE(), pipeline(callbacks=None)[0].fit(digits[0])):  # clone would forget what it has learned
        with pytest.raises(ValueError, match=r"would train its encoder again .*FrozenEstimator\(encoder\)"):
            EpochHalvingSearchCV(ViTMAEClassifier(encoder), {"learning_rate": [1, 2]}).fit(*digits)


def test_a_checkpoint_is_that_of_what_was_frozen(digits, tmp_path):
    X, y = digits
    noise = np.random.RandomState(0).random(X.shape) * 16
    training = {"max_epochs": 2, "warmup_epochs": 0, "batch_size": 40, "random_state": 0, "device": "cpu"}
    for data in (X, noise):
        encoder = FrozenEstimator(pipeline(callbacks=None)[0].fit(data))
        clf = ViTMAEClassifier(encoder, **training)
        grid = {"learning_rate": [1e-2, 1e-3]}
        kept, fresh = (
            EpochHalvingSearchCV(clf, grid, cv=2, factor=2, refit=False, checkpoint=folder).fit(X, y)
            for folder in (tmp_path, None)
        )
        assert_same(kept, fresh)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_checkpoint_is_that_of_what_is_inside(digits, tmp_path):
    """An estimator within an estimator counts, and so do its parameters."""
    seen = []
    for inner in (LogisticRegression(C=1e-6), LogisticRegression(C=10), DummyClassifier(strategy="most_frequent")):
        pipe = pipeline(callbacks=None).set_params(clf=BaggingClassifier(inner, random_state=0))
        search = search_of(pipe=pipe, refit=False, checkpoint=tmp_path).fit(*digits)
        assert_same(search, search_of(pipe=pipe, refit=False).fit(*digits))
        seen.append(search.cv_results_["mean_test_score"])
    assert not np.array_equal(seen[0], seen[1])
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("first", [{"factor": 4}, {"min_epochs": 2}])
def test_a_classifier_that_another_search_took_farther(digits, tmp_path, first):
    sizes = {k: v for k, v in SIZES.items() if not k.startswith("decoder")}
    training = {"max_epochs": 4, "warmup_epochs": 0, "batch_size": 40, "device": "cpu", "random_state": 0}
    clf, grid = ViTMAEClassifier(patch=4, **sizes, **training), {"learning_rate": [1e-2, 3e-4, 1e-4]}
    options = {"cv": 2, "factor": 2, "refit": False}
    EpochHalvingSearchCV(clf, grid, checkpoint=tmp_path, **{**options, **first}).fit(*digits)
    second = EpochHalvingSearchCV(clf, grid, checkpoint=tmp_path, **options).fit(*digits)
    assert_same(second, EpochHalvingSearchCV(clf, grid, **options).fit(*digits))


def test_estimators_in_the_grid_are_copied(digits):
    of_models = {"mae": [pipeline(patch=patch)[0] for patch in (2, 4)]}
    whole, plain = (
        search_of(of_models, refit=False).fit(*digits),
        search_of({"mae__patch": [2, 4]}, refit=False).fit(*digits),
    )
    for name, values in scores(plain).items():
        assert_array_equal(scores(whole)[name], values)
    assert not any(model.__sklearn_is_fitted__() for model in of_models["mae"])
    search_of({"clf": [LogisticRegression(C=0.01), LogisticRegression(C=10)]}, refit=False).fit(*digits)
    with pytest.raises(ValueError, match=r"param_grid has mae=.*another max_epochs than the estimator, 6"):
        search_of({"mae": [pipeline(max_epochs=3)[0]]}).fit(*digits)


def test_functions_in_the_grid(digits):
    pipe = pipeline(callbacks=None)
    pipe.steps.insert(1, ("f", FunctionTransformer()))
    search = search_of({"f__func": [lambda Z: Z, np.tanh]}, pipe=pipe, refit=False).fit(*digits)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    without = search_of({"clf__C": [1.0, 2.0]}, pipe=pipeline(callbacks=None), refit=False).fit(*digits)
    assert search.cv_results_["mean_test_score"][0] == without.cv_results_["mean_test_score"][0]  # C=1 is the default


def test_a_failure_is_not_kept(digits, tmp_path, monkeypatch):
    run = Course._run

    def fails_once(*_):
        monkeypatch.setattr(Course, "_run", run)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Course, "_run", fails_once)
    with pytest.warns(FitFailedWarning, match="1 trainings out of 8 failed.*out of memory"):
        search_of(refit=False, checkpoint=tmp_path).fit(*digits)
    again = search_of(refit=False, checkpoint=tmp_path, error_score="raise").fit(*digits)
    assert_same(again, search_of(refit=False).fit(*digits))


def test_late_failures_are_told(digits, monkeypatch):
    run = Course._run

    def fails(self, trial, epochs, model):
        if epochs > 1:
            raise RuntimeError("late")
        return run(self, trial, epochs, model)

    monkeypatch.setattr(Course, "_run", fails)
    with (
        pytest.warns(FitFailedWarning, match="4 trainings out of 4 failed.*late"),
        pytest.raises(ValueError, match=r"All candidates failed\. The best of them said: RuntimeError: late"),
    ):
        search_of().fit(*digits)


def test_what_failed_does_not_win(digits):
    grid = {"mae__patch": [3, 2]}
    with pytest.warns(FitFailedWarning):
        search = search_of(grid, scoring="neg_log_loss", error_score=0).fit(*digits)
    assert search.best_params_ == {"mae__patch": 2}


def test_a_small_factor(digits):
    search = search_of(factor=1.5, refit=False, pipe=pipeline(max_epochs=8)).fit(*digits)
    assert search.n_resources_ == sorted(set(search.n_resources_))
    assert search.n_resources_[-1] == 8
    before, trained = 0, 0
    for epochs, n in zip(search.n_resources_, search.n_candidates_, strict=True):
        trained += 2 * n * (epochs - before)
        before = epochs
    assert len(EPOCHS) == trained + 2


def test_plan_leaves_what_fit_needs(digits):
    X, y = digits
    search = search_of(cv=StratifiedKFold(2).split(X, y), refit=False)
    assert search.plan(X, y)["epochs_in_all"].iloc[0] == 8
    assert_same(search.fit(X, y), search_of(refit=False).fit(X, y))
    groups = np.arange(len(X)) % 3
    by_group = search_of(cv=LeaveOneGroupOut(), refit=False)
    assert by_group.plan(X, y, groups=groups)["epochs_in_all"].iloc[0] == 12
    drawn = search_of(max_candidates=2, random_state=np.random.RandomState(0), refit=False)
    drawn.plan(X)
    expected = search_of(max_candidates=2, random_state=np.random.RandomState(0), refit=False).fit(X, y)
    assert drawn.fit(X, y).cv_results_["params"] == expected.cv_results_["params"]
    with pytest.raises(ValueError, match=r"cv=\[\] gives no splits"):
        search_of(cv=[]).fit(X, y)


def test_names_that_must_be_long():
    class Search(BaseEstimator):
        cv_results_ = {
            "params": [{"a__x": 1}, {"b__x": 1}],
            "n_resources": [1, 1],
            "mean_test_score": [0.1, 0.2],
        }

        def fit(self):
            """Nothing to do."""

    display = HalvingDisplay.from_estimator(Search())
    assert sorted(line.get_label() for line in display.lines_) == ["a__x=1", "b__x=1"]


def test_plan_counts_what_is_trained(digits):
    search = search_of(n_seeds=2)
    plan = search.plan(digits[0])
    assert not EPOCHS
    search.fit(*digits)
    assert plan["epochs_in_all"].sum() == len(EPOCHS)
    rungs = plan[plan["what"].str.startswith("rung")]
    assert list(rungs["epochs"]) == search.n_resources_
    assert list(rungs["candidates"]) == search.n_candidates_
    assert (plan["hours"] > 0).all()
    assert (plan["memory_gib"] > 0).all()
    assert isinstance(plan, pd.DataFrame)


def test_what_fails_goes_no_further(digits):
    grid = {"mae__patch": [2, 3, 4], "mae__mask": [0.5]}  # 3 does not divide 8
    with pytest.warns(FitFailedWarning, match=r"2 trainings out of 6 failed.*does not divide"):
        search = search_of(grid).fit(*digits)
    results = search.cv_results_
    assert np.isnan(results["mean_test_score"][1])
    assert {"mae__patch": 3, "mae__mask": 0.5} not in results["params"][3:]
    with pytest.raises(ValueError, match="does not divide"):
        search_of(grid, error_score="raise").fit(*digits)
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match=r"All candidates failed.*does not divide"):
        search_of({"mae__patch": [3, 5]}).fit(*digits)


def test_depths_are_not_compared_early(digits):
    grid = {"mae__encoder_layers": [1, 2]}
    with pytest.warns(UserWarning, match=r"mae__encoder_layers.* after 1 of 6 epochs.*min_epochs=2"):
        search_of(grid).plan(digits[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search_of(grid, min_epochs=2)._check(None)
        search_of({"mae__encoder_layers": [2]})._check(None)


@pytest.mark.parametrize(
    ("search", "kind", "text"),
    [
        (search_of(pipe=make_pipeline(LinearMAE(), LogisticRegression())), TypeError, "begins with LinearMAE.*Halving"),
        (search_of(min_epochs=7), ValueError, "min_epochs=7 is more than max_epochs=6"),
        (search_of(factor=1), ValueError, "'factor' parameter"),
        (
            search_of({"mae__max_epochs": [2, 3]}),
            ValueError,
            "searches 'mae__max_epochs'. Leave it out: set max_epochs",
        ),
        (search_of({"mae__random_state": [2, 3]}), ValueError, "searches 'mae__random_state'.*n_seeds"),
        (search_of({"mae__checkpoint": ["a"]}), ValueError, "pass checkpoint to the search"),
        (search_of(pipe=pipeline()[:1]), ValueError, "no predictor and scoring is None"),
        (search_of({"mae__patch": []}), ValueError, "mae__patch"),
    ],
)
def test_what_is_refused(digits, search, kind, text):
    with pytest.raises(kind, match=text):
        search.fit(*digits)


def test_a_line_for_each_rung(digits, capsys):
    search_of(verbose=1, refit=False).fit(*digits)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "rung 1/3: 4 candidates",
        "rung 2/3: 2 candidates",
        "rung 3/3: 1 candidates",
    ]
    assert lines[-1].endswith(" 0 s left")


def test_pictures(digits):
    search = search_of(n_seeds=2, random_state=0).fit(*digits)
    assert SearchDisplay.from_estimator(search).scores.shape == (2, 2)
    display = HalvingDisplay.from_estimator(search)
    lengths = sorted(len(line.get_xdata()) for line in display.lines_)
    assert lengths == [1, 1, 2, 3]
    longest = max(display.lines_, key=lambda line: len(line.get_xdata()))
    assert_array_equal(longest.get_xdata(), [1, 2, 6])
    assert longest.get_ydata()[-1] == search.best_score_
    assert display.control_line_.get_ydata()[0] == search.control_["mean_test_score"]
    display.figure_.canvas.draw()


def test_a_candidate_that_stops_early_is_trained(digits):
    X, y = digits
    stopper = EarlyStopping(monitor="train_loss", patience=2, threshold=0.9)
    sizes = {"embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2, "patch": 4}
    training = {"max_epochs": 6, "batch_size": 40, "augment": None, "device": "cpu", "random_state": 0}
    predictor = ViTMAEClassifier(**sizes, **training, callbacks=[stopper])
    search = EpochHalvingSearchCV(predictor, {"learning_rate": np.logspace(-3, -2, 2)}, cv=2)
    search.fit(X.reshape(-1, 8, 8), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).any()
    assert len(search.best_estimator_.history_) < 6
