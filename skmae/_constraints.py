"""Parameter constraints that several estimators share."""

from skmae._parameters import GRID, MASKING

__all__ = ["GRID", "MASKING"]
