"""In the company of other estimators, and of other processes."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skmae import LinearAE, LinearDAE, LinearMAE


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def classify(encoder):
    return Pipeline([("mae", encoder), ("scale", StandardScaler()), ("clf", LogisticRegression(max_iter=500))])


@pytest.mark.parametrize("encoder", [LinearMAE(20, patch=2), LinearDAE(20, noise_std=4), LinearAE(20)])
def test_features_are_good_for_classifying(encoder, digits):
    assert cross_val_score(classify(encoder), *digits, cv=3).mean() > 0.85


def test_a_pipeline_takes_images(digits):
    X, y = digits
    on_images = classify(LinearMAE(20, patch=2)).fit(X.reshape(-1, 8, 8), y)
    assert_array_equal(on_images.predict(X.reshape(-1, 8, 8)), classify(LinearMAE(20, patch=2)).fit(X, y).predict(X))


def test_grid_search_over_mask_and_patch_in_two_processes(digits):
    X, y = digits
    grid = {"mae__mask": [0, 0.5], "mae__patch": [1, 2, 4]}
    search = GridSearchCV(classify(LinearMAE(20)), grid, cv=3, n_jobs=2).fit(X, y)
    alone = GridSearchCV(classify(LinearMAE(20)), grid, cv=3).fit(X, y)
    assert_allclose(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert search.best_score_ > 0.85


def test_score_ranks_models_of_one_corruption(digits):
    search = GridSearchCV(LinearMAE(patch=2), {"n_components": [1, 4, 16]}, cv=3).fit(digits[0])
    assert search.best_params_ == {"n_components": 16}


def test_feature_union_and_column_transformer(digits):
    import pandas as pd

    X, _ = digits
    union = FeatureUnion([("mae", LinearMAE(5, patch=2)), ("pca", PCA(3))]).fit(X)
    assert union.transform(X).shape == (len(X), 8)
    frame = pd.DataFrame(np.c_[X, np.arange(len(X))], columns=[*(f"pixel{i}" for i in range(64)), "number"])
    columns = ColumnTransformer(
        [("image", LinearMAE(5, patch=2, image_shape=(8, 8)), [f"pixel{i}" for i in range(64)])],
        remainder="passthrough",
    )
    out = columns.fit_transform(frame)
    assert_allclose(out[:, :5], LinearMAE(5, patch=2).fit_transform(X))
    assert columns.get_feature_names_out()[[0, 5]].tolist() == ["image__linearmae0", "remainder__number"]


def test_set_output_names_columns(digits):
    import pandas as pd

    X, _ = digits
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    model = LinearMAE(3, patch=2).set_output(transform="pandas").fit(frame)
    out = model.transform(frame)
    assert list(out.columns) == ["linearmae0", "linearmae1", "linearmae2"]
    assert_allclose(out.to_numpy(), LinearMAE(3, patch=2).fit_transform(X))
    assert model.feature_names_in_[0] == "pixel0"
    lazily = LinearMAE(3, patch=2).set_output(transform="pandas").partial_fit(frame)
    assert_allclose(lazily.transform(frame).to_numpy(), out.to_numpy(), atol=1e-9)


def test_joblib_in_another_process(digits, tmp_path):
    X, y = digits
    pipe = make_pipeline(LinearMAE(10, patch=2), LogisticRegression(max_iter=500)).fit(X.reshape(-1, 8, 8), y)
    joblib.dump(pipe, tmp_path / "model.joblib")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys, joblib, numpy as np; folder = sys.argv[1];"
        "pipe = joblib.load(folder + '/model.joblib'); X = np.load(folder + '/X.npy');"
        "np.save(folder + '/out.npy', pipe.decision_function(X));"
        "print(pipe[0].reconstruct(X.reshape(-1, 8, 8), np.zeros(16, bool)).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(1797, 8, 8)", done.stderr
    assert_allclose(np.load(tmp_path / "out.npy"), pipe.decision_function(X), rtol=1e-10)


@pytest.mark.skipif(
    not hasattr(BaseEstimator, "_get_fitted_attr_html"), reason="scikit-learn shows fitted attributes from 1.9 on"
)
def test_the_html_repr_shows_the_shape_that_was_inferred(digits):
    assert "image_shape_" in LinearMAE(3).fit(digits[0])._repr_html_()
