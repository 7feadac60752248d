"""Fine-tuning: what learns and what does not, at which rate, from which targets."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback, LRScheduler

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor
from skmae._grid import PatchGrid
from skmae.vit import _predictor_base
from skmae.vit._augmentation import Mixing, make_supervised_augment
from skmae.vit._data import BatchPart
from skmae.vit._drawing import DrawingFrom
from skmae.vit._finetuning import ClassificationLoss, Predictor, PredictorNet, run_block

ENCODER = {"patch": 4, "embed_dim": 12, "encoder_layers": 3, "encoder_heads": 2}
TRAINING = {"max_epochs": 2, "batch_size": 25, "learning_rate": 0.05, "warmup_epochs": 0, "device": "cpu"}


def classifier(encoder=None, **changes):
    return ViTMAEClassifier(encoder, **{"augment": None, "random_state": 0, **ENCODER, **TRAINING, **changes})


def regressor(encoder=None, **changes):
    return ViTMAERegressor(encoder, **{"random_state": 0, **ENCODER, **TRAINING, **changes})


@pytest.fixture(scope="module")
def digits():
    data = load_digits(n_class=4)
    return data.images[:200].astype(np.float32), data.target[:200]


@pytest.fixture(scope="module")
def mae(digits):
    return ViTMAE(
        **ENCODER, decoder_layers=1, decoder_heads=2, max_epochs=2, batch_size=50, device="cpu", random_state=0
    ).fit(digits[0])


def parameters_of(estimator):
    """By the names that the autoencoder has for them, and those of the head."""
    named = estimator.net_.module_.named_parameters()
    return {name.removeprefix("network."): value.detach().clone() for name, value in named}


# -- what learns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", [None, "auto"])
@pytest.mark.parametrize("trainable_blocks", [0, 1, 2, 3, None])
def test_frozen_parameters_stay_bit_for_bit_and_the_others_move(trainable_blocks, augment, mae, digits):
    before = {name: value.clone() for name, value in mae.net_.module_.named_parameters()}
    clf = classifier(mae, trainable_blocks=trainable_blocks, augment=augment).fit(*digits)
    parts = {0: [], 1: ["blocks.2."], 2: ["blocks.1.", "blocks.2."], 3: ["blocks."], None: [""]}[trainable_blocks]
    learned = tuple(f"encoder.{part}" for part in parts) + (("encoder.norm.",) if trainable_blocks else ())
    for name, value in parameters_of(clf).items():
        if name.startswith("head."):
            assert value.abs().max() > 0
        else:
            assert torch.equal(value, before[name]) == (not name.startswith(learned)), name
    for name, value in mae.net_.module_.named_parameters():  # the autoencoder itself is left alone
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("trainable_blocks", [0, 1])
def test_reusing_activations_changes_nothing(trainable_blocks, mae, digits, monkeypatch):
    frozen = []
    original = Predictor.freeze
    monkeypatch.setattr(Predictor, "freeze", lambda self, images: frozen.append(len(images)) or original(self, images))
    reused = classifier(mae, trainable_blocks=trainable_blocks).fit(*digits)
    assert sum(frozen) == 2 * len(digits[0])  # once for the statistics of the head, once for all epochs
    monkeypatch.setattr(_predictor_base, "fits", lambda *_: False)
    again = classifier(mae, trainable_blocks=trainable_blocks).fit(*digits)
    assert sum(frozen) == (2 + 1 + 2) * len(digits[0])  # in both epochs
    for name, value in parameters_of(again).items():
        assert_allclose(value, parameters_of(reused)[name], atol=2e-6)
    assert_allclose(again.predict_proba(digits[0]), reused.predict_proba(digits[0]), atol=1e-5)


@pytest.mark.parametrize("layer_decay", [0.5, 1.0])
def test_layer_wise_rates_are_those_of_the_formula(layer_decay, digits):
    clf = classifier(layer_decay=layer_decay, max_epochs=1).fit(*digits)
    scale = {}
    named = clf.net_.module_.named_parameters()
    names = {id(value): name.removeprefix("network.") for name, value in named}
    rate = 0.05 * 25 / 256 * 0.5 * (1 + np.cos(np.pi * 7 / 8))  # of the last of 8 steps
    for group in clf.net_.optimizer_.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            scale[name] = group["lr"] / rate
            decayed = not (name.endswith("bias") or "norm" in name)
            assert group["weight_decay"] == (0.05 if decayed else 0), name
    assert scale.keys() == set(names.values())
    for name, value in scale.items():
        layer = {"head": 4, "norm": 4, "patch_embed": 0, "cls_token": 0}.get(name.split(".")[name[0] == "e"])
        layer = int(name.split(".")[2]) + 1 if layer is None else layer
        assert value == pytest.approx(layer_decay ** (4 - layer)), name


def test_a_scheduler_of_the_user_keeps_the_layers_apart(digits):
    scheduler = LRScheduler("StepLR", step_size=100)
    clf = classifier(layer_decay=0.5, callbacks=[scheduler], max_epochs=1).fit(*digits)
    rates = sorted({group["lr"] for group in clf.net_.optimizer_.param_groups})
    assert_allclose(rates, 0.05 * 25 / 256 * 0.5 ** np.arange(4, -1, -1.0))


def test_the_first_step_moves_each_layer_by_its_rate(digits):
    """AdamW's first step is the learning rate for each weight, whatever its gradient."""
    slow = classifier(layer_decay=0.5, max_epochs=1, batch_size=200, weight_decay=0.0, learning_rate=1e-3)
    grid = PatchGrid.build((8, 8), None, 4)
    fresh = slow._fresh_network(grid, int(np.random.RandomState(0).randint(2**31 - 1)))
    slow.set_params(max_epochs=2, warmup_epochs=0).fit(*digits)
    # the head begins at zero, so that the encoder moves from the second step on, at half of the cosine
    rate = 1e-3 * 200 / 256 * 0.5
    moved = [
        (slow.net_.module_.encoder.blocks[i].mlp.fc2.weight - fresh.encoder.blocks[i].mlp.fc2.weight).abs().max().item()
        for i in range(3)
    ]
    for i, (lower, upper) in enumerate(pairwise(moved)):
        assert upper / lower == pytest.approx(2, rel=0.1), i
    assert moved[2] / (rate * 0.5) < 5


