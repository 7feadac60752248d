"""Local, non-linear tokens of images, learned without labels, for a linear autoencoder to work on."""

from skmae.tokens._local_tokens import LocalTokens

__all__ = ["LocalTokens"]
