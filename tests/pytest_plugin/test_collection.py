"""Exit status of a session with cells, also if the cells run in other processes."""

import pytest

from tests.pytest_plugin.trial import make_repository, run_cells

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def repository(pytester, monkeypatch):
    make_repository(pytester, monkeypatch)


def test_too_much_that_proves_nothing_fails_the_session(pytester):
    result = run_cells(pytester, laws=["nothing-is-compared", "tap-probe"])
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([
        "harness: 2 cells: 2 passed; 1 of those that passed prove nothing",
        "harness: mine: 1 of 2 passed results prove nothing (50.0 %), above the quota*",
    ])  # fmt: skip


def test_what_proves_something_is_a_success(pytester):
    result = run_cells(pytester, laws=["tap-probe"])
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["harness: 1 cells of correctness on mine", "harness: 1 cells: 1 passed"])


def test_cells_of_which_none_ran_are_no_success(pytester):
    result = run_cells(pytester, backends=["absent"], laws=["tap-probe"])
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["harness: no cell ran, and the session is no success: its device is at lunch"])


def test_nothing_selected_is_exit_status_5(pytester):
    result = run_cells(pytester, "-k", "nonsense", laws=["tap-probe"])
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_workers_of_xdist_run_the_cells_and_the_controller_counts_them(pytester):
    given = {"backends": ["mine", "negated"], "laws": ["tap-probe", "nothing-is-compared"]}
    result = run_cells(pytester, "-p", "xdist.plugin", "-n", "2", **given)
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines([
        "failed  negated  tap-probe   *",
        "harness: 4 cells: 3 passed, 1 failed; 2 of those that passed prove nothing",
        "harness: mine: 1 of 2 passed results prove nothing*",
    ])  # fmt: skip
