from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.run_comparison import compare_runs, conclude_comparison
from harness.backend.routing import Route
from harness.exit_codes import ExitCode
from harness.record.run import DECLINED, Ending, Header, Result, Run
from reports.headline import judge_comparison
from tests.analysis.test_statistics import measurement

NATIVE = Route(kind="native")
LINE = "conv x=1x2x9 w=3x2x3"


def result(outcome="passed", times=None, **changes):
    fields = {
        "cell": 0, "suite": "speed", "kind": "speed", "arm": "b", "backend": "b", "label": "l",
        "problem": LINE, "law": "", "outcome": outcome, "route": NATIVE,
        "measurement": measurement(*([t] for t in times)) if times else None,
    }  # fmt: skip
    return Result(**(fields | changes))


def run(*results, environment=None, complete=True):
    header = Header(
        format=1, created="", command="", suites=("speed",), arm_names=("b",), cells=len(results),
        environment=environment or {"fingerprint": "f"},
    )  # fmt: skip
    numbered = tuple(replace(one, cell=number) for number, one in enumerate(results))
    return Run(path=Path("."), header=header, results=numbered, ending=Ending(complete=complete))


def test_a_run_that_asked_nothing_of_an_operator_is_incomplete_here_too():
    other = {"problem": "max_pool x=1x2x9 kernel=2"}
    whole = run(result(times=(100, 101, 99)), result(times=(100, 101, 99), **other))
    declined = result("skipped", reason=f"estimated at 1e+20 multiplications {DECLINED}", **other)
    found = compare_runs(run(result(times=(100, 101, 99)), declined), whole)
    assert found.exit_code == ExitCode.INCOMPLETE
    assert conclude_comparison(found) == "failed: the base run is incomplete"
    verdict = judge_comparison(found)
    assert verdict.state == "open"
    assert "base run is INCOMPLETE: not one problem was answered by b in suite" in verdict.incomplete


@pytest.mark.parametrize(
    ("base", "new", "verdict", "code"),
    [
        (result(times=(100, 101, 99)), result(times=(130, 131, 129)), "SLOWER", 3),
        (result(times=(130, 131, 129)), result(times=(100, 101, 99)), "FASTER", 0),
        (result(times=(100, 101, 99)), result(times=(101, 100, 102)), "SAME", 0),
        (result(times=(100, 101, 99)), result(times=(115, 90, 140)), "INCONCLUSIVE", 0),
        (result(times=(100, 101, 99)), result("failed"), "BROKEN", 1),
        (result(times=(100, 101, 99)), result("skipped", reason="too dear"), "MISSING", 3),
        (result("failed"), result(times=(100, 101, 99)), "MENDED", 0),
        (result("unsupported"), result("unsupported"), "UNCHANGED", 4),
    ],
)
def test_verdicts(base, new, verdict, code):
    comparison = compare_runs(run(base), run(new))
    assert [change.verdict for change in comparison.changes] == [verdict]
    assert comparison.exit_code == code


def test_new_and_gone_cells_are_seen():
    old, new = result(times=(1, 1)), result(times=(1, 1), problem="conv x=1x2x8 w=3x2x3")
    comparison = compare_runs(run(old), run(new))
    assert [change.verdict for change in comparison.changes] == ["MISSING", "NEW"]
    assert comparison.exit_code == 3


def test_times_of_another_environment_get_no_verdict():
    here = {"fingerprint": "a", "cpu": "one", "libraries": {"numpy": "2.1"}}
    there = {"fingerprint": "b", "cpu": "two", "libraries": {"numpy": "2.2", "torch": "2.6"}}
    slow, fast = result(times=(200, 200)), result(times=(100, 100))
    comparison = compare_runs(run(fast, environment=here), run(slow, environment=there))
    assert [change.verdict for change in comparison.changes] == ["NOT COMPARABLE"]
    assert comparison.obstacles == ("cpu: one / two", "numpy: 2.1 / 2.2", "torch: absent / 2.6")
    assert comparison.exit_code == 4
    law = result(law="tap-probe", kind="correctness")
    both = compare_runs(run(fast, law, environment=here), run(slow, law, environment=there))
    assert both.counts["UNCHANGED"] == 1
    assert both.exit_code == 4  # right as before, but of unknown speed


def test_a_new_cell_that_is_wrong_is_broken_and_says_why():
    same = result(times=(100, 101))
    for outcome in ("failed", "error", "crashed", "timeout"):
        wrong = result(outcome, problem="conv x=1x2x8 w=3x2x3", reason="y is 0")
        comparison = compare_runs(run(same), run(same, wrong))
        assert comparison.changes[1].verdict == "BROKEN" and comparison.exit_code == ExitCode.WRONG
        assert comparison.changes[1].reason == "y is 0; in the base it was absent"
        assert conclude_comparison(comparison) == "failed: 1 BROKEN"


@pytest.mark.parametrize(
    ("base", "new", "says"),
    [
        ((result(times=(100, 101)),), (result(times=(100, 101)),), "passed: nothing is broken, slower or missing"),
        ((result(times=(100, 101, 99)),), (result(times=(115, 90, 140)),), "passed: nothing is broken, slower or "
         "missing; 1 times undecided, whose intervals cross the threshold"),
        ((result("skipped"),), (result("skipped"),), "failed: no cell ran in both runs and could be compared"),
        ((result(times=(1,)),), (result(times=(1,)),), "failed: no cell ran in both runs and could be compared"),
        ((result(times=(1,)), result(law="l")), (result(times=(1,)), result(law="l")),
         "failed: no time could be compared"),
        ((result("unavailable", reason="no torch"), result(law="l")), (result(times=(1,)), result(law="l")),
         "cannot tell: 1 of 2 cells have nothing to be compared with (the base cannot run here: no torch); compare "
         "with a run in which they ran"),
    ],
)  # fmt: skip
def test_the_conclusion_says_what_the_exit_code_says(base, new, says):
    assert conclude_comparison(compare_runs(run(*base), run(*new))) == says


def test_an_incomplete_run_is_no_success():
    same = result(times=(100, 101))
    comparison = compare_runs(run(same), run(same, complete=False))
    assert comparison.exit_code == 4 and conclude_comparison(comparison) == "failed: the new run is incomplete"
