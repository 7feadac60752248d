"""
Your own photographs: from a folder to a model in use
=====================================================

A folder of images, with a subfolder for each class: load it, learn from it, save the
model, and ask the model about image files.
"""

# %%
# The folder
# ----------
# You have one. This page makes one, of crops of two photographs. One of its files is
# cut short.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

folder = Path(tempfile.mkdtemp())
rng = np.random.default_rng(0)
for name, photo in {"flower": "flower.jpg", "temple": "china.jpg"}.items():
    (folder / name).mkdir()
    for number in range(200):
        row, column = rng.integers(0, 427 - 96), rng.integers(0, 640 - 128)
        crop = load_sample_image(photo)[row : row + 96, column : column + 128]
        Image.fromarray(crop).save(folder / name / f"{number:03}.jpg")
cut_short = (folder / "temple" / "000.jpg").read_bytes()[:500]
(folder / "temple" / "200.jpg").write_bytes(cut_short)

# %%
# Load it
# -------
# Images of any format and mode are turned the way the camera was held, and cut to a
# square. Files that cannot be read are named, and left out. A folder larger than memory
# goes into a file: ``memory_map="images.npy"``.
import warnings

from skmae.datasets import load_image, load_image_folder

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    photos = load_image_folder(folder, 32)
print(said[0].message)
print(photos.images.shape, photos.target_names)

# %%
# Learn from it
# -------------
# Features learned without labels, a classifier on top, and how good it is on images
# that it has not seen. (Crops of one photograph overlap: this task is easy.)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, LocalTokens

pipe = make_pipeline(
    LocalTokens(48, random_state=0),
    LinearMAE(32, mask=0.9, patch=1, channel_axis=-1),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)
scores = cross_val_score(pipe, photos.images, photos.target, cv=4)
print(f"accuracy {scores.mean():.3f}")
pipe.fit(photos.images, photos.target)

# %%
# Save it, load it, ask it
# ------------------------
# `joblib <https://joblib.readthedocs.io>`_ writes the whole pipeline. Loading runs
# code: load only what you wrote. ``load_image`` reads a file as those of the folder
# were read. Here are four of the folder itself, with the answer and its probability.
import joblib

joblib.dump((pipe, photos.target_names), folder / "model.joblib")

loaded, names = joblib.load(folder / "model.joblib")
files = [folder / name / f"00{i}.jpg" for name in names for i in (1, 2)]
some = np.stack([load_image(file, 32) for file in files])
probabilities = loaded.predict_proba(some)

figure, axes = plt.subplots(2, 2, figsize=(4.8, 5.2), layout="constrained")
for ax, image, probability in zip(axes.flat, some, probabilities, strict=True):
    ax.imshow(image)
    ax.set_title(f"{names[probability.argmax()]}, {probability.max():.2f}")
    ax.set_axis_off()
plt.show()

# %%
# A ViT, and how its training goes
# --------------------------------
# A ViT is for more images, and more time. ``verbose=1`` prints a line for each epoch,
# with the time that is left; with ``checkpoint="folder"``, training goes on after a
# crash. This one is tiny.
from skorch.dataset import ValidSplit

from skmae import ViTMAE
from skmae.inspection import LossDisplay, ReconstructionDisplay

vit = ViTMAE(
    patch=8,
    embed_dim=32,
    encoder_layers=2,
    encoder_heads=4,
    decoder_layers=1,
    decoder_heads=4,
    max_epochs=20,
    warmup_epochs=2,
    batch_size=64,
    learning_rate=1e-2,
    net_params={"train_split": ValidSplit(5)},
    random_state=0,
).fit(photos.images)
display = LossDisplay.from_estimator(vit, name="tiny ViTMAE")
display.ax_.set(title="Training", ylabel="Loss on hidden patches", ylim=(0, None))
plt.show()

# %%
# What it sees of images, and what it makes of the rest.
ReconstructionDisplay.from_estimator(vit, photos.images[::100])
plt.show()
