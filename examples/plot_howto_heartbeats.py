"""
Heartbeats with gaps, and one that is odd
=========================================

A signal of beats, with stretches missing, and one beat of another shape. Cut at its beats, it is a set of samples that
`LinearMAE` fills and `PatchOutlierDetector` judges.
"""

# %%
# A signal
# --------
# Something like an electrocardiogram, 250 values a second, with a rate that wanders, waves whose heights vary together,
# and noise. Beats 600 and 1500 come from elsewhere in the heart: wide, and without the small wave before.
import matplotlib.pyplot as plt
import numpy as np

from skmae import LinearMAE, Moments, PatchOutlierDetector

RATE = 250  # values a second
WAVES = ((-0.18, 0.12, 0.025), (-0.03, -0.12, 0.01), (0.0, 1.0, 0.012), (0.03, -0.22, 0.012), (0.26, 0.28, 0.05))
ODD = (600, 1500)


def make_signal(n_beats=2000, seed=0):
    rng = np.random.default_rng(seed)
    peaks = np.cumsum(0.8 + 0.05 * np.sin(np.arange(n_beats) / 9) + 0.02 * rng.standard_normal(n_beats))  # s
    time = np.arange(int((peaks[-1] + 1) * RATE)) / RATE
    signal = 0.02 * rng.standard_normal(len(time)) + 0.1 * np.sin(2 * np.pi * 0.25 * time)  # noise, breathing
    heights = 1 + 0.25 * np.sin(np.arange(n_beats) / 23)[:, np.newaxis] + 0.08 * rng.standard_normal((n_beats, 5))
    for beat, peak in enumerate(peaks):
        near = slice(max(0, int((peak - 0.5) * RATE)), int((peak + 0.6) * RATE))
        waves = ((0.02, 0.9, 0.05), (0.3, -0.3, 0.06)) if beat in ODD else WAVES
        for (at, size, width), height in zip(waves, heights[beat], strict=False):
            signal[near] += height * size * np.exp(-((time[near] - peak - at) ** 2) / (2 * width**2))
    return time, signal, peaks


time, signal, peaks = make_signal()

# %%
# Cut it at its beats
# -------------------
# Samples of .72 s, each with its peak in one place. This step matters: in windows cut anywhere, the place of a hidden
# spike follows from the *period* of the visible ones, and no linear map can multiply. In windows cut at peaks, heights
# and shapes of waves follow from one another, and that is linear.
starts = np.round((peaks - 0.3) * RATE).astype(int)[1:-1]
beats = np.stack([signal[start : start + 180] for start in starts])
train, test = beats[:1400], beats[1400:]

# %%
# Fill the gaps
# -------------
# A fifth of each beat is lost. `fill` says what was there, and how sure it is: surer of a peak than of noise.
visible = np.random.default_rng(1).random((len(test), 9)) > 0.2
visible = visible.repeat(20, axis=1)
mae = LinearMAE(16, patch=20, image_shape=(180,)).fit_moments(Moments.from_data(train))
filled, std = mae.fill(np.where(visible, test, np.nan), return_std=True)
spread = ((test - train.mean(axis=0)) ** 2)[~visible].sum()
print(f"R² of what was lost: {1 - ((filled - test) ** 2)[~visible].sum() / spread:.2f}")
print(f"within 1.96 standard deviations: {(np.abs(filled - test) < 1.96 * std)[~visible].mean():.0%}")

plt.style.use("tableau-colorblind10")
axis = (np.arange(180) / RATE - 0.3) * 1000  # ms
most = np.argsort(visible[:, 60:100].sum(axis=1))[:3]  # their peaks are among what is lost
figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), sharey=True, layout="constrained")
for ax, i in zip(axes, most, strict=True):
    ax.plot(axis, test[i], color="0.7", linewidth=4, label="beat")
    gap = np.where(visible[i], np.nan, filled[i])
    ax.plot(axis, gap, label="filled")
    ax.fill_between(axis, gap - 1.96 * std[i], gap + 1.96 * std[i], alpha=0.3, label="95 %")
    ax.set_xlabel("Time from the peak (ms)")
axes[0].set_ylabel("Signal (mV)")
axes[0].legend()
plt.show()

# %%
# Find the odd beat
# -----------------
# One of the test beats is. A patch of 40 values, at every place. The odd beat among the training samples does little
# harm: 1 of 1,400.
detector = PatchOutlierDetector(patch=40, image_shape=(180,)).fit(train)
scores = -detector.score_samples(test)
odd = int(np.argmax(scores))
print(
    f"the oddest of {len(test)} beats is number {odd + 1401}, with a score of {scores[odd]:.1f}; the next has", end=" "
)
print(f"{np.sort(scores)[-2]:.1f}")

figure, (above, below) = plt.subplots(2, 1, figsize=(8, 3.6), sharex=True, layout="constrained", height_ratios=(2, 1))
for i in range(odd - 1, odd + 2):
    seconds = time[starts[1400 + i] : starts[1400 + i] + 180]
    above.plot(seconds, test[i], color="C1" if i == odd else "C0")
    below.plot(seconds, detector.patch_scores(test[i : i + 1])[0], color="C1" if i == odd else "C0")
above.set_ylabel("Signal (mV)")
below.set(xlabel="Time (s)", ylabel="Oddness")
plt.show()
