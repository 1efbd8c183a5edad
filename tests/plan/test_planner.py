from dataclasses import replace

import pytest

from harness import NamedProblem, Suite, Timing, UsageError, parse_line
from harness.networks.problem import NetworkProblem
from harness.plan.cell import Limits
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins
from tests.networks.small import NETWORKS

CONV = NamedProblem(name="one", problem=parse_line("conv x=1x2x9 w=3x2x3 data=integer"))
POOL = NamedProblem(name="two", problem=parse_line("max_pool x=1x2x9 kernel=3 data=integer"))


@pytest.mark.parametrize("problems", [(CONV, POOL), pytest.param((), marks=pytest.mark.slow)])
def test_every_cell_is_planned_once_and_numbered(registry, problems):
    plan = plan_run(registry, ["suite"], ["right", "im2col"], problems)
    keys = [(cell.suite, cell.arm, cell.line, cell.law) for cell in plan.cells]
    assert len(set(keys)) == len(keys)
    assert [cell.number for cell in plan.cells] == list(range(len(keys)))
    assert plan.suites == ("correctness", "speed-short")


def test_a_law_is_planned_where_it_applies(registry):
    plan = plan_run(registry, ["correctness"], ["right"], [CONV, POOL])
    laws = {cell.label: {c.law for c in plan.cells if c.label == cell.label} for cell in plan.cells}
    assert "tap-probe" in laws["one"]
    assert "maximum-is-selected" in laws["two"]
    assert "tap-probe" not in laws["two"]


def test_what_a_backend_lacks_is_unsupported_with_the_reason(registry):
    plan = plan_run(registry, ["correctness"], ["fft"], [POOL])
    assert {cell.decided for cell in plan.cells} == {"unsupported"}
    assert {cell.reason for cell in plan.cells} == {"fft has no max_pool"}


def test_a_derived_law_that_restates_the_derivation_says_so(registry):
    plan = plan_run(registry, ["correctness"], ["scipy-signal"], [NamedProblem(
        name="t", problem=parse_line("conv_transpose x=1x2x9 w=2x3x3 data=integer"))])  # fmt: skip
    (cell,) = [cell for cell in plan.cells if cell.law == "transpose-is-input-gradient"]
    assert cell.route.kind == "derived"
    assert cell.reason == "true by construction"


def test_what_costs_too_much_is_skipped_with_the_estimate(registry):
    plan = plan_run(registry, ["speed"], ["right"], [CONV], limits=Limits(time_s=1e-9))
    assert [cell.decided for cell in plan.cells] == ["skipped"]
    assert "above the limit of 1e-09 s a cell (--time-limit)" in plan.cells[0].reason
    plan = plan_run(registry, ["speed"], ["right"], [CONV], limits=Limits(memory_bytes=100))
    assert "GiB (--memory-limit)" in plan.cells[0].reason


def test_an_empty_plan_is_an_error(registry):
    with pytest.raises(UsageError, match="law tap-probe does not apply"):
        plan_run(registry, ["correctness"], ["right"], [POOL], ["tap-probe"])
    registry = load_plugins()
    registry.suites["empty"] = Suite(name="empty", kind="speed", description="nothing", timing=Timing())
    with pytest.raises(UsageError, match="suite empty has no problem"):
        plan_run(registry, ["empty"])


class NoTextError(BaseException):
    def __str__(self):
        raise SystemExit(0)


