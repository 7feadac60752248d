"""What the deep tests share."""

import pytest


@pytest.fixture(autouse=True)
def float32_on_every_processor(monkeypatch):
    """Tolerances are those of float32: no processor multiplies bfloat16, but where a test says so."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
