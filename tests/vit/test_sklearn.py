"""ViTMAE as a scikit-learn estimator."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import ViTMAE

TINY = {
    "patch": 1,
    "embed_dim": 8,
    "encoder_layers": 1,
    "encoder_heads": 2,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "max_epochs": 2,
    "device": "cpu",
}
ESTIMATORS = [
    ViTMAE(**TINY),
    ViTMAE(**TINY, mask=0, channel_axis=None, pool="cls", normalize_target=True, augment=None, batch_size=7),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
