"""ViTMAE among scikit-learn's tools, and in several processes."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skmae import LinearMAE, ViTMAE
from skmae.inspection import ReconstructionDisplay

TINY = {
    "patch": 2,
    "embed_dim": 8,
    "encoder_layers": 1,
    "encoder_heads": 2,
    "decoder_layers": 1,
    "decoder_heads": 2,
    "max_epochs": 2,
    "warmup_epochs": 0,
    "batch_size": 16,
    "device": "cpu",
    "random_state": 0,
}


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images[:120], data.target[:120]


def test_pipeline_and_grid_search(digits):
    X, y = digits
    pipe = Pipeline([("mae", ViTMAE(**TINY)), ("scale", StandardScaler()), ("clf", LogisticRegression(max_iter=500))])
    grid = [
        {"mae__mask": [0, 0.5]},
        {"mae__patch": [4]},
        {"mae__embed_dim": [16]},
        {"mae__encoder_layers": [2]},
    ]
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == y.shape


def test_beside_a_linear_model(digits):
    X, y = digits
    union = make_union(ViTMAE(**TINY), LinearMAE(4, patch=2))
    pipe = make_pipeline(union, LogisticRegression(max_iter=500)).fit(X, y)
    assert union.fit_transform(X).shape == (len(X), 12)
    assert pipe.score(X, y) > 0.3


def test_names_of_the_features(digits):
    mae = ViTMAE(**TINY).set_output(transform="pandas").fit(digits[0])
    frame = mae.transform(digits[0])
    assert list(frame.columns) == [f"vitmae{i}" for i in range(8)] == list(mae.get_feature_names_out())


def test_clone_copy_and_pickle(digits):
    X = digits[0]
    mae = ViTMAE(**TINY).fit(X)
    expected = mae.transform(X)
    np.testing.assert_array_equal(clone(mae).fit(X).transform(X), expected)
    np.testing.assert_array_equal(copy.deepcopy(mae).transform(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mae)).transform(X), expected)


def test_in_other_processes_of_joblib(digits):
    X = digits[0]
    mae = ViTMAE(**TINY).fit(X)
    parts = Parallel(n_jobs=2)(delayed(mae.transform)(part) for part in (X[:60], X[60:]))
    np.testing.assert_allclose(np.concatenate(parts), mae.transform(X), atol=1e-10)


def test_display_of_reconstructions(digits):
    mae = ViTMAE(**TINY).fit(digits[0])
    display = ReconstructionDisplay.from_estimator(mae, digits[0], n_samples=3)
    assert display.im_.get_array().shape[0] > 3 * 8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own, while it compiles
def test_compiled_training_is_as_the_other_and_can_be_pickled(digits):
    X = digits[0]
    plain = ViTMAE(**TINY, augment=None).fit(X)
    try:
        compiled = ViTMAE(**TINY, augment=None, compile=True).fit(X)
    except Exception as error:
        if "compiler" in str(error).lower():
            pytest.skip(f"there is no C++ compiler here: {type(error).__name__}")
        raise
    again = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_allclose(again.transform(X), plain.transform(X), atol=1e-3)


# -- several processes ------------------------------------------------------------------------------------------

SCRIPT = """
import sys, numpy as np, torch
torch.set_num_threads(1)
from skmae import ViTMAE
out, parameters, processes = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
accelerator = None
if processes > 1:
    from accelerate import Accelerator
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == processes
    parameters.pop("device")
X = np.random.default_rng(0).integers(0, 256, (33, 8, 8, 3)).astype(np.uint8)
mae = ViTMAE(**parameters, accelerator=accelerator)
if sys.argv[4] == "fit":
    mae.fit(X)
else:
    for _ in range(mae.max_epochs):
        mae.partial_fit(X)
assert mae.precision_ == "float32"
if accelerator is None or accelerator.is_main_process:
    state = {k: v.numpy() for k, v in mae.net_.module_.state_dict().items()}
    np.savez(out, loss=mae.history_[:, "train_loss"], Z=mae.transform(X), **state)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("method", "checkpoint"), [("fit", True), ("partial_fit", False)])
def test_two_processes_do_what_one_does(tmp_path, method, checkpoint):
    pytest.importorskip("accelerate")
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    parameters = {
        **TINY,
        "precision": "float32",
        "max_epochs": 3,
        "checkpoint": str(tmp_path / "states") if checkpoint else None,
    }
    one = [sys.executable, str(script), str(tmp_path / "1.npz"), repr({**parameters, "checkpoint": None}), "1", method]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = [*launch, str(script), str(tmp_path / "2.npz"), repr(parameters), "2", method]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    for command in (one, two, two) if checkpoint else (one, two):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "1.npz") as a, np.load(tmp_path / "2.npz") as b:
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_allclose(b[name], a[name], atol=2e-5, err_msg=name)
