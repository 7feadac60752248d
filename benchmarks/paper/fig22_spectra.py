"""Fig. 22 and Appendix F: the spectrum of masks, in closed form and drawn, by patch.

Per patch: the spatial frequency, in waves per pixel along an axis, below which half of the power of a mask lies (its
mean left out); and how far drawn masks are from the closed form, relative to its largest power. Writes
fig22_spectra.csv.
"""

import numpy as np

from benchmarks._provenance import save
from benchmarks.paper._scale import arguments
from skmae.inspection import mask_power_spectrum

SHAPE, PATCHES, MASKS, DRAWN = (32, 32), (1, 2, 4, 8, 16), (0.2, 0.75), 20_000


def half_power_frequency(spectrum: np.ndarray) -> float:
    """Of all powers but that at zero, summed from low to high frequencies."""
    frequencies = np.abs(np.fft.fftfreq(SHAPE[0]))
    radius = np.hypot(frequencies[:, np.newaxis], frequencies).ravel()
    order = np.argsort(radius)[1:]
    power = np.cumsum(spectrum.ravel()[order])
    return float(radius[order][np.searchsorted(power, power[-1] / 2)])


def main() -> None:
    arguments(__doc__).parse_args()
    rows = []
    for patch in PATCHES:
        for mask in MASKS:
            exact = mask_power_spectrum(SHAPE, patch, mask)
            drawn = mask_power_spectrum(SHAPE, patch, mask, n_samples=DRAWN, random_state=0)
            error = np.abs(drawn - exact).ravel()[1:].max() / exact.ravel()[1:].max()
            numbers = {"half_power_per_px": half_power_frequency(exact), "drawn_error": error}
            rows.append({"patch": patch, "mask": mask, **{name: round(value, 4) for name, value in numbers.items()}})
            print(rows[-1])
    save("fig22_spectra", rows)


if __name__ == "__main__":
    main()
