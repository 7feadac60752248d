"""Scores of a search over mask and patch as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skmae._compat import import_optional
from skmae.inspection._inputs import read_names, read_numbers
from skmae.inspection._plotting import ImageDisplay, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SearchDisplay(ImageDisplay):
    """Scores of a grid search, mask against patch.

    It is recommended to use `from_estimator`. The best cell is outlined; a cell without a score is left blank.

    Parameters
    ----------
    scores : ndarray of shape (n_patches, n_masks)
        Mean test score of each; NaN where there is none.
    masks : sequence of shape (n_masks,)
        Shares of patches hidden.
    patches : sequence of shape (n_patches,)
        Patch sizes in pixels.
    score_name : str, default="Mean test score"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
    text_ : ndarray of shape (n_patches, n_masks)
        The number in each cell, a matplotlib Text.

    See Also
    --------
    skmae.LinearMAESearchCV : The search.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmae import LinearMAE, LinearMAESearchCV
    >>> from skmae.inspection import SearchDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> grid = {"linearmae__mask": [0.25, 0.5, 0.75], "linearmae__patch": [1, 2, 4]}
    >>> search = LinearMAESearchCV(make_pipeline(LinearMAE(10), RidgeClassifier()), grid).fit(X, y)
    >>> display = SearchDisplay.from_estimator(search)
    >>> display.scores.shape
    (3, 3)
    """

    def __init__(
        self, scores: ArrayLike, *, masks: Sequence[Any], patches: Sequence[Any], score_name: str = "Mean test score"
    ):
        self.scores = scores
        self.masks = masks
        self.patches = patches
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, search: Any, *, metric: str = "score", ax: "Axes | None" = None, **kwargs: Any) -> Self:
        """Draw the scores of a fitted search.

        Parameters
        ----------
        search : fitted LinearMAESearchCV, or any of scikit-learn's searches
            Its `param_grid` holds a mask, a patch, or both. Of candidates that differ in something else, the best
            counts. Of several masks, or patches, that a candidate has, the first that was varied is drawn.
        metric : str, default="score"
            The scorer's name, where several were used.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.imshow``.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        ValueError
            If the search varied neither mask nor patch, or has no such metric.
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        if f"mean_test_{metric}" not in results:
            known = [key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_")]
            raise ValueError(f"metric must be one that the search used, {known}; got {metric!r}.")
        masks, mask_of = _values(search, "mask")
        patches, patch_of = _values(search, "patch")
        if not masks and not patches:
            raise ValueError(
                f"The search varied neither mask nor patch, but {sorted(results['params'][0])}: there is nothing to "
                f"draw against each other."
            )
        scores = np.full((max(len(patches), 1), max(len(masks), 1)), np.nan)
        for cell, score in zip(zip(patch_of, mask_of, strict=True), results[f"mean_test_{metric}"], strict=True):
            scores[cell] = np.fmax(scores[cell], score)
        name = "Mean test score" if metric == "score" else f"Mean test {metric}"
        return cls(scores, masks=masks or ["-"], patches=patches or ["-"], score_name=name).plot(ax=ax, **kwargs)

    def _picture(self) -> Picture:
        shape = len(read_names(self.patches, "patches")), len(read_names(self.masks, "masks"))
        scores = read_numbers(
            self.scores, "scores", shape, ", a row for each of patches and a column for each of masks"
        )
        size = (1.8 + scores.shape[1], 1.8 + scores.shape[0])
        return Picture(scores, size, {"cmap": "viridis", "aspect": "auto"}, bar={"label": self.score_name})

    def _annotate(self) -> None:
        self.ax_.set(xlabel="Mask (share of patches hidden)", ylabel="Patch (pixels)")
        self._name_cells(self.patches, self.masks)
        scores = read_numbers(self.scores, "scores")
        self._write_cells(scores, "{:.3g}")
        if np.isfinite(scores).any():
            row, column = np.unravel_index(np.nanargmax(scores), scores.shape)
            outline = {"fill": False, "edgecolor": "crimson", "linewidth": 2.5}
            rectangle = import_optional("matplotlib.patches", extra="plot", purpose="SearchDisplay.plot").Rectangle
            self.ax_.add_patch(rectangle((column - 0.5, row - 0.5), 1, 1, **outline))


def _values(search: Any, name: str) -> tuple[list[Any], list[int]]:
    """The distinct values of a parameter, sorted, and the place of each candidate's among them."""
    candidates = search.cv_results_["params"]
    keys = _searched(candidates, name)
    if not keys:
        return [], [0] * len(candidates)
    default = search.estimator.get_params().get(keys[0])
    values = [_plain(next((candidate[key] for key in keys if key in candidate), default)) for candidate in candidates]
    distinct = sorted(set(values), key=lambda value: np.mean(value) if value is not None else np.inf)
    place = {value: number for number, value in enumerate(distinct)}
    return distinct, [place[value] for value in values]


def _searched(candidates: list[dict[str, Any]], name: str) -> list[str]:
    """The keys under which candidates have a parameter, one for each step that has it; those that vary come first."""
    keys = dict.fromkeys(key for candidate in candidates for key in candidate if key.rpartition("__")[2] == name)
    values = {key: {_plain(candidate[key]) for candidate in candidates if key in candidate} for key in keys}
    return sorted(keys, key=lambda key: len(values[key]) == 1)


def _plain(value: Any) -> Any:
    """A number, or a tuple of numbers, that can be compared with others."""
    return tuple(np.asarray(value).tolist()) if np.ndim(value) else getattr(value, "item", lambda: value)()
