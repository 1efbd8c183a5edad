"""The page on convolution is true: its Python holds, its commands pass, and the fault that it plants is found so."""

import re
import shlex

import numpy as np
import pytest

import harness
from harness import parse_line
from harness.plugins.manager import load_plugins
from tests.asking import ask
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "convolution.md").read_text()
COMMANDS = re.findall(r"^python -m harness run .*$", PAGE, re.MULTILINE)
VERDICTS = re.findall(r"^\| `([a-z0-9-]+)` \| (fails|passes) \|", PAGE, re.MULTILINE)
EINSUM = "        y = np.einsum("


def _read(command):
    """The options of a command."""
    words = shlex.split(command)
    assert words[:5] == ["python", "-m", "harness", "run", "correctness"]
    return dict(zip(words[5::2], words[6::2], strict=True))


def _own_line(law):
    """First problem line of a law on the page."""
    return next((_read(c)["--problem"] for c in COMMANDS if _read(c)["--law"] == law), None)


@pytest.fixture(scope="module")
def registry():
    return load_plugins()


@pytest.fixture(scope="module")
def turned():
    """The example with the page's own line added."""
    added = re.search(r"^\+(.*)$", PAGE, re.MULTILINE)
    source = (ROOT / "examples" / "mine.py").read_text()
    assert added and source.count(EINSUM) == 1
    names = {}
    exec(source.replace(EINSUM, f"{added[1]}\n{EINSUM}"), names)
    return names["Mine"]()


def test_the_page_has_a_command_for_each_part():
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    assert len(parts) == 12
    for part in parts:
        assert "python -m harness run correctness" in part, part.splitlines()[0]
    assert len(COMMANDS) == len(set(COMMANDS)) >= 50


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{_read(c)['--law']}: {_read(c)['--problem']}")
def test_a_command_applies_and_passes(registry, command):
    options = _read(command)
    assert set(options) == {"--backend", "--law", "--problem"} and options["--backend"] == "im2col"
    law, backend, line = registry.laws[options["--law"]], registry.backends["im2col"], options["--problem"]
    problem = parse_line(line)
    assert law.applies(problem)
    assert law.route(backend, problem).reason is None, "true by construction proves nothing"
    done = ask(backend, law, problem.line)
    assert done.outcome == "passed", done.reason
    assert done.deviation is not None and not done.deviation.proves_nothing
    assert done.deviation.kind not in ("exact", "declared") or done.deviation.vacuous == 0


def test_the_python_of_the_page_holds():
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert sum(block.count("assert ") for block in blocks) > 40
    names = {}
    for block in blocks:
        exec(block, names)


def test_a_wrong_number_on_the_page_would_be_found():
    block = re.search(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block and "[-7, -12, -18]" in block[1]
    with pytest.raises(AssertionError):
        exec(block[1].replace("[-7, -12, -18]", "[-7, -12, -17]"), {})


def test_the_matrix_is_that_of_the_law():
    from suites.laws.matrices import toeplitz

    rows = re.findall(r"\| ([abc0 ]{9}) \|", PAGE)
    forward = [row.split() for row in rows if len(row.split()) == 5]
    numbers = {"a": 2.0, "b": 3.0, "c": 5.0, "0": 0.0}
    matrix = np.array([[numbers[entry] for entry in row] for row in forward])
    wanted = toeplitz(np.array([[[2.0, 3.0, 5.0]]]), (1, 1, 5), harness.Window.of(1))
    assert np.array_equal(matrix, wanted)
    turned = [row.split() for row in re.findall(r"\| ([abc0] [abc0] [abc0]) \|", PAGE)]
    assert np.array_equal(np.array([[numbers[entry] for entry in row] for row in turned]), wanted.T)


@pytest.mark.parametrize(("name", "verdict"), VERDICTS)
def test_a_turned_kernel_is_judged_as_the_table_says(registry, turned, name, verdict):
    line = _own_line(name)
    assert line is not None, f"no command for {name}"
    done = ask(turned, registry.laws[name], parse_line(line).line)
    assert done.outcome == {"fails": "failed", "passes": "passed"}[verdict], done.reason


def test_the_report_of_the_turned_kernel_reads_as_shown(registry, turned):
    shown = re.search(r"^```console\n\$ (python.*?)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown
    options, report = _read(shown[1]), shown[2]
    law = registry.laws[options["--law"]]
    done = ask(turned, law, parse_line(options["--problem"]).line)
    reason, where = (re.search(rf"^    {word} +(.*)$", report, re.MULTILINE)[1] for word in ("reason", "where"))
    assert done.reason == f"{reason}; {where}"
    assert f"problem  {options['--problem']}\n" in report
    assert f"failed  {turned.name}  {law.name}   {law.formula}\n" in report


def test_the_table_of_verdicts_has_both_kinds():
    assert {verdict for _, verdict in VERDICTS} == {"fails", "passes"}
    assert len(VERDICTS) == 8


def test_the_law_without_a_command_is_true_by_construction(registry):
    name = "transpose-is-input-gradient"
    assert f"(`{name}` " in PAGE and _own_line(name) is None
    problem = parse_line("conv_transpose x=1x1x3 w=1x1x3 data=integer")
    law = registry.laws[name]
    assert law.applies(problem)
    assert law.route(registry.backends["im2col"], problem).reason == "true by construction"


def test_links_inside_the_page_lead_to_headings():
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }
    targets = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert targets and set(targets) <= heads
