"""One test for every cell, and what each outcome looks like."""

import xml.etree.ElementTree as ElementTree

import pytest

from tests.pytest_plugin.trial import CANONICAL, make_repository, run_cells

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def repository(pytester, monkeypatch):
    make_repository(pytester, monkeypatch)


def _nodes(result):
    return [line for line in result.outlines if line.startswith("harness::")]


def test_every_planned_cell_is_a_test_whose_id_names_suite_backend_law_and_problem(pytester):
    result = run_cells(pytester, "--collect-only", "-q", backends=["mine", "raises"], laws=["tap-probe", "reflection"])
    wanted = [
        f"harness::correctness::{backend}::{law}[given/conv: {CANONICAL}]"
        for backend in ("mine", "raises") for law in ("tap-probe", "reflection")
    ]  # fmt: skip
    assert _nodes(result) == wanted


@pytest.mark.slow  # plans the whole suite twice
def test_cells_of_a_suite_come_in_the_same_order_every_time_and_no_id_twice(pytester):
    first, second = (_nodes(run_cells(pytester, "--collect-only", "-q", problem="", laws=["tap-probe"])) for _ in "ab")
    assert first == second
    assert len(set(first)) == len(first) > 20


@pytest.mark.parametrize(
    ("chosen", "count"),
    [("raises", 2), ("reflection", 2), ("mine and tap-probe", 1), ("correctness", 4), ("given/conv", 4), ("own", 0)],
)
def test_cells_are_selected_by_backend_law_suite_and_label(pytester, chosen, count):
    given = {"backends": ["mine", "raises"], "laws": ["tap-probe", "reflection"]}
    assert len(_nodes(run_cells(pytester, "--collect-only", "-q", "-k", chosen, **given))) == count


def test_the_marker_selects_cells_only(pytester):
    run_cells(pytester, "-m", "harness", laws=["tap-probe"]).assert_outcomes(passed=1, deselected=1)
    run_cells(pytester, "-m", "not harness", laws=["tap-probe"]).assert_outcomes(passed=1, deselected=1)


def test_a_wrong_cell_fails_with_the_law_the_place_and_the_command_that_repeats_it(pytester):
    result = run_cells(pytester, backends=["mine", "negated"], laws=["tap-probe"])
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([
        "failed  negated  tap-probe   *",
        f"    problem  {CANONICAL}",
        "    reason   *got *, wanted * exactly*",
        "    where    *negated*",
        f"    repeat   python -m harness run correctness --problem '{CANONICAL}' --backend negated --law tap-probe "
        "--plugin backends_here.py",
    ])  # fmt: skip
    assert "Traceback" not in result.stdout.str() and ".py:" not in result.stdout.str()


def test_what_the_backend_raised_is_shown_from_its_own_frames_on(pytester):
    result = run_cells(pytester, backends=["raises"], laws=["agrees-with-reference"])
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([
        "error  raises  agrees-with-reference   *",
        "    reason   RuntimeError: no such kernel (backends_here.py:*)",
        "*return self.launch()",
        "backends_here.py:*",
        "E *RuntimeError: no such kernel",
    ])  # fmt: skip
    frames = [line for line in result.outlines if ".py:" in line and "reason" not in line]
    assert frames and all(line.startswith("backends_here.py:") for line in frames)


def test_a_debugger_opens_where_the_backend_raised(pytester):
    pytester.makeconftest(
        """
        def pytest_exception_interact(node, call, report):
            print("LANDED", call.excinfo.traceback[-1].name)
    """
    )
    result = run_cells(pytester, "-s", backends=["raises"], laws=["agrees-with-reference"])
    result.stdout.fnmatch_lines(["*LANDED launch*"])


def test_absence_is_a_skip_with_its_reason(pytester):
    result = run_cells(pytester, "-rs", backends=["mine", "absent"], problem=CANONICAL.replace("conv", "max_pool", 1)
                       .replace("w=3x2x3x3", "kernel=3x3"), laws=["windows-are-counted"])  # fmt: skip
    result.stdout.fnmatch_lines(["SKIPPED * harness*: unsupported: mine has no max_pool*"])
    result = run_cells(pytester, "-rs", backends=["mine", "absent"], laws=["tap-probe"])
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * unavailable: its device is at lunch"])


def test_filters_of_warnings_do_not_decide_about_a_cell(pytester):
    result = run_cells(pytester, "-W", "error", laws=["warns"])
    result.assert_outcomes(passed=2, warnings=1)


def test_fixtures_of_the_repository_do_not_reach_into_laws(pytester):
    pytester.makeconftest("import pytest\n@pytest.fixture(autouse=True)\ndef fails(request):\n    assert 0")
    run_cells(pytester, laws=["tap-probe"]).assert_outcomes(passed=1, errors=1)


def test_junit_knows_problem_route_law_and_worst_error(pytester):
    run_cells(pytester, "--junitxml=out.xml", backends=["mine", "negated"], laws=["agrees-with-reference"])
    cases = ElementTree.parse(pytester.path / "out.xml").findall(".//testcase")
    found = {case.get("classname"): case for case in cases}
    wrong = found["harness.correctness.negated"]
    assert wrong.get("name") == f"agrees-with-reference[given/conv: {CANONICAL}]"
    properties = {one.get("name"): one.get("value") for one in wrong.findall(".//property")}
    assert properties["problem"] == CANONICAL and properties["route"] == "native"
    assert properties["law"] == "agrees-with-reference" and properties["outcome"] == "failed"
    assert properties["worst_of_bound"] == "inf" and float(properties["worst_ulps"]) > 1
    assert wrong.find("failure") is not None and found["harness.correctness.mine"].find("failure") is None


def test_what_failed_last_is_found_again(pytester):
    given = {"backends": ["mine", "negated"], "laws": ["tap-probe", "reflection"]}
    run_cells(pytester, **given).assert_outcomes(passed=4, failed=1)
    run_cells(pytester, "--last-failed", **given).assert_outcomes(failed=1, deselected=4)
