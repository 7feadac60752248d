"""The three linear autoencoders: they differ in their corruption and their loss alone."""

from numbers import Real
from typing import Any

from skmae._compat import HasMethods, Interval, StrOptions
from skmae._estimator import store_parameters
from skmae._grid import PatchGrid
from skmae._parameters import GRID_DOCS, MASKING, shared_docs
from skmae._typing import ChannelAxis, Patch, RandomState, Shape
from skmae.linear._base import LinearAutoencoder
from skmae.linear._corruptions import Corruption, Masks
from skmae.linear._losses import Loss, resolve_loss
from skmae.masking import MaskSampling, resolve_sampler

_DOCS = GRID_DOCS | {
    "mask_sampling": GRID_DOCS["mask_sampling"] % {"default": "bernoulli"},
    "whiten": """
        whiten : bool, default=False
            Scale features so that those of corrupted samples have unit second moment (divisor n; PCA's is n - 1).
        """,
    "solver": """
        solver : {"auto", "cholesky", "eigh", "dual", "randomized"} or solver, default="auto"
            "cholesky" factorises the second moment of corrupted samples, "eigh" takes its pseudo-inverse where it is
            singular (constant or redundant features); both form it, n_features × n_features. "dual" forms only matrices
            of n_samples × n_samples and of one patch: for fewer samples than features, and ``loss="all"``.
            "randomized" forms only those of one patch, and reads X again and again, in blocks: for many samples of many
            features, `n_components` an int, and ``loss="all"``. Its loss is estimated to be within 1e-4 of the least,
            relative to it; a `sklearn.exceptions.ConvergenceWarning` says if it is not. "auto" takes "dual" where that
            is possible and cheaper, and else "cholesky", or "eigh" where needed; "randomized" where the matrices of
            all these are larger than the memory of the machine. Or a `skmae.linear.Solver` of your own.
        """,
    "random_state": """
        random_state : int, RandomState instance or None, default=None
            Draws what ``solver="randomized"`` begins with; nothing else is random. Pass an int for the same answer to
            the last digit each time.
        """,
    "verbose": """
        verbose : bool, default=False
            Show the progress of each pass that ``solver="randomized"`` takes over X. Needs tqdm.
        """,
    "encoder_decoder_mean": """
        components_ : ndarray of shape (n_components, n_features)
            Encoder, one feature per row, scaled for whole samples.
        decoder_ : ndarray of shape (n_features, n_components)
            Decoder; its columns are orthonormal unless `whiten`. Signs are such that the largest entry of each column
            is positive.
        mean_ : ndarray of shape (n_features,)
        """,
    "explained_variance_ratio_": """
        explained_variance_ratio_ : ndarray of shape (n_components,)
            ``eigenvalues_`` over the total variance of X.
        """,
    "rank_and_shape": """
        n_components_ : int
        image_shape_ : tuple of int
        channel_axis_ : int or None
            Counted from the front of `image_shape_`.
        """,
    "seen_and_solver": """
        n_samples_seen_ : int
        n_features_in_ : int
        feature_names_in_ : ndarray of shape (n_features,)
            Names of the columns, if X had any.
        solver_ : {"cholesky", "eigh", "dual", "randomized"}
            The one that was used.
        moments_ : Moments
            Only after `partial_fit` or `fit_moments`.
        """,
}


