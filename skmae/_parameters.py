"""Parameters that several estimators have: what is allowed, and what they mean, each written once."""

import re
from numbers import Integral, Real
from textwrap import dedent, indent
from typing import Any, TypeVar

from skmae._compat import Interval, StrOptions
from skmae._typing import Constraints

Documented = TypeVar("Documented", bound=Any)

GRID: Constraints = {
    "image_shape": [tuple, list, None],
    "channel_axis": [StrOptions({"auto"}), Integral, None],
}
MASKING: Constraints = {
    "mask": [Interval(Real, 0, 1, closed="left")],
    "patch": [Interval(Integral, 1, None, closed="left"), tuple, list],
    "mask_sampling": [StrOptions({"bernoulli", "exact"}), callable],
}


def shared_docs(texts: dict[str, str]) -> Any:
    """Fill in a docstring: a line ``%(name)s`` becomes the text of that name, indented as the line was."""

    def fill(documented: Documented) -> Documented:
        if documented.__doc__:  # python -OO leaves none
            documented.__doc__ = re.sub(r"(?m)^( *)%\((\w+)\)s$", replace, documented.__doc__)
        return documented

    def replace(line: re.Match[str]) -> str:
        return indent(dedent(texts[line[2]]).strip(), line[1])

    return fill


GRID_DOCS = {
    "image_shape": """
        image_shape : tuple of int or None, default=None
            Shape of one sample, channels included. None takes it from X if X has more than two axes; flat rows are
            read as a square image, a square RGB image, or a 1-D signal. That guess can be wrong (a signal of 1024
            samples, channel-first rows): pass image_shape unless the images are square, and channel_axis=0 if
            channels come first.
        """,
    "channel_axis": """
        channel_axis : "auto", int or None, default="auto"
            Axis of one sample (not of X) that holds its channels; all channels of a pixel are hidden together.
            "auto": the last of 3 axes if its size is at most 4, the last of 4 axes, none of 1 or 2 axes. Pass 0 if
            channels come first.
        """,
    "mask_sampling": """
        mask_sampling : {"bernoulli", "exact"}, sampler or callable, default="%(default)s"
            Which patches are hidden. "bernoulli": each with probability `mask`, independently, as in the paper.
            "exact": the same number in every sample, as training code does; round((1 - mask) * n_patches) stay
            visible, at least one. Or an object of `skmae.masking`, such as `skmae.masking.Blocks`; or any function
            ``(n_samples, grid, mask, random_state)`` that returns a bool array of shape (n_samples, n_patches), True
            where visible, see `skmae.masking.Sampled`.
        """,
}
