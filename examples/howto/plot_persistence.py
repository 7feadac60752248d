"""
Save and load models
====================

In which format to save a fitted model, and which files may be loaded from a stranger.
joblib and pickle keep everything, and can run any code when they are read. skops keeps
linear models, and loads only types that one trusts. safetensors and checkpoints hold
numbers. This page needs ``pip install skops``, too.
"""

# %%
# joblib: your own files
# ----------------------
# joblib keeps whole pipelines, linear and deep, with all that was fitted. **Whoever
# made the file can run code where it is read.** The versions of the libraries should be
# those that it was made with.
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, ViTMAE

digits = load_digits()
X, y = digits.images, digits.target
folder = TemporaryDirectory()
path = Path(folder.name)

pipe = make_pipeline(
    LinearMAE(16, mask=0.5, patch=2),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
).fit(X, y)
joblib.dump(pipe, path / "pipe.joblib")
same = joblib.load(path / "pipe.joblib")
np.testing.assert_array_equal(same.predict(X), pipe.predict(X))

# %%
# This is how code gets in: a pickle names a function, and loading calls it. Here it
# prints; it could do anything.


class Stranger:
    def __reduce__(self):
        return print, ("print() was called by joblib.load",)


joblib.dump(Stranger(), path / "stranger.joblib")
joblib.load(path / "stranger.joblib")

# %%
# skops: linear models of others
# ------------------------------
# A .skops file names the types that it holds. Most of scikit-learn, NumPy and SciPy are
# known. Others have to be trusted by name, or nothing is loaded.
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

skops.io.dump(pipe, path / "pipe.skops")
try:
    skops.io.load(path / "pipe.skops")
except UntrustedTypesFoundException as error:
    print(error)

# %%
# These are all types of a fitted `LinearMAE`, alone or in a pipeline; another
# ``mask_sampling`` or ``loss`` has a type of its own. Write them down, rather than take
# over what the file itself asks for.
TRUSTED = [
    "skmae._grid.PatchGrid",
    "skmae.linear._corruptions.Corruption",
    "skmae.linear._corruptions.Masks",
    "skmae.linear._corruptions.WhileHidden",
    "skmae.linear._losses.AllFeatures",
    "skmae.linear._models.LinearMAE",
    "skmae.linear._problem.Problem",
    "skmae.linear._problem.Solution",
    "skmae.linear._state.Fitted",
    "skmae.masking.Bernoulli",
]
same = skops.io.load(path / "pipe.skops", trusted=TRUSTED)
np.testing.assert_array_equal(same.predict(X), pipe.predict(X))

# %%
# After ``partial_fit`` or ``fit_moments`` there are a few more. With these the loaded
# model can go on learning:
stream = LinearMAE(16, mask=0.5, patch=2).partial_fit(X[:1000])
skops.io.dump(stream, path / "stream.skops")
asked_for = skops.io.get_untrusted_types(file=path / "stream.skops")
more = sorted(set(asked_for) - set(TRUSTED))
print(more)
same = skops.io.load(path / "stream.skops", trusted=[*TRUSTED, *more])
for model in (same, stream):
    model.partial_fit(X[1000:])
np.testing.assert_allclose(same.transform(X), stream.transform(X))

# %%
# safetensors: weights of ViTs
# ----------------------------
# ``save_weights`` writes numbers under names, and mean and scale of the pixels. Nothing
# in such a file can run. The parameters are not in it: make a ViTMAE with the same
# ones, and with ``image_shape``.
params = {
    "mask": 0.5,
    "patch": 2,
    "embed_dim": 32,
    "encoder_layers": 2,
    "encoder_heads": 4,
    "decoder_layers": 1,
    "decoder_heads": 4,
    "max_epochs": 3,
    "learning_rate": 4e-3,
    "random_state": 0,
}
vit = ViTMAE(**params, checkpoint=path / "states").fit(X)
vit.save_weights(path / "vit.safetensors")

same = ViTMAE(**params, image_shape=(8, 8)).load_weights(path / "vit.safetensors")
np.testing.assert_array_equal(same.transform(X), vit.transform(X))

# %%
# Checkpoints: a training
# -----------------------
# ``checkpoint`` also keeps the state of the optimizer, in a folder for these parameters
# and data. ``fit`` goes on from there, or has nothing left to do. Files are read with
# ``weights_only=True``, which makes tensors, numbers and strings only. ``load_weights``
# reads them, too.
(last,) = (path / "states").glob("*/last.pt")
again = ViTMAE(**params, checkpoint=path / "states").fit(X)
same = ViTMAE(**params, image_shape=(8, 8)).load_weights(last)
for other in (again, same):
    np.testing.assert_array_equal(other.transform(X), vit.transform(X))

# %%
# A file that holds something else is refused, and nothing in it is called.
import torch

torch.save(Stranger(), path / "stranger.pt")
try:
    same.load_weights(path / "stranger.pt")
except ValueError as error:
    print(f"{type(error).__name__}, from {type(error.__cause__).__name__}")

# %%
# ViTs: joblib, but not skops
# ---------------------------
# joblib keeps a whole ViTMAE, its history included. What was trained on a GPU loads
# where there is none. The file is a pickle: for your own use.
joblib.dump(vit, path / "vit.joblib")
same = joblib.load(path / "vit.joblib")
np.testing.assert_array_equal(same.transform(X), vit.transform(X))

# %%
# skops cannot write a ViTMAE. Without augmentation it does write a file, but with a
# pickle inside: the net's own way to store its tensors. To trust the types that such a
# file asks for is to trust that pickle. Send safetensors instead.
try:
    skops.io.dump(vit, path / "vit.skops")
except RuntimeError as error:
    print(error)

# %%
# How large the files are
# -----------------------
# Of the two models above. The checkpoint also holds the optimizer's state.
import matplotlib.pyplot as plt

files = {
    "pipeline with LinearMAE, joblib": path / "pipe.joblib",
    "pipeline with LinearMAE, skops": path / "pipe.skops",
    "ViTMAE, joblib": path / "vit.joblib",
    "ViTMAE, safetensors": path / "vit.safetensors",
    "ViTMAE, checkpoint": last,
}
kilobytes = [file.stat().st_size / 1000 for file in files.values()]
folder.cleanup()

figure, ax = plt.subplots(figsize=(6.4, 3), layout="constrained")
bars = ax.barh(list(files), kilobytes, color=["#E69F00"] * 2 + ["#0072B2"] * 3)
ax.bar_label(bars, fmt="{:.0f}", padding=3)
ax.set(title="Two models on disk", xlabel="Size of the file (kB)")
ax.margins(x=0.1)
ax.invert_yaxis()
plt.show()

# %%
# What to use
# -----------
# =========== =========================== ================== ===========================
# Format      Keeps                       From a stranger    Needs
# =========== =========================== ================== ===========================
# joblib      everything                  no                 the same versions
# skops       linear models, pipelines    with ``TRUSTED``   types that one trusts
# safetensors weights of a ViTMAE         yes                its parameters
# checkpoint  weights, optimizer, history yes                its parameters and the data
# =========== =========================== ================== ===========================
