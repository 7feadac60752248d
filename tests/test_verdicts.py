"""The verdicts on the paper's claims follow from the interval, the margin and what the paper says."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.paper._findings import UNDECIDED, Estimate, Finding, each, mean_by, mean_of, spearmans


def finding(estimate, sign=1, **other):
    return Finding("0", "a claim", "a statistic", estimate, sign, "script", **other).row()


def interval(low, high):
    return Estimate((low + high) / 2, low, high, "t", 3, "seeds")


@pytest.mark.parametrize(
    ("low", "high", "sign", "verdict"),
    [
        (0.01, 0.02, 1, "reproduced"),
        (-0.02, -0.01, 1, "contradicted"),
        (-0.02, -0.01, -1, "reproduced"),
        (-0.01, 0.02, 1, UNDECIDED),
        (-0.002, 0.002, 1, "no difference"),
        (-0.002, 0.002, 0, "reproduced"),
        (0.004, 0.005, 0, "contradicted"),
        (0.002, 0.005, 0, UNDECIDED),
        (np.nan, np.nan, 1, UNDECIDED),
    ],
)
def test_the_interval_decides(low, high, sign, verdict):
    assert finding(interval(low, high), sign, margin=0.003)["verdict"] == verdict


def test_what_the_size_cannot_show_is_not_contradicted():
    row = finding(interval(-0.02, -0.01), needs="a larger model", is_too_small=True)
    assert (row["verdict"], row["decided_by"]) == (UNDECIDED, "a larger model")
    assert finding(interval(0.01, 0.02), needs="a larger model", is_too_small=True)["decided_by"] == ""


def test_exact_results_are_counted():
    assert finding(each([1, 2, 3], "settings"))["verdict"] == "reproduced"
    assert finding(each([1, -2, 3], "settings"))["verdict"] == "in 2 of 3"
    assert finding(each([1, 2, 3], "settings"), -1, than=0.5)["verdict"] == "contradicted"


def test_the_size_that_would_decide_makes_the_interval_short_enough():
    # half of it is twice the value: four times as many halve it
    assert finding(interval(-1, 3))["decided_by"] == "about 12 seeds"
    assert finding(mean_of([0.1], "seeds"))["decided_by"] == "3 seeds at least"


def test_a_cluster_counts_once():
    index = pd.MultiIndex.from_product([(0, 1, 2), (2, 4, 8)], names=["seed", "patch"])
    estimate = mean_by(pd.Series(np.arange(9.0), index=index), "seed", "seeds")
    assert (estimate.n, estimate.value) == (3, 4)
    assert estimate.low < 0  # of nine values it would not be


def test_correlations_are_of_each_group():
    table = pd.DataFrame({"seed": [0, 0, 0, 1, 1, 1], "a": [1, 2, 3, 1, 2, 3], "b": [1, 2, 3, 3, 2, 1]})
    assert spearmans(table.groupby("seed"), "a", "b").tolist() == pytest.approx([1, -1])
