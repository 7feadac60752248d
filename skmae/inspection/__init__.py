"""What an autoencoder looks at: pictures of linear and deep models alike."""

from skmae.inspection._displays import ComponentsDisplay, ReconstructionDisplay, SearchDisplay

__all__ = ["ComponentsDisplay", "ReconstructionDisplay", "SearchDisplay"]
