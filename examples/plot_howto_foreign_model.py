"""
What does somebody else's model look at?
========================================

Anything in PyTorch that reconstructs can be inspected: here transformers' ``ViTMAEForPreTraining``, trained for half a
minute by a loop of its own on crops of photographs. `TorchAutoencoder` makes an estimator of it, whose Jacobian is then
taken as that of skmae's own models.
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
model.vit.embeddings.initialize_weights()  # transformers 5 leaves positions zero in models that are not loaded
model.decoder.initialize_weights((SIZE // PATCH) ** 2)

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
# It takes a function from images, and what is visible of them, to reconstructions. transformers hides the patches whose
# ``noise`` is largest. Pixels go in and out as 0 to 255, so that influences are in grey levels per grey level.
def reconstruct(images, visible):
    noise = torch.zeros(len(images), (SIZE // PATCH) ** 2) if visible is None else (~visible).float()
    pixels = images.div(127.5).sub(1).movedim(-1, 1)
    predicted = model(pixel_values=pixels, noise=noise.expand(len(images), -1)).logits
    return model.unpatchify(predicted).movedim(1, -1).add(1).mul(127.5)


from sklearn.frozen import FrozenEstimator

from skmae import JacobianBasis, LinearMAE, SpatialEntropy
from skmae.inspection import InfluenceDisplay, JacobianDisplay, TorchAutoencoder, basis_similarity

test = load_photo_patches(64, size=SIZE, subset="test").images
foreign = TorchAutoencoder(reconstruct, patch=PATCH, mask=0.5, takes_visible=True).fit(test)

# %%
# Maps of two pixels
# ------------------
# Half of each image is visible. A linear model would draw the same map for every image.
visible = foreign.sample_visible(1, random_state=1)[0]
JacobianDisplay.from_estimator(foreign, test, visible=visible, n_samples=4)
plt.show()

# %%
# How far it looks
# ----------------
# Beside a `LinearMAE` of the same patch and mask, averaged over four masks.
linear = LinearMAE(48, patch=PATCH, mask=0.5).fit(photos)
ax = None
for name, estimator in {"transformers' ViT-MAE": foreign, "LinearMAE": linear}.items():
    basis = JacobianBasis(FrozenEstimator(estimator), outputs="all", visible="random", n_masks=4, random_state=0)
    maps = basis.fit_transform(test[:8])
    entropy = SpatialEntropy((SIZE, SIZE)).fit_transform(maps).mean()
    similarity = np.nanmean(basis_similarity(basis.jacobian(test[:8])))
    print(f"{name}: entropy {entropy:.2f} nats of {np.log(SIZE**2):.2f}, similarity between images {similarity:.2f}")
    ax = InfluenceDisplay.from_maps(maps, (SIZE, SIZE, 3), name=name, ax=ax).ax_
plt.show()
