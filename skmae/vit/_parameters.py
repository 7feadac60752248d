"""Parameters that several deep estimators have: what is allowed, and what they mean, each written once."""

from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
import torch

from skmae._compat import Interval, StrOptions
from skmae._parameters import GRID_DOCS
from skmae._typing import Constraints
from skmae.vit._network import POOLS
from skmae.vit._precision import PRECISIONS

_COUNT = [Interval(Integral, 1, None, closed="left")]
#: Constraints of the parameters that all deep estimators train by.
TRAINING: Constraints = {
    "pool": [StrOptions(set(POOLS))],
    "max_epochs": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "device": [str, torch.device],
    "precision": [StrOptions({"auto", *PRECISIONS})],
    "compile": ["boolean"],
    "checkpoint": [str, PathLike, None],
    "callbacks": [list, tuple, None],
    "net_params": [dict, None],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


def plain_numbers(parameters: dict[str, Any]) -> dict[str, Any]:
    """The same with Python's numbers for NumPy's, of which grids are made: files and PyTorch do not take those."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()}


_GRID_DOCS = {name: GRID_DOCS[name] for name in ("image_shape", "channel_axis")}
AUTOENCODER_DOCS = {
    **_GRID_DOCS,
    "mask_and_patch": """
    mask : float, default=0.75
        Share of patches hidden during training, 0 <= mask < 1. round((1 - mask) * n_patches) stay visible, at least
        one; ``mask_`` is the share that this leaves hidden. With 0, all patches count in the loss; otherwise the hidden
        ones.
    patch : int or tuple of int, default=4
        Pixels of a patch along each axis of the grid, or one number for all axes. It must divide the grid.
        """,
    "mask_sampling": """
    mask_sampling : {"exact", "bernoulli"}, sampler or callable, default="exact"
        How patches are hidden in training. "exact": the same number of them in every sample. "bernoulli": each with
        probability `mask`, so that a sample may have all of its patches hidden. Or an object of `skmae.masking`; or a
        function ``(n_samples, grid, mask, random_state)`` that returns a bool array of shape (n_samples, n_patches),
        True where visible. The encoder sees the visible patches and nothing else, however many they are.
        """,
    "training": """
    normalize_target : bool, default=False
        Predict each patch less its mean, over its standard deviation.
    pool : {"mean", "cls"}, default="mean"
        What `transform` gives: the mean of the patches' features, or the class token.
    max_epochs : int, default=200
        Passes over the data.
    batch_size : int, default=256
        Samples per step of training, and samples encoded at a time.
    learning_rate : float, default=1.5e-4
        Highest learning rate per 256 samples: the optimizer's is ``learning_rate * batch_size / 256``.
    warmup_epochs : int, default=10
        Epochs in which the learning rate rises, before it falls along a cosine. Where `max_epochs` is not larger it
        only rises.
    weight_decay : float, default=0.05
        Of AdamW; not for biases and norms.
    augment : "auto", callable or None, default="auto"
        "auto": random resized crop and horizontal flip (kornia) for grids of two axes, nothing for others. A callable
        takes and returns standardised batches of shape (n, channels, \\*grid).
    device : str or torch.device, default="auto"
        "auto" is "cuda" where there is one, else "cpu".
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Type of the matrix products in training. "auto" is bfloat16 on a GPU that has it and on a CPU that multiplies it
        (AMX or AVX512-BF16), else float32: ``precision_`` says which. Weights stay in float32, and `transform` works in
        float32, or float64 where X is.
    compile : bool, default=False
        Compile the module (``torch.compile``) for training.
    checkpoint : str, path or None, default=None
        Folder that `fit` writes its state to after every epoch. Killed at any instant, the next `fit` with the same
        parameters and data goes on to the same result; each pair of parameters and data has a folder within it. What
        cannot change the result, such as ``num_workers`` or `device`, may differ, but not ``precision_``. Another
        `max_epochs` is another training, since the learning rate follows from it: each rung of a
        ``HalvingGridSearchCV`` over `max_epochs` trains from the beginning.
    checkpoint_every : int or None, default=None
        Also keep the state of every so many epochs, as ``epoch-00010.pt`` and so on, for `load_weights`.
    callbacks : list of skorch callbacks or None, default=None
        Each is copied, and shares what it holds, such as a writer, with its copy. One that cannot be copied, since it
        holds a lock or an open file, is used as it is, by clones, too. If one fails after the last epoch, the estimator
        is fitted before its error is raised. Scores such as ``EpochScoring`` need ``on_train=True``, or a
        ``train_split`` in `net_params`. A `skorch.callbacks.LRScheduler` takes the place of warm-up and cosine. After a
        resumed training they begin anew.
    net_params : dict or None, default=None
        Parameters of the skorch net that the estimator does not have itself, such as ``optimizer``,
        ``optimizer__eps``, ``iterator_train__num_workers`` or ``train_split``; of `ViTMAE` what
        `skmae.vit.ViTConfig` has besides, ``module__norm_eps`` or ``module__activation``, too.
    accelerator : accelerate.Accelerator or None, default=None
        Train in several processes (``torchrun`` or ``accelerate launch``), each of which calls `fit` with all of the
        data and takes its part of each batch; `batch_size` is that of all together. It decides on device and
        precision.
    verbose : int, default=0
        1 prints a line per epoch (of how many, losses, learning rate, seconds, time left) and, with `checkpoint`, one
        that says what was resumed, or why nothing; 2 draws a progress bar, too.
    random_state : int, RandomState instance or None, default=None
        For weights, order, masks, crops, dropout of the network (unless it is compiled, or within
        ``torch.utils.checkpoint``), and the masks of `score`. PyTorch's own generator is left alone at every instant,
        so that trainings in several threads are those of one after the other.
        """,
    "attributes": """
    net_ : skorch.NeuralNet
        ``net_.module_`` is the PyTorch module.
    history_ : skorch.history.History
        Losses and times: ``history_[:, "train_loss"]``. Single batches are kept for the last epoch only.
    mask_ : float
        Share of patches hidden in training, on average.
    patch_ : tuple of int
    precision_ : {"float32", "bfloat16", "float16"}
        Type of the matrix products in training.
    mean_, scale_ : ndarray of shape (n_channels,)
        Mean and standard deviation of the pixels, with which they are standardised.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.
        """,
}
PREDICTOR_DOCS = {
    "encoder": """
    encoder : ViTMAE, other DeepAutoencoder, FrozenEstimator or None, default=None
        The autoencoder whose encoder is taken. A fitted one is used as it is and not changed; one that is not fitted is
        cloned and pretrained on X first. ``clone``, and so `cross_val_score` and `GridSearchCV`, forget what was
        fitted: there, a fitted one must come inside a ``sklearn.frozen.FrozenEstimator``. None trains from scratch.
    trainable_blocks : int or None, default=None
        Blocks of the encoder that learn, the last ones, with the norm behind them. 0 trains the head alone, None all of
        the encoder, patch embedding included. What comes before is run without gradients, and only once for each
        sample where it gives the same in every epoch (``augment=None``, nothing mixed), if that fits into a quarter of
        the free memory. A network that does not name its blocks takes 0 or None.
    layer_decay : float, default=0.75
        Learning rate of a block over that of the block above it; the head's is `learning_rate`.
    drop_path : float, default=0.0
        Share of samples for which a branch of the last block is left out in a step of training, growing from 0 at the
        first block (stochastic depth).
        """,
    "pool": """
    pool : {"mean", "cls"}, default="mean"
        What the head is given: the mean of the patches' features, or the class token.
        """,
    "augmentations": """
        "auto": pictures are shifted by up to an eighth of an axis (rounded up to pixels) and flipped horizontally
        (kornia), other grids left as they are.
        "randaugment": two operations of RandAugment after that. A callable takes and returns standardised batches of
        shape (n, channels, \\*grid).
        """,
    "fine_tuning": """
    max_epochs : int, default=50
        Passes over the data.
    batch_size : int, default=256
        Samples per step of training, and samples predicted at a time.
    learning_rate : float, default=1e-3
        Highest learning rate per 256 samples: the optimizer's is ``learning_rate * batch_size / 256``.
    warmup_epochs : int, default=5
        Epochs in which the learning rate rises, before it falls along a cosine.
    weight_decay : float, default=0.05
        Of AdamW; not for biases and norms.
    early_stopping : bool, default=False
        Stop when the loss on a part of the data that is set aside, drawn by the seed (and, of classes, stratified), has
        not fallen for `n_iter_no_change` epochs, and take the best weights.
    validation_fraction : float, default=0.1
        The share set aside.
    n_iter_no_change : int, default=10
        Epochs to wait.
    patch, image_shape, channel_axis, embed_dim, encoder_layers, encoder_heads, mlp_ratio
        Of the encoder trained from scratch, as in `ViTMAE`. With an `encoder` they have no effect.
    device : str or torch.device, default="auto"
        "auto" is "cuda" where there is one, else "cpu".
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Type of the matrix products in training, as in `ViTMAE`.
    compile : bool, default=False
        Compile the part that learns (``torch.compile``).
    checkpoint : str, path or None, default=None
        Folder for the state after every epoch; a killed `fit` goes on from there, as in `ViTMAE`. Not together with
        `early_stopping`.
    callbacks : list of skorch callbacks or None, default=None
        As in `ViTMAE`. Scores such as ``EpochScoring("accuracy")`` need ``on_train=True`` or `early_stopping`; they
        are told numbers of classes, or standardised targets.
    net_params : dict or None, default=None
        Parameters of the skorch net that this estimator does not have itself, as in `ViTMAE`.
    verbose : int, default=0
        1 prints a line per epoch (of how many, losses, learning rate, seconds, time left) and, with `checkpoint`, one
        that says what was resumed, or why nothing; 2 draws a progress bar, too.
    random_state : int, RandomState instance or None, default=None
        For fresh weights, order, augmentation, the part set aside, and an encoder to be fitted that has no
        `random_state` of its own.
        """,
    "attributes": """
    precision_ : {"float32", "bfloat16", "float16"}
        Type of the matrix products in training.
    image_shape_ : tuple of int
    channel_axis_ : int or None
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only where X has column names.
        """,
}
