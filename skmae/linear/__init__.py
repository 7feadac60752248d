"""Linear autoencoders in closed form."""

from skmae.linear._base import LinearAutoencoder
from skmae.linear._corruptions import Corruption
from skmae.linear._models import LinearAE, LinearDAE, LinearMAE
from skmae.linear._search import LinearMAESearchCV

__all__ = ["Corruption", "LinearAE", "LinearAutoencoder", "LinearDAE", "LinearMAE", "LinearMAESearchCV"]
