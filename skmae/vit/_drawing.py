"""Code that knows of no generator is given one, for its thread alone: PyTorch's global ones are left alone."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten
_WITH_GENERATOR = {"default": "generator", "low": "low_generator"}  # overloads that take one beside those that do not


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
        return _FILLS_LIKE[packet](torch.empty_like(args[0], **kwargs), args[1:], generator)
    if packet is _aten.native_dropout:
        return _dropout(args[0], args[1], args[2], generator)
    return func(*args, **kwargs)


_FILLS_LIKE: dict[Any, Callable[[Tensor, Any, torch.Generator], Tensor]] = {
    _aten.rand_like: lambda tensor, _, generator: tensor.uniform_(generator=generator),
    _aten.randn_like: lambda tensor, _, generator: tensor.normal_(generator=generator),
    _aten.randint_like: lambda tensor, bounds, generator: tensor.random_(*(0, *bounds)[-2:], generator=generator),
}


def _dropout(x: Tensor, share: float, training: bool | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is left of x, scaled, and what is left of it, bool."""
    if training is False:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    kept = torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - share, generator=generator)
    return x * kept * (1 / (1 - share) if share < 1 else 0.0), kept