# -- where the encoder comes from ---------------------------------------------------------------------------------


def test_a_fitted_encoder_is_taken_as_it_is_and_another_is_pretrained_first(mae, digits):
    taken = classifier(mae, trainable_blocks=0).fit(*digits)
    frozen = classifier(FrozenEstimator(mae), trainable_blocks=0).fit(*digits)
    cloned = clone(frozen).fit(*digits)
    pretrained = classifier(clone(mae), trainable_blocks=0).fit(*digits)  # the same seed, data and parameters
    expected = taken.predict_proba(digits[0])
    for other in (frozen, cloned, pretrained):
        assert_array_equal(other.predict_proba(digits[0]), expected)
    scratch = classifier(trainable_blocks=0).fit(*digits)
    assert np.abs(scratch.predict_proba(digits[0]) - expected).max() > 1e-3


def test_the_seed_decides_on_everything(digits):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    settings = {"augment": "randaugment", "mixup": 0.8, "cutmix": 1.0, "drop_path": 0.2}
    a, b = (classifier(**settings).fit(*digits).predict_proba(digits[0]) for _ in range(2))
    assert_array_equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.abs(classifier(**settings, random_state=1).fit(*digits).predict_proba(digits[0]) - a).max() > 1e-4


def test_in_cross_validation_and_grid_search(mae, digits):
    X, y = digits
    scores = cross_val_score(classifier(FrozenEstimator(mae)), X, y, cv=2)
    assert np.isfinite(scores).all()
    search = GridSearchCV(classifier(FrozenEstimator(mae)), {"trainable_blocks": [0, 1, None]}, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(X).shape == y.shape


def test_flat_rows_images_memory_maps_and_types(mae, digits, tmp_path):
    X, y = digits
    clf = classifier(mae).fit(X, y)
    expected = clf.predict_proba(X)
    np.save(tmp_path / "X.npy", X.astype(np.uint8))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for other in (X.reshape(len(X), -1), X.astype(np.float64), mapped, X[:, ::-1][:, ::-1], X.tolist()):
        assert_allclose(clf.predict_proba(other), expected, atol=1e-5)
        assert_allclose(classifier(mae).fit(other, y).predict_proba(X), expected, atol=1e-4)


def test_channels_first(digits):
    X = np.repeat(digits[0][:, np.newaxis], 2, axis=1)  # (n, 2, 8, 8)
    clf = classifier(channel_axis=0).fit(X, digits[1])
    assert clf.image_shape_ == (2, 8, 8)
    last = classifier().fit(np.moveaxis(X, 1, -1), digits[1])
    assert_allclose(last.predict_proba(np.moveaxis(X, 1, -1)), clf.predict_proba(X), atol=1e-4)


def test_pickle_and_checkpoint(mae, digits, tmp_path):
    X, y = digits
    whole = classifier(mae, max_epochs=3, checkpoint=tmp_path / "a").fit(X, y)
    assert_array_equal(pickle.loads(pickle.dumps(whole)).predict_proba(X), whole.predict_proba(X))

    class StopError(Exception):
        pass

    class After(Callback):
        epochs = []

        def on_epoch_begin(self, net, **kwargs):
            self.epochs.append(len(net.history))

        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2 and self.stops:
                raise StopError

    After.stops = True
    interrupted = classifier(mae, max_epochs=3, checkpoint=tmp_path / "b", callbacks=[After()])
    with pytest.raises(StopError):
        interrupted.fit(X, y)
    After.stops = False
    After.epochs = []
    again = interrupted.fit(X, y)
    assert After.epochs == [2, 3]  # the second was not whole when it was stopped
    assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    for _ in range(2):  # without a seed, the same parameters and data go on from one folder
        classifier(random_state=None, checkpoint=tmp_path / "c").fit(X, y)
    assert len(list((tmp_path / "c").iterdir())) == 1
    other = classifier(mae, max_epochs=3, checkpoint=tmp_path / "b").fit(X, (y + 1) % 4)
    assert (other.predict(X) != again.predict(X)).any()


# -- targets ----------------------------------------------------------------------------------------------------


def test_classes_of_any_kind(mae, digits):
    names = np.array(["zero", "one", "two", "three"], dtype=object)[digits[1]]
    clf = classifier(mae, max_epochs=15).fit(digits[0], names)
    assert clf.classes_.tolist() == ["one", "three", "two", "zero"]
    assert clf.score(digits[0], names) > 0.8
    proba = clf.predict_proba(digits[0])
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(clf.classes_[proba.argmax(axis=1)], clf.predict(digits[0]))
    unseen = np.where(names == "zero", "nought", names)
    assert clf.score(digits[0], unseen) == pytest.approx(np.mean(clf.predict(digits[0]) == unseen))


def test_loss_of_classes():
    rng = np.random.default_rng(0)
    logits, target = torch.from_numpy(rng.normal(size=(6, 3))), torch.from_numpy(rng.integers(0, 3, 6))
    plain = ClassificationLoss([1.0, 1.0, 1.0], 0.0)
    assert_allclose(plain(logits, target), F.cross_entropy(logits, target))
    smoothed = ClassificationLoss([1.0, 1.0, 1.0], 0.2)
    assert_allclose(smoothed(logits, target), F.cross_entropy(logits, target, label_smoothing=0.2))
    weighted = ClassificationLoss([0.5, 2.0, 1.0], 0.0)
    own = F.cross_entropy(logits, target, reduction="none") * torch.tensor([0.5, 2.0, 1.0])[target]
    assert_allclose(weighted(logits, target), own.mean())
    other = F.cross_entropy(logits, target.flip(0), reduction="none") * torch.tensor([0.5, 2.0, 1.0])[target.flip(0)]
    assert_allclose(weighted(logits, target, 0.7), (0.7 * own + 0.3 * other).mean())


def test_class_weights_are_of_mean_one_and_move_the_decision(mae, digits):
    X, y = digits
    rare = (y == 0).astype(int)
    balanced = classifier(mae, class_weight="balanced").fit(X, rare)
    weights = balanced.net_.criterion_.weights.numpy()
    assert np.mean(weights[rare]) == pytest.approx(1)
    assert weights[1] / weights[0] == pytest.approx((rare == 0).sum() / rare.sum())
    heavy = classifier(mae, class_weight={0: 1.0, 1: 100.0}).fit(X, rare)
    assert heavy.predict(X).mean() > classifier(mae).fit(X, rare).predict(X).mean()


def test_regression_of_several_outputs_in_their_own_units(mae, digits):
    X = digits[0]
    targets = np.column_stack([X.sum(axis=(1, 2)), 1e-4 * X[:, :4].sum(axis=(1, 2)) + 7, np.full(len(X), 3.0)])
    reg = regressor(mae, max_epochs=40).fit(X, targets)
    prediction = reg.predict(X)
    assert prediction.shape == targets.shape
    errors = ((prediction - targets) ** 2).mean(axis=0)[:2] / targets.var(axis=0)[:2]
    assert (errors < 0.2).all()
    assert_allclose(prediction[:, 2], 3, atol=0.2)
    one = regressor(mae, max_epochs=2).fit(X, targets[:, 0])
    assert one.predict(X).shape == (len(X),)
    assert one.predict(X.astype(np.float64)).dtype == np.float64


def test_regression_of_maps(mae, digits):
    X = digits[0]
    maps = X.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))  # (n, 4, 4)
    reg = regressor(mae, max_epochs=20).fit(X, maps)
    assert reg.predict(X).shape == maps.shape
    flat = regressor(mae, max_epochs=20).fit(X, maps.reshape(len(X), -1))
    assert_allclose(reg.predict(X).reshape(len(X), -1), flat.predict(X))
    assert reg.score(X, maps) == pytest.approx(flat.score(X, maps.reshape(len(X), -1)))
    with pytest.raises(ValueError, match=r"y has targets of shape \(16,\), but .* fitted on .*\(4, 4\)"):
        reg.score(X, maps.reshape(len(X), -1))


