"""What runs on a device stays there, and nothing waits for it: found without a card.

PyTorch's FakeTensorMode keeps shapes and places of tensors and no values, so that what mixes places, or looks at a
value on the device, raises. What is meant to be read is counted. Branches for "cuda" alone are not seen.
"""

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorDeviceMismatchError,
    FakeTensorMode,
)
from torch.optim import optimizer as optimizers
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from skmae import JacobianBasis, ViTMAE, ViTMAEClassifier
from skmae._samples import Samples
from skmae.masking import Stripes
from skmae.vit import _net
from skmae.vit._data import LabelledRows, ResidentDataset, RowsDataset
from skmae.vit._net import EpochDraws
from skmae.vit._training import ReconstructionLoss

DEVICE = "meta"  # on a build for CPUs, "cuda" aborts in the mode
N, BATCH = 48, 16
aten = torch.ops.aten
LOOKS = (aten._local_scalar_dense, aten.item, aten.is_nonzero)  # all but the first in inference mode only


class WaitedError(AssertionError):
    """The host would wait for the device."""


class Watch(TorchDispatchMode):
    """Counts what is read from the device, and raises where a copy to it would wait. Numbers on the CPU read as 1."""

    def __init__(self, copies_may_wait):
        super().__init__()
        self.copies_may_wait = copies_may_wait
        self.n_read = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.overloadpacket in LOOKS and args[0].device.type == "cpu":
            return True if args[0].dtype == torch.bool else 1.0 if args[0].is_floating_point() else 1
        out = func(*args, **kwargs)
        if func.overloadpacket in (aten._to_copy, aten.to):
            before, after = args[0].device.type, out.device.type
            self.n_read += before == DEVICE and after == "cpu"
            if before == "cpu" and after == DEVICE and not (kwargs.get("non_blocking") or self.copies_may_wait):
                raise WaitedError("a copy to the device is not non_blocking")
        if func is aten.copy_.default and args[0].device != args[1].device:
            raise WaitedError("a copy into a tensor of another place")
        return out


class Values(TorchFunctionMode):
    """What was brought to the CPU reads as zeros; random numbers are drawn without a generator."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.numpy and isinstance(args[0], FakeTensor) and args[0].device.type == "cpu":
            return np.zeros(args[0].shape, str(args[0].dtype).removeprefix("torch."))
        if func is torch.rand:
            kwargs.pop("generator", None)
        return func(*args, **kwargs)


class PlacedGenerator(torch.Generator):
    """A generator that says it is on the device."""

    device = torch.device(DEVICE)


class PlainDraws(EpochDraws):
    """An epoch's draws without generators of the device, which there are none of."""

    def __init__(self, seed, epoch, batches, device, masks_on):
        self.batches, self.step, self.workers = batches, 0, 0
        self.masks = PlacedGenerator() if masks_on.type == DEVICE else torch.Generator()
        self.augmentation = self.network = nullcontext()


@contextmanager
def on_device(net, *, copies_may_wait=False):
    """Let a net's tensors be on the device, and watch what is done with them."""
    mode, watch = FakeTensorMode(allow_non_fake_inputs=True), Watch(copies_may_wait)
    supported = optimizers._get_fused_kernels_supported_devices
    with pytest.MonkeyPatch.context() as patch, mode:

        def read_whole(tensor):
            watch.n_read += tensor.device.type == DEVICE
            return np.zeros(tensor.shape).tolist()

        patch.setattr(FakeTensor, "tolist", read_whole)
        patch.setattr(optimizers, "_get_fused_kernels_supported_devices", lambda: [*supported(), DEVICE])
        patch.setattr(_net, "EpochDraws", PlainDraws)
        patch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which does not know the device
        for module in (*net.module_.modules(), *net.criterion_.modules()):
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    placed = mode.from_tensor(parameter.detach()).to(DEVICE)
                    module._parameters[name] = nn.Parameter(placed, parameter.requires_grad)
            for name, buffer in module._buffers.items():
                module._buffers[name] = mode.from_tensor(buffer).to(DEVICE)
        net.initialize_optimizer()
        with watch, Values():
            yield watch


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3)).astype(np.uint8)


def trained(**changes):
    """A net that was trained on the CPU before: what is looked at once was looked at."""
    settings = {"patch": 2, "embed_dim": 12, "encoder_layers": 1, "encoder_heads": 2, "decoder_layers": 1}
    settings |= {"decoder_heads": 2, "max_epochs": 2, "batch_size": BATCH, "device": "cpu", "random_state": 0}
    settings |= {"precision": "float32", "augment": None}
    return ViTMAE(**settings | changes).partial_fit(images())


