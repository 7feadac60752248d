"""What the deep tests share."""

import pytest


@pytest.fixture(scope="module", autouse=True)  # before the module's own fixtures train anything
def float32_on_every_processor():
    """Tolerances are those of float32: no processor multiplies bfloat16, but where a test says so."""
    torch = pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
        yield
