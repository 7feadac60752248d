"""ViTMAE against transformers' ViTMAEForPreTraining, and against a bare PyTorch loop over the same module.

All in one run, in turns, best of several; on a GPU where there is one, else on the CPU. Both in float32; where the
device multiplies bfloat16 itself, as precision="auto" asks, ViTMAE in bfloat16 against transformers in float32, too.
Peak memory is that of a process each. Ratios above 1 are in favour of ViTMAE.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from _provenance import save
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from skmae import ViTMAE
from skmae.vit._masking import patch_numbers
from skmae.vit._precision import multiplies_bfloat16
from skmae.vit._training import ReconstructionLoss

SIDE, PATCH, BATCH, STEPS = 32, 4, 256, 8


class Size(NamedTuple):
    """Of a network: width, blocks of the encoder, heads."""

    dim: int
    layers: int
    heads: int


SMALL = Size(96, 6, 6)
SIZES = {"96 wide, 6 blocks": SMALL, "ViT-tiny: 192 wide, 12 blocks": Size(192, 12, 3)}
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE, 3)).astype(np.uint8)


def estimator(size: Size, **changes: Any) -> ViTMAE:
    settings = {
        "patch": PATCH,
        "embed_dim": size.dim,
        "encoder_layers": size.layers,
        "encoder_heads": size.heads,
        "decoder_layers": 1,
        "decoder_heads": size.heads,
        "augment": None,
        "max_epochs": 1000,
        "batch_size": BATCH,
        "random_state": 0,
        "precision": "float32",
    }
    return ViTMAE(**{**settings, **changes})


def reference(size: Size, mask: float = 0.75) -> ViTMAEForPreTraining:
    return ViTMAEForPreTraining(
        ViTMAEConfig(
            image_size=SIDE,
            patch_size=PATCH,
            hidden_size=size.dim,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=4 * size.dim,
            decoder_hidden_size=size.dim,
            decoder_num_hidden_layers=1,
            decoder_num_attention_heads=size.heads,
            decoder_intermediate_size=4 * size.dim,
            mask_ratio=mask,
        )
    ).to(DEVICE)


def steps_of(model: Any, loss_of: Callable[[Any], Any], batches: list[Any]) -> Callable[[], None]:
    """A bare training loop: AdamW as ViTMAE's, losses read once at the end."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)
    model.train()

    def epoch() -> None:
        losses = []
        for batch in batches:
            optimizer.zero_grad()
            loss = loss_of(batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        torch.stack(losses).tolist()

    return epoch


def bare_loop(mae: ViTMAE, X: np.ndarray) -> Callable[[], None]:
    """The same module and the same work as the estimator: rows from uint8, order and masks drawn."""
    module = mae.net_.module_
    generator = torch.Generator(DEVICE).manual_seed(0)
    loss = ReconstructionLoss()
    rows = torch.from_numpy(X.reshape(len(X), -1)).to(DEVICE)

    def loss_of(index: Any) -> Any:
        pictures = module.standardize(rows[index.to(DEVICE)])
        keep = patch_numbers(mae.net_.draw_visible(BATCH, generator), mae.net_.n_visible)
        prediction, hidden = module(pictures, keep)
        return loss(prediction, module.patchify(pictures), hidden)

    return steps_of(module, loss_of, list(torch.randperm(len(X)).split(BATCH)))


def in_turns(functions: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Best time of each, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            start = perf_counter()
            function()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(perf_counter() - start)
    return {name: min(values[1:]) for name, values in times.items()}


def speed(size: Size, repeats: int) -> list[dict[str, Any]]:
    X = images(BATCH * STEPS)
    pixels = torch.randn(BATCH, 3, SIDE, SIDE, device=DEVICE)
    model, mae = reference(size), estimator(size)
    mae.partial_fit(X)
    contenders: dict[str, Callable[[], Any]] = {
        "transformers": steps_of(model, lambda batch: model(batch).loss, [pixels] * STEPS),
        "bare": bare_loop(estimator(size).partial_fit(X), X),
        "skmae": lambda: mae.partial_fit(X),
    }
    if multiplies_bfloat16(DEVICE):
        narrow = estimator(size, precision="auto").partial_fit(X)
        contenders["bfloat16"] = lambda: narrow.partial_fit(X)
    training = in_turns(contenders, repeats)
    encoder = reference(size, mask=0.0).vit.eval()

    def encode() -> None:
        with torch.inference_mode():
            for _ in range(STEPS):
                encoder(pixels).last_hidden_state[:, 1:].mean(dim=1).cpu().numpy()

    coding = in_turns({"transformers": encode, "skmae": lambda: mae.transform(X)}, repeats)
    n = BATCH * STEPS
    peer = ("transformers", training["transformers"], n)
    narrow_row = (
        _row("training step", training["bfloat16"], *peer, "bfloat16") if "bfloat16" in training else _not_measured()
    )
    return [
        _row("training step", training["skmae"], *peer),
        narrow_row,
        _row("training step", training["skmae"], "bare PyTorch loop", training["bare"], n),
        _row("transform", coding["skmae"], "transformers", coding["transformers"], n),
    ]


def _row(what: str, ours: float, peer: str, theirs: float, n: int, precision: str = "float32") -> dict[str, Any]:
    return {
        "what": what,
        "precision": precision,
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu",
        "peer": peer,
        "skmae": f"{n / ours:.0f} images/s",
        "other": f"{n / theirs:.0f} images/s",
        "ratio": round(theirs / ours, 3),
    }


def _not_measured() -> dict[str, Any]:
    """What stands in place of a row of bfloat16."""
    blank = _row("training step", 1, "transformers", 1, 1, "bfloat16")
    return {**blank, "skmae": "not measured: the processor has no native bfloat16", "other": "", "ratio": ""}


def train_alone(which: str) -> None:
    """Train for two epochs, and print the process's peak memory in MiB."""
    X = images(BATCH * STEPS)
    if which == "skmae":
        estimator(SMALL, max_epochs=2).fit(X)
    else:
        model = reference(SMALL)
        pixels = torch.from_numpy(X).float().movedim(-1, 1).div(255)
        epoch = steps_of(model, lambda batch: model(batch.to(DEVICE)).loss, list(pixels.split(BATCH)))
        epoch(), epoch()
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent's; Linux
    print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024)


def memory() -> dict[str, Any]:
    peaks = {
        which: float(subprocess.run([sys.executable, __file__, "--alone", which], capture_output=True, text=True,
                                    check=True).stdout.split()[-1])
        for which in ("skmae", "transformers")
    }  # fmt: skip
    return {
        "what": "peak memory of the process, training",
        "precision": "float32",
        "device": "cpu",
        "peer": "transformers",
        "skmae": f"{peaks['skmae']:.0f} MiB",
        "other": f"{peaks['transformers']:.0f} MiB",
        "ratio": round(peaks["transformers"] / peaks["skmae"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--alone", choices=["skmae", "transformers"])
    options = parser.parse_args()
    if options.alone:
        train_alone(options.alone)
        return
    rows = [{"network": name, **row} for name, size in SIZES.items() for row in speed(size, options.repeats)]
    rows.append({"network": "96 wide, 6 blocks", **memory()})
    for row in rows:
        who = f"{row['network']:>30} {row['what']:>40} {row['precision']}"
        print(f"{who} {row['skmae']:>14}  {row['peer']:>18} {row['other']:>14}  {row['ratio']}")
    save("vit_speed", rows)


if __name__ == "__main__":
    main()
