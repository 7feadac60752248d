"""A short slice of every campaign finds nothing; a wrong answer, a warning, and something printed are found."""

import os
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from stress import _frame
from stress._frame import Failure, Trial, campaigns, run


@pytest.mark.parametrize("campaign", campaigns())
def test_a_slice_of_each_campaign_finds_nothing(campaign):
    outcome = run(campaign, cases=campaigns()[campaign].SLICE, verbose=True)
    assert outcome.n_cases == campaigns()[campaign].SLICE
    assert outcome.cells
    assert not outcome.failures


class Planted:
    """A campaign whose third case has a fault."""

    BUDGET = 5

    def __init__(self, fault):
        self.fault = fault

    def case(self, trial):
        trial.cell("planted", "float64", "C", trial.number)
        if trial.number == 2:
            self.fault()


def wrong():
    raise Failure("wrong")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (wrong, "Failure: wrong"),
        (lambda: warnings.warn("overflow", RuntimeWarning, stacklevel=2), "RuntimeWarning: overflow"),
        (lambda: np.log(np.zeros(1)), "RuntimeWarning: divide by zero"),
        (lambda: os.write(2, b"** On entry to DGEMM, parameter 8 had an illegal value"), "printed: '.*illegal value"),
        (lambda: {}[0], "KeyError: 0"),
    ],
)
def test_a_planted_fault_is_found_under_its_number(fault, text, monkeypatch):
    monkeypatch.setattr(_frame, "campaigns", lambda: {"planted": Planted(fault)})
    outcome = run("planted")
    assert outcome.n_cases == 5
    [(number, error)] = outcome.failures
    assert number == 2
    assert re.match(text, error)
    assert outcome.failed == {("planted", "float64", "C", "2"): 1}
    assert len(run("planted", stop_at_failure=True).cells) == 3


def test_a_case_is_the_same_whenever_it_is_run():
    assert Trial("linear", 3, 7).rng.random() == Trial("linear", 3, 7).rng.random()
    others = [Trial("linear", 3, 8), Trial("linear", 4, 7), Trial("moments", 3, 7)]
    assert Trial("linear", 3, 7).rng.random() not in [other.rng.random() for other in others]


def test_a_case_writes_nothing_where_the_campaign_was_started(tmp_path, monkeypatch):
    seen = []

    def write():
        seen.append(Path("last.pt").absolute())
        seen[0].touch()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_frame, "campaigns", lambda: {"planted": Planted(write)})
    assert not run("planted").failures
    assert Path.cwd() == tmp_path
    assert not any(tmp_path.iterdir())
    assert not seen[0].parent.exists()
