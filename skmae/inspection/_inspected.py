"""What `JacobianBasis` takes a fitted model for: where its inputs, its outputs and what it hides are."""

from typing import Any

from sklearn.pipeline import Pipeline

from skmae._samples import Samples
from skmae._typing import BoolArray, FloatArray, IntArray, RandomState
from skmae.inspection._inputs import as_taken_by, check_rows, coordinates, grid_of, unfrozen
from skmae.inspection._protocol import Linearization, Reconstructor, check_reconstructor
from skmae.inspection._stack import TokenStack, is_stack


def check_inspected(estimator: Any) -> None:
    """Refuse what is neither an autoencoder nor a stack, and say what is needed."""
    if not is_stack(estimator):
        check_reconstructor(estimator)


def as_inspected(estimator: Reconstructor | Pipeline) -> "PixelModel | TokenStack":
    """A fitted autoencoder or stack, or a frozen one."""
    return TokenStack(unfrozen(estimator)) if is_stack(estimator) else PixelModel(estimator)


class PixelModel:
    """A fitted autoencoder: pixels of one grid come in, are hidden, and come out.

    Attributes
    ----------
    inputs, outputs : PatchGrid
        The grid of what comes in, and of what comes out.
    masked : PatchGrid
        The grid whose patches or pixels masks hide.
    """

    def __init__(self, estimator: Reconstructor):
        self._estimator = estimator
        grid = grid_of(tuple(estimator.image_shape_), estimator.channel_axis_, estimator.patch_)
        self.inputs = self.outputs = self.masked = grid

    def positions(self, outputs: IntArray) -> FloatArray:
        """(n_outputs, n_axes) coordinates of some outputs on the grid of inputs."""
        return coordinates(outputs, self.inputs)

    def read(self, samples: Samples, masks: BoolArray | None) -> Any:
        """Samples as `linearize` takes them: values that all masks hide are 0; all others must be finite."""
        return as_taken_by(self._estimator, self._without_hidden(samples, masks))

    def check(self, X: Any, mask: BoolArray | None) -> None:
        """Refuse what `linearize` would of what has been read."""
        self._estimator.linearize(X, mask)

    def sample_visible(self, n_samples: int, random_state: RandomState) -> BoolArray:
        return self._estimator.sample_visible(n_samples, random_state)

    def linearize(self, X: Any, visible: BoolArray | None, batch_size: int | None) -> Linearization:
        return self._estimator.linearize(X, visible, batch_size=batch_size)

    def _without_hidden(self, samples: Samples, masks: BoolArray | None) -> Samples:
        if masks is None:
            samples.check_finite()
            return samples
        if samples.n_features != self.inputs.n_features:  # which the autoencoder refuses
            return samples
        visible = self.masked.per_feature(masks.reshape(len(masks), -1)).any(axis=0, keepdims=True)
        rows = check_rows(samples, visible=visible)  # type: ignore[arg-type]
        return Samples(rows, samples.sample_shape, frame=samples.frame, library=samples.library)
