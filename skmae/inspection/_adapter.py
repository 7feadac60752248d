"""Any torch function that reconstructs, as an autoencoder that can be inspected."""

from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any, Self, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skmae._autodiff import TorchLinearization, to_numpy, to_tensor
from skmae._compat import Interval, _fit_context
from skmae._estimator import GridEstimator
from skmae._grid import PatchGrid
from skmae._parameters import GRID
from skmae._samples import Samples, floating_dtype, refuse_not_finite, row_blocks
from skmae._typing import Array, BoolArray, ChannelAxis, Constraints, Floats, IntArray, Patch, RandomState, Shape
from skmae.masking import ExactCount, draw_visible, read_visible

_BATCH = 256
_MASKS = ExactCount()


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
        Whether the function takes `visible`. If not, hidden pixels are set to zero before it is called.
    dtype : torch.dtype or None, default=None
        Type of the tensors that the function gets. None takes that of a module's weights; of a plain function's images,
        float64 where X is and float32 otherwise.
    device : str, torch.device or None, default=None
        Where it gets them. None is where a module's weights are, else the CPU.

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
    raise PyTorch's errors. A module's weights decide on device and precision; results come in float32, or float64
    where X is. The Jacobian's columns of hidden features are zero, even if the function reads what it should not see.

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

    _parameter_constraints: Constraints = {
        "function": [callable],
        **GRID,
        "patch": ["array-like", Interval(Real, 1, None, closed="left")],
        "mask": [Interval(Real, 0, 1, closed="left")],
        "takes_visible": ["boolean"],
        "dtype": [torch.dtype, None],
        "device": [str, torch.device, None],
    }

    def __init__(
        self,
        function: Callable[..., Tensor],
        *,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        patch: Patch = 1,
        mask: float = 0.0,
        takes_visible: bool = False,
        dtype: torch.dtype | None = None,
        device: Any = None,
    ):
        self.function = function
        self.image_shape = image_shape
        self.channel_axis = channel_axis
        self.patch = patch
        self.mask = mask
        self.takes_visible = takes_visible
        self.dtype = dtype
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002
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
            If X does not fit `image_shape`, or holds NaN or infinity; if the function is a module in ``train()`` mode.
        """
        _refuse_training(self.function)
        samples = self._as_samples(X)
        samples.check_finite()
        self._grid = PatchGrid.build(*self._resolve_shape(samples.n_features, samples.sample_shape), self.patch)
        samples.record(self)
        self.image_shape_, self.channel_axis_ = self._grid.image_shape, self._grid.channel_axis
        self.patch_ = self._grid.patch_shape
        self.mask_ = 1 - cast(int, _MASKS.n_visible(self._grid, self.mask)) / self._grid.n_patches
        return self

    def reconstruct(self, X: ArrayLike, visible: ArrayLike | None = None) -> Floats:
        """What the function makes of samples of which a part is visible.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, \\*image_shape)
        visible : array-like of bool, default=None
            Per patch, per pixel or per feature, for all samples or with a leading axis of n_samples; with
            `takes_visible`, per patch. None hides nothing.

        Returns
        -------
        ndarray
            In the shape that X came in.

        Raises
        ------
        ValueError
            If `visible` does not fit, or the function gives another shape; if it is a module in ``train()`` mode.
        """
        samples_read = self._as_samples(X)
        rows = self._read(samples_read)
        masks = None if visible is None else read_visible(self._grid, visible, len(rows))
        out = np.empty(rows.shape, floating_dtype(rows))
        like = self._like(rows)
        for mask, samples in _samples_of_each(masks, len(rows)):
            function, _ = self._bind(mask, like)
            for part in row_blocks(len(samples), _BATCH):
                with torch.no_grad():
                    result = function(to_tensor(rows[samples[part]], like))
                out[samples[part]] = to_numpy(result)
        return out.reshape(samples_read.original_shape)

    def linearize(
        self, X: ArrayLike, visible: ArrayLike | None = None, *, batch_size: int | None = None
    ) -> TorchLinearization:
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
        rows = self._read(X)
        like = self._like(rows)
        mask = None if visible is None else read_visible(self._grid, visible, 1)[0]
        function, visible_features = self._bind(mask, like)
        return TorchLinearization(function, rows, like, np.flatnonzero(visible_features), batch_size)

    def sample_visible(self, n_samples: int, random_state: RandomState = None) -> BoolArray:
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
        return draw_visible(_MASKS, n_samples, self._grid, self.mask, random_state)

    def _read(self, X: ArrayLike | Samples) -> Array:
        rows = self._as_fitted_samples(X).rows()
        refuse_not_finite(rows)
        return rows

    def _like(self, rows: Array) -> Tensor:
        """Of the device and type that the function wants: as the parameters say, as its weights, or as X."""
        weights = getattr(self.function, "parameters", lambda: iter(()))()
        weight = next((weight for weight in weights if weight.is_floating_point()), None)
        dtype = torch.float64 if rows.dtype.kind == "f" and rows.dtype.itemsize >= 8 else torch.float32
        like = torch.empty((), dtype=dtype) if weight is None else torch.empty_like(weight[:0])
        return like.to(device=self.device, dtype=self.dtype)

    def _bind(self, mask: BoolArray | None, like: Tensor) -> tuple[Callable[[Tensor], Tensor], BoolArray]:
        """The function on rows, under one mask (per patch, pixel or feature) or none; which features are visible."""
        _refuse_training(self.function)
        n_features = self._grid.n_features
        visible = np.ones(n_features, bool) if mask is None else self._grid.per_feature(mask[np.newaxis])[0]
        weight = torch.from_numpy(np.array(visible)).to(like)
        argument = self._visible_argument(mask, like.device) if self.takes_visible else None

        def function(batch: Tensor) -> Tensor:
            shape = (len(batch), *self.image_shape_)
            if self.takes_visible:
                out = self.function(batch.reshape(shape), argument)
            else:
                out = self.function((batch * weight).reshape(shape))
            if not isinstance(out, Tensor):
                raise TypeError(
                    f"function gives a {type(out).__name__}; it must give the reconstruction itself, a Tensor. Wrap "
                    f"it: TorchAutoencoder(lambda images: model(images)[0]), say."
                )
            if out.numel() != batch.numel() or len(out) != len(batch):
                raise ValueError(
                    f"function gives shape {tuple(out.shape)} for images of shape {shape}; it must give the same "
                    f"shape, or flat rows {tuple(batch.shape)}."
                )
            return out.reshape(batch.shape)

        return function, visible

    def _visible_argument(self, mask: BoolArray | None, device: torch.device) -> Tensor | None:
        """What a function that takes `visible` gets."""
        n_patches = self._grid.n_patches
        if mask is None:
            return None
        if len(mask) != n_patches:
            raise ValueError(
                f"visible has {len(mask)} values; a function that takes what is visible is told per patch: pass "
                f"({n_patches},)."
            )
        return torch.tensor(mask, device=device)

    def __sklearn_is_fitted__(self) -> bool:
        return "patch_" in self.__dict__


def _refuse_training(function: object) -> None:
    """Refuse a module, or a method of one, that draws random numbers or depends on the other samples of a batch."""
    module = getattr(function, "__self__", function)
    if isinstance(module, torch.nn.Module) and any(part.training for part in module.modules()):
        raise ValueError(
            f"function is a {type(module).__name__} in train() mode, or with a part that is, whose dropout and batch "
            f"norms make results random. Call its eval() first: TorchAutoencoder(module.eval())."
        )


def _samples_of_each(masks: BoolArray | None, n_samples: int) -> Iterator[tuple[BoolArray | None, IntArray]]:
    """Different masks, and the samples that have each."""
    if masks is None or len(masks) == 1:
        yield None if masks is None else masks[0], np.arange(n_samples)
        return
    different, which = np.unique(masks, axis=0, return_inverse=True)
    for number, mask in enumerate(different):
        yield mask, np.flatnonzero(which.ravel() == number)
