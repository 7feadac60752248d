"""ViTMAEClassifier and ViTMAERegressor as scikit-learn estimators."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor

ENCODER = {"patch": 1, "embed_dim": 8, "encoder_layers": 1, "encoder_heads": 2}
TRAINING = {
    "max_epochs": 15,
    "batch_size": 16,
    "learning_rate": 0.1,
    "warmup_epochs": 1,
    "device": "cpu",
    "channel_axis": None,
    "augment": None,
}
LONGER = {**TRAINING, "max_epochs": 30, "learning_rate": 0.3}
PRETRAINED = ViTMAE(
    **ENCODER, decoder_layers=1, decoder_heads=2, max_epochs=1, channel_axis=None, device="cpu", random_state=0
)
ESTIMATORS = [
    ViTMAEClassifier(**ENCODER, **TRAINING),
    ViTMAEClassifier(PRETRAINED, trainable_blocks=1, **TRAINING),
    ViTMAERegressor(**ENCODER, **LONGER),
    ViTMAERegressor(PRETRAINED, trainable_blocks=1, pool="cls", **LONGER),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
