"""In which type training multiplies, and which attention is fast in it: as a device is made, never as it was timed.

n samples, h heads, L tokens, d values of each in a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
_NATIVE_BFLOAT16 = ("amx_bf16", "avx512_bf16")  # flags of processors that multiply it


def resolve_precision(precision: str, device: str | None) -> torch.dtype | None:
    """The type of matrix products in training; None is float32. With accelerate, its own settings say it."""
    if device is None:
        return None
    if precision != "auto":
        return PRECISIONS[precision]
    return torch.bfloat16 if multiplies_bfloat16(torch.device(device)) else None


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 itself, where others imitate it. Versions of PyTorch that do not say: no."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    flags = torch.cpu.get_capabilities() if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities") else {}
    return any(flags.get(flag, False) for flag in _NATIVE_BFLOAT16)


def name_of(dtype: torch.dtype | None) -> str:
    """What the parameter `precision` calls a type of matrix products."""
    return next(name for name, known in PRECISIONS.items() if known == dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, attended: Tensor | None = None) -> Tensor:
    """Attention, (n, h, L, d) each; `attended` (n, 1, 1, L) is False for tokens that no other may look at.

    On a CPU PyTorch's is slow backwards in bfloat16, which plain products are not.
    """
    if q.device.type == "cpu" and q.dtype == torch.bfloat16:
        return attend_by_products(q, k, v, attended)
    return F.scaled_dot_product_attention(q, k, v, attended)


def attend_by_products(q: Tensor, k: Tensor, v: Tensor, attended: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d) v; the softmax is computed in float32."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (n, h, L, L)
    if attended is not None:
        scores = scores.masked_fill(~attended, -torch.inf)
    return scores.softmax(dim=-1, dtype=torch.float32).to(v.dtype) @ v