def test_early_stopping_keeps_the_best_weights(digits):
    X, y = digits
    settings = {"early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.3, "learning_rate": 0.3}
    clf = classifier(max_epochs=60, **settings).fit(X, y)
    losses = clf.history_[:, "valid_loss"]
    assert len(losses) < 60
    assert len(losses) == np.argmin(losses) + 1 + 3
    valid = clf.net_.train_split.valid
    assert len(valid) == 60
    assert_allclose(np.bincount(y[valid]), np.bincount(y) * 0.3, atol=1)
    logs = -np.log(clf.predict_proba(X[valid])[np.arange(60), y[valid]])
    assert logs.mean() == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            lambda y: y[:, np.newaxis].view(np.matrix),
            r"y is a numpy.matrix: pass numpy.asarray\(y\), a target for each",
        ),
        (
            lambda y: np.array([(label,) for label in y], [("label", int)]),
            r"y is a structured array: pass one of its fields",
        ),
        (lambda y: torch.from_numpy(y).to_sparse(), r"y is a sparse tensor: pass y.to_dense\(\), a target for each"),
        (lambda y: np.ma.masked_array(y, np.arange(len(y)) == 3), r"y has masked entries\. Pass a target for each"),
    ],
)
def test_targets_that_are_no_plain_array_are_refused(make, wrong, text, mae, digits):
    X, y = digits
    model = make(mae, trainable_blocks=0, max_epochs=1).fit(X, y)
    for use in (model.fit, model.score):
        with pytest.raises((TypeError, ValueError), match=text):
            use(X, wrong(y))


