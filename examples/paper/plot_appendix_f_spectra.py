"""
Appendix F, Fig. 22: power spectra of random masks
==================================================

Masking multiplies an image by a mask, and so convolves the spectrum of the image with
that of the mask (Appendix F). The expected power spectrum of random masks is known: it
is that of a single patch, times the number of patches. Large patches mix only
frequencies that are close to each other; single pixels mix all of them.
"""

# %%
# Images, whole and masked
# ------------------------
# Hidden patches of 2 take power from the lowest frequencies, and add it over a broad
# band, from 0.13 cycles per pixel up. Patches of 8 change little: they add power in
# narrow bands, which lie between the multiples of 1/8 cycle per pixel.
import matplotlib.pyplot as plt
import numpy as np

from skmae.datasets import load_photo_patches
from skmae.inspection import MaskSpectrumDisplay, mask_power_spectrum

plt.style.use("tableau-colorblind10")
photos = load_photo_patches(500, grey=True).images
display = MaskSpectrumDisplay.from_samples(photos, mask=0, name="whole")
for patch, style in ((2, "--"), (8, "-.")):
    MaskSpectrumDisplay.from_samples(
        photos,
        patch=patch,
        mask=0.2,
        name=f"20 % hidden, patch {patch}",
        ax=display.ax_,
        linestyle=style,
    )
display.ax_.set_title("Photographs, 32 × 32 pixels")

# %%
# Masks of several patches
# ------------------------
# The closed form and the mean of 2,000 drawn masks, along one axis. (Power of zero has
# no place on a logarithmic axis, so 0.1 is added.)
figure, ax = plt.subplots(layout="constrained")
frequencies = np.arange(1, 17) / 32
for patch, marker, color in zip((2, 4, 8), "osD", ("C0", "C1", "C3"), strict=True):
    exact = mask_power_spectrum((32, 32), patch, 0.75)
    drawn = mask_power_spectrum((32, 32), patch, 0.75, n_samples=2000, random_state=0)
    ax.semilogy(frequencies, exact[0, 1:17] + 0.1, color, label=f"patch {patch}")
    ax.semilogy(frequencies, drawn[0, 1:17] + 0.1, color + marker, fillstyle="none")
ax.set(
    xlabel="Spatial frequency (cycles per pixel)",
    ylabel="Power of the mask + 0.1",
    title="Lines: closed form; marks: drawn masks",
)
ax.legend()

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig22_spectra``: the frequency below which half of a
# mask's power lies (without that at frequency zero), and how far the mean of 20,000
# drawn masks is from the closed form, relative to its largest power.
from pathlib import Path

import pandas as pd

import skmae

RESULTS = Path(skmae.__file__).parents[1] / "benchmarks" / "results"
table = pd.read_csv(RESULTS / "fig22_spectra.csv")
columns = ["patch", "mask", "half_power_per_px", "drawn_error"]
print(table[columns].to_string(index=False))

# %%
# As in the paper, the spectrum of a mask is a squared sinc (Eqs. 20, 21), whose zeros
# are at multiples of 1/patch cycles per pixel. Half of its power lies below half of
# that frequency.
