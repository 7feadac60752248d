"""Fig. 4 and Appendix E: AE and MAE on Ising models, a chain of 32 spins and a lattice of 16 × 16, 6 features.

How much larger an encoder's weights are at spins that adjoin another patch, by coupling, patch and mask; how much of a
feature is a sinusoid, and how near the product of decoder and encoder is to the identity. Writes fig04_ising.csv.
"""

from typing import Any

import numpy as np

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from skmae import LinearAE, LinearMAE, Moments
from skmae.datasets import make_ising

SAMPLES, COMPONENTS = {1: 50_000, 2: 5000}, 6
COUPLINGS = {1: (0.25, 0.5, 1.0, 1.5), 2: (0.2, 0.3, 0.4, 0.44)}  # a lattice orders itself above 0.4407
SIZES, PATCHES = {1: (32,), 2: (16, 16)}, {1: (4, 8), 2: (4, 8)}
MASKS = (0.25, 0.5, 0.75, 0.9)
FREQUENCIES = 257  # that are tried along each axis, the two ends left out, at which cosine or sine vanish


def adjoins_another_patch(size: tuple[int, ...], patch: int) -> np.ndarray:
    """Bool, per spin: whether a neighbour of it is in another patch."""
    border = np.zeros(size, dtype=bool)
    for axis, length in enumerate(size):
        place = np.arange(length)
        inner = ((place % patch == 0) & (place > 0)) | ((place % patch == patch - 1) & (place < length - 1))
        border |= np.expand_dims(inner, [i for i in range(len(size)) if i != axis])
    return border.ravel()


def border_ratio(model: Any, border: np.ndarray) -> float:
    """Mean |weight| of the encoder at the border over that elsewhere."""
    weights = np.abs(model.components_)
    return float(weights[:, border].mean() / weights[:, ~border].mean())


def waves(length: int) -> np.ndarray:
    """(frequencies, length, 2): orthonormal bases of the sinusoids of each frequency, at any phase."""
    phases = np.linspace(0, np.pi, FREQUENCIES)[1:-1, np.newaxis] * np.arange(length)
    return np.linalg.qr(np.stack([np.cos(phases), np.sin(phases)], axis=-1)).Q


def sinusoid_r2(rows: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Of each row, the share that one sinusoid along each axis, of the best frequencies and phases, accounts for."""
    maps = rows.reshape(len(rows), size[0], -1)
    bases = [waves(size[0]), waves(size[1]) if len(size) > 1 else np.ones((1, 1, 1))]
    parts = np.einsum("nij,fia,gjb->nfgab", maps, *bases, optimize=True)
    return (parts**2).sum(axis=(3, 4)).max(axis=(1, 2)) / (rows**2).sum(axis=1)


def shape_of(model: Any, size: tuple[int, ...]) -> dict[str, float]:
    """How far the features are sinusoids, and the product of decoder and encoder the identity."""
    product = model.decoder_ @ model.components_
    identity = np.eye(len(product))
    sinusoid = sinusoid_r2(model.components_, size)
    return {
        "sinusoid_r2": float(sinusoid.mean()),
        "sinusoid_r2_min": float(sinusoid.min()),
        "distance_to_identity": float(((product - identity) ** 2).sum() / len(product)),
        "largest_on_diagonal": float(np.mean(np.abs(product).argmax(axis=1) == np.arange(len(product)))),
    }


def sinusoid_r2_of_noise(size: tuple[int, ...]) -> float:
    """What `sinusoid_r2` is for rows of white noise, which fit as well as their freedom allows."""
    return float(sinusoid_r2(np.random.default_rng(0).standard_normal((200, np.prod(size))), size).mean())


def main() -> None:
    arguments(__doc__).parse_args()
    rows = []
    for ndim, couplings in COUPLINGS.items():
        size = SIZES[ndim]
        noise = sinusoid_r2_of_noise(size)
        for coupling in couplings:
            spins = make_ising(
                SAMPLES[ndim], size if ndim > 1 else size[0], coupling=coupling, ndim=ndim, random_state=0
            )
            moments = Moments.from_data(spins)
            for patch in PATCHES[ndim]:
                border = adjoins_another_patch(size, patch)
                settings: list[tuple[Any, Any]] = [("", LinearAE(COMPONENTS, image_shape=size))]
                settings += [(mask, LinearMAE(COMPONENTS, mask=mask, patch=patch, image_shape=size)) for mask in MASKS]
                for mask, model in settings:
                    model.fit_moments(moments)
                    key = {"ndim": ndim, "coupling": coupling, "patch": patch, "mask": mask}
                    numbers = {"border_ratio": border_ratio(model, border), **shape_of(model, size), "noise_r2": noise}
                    rounded = {name: round(value, 4) for name, value in numbers.items()}
                    rows.append({**key, "model": "AE" if mask == "" else "MAE", **rounded})
    save("fig04_ising", rows)


if __name__ == "__main__":
    main()