@pytest.mark.parametrize("wrong", [pd.Series(["a", "b"]), [{1}, {2}], np.array([1j, 2]), [np.nan, 1.0]])
def test_targets_that_are_no_numbers_are_refused(wrong, mae, digits):
    X, y = digits
    model = regressor(mae, trainable_blocks=0, max_epochs=1).fit(X, y)
    for use in (model.fit, model.score):
        with pytest.raises((TypeError, ValueError), match="y does not hold finite real numbers"):
            use(X[:2], wrong)


def test_labels_of_another_kind_are_refused_by_name(mae, digits):
    X, y = digits
    model = classifier(mae, trainable_blocks=0, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=r"y holds other labels than the classes, \[0, 1, 2, 3\]: .*string and number"):
        model.score(X, y.astype(str))


# -- augmentation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), [((9,), None), ((6, 8), None), ((3, 6, 8), 0), ((4, 4, 4), None)])
def test_mixed_samples_are_of_two_by_the_share_that_is_told(shape, axis):
    grid = PatchGrid.build(shape, axis, 1)
    images = torch.arange(5.0).reshape(-1, *[1] * len(shape)).expand(5, *shape).clone()
    for mixing in (Mixing(0.8, 0.0, grid), Mixing(0.0, 1.0, grid), Mixing(0.8, 1.0, grid)):
        shares = []
        drawing = DrawingFrom(torch.Generator().manual_seed(0))
        for _ in range(50):
            mixed, share = mixing(images, drawing)
            expected = share * images[:, *[0] * len(shape)] + (1 - share) * images.flip(0)[:, *[0] * len(shape)]
            assert_allclose(mixed.flatten(1).mean(dim=1), expected, atol=1e-5)
            shares.append(share)
        assert np.ptp(shares) > 0.5
        assert min(shares) >= 0
        assert max(shares) <= 1
    cut, _ = Mixing(0.0, 1.0, grid)(images, drawing)
    assert set(cut.unique().tolist()) <= set(range(5))


