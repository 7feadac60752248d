"""A stack, `LocalTokens` and an autoencoder of what it makes: pixels in, tokens out, a Jacobian by the chain rule."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skmae._samples import Samples
from skmae._typing import Array, BoolArray, FloatArray, IntArray, RandomState
from skmae.inspection._inputs import grid_of, unfrozen
from skmae.inspection._protocol import NEEDED, Linearization
from skmae.tokens import LocalTokens
from skmae.tokens._derivative import TokenDerivative


def is_stack(estimator: Any) -> bool:
    """Whether it is, or a frozen one is, a Pipeline of `LocalTokens` and an autoencoder alone."""
    estimator = unfrozen(estimator)
    if not isinstance(estimator, Pipeline) or len(estimator.steps) != 2:
        return False
    (_, tokens), (_, autoencoder) = estimator.steps
    return isinstance(unfrozen(tokens), LocalTokens) and all(hasattr(autoencoder, name) for name in NEEDED)


class TokenStack:
    """A fitted stack, for `JacobianBasis`: pixels come in, tokens come out, and masks hide tokens.

    Parameters
    ----------
    pipeline : fitted Pipeline
        `is_stack` is true of it.

    Attributes
    ----------
    inputs, outputs, masked : PatchGrid
        Of pixels; of tokens, each of them a pixel; as the autoencoder cuts tokens into patches, to hide them.
    """

    def __init__(self, pipeline: Pipeline):
        first, self._autoencoder = (step for _, step in pipeline.steps)
        self._tokens: Any = unfrozen(first)  # which takes `Samples`, too
        shape = self._tokens.tokens_shape_
        self.inputs = grid_of(self._tokens.image_shape_, self._tokens.channel_axis_)
        self.outputs = grid_of(shape, len(shape) - 1)
        model = self._autoencoder
        self.masked = grid_of(tuple(model.image_shape_), model.channel_axis_, model.patch_)

    def positions(self, outputs: IntArray) -> FloatArray:
        """(n_outputs, n_axes) where the windows of some tokens are, in pixels."""
        positions: FloatArray = self._tokens.positions_[outputs]
        return positions

    def read(self, samples: Samples, masks: BoolArray | None) -> Samples:  # noqa: ARG002
        """Samples as `linearize` takes them: all pixels are looked at, whatever tokens are hidden."""
        samples.check_finite()
        return samples

    def check(self, samples: Samples, mask: BoolArray | None) -> None:
        """Refuse what `linearize` would: all samples have the shape, the type and the names of the first."""
        frame = None if samples.frame is None else samples.frame[:1]
        self.linearize(Samples(samples.read(slice(1)), samples.sample_shape, frame=frame), mask)

    def sample_visible(self, n_samples: int, random_state: RandomState) -> BoolArray:
        visible: BoolArray = self._autoencoder.sample_visible(n_samples, random_state)
        return visible

    def linearize(
        self, samples: Samples, visible: BoolArray | None, batch_size: int | None = None
    ) -> "StackLinearization":
        of_tokens = self._autoencoder.linearize(self._tokens.transform(samples), visible, batch_size=batch_size)
        return StackLinearization(of_tokens, self._tokens.linearize(samples), self.inputs.n_features)


class StackLinearization:
    """J T: the Jacobian of an autoencoder of tokens, times the derivative of tokens by pixels.

    Parameters
    ----------
    of_tokens : Linearization
        J, at the tokens of some samples.
    tokens : TokenDerivative
        T, at these samples.
    n_inputs : int
        Features of a sample.
    """

    shared = False

    def __init__(self, of_tokens: Linearization, tokens: TokenDerivative, n_inputs: int):
        self._of_tokens = of_tokens
        self._tokens = tokens
        self._n_inputs = n_inputs
        # J = decoder encoder, which linear models say: no more products with Tᵀ are needed than there are features
        self._factors: tuple[Array, Array] | None = getattr(of_tokens, "factors", None)

    def cheaper_inputs(self, n_outputs: int) -> IntArray | None:
        """A product with T and one with its transpose take as long; all inputs count."""
        return np.arange(self._n_inputs) if self._n_products(n_outputs) > self._n_inputs else None

    def _n_products(self, n_outputs: int) -> int:
        """With Tᵀ, for so many rows."""
        return n_outputs if self._factors is None else min(n_outputs, len(self._factors[1]))

    def rows(self, outputs: IntArray, samples: slice = slice(None)) -> Array:
        numbers = range(*samples.indices(self._tokens.n_samples))
        if self._factors is not None and self._n_products(len(outputs)) < len(outputs):
            decoder, encoder = self._factors
            return np.stack([decoder[outputs] @ self._tokens.vjp(encoder.T, i).T for i in numbers])
        parts = (self._of_tokens.rows(outputs, slice(i, i + 1))[0] for i in numbers)
        return np.stack([self._tokens.vjp(rows.T, i).T for i, rows in zip(numbers, parts, strict=True)])

    def jvp(self, vectors: Array, sample: int) -> Array:
        return self._of_tokens.jvp(self._tokens.jvp(vectors, sample), sample)

    def vjp(self, vectors: Array, sample: int) -> Array:
        return self._tokens.vjp(self._of_tokens.vjp(vectors, sample), sample)
