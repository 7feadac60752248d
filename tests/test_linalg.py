"""Eigenvectors are orthonormal, whatever LAPACK returns."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skmae import _linalg
from skmae._linalg import symmetric_eigen


def clustered(rng, d):
    """A few eigenvalues, each many times, and some that differ in the last digits."""
    values = np.repeat([3.0, 1.0, 1e-3, 0.0], -(-d // 4))[:d] + 1e-16 * rng.random(d)
    basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return basis * values @ basis.T


@pytest.mark.parametrize("d", [1, 2, 14, 150])
@pytest.mark.parametrize("n_largest", [None, 1, "half"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_eigenpairs_of_clustered_values(d, n_largest, overwrite, rng):
    A = clustered(rng, d)
    k = max(d // 2, 1) if n_largest == "half" else n_largest
    values, U = symmetric_eigen(np.tril(A), k, overwrite=overwrite)  # the lower triangle is enough
    assert U.shape == (d, k or d)
    assert U.flags.f_contiguous
    assert_allclose(U.T @ U, np.eye(k or d), atol=1e-12)
    assert_allclose(A @ U, U * values, atol=1e-12)
    assert_allclose(values, np.linalg.eigvalsh(A)[::-1][: k or d], atol=1e-12)


def test_vectors_that_are_not_orthogonal_are_found_out(rng, monkeypatch):
    A, original = clustered(rng, 20), _linalg.eigh

    def careless(A, subset_by_index=None, **options):
        values, U = original(A, subset_by_index=subset_by_index, **options)
        if options["driver"] == "evr":
            U[:, -1] += 1e-3 * U[:, -2]
        return values, U

    monkeypatch.setattr(_linalg, "eigh", careless)
    for k in (5, None):
        U = symmetric_eigen(A, k)[1]
        assert_allclose(U.T @ U, np.eye(k or 20), atol=1e-12)