@pytest.mark.parametrize("alpha", [5e-324, 1e-3, 0.05, 0.5])
def test_shares_are_of_the_beta_distribution(alpha):
    grid, drawing = PatchGrid.build((9,), None, 1), DrawingFrom(torch.Generator().manual_seed(0))
    mixing = Mixing(alpha, 0.0, grid)
    shares = np.array([mixing(torch.zeros(2, 9), drawing)[1] for _ in range(1000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.01)


def test_pictures_are_shifted_by_an_eighth_of_each_axis():
    grid = PatchGrid.build((8, 64), None, 1)
    place = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(64.0), indexing="ij"))  # (2, 8, 64)
    augment = make_supervised_augment("auto", grid, torch.tensor(0.0), torch.tensor(1.0))
    for axis, most in ((0, 1), (1, 8)):
        drawing = DrawingFrom(torch.Generator().manual_seed(0))
        shifted = augment(place[axis].expand(200, -1, -1), BatchPart(200, slice(0, 200), 1.0), drawing)
        if axis == 1:  # those that were not flipped
            shifted = shifted[shifted[:, 0, -1] > shifted[:, 0, 0]]
        moved = (shifted - place[axis]).abs().amax(dim=(1, 2))
        assert moved.max() == most
        assert moved.min() == 0


def test_dropped_branches_keep_their_mean():
    block = (
        ViTMAE(**ENCODER, decoder_layers=1, decoder_heads=2, image_shape=(8, 8))
        ._untrained(np.random.default_rng(0).normal(size=(4, 8, 8)), 0)
        .net_.module_.encoder.blocks[0]
    )
    x = torch.randn(1, 5, 12).expand(20_000, -1, -1)
    torch.manual_seed(0)
    with torch.no_grad():
        one = x[:1]
        attention = one + block.attn(block.norm1(one)) / 0.7
        both = attention + block.mlp(block.norm2(attention)) / 0.7
        mlp = one + block.mlp(block.norm2(one)) / 0.7
        dropped = run_block(block, x, 0.3, torch.Generator().manual_seed(0))
        shares = [
            ((dropped - kind).abs().amax(dim=(1, 2)) < 1e-4).float().mean() for kind in (one, attention, mlp, both)
        ]
        assert_allclose(shares, [0.3 * 0.3, 0.7 * 0.3, 0.3 * 0.7, 0.7 * 0.7], atol=0.015)
        assert torch.equal(run_block(block, x[:3], 0.0, None), block(x[:3]))


