"""Images per second of ViTMAE's training against transformers' ViTMAEForPreTraining, and the share of the card used.

Utilisation is what a step must multiply and add, as `training_cost` counts it, over what the card did: in a large
product of its own, measured here, and by its data sheet, where that is known. With --compile, of compiled networks.
"""

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from benchmarks.gpu._card import Rows, Sizes, images, median_seconds, vit, write
from skmae import training_cost
from skmae.vit._data import dataset_of

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
DATA_SHEET = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # operations per second, dense, of bfloat16


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    dtype = PRECISIONS[precision]
    return torch.autocast(device, dtype=dtype, enabled=dtype is not None)


def ours(device: str, sizes: Sizes, precision: str, *, compiled: bool, crops: bool = False) -> Callable[[], Any]:
    """An epoch of the estimator's own net."""
    X = images(sizes.batch * sizes.steps, sizes)
    mae = vit(device, sizes, precision=precision, compile=compiled, augment="auto" if crops else None)
    net = mae._untrained(X, 0).net_
    dataset = dataset_of(mae._as_samples(X), net.where)
    return lambda: net.partial_fit(dataset, epochs=1)


def theirs(device: str, sizes: Sizes, precision: str, *, compiled: bool) -> Callable[[], Any]:
    """A bare loop over transformers' model, on pixels that lie on the device."""
    config = ViTMAEConfig(
        image_size=sizes.side,
        patch_size=sizes.patch,
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=4 * sizes.width,
        decoder_hidden_size=sizes.width,
        decoder_num_hidden_layers=sizes.decoder_layers,
        decoder_num_attention_heads=sizes.decoder_heads,
        decoder_intermediate_size=4 * sizes.width,
    )
    model: Any = ViTMAEForPreTraining(config).to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    pixels = torch.randn(sizes.batch, 3, sizes.side, sizes.side, device=device)
    if compiled:
        model.compile()

    def epoch() -> None:
        losses = []
        for _ in range(sizes.steps):
            optimizer.zero_grad()
            with autocast(device, precision):
                loss = model(pixels).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).tolist()

    return epoch


def speed_of_product(device: str, sizes: Sizes, precision: str) -> float:
    """Operations per second of a large product of matrices."""
    n, times = sizes.product, 10
    matrix = torch.randn(n, n, device=device, dtype=PRECISIONS[precision] or torch.float32)

    def multiply() -> None:
        for _ in range(times):
            matrix @ matrix

    return 2 * n**3 * times / median_seconds({"": multiply}, device, sizes.repeats)[""]


def measure(device: str, sizes: Sizes, *, compiled: bool = False) -> Rows:
    table = training_cost(vit(device, sizes), (sizes.side, sizes.side, 3), measure=False)
    flops_of_image = 1e9 * float(table["gflops"].iloc[0])
    n, rows = sizes.batch * sizes.steps, []
    for precision in PRECISIONS:
        contenders = {
            "transformers": theirs(device, sizes, precision, compiled=compiled),
            "skmae": ours(device, sizes, precision, compiled=compiled),
            "skmae, crops": ours(device, sizes, precision, compiled=compiled, crops=True),
        }
        seconds = median_seconds(contenders, device, sizes.repeats)
        product = speed_of_product(device, sizes, precision)
        for who, each in seconds.items():
            used = flops_of_image * n / each
            row = {"what": "training step", "who": who, "precision": precision, "compiled": compiled}
            row |= {"images_s": round(n / each), "ratio": round(seconds["transformers"] / each, 3)}
            row |= {"of_large_product": round(used / product, 3), "of_data_sheet": share(used, device, precision)}
            rows.append(row)
    return rows


def share(used: float, device: str, precision: str) -> float | str:
    """Of the card's operations by its data sheet."""
    name = torch.cuda.get_device_name() if device == "cuda" else ""
    peak = next((peak for kind, peak in DATA_SHEET.items() if kind in name), None)
    return "" if peak is None or precision != "bfloat16" else round(used / peak, 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compile", action="store_true")
    compiled = parser.parse_args().compile
    write("speed_compiled" if compiled else "speed", partial(measure, compiled=compiled))
