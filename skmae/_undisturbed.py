"""What other code has set for PyTorch does not count here: types, devices, gradients switched off.

It holds in the thread that asks for it, and nowhere else: PyTorch's global state is left alone.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.linspace}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compute as if no other code had set a default type or device of tensors, narrow types, or inference mode."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_dtype() != torch.float32:
            stack.enter_context(_InFloat32())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


class _InFloat32(TorchFunctionMode):
    """Let tensors that are made without a type be float32, whatever PyTorch's default is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS and kwargs.get("dtype") is None:
            kwargs = {**kwargs, "dtype": torch.float32}
        made = func(*args, **kwargs)
        of_numbers = func is torch.tensor and not hasattr(args[0], "dtype") and kwargs.get("dtype") is None
        return made.float() if of_numbers and made.dtype == torch.float64 else made
