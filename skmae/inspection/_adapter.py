"""Any torch function that reconstructs, as an autoencoder that can be inspected."""

from collections.abc import Callable
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skmae._autodiff import TorchLinearization
from skmae._compat import Interval, _fit_context
from skmae._constraints import GRID
from skmae._estimator import GridEstimator
from skmae._grid import PatchGrid
from skmae._rows import check_finite, floating_dtype, row_blocks

_BATCH = 256


class TorchAutoencoder(GridEstimator):
    """A trained torch module, or any torch function that reconstructs, as scikit-learn sees it.

    It learns nothing: `fit` notes the shape of a sample. It can then be given to `JacobianBasis` and to the functions
    of this module.

    Parameters
    ----------
    function : callable
        ``function(images)`` or, with `takes_visible`, ``function(images, visible)``, from a float tensor of shape
        (n_samples, \\*image_shape) to one of the same shape, or flattened; each sample on its own. A module must be in
        ``eval()`` mode. `visible` is a bool tensor of shape (n_patches,), or None where nothing is hidden.
    image_shape : tuple of int or None, default=None
        Shape of one sample, channels included; None takes it from X, see `LinearMAE`.
    channel_axis : "auto", int or None, default="auto"
        Axis of one sample that holds its channels, see `LinearMAE`.
    patch : int or tuple of int, default=1
        Pixels of a patch along each axis: what is hidden at once.
    mask : float, default=0
        Share of patches that `sample_visible` hides.
    takes_visible : bool, default=False
        Whether the function is told what is visible. If not, hidden pixels are set to zero before it is called.

    Attributes
    ----------
    image_shape_ : tuple of int
    channel_axis_ : int or None
    patch_ : tuple of int
    mask_ : float
        Share of patches that are hidden by a whole number of them.
    n_features_in_ : int

    See Also
    --------
    JacobianBasis : What it is for.

    Notes
    -----
    Derivatives come from ``torch.func``; operations that these do not know (in-place changes of inputs, random numbers)
    raise PyTorch's errors. Weights decide on device and precision.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skmae import JacobianBasis
    >>> from skmae.inspection import TorchAutoencoder
    >>> X = load_digits().images
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 64)
    ... ).eval()
    >>> basis = JacobianBasis(TorchAutoencoder(module), outputs="all").fit(X)
    >>> basis.jacobian(X[:3]).shape
    (3, 64, 64)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "function": [callable],
        **GRID,
        "patch": ["array-like", Interval(Real, 1, None, closed="left")],
        "mask": [Interval(Real, 0, 1, closed="left")],
        "takes_visible": ["boolean"],
    }

    def __init__(
        self,
        function: Callable[..., Tensor],
        *,
        image_shape: tuple[int, ...] | None = None,
        channel_axis: Any = "auto",
        patch: int | tuple[int, ...] = 1,
        mask: float = 0.0,
        takes_visible: bool = False,
    ):
        self.function = function
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.patch = patch
        self.mask = mask
        self.takes_visible = takes_visible

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Note the shape of a sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X does not fit `image_shape`.
        """
        self._check_rows(X, reset=True)
        self._grid = PatchGrid.build(self.image_shape_, self.channel_axis_, self.patch)
        self.patch_ = self._grid.patch_shape
        self.mask_ = 1 - self._grid.count_visible(self.mask) / self._grid.n_patches
        return self

    def reconstruct(self, X: Any, visible: Any = None) -> np.ndarray:
        """What the function makes of samples of which a part is visible.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            One mask for all samples: per patch, per pixel or per feature; with `takes_visible`, per patch. None hides
            nothing.

        Returns
        -------
        ndarray
            In the shape that X came in.

        Raises
        ------
        ValueError
            If `visible` does not fit, or the function gives another shape.
        """
        shape = tuple(X.shape) if hasattr(X, "shape") else np.shape(X)
        rows, images, function, _ = self._prepare(X, visible)
        with torch.no_grad():
            parts = [function(images[some]).cpu().numpy() for some in row_blocks(len(images), _BATCH)]
        return np.concatenate(parts).astype(floating_dtype(rows), copy=False).reshape(shape)

    def linearize(self, X: Any, visible: Any = None, *, batch_size: int | None = None) -> TorchLinearization:
        """The derivative of `reconstruct` at samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            As in `reconstruct`.
        batch_size : int or None, default=None
            Products with the Jacobian at a time. None fills half of scikit-learn's ``working_memory``.

        Returns
        -------
        TorchLinearization

        Raises
        ------
        ValueError
            As `reconstruct`.
        """
        _, images, function, seen = self._prepare(X, visible)
        return TorchLinearization(function, images, np.flatnonzero(seen), batch_size)

    def sample_visible(self, n_samples: int, random_state: Any = None) -> np.ndarray:
        """Draw what is visible of `n_samples` samples: the same number of patches of each.

        Parameters
        ----------
        n_samples : int
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of bool of shape (n_samples, n_patches)
        """
        check_is_fitted(self)
        level = check_random_state(random_state).random_sample((n_samples, self._grid.n_patches))
        return level.argsort(axis=1).argsort(axis=1) < self._grid.count_visible(self.mask)

    def _prepare(self, X: Any, visible: Any) -> tuple[np.ndarray, Tensor, Callable[[Tensor], Tensor], np.ndarray]:
        """Rows as they came and as a tensor, the function on such rows, and which features are visible."""
        check_is_fitted(self)
        rows = self._check_rows(X, reset=False)
        check_finite(rows)
        like = self._any_weight()
        images = torch.as_tensor(np.array(rows, floating_dtype(rows)))
        images = images if like is None else images.to(like)
        units = None if visible is None else self._grid.read_visible(visible, 1)
        seen = np.ones(rows.shape[1], bool) if units is None else self._grid.per_feature(units)[0]
        keep = torch.as_tensor(seen).to(images)
        told = None if units is None else self._told(units).to(images.device)

        def function(batch: Tensor) -> Tensor:
            shape = (len(batch), *self.image_shape_)
            if self.takes_visible:
                out = self.function(batch.reshape(shape), told)
            else:
                out = self.function((batch * keep).reshape(shape))
            if out.numel() != batch.numel() or len(out) != len(batch):
                raise ValueError(
                    f"function gives shape {tuple(out.shape)} for images of shape {shape}; it must give the same "
                    f"shape, or flat rows {tuple(batch.shape)}."
                )
            return out.reshape(batch.shape)

        return rows, images, function, seen

    def _told(self, units: np.ndarray) -> Tensor:
        n_patches = self._grid.n_patches
        if units.shape[1] != n_patches:
            raise ValueError(
                f"visible has {units.shape[1]} values; a function that takes what is visible is told per patch: pass "
                f"({n_patches},)."
            )
        return torch.as_tensor(units[0])

    def _any_weight(self) -> Tensor | None:
        weights = getattr(self.function, "parameters", lambda: iter(()))()
        return next((weight for weight in weights if weight.is_floating_point()), None)

    def __sklearn_is_fitted__(self) -> bool:
        return "patch_" in self.__dict__
