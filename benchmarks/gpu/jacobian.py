"""All rows of a ViT-tiny's Jacobian on the card, against a loop of `backward` over the first of them."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from benchmarks.gpu._card import Rows, Sizes, images, median_seconds, vit, write
from skmae import JacobianBasis, ViTMAE

ROWS = 96  # of the loop: its rows all cost the same


def loop(mae: ViTMAE, X: np.ndarray) -> Callable[[], np.ndarray]:
    """One `backward` per output, the graph retained."""
    module = mae.net_.module_
    pixels = torch.from_numpy(X).to(mae.net_.where).requires_grad_()

    def run() -> np.ndarray:
        prediction, _ = module(module.standardize(pixels))
        out = module.standardize.undo(module.grid.unpatchify(prediction)).flatten()
        return np.stack(
            [torch.autograd.grad(out[i], pixels, retain_graph=True)[0].flatten().cpu() for i in range(ROWS)]
        )

    return run


def measure(device: str, sizes: Sizes) -> Rows:
    X = images(1, sizes).astype(np.float32)
    mae = vit(device, sizes, precision="float32")._untrained(images(sizes.batch, sizes), 0)
    mae.net_.module_.eval()
    basis = JacobianBasis(FrozenEstimator(mae), outputs="all").fit(X)
    results: dict[str, np.ndarray] = {}

    def keep(who: str, function: Callable[[], np.ndarray]) -> None:
        results[who] = function()

    contenders = {"skmae": lambda: basis.jacobian(X)[0], "loop, graph retained": loop(mae, X)}
    seconds = median_seconds({who: lambda who=who: keep(who, contenders[who]) for who in contenders}, device, 3)
    np.testing.assert_allclose(results["skmae"][:ROWS], results["loop, graph retained"], atol=1e-4)
    return [
        {"what": "Jacobian", "who": who, "rows": len(results[who]), "ms_per_row": 1e3 * each / len(results[who])}
        for who, each in seconds.items()
    ]


if __name__ == "__main__":
    write("jacobian", measure)
