"""No reason is None: no field, argument or answer that says why is an empty text where there is nothing to say."""

import ast
import re
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


SAYS_WHY = r"(returns? |first )*(the )?(why|reasons?)\b"  # how the description of such a text begins
NONE = re.compile(r"\bempty\b|\"\"|''")


def find_empty_descriptions(text):
    """Return the lines of functions and fields that say why, and whose description or default for none is empty."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(returns=ast.Name(id="str")):
                says = (ast.get_docstring(node) or "").partition("\n")[0]
                if re.match(SAYS_WHY, says, re.I) and NONE.search(says):
                    found.append(node.lineno)
            case ast.ClassDef():
                told = ast.get_docstring(node) or ""
                for field in node.body:
                    match field:
                        case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value="")):
                            if re.search(rf"\b{name}: {SAYS_WHY}", told, re.I):
                                found.append(field.lineno)
    return found


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("find", [find_empty, find_empty_descriptions])
def test_no_reason_is_none(package, find):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in find(path.read_text())]
    assert not found, f"an empty reason, wanted None: {found}"


@pytest.mark.parametrize(
    "line",
    ['reason: str = ""', 'reason = ""', 'f(reason="")', 'f(reason="" if a else "b")', 'f(reason="b" if a else "")'],
)
def test_an_empty_reason_is_found(line):
    assert find_empty(f"class A:\n    {line}") == [2]
    assert find_empty(line.replace('""', "None")) == []


@pytest.mark.parametrize(
    "text",
    [
        'def f() -> str:\n    """Return why it fails; empty if it does not."""',
        'def f() -> str:\n    """Return the reason for it; \'\' without one."""',
        'def f() -> str:\n    """Reason why it fails; \\"\\" if it does not."""',
        'class A:\n    """A block.\n\n    n: 1. dropped: reason for it.\n    """\n\n    dropped: str = ""',
        'class A:\n    """A fault.\n\n    idle: why it had nothing to do.\n    """\n\n    idle: str = ""',
    ],
)
def test_an_empty_text_that_says_why_is_found(text):
    assert find_empty_descriptions(text)
    none = text.replace("-> str:", "-> str | None:").replace('str = ""', "str | None = None")
    assert not find_empty_descriptions(none)


def test_other_empty_texts_are_none_of_its_business():
    assert not find_empty_descriptions('def f() -> str:\n    """Return the words; empty without any."""')
    assert not find_empty_descriptions('class A:\n    """A fault.\n\n    law: its name.\n    """\n\n    law: str = ""')
