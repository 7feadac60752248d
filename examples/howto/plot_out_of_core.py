"""
Out-of-core: fit data larger than memory
========================================

A linear autoencoder needs to know three things of its data: how many samples there are,
their mean, and their second moment. `Moments` holds these, and adds up. So batches,
files, memory maps, sums of parts and Dask arrays all give what ``fit`` would have
given.
"""

# %%
# Data in files
# -------------
# Four shards of photographs, as another program may have left them.
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from skmae import LinearMAE, Moments
from skmae.datasets import load_photo_patches

folder = TemporaryDirectory()
images = load_photo_patches(4000, size=16).images  # (4000, 16, 16, 3), uint8
paths = [Path(folder.name) / f"part{i}.npy" for i in range(4)]
for path, part in zip(paths, np.split(images, [500, 1700, 3100]), strict=True):
    np.save(path, part)

settings = {"n_components": 32, "mask": 0.75, "patch": 4}
models = {"fit": LinearMAE(**settings).fit(images)}

# %%
# Batch by batch
# --------------
# ``partial_fit`` takes batches of any size, in any order. Nothing is solved before a
# feature is asked for.
model = LinearMAE(**settings)
for path in reversed(paths):
    model.partial_fit(np.load(path))
models["partial_fit"] = model

# %%
# A generator goes into `Moments`, and these into ``fit_moments``.
moments = Moments.from_batches(np.load(path) for path in paths)
models["from_batches"] = LinearMAE(**settings).fit_moments(moments)

# %%
# Files and memory maps
# ---------------------
# ``from_files`` reads .npy and .parquet files in blocks; ``verbose=True`` shows a
# progress bar. The shape of a sample is kept. Flat rows have lost it: if they are not
# square images, tell `LinearMAE` their ``image_shape``.
moments = Moments.from_files(paths)
print(moments, "of samples of shape", moments.sample_shape)
models["from_files"] = LinearMAE(**settings).fit_moments(moments)

# %%
# A memory map goes into ``fit`` like any array. It is read in blocks, never whole.
np.save(Path(folder.name) / "all.npy", images)
mapped = np.load(Path(folder.name) / "all.npy", mmap_mode="r")
models["memory map"] = LinearMAE(**settings).fit(mapped)

# %%
# Sums and differences
# --------------------
# Moments of parts may be made on different machines. They can be pickled, and take 8
# bytes for each pair of features.
parts = [Moments.from_files(path) for path in paths]
models["sum of parts"] = LinearMAE(**settings).fit_moments(sum(parts))
print(f"{parts[0].second.nbytes / 2**20:.1f} MiB")

# %%
# What was added can be taken away again: here the second shard.
without = LinearMAE(**settings).fit_moments(moments - parts[1])
print(without.n_samples_seen_, "samples")

# %%
# Dask
# ----
# ``fit`` sums the moments of the chunks where the chunks are: on threads here, on a
# cluster if a ``Client`` is connected. Chunks hold whole samples. ``transform`` gives a
# Dask array that has not been computed yet.
import dask
import dask.array

stacked = dask.array.from_array(mapped, chunks=(1000, -1, -1, -1))
with dask.config.set(scheduler="threads"):
    models["Dask"] = LinearMAE(**settings).fit(stacked)
    features = models["Dask"].transform(stacked)
    print(features)
    features = features.compute()

# %%
# The same answer
# ---------------
# The largest difference of features from those of ``fit``, over the largest feature.
# Sums of 8-bit data are exact: the order of batches does not even change the rounding.
Z = models["fit"].transform(images)
for name, model in models.items():
    difference = np.abs(model.transform(images) - Z).max() / np.abs(Z).max()
    print(f"{name:>12}: {difference:.0e}")
    assert difference < 1e-6
np.testing.assert_allclose(features, Z, atol=1e-6 * np.abs(Z).max())

# %%
# What the first eight features of each model add to a reconstruction:
import matplotlib.pyplot as plt

from skmae.inspection import ComponentsDisplay

figure, axes = plt.subplots(len(models), 1, figsize=(5.6, 6.6), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    ComponentsDisplay.from_estimator(model, n_components=8, n_columns=8, ax=ax)
    ax.set_title(name, loc="left", fontsize="medium")
figure.suptitle("The same features, however the data come")
plt.show()

# %%
# Sums of floating-point data are rounded, and differ by that.
floats = images / 255  # float64
whole, batched = LinearMAE(**settings).fit(floats), LinearMAE(**settings)
for batch in np.array_split(floats, 7):
    batched.partial_fit(batch)
Z = whole.transform(floats)
print(f"{np.abs(batched.transform(floats) - Z).max() / np.abs(Z).max():.0e}")
folder.cleanup()
