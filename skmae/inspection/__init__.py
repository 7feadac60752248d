"""What an autoencoder looks at: pictures of linear and deep models alike."""

from skmae.inspection._displays import ComponentsDisplay, ReconstructionDisplay

__all__ = ["ComponentsDisplay", "ReconstructionDisplay"]