def test_randaugment_works_between_black_and_white():
    rng = np.random.default_rng(0)
    for shape, axis in (((8, 8), None), ((8, 8, 3), 2), ((3, 8, 8), 0), ((8, 8, 1), 2)):
        grid = PatchGrid.build(shape, axis, 2)
        low, high = torch.tensor(-1.5), torch.tensor(2.5)
        augment = make_supervised_augment("randaugment", grid, low, high)
        images = torch.from_numpy(rng.uniform(-1.5, 2.5, (32, *shape))).float()
        drawing = DrawingFrom(torch.Generator().manual_seed(0))
        changed = augment(images, BatchPart(32, slice(0, 32), 1.0), drawing)
        assert changed.shape == images.shape
        assert (changed - images).abs().max() > 0.1
        assert changed.min() >= -1.5 - 1e-5
        assert changed.max() <= 2.5 + 1e-5


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainable_blocks": 4}, "trainable_blocks=4, but the encoder has 3 blocks. Pass 0 "),
        ({"trainable_blocks": -1}, "'trainable_blocks' parameter of ViTMAEClassifier"),
        ({"encoder": PCA()}, "'encoder' parameter of ViTMAEClassifier"),
        ({"patch": 3}, "patch"),
        ({"encoder_heads": 5}, "encoder_heads=5 does not divide embed_dim=12"),
        ({"layer_decay": 0.0}, "'layer_decay' parameter"),
        ({"net_params": {"lr": 1}}, "net_params has 'lr'"),
        (
            {"net_params": {"module__drop_path": 0.5}},
            "module__drop_path', which the estimator's own parameter drop_path",
        ),
        ({"net_params": {"module__pool": "cls"}}, "own parameter pool"),
        ({"net_params": {"module__trainable_blocks": 1}}, "own parameter trainable_blocks"),
        ({"net_params": {"module__n_outputs": 9}}, "net_params has 'module__n_outputs', which is not known"),
        ({"net_params": {"train_split": None}, "early_stopping": True}, "own parameter early_stopping"),
        ({"class_weight": {0: 0, 1: 0, 2: 0, 3: 0}}, r"class_weight=.* the weights \[0.0, 0.0, 0.0, 0.0\]"),
        ({"class_weight": {0: -1, 1: 2}}, r"class_weight=.* none below 0"),
        ({"encoder": ViTMAE(encoder_layers="a"), "trainable_blocks": 1}, "'encoder_layers' parameter of ViTMAE"),
        ({"encoder": ViTMAE(), "checkpoint": "here"}, "checkpoint needs an encoder that is the same at every call"),
    ],
)
def test_parameters_that_do_not_fit(changes, message, digits):
    with pytest.raises(ValueError, match=message):
        classifier(**changes).fit(*digits)


