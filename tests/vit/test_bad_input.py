"""What does not fit is refused with a remedy, and what was fitted is still there."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skmae import ViTMAE, ViTMAEClassifier, ViTMAERegressor

TINY = {
    "patch": 2,
    "embed_dim": 8,
    "encoder_layers": 1,
    "encoder_heads": 2,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "max_epochs": 1,
    "device": "cpu",
    "random_state": 0,
}


def tiny(**changes):
    return ViTMAE(**{**TINY, **changes})


@pytest.fixture
def X():
    return np.random.default_rng(0).random((12, 6, 8, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 4}, r"patch=\(4, 4\) does not divide the grid \(6, 8\).*\[1, 2, 3, 6\]; \[1, 2, 4, 8\]"),
        ({"patch": 16}, r"patch=\(16, 16\) does not divide the grid"),
        ({"patch": (2, 2, 2)}, "has 3 sizes, but the grid"),
        ({"encoder_heads": 3}, r"encoder_heads=3 does not divide embed_dim=8.*\[1, 2, 4, 8\]"),
        ({"decoder_heads": 3}, r"decoder_heads=3 does not divide decoder_dim=8"),
        ({"decoder_dim": 10, "decoder_heads": 4}, r"decoder_heads=4 does not divide decoder_dim=10"),
        ({"mask": 1}, r"'mask' parameter of ViTMAE must be a float in the range \[0.*, 1.*\)"),
        ({"device": "nowhere"}, "device='nowhere' is not a device"),
        ({"image_shape": (6, 8)}, "image_shape"),
        ({"net_params": {"lr": 1}}, "net_params has 'lr', which the estimator's own parameter learning_rate says"),
        ({"net_params": {"module__embed_dim": 4}}, "own parameter embed_dim"),
        ({"net_params": {"optimizer__weight_decay": 4}}, "own parameter weight_decay"),
        ({"net_params": {"batchsize": 4}}, r"net_params has 'batchsize', which is not known\. Known are optimizer"),
        ({"net_params": {"iterator_train__shuffle": True}}, "net_params has 'iterator_train__shuffle'"),
        ({"net_params": {"iterator_train__workers": 2}}, "net_params has 'iterator_train__workers'"),
        ({"net_params": {"module__depth": 4}}, r"net_params=\{'module__depth': 4\} cannot be used: .*depth"),
        ({"net_params": {"optimizer__beta": 4}}, r"net_params=.*cannot be used: .*beta"),
        ({"callbacks": [3]}, "callbacks has 3, which is not a skorch callback"),
        ({"batch_size": True}, r"'batch_size' parameter of ViTMAE must be an int in the range \[1, inf\)\. Got True"),
        ({"augment": len}, "augment returned int; it must return a tensor of the shape that it gets"),
        ({"augment": lambda batch: batch[..., :-1]}, r"augment returned a batch of shape \(12, 3, 6, 7\)"),
    ],
)
def test_parameters_that_do_not_fit(X, changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        tiny(**changes).fit(X)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": -1}, "batch_size == -1, must be >= 1"),
        ({"batch_size": 0}, "batch_size == 0, must be >= 1"),
        ({"batch_size": None}, "batch_size must be an instance of int, not NoneType"),
        ({"pool": "max"}, r"pool must be one of \['cls', 'mean'\], got 'max'"),
    ],
)
def test_parameters_that_do_not_fit_once_the_network_is_trained(X, changes, message):
    with pytest.raises((ValueError, TypeError), match=message):
        tiny().fit(X).set_params(**changes).transform(X)


@pytest.mark.parametrize("device", ["xpu", "hpu"])
def test_devices_that_pytorch_knows_by_name_only(X, device):
    with pytest.raises(ValueError, match=f"device='{device}', but PyTorch finds no {device} device here"):
        tiny(device=device).fit(X)


def test_a_mask_that_cannot_be_written_to(X):
    visible = np.broadcast_to(np.arange(12) % 3 == 0, (len(X), 12))  # warnings are errors
    assert tiny().fit(X).reconstruct(X, visible).shape == X.shape


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there(X):
    with pytest.raises(ValueError, match=r"device='cuda', but PyTorch finds no cuda device here"):
        tiny(device="cuda").fit(X)


def test_a_failed_fit_leaves_what_was_fitted(X):
    mae = tiny().fit(X)
    before = mae.transform(X)
    bad = X.copy()
    bad[3, 1, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"Input X contains NaN or infinity: X\[3, "):
        mae.fit(bad)
    with pytest.raises(ValueError, match="does not divide"):
        mae.set_params(patch=5).fit(X)
    np.testing.assert_array_equal(mae.transform(X), before)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "score", "patch_features"])
def test_samples_that_do_not_fit_the_training(X, method):
    mae = tiny().fit(X)
    call = getattr(mae, method)
    with pytest.raises(ValueError, match=r"samples of X have shape \(8, 6, 3\), but ViTMAE was fitted on"):
        call(X.transpose(0, 2, 1, 3))
    with pytest.raises(ValueError, match=r"samples of X have shape \(4, 8, 3\), but ViTMAE was fitted on"):
        call(X[:, :4])
    with pytest.raises(ValueError, match="X has 96 features, but ViTMAE is expecting 144"):
        call(X[:, :4].reshape(12, -1))
    bad = X.copy()
    bad[5, 0, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity: X\[5, 0\] is inf"):
        call(bad)
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        call(X[:0])


def test_nan_where_no_output_would_show_it(X):
    mae = tiny().fit(X)
    before = mae.transform(X)
    bad = X.copy()
    bad[5, 0, 0, 0] = np.nan
    visible = np.ones(12, dtype=bool)
    visible[0] = False
    for hidden in (None, ~visible):
        with pytest.raises(ValueError, match=r"X\[5, 0\] is nan"):
            mae.reconstruct(bad, hidden)
    with pytest.raises(ValueError, match=r"NaN or infinity: X\[5, 0\] is nan"):
        mae.partial_fit(bad)
    np.testing.assert_array_equal(mae.transform(X), before)


def test_numbers_of_masks(X):
    mae = tiny().fit(X)
    assert mae.sample_visible(0).shape == (0, 12)
    with pytest.raises(ValueError, match="n_samples == -1, must be >= 0"):
        mae.sample_visible(-1)


def test_visible_that_does_not_fit(X):
    mae = tiny().fit(X)
    with pytest.raises(ValueError, match="must be an array of bool"):
        mae.reconstruct(X, np.ones(12))
    with pytest.raises(ValueError, match="fits neither patches, pixels nor features"):
        mae.reconstruct(X, np.ones(5, dtype=bool))
    some = np.ones((12, 12), dtype=bool)
    some[4] = False
    with pytest.raises(ValueError, match="visible shows no patch of sample 4"):
        mae.reconstruct(X, some)
    pixels = np.ones((6, 8), dtype=bool)
    pixels[0, 0] = False
    with pytest.raises(ValueError, match="visible shows a patch in part"):
        mae.reconstruct(X, pixels)
    pixels[:2, :2] = False
    patches = np.ones(12, dtype=bool)
    patches[0] = False
    np.testing.assert_array_equal(mae.reconstruct(X, pixels), mae.reconstruct(X, patches))


# -- inputs that fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "u1", "<u2", ">f4", "f2", "<i8", ">f8"])
def test_any_real_type(X, dtype):
    Z = (X * 200).astype(dtype)
    Z.flags.writeable = False
    mae = tiny().fit(Z)
    features = mae.transform(Z)
    assert features.dtype == (np.float64 if dtype == ">f8" else np.result_type(Z.dtype, np.float32))
    same = tiny().fit(Z.astype(float))
    np.testing.assert_allclose(features, same.transform(Z.astype(float)), atol=2e-3)


def test_memory_maps_and_fortran_order(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    expected = tiny().fit(X).transform(X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(tiny().fit(mapped).transform(mapped), expected)
    fortran = np.asfortranarray(X.reshape(12, -1))
    np.testing.assert_array_equal(tiny(image_shape=(6, 8, 3)).fit(fortran).transform(fortran), expected)


def test_torch_tensors(X):
    tensor = torch.from_numpy(X)
    np.testing.assert_array_equal(tiny().fit(tensor).transform(tensor), tiny().fit(X).transform(X))
    half = tensor.to(torch.bfloat16).requires_grad_()
    np.testing.assert_array_equal(
        tiny().fit(half).transform(half), tiny().fit(half.detach().float()).transform(half.detach().float())
    )


class Labelled(Dataset):
    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, index):
        return self.X[index], 7


@pytest.mark.parametrize("workers", [0, 1])  # PyTorch warns of more of them than there are cores
def test_datasets_are_as_arrays(X, workers):
    X = X.astype(np.float32)
    net_params = {"iterator_train__num_workers": workers, "iterator_valid__num_workers": workers} if workers else None
    expected = tiny().fit(X)
    mae = tiny(net_params=net_params).fit(Labelled(X))
    np.testing.assert_allclose(mae.mean_, expected.mean_, rtol=1e-6)
    np.testing.assert_allclose(mae.transform(Labelled(X)), expected.transform(X), atol=1e-5)
    np.testing.assert_allclose(mae.fit_transform(TensorDataset(torch.from_numpy(X))), expected.transform(X), atol=1e-5)
    assert mae.score(Labelled(X)) == pytest.approx(expected.score(X), abs=1e-5)
    visible = mae.sample_visible(len(X), 0)
    np.testing.assert_allclose(mae.reconstruct(Labelled(X), visible), expected.reconstruct(X, visible), atol=1e-5)


@pytest.mark.parametrize("workers", [0, 1])
def test_nan_in_a_dataset(X, workers):
    net_params = {"iterator_train__num_workers": workers, "iterator_valid__num_workers": workers} if workers else None
    bad = X.copy()
    bad[7, 2, 2, 1] = np.nan
    with pytest.raises(ValueError, match="X is a Dataset some of whose samples contain NaN or infinity"):
        tiny(net_params=net_params).fit(Labelled(bad))
    mae = tiny(net_params=net_params).fit(Labelled(X))
    before = mae.transform(X)
    for method in ("transform", "score", "reconstruct", "partial_fit"):
        with pytest.raises(ValueError, match="X is a Dataset some of whose samples contain NaN or infinity"):
            getattr(mae, method)(Labelled(bad))
    np.testing.assert_array_equal(mae.transform(X), before)


def test_datasets_that_do_not_fit(X):
    with pytest.raises(ValueError, match="0 samples"):
        tiny().fit(Labelled(X[:0]))
    with pytest.raises(TypeError, match="whose batches are of type dict"):
        tiny().fit(Labelled([{"image": x} for x in X]))
    mae = tiny().fit(X)
    with pytest.raises(ValueError, match="was fitted on samples of shape"):
        mae.transform(Labelled(X.transpose(0, 2, 1, 3)))


@pytest.mark.parametrize(
    ("shape", "channel_axis", "patch"),
    [((12,), "auto", 3), ((4, 6), "auto", 2), ((2, 4, 6), 0, 2), ((4, 6, 4), None, 2), ((4, 4, 2, 5), -1, (2, 4, 1))],
)
def test_grids_of_one_two_and_three_axes(shape, channel_axis, patch):
    X = np.random.default_rng(0).random((9, *shape)).astype(np.float32)
    mae = tiny(patch=patch, channel_axis=channel_axis, image_shape=shape).fit(X)
    n_patches = mae.sample_visible(1).shape[1]
    assert mae.patch_features(X).shape == (9, n_patches, 8)
    assert mae.reconstruct(X, mae.sample_visible(9, 0)).shape == X.shape
    # the prediction of a hidden patch does not depend on what is in it, and lands where the patch is
    visible = np.ones(n_patches, dtype=bool)
    visible[1] = False
    changed = X.copy()
    grid = mae.net_.module_.grid
    hidden = (grid.patch_of_feature == 1).reshape(shape)
    changed[:, hidden] += 5
    np.testing.assert_array_equal(mae.reconstruct(changed, visible), mae.reconstruct(X, visible))
    elsewhere = X.copy()
    elsewhere[:, ~hidden] += 0.5
    assert not np.allclose(mae.reconstruct(elsewhere, visible)[:, hidden], mae.reconstruct(X, visible)[:, hidden])


def test_statistics_are_those_of_the_channels(X):
    X = X * [1, 10, 100] + [0, 5, -20]
    mae = tiny().fit(X)
    np.testing.assert_allclose(mae.mean_, X.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(mae.scale_, X.std(axis=(0, 1, 2)), rtol=1e-5)
    first = tiny(channel_axis=0).fit(np.moveaxis(X, -1, 1))
    np.testing.assert_allclose(first.mean_, mae.mean_, rtol=1e-6)


def test_a_constant_channel_is_no_harm(X):
    X[..., 1] = 3.3
    mae = tiny().fit(X)
    assert mae.scale_[1] == 1
    assert np.isfinite(mae.transform(X)).all()


def test_normalised_targets_come_back_in_the_units_of_x(X):
    """A model that predicts zeros gives each visible patch its own mean, and hidden ones the mean of the visible."""
    X = X * 50 + 100
    mae = tiny(normalize_target=True).fit(X)
    with torch.no_grad():
        mae.net_.module_.decoder.pred.weight.zero_()
        mae.net_.module_.decoder.pred.bias.zero_()
    visible = np.ones(12, dtype=bool)
    visible[0] = False
    rebuilt = mae.reconstruct(X, visible)
    standard = (X - mae.mean_) / mae.scale_
    patches = standard.reshape(12, 3, 2, 4, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(12, 12, 12).mean(axis=2)
    expected = patches[:, 1:].mean(axis=1)[:, None, None, None] * mae.scale_ + mae.mean_
    np.testing.assert_allclose(rebuilt[:, :2, :2], np.broadcast_to(expected, (12, 2, 2, 3)), rtol=1e-4)
    own = patches[:, 1][:, None, None, None] * mae.scale_ + mae.mean_
    np.testing.assert_allclose(rebuilt[:, :2, 2:4], np.broadcast_to(own, (12, 2, 2, 3)), rtol=1e-4)


# -- pixels that are never read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [np.nan, np.inf, 1e38, "masked"])
@pytest.mark.parametrize("normalize_target", [False, True])
def test_what_visible_hides_is_never_read(X, what, normalize_target):
    X = X.astype(np.float32)
    mae = tiny(normalize_target=normalize_target).fit(X)
    visible = mae.sample_visible(len(X), 0)
    seen = mae.net_.grid.per_feature(visible).reshape(X.shape)
    fill = np.nan if what == "masked" else np.float32(what)

    def hiding(X, seen):
        return np.ma.masked_array(X, ~seen) if what == "masked" else np.where(seen, X, fill)

    hidden, expected = hiding(X, seen), mae.reconstruct(np.where(seen, X, 0), visible)
    np.testing.assert_array_equal(mae.reconstruct(hidden, visible), expected)
    np.testing.assert_array_equal(mae.reconstruct(X, visible), expected)
    flat = mae.reconstruct(hidden.reshape(len(X), -1), visible)
    np.testing.assert_array_equal(flat.reshape(X.shape), expected)
    if what != "masked":
        np.testing.assert_array_equal(mae.reconstruct(Labelled(hidden), visible), expected)
    hidden, outputs = hiding(X[:2], np.broadcast_to(seen[:1], X[:2].shape)), np.arange(5)
    rows = mae.linearize(X[:2], visible[0]).rows(outputs)
    np.testing.assert_array_equal(mae.linearize(hidden, visible[0]).rows(outputs), rows)


def test_holes_elsewhere_are_refused_by_name(X):
    mae, y = tiny().fit(X), np.arange(12) % 2
    classifier = ViTMAEClassifier(mae, max_epochs=1, random_state=0).fit(X, y)
    visible = np.ones(12, dtype=bool)
    visible[0] = False
    bad, masked = X.copy(), np.ma.masked_array(X, False)
    bad[5, 0, 3, 1] = np.nan  # of a patch that is visible
    masked[5, 0, 3, 1] = np.ma.masked
    for call in (mae.transform, mae.score, mae.fit, mae.partial_fit, mae.linearize, mae.reconstruct):
        for X_bad, text in ((bad, r"X\[5, 10\] is nan.*visible="), (masked, r"X\[5, 10\] is masked.*visible=")):
            with pytest.raises(ValueError, match=text):
                call(X_bad)
    for call in (classifier.predict, lambda X: classifier.fit(X, y)):
        with pytest.raises(ValueError, match=r"X\[5, 10\] is nan"):
            call(bad)
    for X_bad in (bad, masked):
        with pytest.raises(ValueError, match=r"X\[5, 10\] is nan"):
            mae.reconstruct(X_bad, visible)
        with pytest.raises(ValueError, match=r"X\[5, 10\] is nan"):
            mae.linearize(X_bad, visible)
    with pytest.raises(ValueError, match="X is a Dataset some of whose samples contain NaN"):
        mae.reconstruct(Labelled(bad), visible)


# -- numbers of any size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "offset"),
    [
        *(("i4", 2**26), ("i4", -(2**30)), (">i4", 2**26), ("i8", 2**40), ("u4", 2**31), ("u8", 2**40)),
        *(("u2", 60_000), ("i2", 30_000), ("f8", 2.0**26), ("f8", 2.0**40), ("f4", 2.0**18)),
    ],
)
def test_numbers_far_from_zero(X, dtype, offset):
    X = (X * 200).astype("i4")
    far = X.astype(dtype) + np.array(offset, dtype)
    near, mae = tiny().fit(X), tiny().fit(far)
    np.testing.assert_allclose(mae.transform(far), near.transform(X), atol=1e-4)
    np.testing.assert_allclose(mae.mean_ - offset, near.mean_, atol=1e-3)
    np.testing.assert_allclose(mae.scale_, near.scale_, rtol=1e-6)
    assert mae.score(far) == pytest.approx(near.score(X), abs=1e-5)
    visible = mae.sample_visible(len(X), 0)
    spacing = np.spacing(np.array(offset, mae.reconstruct(far).dtype))
    rebuilt = mae.reconstruct(far, visible) - offset
    np.testing.assert_allclose(rebuilt, near.reconstruct(X, visible), atol=1e-3 + spacing)
    np.testing.assert_allclose(
        mae.linearize(far[:2]).rows(np.arange(3)), near.linearize(X[:2]).rows(np.arange(3)), atol=1e-5
    )


def test_a_mean_far_from_zero_is_kept_in_files(X, tmp_path):
    far = X + 2.0**26
    mae = tiny().fit(far)
    mae.save_weights(tmp_path / "weights.safetensors")
    loaded = tiny(image_shape=(6, 8, 3)).load_weights(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(loaded.transform(far), mae.transform(far))
    np.testing.assert_array_equal(loaded.mean_, mae.mean_)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scales_that_float32_holds_do_not_count(X, scale):
    np.testing.assert_allclose(tiny().fit(X * scale).transform(X * scale), tiny().fit(X).transform(X), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
@pytest.mark.parametrize("scale", [1e-300, 1e-60, 1e60, 1e300])
def test_scales_that_float32_does_not_hold_are_refused(X, scale, dtype):
    far = X.astype(dtype) * dtype(scale)
    text = r"X has values as large as .* Divide X by" if scale > 1 else r"X varies by .* only.* Multiply X by"
    for estimator in (tiny(), ViTMAEClassifier(patch=2, embed_dim=8, encoder_heads=2)):
        with pytest.raises(ValueError, match=text):
            estimator.fit(far, np.arange(12) % 2)
    if scale > 1:
        with pytest.raises(ValueError, match=r"X has values too far from those of training"):
            tiny().fit(X).transform(X * 1e300)


# -- what is no array of numbers --------------------------------------------------------------------------------


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


class Countless(Dataset):
    def __getitem__(self, index):
        return np.zeros((6, 8, 3))


def test_what_gives_samples_one_after_the_other(X):
    y, dataset = np.arange(12) % 2, TensorDataset(torch.from_numpy(X))
    loader = DataLoader(dataset, batch_size=4)
    mae = tiny().fit(X)
    for call in (tiny().fit, tiny().partial_fit, tiny().fit_transform, mae.transform, mae.score, mae.reconstruct):
        with pytest.raises(TypeError, match=r"X is a DataLoader\. Pass its dataset \(loader\.dataset\)"):
            call(loader)
        with pytest.raises(TypeError, match=r"X is an IterableDataset, Stream: .*Pass a Dataset with __len__"):
            call(Stream())
        with pytest.raises(TypeError, match=r"X is a Dataset without __len__, Countless"):
            call(Countless())
    classifier = ViTMAEClassifier(mae, max_epochs=1).fit(X, y)
    for call in (classifier.fit, classifier.predict, lambda X: ViTMAERegressor(mae).fit(X, y)):
        for data in (dataset, loader, Stream()):
            kind = "DataLoader" if data is loader else f"Dataset, {type(data).__name__}"
            with pytest.raises(TypeError, match=rf"X is a {kind}\. A predictor takes arrays, .*numpy.stack"):
                call(data)
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        classifier.fit(X)


def test_samples_of_a_dataset_that_are_no_numbers_of_one_shape(X):
    pil = pytest.importorskip("PIL.Image")
    pictures = Labelled([pil.fromarray((x * 255).astype(np.uint8)) for x in X])
    with pytest.raises(TypeError, match=r"batches are of type Image.*transform=numpy\.asarray"):
        tiny().fit(pictures)
    for samples, text in (
        (["text"] * 12, "of type str"),
        (X.astype(complex), "of type complex128"),
        (torch.from_numpy(X).to(torch.complex64), r"of type torch\.complex64"),
        (X.astype(str), "of type <U32"),
        ([*X[:11], X[11, :4]], r"differ in shape: \(4, 8, 3\) and \(6, 8, 3\)"),
    ):
        with pytest.raises(TypeError, match=text):
            tiny().fit(Labelled(samples))


@pytest.mark.parametrize("make", [lambda t: t.to(torch.bfloat16), lambda t: t.clone().requires_grad_()])
def test_datasets_of_tensors_of_any_kind(X, make):
    tensor = make(torch.from_numpy(X).float())
    plain = tensor.detach().float()
    mae, expected = tiny().fit(Labelled(tensor)), tiny().fit(Labelled(plain))
    np.testing.assert_array_equal(mae.mean_, expected.mean_)
    np.testing.assert_array_equal(mae.transform(Labelled(tensor)), expected.transform(Labelled(plain)))
    assert mae.score(Labelled(tensor)) == expected.score(Labelled(plain))
    assert tensor.grad is None
    visible = mae.sample_visible(12, 0)
    np.testing.assert_array_equal(
        mae.reconstruct(Labelled(tensor), visible), expected.reconstruct(Labelled(plain), visible)
    )


def test_types_that_are_no_numbers(X):
    times = X.astype("datetime64[s]")
    for estimator in (tiny(), ViTMAEClassifier(), ViTMAERegressor()):
        with pytest.raises((ValueError, TypeError), match="datetime64"):
            estimator.fit(times, np.arange(12) % 2)
    with pytest.raises(ValueError, match=r"net_params has 1, of type int"):
        tiny(net_params={1: 2}).fit(X)


def test_extended_precision(X):
    wide, y = X.astype(np.longdouble), np.arange(12) % 2
    mae = tiny().fit(wide)
    np.testing.assert_allclose(mae.transform(wide).astype(float), tiny().fit(X).transform(X), atol=1e-12)
    for augment in (None, "auto", "randaugment"):
        settings = {"augment": augment, "max_epochs": 1, "random_state": 0}
        classifier = ViTMAEClassifier(mae, **settings).fit(wide, y)
        expected = ViTMAEClassifier(mae, **settings).fit(X, y).predict_proba(X)
        np.testing.assert_allclose(classifier.predict_proba(wide), expected, atol=1e-9)


# -- widths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "least"), [((8,), 2), ((4, 6), 4), ((4, 4, 6), 6)])
def test_widths_without_room_for_positions_are_refused(shape, least):
    X = np.random.default_rng(0).random((9, *shape))
    heads = {"encoder_heads": 1, "decoder_heads": 1, "channel_axis": None, "image_shape": shape}
    for name in ("embed_dim", "decoder_dim"):
        with pytest.raises(ValueError, match=rf"{name}={least - 1} is too small .* pass at least {least}\."):
            tiny(**{**heads, "embed_dim": 8, name: least - 1}).fit(X)
        tiny(**{**heads, "embed_dim": 8, name: least}).fit(X)
    narrow = {"embed_dim": least - 1, "encoder_heads": 1, "patch": 2, "channel_axis": None, "image_shape": shape}
    with pytest.raises(ValueError, match=rf"embed_dim={least - 1} is too small"):
        ViTMAEClassifier(**narrow).fit(X, np.arange(9) % 2)
