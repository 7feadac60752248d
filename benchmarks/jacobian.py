"""All rows of a ViT-tiny's Jacobian against loops of `backward`: time per row, and memory against the budget asked.

32×32×3 images, patch 4, width 192, 12 + 4 layers; one image. Writes jacobian.csv and jacobian_memory.csv. Memory is
measured on Linux only. plenoptic is compared where it is installed (`pip install plenoptic`).
"""

import argparse
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np
import torch
from _memory import CAN_MEASURE, rise_of_peak
from _provenance import save
from sklearn import config_context
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, ViTMAE

MASKS = {"nothing hidden": None, "mask 0.75": 0.75}
ROWS, PLENOPTIC_ROWS = 96, 24  # of a loop: its rows all cost the same
BUDGETS = (32, 64, 256, 1024)  # MiB


def make() -> tuple[ViTMAE, np.ndarray]:
    """A ViT-tiny with random weights: its Jacobian costs what that of a trained one does."""
    X = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
    mae = ViTMAE(patch=4, decoder_layers=4, max_epochs=1, augment=None, warmup_epochs=0, random_state=0)
    return mae.fit(X), X[:1]


def visible_of(mae: ViTMAE, mask: float | None) -> np.ndarray | None:
    return None if mask is None else mae.sample_visible(1, random_state=0)[0]


def ours(mae: ViTMAE, X: np.ndarray, visible: Any, outputs: Any = "all") -> Callable[[], np.ndarray]:
    basis = JacobianBasis(FrozenEstimator(mae), outputs=outputs, visible=visible).fit(X)
    return lambda: basis.jacobian(X)[0]


def reconstruction(mae: ViTMAE, visible: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Images of shape (1, 32, 32, 3) to the pixels of their reconstruction, in a row."""
    module = mae.net_.module_
    keep = None if visible is None else torch.from_numpy(np.flatnonzero(visible)[np.newaxis])
    keep = None if keep is None else keep.to(mae.net_.where)

    def reconstruct(images: torch.Tensor) -> torch.Tensor:
        prediction, _ = module(module.standardize(images), keep)
        return module.standardize.undo(module.grid.unpatchify(prediction)).flatten()

    return reconstruct


def loop(mae: ViTMAE, X: np.ndarray, visible: Any, *, retain: bool) -> Callable[[], np.ndarray]:
    """One `backward` per output, for the first ROWS of them; with its own forward unless the graph is retained."""
    reconstruct = reconstruction(mae, visible)

    def run() -> np.ndarray:
        images = torch.from_numpy(X).to(mae.net_.where).requires_grad_()
        rows, out = [], reconstruct(images)
        for i in range(ROWS):
            if not retain and i:
                out = reconstruct(images)
            images.grad = None
            out[i].backward(retain_graph=retain)
            rows.append(images.grad.flatten().cpu().numpy())
        return np.stack(rows)

    return run


def plenoptic_jacobian(mae: ViTMAE, X: np.ndarray, visible: Any) -> Callable[[], np.ndarray]:
    """plenoptic's Jacobian of the first PLENOPTIC_ROWS outputs: it keeps graphs of all rows, so that more of them need
    many GiB."""
    from plenoptic import Eigendistortion

    class Model(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return reconstruction(mae, visible)(images.movedim(1, 3))[None, None, None, :PLENOPTIC_ROWS]

    image = torch.from_numpy(X).to(mae.net_.where).movedim(3, 1)

    def run() -> np.ndarray:
        jacobian = Eigendistortion(image, Model().eval()).compute_jacobian()
        return jacobian.detach().reshape(-1, 3, 32, 32).movedim(1, 3).flatten(1).cpu().numpy()

    return run


def timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = perf_counter()
    result = function()
    return perf_counter() - start, result


def measure(repeats: int) -> list[dict[str, Any]]:
    mae, X = make()
    rows = []
    for name, mask in MASKS.items():
        visible = visible_of(mae, mask)
        contenders = {
            "skmae": ours(mae, X, visible),
            "loop, graph retained": loop(mae, X, visible, retain=True),
            "loop, own forward": loop(mae, X, visible, retain=False),
        }
        if find_spec("plenoptic"):
            contenders["plenoptic"] = plenoptic_jacobian(mae, X, visible)
        best = dict.fromkeys(contenders, np.inf)
        results = {}
        for _ in range(repeats):
            for who, function in contenders.items():  # whoever keeps the graph will also freeze the weights
                mae.net_.module_.requires_grad_(who in ("skmae", "loop, own forward"))
                seconds, results[who] = timed(function)
                best[who] = min(best[who], seconds / len(results[who]))
        for who, result in results.items():
            np.testing.assert_allclose(result, results["skmae"][: len(result)], atol=1e-5)
            ratio = best[who] / best["skmae"]
            row = {"what": name, "who": who, "ms_per_row": round(1e3 * best[who], 3), "over_skmae": round(ratio, 2)}
            rows.append(row)
            print(row, flush=True)
    return rows


def peak_of(budget: int, mask: float | None) -> float:
    """MiB by which the peak of memory rises during 1200 rows of one image, in a process of its own."""
    mae, X = make()
    basis = ours(mae, X, visible_of(mae, mask), np.arange(400))
    with config_context(working_memory=4):
        few = JacobianBasis(FrozenEstimator(mae), outputs=[0], visible=visible_of(mae, mask)).fit(X)
        few.jacobian(X)  # libraries are loaded
    with config_context(working_memory=budget):
        result, rise = rise_of_peak(basis)
    return rise - result.nbytes / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = measure(options.repeats)
    save("jacobian", rows)
    if not CAN_MEASURE:
        return
    memory = []
    for name, mask in MASKS.items():
        for budget in BUDGETS:
            with get_context("spawn").Pool(1) as pool:
                used = pool.apply(peak_of, (budget, mask))
            memory.append({"what": name, "budget_mib": budget, "used_beside_result_mib": round(used, 1)})
            print(memory[-1], flush=True)
    save("jacobian_memory", memory)


if __name__ == "__main__":
    main()
