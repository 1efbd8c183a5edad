"""No test and no benchmark reaches for a private name: what is worth testing is public, or shows at a public door."""

import ast
import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("harness", "backends", "suites", "reports")
FOREIGN = {
    "_exit",
    "_forward_hooks",
    "_tmp_path_factory",
}  # of os, torch and pytest: no public name does it
PATH = re.compile(rf"\b(?:{'|'.join(PACKAGES)})(?:\.\w+)*\.(_[A-Za-z]\w*)")
FILES = [path for name in ("tests", "examples") for path in sorted((ROOT / name).rglob("*.py"))]


def find_private_names(source):
    """Lines and private names that a source reaches for, also in strings: paths to patch, and programs."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found += [(node.lineno, one.name) for one in node.names if _is_private(one.name) and _is_own(node.module)]
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_itself(node.value):
            found.append((node.lineno, node.attr))
        elif isinstance(node, ast.Call):
            found += [(node.lineno, name) for name in _list_named(node) if _is_private(name)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [(node.lineno, name) for name in _read_string(node.value)]
    return found


def _is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in FOREIGN


def _is_own(module):
    return (module or "").partition(".")[0] in PACKAGES


def _is_itself(value):
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def _list_named(call):
    """Names of attributes that a call of getattr, setattr or monkeypatch is given."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if called not in ("getattr", "hasattr", "setattr", "delattr") or len(call.args) < 2:
        return []
    named = call.args[1]
    return [named.value] if isinstance(named, ast.Constant) and isinstance(named.value, str) else []


def _read_string(text):
    found = PATH.findall(text)
    if "import " in text and "\n" in text:
        with suppress(SyntaxError):  # no program
            found += [name for _, name in find_private_names(text)]
    return [name for name in found if name not in FOREIGN]


def test_no_private_name_is_reached_for():
    assert len(FILES) > 200
    others = [path for path in FILES if path.name != Path(__file__).name]  # this one has samples of them
    found = {str(path.relative_to(ROOT)): find_private_names(path.read_text("utf-8")) for path in others}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from harness.problems.taps import _steps",
        "from suites.laws import blocks\nblocks._field(1)",
        "module.deep._name = 3",
        "monkeypatch.setattr('harness.measure.block._now', lambda: 0)",
        "monkeypatch.setattr(pattern, '_values', None)",
        "getattr(backend, '_settled')",
        "CODE = 'import harness\\nharness.worker.protocol._encoder\\n'",
        "CODE = 'from harness.worker import protocol\\nprotocol._encoder.encode(1)\\n'",
    ],
)
def test_every_way_to_reach_for_one_is_seen(source):
    assert find_private_names(source)


@pytest.mark.parametrize(
    "source",
    [
        "self._steps()",
        "import os\nos._exit(0)",
        "value.__class__.__name__",
        "from tests.asking import _ask",
        "TEXT = 'harness._ is no name'",
    ],
)
def test_what_is_no_private_name_of_ours_is_left_alone(source):
    assert find_private_names(source) == []
