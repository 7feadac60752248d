"""What is written for people is true: code that is meant to run does, and every public name has its page."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import skmae
from skmae import LinearMAE, _estimator
from skmae.planning import HiddenPixelsScorer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python_blocks(text):
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    return blocks


def run(code, folder):
    for library in ("torch", "skorch", "kornia", "pandas", "skimage"):  # which pages use without a word
        pytest.importorskip(library)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)


def photographs(folder):
    """What the README calls so: pictures in a folder for each of two classes, and a new one."""
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 256, (60, 40, 50, 3), dtype=np.uint8)
    for i, picture in enumerate(values):
        path = folder / "photographs" / ("cats" if i % 2 else "dogs") / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(picture).save(path)
    image.fromarray(values[0]).save(folder / "new.jpg")


def test_the_code_in_the_readme_runs(tmp_path):
    photographs(tmp_path)
    blocks = python_blocks(README)
    assert len(blocks) >= 2
    done = run("\n".join(blocks), tmp_path)
    assert done.returncode == 0, done.stderr
    claimed = [float(number) for number in re.findall(r"print\(.*\.score\(.*# (0\.\d+)", README)]
    assert [float(line) for line in done.stdout.splitlines()[:2]] == pytest.approx(claimed, abs=0.01)
    assert {path.name for path in tmp_path.glob("*.png")} == {"rebuilt.png", "components.png", "jacobian.png"}
    assert re.search(r"\{'mae__mask': .*\} 0\.\d+", done.stdout)


@pytest.mark.parametrize("page", ["holes", "tokens", "contributing"])
def test_the_code_of_a_page_runs(page, tmp_path):
    code = "\n".join(python_blocks((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")))
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_files_and_words_that_the_readme_names_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    named = r"`(?:[.\w/]*python )?((?:benchmarks|examples|docs)/(?!_build)[\w/.]+)`|\]\(((?:docs|examples)/[\w/.]+)\)"
    for path in re.findall(named, README):  # `make docs` writes docs/_build: a clone has none
        assert (ROOT / (path[0] or path[1])).exists(), path


@pytest.mark.parametrize("module", ["", ".datasets", ".inspection", ".linear", ".masking", ".planning", ".vit"])
def test_every_public_name_is_in_the_api_reference(module):
    if module == ".vit":
        pytest.importorskip("torch")
    module = import_module(f"skmae{module}")
    listed = (ROOT / "docs" / "api.rst").read_text().split()
    for name in module.__all__:
        again = getattr(skmae, name, None) is getattr(module, name)  # listed once, under the shorter name
        assert f"{'skmae' if again else module.__name__}.{name}" in listed
        assert "Examples\n" in getattr(module, name).__doc__, f"{name} has no example"


def test_types_to_trust_are_where_the_example_says():
    """skops knows types by the places that they are from."""
    example = (ROOT / "examples" / "howto" / "plot_persistence.py").read_text(encoding="utf-8")
    names = re.findall(r'^    "(skmae[\w.]+)",$', example, flags=re.MULTILINE)
    assert len(names) >= 10
    for name in names:
        module, _, kind = name.rpartition(".")
        assert getattr(import_module(module), kind).__module__ == module, name


NO_ESTIMATORS = {"Moments", "probe_layers", "suggest_masking", "training_cost"}


@pytest.mark.parametrize("name", sorted(set(skmae.__all__) - NO_ESTIMATORS))
def test_the_html_repr_of_an_estimator_leads_to_its_page(name, monkeypatch):
    kind = getattr(skmae, name)
    estimator = kind.__new__(kind)
    assert estimator._get_doc_link() == ""  # while the address is a placeholder
    monkeypatch.setattr(_estimator, "documentation_url", lambda: "https://site.example")
    link = estimator._get_doc_link()
    assert link == f"https://site.example/generated/skmae.{name}.html"
    assert Path(link).stem in (ROOT / "docs" / "api.rst").read_text().split()


def test_the_link_is_in_the_html_repr_and_an_estimator_of_others_has_none(monkeypatch):
    class Own(LinearMAE):
        pass

    monkeypatch.setattr(_estimator, "documentation_url", lambda: "https://site.example")
    assert 'href="https://site.example/generated/skmae.LinearMAE.html"' in LinearMAE()._repr_html_()
    assert HiddenPixelsScorer()._get_doc_link().endswith("/skmae.planning.HiddenPixelsScorer.html")
    Own.__module__ = "theirs"
    assert Own()._get_doc_link() == ""


def test_where_the_site_is_stands_in_the_metadata(monkeypatch):
    lines = ["Source, https://source.example", "Documentation, https://site.example"]
    monkeypatch.setattr(_estimator, "metadata", lambda _: SimpleNamespace(get_all=lambda *_: lines))
    assert _estimator.documentation_url() == "https://site.example"