def test_data_that_do_not_fit(mae, digits):
    X, y = digits
    with pytest.raises(ValueError, match=r"y holds one class only, .*2"):
        classifier(mae).fit(X, np.full(len(X), 2))
    with pytest.raises(ValueError, match="y has 199 targets for the 200 samples of X"):
        classifier(mae).fit(X, y[:-1])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        regressor(mae).fit(X, np.where(y == 1, np.nan, y))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        classifier(mae).fit(np.where(X == 3, np.nan, X), y)
    with pytest.raises(
        ValueError, match=r"samples of X have shape \(12, 12\), but ViTMAE was fitted on samples of shape \(8, 8\)"
    ):
        classifier(mae).fit(np.zeros((4, 12, 12)), [0, 1, 0, 1])
    with pytest.raises(
        ValueError, match=r"samples of X have shape \(4, 16\), but ViTMAE was fitted on samples of shape"
    ):
        classifier(mae).fit(np.zeros((4, 4, 16)), [0, 1, 0, 1])
    with pytest.raises(TypeError, match="encoder is a frozen PCA"):
        classifier(FrozenEstimator(PCA(2).fit(X.reshape(200, -1)))).fit(X, y)
    with pytest.raises(TypeError, match="X is a Dataset, TensorDataset"):
        classifier(mae).fit(torch.utils.data.TensorDataset(torch.zeros(4, 8, 8)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="early_stopping=True cannot set validation_fraction=0"):
        classifier(mae, early_stopping=True, validation_fraction=0.01).fit(X, y)
    with pytest.raises(ValueError, match="checkpoint and early_stopping=True do not go together"):
        classifier(mae, early_stopping=True, checkpoint="here").fit(X, y)
    with pytest.raises(ValueError, match="augment='randaugment' is for grey or RGB pictures"):
        classifier(augment="randaugment", patch=2).fit(np.zeros((4, 4, 4, 2)), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "changes",
    [
        {"trainable_blocks": 9},
        {"net_params": {"lr": 1}},
        {"device": "nowhere"},
        {"callbacks": [3]},
        {"class_weight": {"a": 1}},
        {"early_stopping": True, "validation_fraction": 0.01},
    ],
)
def test_what_needs_no_training_is_refused_before_it(changes, mae, digits, monkeypatch):
    fits = []
    monkeypatch.setattr(ViTMAE, "fit", lambda *args: fits.append(args))
    with pytest.raises(ValueError, match=next(iter(changes))):
        classifier(clone(mae), **changes).fit(*digits)
    assert not fits


def test_batches_can_be_made_in_another_process():
    assert pickle.loads(pickle.dumps(PredictorNet.collate)) is PredictorNet.collate


def test_ctrl_c_before_training_leaves_what_was_there(mae, digits, monkeypatch):
    X, y = digits
    clf = classifier(mae, trainable_blocks=1).fit(X, y)
    before = clf.predict_proba(X)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_predictor_base, "LabelledRows", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, 1 - y)
    assert_array_equal(clf.predict_proba(X), before)
    assert len(clf.history_) == 2


def test_ctrl_c_while_training_leaves_a_net_that_reads_images(mae, digits):
    class Interrupt(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    clf = classifier(mae, trainable_blocks=1, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*digits)
    assert not clf.net_.reads_frozen
    assert clf.score(*digits) > 0.3


def test_torch_tensors(mae, digits):
    X, y = digits
    tensor = torch.from_numpy(X).requires_grad_()
    clf = classifier(mae, trainable_blocks=0).fit(tensor, y)
    assert_array_equal(clf.predict_proba(tensor), clf.predict_proba(X))
    regressor(mae, trainable_blocks=0).fit(tensor.to(torch.bfloat16), y)


def test_targets_without_a_number(mae, digits):
    with pytest.raises(ValueError, match=r"y has shape \(200, 0, 3\), without a number to predict"):
        regressor(mae).fit(digits[0], np.zeros((200, 0, 3)))


def test_a_failed_fit_leaves_what_was_there(mae, digits):
    X, y = digits
    clf = classifier(mae).fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="one class"):
        clf.fit(X, np.zeros(len(X)))
    assert_array_equal(clf.predict_proba(X), before)


# -- targets and seeds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1.7e9), (1e9, -3e14), (1e-10, -3e-5), (1e-6, 1e4), (1e120, 0.0)])
def test_targets_far_from_zero(digits, scale, offset):
    X, _ = digits
    X = X.astype(np.uint8)
    y = X.mean(axis=(1, 2)).astype(np.float64)
    near, far = regressor().fit(X, y), regressor().fit(X, scale * y + offset)
    exact = np.finfo(float).eps * abs(offset) / scale  # what of y is left
    assert far.predict(X).dtype == np.float64
    assert_allclose((far.predict(X) - offset) / scale, near.predict(X), atol=1e-5 + 8 * exact)
    assert far.score(X, scale * y + offset) == pytest.approx(near.score(X, y), abs=1e-4)


def test_predictions_are_narrow_where_all_is(digits):
    X, _ = digits
    y = X.mean(axis=(1, 2))
    assert regressor().fit(X, y).predict(X).dtype == np.float32
    assert regressor().fit(X, y.astype(np.float64)).predict(X).dtype == np.float64
    assert regressor().fit(X, y).predict(X.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda y: y * 1e200, r"y has values as large as .* Give y in other units"),
        (lambda y: y * 1e-200, r"y has values that vary by .* only"),
        (lambda y: y.astype("datetime64[s]"), r"y has type datetime64\[s\], a time\. Pass numbers"),
        (lambda y: y.astype("timedelta64[s]"), r"y has type timedelta64\[s\], a time"),
    ],
)
def test_targets_that_cannot_be_predicted_are_refused(digits, change, text):
    X, _ = digits
    with pytest.raises(ValueError, match=text):
        regressor().fit(X, change(X.mean(axis=(1, 2)).astype(np.float64)))


