"""A claim of the paper against results: a statistic, its interval, a verdict, and what would decide it."""

from dataclasses import dataclass
from math import ceil, inf, isfinite, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, spearmanr, ttest_1samp

POINTS = 0.003  # of accuracy: the smallest difference between models that the paper speaks of
UNDECIDED = "not decidable at this size"


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, of which kind that is, and from how many of what."""

    value: float
    low: float
    high: float
    kind: str
    n: int
    of: str
    values: np.ndarray | None = None  # of each, where they are counted


def each(values: Any, of: str) -> Estimate:
    """Results that are exact, or properties of single runs: nothing is inferred from them, they are counted."""
    array = np.asarray(values, dtype=float)
    return Estimate(float(array.mean()), float(array.min()), float(array.max()), "range", len(array), of, array)


def mean_of(values: Any, of: str) -> Estimate:
    """The mean of independent results, by Student's t."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2:
        return Estimate(float(array.mean()), nan, nan, "none", len(array), of)
    low, high = ttest_1samp(array, 0).confidence_interval()
    return Estimate(float(array.mean()), float(low), float(high), "t", len(array), of)


def mean_by(values: pd.Series, cluster: str, of: str) -> Estimate:
    """The same where results of a cluster (a level of the index) are alike: the mean of the clusters' means."""
    return mean_of(values.groupby(level=cluster).mean(), of)


def spearman(table: pd.DataFrame) -> float:
    """Of two columns."""
    a, b = table.to_numpy().T
    return float(spearmanr(a, b).statistic) if np.ptp(a) and np.ptp(b) else nan


def spearmans(groups: Any, a: str, b: str) -> np.ndarray:
    """The same in each group."""
    return np.array([spearman(group[[a, b]]) for _, group in groups])


def resampled(table: pd.DataFrame, clusters: pd.Series, of: str) -> Estimate:
    """Spearman's correlation of two columns, whole clusters of rows drawn anew (bootstrap)."""
    parts = [rows for _, rows in table.groupby(clusters.to_numpy())]

    def correlation(chosen: np.ndarray) -> float:
        return spearman(pd.concat([parts[i] for i in chosen.astype(int)]))

    drawn = bootstrap(
        (np.arange(len(parts)),), correlation, vectorized=False, method="percentile", n_resamples=2000, rng=0
    ).bootstrap_distribution
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(spearman(table), float(low), float(high), "bootstrap", len(parts), of)


@dataclass(frozen=True)
class Finding:
    """The paper says that `estimate` is above `than` (`sign` 1), below it (-1), or within `margin` of it (0)."""

    figure: str
    claim: str
    statistic: str
    estimate: Estimate
    sign: int
    script: str
    than: float = 0
    margin: float = 0
    needs: str = ""  # what would decide it, if more of the same would not
    is_too_small: bool = False  # so that only agreement counts

    def row(self) -> dict[str, Any]:
        own, verdict = self.estimate, self._verdict()
        of = own.of if own.n > 1 else own.of.removesuffix("s")
        return {
            "figure": self.figure,
            "claim": self.claim,
            "statistic": self.statistic,
            **{name: round(getattr(own, name), 4) for name in ("value", "low", "high")},
            "interval": own.kind,
            "n": own.n,
            "of": of,
            "than": self.than,
            "margin": self.margin,
            "verdict": verdict,
            "decided_by": "" if verdict == "reproduced" else self.needs or self._size(verdict),
            "command": f"python -m benchmarks.paper.{self.script}",
        }

    def _verdict(self) -> str:
        verdict = self._count() if self.estimate.kind == "range" else self._infer()
        return UNDECIDED if self.is_too_small and verdict != "reproduced" else verdict

    def _count(self) -> str:
        assert self.estimate.values is not None
        agree = int((self.sign * (self.estimate.values - self.than) > 0).sum())
        if agree in (0, self.estimate.n):
            return "reproduced" if agree else "contradicted"
        return f"in {agree} of {self.estimate.n}"

    def _infer(self) -> str:
        low, high = self.estimate.low - self.than, self.estimate.high - self.than
        if not isfinite(low):
            return UNDECIDED
        if -self.margin < low and high < self.margin:
            return "no difference" if self.sign else "reproduced"
        if self.sign == 0:
            return "contradicted" if low > self.margin or high < -self.margin else UNDECIDED
        low, high = sorted((self.sign * low, self.sign * high))
        return "reproduced" if low > 0 else "contradicted" if high < 0 else UNDECIDED

    def _size(self, verdict: str) -> str:
        """How many would make the interval short enough, if value and spread stay."""
        own = self.estimate
        if verdict != UNDECIDED:
            return ""
        if not isfinite(own.low):
            return f"3 {own.of} at least"
        distance = abs(own.value - self.than)
        gap = max(distance, self.margin - distance) if self.sign else abs(self.margin - distance)
        half = (own.high - own.low) / 2
        needed = own.n * (half / gap) ** 2 if gap else inf
        return f"about {ceil(needed)} {own.of}" if needed < 1000 else f"more than 1000 {own.of}"


def differences(table: pd.DataFrame, axis: str, high: Any, low: Any, value: str, others: list[str]) -> pd.Series:
    """Of a value, between two levels of an axis, all else the same; indexed by all else."""
    levels = [table[table[axis] == level].set_index(others)[value] for level in (high, low)]
    return (levels[0] - levels[1]).dropna()
