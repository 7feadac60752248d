"""
Find the patch that does not belong
===================================

`PatchOutlierDetector` learns from good samples what a patch looks like beside the rest of its picture, and finds the
patch that the rest does not explain: scratches, dust, a piece of something else. No defect is needed to learn from.
"""

# %%
# Good pictures, and three kinds of defect
# ----------------------------------------
# Crops of four photographs to learn from; of three others, to be judged.
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
# 10,000 pictures of 1,728 features: a few seconds. ``score_samples`` is the lower the odder.
detector = PatchOutlierDetector(patch=4).fit(good)
scores = -detector.score_samples(np.concatenate([odd, new[450:]]))
for number, kind in enumerate(("scratch", "dust", "foreign patch")):
    of_kind = np.concatenate([scores[:450][number::3], scores[450:]])
    print(f"{kind}: AUROC {roc_auc_score(np.arange(len(of_kind)) < 150, of_kind):.2f}")

# %%
# Where it is, in pixels: the score of the oddest patch that covers each.
plt.style.use("tableau-colorblind10")
OutlierDisplay.from_estimator(detector, odd[:6])
plt.show()

# %%
# As a p-value, if each place is looked at by itself; of many places, some are small by chance.
p = detector.patch_scores(odd[:3], kind="pvalue")  # (3, 24, 24)
print(p.min(axis=(1, 2)))

# %%
# It finds what the second moments of good pictures do not explain. What they do explain is not found: a dim picture, a
# blurred one, or a cat among dogs.
