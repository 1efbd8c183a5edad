"""The public face: what `harness` and its rooms name in `__all__` is all that plugins use, and it is documented."""

import ast
import inspect
import re
from importlib import import_module

import pytest

from harness import Backend, Operator
from harness.cli.main import COMMANDS
from tests.conftest import ROOT

ROOMS = sorted(
    f"harness.{path.parent.name}" for path in (ROOT / "harness").glob("*/__init__.py") if "__all__" in path.read_text()
)
FACES = {name: import_module(name) for name in ("harness", *ROOMS)}
MODULES = {
    f"{name}.{public}": getattr(face, public)
    for name, face in FACES.items() for public in face.__all__ if inspect.ismodule(getattr(face, public))
}  # fmt: skip
OPEN = {"harness": {"__version__", "__file__"}}  # public without standing in `__all__`


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


def _is_ours(module):
    return (module or "").partition(".")[0] == "harness"


def _list_public(module):
    """Names that a plugin may use of a face, or of a module that a face names."""
    if module in FACES:
        rooms = {face.rpartition(".")[2] for face in FACES if face.rpartition(".")[0] == module}
        return {*FACES[module].__all__, *OPEN.get(module, ()), *rooms}
    return set(MODULES[module].__all__)


def find_private(tree):
    """Yield the line and the text of each use of something that is not public."""
    known = {name: name for name in (*FACES, *MODULES)}  # expression -> module
    nodes = sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0))
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_ours(alias.name) and alias.name not in FACES:
                    yield node.lineno, f"import {alias.name}"
                elif alias.asname and alias.name in FACES:
                    known[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and _is_ours(node.module):
            public = {*FACES[node.module].__all__, *OPEN.get(node.module, ())} if node.module in FACES else ()
            for alias in node.names:
                if alias.name not in public:
                    yield node.lineno, f"from {node.module} import {alias.name}"
                elif f"{node.module}.{alias.name}" in MODULES:
                    known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in nodes:
        if isinstance(node, ast.Attribute) and (module := known.get(ast.unparse(node.value))):
            if node.attr not in _list_public(module):
                yield node.lineno, f"{module}.{node.attr}"
        elif isinstance(node, ast.Call) and any(
            isinstance(given, ast.Constant) and re.match(r"harness\.", str(given.value)) for given in node.args
        ):  # import_module("harness.…"), patch("harness.…")
            yield node.lineno, ast.unparse(node)


def _blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


SOURCES = {
    str(path.relative_to(ROOT)): [path.read_text()]
    for folder in ("backends", "suites", "reports", "examples") for path in sorted((ROOT / folder).rglob("*.py"))
}  # fmt: skip
SOURCES |= {f"{name}": _blocks(ROOT / name) for name in ("README.md", "docs/plugins.md")}


def test_plugins_use_public_names_only():
    assert len(SOURCES) > 110
    assert SOURCES["docs/plugins.md"]
    assert SOURCES["README.md"]
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
        "import harness as h\nh.api",
        "from harness.problems import reference as r\nr.name_outputs(a)",
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
    for name, module in MODULES.items():
        for part in _list_public(name):
            yield f"{name}.{part}", getattr(module, part)


def _callables():
    """Yield the dotted name, the value and the owner of each public class, function, method and property."""
    for name, value in _public():
        if inspect.isclass(value) and value.__module__.startswith("harness."):
            yield name, value, None
            for part, member in vars(value).items():
                if isinstance(member, classmethod | staticmethod):
                    member = member.__func__
                if part[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
                    yield f"{name}.{part}", member, value
        elif inspect.isfunction(value):
            yield name, value, None


def find_undescribed(name, function, owner=None):
    """List what a docstring leaves out: all of it, or parameters of a function with three or more.

    A parameter is described as `name: text` or `name, other: text`, by the function or by the class that owns it; an
    operator of the reference has the signature of a backend's method, which `Backend` describes.
    """
    text = inspect.getdoc(function) or ""
    if not text:
        return ["docstring"]
    if not inspect.isfunction(function):
        return []
    parameters = [part for part in inspect.signature(function).parameters if part not in ("self", "cls")]
    if len(parameters) < 3:
        return []
    if name.startswith("harness.problems.reference.") and function.__name__ in Operator.__members__:
        (signature,) = re.findall(rf"\b{function.__name__}\((.*?)\)", inspect.getdoc(Backend))
        parameters = [part for part in parameters if part not in signature.split(", ")]
    text += "\n" + (inspect.getdoc(owner) or "" if owner else "")
    described = r"(?:^|[\s(])(?:\w+, )*{}(?:, \w+)*:\s"
    return [part for part in parameters if not re.search(described.format(part), text)]


def test_what_is_public_is_documented():
    found = {name: find_undescribed(name, value, owner) for name, value, owner in _callables()}
    assert len(found) > 200
    assert not {name: missing for name, missing in found.items() if missing}


def test_a_public_constant_is_described_by_its_face():
    for name, value in _public():
        if not (inspect.isroutine(value) or (inspect.isclass(value) and value.__module__.startswith("harness."))):
            face, _, public = name.rpartition(".")
            if name != "harness.hookimpl":  # pluggy's marker, described in docs/plugins.md
                assert re.search(rf"`{public}`[^:]*: \S", FACES[face].__doc__), name


def test_every_public_name_is_listed_in_the_documents():
    text = (ROOT / "docs" / "plugins.md").read_text().partition("## Public names")[2]
    rows = re.findall(r"\| `([a-z.]+)`: [^|]+ \| (.+) \|", text)
    listed = {name: re.findall(r"`(\w+)`", names) for name, names in rows}
    assert listed == {name: face.__all__ for name, face in FACES.items()}


def test_the_readme_lists_each_function_of_python_with_its_command():
    text, row = (ROOT / "README.md").read_text(), r"^\| `harness\.(\w+)\(.*\)` \| `python -m harness (\w+)` \|"
    rows = re.findall(row, text, re.MULTILINE)
    functions = {name for name, home in _imports_for_types("harness").items() if home.startswith("harness.api.")}
    assert sorted(function for function, _ in rows) == sorted(functions)
    assert {command for _, command in rows} <= set(COMMANDS)
    assert [row for row in rows if row[0] != row[1]] == [("load", "report")]


def test_what_is_not_described_is_seen():
    def bare(first, second, third):
        """Use first and third. first, second: two."""

    def silent():
        pass

    assert find_undescribed("bare", bare) == ["third"]
    assert find_undescribed("silent", silent) == ["docstring"]