def test_labels_in_an_array_of_objects(digits):
    X, y = digits
    plain, of_objects = classifier().fit(X, y), classifier().fit(X, y.astype(object))
    assert_array_equal(of_objects.classes_, plain.classes_)
    assert of_objects.classes_.dtype == y.dtype
    assert of_objects.score(X, y.astype(object)) == plain.score(X, y)
    names = np.array(["a", "b", "c", "d"], dtype=object)[y]
    assert_array_equal(classifier().fit(X, names).classes_, list("abcd"))
    for other, kinds in ((None, "NoneType, int"), ("a", "int, str")):
        mixed = y.astype(object)
        mixed[3] = other
        with pytest.raises(ValueError, match=f"y holds labels of different types: {kinds}"):
            classifier().fit(X, mixed)


def test_the_seed_of_the_predictor_decides(digits):
    X, y = digits
    unfitted = ViTMAE(**ENCODER, decoder_layers=1, decoder_heads=2, max_epochs=1, batch_size=50, device="cpu")
    first = classifier(unfitted, max_epochs=1).fit(X, y).predict_proba(X)
    assert_array_equal(classifier(unfitted, max_epochs=1).fit(X, y).predict_proba(X), first)
    other = classifier(unfitted, max_epochs=1, random_state=1).fit(X, y).predict_proba(X)
    assert np.abs(other - first).max() > 1e-6
    assert unfitted.random_state is None
    seeded = clone(unfitted).set_params(random_state=5)  # its own seed is left to it
    own = classifier(clone(seeded).fit(X), max_epochs=1).fit(X, y).predict_proba(X)
    assert_array_equal(classifier(seeded, max_epochs=1).fit(X, y).predict_proba(X), own)


@pytest.mark.parametrize("kind", [ViTMAEClassifier, ViTMAERegressor])
def test_targets_and_weights_that_are_none(kind):
    X = np.random.default_rng(0).random((6, 4, 4))
    model = kind(patch=2, embed_dim=4, encoder_layers=1, encoder_heads=1, max_epochs=1, augment=None)
    y = torch.arange(6.0).remainder(2).requires_grad_()
    model.fit(X, y)
    for call in (model.fit, model.score):
        with pytest.raises(
            TypeError, match=r"y is of type slice, which holds no targets\. Pass an array or a list of one"
        ):
            call(X, slice(2))
        with pytest.raises(ValueError, match=r"y has 5 targets for the 6 samples of X\. Pass one for each"):
            call(X, np.zeros(5))
    with pytest.raises(ValueError, match=r"sample_weight has shape \(2,\); it must hold one weight per sample: \(6,\)"):
        model.score(X, y, sample_weight=(1, 2))
    assert model.score(X, y, sample_weight=torch.ones(6, requires_grad=True)) == pytest.approx(model.score(X, y))
    with pytest.raises(ValueError, match=r"Input( y)? contains infinity"):
        model.score(X, np.full(6, np.inf))


def test_numbers_of_other_kinds_in_fine_tuning():
    X = np.random.default_rng(0).random((6, 4, 4))
    sizes = {"patch": 2, "embed_dim": 4, "encoder_layers": 1, "encoder_heads": 1, "max_epochs": 1, "augment": None}
    numbers = {"cutmix": np.float32(0.5), "mixup": np.float32(0.5)}
    found = ViTMAEClassifier(**sizes, **numbers, random_state=0).fit(X, np.arange(6) % 2)
    plain = ViTMAEClassifier(**sizes, cutmix=0.5, mixup=0.5, random_state=0).fit(X, np.arange(6) % 2)
    np.testing.assert_array_equal(found.predict_proba(X), plain.predict_proba(X))
