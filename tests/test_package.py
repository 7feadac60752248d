"""The package as a whole: what importing it costs, and what it says it has."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import skmae


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_takes_neither_torch_nor_matplotlib():
    code = (
        "import sys, skmae, skmae.inspection, skmae.datasets, skmae.planning; skmae.LinearMAE; skmae.suggest_masking;"
        "print(sorted({'torch', 'matplotlib', 'skimage'} & set(sys.modules)))"
    )
    done = run(code)
    assert done.stdout.strip() == "[]", done.stderr


def test_without_torch_deep_names_are_not_listed_and_say_what_to_install():
    pytest.importorskip("pandas")
    code = (
        "import importlib.util, sys; import numpy as np; find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] == 'torch': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "import skmae; assert 'ViTMAE' not in skmae.__all__ and 'ViTMAE' not in dir(skmae)\n"
        "from skmae import *; LinearMAE\n"
        "from skmae import planning; assert planning.__all__ == ['HiddenPixelsScorer', 'suggest_masking']\n"
        "assert suggest_masking(np.eye(16), patches=(2,))['gflops'][0] > 0\n"
        "try: planning.training_cost(None, (8, 8))\n"
        "except ImportError as error: assert 'training_cost needs torch' in str(error)\n"
        "skmae.ViTMAE"
    )
    done = run(code)
    assert "ImportError: ViTMAE needs torch, which is not installed" in done.stderr
    assert 'pip install "skmae[deep]"' in done.stderr


def test_names_resolve_and_are_listed():
    for name in skmae.__all__:
        assert getattr(skmae, name).__name__ == name
        assert name in dir(skmae)
    with pytest.raises(AttributeError, match="no attribute 'PCA'"):
        skmae.PCA  # noqa: B018


def test_version_comes_from_one_place():
    assert version("skmae") == skmae.__version__


def test_missing_library_is_named_with_its_remedy():
    code = (
        "import sys; sys.modules['matplotlib.pyplot'] = None;"
        "from skmae.inspection import ComponentsDisplay; import numpy as np;"
        "ComponentsDisplay(np.eye(4), image_shape=(2, 2)).plot()"
    )
    done = run(code)
    assert "ImportError: ComponentsDisplay.plot needs matplotlib" in done.stderr
    assert 'pip install "skmae[plot]"' in done.stderr
