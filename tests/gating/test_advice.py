"""Advice of `gate`: each option that a text of its modules names is an option that `gate` has."""

import ast
import re

import pytest

from harness.cli.gate import command
from harness.cli.settings import list_options
from tests.conftest import ROOT

EXECUTION = ("environments.py", "environment_build.py", "built_sources.py", "provenance.py")
PLACES = [
    ROOT / "harness" / "cli" / "gate.py",
    ROOT / "harness" / "analysis" / "gate_report.py",
    ROOT / "harness" / "analysis" / "gate_conclusion.py",
    *(path for path in sorted((ROOT / "harness" / "gating").glob("*.py")) if path.name != "bisect.py"),
    *(ROOT / "harness" / "execution" / name for name in EXECUTION),
]
OTHERS = {"pip install --editable"}  # of other programs, named with them


def read_texts(path):
    """Texts of a module that are sentences: no docstrings, and no single words, as arguments of git and pip are."""
    tree = ast.parse(path.read_text())
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef))
    docstrings = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [one.value for one in constants if isinstance(one.value, str) and " " in one.value.strip()]


def find_options(text):
    """Options that a text names, except for those of other programs."""
    for other in OTHERS:
        text = text.replace(other, "")
    return re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text)


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.name)
def test_texts_name_only_options_that_gate_has(path):
    known = list_options(command)
    assert not [(name, text) for text in read_texts(path) for name in find_options(text) if name not in known]


def test_advice_is_found_in_texts():
    found = {name for path in PLACES for text in read_texts(path) for name in find_options(text)}
    assert {"budget", "base-env", "build", "unqualified", "base-broken", "suite", "problem"} <= found
    assert find_options("give it --jobs 2, or pip install --editable .") == ["jobs"]
