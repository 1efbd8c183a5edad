import itertools
import os
import subprocess
import sys

import pytest

from harness import Operator
from harness.generate import domains
from harness.generate.covering import cover, covering_problems
from harness.problems.problem import REGIMES
from suites.laws.reference import agrees_with_reference
from tests.asking import ask
from tests.conftest import ROOT
from tests.faulty.forward import LastChannelLost, WidthTailLost
from tests.faulty.right import Right

PROBLEMS = [item.problem for item in covering_problems()]
FAMILIES = {
    "convolutions": (domains.COVERED_CONVOLUTIONS, domains.FORBIDDEN, False),
    "pools": (domains.COVERED_POOLS, domains.FORBIDDEN_POOLS, True),
}


def _class_of(problem):
    """Values of all parameters, read from the problem itself."""
    window, operator = problem.window, problem.operator
    begin, end = window.padding[-1]
    found = {
        "operator": operator.value,
        "axes": problem.axes,
        "kernel": {1: "point", 3: "odd", 4: "even", 7: "long"}[problem.kernel[-1]],
        "stride": window.stride[-1],
        "dilation": window.dilation[-1],
        "begin": begin,
        "end": end,
        # the ceil rule may add one window
        "width": max(w for w in domains.WIDTHS if w <= _moved(problem)[-1]),
        "layout": problem.layout,
        "dtype": problem.dtype,
        "data": problem.data if problem.data in ("integer", "normal") else "other",
    }
    if operator.pools:
        return found | {
            "channels": problem.x[1],
            "rounding": "ceil" if window.ceil_mode else "floor",
            "divisor": "include" if window.count_include_pad else "exclude",
        }
    rows, columns = problem.w[:2]
    depthwise = columns == 1 and window.groups > 1
    return found | {
        "channels": window.groups if depthwise else columns,
        "groups": "depthwise" if depthwise else {1: "one", 2: "two"}[window.groups],
        "outputs": rows // window.groups,
        "extra": "bias" if problem.bias else "flip" if problem.flip else "plain",
    }


def _moved(problem):
    return problem.x[2:] if problem.operator is Operator.conv_transpose else problem.y[2:]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_three_values_that_can_meet_do_meet(family):
    parameters, forbidden, pools = FAMILIES[family]
    rows = [_class_of(problem) for problem in PROBLEMS if problem.operator.pools == pools]
    banned = {frozenset(pair) for pair in forbidden}
    possible = met = 0
    for names in itertools.combinations(parameters, 3):
        seen = {tuple(row[name] for name in names) for row in rows}
        for values in itertools.product(*(parameters[name] for name in names)):
            items = list(zip(names, values, strict=True))
            if any(frozenset(pair) in banned for pair in itertools.combinations(items, 2)):
                assert values not in seen, items
                continue
            possible += 1
            met += values in seen
            assert values in seen, items
    assert met == possible > 5000


def test_the_array_covers_with_few_rows():
    assert 150 <= len(PROBLEMS) <= 300
    assert len({problem.line for problem in PROBLEMS}) == len(PROBLEMS)
    assert [item.name for item in covering_problems()[:2]] == ["covering/000", "covering/001"]
    assert {problem.data for problem in PROBLEMS} == set(REGIMES)


def test_it_is_the_same_in_every_process():
    code = (
        "from harness.generate.covering import covering_problems\nfor p in covering_problems(): print(p.problem.line)"
    )
    for salt in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
            env=os.environ | {"PYTHONHASHSEED": salt},
        )  # fmt: skip
        assert done.stdout.splitlines() == [problem.line for problem in PROBLEMS]


def test_an_array_keeps_away_from_forbidden_pairs():
    parameters = {"a": (1, 2), "b": (1, 2, 3), "c": ("x", "y"), "d": (0, 1)}
    rows = cover(parameters, ((("a", 1), ("b", 3)), (("c", "y"), ("d", 1))))
    assert not any((row["a"], row["b"]) == (1, 3) or (row["c"], row["d"]) == ("y", 1) for row in rows)
    assert {(row["b"], row["c"], row["d"]) for row in rows} == {
        (b, c, d) for b in (1, 2, 3) for c in "xy" for d in (0, 1) if (c, d) != ("y", 1)
    }
    assert [list(row) for row in rows] == [list(parameters)] * len(rows)


def _outcomes(backend):
    law = agrees_with_reference
    dtypes = [p for p in PROBLEMS if p.dtype == "float32"]
    return {ask(backend, law, problem.line).outcome for problem in dtypes}


@pytest.mark.parametrize("fault", [WidthTailLost, LastChannelLost])
def test_faults_of_tails_do_not_survive(fault):
    assert "failed" in _outcomes(fault())
    assert "failed" not in _outcomes(Right())
