"""Code that knows of no generator is given one, and one type of numbers; PyTorch's global state is left alone.

Both hold in the thread that asks for them, and nowhere else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_WITH_GENERATOR = {"default": "generator", "low": "low_generator"}  # overloads that take one beside those that do not
_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.linspace}


class DrawingFrom(TorchDispatchMode):
    """Let all that would draw from PyTorch's global generators draw from these.

    What draws by fused kernels of a GPU that take no generator (dropout within attention) is left as it is.

    Parameters
    ----------
    *generators : torch.Generator
        For a kind of device each; of two for one kind the first.
    """

    def __init__(self, *generators: torch.Generator):
        super().__init__()
        self.generators = {generator.device.type: generator for generator in reversed(generators)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        generator = self.generators.get(_device_of(args, kwargs))
        return func(*args, **kwargs) if generator is None else _draw(func, args, kwargs, generator)


def _device_of(args: Any, kwargs: Any) -> str:
    tensors = (value for value in args if isinstance(value, Tensor))
    device = kwargs.get("device") or next((tensor.device for tensor in tensors), None)
    return "cpu" if device is None else torch.device(device).type


def _draw(func: Any, args: Any, kwargs: Any, generator: torch.Generator) -> Any:
    packet, overload = func.overloadpacket, _WITH_GENERATOR.get(func._overloadname)
    if any(argument.name == "generator" for argument in func._schema.arguments):
        return func(*args, **{**kwargs, "generator": generator})
    if packet in (_aten.rand, _aten.randn, _aten.randint, _aten.randperm) and overload:
        return getattr(packet, overload)(*args, **kwargs, generator=generator)
    if packet in _FILLS_LIKE:
        return _FILLS_LIKE[packet](torch.empty_like(args[0], **kwargs), *args[1:], generator=generator)
    if packet is _aten.native_dropout:
        return _dropout(*args, generator)
    return func(*args, **kwargs)


_FILLS_LIKE: dict[Any, Callable[..., Tensor]] = {
    _aten.rand_like: lambda tensor, **chosen: tensor.uniform_(**chosen),
    _aten.randn_like: lambda tensor, **chosen: tensor.normal_(**chosen),
    _aten.randint_like: lambda tensor, *bounds, **chosen: tensor.random_(
        *((0,) * (2 - len(bounds)) + bounds), **chosen
    ),
}


def _dropout(x: Tensor, share: float, training: bool | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is left of x, scaled, and what is left of it, bool."""
    if training is False:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    kept = torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - share, generator=generator)
    return x * kept * (1 / (1 - share) if share < 1 else 0.0), kept


class _InFloat32(TorchFunctionMode):
    """Let tensors that are made without a type be float32, whatever PyTorch's default is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS and kwargs.get("dtype") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        made = func(*args, **kwargs)
        of_numbers = func is torch.tensor and not hasattr(args[0], "dtype") and kwargs.get("dtype") is None
        return made.float() if of_numbers and made.dtype == torch.float64 else made


@contextmanager
def in_float32() -> Iterator[None]:
    """Let tensors that are made without a type be float32, where other code has set another default."""
    if torch.get_default_dtype() == torch.float32:
        yield
    else:
        with _InFloat32():
            yield
