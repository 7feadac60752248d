"""
Fill gaps in a signal, and find odd heartbeats
==============================================

A signal of heartbeats has gaps, and one beat has another shape. Cut at its beats, it
becomes a set of samples: `LinearMAE` fills their gaps, and `PatchOutlierDetector` finds
the odd one.
"""

# %%
# A signal
# --------
# Something like an electrocardiogram, 250 values a second, with a rate that wanders,
# waves whose heights vary together, and noise. Beats 600 and 1500 are odd: as if they
# came from elsewhere in the heart, they are wide, and lack the small wave before.
import matplotlib.pyplot as plt
import numpy as np

from skmae import LinearMAE, Moments, PatchOutlierDetector

RATE = 250  # values a second
WAVES = (  # time from the peak (s), height (mV), width (s)
    (-0.18, 0.12, 0.025),
    (-0.03, -0.12, 0.01),
    (0.0, 1.0, 0.012),
    (0.03, -0.22, 0.012),
    (0.26, 0.28, 0.05),
)
ODD_WAVES = ((0.02, 0.9, 0.05), (0.3, -0.3, 0.06))
ODD = (600, 1500)


def make_signal(n_beats=2000, seed=0):
    rng = np.random.default_rng(seed)
    interval = 0.8 + 0.05 * np.sin(np.arange(n_beats) / 9)
    peaks = np.cumsum(interval + 0.02 * rng.standard_normal(n_beats))  # s
    time = np.arange(int((peaks[-1] + 1) * RATE)) / RATE
    breathing = 0.1 * np.sin(2 * np.pi * 0.25 * time)
    signal = breathing + 0.02 * rng.standard_normal(len(time))
    together = 1 + 0.25 * np.sin(np.arange(n_beats) / 23)
    heights = together[:, np.newaxis] + 0.08 * rng.standard_normal((n_beats, 5))
    for beat, peak in enumerate(peaks):
        near = slice(max(0, int((peak - 0.5) * RATE)), int((peak + 0.6) * RATE))
        waves = ODD_WAVES if beat in ODD else WAVES
        for (at, size, width), height in zip(waves, heights[beat], strict=False):
            shape = np.exp(-((time[near] - peak - at) ** 2) / (2 * width**2))
            signal[near] += height * size * shape
    return time, signal, peaks


time, signal, peaks = make_signal()

# %%
# Cut it at its beats
# -------------------
# Samples of 0.72 s, each with its peak in the same place. This step matters. In windows
# cut anywhere, the place of a hidden spike follows from the *period* of the visible
# ones, and that takes a product, which no linear map forms. In windows cut at peaks,
# the heights and shapes of waves follow from one another, and that is linear.
starts = np.round((peaks - 0.3) * RATE).astype(int)[1:-1]
beats = np.stack([signal[start : start + 180] for start in starts])
train, test = beats[:1400], beats[1400:]

# %%
# Fill the gaps
# -------------
# About a fifth of the test signal is lost. `fill` says what was there, and how sure it
# is.
visible = np.random.default_rng(1).random((len(test), 9)) > 0.2
visible = visible.repeat(20, axis=1)
mae = LinearMAE(16, patch=20, image_shape=(180,)).fit_moments(Moments.from_data(train))
filled, std = mae.fill(np.where(visible, test, np.nan), return_std=True)

error = (filled - test)[~visible]
spread = ((test - train.mean(axis=0))[~visible] ** 2).sum()
within = (np.abs(error) < 1.96 * std[~visible]).mean()
print(f"R² of what was lost: {1 - (error**2).sum() / spread:.2f}")
print(f"within 1.96 standard deviations: {within:.0%}")

# %%
# Three beats that lost their peak:
plt.style.use("seaborn-v0_8-colorblind")
milliseconds = (np.arange(180) / RATE - 0.3) * 1000
around_peak = visible[:, 60:100].sum(axis=1)
figure, axes = plt.subplots(
    3, 1, figsize=(6.4, 6.4), sharex=True, sharey=True, layout="constrained"
)
for ax, i in zip(axes, np.argsort(around_peak)[:3], strict=True):
    gap, sure = np.where(visible[i], np.nan, filled[i]), 1.96 * std[i]
    ax.plot(milliseconds, test[i], color="0.7", linewidth=4, label="beat")
    ax.plot(milliseconds, gap, label="filled")
    ax.fill_between(milliseconds, gap - sure, gap + sure, alpha=0.3, label="95 %")
    ax.set(title=f"Beat {i + 1401}", ylabel="Signal (mV)")
axes[0].legend()
axes[-1].set_xlabel("Time from the peak (ms)")
plt.show()

# %%
# Find the odd beat
# -----------------
# One of the test beats is odd. The detector looks at patches of 40 values, at every
# place. The other odd beat is among the training samples, where it does little harm: it
# is 1 of 1,400.
detector = PatchOutlierDetector(patch=40, image_shape=(180,)).fit(train)
scores = -detector.score_samples(test)
odd = int(np.argmax(scores))
print(f"the oddest of {len(test)} beats is number {odd + 1401}", end=", ")
print(f"with a score of {scores[odd]:.1f}; the next has {np.sort(scores)[-2]:.1f}")

figure, (above, below) = plt.subplots(
    2, 1, figsize=(6.4, 4.8), sharex=True, layout="constrained", height_ratios=(2, 1)
)
for i in range(odd - 1, odd + 2):
    seconds = time[starts[1400 + i] : starts[1400 + i] + 180]
    colour = "C2" if i == odd else "C0"
    above.plot(seconds, test[i], color=colour)
    below.plot(seconds, detector.patch_scores(test[i : i + 1])[0], color=colour)
above.set(title="The odd beat and its neighbours", ylabel="Signal (mV)")
below.set(title="How odd each place is", xlabel="Time (s)")
below.set_ylabel("Deviations of\nthe log score")
plt.show()
