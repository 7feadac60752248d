"""Linear autoencoders in closed form."""

from skmae.linear._estimators import LinearAE, LinearDAE, LinearMAE

__all__ = ["LinearAE", "LinearDAE", "LinearMAE"]
