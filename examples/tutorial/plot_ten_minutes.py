"""
Ten minutes with skmae
======================

From images to features, to the choice of a mask, to a deep model, and to what each of
them looks at. All of it runs in half a minute on one core.

It needs the extras ``deep``, ``plot`` and ``photos``: :ref:`install`.
"""

# %%
# Images
# ------
# Crops of photographs that ship with scikit-learn and scikit-image. Training and test
# crops come from different photographs.
import matplotlib.pyplot as plt

from skmae.datasets import load_photo_patches

train = load_photo_patches(2000, size=16).images  # (2000, 16, 16, 3), uint8
test = load_photo_patches(500, size=16, subset="test").images

figure, axes = plt.subplots(2, 6, figsize=(6, 2.2), layout="constrained")
for ax, image in zip(axes.flat, train, strict=False):
    ax.imshow(image)
    ax.set_axis_off()

# %%
# Every estimator takes images like these, or flat rows, of any real type. Flat rows
# have lost their shape: pass ``image_shape`` with them unless the images are square,
# and ``channel_axis=0`` if channels come first.
#
# A PCA that sees part of each image
# ----------------------------------
# `LinearMAE` learns the 16 features from which images are best reconstructed while
# three quarters of their patches are hidden: 12 of the 16 patches of 4 × 4 pixels.
# ``mask_sampling="exact"`` hides the same number in every image. The solution has a
# closed form that averages over all masks, so that no mask is drawn. With
# ``mask=0`` nothing is hidden, and it is PCA.
from skmae import LinearMAE

pca = LinearMAE(16, mask=0, patch=4).fit(train)
mae = LinearMAE(16, mask=0.75, patch=4, mask_sampling="exact").fit(train)

# %%
# Hide three quarters of each test image, and let both reconstruct it. PCA cannot leave
# pixels out, so that the hidden ones are set to the mean.
import numpy as np

visible = mae.sample_visible(len(test), random_state=0)  # (500, 16), True: may be seen
seen = visible.reshape(-1, 4, 4).repeat(4, axis=1).repeat(4, axis=2)[..., np.newaxis]
holes = np.where(seen, test, train.mean(axis=0))
by_pca = pca.reconstruct(holes)
by_mae = mae.reconstruct(test, visible)

rows = {"image": test, "visible": np.where(seen, test, 128), "PCA": by_pca}
rows["LinearMAE"] = by_mae
figure, axes = plt.subplots(4, 6, figsize=(6, 4.2), layout="constrained")
for (name, images), line in zip(rows.items(), axes, strict=True):
    line[0].set_ylabel(name)
    for ax, image in zip(line, images[::40], strict=False):
        ax.imshow(np.uint8(np.clip(image, 0, 255)))
        ax.set(xticks=[], yticks=[])

# %%
# In numbers, as the share of the variance that is explained:
spread = ((test - test.mean(axis=0)) ** 2).mean()


def r2(guess):
    return 1 - ((test - guess) ** 2).mean() / spread


print(f"whole images: PCA {r2(pca.reconstruct(test)):.2f}", end=", ")
print(f"LinearMAE {r2(mae.reconstruct(test)):.2f}")
print(f"a quarter visible: PCA {r2(by_pca):.2f}, LinearMAE {r2(by_mae):.2f}")

# %%
# PCA keeps more of whole images. Of images with holes, only LinearMAE keeps anything.
#
# ``transform`` gives the features. Nothing in it is random: it encodes the whole image
# by one matrix product. Here are the images that the 16 features stand for.
from skmae.inspection import ComponentsDisplay

features = mae.transform(test)  # (500, 16), float32
ComponentsDisplay.from_estimator(mae)

# %%
# Choose the mask by what the features are for
# --------------------------------------------
# Hiding less is always easier, so that the reconstruction error cannot choose the mask.
# A predictor can. Here it has to tell from 8 features which of four photographs a crop
# is from. `LinearMAESearchCV` is scikit-learn's ``GridSearchCV``, but reads the data
# once for all masks and patches.
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAESearchCV
from skmae.inspection import SearchDisplay

labels = load_photo_patches(2000, size=16).photo
pipe = make_pipeline(LinearMAE(8), StandardScaler(), LogisticRegression())
grid = {"linearmae__mask": [0, 0.5, 0.75], "linearmae__patch": [2, 4]}
search = LinearMAESearchCV(pipe, grid, cv=3).fit(train, labels)
SearchDisplay.from_estimator(search)

# %%
# ``mask=0`` belongs in the grid: if masking does not help, the search says so. On other
# crops of the same photographs:
new = load_photo_patches(2000, size=16, random_state=1)
plain = make_pipeline(LinearMAE(8, mask=0), StandardScaler(), LogisticRegression())
plain.fit(train, labels)
print(search.best_params_)
print(f"LinearMAE {search.score(new.images, new.photo):.2f}", end=", ")
print(f"PCA {plain.score(new.images, new.photo):.2f}")

# %%
# With 16 features PCA is as good here: masking pays where features are few. The
# pipeline is scikit-learn's, so that ``joblib.dump`` saves it.
#
# The deep one
# ------------
# `ViTMAE` has the same methods, and trains a Vision Transformer. This one is tiny, and
# stops early.
from skmae import ViTMAE
from skmae.inspection import ReconstructionDisplay

vit = ViTMAE(
    patch=4,
    embed_dim=48,
    encoder_layers=2,
    encoder_heads=4,
    decoder_layers=1,
    decoder_heads=4,
    mask=0.75,
    max_epochs=6,
    warmup_epochs=1,
    batch_size=64,
    learning_rate=1e-2,
    random_state=0,
).fit(train)
print(f"a quarter visible: ViTMAE {r2(vit.reconstruct(test, visible)):.2f}")
ReconstructionDisplay.from_estimator(vit, test, visible=visible)

# %%
# More epochs raise this. For longer trainings, GPUs, checkpoints and published weights,
# see :doc:`/deep`. To know what masks, patches and depths cost before anything is
# trained, see :doc:`/choose`.
#
# What do they look at?
# ---------------------
# The Jacobian of the reconstruction says how much each input pixel matters for an
# output pixel. `JacobianBasis` gives its absolute values as maps, and `SpatialEntropy`
# measures how widely each map is spread: from 0 (all weight on a single pixel) to
# log(256) = 5.55 nats (the same weight on every pixel). ``FrozenEstimator`` takes the
# fitted model as it is.
from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, SpatialEntropy
from skmae.inspection import JacobianDisplay

for name, model in {"PCA": pca, "LinearMAE": mae, "ViTMAE": vit}.items():
    basis = JacobianBasis(FrozenEstimator(model), outputs="grid")
    entropy = make_pipeline(basis, SpatialEntropy((16, 16, 3))).fit_transform(test[:10])
    print(f"{name}: {entropy.mean():.2f} nats")
JacobianDisplay.from_estimator(vit, test, n_samples=3)
plt.show()

# %%
# A linear model has the same maps for every image. Those of a deep model change with
# the image, though hardly after so short a training: :doc:`/inspect`.
#
# Where to go next
# ----------------
# :doc:`/howto` for tasks, :doc:`/user_guide` for the background, :doc:`/paper` for the
# paper's figures, :doc:`/api` for every parameter.
