"""Plans whose timed cells are counted, and what a command refuses before anything runs."""

import pytest

from harness import NamedProblem, UsageError, parse_line
from harness.measure.instructions import choose, kernel
from harness.networks.problem import NetworkProblem
from harness.plan.arm import parse_arms
from harness.plan.counted import check_one_thread, count_instead
from harness.plan.counting import DELTA, Counting
from harness.plan.planner import plan_run
from tests.commands import call_harness
from tests.networks.small import NETWORKS

LINE = "conv x=1x2x9 w=3x2x3"
CONV = NamedProblem(name="one", problem=parse_line(LINE))
COUNTING = Counting(counter="valgrind")


def plan(registry, *suites, problems=(CONV,), arms=(), backends=("right",)):
    planned = plan_run(registry, suites, () if arms else backends, problems, arms=arms)
    return count_instead(planned, COUNTING, registry)


def test_timed_cells_are_counted_and_laws_stay(registry):
    made = plan(registry, "correctness", "speed")
    assert {cell.kind for cell in made.cells} == {"correctness", "count"} and made.counting == COUNTING
    assert {cell.threads for cell in made.cells if cell.kind == "count"} == {1}


def test_devices_and_whole_networks_are_not_counted(registry, monkeypatch):
    network = NamedProblem(name="net", problem=NetworkProblem(architecture=NETWORKS["smooth"], work="step"))
    (cell,) = plan(registry, "networks-speed", problems=(network,)).cells
    assert (cell.decided, cell.reason) == ("skipped", "instructions of whole networks are not counted")
    monkeypatch.setattr(registry.backends["right"], "device", "cuda", raising=False)
    (cell,) = plan(registry, "speed").cells
    assert (cell.decided, cell.reason) == ("skipped", "instructions of a device (cuda) are not counted")


def test_what_cannot_be_counted_is_refused(registry):
    with pytest.raises(UsageError, match="got suites without timed cells \\(correctness\\), wanted one of speed"):
        plan(registry, "correctness")
    with pytest.raises(UsageError, match="OMP_NUM_THREADS"):
        plan(registry, "speed", arms=parse_arms(["right@set:OMP_NUM_THREADS=2"]))
    with pytest.raises(UsageError, match="threads: got 2 with --metric instructions"):
        check_one_thread(2)
    check_one_thread(1)
    check_one_thread(None)


@pytest.mark.parametrize(
    ("kind", "flags", "said"),
    [
        ("kernel", {"avx512f"}, None),
        ("valgrind", {"avx2"}, None),
        ("valgrind", None, None),
        ("valgrind", {"avx512f"}, "valgrind knows no AVX-512: "),
        ("valgrind", {"avx512f", "amx_tile"}, "valgrind knows no AVX-512 and no AMX: "),
    ],
)
def test_the_record_says_what_libraries_cannot_use(kind, flags, said):
    found = choose.remark_on(kind, None if flags is None else frozenset(flags))
    assert found is None if said is None else found.startswith(said)


def test_the_threshold_has_a_default_and_is_recorded(monkeypatch):
    monkeypatch.setattr(kernel, "find_obstacle", lambda: None)
    assert choose.choose_counting().delta == DELTA
    made = choose.choose_counting(0.02, compares=True, armed=True)
    assert (made.counter, made.delta, made.compares, made.armed) == ("kernel", 0.02, True, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "speed-short", "--mode", "cold"], "--mode: got 'cold' with --metric instructions"),
        (["run", "speed-short", "--threads", "2"], "threads: got 2 with --metric instructions"),
        (["versus", "a=im2col", "b=im2col", "--budget", "1m"], "--budget: got '1m' with --metric instructions"),
        (["versus", "a=im2col", "b=im2col", "--delta", "soon"], "share: got 'soon'"),
        (["gate", "--base", "HEAD", "--budget", "1m"], "--budget: got '1m' with --metric instructions"),
        (["gate", "--base", "HEAD", "--threads", "2"], "threads: got 2 with --metric instructions"),
    ],
)
def test_options_of_times_are_refused_in_one_line(arguments, said, tmp_path):
    done = call_harness(*arguments, "--metric", "instructions", HARNESS_STATE_DIR=tmp_path)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 2 and line.startswith("error: ") and said in line


@pytest.mark.parametrize(
    "arguments", [["run", "speed-short"], ["versus", "a=im2col", "b=im2col"], ["gate", "--base", "HEAD"]]
)
def test_without_a_counter_the_reason_is_one_line(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr(kernel, "find_obstacle", lambda: "none here")
    done = call_harness(*arguments, "--metric", "instructions", HARNESS_STATE_DIR=tmp_path, PATH=tmp_path)
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode == 2 and "metric instructions: nothing counts them here (kernel: none here; valgrind" in line
