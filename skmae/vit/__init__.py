"""Masked autoencoders with Vision Transformers. Needs the extra ``deep``."""

from skmae.vit._estimator import ViTMAE

__all__ = ["ViTMAE"]
