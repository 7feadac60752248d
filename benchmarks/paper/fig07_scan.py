"""Fig. 7 in closed form: in which set-ups do high masks help, the more the longer the range of the Gabor target?

The target is linear in the pixels, so the second moments of CIFAR-10 in grey (50,000 images) give R² of the best linear
probe without drawing or training anything. 504 set-ups of patch, number of features, frequency and width of the Gabor
function; each for the whole map and two single pixels, from whole images and from images of which 75 % is hidden.
Writes fig07_scan.csv: a row for each patch and number of features, a summary of its 18 Gabor functions.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from skmae import LinearMAE, Moments
from skmae.datasets import fetch_cifar10, make_gabor_targets

SIDE = 32
MASKS, PATCHES = (0.0, 0.25, 0.5, 0.75, 0.9), (2, 4, 8, 16)
COMPONENTS = (2, 4, 8, 16, 32, 64, 128)
FREQUENCIES, WIDTHS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3), (1.0, 2.0, 4.0)
DILATIONS = (1, 2, 3, 4, 6, 8)
# The middle of the image, where patches of any size meet, and that of a patch of 8.
TARGETS = {"all pixels": slice(None), "pixel (16, 16)": 16 * SIDE + 16, "pixel (12, 12)": 12 * SIDE + 12}
HIDDEN = 0.75
ALIKE, BETTER = 0.02, 0.02  # differences of R²


def patch_of(patch: int) -> np.ndarray:
    """Of each pixel, the patch that it is in."""
    place = np.arange(SIDE) // patch
    return np.add.outer(place * SIDE, place).ravel()


def explained(second: np.ndarray, corrupted: np.ndarray, encoder: np.ndarray) -> np.ndarray:
    """(n_features, k): what is A of S Wᵀ (W V Wᵀ)⁻¹ W S = A Aᵀ; its first columns belong to the first features."""
    triangle = cholesky(encoder @ corrupted @ encoder.T, lower=True)
    return solve_triangular(triangle, encoder @ second, lower=True).T


def projections(moments: Moments) -> dict[tuple[str, int, float], np.ndarray]:
    """`explained` of each view, patch and mask, for the largest number of features."""
    second, result = moments.second, {}
    for patch, mask in product(PATCHES, MASKS):
        own = np.equal.outer(patch_of(patch), patch_of(patch))
        hidden = second + HIDDEN / (1 - HIDDEN) * np.where(
            own, second, 0
        )  # Lemma 1, over the square of what is visible
        model = LinearMAE(max(COMPONENTS), mask=mask, patch=patch, image_shape=(SIDE, SIDE)).fit_moments(moments)
        for view, corrupted in (("whole", second), ("75% hidden", hidden)):
            result[view, patch, mask] = explained(second, corrupted, model.components_)
    return result


def gabor(frequency: float, width: float, dilation: float) -> np.ndarray:
    """The map from pixels to targets, a matrix."""
    dots = np.eye(SIDE**2).reshape(-1, SIDE, SIDE)
    settings = {"frequency": frequency, "sigma": width, "dilation": dilation}
    return make_gabor_targets(dots, **settings).reshape(SIDE**2, -1).T


def scores(moments: Moments) -> np.ndarray:
    """R² by view, patch, target, number of features, Gabor function, mask and dilation."""
    found = projections(moments)
    views, functions = ("whole", "75% hidden"), list(product(FREQUENCIES, WIDTHS))
    shape = (len(views), len(PATCHES), len(TARGETS), len(COMPONENTS), len(functions), len(MASKS), len(DILATIONS))
    result = np.empty(shape)
    for (f, function), (s, dilation) in product(enumerate(functions), enumerate(DILATIONS)):
        target = gabor(*function, dilation)
        variance = np.einsum("ij,ij->i", target @ moments.second, target)
        for (v, view), (p, patch), (m, mask) in product(enumerate(views), enumerate(PATCHES), enumerate(MASKS)):
            power = np.cumsum((target @ found[view, patch, mask]) ** 2, axis=1)[:, np.array(COMPONENTS) - 1]
            for t, pixels in enumerate(TARGETS.values()):
                result[v, p, t, :, f, m, s] = np.atleast_2d(power[pixels]).sum(axis=0) / variance[pixels].sum()
    return result


def is_as_in_the_paper(r2: np.ndarray) -> np.ndarray:
    """Masks alike at the least dilation, the highest better than low ones and than PCA at the greatest."""
    nearest, farthest = r2[..., 0], r2[..., -1]
    alike = np.ptp(nearest, axis=-1) <= ALIKE
    return alike & (farthest[..., -1] - farthest[..., :2].max(axis=-1) >= BETTER)


def rows(r2: np.ndarray) -> Iterator[dict[str, Any]]:
    pattern, gain = is_as_in_the_paper(r2), r2[..., -1, :] - r2[..., 0, :]
    names = [("whole", "75% hidden"), PATCHES, TARGETS, COMPONENTS]
    for place in np.ndindex(r2.shape[:4]):
        view, patch, target, k = (list(levels)[i] for levels, i in zip(names, place, strict=True))
        numbers = {
            "gain_nearest": gain[place][:, 0].mean(),
            "gain_farthest": gain[place][:, -1].mean(),
            "gain_farthest_max": gain[place][:, -1].max(),
        }
        yield {
            "view": view,
            "target": target,
            "patch": patch,
            "n_components": k,
            "setups": pattern.shape[-1],
            "as_in_paper": int(pattern[place].sum()),
            **{name: round(float(value), 4) for name, value in numbers.items()},
        }


def main() -> None:
    arguments(__doc__).parse_args()
    grey = fetch_cifar10().images.mean(axis=3, dtype=np.float32)
    listed = list(rows(scores(Moments.from_data(grey))))
    for view, target in product(("whole", "75% hidden"), TARGETS):
        some = [row for row in listed if (row["view"], row["target"]) == (view, target)]
        print(view, target, sum(row["as_in_paper"] for row in some), "of", sum(row["setups"] for row in some))
    save("fig07_scan", listed)


if __name__ == "__main__":
    main()
