"""
Fig. 22: a mask in the spectrum
===============================

Masking multiplies an image by a mask, and so convolves its spectrum with that of the mask (Appendix F). The expected
spectrum of random masks is known: the transform of a single patch, squared, times the number of patches. Large patches
smear nearby frequencies only; single pixels smear all.
"""

# %%
# Images, whole and masked
# ------------------------
# Masks fill the spectrum's weak end; patches of 8 only at low frequencies and their multiples.
import matplotlib.pyplot as plt
import numpy as np

from skmae.datasets import load_photo_patches
from skmae.inspection import MaskSpectrumDisplay, mask_power_spectrum

plt.style.use("tableau-colorblind10")
photos = load_photo_patches(500, grey=True).images
display = MaskSpectrumDisplay.from_samples(photos, mask=0, name="whole")
for patch in (2, 8):
    MaskSpectrumDisplay.from_samples(photos, patch=patch, mask=0.2, name=f"20 % hidden, patch {patch}", ax=display.ax_)
display.ax_.set_title("Photographs, 32 × 32 pixels")

# %%
# By patch
# --------
# Drawn masks against the closed form: cuts along one axis.
figure, ax = plt.subplots()
for patch, marker in zip((2, 4, 8), "osD", strict=True):
    exact = mask_power_spectrum((32, 32), patch, 0.75)
    drawn = mask_power_spectrum((32, 32), patch, 0.75, n_samples=2000, random_state=0)
    frequencies = np.arange(1, 17) / 32
    (line,) = ax.semilogy(frequencies, exact[0, 1:17] + 1e-1, label=f"patch {patch}")
    ax.semilogy(frequencies, drawn[0, 1:17] + 1e-1, marker, color=line.get_color(), markerfacecolor="none")
ax.set(
    xlabel="Frequency (waves per pixel)", ylabel="Power of the mask (+ 0.1)", title="Lines: closed form. Marks: drawn"
)
ax.legend()

# %%
# The longer run
# --------------
# ``python -m benchmarks.paper.fig22_spectra``: below which frequency half of a mask's power lies, and how far 20,000
# drawn masks are from the closed form, relative to its largest power.
from pathlib import Path

import pandas as pd

import skmae

table = pd.read_csv(Path(skmae.__file__).parents[1] / "benchmarks" / "results" / "fig22_spectra.csv")
print(table[["patch", "mask", "half_power_per_px", "drawn_error"]].to_string(index=False))

# %%
# As in the paper, the spectrum of a mask is a squared sinc (Eqs. 20, 21), whose zeros are at multiples of one wave per
# patch. Half of its power lies below half a wave per patch.
