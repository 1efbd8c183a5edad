"""A suite of known bugs from the plan to the report, with a backend that an environment variable breaks."""

import pytest

import harness
from harness.analysis.analyse import analyse
from harness.analysis.bugs import bug_rows
from harness.analysis.exit_code import find_exit_code
from harness.capture.workload import name_problems
from harness.cli.summary import print_summary
from harness.errors import UsageError
from harness.execution.pipeline import start
from harness.execution.progress import Silent
from harness.plan.arm import parse_arm
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins
from reports import markdown, page

PLUGIN = """
import os

import numpy as np

import harness
from harness.plan.bug import KnownBug
from harness.problems import reference


class Mine(harness.Backend):
    name = "mine"

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        if w.shape[2:] == (7,):
            os.abort()
        y = reference.conv(x, w, b, window).astype(x.dtype)
        if w.shape[2:] == (1,) and os.environ["OMP_NUM_THREADS"] != "2":
            return y + 1
        return y + 1 if os.environ.get("MINE_BROKEN") else y

    def versions(self):
        return {"mine": "2.5"}


def row(number, line, **more):
    given = dict(backends=("mine",), laws=("agrees-with-reference",), see="s", unseen="u") | more
    return KnownBug(project="owner/name", number=number, title=f"<b>title</b> {number}", lines=(line,), **given)


BUGS = (
    row(1, "conv x=1x2x9 w=3x2x3 data=integer"),
    row(2, "conv x=1x2x9 w=3x2x3 data=integer", set={"MINE_BROKEN": "1"}),
    row(3, "conv x=1x2x9 w=3x2x7 data=integer", shows=("crashed",)),
    row(4, "conv x=1x2x9 w=3x2x4 data=integer", backends=("nobody",)),
    row(5, "conv x=1x2x9 w=3x2x5 data=integer", flag="no-such-flag"),
    row(6, "conv x=1x2x9 w=3x2x2 data=integer", package="mine", fixed="2.5"),
    row(7, "conv x=1x2x9 w=3x2x1 data=integer", threads=2),
)


@harness.hookimpl
def register_backends(register):
    register(Mine())


@harness.hookimpl
def register_suites(register):
    register(harness.Suite(
        name="mine-bugs", kind="correctness", description="d", bugs=lambda: BUGS, laws=("agrees-with-reference",),
    ))
"""
STATUSES = {
    ("owner/name#1", "mine"): "absent",
    ("owner/name#2", "mine@set:MINE_BROKEN=1"): "present",
    ("owner/name#3", "mine"): "present",
    ("owner/name#4", "nobody"): "does not apply",
    ("owner/name#5", "mine"): "does not apply",
    ("owner/name#6", "mine"): "does not apply",
    ("owner/name#7", "mine"): "absent",
}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugin") / "mine_bugs.py"
    path.write_text(PLUGIN)
    return str(path)


@pytest.fixture(scope="module")
def run(plugin, tmp_path_factory):
    where = tmp_path_factory.mktemp("run") / "run"
    registry = load_plugins([plugin])
    plan = plan_run(registry, ["mine-bugs"], flags=frozenset({"avx2"}))
    return start(registry, plan, ["mine-bugs"], str(where), [plugin], 2, None, Silent())


def test_each_row_says_what_is_here(run):
    assert {(row.asked.bug.id, row.asked.arm): row.status for row in bug_rows(run)} == STATUSES
    assert find_exit_code(run) == 1
    assert run.complete


def test_a_run_says_the_same_when_it_is_read_again(run):
    again = harness.load(run.path)
    assert again.header.bugs == run.header.bugs
    assert [row.status for row in bug_rows(again)] == [row.status for row in bug_rows(run)]


def test_a_crash_leaves_the_other_rows_their_worker(run):
    crashed = [result for result in run.results if result.outcome == "crashed"]
    assert [result.label for result in crashed] == ["owner/name#3"]
    assert not [result for result in run.results if result.outcome == "skipped"]


def test_terminal_page_and_markdown_show_every_row_with_counts(run, tmp_path, capsys):
    print_summary(analyse(run))
    page.write(analyse(run), tmp_path)
    markdown.write(analyse(run), tmp_path)
    shown = capsys.readouterr().out
    html, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for told in (shown, html, text):
        assert "7 known bugs, 7 with their backends: 2 present, 2 absent, 3 does not apply" in told
        assert all(name in told.replace("\\", "") for name, _ in STATUSES)
        assert "no backend &#39;nobody&#39; is registered" in told or "no backend 'nobody' is registered" in told
    assert "<b>title</b>" not in html
    assert '<a href="https://github.com/owner/name/issues/1">' in html
    assert "conv x=1x2x9 w=3x2x4 data=integer" in html


@pytest.mark.slow
def test_a_run_without_known_bugs_shows_no_such_table(plugin, tmp_path):
    run = harness.run(
        "mine-bugs", backends=["mine"], problems=["conv x=1x2x9 w=3x2x3 data=integer"], plugins=[plugin],
        output=tmp_path / "run",
    )  # fmt: skip
    assert bug_rows(run) == ()
    assert find_exit_code(run) == 0
    page.write(analyse(run), tmp_path)
    assert 'id="bugs"' not in (tmp_path / "report.html").read_text()


def test_bugs_are_not_for_arms_and_not_for_backends_that_no_row_names(plugin):
    registry = load_plugins([plugin])
    with pytest.raises(UsageError, match="mine-bugs asks the backends that its table names"):
        plan_run(registry, ["mine-bugs"], arms=[parse_arm("mine")])
    with pytest.raises(UsageError, match="nothing to do"):
        plan_run(registry, ["mine-bugs"], ["im2col"])
    with pytest.raises(UsageError, match="unknown backend: got 'trch'"):
        plan_run(registry, ["mine-bugs"], ["trch"])


def test_other_suites_do_not_ask_a_backend_that_is_asked_by_name_alone():
    problems = name_problems(["conv x=1x2x9 w=3x2x3 data=integer"])
    plan = plan_run(load_plugins(), ["correctness"], problems=problems, laws=["tap-probe"])
    assert "torch-as-released" not in plan.arm_names
    named = plan_run(load_plugins(), ["correctness"], ["torch-as-released"], problems, ["tap-probe"])
    assert named.arm_names == ("torch-as-released",)
