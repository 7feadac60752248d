"""Section 2.1: are features of natural images sinusoids? Of CIFAR-10 in grey, by model and number of features.

How much of a feature one sinusoid along each axis accounts for. Beside it the same of the features mixed at random,
which span the same space, and of noise, which fits as well as its freedom allows. Writes fig04_sinusoids.csv.
"""

from typing import Any

import numpy as np
from scipy.stats import ortho_group

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from benchmarks.paper.fig04_ising import sinusoid_r2, sinusoid_r2_of_noise
from skmae import LinearAE, LinearMAE, Moments
from skmae.datasets import fetch_cifar10

SIZE, COMPONENTS = (32, 32), (6, 16, 64)


def models(k: int) -> list[tuple[str, Any]]:
    listed: list[tuple[str, Any]] = [("AE", LinearAE(k, image_shape=SIZE))]
    masked = {patch: LinearMAE(k, mask=0.75, patch=patch, image_shape=SIZE) for patch in (4, 8)}
    return listed + [(f"MAE, mask 0.75, patch {patch}", model) for patch, model in masked.items()]


def main() -> None:
    arguments(__doc__).parse_args()
    moments = Moments.from_data(fetch_cifar10().images.mean(axis=3, dtype=np.float32))
    noise = sinusoid_r2_of_noise(SIZE)
    rows = []
    for k in COMPONENTS:
        mixing = ortho_group.rvs(k, random_state=0)
        for name, model in models(k):
            features = model.fit_moments(moments).components_
            own, mixed = sinusoid_r2(features, SIZE), sinusoid_r2(mixing @ features, SIZE)
            numbers = {"sinusoid_r2": own.mean(), "sinusoid_r2_min": own.min(), "mixed_r2": mixed.mean()}
            numbers["noise_r2"] = noise
            rounded = {what: round(float(number), 4) for what, number in numbers.items()}
            rows.append({"model": name, "n_components": k, **rounded})
            print(rows[-1], flush=True)
    save("fig04_sinusoids", rows)


if __name__ == "__main__":
    main()