def rows_of(X, where):
    """The data as read batch by batch, or as they lie on the device."""
    if where == "host":
        return RowsDataset(Samples(X))
    return ResidentDataset(torch.empty(len(X), X[0].size, dtype=torch.uint8, device=DEVICE))


def train_an_epoch(mae, where="host"):
    """How often the device was read from in an epoch on the device."""
    kornia = mae.augment == "auto"  # whose copies do not wait for "cuda", which they ask for by its name
    with on_device(mae.net_, copies_may_wait=kornia) as watch:
        mae.net_.partial_fit(rows_of(images(), where), epochs=1)
    assert len(mae.history_) == 2
    assert mae.history_[-1, "train_batch_count"] == N / BATCH
    return watch.n_read


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, "host"),
        ({}, "device"),
        ({"augment": "auto", "normalize_target": True}, "device"),
        ({"mask_sampling": Stripes(axis=0)}, "device"),
        ({"mask_sampling": "bernoulli"}, "device"),
    ],
    ids=str,
)
def test_an_epoch_of_training_reads_its_losses_and_nothing_else(changes, where):
    assert train_an_epoch(trained(**changes), where) == 1


def test_an_epoch_of_fine_tuning_reads_its_losses_and_nothing_else():
    y = np.arange(N) % 3
    classifier = ViTMAEClassifier(trained(), augment=None, max_epochs=2, batch_size=BATCH, drop_path=0.1, device="cpu")
    net = classifier.fit(images(), y).net_
    with on_device(net) as watch:
        net.partial_fit(LabelledRows(rows_of(images(), "device"), torch.from_numpy(y), np.arange(N)), epochs=1)
    assert watch.n_read == 1


def looks_at_its_value(self, prediction, target, hidden):
    loss = self.per_sample(prediction, target, hidden).mean()
    return loss / max(loss.item(), 1)


def picks_by_a_mask(_, prediction, target, hidden):
    return (prediction - target)[hidden].square().mean()


def takes_the_mask_from_the_cpu(self, prediction, target, hidden):
    return self.per_sample(prediction, target, torch.ones(hidden.shape, dtype=torch.bool)).mean()


def copies_an_index(_, prediction, target, hidden):
    return (prediction - target)[:, np.arange(hidden.shape[1])].square().mean()


def branches(_, prediction, target, hidden):
    return (prediction - target).square().mean() if hidden.any() else prediction.mean()


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (looks_at_its_value, DataDependentOutputException),
        (branches, DataDependentOutputException),
        (picks_by_a_mask, DynamicOutputShapeException),
        (takes_the_mask_from_the_cpu, FakeTensorDeviceMismatchError),
        (copies_an_index, WaitedError),
    ],
)
def test_a_loss_that_waits_or_mixes_places_is_found(monkeypatch, broken, error):
    mae = trained()
    monkeypatch.setattr(ReconstructionLoss, "forward", broken)
    with pytest.raises(error):
        train_an_epoch(mae)


@pytest.mark.parametrize("how", ["cpu", "tolist"])
def test_reading_in_every_step_is_found(monkeypatch, how):
    def reads(self, prediction, target, hidden):
        loss = self.per_sample(prediction, target, hidden).mean()
        getattr(loss, how)()
        return loss

    mae = trained()
    monkeypatch.setattr(ReconstructionLoss, "forward", reads)
    assert train_an_epoch(mae) == 1 + N / BATCH


def test_transform_reads_each_batch_once():
    mae = trained()
    with on_device(mae.net_) as watch:
        assert mae.transform(images()).shape == (N, 12)
    assert watch.n_read == N / BATCH


def test_reconstruct_and_score_read_each_batch_once():
    mae = trained(mask_sampling="bernoulli")
    visible = mae.sample_visible(N, 0)
    mae.reconstruct(images(), visible)
    with on_device(mae.net_) as watch:
        mae.reconstruct(images(), visible)
    assert watch.n_read == N / BATCH


def test_a_jacobian_reads_each_chunk_of_rows_once():
    mae = trained()
    X = images()[:2].astype(np.float32)
    basis = JacobianBasis(FrozenEstimator(mae), outputs="center", batch_size=3).fit(X)
    n_outputs = basis.jacobian(X).shape[1]
    with on_device(mae.net_, copies_may_wait=True) as watch:  # the device is idle then: results have been read
        assert basis.jacobian(X).shape == (2, n_outputs, 192)
    assert watch.n_read == 2 * -(-n_outputs // 3)
