"""Images to try things on: real ones that need no download, synthetic ones with known statistics, CIFAR-10, depth."""

from skmae.datasets._cifar10 import fetch_cifar10
from skmae.datasets._depth import load_depth
from skmae.datasets._folder import load_image, load_image_folder
from skmae.datasets._gabor import make_gabor_targets
from skmae.datasets._ising import make_ising
from skmae.datasets._photos import load_photo_patches

__all__ = [
    "fetch_cifar10",
    "load_depth",
    "load_image",
    "load_image_folder",
    "load_photo_patches",
    "make_gabor_targets",
    "make_ising",
]
