"""Curves that share an axes: influence, autocorrelation and spectra, each against a distance or a frequency."""

from typing import Any

from skmae._compat import import_optional
from skmae.inspection._displays._pictures import axes_for

# Okabe and Ito's colours, told apart by colour-blind readers
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_curve(display: Any, x: Any, y: Any, *, ax: Any, labels: dict[str, str], name: str | None, style: Any) -> None:
    """Set ``figure_``, ``ax_`` and ``line_`` of a display; the next colour of an axes that is drawn in again."""
    display.figure_, display.ax_ = axes_for(ax, type(display).__name__, figsize=(5, 3.5))
    colour = COLOURS[len(display.ax_.lines) % len(COLOURS)]
    (display.line_,) = display.ax_.plot(x, y, **{"color": colour, "label": name, **_full_names(style)})
    display.ax_.set(**labels)
    if name is not None:
        display.ax_.legend()


def _full_names(style: dict[str, Any]) -> dict[str, Any]:
    """Keywords of a line without the short forms, such as c for color, that Matplotlib won't have beside the long."""
    cbook, lines = (
        import_optional(f"matplotlib.{module}", extra="plot", purpose="A curve") for module in ("cbook", "lines")
    )
    return cbook.normalize_kwargs(style, lines.Line2D)