@shared_docs(_DOCS)
class LinearMAE(LinearAutoencoder):
    """Masked autoencoder with a linear encoder and decoder, solved in closed form.

    It finds the k features from which whole samples are best reconstructed while random patches of them are hidden:
    a PCA that prefers what is shared between patches to what stays inside one. With ``mask=0`` it is PCA.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of features k. A float in (0, 1) takes the smallest k that reaches this share of the second moment that
        could be explained at all under this corruption. None takes every direction that carries signal.
    mask : float, default=0.75
        Share of patches hidden during training, 0 <= mask < 1.
    patch : int or tuple of int, default=4
        Pixels of a patch along each axis of the grid, or one number for all axes. The last patch of an axis may be
        smaller; a patch larger than an axis is clipped.
    %(image_shape)s
    %(channel_axis)s
    %(mask_sampling)s
    loss : {"all", "hidden"}, default="all"
        Features whose reconstruction counts: "all" of them, hidden and visible (Eq. 1), or only "hidden" ones, as in
        the training of a ViT-MAE. "hidden" needs two patches at least; it has a closed form for ``n_components=None``
        and else descends by L-BFGS, which takes longer. Where nothing is hidden (``mask=0``) everything counts.
    %(whiten)s
    %(solver)s
    %(random_state)s
    %(verbose)s

    Attributes
    ----------
    %(encoder_decoder_mean)s
    eigenvalues_ : ndarray of shape (n_components,)
        λ of Theorem 1, descending: the second moment that each direction explains under this corruption, in units of
        X squared. With ``loss="hidden"`` it is instead the second moment, along each direction, of the reconstruction
        of corrupted samples (hidden and visible parts). That does not say how much is explained; ``expected_loss_``
        does.
    %(explained_variance_ratio_)s
    expected_loss_ : float
        Expected squared error of reconstructing corrupted training samples, per feature: ``-score(X)``. With
        ``loss="hidden"`` that of hidden features, summed and divided by their expected number.
    %(rank_and_shape)s
    patch_ : tuple of int
        Pixels of a patch along each axis of the grid.
    mask_ : float
        Share of patches hidden in effect: with ``mask_sampling="exact"``, `mask` rounded to whole patches.
    %(seen_and_solver)s

    See Also
    --------
    LinearAE : The same without corruption: PCA.
    LinearDAE : The same with additive noise.

    Notes
    -----
    A hidden feature is set to its mean; what is visible is divided by 1 - mask, as dropout does in training, so that
    whole samples are encoded and reconstructed at their own scale. With S the second moment of X about its mean and
    BD(S) its part within patches, training needs only V = S + γ BD(S), where γ = mask / (1 - mask) (Lemma 1). The
    decoder is made of the leading eigenvectors E of S V⁻¹ S, and the encoder is Eᵀ S V⁻¹ (Theorem 1, Eqs. 3 and 4).

    For n samples of d features, `fit` takes O(n d²) for S and O(d³) for the rest, and memory for two d × d arrays of
    float64, or up to seven where more than about d / 16 components are asked for; by the dual solver O(n² d), and
    memory for a few n × n arrays.

    With ``loss="hidden"`` a patch counts only while it is hidden, so that nothing is gained by reading it off itself.
    ``n_components=None`` regresses each patch on all others, in closed form, and a float keeps as many components as
    hold that share of its ``eigenvalues_``. A limited rank has no closed form: given the encoder, the best decoder is
    known, and L-BFGS finds the encoder, from the better of that closed form, cut to its leading directions, and the
    solution of ``loss="all"``. It stops when no entry of the loss's gradient is above 1e-7 of the variance of X or 50
    steps lower the loss by no more than that, and after 1000 steps with a `sklearn.exceptions.ConvergenceWarning`. It
    ends in a local minimum, never worse than either start. A step takes O(k d²). Of losses that differ by less than
    about 1e-5 of the variance it takes that of smaller features: how a patch is rebuilt from itself does not count,
    and would else grow without limit where features are many and patches few.

    References
    ----------
    .. [1] Bisulco, Ramesh, Balestriero and Chaudhari, "From Linearity to Non-Linearity: How Masked Autoencoders Capture
       Spatial Correlations", ICCV 2025, https://arxiv.org/abs/2508.15404.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearMAE
    >>> X = load_digits().images  # (1797, 8, 8)
    >>> mae = LinearMAE(n_components=10, mask=0.5, patch=2).fit(X)
    >>> mae.transform(X).shape
    (1797, 10)
    >>> visible = mae.sample_visible(len(X), random_state=0)  # (1797, 16), one per patch
    >>> mae.reconstruct(X, visible).shape
    (1797, 8, 8)
    """

    _parameter_constraints = {
        **LinearAutoencoder._parameter_constraints,
        **MASKING,
        "loss": [StrOptions({"all", "hidden"}), HasMethods(["minimise", "expected_error"])],
    }

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        mask: float = 0.75,
        patch: Patch = 4,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        mask_sampling: MaskSampling = "bernoulli",
        loss: Any = "all",
        whiten: bool = False,
        solver: Any = "auto",
        random_state: RandomState = None,
        verbose: bool | int = False,
    ):
        store_parameters(self, locals())

    def _patch(self) -> Any:
        return self.patch

    def _masks(self, grid: PatchGrid) -> Masks | None:
        return Masks(resolve_sampler(self.mask_sampling), grid, self.mask)

    def _loss(self, corruption: Corruption) -> Loss:
        return resolve_loss(self.loss, corruption)

    @property
    def mask_(self) -> float:
        return self._problem.corruption.hidden


