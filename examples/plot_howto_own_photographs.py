"""
Your own photographs: from a folder to a model in use
=====================================================

A folder of pictures, a subfolder for each class: loaded, learned from, saved, and asked about a new file.
"""

# %%
# The folder
# ----------
# You have one. This page makes one, of crops of two photographs, with a file that is cut short.
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
(folder / "temple" / "200.jpg").write_bytes((folder / "temple" / "000.jpg").read_bytes()[:500])

# %%
# Load it
# -------
# Any format and mode, turned as the camera was held, cut to a square. What cannot be read is named, and left out.
# Folders larger than memory: ``memory_map="images.npy"``.
import warnings

from skmae.datasets import load_image, load_image_folder

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    pictures = load_image_folder(folder, 32)
print(said[0].message)
print(pictures.images.shape, pictures.target_names)

# %%
# Learn from it
# -------------
# Features without labels, a classifier on top, and how good it is on pictures that it has not seen.
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
print(f"accuracy {cross_val_score(pipe, pictures.images, pictures.target, cv=4).mean():.3f}")
pipe.fit(pictures.images, pictures.target)

# %%
# Save it, load it, ask it
# ------------------------
# `joblib <https://joblib.readthedocs.io>`_ writes the whole pipeline. Loading runs code: load only what you wrote.
import joblib

joblib.dump((pipe, pictures.target_names), folder / "model.joblib")

loaded, names = joblib.load(folder / "model.joblib")
new = sorted((folder / "flower").iterdir())[:4]
some = np.stack([load_image(file, 32) for file in new])  # read as those of the folder were
figure, axes = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")
for ax, picture, probability in zip(axes, some, loaded.predict_proba(some), strict=True):
    ax.imshow(picture)
    ax.set_title(f"{names[probability.argmax()]}, {probability.max():.2f}")
    ax.axis("off")
plt.show()

# %%
# A ViT, and how its training goes
# --------------------------------
# Where you have more pictures, and more time. ``verbose=1`` prints a line for each epoch, with the time that is left;
# ``checkpoint="folder"`` goes on after a crash. This one is tiny.
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
)
LossDisplay.from_estimator(vit.fit(pictures.images), name="tiny ViTMAE")
plt.show()

# %%
# What it has seen of pictures, and what it makes of the rest.
ReconstructionDisplay.from_estimator(vit, pictures.images[::60])
plt.show()
