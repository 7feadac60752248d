"""Fig. 4 and Appendix E: AE and MAE on Ising models, a chain of 32 spins and a lattice of 16 × 16, 6 features.

How much larger an encoder's weights are at spins that adjoin another patch, by coupling, patch and mask. Writes
fig04_ising.csv.
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


def main() -> None:
    arguments(__doc__).parse_args()
    rows = []
    for ndim, couplings in COUPLINGS.items():
        size = SIZES[ndim]
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
                    ratio = border_ratio(model, border)
                    rows.append({**key, "model": "AE" if mask == "" else "MAE", "border_ratio": round(ratio, 4)})
    save("fig04_ising", rows)


if __name__ == "__main__":
    main()
