"""Who may import whom, and what importing the harness may cost."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import ROOT

OTHERS = {"harness": {"backends", "suites", "reports"}, "backends": {"suites", "reports"},
          "suites": {"backends", "reports"}, "reports": {"backends", "suites"}}  # fmt: skip


@pytest.mark.parametrize("package", OTHERS)
def test_packages_depend_on_the_harness_only(package):
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            wrong = {name.partition(".")[0] for name in names} & (OTHERS[package] | {"tests"})
            assert not wrong, f"{path}:{node.lineno} imports {wrong}"


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
    for path in (ROOT / package).rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), path.parent
