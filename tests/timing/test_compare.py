from dataclasses import replace
from pathlib import Path

import pytest

from harness.plugins.route import Route
from harness.record.run import Ending, Header, Result, Run
from harness.timing.compare import compare_runs
from tests.timing.test_statistics import measurement

NATIVE = Route(kind="native")
LINE = "conv x=1x2x9 w=3x2x3"


def result(outcome="passed", times=None, **changes):
    fields = {
        "cell": 0, "suite": "speed", "kind": "speed", "backend": "b", "label": "l", "problem": LINE, "law": "",
        "outcome": outcome, "route": NATIVE, "measurement": measurement(*([t] for t in times)) if times else None,
    }  # fmt: skip
    return Result(**(fields | changes))


def run(*results, environment=None, complete=True):
    header = Header(
        format=1, created="", command="", suites=("speed",), backends=("b",), cells=len(results),
        environment=environment or {"fingerprint": "f"},
    )  # fmt: skip
    numbered = tuple(replace(one, cell=number) for number, one in enumerate(results))
    return Run(path=Path("."), header=header, results=numbered, ending=Ending(complete=complete))


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
        (result("unsupported"), result("unsupported"), "UNCHANGED", 0),
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
    assert both.exit_code == 4  # right as before, but nobody can say whether it is slower


def test_an_incomplete_run_is_no_success():
    same = result(times=(100, 101))
    assert compare_runs(run(same), run(same, complete=False)).exit_code == 4
