"""Faults that were mended, each as a patch that puts it back: the campaign that guards against it must find it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A mended fault.

    Attributes
    ----------
    name : str
    campaign : str
        The one that finds it within its budget.
    put_back : callable
        A context manager in which the fault is there again.
    """

    name: str
    campaign: str
    put_back: Callable[[], AbstractContextManager]


FAULTS: list[Fault] = []
