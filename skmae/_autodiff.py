"""Jacobians of torch functions: rows and products, in batches that fit a budget of memory.

n samples of d features; c vectors at a time.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import get_config
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.func import jvp, vjp, vmap
from torch.overrides import TorchFunctionMode

from skmae._samples import floating_dtype, row_blocks
from skmae._undisturbed import undisturbed

Function = Callable[[Tensor], Tensor]

_FORWARD_COST = 1.5  # a product with J takes this many times as long as one with its transpose
_CPU_BATCHES = {True: 64, False: 32}  # products with J, with its transpose, at a time: more fall out of a CPU's caches
_PEAK = 12  # activations, as large as the largest, that a product holds at its peak


class TorchLinearization:
    """The Jacobian of a torch function at some samples.

    Parameters
    ----------
    function : callable
        (m, d) → (m, d), each sample on its own.
    rows : ndarray of shape (n, d)
        The samples, which become tensors only when they are used. Results are of their type, float32 at least.
    like : Tensor
        Of the device and type that the function wants.
    inputs : ndarray of int
        Features that the function is taken to depend on: J is zero in the columns of others.
    batch_size : int or None
        Products (of a vector at a sample) at a time. None fills half of scikit-learn's ``working_memory``, and takes
        no more than pay.
    """

    shared = False

    @undisturbed()
    def __init__(
        self, function: Function, rows: np.ndarray, like: Tensor, inputs: np.ndarray, batch_size: int | None = None
    ):
        self.function = function
        self.samples = rows
        self.like = like
        self.inputs = inputs
        self.dtype = floating_dtype(rows)
        self.visible = torch.zeros(rows.shape[1]).to(like)  # (d,)
        self.visible[torch.from_numpy(inputs)] = 1
        self.batch_sizes = (
            dict.fromkeys((True, False), batch_size)
            if batch_size
            else _fitting_batches(function, self._images(slice(0, 1)))
        )

    def cheaper_inputs(self, n_outputs: int) -> np.ndarray | None:
        return self.inputs if _FORWARD_COST * len(self.inputs) < n_outputs else None

    @undisturbed()
    def rows(self, outputs: np.ndarray, samples: slice = slice(None)) -> np.ndarray:
        """(m, n_outputs, d), by products with the transpose of J."""
        images = self._images(samples)
        rows = np.empty((len(images), len(outputs), images.shape[1]), self.dtype)
        batch_size = self.batch_sizes[False]
        at_once = max(batch_size // max(len(outputs), 1), 1)
        for some in row_blocks(len(images), at_once):
            product = self._product(images[some], forward=False)
            for chunk in row_blocks(len(outputs), batch_size):
                units = _unit_vectors(outputs[chunk], images[some])  # (c, m, d)
                rows[some, chunk] = to_numpy(product(units)).swapaxes(0, 1)
        return rows

    def jvp(self, vectors: np.ndarray, sample: int) -> np.ndarray:
        return self._products(vectors, sample, forward=True)

    def vjp(self, vectors: np.ndarray, sample: int) -> np.ndarray:
        return self._products(vectors, sample, forward=False)

    def _images(self, samples: slice) -> Tensor:
        return to_tensor(self.samples[samples], self.like)

    @undisturbed()
    def _products(self, vectors: np.ndarray, sample: int, *, forward: bool) -> np.ndarray:
        images = self._images(slice(sample, sample + 1))
        product = self._product(images, forward=forward)
        columns = torch.as_tensor(np.ascontiguousarray(vectors.T)).to(images).unsqueeze(1)  # (k, 1, d)
        chunks = row_blocks(len(columns), self.batch_sizes[forward])
        results = [to_numpy(product(columns[chunk])[:, 0]) for chunk in chunks]
        return np.concatenate(results).T.astype(self.dtype, copy=False)

    def _product(self, images: Tensor, *, forward: bool) -> Function:
        """(c, m, d) vectors → (c, m, d), their products with J or with its transpose."""

        def push(vector: Tensor) -> Tensor:
            return jvp(self.function, (images,), (vector * self.visible,))[1]

        with _DifferentiableAttention():
            pull = None if forward else vjp(self.function, images)[1]

        def batched(vectors: Tensor) -> Tensor:
            with torch.no_grad(), _DifferentiableAttention():  # or PyTorch keeps what second derivatives would need
                return vmap(push)(vectors) if pull is None else vmap(pull)(vectors)[0] * self.visible

        return batched


class _DifferentiableAttention(TorchFunctionMode):
    """Attention as plain products: fused ones have neither forward derivatives nor batches of backward ones.

    Unlike ``sdpa_kernel``, it leaves alone what other threads do.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    *settings: Any,
    **others: Any,
) -> Tensor:
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill(~attn_mask, -torch.inf)
    math = torch.ops.aten._scaled_dot_product_attention_math
    return math(query, key, value, attn_mask, *settings, **others)[0]


def _unit_vectors(places: np.ndarray, images: Tensor) -> Tensor:
    """(c, m, d): for each place, the unit vector at every sample."""
    units = images.new_zeros(len(places), 1, images.shape[1])
    units[torch.arange(len(places)), 0, torch.as_tensor(places)] = 1
    return units.expand(-1, len(images), -1)


def _fitting_batches(function: Function, images: Tensor) -> dict[bool, int]:
    """Products with J (True) and with its transpose (False) at a time, that fit half of ``working_memory``."""
    if not len(images):
        return {True: 1, False: 1}
    budget = get_config()["working_memory"] * 2**20 / 2
    one, two = (list(_saved_bytes(function, images[:1].expand(n, -1))) for n in (1, 2))
    of_sample = [b - a for a, b in zip(one, two, strict=True)]  # weights are the same for two samples as for one
    each = _PEAK * max(of_sample, default=0) + 4 * images[0].nbytes
    fitting = max(int((budget - sum(of_sample)) // max(each, 1)), 1)
    on_cpu = images.device.type == "cpu"
    return {forward: min(fitting, most) if on_cpu else fitting for forward, most in _CPU_BATCHES.items()}


def _saved_bytes(function: Function, images: Tensor) -> Iterator[int]:
    """Sizes of what autograd keeps of one call."""
    sizes: list[int] = []

    def note(tensor: Tensor) -> None:  # and keep nothing: a tensor would hold the graph that holds it, for ever
        sizes.append(tensor.nbytes)

    with torch.enable_grad(), saved_tensors_hooks(note, lambda nothing: nothing), _DifferentiableAttention():
        function(images.detach().clone().requires_grad_())
    return iter(sizes)


def to_tensor(rows: np.ndarray, like: Tensor) -> Tensor:
    """A copy on the device and of the type of another tensor."""
    return torch.from_numpy(np.array(rows, np.float64 if like.dtype == torch.float64 else np.float32)).to(like)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """In float32 where NumPy lacks the type."""
    return (tensor if tensor.dtype == torch.float64 else tensor.float()).cpu().numpy()
