"""Permitted imports between rooms, and the cost of importing the harness."""

import ast
import subprocess
import sys

import pytest

import harness
from tests.conftest import ROOT, SOURCES

# The rooms of the harness in the order in which data passes through them: each imports only earlier ones.
ROOMS = (
    "lazy", "exit_codes", "errors", "git", "problems", "machine", "networks", "backend", "laws", "plan", "generate",
    "capture", "record", "measure", "analysis", "plugins", "worker", "execution", "gating", "experiments", "api",
    "pytest_plugin", "cli",
)  # fmt: skip
FACE = ("harness", "harness.__main__")  # imports whatever it makes public, when it is asked for

OTHERS = {"harness": {"backends", "suites", "reports"}, "backends": {"suites", "reports"},
          "suites": {"backends", "reports"}, "reports": {"backends", "suites"}}  # fmt: skip


@pytest.mark.parametrize("package", OTHERS)
def test_packages_depend_on_the_harness_only(package):
    for path in (SOURCES / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            wrong = {name.partition(".")[0] for name in names} & (OTHERS[package] | {"tests"})
            assert not wrong, f"{path}:{node.lineno} imports {wrong}"


def _read_imports(package="harness"):
    """Module -> modules of the package that it imports anywhere: in functions and for types as well."""
    paths = {}
    for path in (SOURCES / package).rglob("*.py"):
        dotted = ".".join(path.relative_to(SOURCES).with_suffix("").parts)
        paths[dotted.removesuffix(".__init__")] = path
    imports = {}
    for module, path in paths.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert not node.level, f"{path}:{node.lineno} imports relatively"
                submodules = {f"{node.module}.{alias.name}" for alias in node.names} & paths.keys()
                found |= submodules or {node.module}
        imports[module] = (found & paths.keys()) - {module, *FACE}
    return {module: found for module, found in imports.items() if module not in FACE}


def test_rooms_import_only_earlier_rooms():
    place = {room: number for number, room in enumerate(ROOMS)}
    for module, found in _read_imports().items():
        here = module.split(".")[1]
        late = {other for other in found if place[other.split(".")[1]] > place[here]}
        assert not late, f"{module} imports {late}, which come after '{here}'"


@pytest.mark.parametrize("package", OTHERS)
def test_no_circle_of_files(package):
    imports, states = _read_imports(package), {}

    def visit(module, trail):
        assert states.get(module) != "open", f"circle: {' -> '.join([*trail[trail.index(module) :], module])}"
        if module not in states:
            states[module] = "open"
            for other in sorted(imports.get(module, ())):
                visit(other, [*trail, module])
            states[module] = "done"

    for module in sorted(imports):
        visit(module, [])


def test_no_loose_module_and_no_name_that_others_need():
    loose = {path.stem for path in (SOURCES / "harness").glob("*.py")}
    assert loose == {"__init__", "__main__", "errors", "exit_codes", "git", "lazy"}
    folders = {path.name for path in (SOURCES / "harness").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ROOMS) - loose
    assert not folders & {"spec", "test", "tests", *harness.__all__}  # tools and public functions go by these


def _loaded(code):
    script = f"{code}\nimport sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_harness_is_cheap():
    assert not _loaded("import harness") & {"numpy", "pandas", "torch", "cupy", "scipy", "plotly", "pluggy"}
    everything = "import harness\nfor name in harness.__all__: getattr(harness, name)"
    assert not _loaded(everything) & {"pandas", "torch", "cupy", "scipy", "plotly", "pyarrow", "onnx", "hypothesis"}


def test_loading_every_plugin_imports_no_heavy_library():
    code = "from harness.plugins.manager import load_plugins\nload_plugins()"
    assert not _loaded(code) & {"pandas", "torch", "cupy", "scipy", "plotly", "pyarrow", "onnx", "hypothesis"}


def test_help_imports_little():
    code = "import contextlib, io\nfrom harness.cli.main import main\n"
    code += "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
    assert not _loaded(code) & {"numpy", "pandas", "torch", "scipy", "plotly", "pluggy", "rich", "msgspec"}


@pytest.mark.parametrize("package", ["harness", "backends", "suites", "reports"])
def test_every_folder_of_code_is_a_package(package):
    """A folder without an __init__.py is left out of a wheel without a word."""
    for path in (SOURCES / package).rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path.parent
