"""
Find defects: anomaly detection and localization in images
==========================================================

`PatchOutlierDetector` learns from good images what a patch looks like, given the rest
of its image. It then finds patches that the rest does not explain: scratches, dust, a
piece of something else. It needs no defects to learn from.
"""

# %%
# Good images, and three kinds of defect
# --------------------------------------
# Crops of four photographs to learn from; crops of three others to judge. Half of the
# latter get a defect.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import roc_auc_score

from skmae import PatchOutlierDetector
from skmae.datasets import load_photo_patches
from skmae.inspection import OutlierDisplay

good = load_photo_patches(10_000, size=24).images
new = load_photo_patches(900, size=24, subset="test").images
rng = np.random.default_rng(0)


def scratch(image, row, column):
    for step in range(8):
        image[row + step, column + step // 2] = 240


def dust(image, row, column):
    image[row : row + 4, column : column + 4] = 40


def foreign(image, row, column):
    image[row : row + 4, column : column + 4] = good[rng.integers(len(good)), :4, :4]


odd = new[:450].copy()
places = rng.integers(4, 12, (450, 2))
for i, (row, column) in enumerate(places):
    (scratch, dust, foreign)[i % 3](odd[i], row, column)

# %%
# Learn, and judge
# ----------------
# 10,000 images of 1,728 features take a few seconds. The odder an image, the lower its
# ``score_samples``.
kinds = ("scratch", "dust", "foreign patch")
detector = PatchOutlierDetector(patch=4).fit(good)
scores = -detector.score_samples(np.concatenate([odd, new[450:]]))
for number, kind in enumerate(kinds):
    of_kind = np.concatenate([scores[:450][number::3], scores[450:]])
    print(f"{kind}: AUROC {roc_auc_score(np.arange(len(of_kind)) < 150, of_kind):.2f}")

# %%
# Where the defect is: each pixel has the score of the oddest patch that covers it.
display = OutlierDisplay.from_estimator(detector, odd[:3])
display.ax_.set_xticks(25 * np.arange(3) + 11.5, kinds)
plt.show()

# %%
# ``kind="pvalue"`` gives p-values, each for its place alone: of many places, some have
# a small one by chance.
p = detector.patch_scores(odd[:3], kind="pvalue")  # (3, 24, 24)
print(p.min(axis=(1, 2)))

# %%
# It finds what the second moments of good images do not explain. It does not find what
# they do explain: a dim image, a blurred one, or a cat among dogs.
