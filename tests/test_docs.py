"""Hooks, fields, columns and commands in the documents are those of the code."""

import inspect
import re

import pytest

from harness import Backend
from harness.analysis.schemas import COMPARISON_COLUMNS
from harness.analysis.tables import RESULT_COLUMNS, SAMPLE_COLUMNS
from harness.plugins import hookspecs
from harness.plugins.manager import load_plugins
from harness.problems.line import FIELDS
from tests.conftest import ROOT, SOURCES

README = (ROOT / "README.md").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [path for path in DOCUMENTS if path.name != "performance.md"]  # a log of measurements
WIDTH = 120


def test_every_hook_is_documented_with_its_signature():
    text = (ROOT / "docs" / "plugins.md").read_text()
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, "harness_spec"):
            parameters = ", ".join(inspect.signature(hook).parameters)
            assert f"`{name}({parameters})`" in text


def test_every_member_of_a_backend_is_documented():
    text = (ROOT / "docs" / "plugins.md").read_text()
    for name in vars(Backend):
        if not name.startswith("_"):
            assert f"`{name}" in text, name


def test_every_field_of_the_line_is_documented_in_its_order():
    text = (ROOT / "docs" / "problem-line.md").read_text()
    places = [text.index(f"| `{name}") for name in FIELDS]
    assert places == sorted(places)


def test_every_column_is_documented():
    text = (ROOT / "docs" / "reports.md").read_text()
    for column in (*RESULT_COLUMNS, *SAMPLE_COLUMNS, *COMPARISON_COLUMNS):
        unit = column.unit or " "
        assert re.search(rf"\| `{column.name}` \| {column.dtype} \| {re.escape(unit)} ?\|", text), column.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        there = (path.parent / target).resolve()
        assert there.exists() or (SOURCES / there.relative_to(ROOT)).exists(), target


def find_wide_lines(text):
    """Numbers of the lines with more than 120 characters, except tables and code."""
    code, found = False, []
    for number, line in enumerate(text.splitlines(), 1):
        code ^= line.lstrip().startswith("```")
        if len(line) > WIDTH and not code and not line.startswith("|"):
            found.append(number)
    return found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_lines_fit_the_width(path):
    assert find_wide_lines(path.read_text()) == []


def test_wide_lines_are_found():
    wide = "x" * (WIDTH + 1)
    assert find_wide_lines(f"{wide}\n| {wide} |\n```\n{wide}\n```\n- {wide}\n{wide[1:]}") == [1, 6]


def test_names_in_the_readme_exist():
    registry = load_plugins()
    for name in re.findall(r"--backend ([a-z0-9-]+)", README):
        assert name in registry.backends or name == "mine", name
    for line in re.findall(r"python -m harness run ([a-z-]+)\b", README):
        assert line in registry.suites, line


def test_the_smallest_backend_of_the_readme_is_the_example():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    assert code[1].strip() in (ROOT / "examples" / "mine.py").read_text()


def test_the_plugins_of_their_page_are_the_examples():
    arrays, handles, law, reporter = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL
    )
    assert arrays.strip() in (ROOT / "examples" / "jax_arrays.py").read_text()
    assert handles.strip() in (ROOT / "examples" / "handles.py").read_text()
    assert law.strip() in (ROOT / "examples" / "law.py").read_text()
    assert reporter.strip() in (ROOT / "examples" / "reporter.py").read_text()
