"""What distributors read says the same as the package, and each thing in one place."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import skmae

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
NOT_LOWEST = {"deep", "docs", "test", "all"}  # PyTorch's oldest wheels are of several GB; the others are for developers


def lower_bounds(requirements):
    """{name: version} of those that have a lower bound."""
    parsed = [Requirement(line) for line in requirements]
    return {
        canonicalize_name(one.name): next(s.version for s in one.specifier if s.operator == ">=")
        for one in parsed
        if one.specifier
    }


def test_the_lowest_versions_are_those_that_are_allowed():
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints-lowest.txt").read_text(), flags=re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *(line for name in extras.keys() - NOT_LOWEST for line in extras[name])]
    bounds = lower_bounds(extras["test"]) | lower_bounds(needed)
    assert lower_bounds(needed).keys() <= pinned.keys()
    for name in bounds.keys() & pinned.keys():
        assert padded(pinned[name]) == padded(bounds[name]), name


def padded(version):
    return [*map(int, version.split(".")), 0, 0, 0][:3]


def test_urls_are_placeholders_of_one_file():
    urls = PROJECT["urls"].values()
    assert all(url.startswith("https://skmae.invalid/") for url in urls)
    for path in files_of_the_project():
        if path.name not in ("pyproject.toml", Path(__file__).name):
            assert "skmae.invalid" not in path.read_text(encoding="utf-8"), path


def files_of_the_project():
    places = ["", "conda", "docs", ".github/workflows", ".github/ISSUE_TEMPLATE", "skmae"]
    kinds = (".md", ".toml", ".cff", ".yml", ".yaml", ".py", ".rst")
    found = [path for place in places for path in (ROOT / place).glob("*") if path.suffix in kinds]
    return found + list((ROOT / "skmae").glob("*/*.py"))


def test_links_of_the_readme_are_absolute_where_it_is_shown_alone():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for rule in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", text)
    assert len(links) > 10
    source = PROJECT["urls"]["Source"]
    for is_picture, link in links:
        assert link.startswith("https://")
        if link.startswith(source):
            kind, _, path = link.removeprefix(f"{source}/").partition("/main/")
            assert kind == ("raw" if is_picture else "blob")
            assert (ROOT / path).exists(), path


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {skmae.__version__}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    assert f"\nabstract: {PROJECT['description']}\n" in citation


def test_the_changelog_has_this_version_at_its_top():
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert first[1] == skmae.__version__


def test_the_conda_recipe_needs_what_the_package_needs():
    jinja2, yaml = pytest.importorskip("jinja2"), pytest.importorskip("yaml")
    template = jinja2.Template((ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8"))

    def load_file_data(path, from_recipe_dir):
        assert from_recipe_dir
        return tomllib.loads((ROOT / "conda" / path).read_text(encoding="utf-8"))

    def load_file_regex(path, pattern, from_recipe_dir):
        assert from_recipe_dir
        return re.search(pattern, (ROOT / "conda" / path).read_text(encoding="utf-8"))

    recipe = yaml.safe_load(
        template.render(load_file_data=load_file_data, load_file_regex=load_file_regex, PYTHON="python")
    )
    assert recipe["package"] == {"name": "skmae", "version": skmae.__version__}
    assert recipe["requirements"]["run"][1:] == PROJECT["dependencies"]
    assert recipe["requirements"]["run"][0] == f"python {PROJECT['requires-python']}"
    built_with = [Requirement(line).name for line in PYPROJECT["build-system"]["requires"]]
    assert recipe["requirements"]["host"][2:] == built_with


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_the_forms_and_the_workflow_can_be_read(path):
    yaml = pytest.importorskip("yaml")
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)
