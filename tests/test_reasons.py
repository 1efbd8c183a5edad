"""No reason is None: no field, argument or answer called `reason` is an empty text."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "reports", "suites", "backends")


def find_empty(text):
    """Return the lines on which something called `reason` is set to an empty text."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.AnnAssign(target=ast.Name(id="reason"), value=ast.Constant(value="")):
                found.append(node.lineno)
            case ast.Assign(targets=[ast.Name(id="reason")], value=ast.Constant(value="")):
                found.append(node.lineno)
            case ast.keyword(arg="reason", value=ast.Constant(value="") | ast.IfExp(body=ast.Constant(value=""))):
                found.append(node.value.lineno)
            case ast.keyword(arg="reason", value=ast.IfExp(orelse=ast.Constant(value=""))):
                found.append(node.value.lineno)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_no_reason_is_none(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in find_empty(path.read_text())]
    assert not found, f"an empty reason, wanted None: {found}"


@pytest.mark.parametrize(
    "line",
    ['reason: str = ""', 'reason = ""', 'f(reason="")', 'f(reason="" if a else "b")', 'f(reason="b" if a else "")'],
)
def test_an_empty_reason_is_found(line):
    assert find_empty(f"class A:\n    {line}") == [2]
    assert find_empty(line.replace('""', "None")) == []
