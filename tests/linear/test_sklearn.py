"""The linear autoencoders as scikit-learn estimators."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import LinearAE, LinearDAE, LinearMAE

ESTIMATORS = [
    LinearMAE(),
    LinearMAE(2, mask=0.5, patch=1, mask_sampling="exact", whiten=True),
    LinearMAE(0.9, mask=0.9, patch=2, channel_axis=None, solver="eigh"),
    LinearMAE(mask=0),
    LinearMAE(patch=1, channel_axis=None, loss="hidden"),
    LinearMAE(1, mask=0.5, patch=1, channel_axis=None, mask_sampling="exact", loss="hidden"),
    LinearDAE(),
    LinearDAE(2, noise_std=0, whiten=True),
    LinearDAE(0.5, noise_std=3, solver="cholesky"),
    LinearAE(),
    LinearAE(2, whiten=True, solver="eigh"),
    LinearAE(0.99),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
