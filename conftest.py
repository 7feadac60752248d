"""What is not installed is skipped, in tests and doctests alike; nothing else that is missing is."""

from importlib.util import find_spec

import pytest

NAMES = """
PIL accelerate array_api_strict dask distributed fastapi h5py kornia matplotlib mpmath mypy onnx onnxruntime onnxscript
pandas polars pyarrow safetensors skimage skl2onnx skorch skops tensorboard torch tqdm transformers uvicorn xarray
"""
OPTIONAL = set(NAMES.split())

# what cannot be imported would stay behind, half made, when pytest looks for doctests in it
if not all(map(find_spec, ("torch", "skorch", "safetensors"))):
    collect_ignore_glob = [
        "skmae/vit/*.py",
        "skmae/_autodiff.py",
        "skmae/_undisturbed.py",
        "skmae/inspection/_adapter.py",
        "skmae/planning/_timing.py",
    ]


def absent_library(error):
    """The optional library whose absence led to the error, or None."""
    while error is not None:
        library = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ImportError) and library in OPTIONAL and find_spec(library) is None:
            return library
        doctested = getattr(error, "exc_info", (None, None))[1]
        error = doctested or error.__cause__ or error.__context__
    return None


def skip_what_is_absent(report, call, location):
    library = absent_library(call.excinfo.value) if report.failed and call.excinfo else None
    if library is not None:
        report.outcome = "skipped"
        report.longrepr = (*location, f"Skipped: {library} is not installed")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return skip_what_is_absent(report, report.call, (str(collector.path), 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return skip_what_is_absent(report, call, (str(item.path), (item.location[1] or 0) + 1))
