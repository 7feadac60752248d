"""
Inspect any PyTorch model: Jacobians and spatial entropy
========================================================

Any PyTorch model that reconstructs its input can be inspected. Here it is
``ViTMAEForPreTraining`` of transformers, trained for half a minute by a loop of its own
on crops of photographs. `TorchAutoencoder` makes an estimator of it, and its Jacobian
is taken like that of skmae's own models. This page needs ``pip install transformers``.
"""

# %%
# A model that skmae knows nothing of
# -----------------------------------
# ``ViTMAEForPreTraining.from_pretrained("facebook/vit-mae-base")`` would do as well.
import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import ViTMAEConfig, ViTMAEForPreTraining

from skmae.datasets import load_photo_patches

SIZE, PATCH, STEPS = 16, 4, 200
N_PATCHES = (SIZE // PATCH) ** 2
photos = load_photo_patches(8000, size=SIZE).images  # (n, 16, 16, 3) of uint8
images = torch.from_numpy(photos).float().div(127.5).sub(1)

torch.manual_seed(0)
config = ViTMAEConfig(
    image_size=SIZE,
    patch_size=PATCH,
    hidden_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=192,
    decoder_hidden_size=48,
    decoder_num_hidden_layers=1,
    decoder_num_attention_heads=4,
    decoder_intermediate_size=192,
    mask_ratio=0.5,
)
model = ViTMAEForPreTraining(config)
# transformers 5 leaves positions zero in models that are not loaded
model.vit.embeddings.initialize_weights()
model.decoder.initialize_weights(N_PATCHES)

optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for _ in range(STEPS):
    batch = images[torch.randint(len(images), (128,))]
    loss = model(pixel_values=batch.movedim(-1, 1)).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss on hidden patches after {STEPS} steps: {loss.item():.3f}")
model.eval()


# %%
# The adapter
# -----------
# It takes a function that is given images, and which patches of them are visible, and
# returns reconstructions. transformers hides the patches whose ``noise`` is largest.
# Pixels go in and out as 0 to 255, so that influences are in grey levels per grey
# level.
def reconstruct(images, visible):
    hidden = torch.zeros(1, N_PATCHES) if visible is None else (~visible).float()
    noise = hidden.expand(len(images), -1)
    pixels = images.div(127.5).sub(1).movedim(-1, 1)
    predicted = model(pixel_values=pixels, noise=noise).logits
    return model.unpatchify(predicted).movedim(1, -1).add(1).mul(127.5)


from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearMAE, SpatialEntropy
from skmae.inspection import InfluenceDisplay, JacobianDisplay
from skmae.inspection import TorchAutoencoder, basis_similarity

test = load_photo_patches(64, size=SIZE, subset="test").images
foreign = TorchAutoencoder(reconstruct, patch=PATCH, mask=0.5, takes_visible=True)
foreign.fit(test)

# %%
# What two pixels depend on
# -------------------------
# Half of each image is visible. Each ring marks a pixel of the reconstruction; the map
# in its colour shows how much each input pixel matters for it. A linear model would
# draw the same map for every image.
visible = foreign.sample_visible(1, random_state=1)[0]
display = JacobianDisplay.from_estimator(foreign, test, visible=visible, n_samples=4)
display.figure_.suptitle("What two pixels depend on")
plt.show()

# %%
# How far it looks
# ----------------
# Beside a `LinearMAE` of the same patch and mask, averaged over four masks.
linear = LinearMAE(48, patch=PATCH, mask=0.5).fit(photos)
ax = None
for name, estimator in {"transformers' ViT-MAE": foreign, "LinearMAE": linear}.items():
    basis = JacobianBasis(
        FrozenEstimator(estimator),
        outputs="all",
        visible="random",
        n_masks=4,
        random_state=0,
    )
    maps = basis.fit_transform(test[:8])
    entropy = SpatialEntropy((SIZE, SIZE)).fit_transform(maps).mean()
    similarity = np.nanmean(basis_similarity(basis.jacobian(test[:8])))
    print(f"{name}: entropy {entropy:.2f} nats of {np.log(SIZE**2):.2f}", end=", ")
    print(f"similarity between images {similarity:.2f}")
    ax = InfluenceDisplay.from_maps(maps, (SIZE, SIZE, 3), name=name, ax=ax).ax_
ax.set_title("How far the two models look")
plt.show()
