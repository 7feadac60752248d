"""How a training went."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skmae._compat import import_optional
from skmae.inspection._inputs import read_numbers
from skmae.inspection._plotting import COLOURS, CurveDisplay, without_short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class LossDisplay(CurveDisplay):
    """Loss against epoch: of training data a line, of validation data, where some was set aside, a dashed one.

    It is recommended to use `from_estimator`. Several trainings may share one axes: pass `ax`.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
    valid_loss : array-like of shape (n_epochs,) or None, default=None
        NaN where an epoch has none.
    name : str or None, default=None
        For the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        Of the training data.
    valid_line_ : matplotlib Line2D or None

    See Also
    --------
    skmae.ViTMAE : ``net_params={"train_split": skorch.dataset.ValidSplit(10)}`` sets data aside.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from skmae.inspection import LossDisplay
    >>> display = LossDisplay([0.9, 0.7, 0.6], name="a run").plot()
    >>> LossDisplay([0.8, 0.6, 0.5], [0.9, 0.8, 0.7], name="another").plot(ax=display.ax_).valid_line_
    <matplotlib.lines.Line2D object at ...>
    """

    _labels = {"xlabel": "Epoch", "ylabel": "Loss"}
    valid_line_: "Line2D | None"

    def __init__(self, train_loss: ArrayLike, valid_loss: ArrayLike | None = None, *, name: str | None = None):
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, name: str | None = None, ax: "Axes | None" = None, **kwargs: Any
    ) -> Self:
        """Draw how an estimator was trained.

        Parameters
        ----------
        estimator : fitted ViTMAE, ViTMAEClassifier, ViTMAERegressor or other estimator with ``history_``
        name : str or None, default=None
            For the legend.
        ax : matplotlib Axes or None, default=None
        **kwargs
            For ``Axes.plot``.

        Returns
        -------
        LossDisplay

        Raises
        ------
        TypeError
            If the estimator has no ``history_``: linear models are solved, not trained.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"{type(estimator).__name__} has no history_: it was not trained epoch by epoch. Pass a fitted ViTMAE, "
                f"ViTMAEClassifier or ViTMAERegressor."
            )
        train, valid = (
            [row.get(key, np.nan) for row in estimator.history_.to_list()] for key in ("train_loss", "valid_loss")
        )
        return cls(train, None if np.isnan(valid).all() else valid, name=name).plot(ax=ax, **kwargs)

    def _draw(self, style: dict[str, Any]) -> None:
        colour = COLOURS[self._n_runs() % len(COLOURS)]
        super()._draw({"color": colour} | without_short_names(style))
        ticker = import_optional("matplotlib.ticker", extra="plot", purpose="LossDisplay.plot")
        self.ax_.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        self.valid_line_ = None
        if self.valid_loss is not None:
            epochs, _ = self._curve()
            losses = read_numbers(self.valid_loss, "valid_loss", np.shape(epochs), ", an entry for each of train_loss")
            label = "validation" if self.name is None else f"{self.name}, validation"
            dashed: dict[str, Any] = {"color": self.line_.get_color(), "linestyle": "--", "label": label}
            (self.valid_line_,) = self.ax_.plot(epochs, losses, **dashed)
            self.ax_.legend()

    def _n_runs(self) -> int:
        """Trainings that the axes show already: each has one line that is not dashed."""
        return sum(line.get_linestyle() != "--" for line in self.ax_.lines)

    def _curve(self) -> tuple[ArrayLike, ArrayLike]:
        losses = read_numbers(self.train_loss, "train_loss", (None,))
        return np.arange(1, len(losses) + 1), losses
