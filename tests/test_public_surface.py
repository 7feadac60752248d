"""The public surface is a promise: names, signatures and fitted attributes may be added to, never changed or lost.

``python tests/test_public_surface.py`` rewrites the committed list, for changes that are meant.
"""

import copy
import inspect
import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

LISTED = Path(__file__).with_suffix("").with_name("public_surface.json")
MODULES = ["skmae", "skmae.linear", "skmae.vit", "skmae.inspection", "skmae.datasets", "skmae.moments"]
NAMES_WITHOUT_ALL = {"skmae.moments": ["Moments"]}
INHERITED = "inherited"
NOT_IN_EVERY_SKLEARN = {"set_callbacks"}
DEEP = {
    "EpochHalvingSearchCV",
    "TorchAutoencoder",
    "ViTMAE",
    "ViTMAEClassifier",
    "ViTMAERegressor",
    "probe_layers",
    "training_cost",
}
EMPTY = inspect.Parameter.empty


# -- the surface as it is ----------------------------------------------------------------------------------------


def names_of(module):
    return list(getattr(module, "__all__", NAMES_WITHOUT_ALL.get(module.__name__, ())))


def describe(module, names, *, ours_only=False):
    """What is public of these names; those that are not there, or need a library that is not installed, are left out.

    With `ours_only`, the word "inherited" takes the place of signatures that are another library's to change.
    """
    found = {}
    for name in sorted(names):
        try:
            thing = getattr(module, name)
        except (AttributeError, ImportError):
            continue
        found[name] = {"signature": signature_of(thing)}
        if inspect.isclass(thing):
            public = [
                method for method in dir(thing) if not method.startswith("_") and callable(getattr(thing, method))
            ]
            methods = {method: method_of(thing, method, ours_only) for method in public}
            found[name] |= {"methods": methods, "attributes": attributes_of(thing)}
    return found


def method_of(cls, name, ours_only):
    """Its parameters, without self."""
    home = next(base for base in cls.__mro__ if name in vars(base))
    if ours_only and not home.__module__.startswith("skmae"):
        return INHERITED
    parameters = signature_of(getattr(cls, name))
    return parameters if isinstance(vars(home)[name], classmethod | staticmethod) else parameters[1:]


def signature_of(function):
    """Parameters as they would be typed, without annotations: ["X", "y=None", "*", "batch_size=1024"]."""
    shown, before = [], None
    for parameter in inspect.signature(function).parameters.values():
        if before == parameter.POSITIONAL_ONLY != parameter.kind:
            shown.append("/")
        if parameter.kind == parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY,
            parameter.VAR_POSITIONAL,
        ):
            shown.append("*")
        shown.append(str(parameter.replace(annotation=EMPTY)))
        before = parameter.kind
    return shown


def attributes_of(cls):
    """Names under "Attributes" in the docstring, and the properties that this package wrote."""
    section = re.search(
        r"\n *Attributes\n *-+\n(.*?)(?=\n *\w[\w ]*\n *-{3,}\n|$)", inspect.getdoc(cls) or "", re.DOTALL
    )
    documented = re.findall(r"^(\w+) ?(?::|$)", section[1], re.MULTILINE) if section else []
    ours = [vars(base) for base in cls.__mro__ if base.__module__.startswith("skmae")]
    properties = {name for names in ours for name, value in names.items() if isinstance(value, property)}
    return [*documented, *sorted(name for name in properties - {*documented} if not name.startswith("_"))]


# -- against the list --------------------------------------------------------------------------------------------


def differences(listed, found, module):
    """Everything of `listed` that `found` lacks or has otherwise, a sentence each."""
    for name, old in listed.items():
        where = f"{module}.{name}"
        if name not in found:
            yield f"{where} is gone"
            continue
        new = found[name]
        if ("methods" in old) != ("methods" in new):
            yield f"{where} was a class or a function, and is the other now"
            continue
        yield from changed_signature(old["signature"], new["signature"], where)
        for method, signature in old.get("methods", {}).items():
            if method not in new["methods"]:
                yield f"{where}.{method} is gone"
            elif signature != INHERITED:
                yield from changed_signature(signature, new["methods"][method], f"{where}.{method}")
        for attribute in old.get("attributes", ()):
            if attribute not in new["attributes"]:
                yield f"{where}.{attribute} is neither documented nor a property any more"


