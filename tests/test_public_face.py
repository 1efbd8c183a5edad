"""The public face: what `harness` and its rooms name in `__all__` is all that plugins use, and it is documented."""

import ast
import inspect
import re
from importlib import import_module

import pytest

from harness import Backend, Operator
from tests.conftest import ROOT

ROOMS = sorted(
    f"harness.{path.parent.name}" for path in (ROOT / "harness").glob("*/__init__.py") if "__all__" in path.read_text()
)
FACES = {name: import_module(name) for name in ("harness", *ROOMS)}
OPEN = {"harness": {"__version__"}}  # public without standing in `__all__`


def _read(path):
    return ast.parse(path.read_text())


def _imports_for_types(name):
    """Public name -> module, as type checkers see a face."""
    found = {}
    for node in _read(ROOT / name.replace(".", "/") / "__init__.py").body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for one in node.body:
                assert isinstance(one, ast.ImportFrom), ast.unparse(one)
                found |= {alias.name: one.module for alias in one.names}
    return found


@pytest.mark.parametrize("name", FACES)
def test_type_checkers_and_programs_see_the_same_names(name):
    face, homes = FACES[name], _imports_for_types(name)
    assert sorted(homes) == sorted(face.__all__) == dir(face)
    for public, home in homes.items():
        module = f"{home}.{public}"
        held = import_module(module) if home == name else getattr(import_module(home), public)
        assert getattr(face, public) is held, public
    with pytest.raises(AttributeError, match="no public name 'nothing'"):
        _ = face.nothing


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_names_only_what_it_holds(name):
    for public, home in _imports_for_types(name).items():
        assert home == name or home.startswith(f"{name}."), public
        path = ROOT / name.replace(".", "/") / public
        shadowed = path.is_dir() or path.with_suffix(".py").exists()  # the submodule would take the name's place
        assert shadowed == (home == name), public


def test_a_name_is_public_in_one_place():
    named = [public for face in FACES.values() for public in face.__all__]
    assert sorted(named) == sorted(set(named))


def test_the_inside_imports_files_and_no_faces():
    """A face that files import would make circles of files through everything that it names."""
    for path in (ROOT / "harness").rglob("*.py"):
        for node in ast.walk(_read(path)):
            if isinstance(node, ast.ImportFrom) and node.module in FACES:
                folder = ROOT / node.module.replace(".", "/")
                for alias in node.names:
                    file = (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
                    allowed = file or (node.module == "harness" and alias.name in OPEN["harness"])
                    assert allowed, f"{path}:{node.lineno} imports {alias.name} from a face"


# --- what plugins import ------------------------------------------------------------------------------------------


def find_private(tree):
    """Yield the line and the text of each use of something that is not public."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "harness" and alias.name not in FACES:
                    yield node.lineno, f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "harness":
            public = FACES[node.module].__all__ if node.module in FACES else ()
            for alias in node.names:
                if alias.name not in {*public, *OPEN.get(node.module, ())}:
                    yield node.lineno, f"from {node.module} import {alias.name}"
        elif isinstance(node, ast.Attribute):
            base = ast.unparse(node.value)
            if base in FACES and node.attr not in FACES[base].__all__ and f"{base}.{node.attr}" not in FACES:
                if node.attr not in OPEN.get(base, ()):
                    yield node.lineno, f"{base}.{node.attr}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            if any("harness" in ast.unparse(given) for given in node.args):
                yield node.lineno, ast.unparse(node)


def _blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


SOURCES = {
    str(path.relative_to(ROOT)): [path.read_text()]
    for folder in ("backends", "suites", "examples") for path in sorted((ROOT / folder).rglob("*.py"))
}  # fmt: skip
SOURCES |= {f"{name}": _blocks(ROOT / name) for name in ("README.md", "docs/plugins.md")}


def test_plugins_use_public_names_only():
    assert len(SOURCES["docs/plugins.md"]) > 1
    wrong = [
        f"{name}:{line} {text}"
        for name, codes in SOURCES.items() for code in codes for line, text in find_private(ast.parse(code))
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        "from harness.problems.data import make_arrays",
        "from harness.problems import _by",
        "from harness.problems import ITEM_BYTES",
        "from harness import problems",
        "def f():\n    import harness.laws.error_bounds",
        "import harness\nharness.api.run()",
        "import harness.problems\nharness.problems.data.make_arrays",
        "import importlib\nimportlib.import_module('harness.worker.protocol')",
    ],
)
def test_a_private_name_is_seen(code):
    assert len(list(find_private(ast.parse(code)))) == 1


# --- what is public is documented ---------------------------------------------------------------------------------


def _public():
    """Yield the dotted name and the value of each public name, and of each function of a public module."""
    for name, face in FACES.items():
        for public in face.__all__:
            value = getattr(face, public)
            yield f"{name}.{public}", value
            if inspect.ismodule(value):
                for part, held in vars(value).items():
                    if inspect.isfunction(held) and part[0] != "_" and held.__module__ == value.__name__:
                        yield f"{name}.{public}.{part}", held


def _callables():
    """Yield the dotted name and the value of each public class, function, method and property."""
    for name, value in _public():
        if inspect.isclass(value) and value.__module__.startswith("harness."):
            yield name, value
            for part, member in vars(value).items():
                if isinstance(member, classmethod | staticmethod):
                    member = member.__func__
                if part[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
                    yield f"{name}.{part}", member
        elif inspect.isfunction(value):
            yield name, value


def find_undescribed(name, function):
    """List what a docstring leaves out: all of it, or parameters of a function with three or more."""
    text = inspect.getdoc(function) or ""
    if not text:
        return ["docstring"]
    if not inspect.isfunction(function):
        return []
    if name.rpartition(".")[2] in Operator.__members__:  # the signature of a backend's method, described there
        text += inspect.getdoc(Backend)
    parameters = [part for part in inspect.signature(function).parameters if part not in ("self", "cls")]
    return [part for part in parameters if len(parameters) > 2 and not re.search(rf"\b{part}\b", text)]


def test_what_is_public_is_documented():
    found = {name: find_undescribed(name, value) for name, value in _callables()}
    assert len(found) > 200
    assert not {name: missing for name, missing in found.items() if missing}


def test_a_public_constant_is_described_by_its_face():
    for name, value in _public():
        if not (inspect.isroutine(value) or (inspect.isclass(value) and value.__module__.startswith("harness."))):
            face, _, public = name.rpartition(".")
            if name != "harness.hookimpl":  # pluggy's marker, described in docs/plugins.md
                assert re.search(rf"`{public}`[^:]*: \w", FACES[face].__doc__), name


def test_what_is_not_described_is_seen():
    def bare(first, second, third):
        """Use first and second."""

    def silent():
        pass

    assert find_undescribed("bare", bare) == ["third"]
    assert find_undescribed("silent", silent) == ["docstring"]
