"""Options, cost of the plugin without a suite, and bad input."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.pytest_plugin.trial import LINE, PLUGIN, make_repository, run_cells

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def repository(pytester, monkeypatch):
    make_repository(pytester, monkeypatch)


def test_the_module_imports_nothing_but_pytest():
    script = "import sys, pytest\nbefore = set(sys.modules)\n"
    script += "import harness.pytest_plugin.plugin\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {"harness", "harness.lazy", "harness.pytest_plugin", "harness.pytest_plugin.plugin"}
    assert set(done.stdout.split()) == ours


def test_without_a_suite_there_are_only_the_repositorys_own_tests(pytester):
    result = pytester.runpytest_inprocess(*PLUGIN, "--harness-backend", "mine")
    result.assert_outcomes(passed=1)
    assert "harness:" not in result.stdout.str()


def test_options_may_stand_in_the_ini_file_and_the_command_line_replaces_them(pytester):
    pytester.makeini(f"""
        [pytest]
        harness_suites = correctness
        harness_backends = mine
        harness_plugins = backends_here.py
        harness_problems = {LINE}
        harness_laws =
            impulse-response
            tap-probe
        harness_threads = 1
    """)
    pytester.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=3)
    result = pytester.runpytest_inprocess(*PLUGIN, "--harness-law", "reflection")
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--harness-suite", "corectness"), "unknown suite: got 'corectness'*did you mean 'correctness'"),
        (("--harness-suite", "correctness", "--harness-backend", "nil"), "unknown backend: got 'nil'*"),
        (("--harness-suite", "correctness", "--harness-law", "nil"), "unknown law: got 'nil'*"),
        (("--harness-suite", "correctness", "--harness-problem", "conv x=1x2"), "*the line was: conv x=1x2"),
        (
            ("--harness-suite", "correctness", "--harness-plugin", "broken.py"),
            "plugin *broken.py is broken: ValueError: x",
        ),
        (("--harness-suite", "correctness", "--harness-plugin", "no.py"), "plugin file not found: got '*no.py'*"),
        (("--harness-suite", "correctness", "--harness-threads", "0"), "harness_threads: got '0', wanted*"),
        (("--harness-suite", "consensus"), "suite: got consensus, in which backends vote*"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_status_4(pytester, options, message):
    pytester.makepyfile(broken="raise ValueError('x')")
    result = pytester.runpytest_inprocess(*PLUGIN, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_threads_are_limited_while_a_cell_runs(pytester):
    pytester.makepyfile(
        counting="""
        import harness
        from threadpoolctl import threadpool_info

        @harness.law(tolerance="structure", when=lambda p: True)
        def one_thread(subject, problem):
            "n = 1"
            pools = [pool["num_threads"] for pool in threadpool_info()]
            return harness.statement(set(pools) == {1}, f"threads are {pools}")

        @harness.hookimpl
        def register_suites(register):
            register(one_thread)
    """
    )
    more = ("--harness-plugin", "counting.py", "--harness-threads")
    run_cells(pytester, *more, "1", laws=["one-thread"]).assert_outcomes(passed=2)
    run_cells(pytester, *more, "2", laws=["one-thread"]).assert_outcomes(passed=1, failed=1)
