"""Exit codes are named, and the documents describe them like the enum."""

import ast
import re

from click.testing import CliRunner

import harness
from harness.cli.main import cli
from harness.exit_codes import ExitCode
from tests.conftest import ROOT, SOURCES


def test_the_enum_is_public_and_each_code_has_its_meaning():
    assert harness.ExitCode is ExitCode
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 7, 130]
    assert len({code.meaning for code in ExitCode}) == len(ExitCode)


def test_the_readme_has_the_table_of_the_enum():
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [(str(code.value), code.name, code.meaning) for code in ExitCode]


def test_the_help_lists_all_codes():
    said = " ".join(CliRunner().invoke(cli, ["--help"]).output.split())
    assert said.partition("Exit codes: ")[2] == " ".join(f"{code.value} {code.meaning}" for code in ExitCode)


def _exit_values(tree):
    """Expressions that become an exit code: of commands, of `exit_code`, and of sys.exit."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("command", "exit_code", "conclude"):
            yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sys.exit":
            yield from node.args
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "exit_code":
            yield node.value
        if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("exit_code"):
            yield from node.comparators


def test_no_exit_code_is_a_bare_number():
    seen = 0
    for package in ("harness", "reports"):
        for path in (SOURCES / package).rglob("*.py"):
            for value in _exit_values(ast.parse(path.read_text())):
                seen += 1
                bare = [c.value for c in ast.walk(value) if isinstance(c, ast.Constant) and type(c.value) is int]
                assert not bare, f"{path}:{value.lineno}: {ast.unparse(value)}"
    assert seen > 40


def test_commands_say_that_they_return_an_exit_code():
    """mypy then refuses a number; a command that returns nothing ends with OK."""
    seen = 0
    for path in (SOURCES / "harness" / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                re.match(r"(click|command)\.command\(", ast.unparse(one)) for one in node.decorator_list
            ):
                seen += 1
                assert node.returns and ast.unparse(node.returns) in ("ExitCode", "None"), f"{path}:{node.lineno}"
    assert seen >= 20
