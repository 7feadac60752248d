"""What a type checker tells users: estimators keep their type through `fit`, and results are arrays."""

import os
import sys
from pathlib import Path
from subprocess import run

import pytest

import skmae

pytest.importorskip("mypy")  # run in a process of its own

SCRIPT = """
import numpy as np
from skmae import LinearMAE, Moments, ViTMAE

X = np.zeros((20, 8, 8))
reveal_type(LinearMAE().fit(X))
reveal_type(LinearMAE().partial_fit(X))
reveal_type(LinearMAE().fit(X).components_)
reveal_type(LinearMAE().fit(X).transform(X))
reveal_type(ViTMAE().fit(X))
reveal_type(ViTMAE().fit(X).transform(X))
reveal_type(Moments.from_data(X).update(X).second)
"""


@pytest.mark.slow
def test_types_that_users_see(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", path.name]
    paths = os.environ | {"MYPYPATH": str(Path(skmae.__file__).parents[1])}
    result = run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=paths)
    notes = [line.partition('Revealed type is "')[2] for line in result.stdout.splitlines() if "Revealed" in line]
    expected = [
        "skmae.linear._models.LinearMAE",
        "skmae.linear._models.LinearMAE",
        "numpy.ndarray",
        "numpy.ndarray",
        "skmae.vit._vitmae.ViTMAE",
        "numpy.ndarray",
        "numpy.ndarray",
    ]
    assert [note.startswith(name) for note, name in zip(notes, expected, strict=True)] == [True] * len(expected), notes
    assert result.returncode == 0, result.stdout
