"""LinearMAESearchCV under scikit-learn's checks, as GridSearchCV is."""

import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmae import LinearAE, LinearMAE, LinearMAESearchCV

SEARCHES = [
    LinearMAESearchCV(make_pipeline(LinearAE(), Ridge()), {"ridge__alpha": [0.1, 1.0]}),
    LinearMAESearchCV(
        make_pipeline(LinearMAE(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0], "linearmae__mask": [0, 0.5], "linearmae__patch": [1, 2]},
        error_score="raise",
        cv=2,
    ),
]


def expected_failures(search):
    """What scikit-learn expects of GridSearchCV, too: its inner fits swallow the warning."""
    return {"check_supervised_y_2d": "DataConversionWarning not caught"} if search.error_score != "raise" else {}


# y with infinity is cast to int by scikit-learn's own splitter, with a warning
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(SEARCHES, expected_failed_checks=expected_failures)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