@pytest.mark.parametrize(
    "raised", [KeyError("tile"), SystemExit(0), UsageError("usage"), GeneratorExit(), NoTextError()],
    ids=lambda raised: type(raised).__name__,
)  # fmt: skip
@pytest.mark.parametrize("method", ["supports", "numerics_for", "work", "workspace"])
def test_a_backend_that_raises_while_it_is_asked_is_an_error_of_its_own(method, raised):
    registry = load_plugins()

    def raising(self, problem):
        raise raised

    registry.backends["raising"] = type("Raising", (type(registry.backend("numpy-direct")),), {"name": "raising"})()
    setattr(type(registry.backends["raising"]), method, raising)
    for problem in (CONV, CONV.__class__(name="tf32", problem=CONV.problem.with_(math="tf32"))):
        (cell,) = plan_run(registry, ["speed"], ["raising"], [problem]).cells
        if problem is CONV or method == "numerics_for":
            assert cell.decided == "error"
            assert f"raised {type(raised).__name__}" in cell.reason


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("supports", True, "supports gave True"),
        ("supports", ["no"], "supports gave ['no']"),
        ("numerics_for", None, "numerics_for gave NoneType"),
        ("work", "much", "raised TypeError"),
        ("work", float("nan"), "work gave nan"),
        ("work", float("inf"), "work gave inf"),
        ("work", -1, "work gave -1"),
        ("workspace", None, "workspace gave NoneType"),
        ("workspace", -1, "workspace gave -1"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_an_error_of_the_backend(method, given, words):
    registry = load_plugins()
    base = type(registry.backend("numpy-direct"))
    registry.backends["odd"] = type("Odd", (base,), {"name": "odd", method: lambda self, problem: given})()
    (cell,) = plan_run(registry, ["speed"], ["odd"], [CONV]).cells
    assert cell.decided == "error"
    assert words in cell.reason


def test_an_interrupt_of_a_backend_that_is_asked_ends_the_planning():
    registry = load_plugins()

    def interrupt(self, problem):
        raise KeyboardInterrupt

    base = type(registry.backend("numpy-direct"))
    registry.backends["stopped"] = type("Stopped", (base,), {"name": "stopped", "work": interrupt})()
    with pytest.raises(KeyboardInterrupt):
        plan_run(registry, ["speed"], ["stopped"], [CONV])


def test_a_network_that_is_given_is_its_layers_where_layers_are_timed():
    problem = NetworkProblem(architecture=NETWORKS["smooth"], work="forward", n=3)
    given = [NamedProblem(name="smooth/forward", problem=problem), CONV]
    plan = plan_run(load_plugins(), ["networks-speed", "network-layers"], ["torch"], given)
    lines = {
        suite: {c.line: c.multiplicity for c in plan.cells if c.suite == suite}
        for suite in ("networks-speed", "network-layers")
    }
    assert lines["networks-speed"] == {problem.line: 1, CONV.problem.line: 1}
    assert lines["network-layers"] == {one.line: n for one, n in problem.network.layers("forward").items()} | {
        CONV.problem.line: 1
    }


@pytest.mark.parametrize("kind", ["speed", "correctness"])
def test_a_timed_network_is_estimated_to_need_less_memory_than_one_that_is_checked(kind):
    registry = load_plugins()
    problem = NetworkProblem(architecture=NETWORKS["smooth"], work="step")
    registry.suites["asked"] = replace(registry.suite("networks"), name="asked", kind=kind)
    limits = Limits(memory_bytes=int(5.5 * problem.bytes))
    plan = plan_run(registry, ["asked"], ["torch"], [NamedProblem(name="smooth", problem=problem)], limits=limits)
    assert {cell.decided == "skipped" for cell in plan.cells} == {kind == "correctness"}


@pytest.mark.parametrize("suite", ["networks", "networks-speed", "network-layers"])
def test_a_partner_that_nobody_knows_is_an_error_wherever_it_is_named(suite):
    problem = NetworkProblem(architecture=NETWORKS["smooth"], work="step", mixed="nobody")
    with pytest.raises(UsageError, match="unknown backend: got 'nobody'"):
        plan_run(load_plugins(), [suite], ["torch"], [NamedProblem(name="smooth", problem=problem)])


def test_a_law_on_large_arrays_has_an_estimate_of_its_own():
    registry, limits = load_plugins(), Limits(memory_bytes=6 * 2**30, free_bytes=7 * 2**30)
    line = "conv x=1031x8x511x513 w=1x8x1x1 stride=2 dtype=float16 data=integer"  # 4.15 GiB of arrays
    given = [NamedProblem(name="large", problem=parse_line(line))]
    (cell,) = plan_run(registry, ["limits"], ["numpy-direct"], given, limits=limits).cells
    assert (cell.decided, cell.isolate, cell.memory_bytes) == (None, True, 7 * 2**30)
    assert cell.need_bytes == int(1.3 * given[0].problem.bytes)
    short = Limits(memory_bytes=9 * 2**30, free_bytes=5 * 2**30)
    (cell,) = plan_run(registry, ["limits"], ["numpy-direct"], given, limits=short).cells
    assert cell.decided == "skipped"
    assert cell.reason == "estimated 5.4 GiB, above the limit of 5 GiB (free here, --memory-limit)"
    (cell,) = plan_run(registry, ["limits"], ["numpy-direct"], given, limits=Limits(memory_bytes=5 * 2**30)).cells
    assert cell.reason == "estimated 5.4 GiB, above the limit of 5 GiB (--memory-limit)"
    elsewhere = type("Elsewhere", (type(registry.backend("numpy-direct")),), {"name": "elsewhere", "device": "cuda"})()
    registry.backends["elsewhere"] = elsewhere  # arrays of another device take no memory of the host
    (cell,) = plan_run(registry, ["limits"], ["elsewhere"], given, limits=Limits(memory_bytes=2 * 2**30)).cells
    assert cell.decided is None
    assert cell.need_bytes == pytest.approx(0.3 * given[0].problem.bytes)


def test_other_suites_do_not_fill_the_memory(registry):
    plan = plan_run(registry, ["correctness"], ["right"], [CONV], limits=Limits(free_bytes=2**40))
    assert {(cell.memory_bytes, cell.need_bytes, cell.isolate) for cell in plan.cells} == {(0, 0, False)}


def test_small_problems_are_no_business_of_the_law_of_addresses():
    with pytest.raises(UsageError, match="suite limits has no problem"):
        plan_run(load_plugins(), ["limits"], ["numpy-direct"], [CONV])
