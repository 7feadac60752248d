"""Second moments of bytes that lie on the card, against the same on the host, and how exact they are."""

import numpy as np
import torch
from sklearn import config_context

from benchmarks.gpu._card import Rows, Sizes, images, median_seconds, write
from skmae import Moments


def measure(device: str, sizes: Sizes) -> Rows:
    X = images(sizes.rows, sizes).reshape(sizes.rows, -1)
    on_device = torch.from_numpy(X).to(device)
    found: dict[str, Moments] = {}

    def of_tensor() -> None:
        with config_context(array_api_dispatch=True):
            found["tensor"] = Moments.from_data(on_device)

    def of_array() -> None:
        found["array"] = Moments.from_data(X)

    seconds = median_seconds({"tensor": of_tensor, "array": of_array}, device, sizes.repeats)
    wide = on_device.double()
    exact = wide.T @ wide / len(wide) - torch.outer(wide.mean(dim=0), wide.mean(dim=0))
    scale = float(exact.abs().max())
    return [
        {
            "what": "Moments.from_data of uint8",
            "who": f"{who} on {device if who == 'tensor' else 'the host'}",
            "rows": len(X),
            "features": X.shape[1],
            "seconds": each,
            "error": float(np.abs(_array(found[who].second) - exact.cpu().numpy()).max()) / scale,
        }
        for who, each in seconds.items()
    ]


def _array(values: object) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


if __name__ == "__main__":
    write("moments", measure)