def changed_signature(old, new, where):
    (old_positional, old_keywords), (new_positional, new_keywords) = split(old), split(new)
    if old_positional != new_positional:
        yield f"{where}: positional parameters ({', '.join(old_positional)}) became ({', '.join(new_positional)})"
    now = {name_of(parameter): parameter for parameter in new_keywords}
    for parameter in old_keywords:
        name = name_of(parameter)
        if name not in now:
            yield f"{where}: keyword {parameter} is gone"
        elif now[name] != parameter:
            yield f"{where}: keyword {parameter} became {now[name]}"
    known = [name_of(parameter) for parameter in old_keywords]
    if [name for name in now if name in known] != [name for name in known if name in now]:
        yield f"{where}: keywords {', '.join(known)} stand in another order: {', '.join(now)}"
    for name, parameter in now.items():
        if name not in known and "=" not in parameter and not name.startswith("**"):
            yield f"{where}: the new keyword {name} has no default"


def split(signature):
    """Positional parameters, with *args if there is one, and those that are passed by name."""
    by_name = [i for i, parameter in enumerate(signature) if parameter.startswith("*")]
    first = by_name[0] if by_name else len(signature)
    if signature[first:] and re.match(r"\*\w", signature[first]):
        first += 1
    return signature[:first], [parameter for parameter in signature[first:] if parameter != "*"]


def name_of(parameter):
    return parameter.partition("=")[0]


def read_list():
    return json.loads(LISTED.read_text(encoding="utf-8"))


def as_text(surface):
    """JSON with a line for each signature."""
    text = json.dumps(surface, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: json.dumps(json.loads(found[0])), text) + "\n"


# -- tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_nothing_public_is_missing_or_changed(module):
    if module == "skmae.vit":
        pytest.importorskip("torch", reason="skmae.vit needs PyTorch")
    listed, loaded = read_list()[module], import_module(module)
    if find_spec("torch") is None:
        listed = {name: thing for name, thing in listed.items() if name not in DEEP}
    found = describe(loaded, listed)
    wrong = [*differences(listed, found, module)]
    wrong += [f"{module}.{name} is not in __all__" for name in listed if name not in names_of(loaded)]
    assert not wrong, "\n".join(["The public surface changed:", *wrong])


def test_every_public_module_is_listed():
    assert list(read_list()) == MODULES


@pytest.mark.parametrize(
    ("place", "change", "said"),
    [
        (
            ("signature",),
            lambda s: [p.replace("mask=0.75", "mask=0.5") for p in s],
            "keyword mask=0.5 became mask=0.75",
        ),
        (("signature",), lambda s: [*s, "depth=1"], "keyword depth=1 is gone"),
        (("signature",), lambda s: ["rank=None", *s[1:]], r"positional parameters \(rank=None\) became \(n_components"),
        (("signature",), lambda s: [*s[:2], s[3], s[2], *s[4:]], "stand in another order"),
        (("signature",), lambda s: [p for p in s if p != "*"], r"positional parameters \(n_components=None, mask"),
        (("methods", "fit"), lambda s: s[:-1], r"fit: positional parameters \(X, y=None\) became \(X, y=None, sample"),
        (("methods", "linearize"), lambda s: [*s[:-1], "batch_size=8"], "batch_size=8 became batch_size=None"),
        (("methods",), lambda m: {**m, "encode": ["X"]}, "LinearMAE.encode is gone"),
        (("attributes",), lambda a: [*a, "loss_"], "loss_ is neither documented"),
    ],
)
def test_each_kind_of_change_is_noticed_and_named(place, change, said):
    """A list that promises something else than what is there."""
    promised = {"LinearMAE": copy.deepcopy(read_list()["skmae"]["LinearMAE"])}
    *path, last = place
    part = promised["LinearMAE"]
    for key in path:
        part = part[key]
    part[last] = change(part[last])
    (sentence,) = differences(promised, describe(import_module("skmae"), promised), "skmae")
    assert re.search(said, sentence)


def test_additions_are_no_change():
    listed = read_list()["skmae"]
    shorter = {"LinearMAE": copy.deepcopy(listed["LinearMAE"])}
    shorter["LinearMAE"]["signature"].remove("loss='all'")
    del shorter["LinearMAE"]["methods"]["linearize"]
    shorter["LinearMAE"]["attributes"].remove("mask_")
    assert not [*differences(shorter, describe(import_module("skmae"), listed), "skmae")]
    assert [*changed_signature(["X"], ["X", "*", "y"], "f")] == ["f: the new keyword y has no default"]
    assert [*changed_signature(["X", "**params"], ["X"], "f")] == ["f: keyword **params is gone"]


if __name__ == "__main__":
    surface = {}
    for module in map(import_module, MODULES):
        surface[module.__name__] = described = describe(module, names_of(module), ours_only=True)
        for thing in described.values():
            for method in NOT_IN_EVERY_SKLEARN:
                thing.get("methods", {}).pop(method, None)
    LISTED.write_text(as_text(surface), encoding="utf-8")
