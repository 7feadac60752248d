"""The user's callbacks: copied where they can be, and checked before a training begins."""

from collections.abc import Sequence
from copy import copy, deepcopy
from typing import Any, Self

from sklearn.base import BaseEstimator
from skorch.callbacks import BatchScoring, Callback, EarlyStopping, EpochScoring

_SET_ASIDE = (
    'by early_stopping=True for a predictor, by net_params={"train_split": skorch.dataset.ValidSplit(5)} for an '
    "autoencoder."
)


class ClonesCallbacks(BaseEstimator):
    """An estimator whose ``clone`` has callbacks as a training has them, where scikit-learn's would make them anew."""

    callbacks: Sequence[Any] | None

    def __sklearn_clone__(self) -> Self:
        if "callbacks" not in self._get_param_names():
            return super().__sklearn_clone__()
        bare = type(self).__new__(type(self))
        bare.__dict__.update(self.__dict__, callbacks=None)
        other = super(ClonesCallbacks, bare).__sklearn_clone__()
        other.callbacks = own_callbacks(self.callbacks)
        return other


def own_callbacks(callbacks: Sequence[Any] | None) -> Any:
    """Callbacks with a state of their own, which share what they hold; what cannot be copied is shared itself."""
    if callbacks is None:
        return None
    own = [_own(callback) for callback in callbacks]
    return tuple(own) if isinstance(callbacks, tuple) else own


def _own(callback: Any) -> Any:
    if isinstance(callback, tuple):
        return (*callback[:-1], _own(callback[-1]))
    return copy(callback) if can_be_copied(callback) else callback


def can_be_copied(callback: Any) -> bool:
    """Whether it holds no lock, no open file, nothing that is there only once."""
    try:
        deepcopy(callback)
    except Exception:  # whatever the parts of a callback raise
        return False
    return True


def check_callbacks(callbacks: Sequence[Any], *, validates: bool) -> None:
    """Refuse what is no callback, and scores of validation data that is not there.

    Raises
    ------
    ValueError
    """
    for callback in map(plain, callbacks):
        kind = callback if isinstance(callback, type) else type(callback)
        if not issubclass(kind, Callback):
            raise ValueError(
                f"callbacks has {callback!r}, which is not a skorch callback. Pass instances of skorch.callbacks."
                f"Callback, or (name, callback) pairs."
            )
        if isinstance(callback, EpochScoring | BatchScoring) and not (callback.on_train or validates):
            raise ValueError(
                f"callbacks has {kind.__name__}({callback.scoring!r}), which scores validation data, and none is set "
                f"aside. Pass it on_train=True, or set data aside: {_SET_ASIDE}"
            )
        if isinstance(callback, EarlyStopping) and callback.monitor == "valid_loss" and not validates:
            raise ValueError(
                f"callbacks has EarlyStopping(monitor='valid_loss'), and no validation data is set aside. Pass it "
                f"monitor='train_loss', or set data aside: {_SET_ASIDE}"
            )


def plain(callback: Any) -> Any:
    """A callback without the name that it may come with."""
    return callback[-1] if isinstance(callback, tuple) else callback
