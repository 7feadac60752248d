"""What `LocalTokens` has learned, and what it makes of samples: at once, or when somebody reads them."""

from dataclasses import dataclass
from math import prod
from typing import Any

from skmae._samples import Samples
from skmae._typing import Array, DType, Shape
from skmae.tokens._derivative import TokenDerivative
from skmae.tokens._encoder import TokenEncoder
from skmae.tokens._filters import Filters
from skmae.tokens._grid import TokenGrid


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """Filters for the windows of a grid."""

    grid: TokenGrid
    filters: Filters

    @property
    def tokens_shape(self) -> Shape:
        return (*self.grid.pool, 2 * len(self.filters.offset))

    def tokens(self, samples: Samples, *, is_flat: bool) -> Any:
        """(n, \\*tokens_shape), or (n, n_features) if flat."""
        encoder = TokenEncoder(self.grid, self.filters, samples.output_dtype)
        shape = self.tokens_shape
        return samples.map_rows(encoder.encode, (prod(shape),) if is_flat else shape, encoder.n_rows)

    def derivative(self, samples: Samples) -> TokenDerivative:
        """Of `tokens` by the features of samples."""
        return TokenDerivative(TokenEncoder(self.grid, self.filters, samples.output_dtype), samples.rows())

    def lazily(self, samples: Samples) -> Samples:
        """The same as samples, made when they are read, each time."""
        return Samples(_LazyTokens(self, samples), None if samples.sample_shape is None else self.tokens_shape)


class _LazyTokens:
    """For all that `Samples` asks, an array of (n, n_features)."""

    def __init__(self, tokenizer: Tokenizer, samples: Samples):
        self._tokenizer, self._samples = tokenizer, samples

    @property
    def shape(self) -> Shape:
        return len(self._samples), prod(self._tokenizer.tokens_shape)

    @property
    def dtype(self) -> DType:
        return self._samples.output_dtype

    def __getitem__(self, rows: Any) -> Array:
        tokens: Array = self._tokenizer.tokens(Samples(self._samples.read(rows)), is_flat=True)
        return tokens
