"""Scores of a search over epochs as curves."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skmae._compat import import_optional
from skmae.inspection._plotting import COLOURS, figure_and_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

_NAMED = 6  # candidates that the legend names: those that came farthest


class HalvingDisplay:
    """Mean test score against epochs: a line for each candidate, which ends where it stopped.

    It is recommended to use `from_estimator`. The candidates that came farthest are in colour, and named.

    Parameters
    ----------
    curves : dict of str to (array-like, array-like)
        For each candidate, by name: epochs and scores.
    control : float or None, default=None
        Score of an untrained network, a dashed line.
    noise : float, default=nan
        Standard deviation between seeds: a band around the last score of the best.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
    control_line_ : matplotlib Line2D or None

    See Also
    --------
    skmae.EpochHalvingSearchCV : The search.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skmae.inspection import HalvingDisplay
    >>> curves = {"patch=2": ([1, 3, 9], [0.5, 0.6, 0.7]), "patch=4": ([1, 3], [0.5, 0.55])}
    >>> len(HalvingDisplay(curves, control=0.4).plot().lines_)
    2
    """

    figure_: "Figure | SubFigure"
    ax_: "Axes"
    lines_: "list[Line2D]"
    control_line_: "Line2D | None"

    def __init__(self, curves: dict[str, Any], *, control: float | None = None, noise: float = np.nan):
        self.curves = curves
        self.control = control
        self.noise = noise

    @classmethod
    def from_estimator(cls, search: Any, *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw a fitted search.

        Parameters
        ----------
        search : fitted EpochHalvingSearchCV
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        HalvingDisplay
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        if "n_resources" not in results:
            raise TypeError(
                f"{type(search).__name__} has no n_resources in cv_results_: its candidates were not compared along "
                f"the way. Pass a fitted EpochHalvingSearchCV."
            )
        names = _names(results["params"])
        curves: dict[str, tuple[list[float], list[float]]] = {}
        for name, epochs, score in zip(names, results["n_resources"], results["mean_test_score"], strict=True):
            along, scores = curves.setdefault(name, ([], []))
            along.append(epochs)
            scores.append(score)
        control = getattr(search, "control_", {}).get("mean_test_score")
        return cls(curves, control=control, noise=getattr(search, "noise_", np.nan)).plot(ax=ax, **kwargs)

    def plot(self, *, ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        self
        """
        if not self.curves:
            raise ValueError("curves is empty: nothing to draw. Pass one candidate at least.")
        self.figure_, self.ax_ = figure_and_axes(ax, self, figsize=(6, 4))
        farthest = sorted(self.curves, key=lambda name: (-len(self.curves[name][0]), -self.curves[name][1][-1]))
        self.lines_ = []
        for place, name in enumerate(farthest):
            named = {"color": COLOURS[place], "label": name} if place < _NAMED else {"color": "0.8", "zorder": 1}
            self.lines_ += self.ax_.plot(*self.curves[name], **{"marker": "o", **named, **kwargs})
        if np.isfinite(self.noise):
            epochs, scores = (np.asarray(values) for values in self.curves[farthest[0]])
            self.ax_.fill_between(
                epochs, scores - self.noise, scores + self.noise, color=COLOURS[0], alpha=0.15, linewidth=0
            )
        self.control_line_ = None
        if self.control is not None:
            self.control_line_ = self.ax_.axhline(self.control, color="0.4", linestyle="--", label="untrained")
        self.ax_.set(xlabel="Epoch", ylabel="Mean test score", xscale="log")
        ticker = import_optional("matplotlib.ticker", extra="plot", purpose="HalvingDisplay.plot")
        ticks = sorted({epoch for along, _ in self.curves.values() for epoch in along})
        self.ax_.set_xticks(ticks, [str(epoch) for epoch in ticks])
        self.ax_.xaxis.set_minor_locator(ticker.NullLocator())
        self.ax_.legend()
        return self


def _names(candidates: list[dict[str, Any]]) -> list[str]:
    """What each is called: by parameters without the names of their steps, where these can still be told apart."""
    long = [", ".join(f"{key}={value}" for key, value in each.items()) for each in candidates]
    short = [", ".join(f"{key.rpartition('__')[2]}={value}" for key, value in each.items()) for each in candidates]
    return short if len(set(short)) == len(set(long)) else long