@shared_docs(_DOCS)
class LinearDAE(LinearAutoencoder):
    """Denoising autoencoder with a linear encoder and decoder, solved in closed form.

    It finds the k features from which samples are best reconstructed after white Gaussian noise was added to them
    (Eq. 7). With ``noise_std=0`` it is PCA.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of features k. A float in (0, 1) takes the smallest k that reaches this share of the second moment that
        could be explained at all under this noise. None takes every direction that carries signal.
    noise_std : float, default=1.0
        Standard deviation of the noise, in the units of X: 1 is much for images in [0, 1] and next to nothing for
        images in 0..255.
    %(image_shape)s
    %(channel_axis)s
    %(whiten)s
    %(solver)s
    %(random_state)s
    %(verbose)s

    Attributes
    ----------
    %(encoder_decoder_mean)s
    eigenvalues_ : ndarray of shape (n_components,)
        λ of Theorem 1, descending, in units of X squared.
    %(explained_variance_ratio_)s
    expected_loss_ : float
        Expected squared error of reconstructing corrupted training samples, per feature: ``-score(X)``.
    %(rank_and_shape)s
    %(seen_and_solver)s

    See Also
    --------
    LinearMAE : The same with hidden patches.

    Notes
    -----
    V = S + σ² I in Theorem 1. The decoder spans the leading principal components, and each feature is shrunk by
    s / (s + σ²), where s is the variance along its component.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearDAE
    >>> X = load_digits().data
    >>> LinearDAE(n_components=10, noise_std=4.0).fit_transform(X).shape
    (1797, 10)
    """

    _parameter_constraints = {
        **LinearAutoencoder._parameter_constraints,
        "noise_std": [Interval(Real, 0, 1e150, closed="both")],  # its square is a float64, too
    }

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        noise_std: float = 1.0,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        whiten: bool = False,
        solver: Any = "auto",
        random_state: RandomState = None,
        verbose: bool | int = False,
    ):
        store_parameters(self, locals())

    def _corruption(self, grid: PatchGrid) -> Corruption:  # noqa: ARG002
        return Corruption(noise=float(self.noise_std) ** 2)


@shared_docs(_DOCS)
class LinearAE(LinearAutoencoder):
    """Autoencoder with a linear encoder and decoder and no corruption: PCA, with the interface of `LinearMAE`.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Number of features k. A float in (0, 1) takes the smallest k that explains this share of the variance. None
        takes every direction that carries signal.
    %(image_shape)s
    %(channel_axis)s
    %(whiten)s
    %(solver)s
    %(random_state)s
    %(verbose)s

    Attributes
    ----------
    %(encoder_decoder_mean)s
    eigenvalues_ : ndarray of shape (n_components,)
        Variance (divisor n) along each component, descending, in units of X squared.
    %(explained_variance_ratio_)s
    expected_loss_ : float
        Mean squared error of reconstructing the training samples: ``-score(X)``.
    %(rank_and_shape)s
    %(seen_and_solver)s

    See Also
    --------
    LinearMAE : The same with hidden patches.
    sklearn.decomposition.PCA : The same features, up to sign.

    Notes
    -----
    V = S in Theorem 1 (Baldi and Hornik's result). A `visible` given to `reconstruct` is per pixel or per feature.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmae import LinearAE
    >>> X = load_digits().data
    >>> LinearAE(n_components=0.95).fit(X).n_components_
    29
    """

    def __init__(
        self,
        n_components: int | float | None = None,
        *,
        image_shape: Shape | None = None,
        channel_axis: ChannelAxis = "auto",
        whiten: bool = False,
        solver: Any = "auto",
        random_state: RandomState = None,
        verbose: bool | int = False,
    ):
        store_parameters(self, locals())
