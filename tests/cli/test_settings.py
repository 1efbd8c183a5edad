"""The table [tool.harness] of a project: defaults of options, and an error for a key that fits no option."""

import os
from dataclasses import replace

import click
import pytest

from harness.analysis.qualification import Qualification
from harness.cli.main import COMMANDS, cli
from harness.cli.settings import find_limits, make_defaults, read_settings
from harness.errors import UsageError
from harness.gating.arming import refuse
from harness.plan.gate import Gate
from harness.plan.limits_reading import read_limits
from tests.commands import call_harness


def _find(name):
    return cli.get_command(click.Context(cli), name)


def _defaults(folder, command):
    return make_defaults(*read_settings(folder), _find(command), COMMANDS, _find)


@pytest.fixture
def write(tmp_path, monkeypatch):
    def write(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return write


def test_options_of_a_command_come_before_those_of_all(write):
    folder = write(
        '[tool.harness]\nplugin = ["mine.py", "my.module"]\nbudget = "1m"\nthreads = 2\n'
        '[tool.harness.gate]\nbudget = "5m"\nunqualified = true\nbuild-command = "make"\n'
    )
    gate = _defaults(folder, "gate")
    assert gate == {
        "plugins": ["mine.py", "my.module"], "budget": "5m", "threads": "2", "unqualified": True,
        "build_command": "make",
    }  # fmt: skip
    assert _defaults(folder, "versus") == {"plugins": ["mine.py", "my.module"], "budget": "1m", "threads": "2"}
    assert _defaults(folder, "list") == {"plugins": ["mine.py", "my.module"]}
    assert _defaults(folder, "bless") == {}


def test_paths_are_relative_to_the_file(write, monkeypatch):
    folder = write('[tool.harness]\nplugin = ["mine.py", "my.module"]\npackage = "python"\nproblems = "all.json"\n')
    (folder / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(folder / "deep")
    assert read_settings(folder / "deep" / "er")[0] == folder / "pyproject.toml"
    assert _defaults(folder, "gate") == {
        "plugins": [os.path.join("..", "mine.py"), "my.module"], "package": os.path.join("..", "python"),
        "problem_files": [os.path.join("..", "all.json")],
    }  # fmt: skip


def test_the_search_ends_with_the_repository_and_passes_files_without_the_table(write):
    folder = write("[tool.harness]\nthreads = 1\n")
    (folder / "inner" / "src").mkdir(parents=True)
    (folder / "inner" / "pyproject.toml").write_text('[project]\nname = "harness-plugin"\n')
    assert read_settings(folder / "inner" / "src") is not None
    (folder / "inner" / ".git").write_text("gitdir: elsewhere")
    assert read_settings(folder / "inner" / "src") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tool.harness = "fast"', "got 'fast' for .tool.harness., wanted a table of options"),
        (
            '[tool.harness]\nbild-command = "make"',
            r"got .tool.harness. bild-command, .* did you mean 'build-command'",
        ),
        ("[tool.harness.gte]\nthreads = 1", r"got a table .tool.harness.gte., .* did you mean 'gate'"),
        ("[tool.harness.gate]\ndelat = 1", r"got .tool.harness.gate. delat, .* did you mean 'delta'"),
        ('[tool.harness]\ngate = "fast"', "wanted a table of options|wanted an option"),
        ("[tool.harness]\nplugin = [1, [2]]", "plugin: got .*, wanted a list of texts"),
        ('[tool.harness]\nbudget = ["1m"]', "budget: got .*, wanted a text or a number"),
        ('[tool.harness]\nunqualified = "yes"', "unqualified: got 'yes', wanted true or false"),
        ("[tool.harness]\nbuild-command = true", "build-command: got True, wanted a text or a number"),
        ("[tool.harness", "cannot be read .*; mend it"),
        ("[tool.harness]\nx = " + "[" * 3000, "cannot be read .*; mend it"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(write, text, message):
    with pytest.raises(UsageError, match=message):
        _defaults(write(text), "gate")


def test_bytes_that_are_no_text_are_told(write):
    folder = write("")
    (folder / "pyproject.toml").write_bytes(b"[tool.harness]\nplugin = '\xff'")
    with pytest.raises(UsageError, match="cannot be read"):
        read_settings(folder)


def test_a_command_takes_them_and_its_own_options_win(write):
    folder = write('[tool.harness]\nlease-wait = "soon"\nlaw = "no-such-law"\nproblem = "conv x=1x1x3 w=1x1x2"\n')
    done = call_harness("run", "correctness", "--backend", "numpy-direct", cwd=folder)
    assert done.returncode == 2 and "soon" in done.stderr, done.stderr
    done = call_harness("run", "correctness", "--backend", "numpy-direct", "--lease-wait", "1s", cwd=folder)
    assert done.returncode == 2 and "no-such-law" in done.stderr, done.stderr


def test_limits_are_rows_for_the_gate_and_no_option_of_a_command(write):
    folder = write(
        '[tool.harness]\nthreads = 1\n[[tool.harness.limits]]\nsuite = "speed-short"\ndelta = "5%"\n'
        '[[tool.harness.limits]]\nbackend = "mine"\nproblems = ["conv *stride=2*"]\nmemory = 0.1\nbits = 2\n'
    )
    first, second = find_limits(folder)
    assert (first.suite, first.delta, first.memory, first.bits) == ("speed-short", 0.05, None, None)
    assert (second.scope.backend, second.scope.problems, second.memory, second.bits) == (
        "mine", ("conv *stride=2*",), 0.1, 2.0,
    )  # fmt: skip
    assert _defaults(folder, "gate") == {"threads": "1"}
    assert find_limits(folder / "nowhere") == (first, second) and find_limits(folder.parent) == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('suite = "speed-short"', "got none of delta, memory, bits"),
        ('detla = "5%"', "got key 'detla'"),
        ("delta = 0", "delta: got 0, wanted a number between 0 and 1"),
        ("delta = nan", "delta: got nan"),
        ('delta = "much"', "delta: got 'much'"),
        ('delta = "500%"', "delta: got 5.0"),
        ("memory = true", "memory: got True"),
        ('bits = "2"', "bits: got '2'"),
        ('delta = "5%"\noperators = ["convolution"]', "got 'convolution', wanted one of conv"),
        ('delta = "5%"\nproblems = ["con *"]', "got 'con'"),
        ('delta = "5%"\nsuite = ["a"]', "suite: got ['a'], wanted the name of one suite"),
    ],
)
def test_a_row_of_limits_that_cannot_be_used_is_one_clear_line(write, row, said):
    folder = write(f"[[tool.harness.limits]]\nbits = 1\n[[tool.harness.limits]]\n{row}\n")
    with pytest.raises(UsageError) as error:
        find_limits(folder)
    assert said in str(error.value) and "pyproject.toml: limits 2: " in str(error.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('suite = "sped-short"', "limits 1: unknown suite: got 'sped-short', wanted one of"),
        ('backend = "im2coll"', "limits 1: unknown backend: got 'im2coll', wanted one of"),
    ],
)
def test_a_limit_of_a_suite_or_backend_that_nobody_brings_is_refused(write, row, said):
    folder = write(f'[[tool.harness.limits]]\ndelta = "5%"\n{row}\n')
    done = call_harness("gate", "--base", "main", "--unqualified", cwd=folder)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_limit_below_what_the_machine_is_qualified_for_compares_no_times():
    known = Qualification(environment="", created="", cells=40, alarms=0, powers={"0.1": (40, 40)}, delta=0.03)
    limits = read_limits("limits", [{"delta": "1%"}])
    gate = Gate(delta=0.03, armed=True)
    assert refuse(gate, known) is None
    assert "delta is 0.01, but this machine is qualified for" in refuse(replace(gate, limits=limits), known)
