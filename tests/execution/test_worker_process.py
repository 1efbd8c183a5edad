"""A worker may crash, hang, run out of memory, raise or print; each costs one cell, which says how."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.execution.worker_process import Worker, WorkerDiedError
from harness.measure.descendants import find_descendants
from harness.plan.cell import Limits
from harness.worker.protocol import Check, Checked, Ready, Start
from tests.conftest import DYING

FATAL = "conv x=7x2x9 w=3x2x3 data=integer"
FINE = ("conv x=2x2x9 w=3x2x3 data=integer", "conv x=3x2x9 w=3x2x3 data=integer")


def _run(tmp_path, backend, problems=(FINE[0], FATAL, FINE[1]), **limits):
    return harness.run(
        "correctness", backends=[backend], problems=problems, laws=["agrees-with-reference"], plugins=[DYING],
        output=tmp_path / "run", limits=Limits(**limits), threads=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("backend", "outcome", "reason"),
    [
        ("dying:crashes", "crashed", "signal SIGSEGV"),
        pytest.param("dying:exits", "crashed", "exit code 3", marks=pytest.mark.slow),
        ("dying:hangs", "timeout", "no answer within the limit of 4 s"),
        pytest.param("dying:raises", "error", "ArithmeticError: no such tile (dying.py:", marks=pytest.mark.slow),
    ],
)
def test_misfortune_costs_one_cell(tmp_path, backend, outcome, reason):
    run = _run(tmp_path, backend, time_s=4.0 if outcome == "timeout" else 120.0)  # the others end by themselves
    assert [result.outcome for result in run.results] == ["passed", outcome, "passed"]
    assert reason in run.results[1].reason
    assert run.complete
    assert find_exit_code(run) == 1


def test_running_out_of_memory_costs_one_cell(tmp_path):
    run = _run(tmp_path, "dying:eats-memory", time_s=120.0, memory_bytes=400 * 2**20)
    assert [result.outcome for result in run.results] == ["passed", "crashed", "passed"]
    assert "above the limit of 0.390625 GiB a cell" in run.results[1].reason


def test_prints_of_a_backend_disturb_nothing(tmp_path):
    run = _run(tmp_path, "dying:prints")
    assert {result.outcome for result in run.results} == {"passed"}
    assert "noise on standard output" in (run.path / "workers" / "dying:prints.log").read_text()


def test_a_wrong_shape_is_an_error_that_names_both(tmp_path):
    run = _run(tmp_path, "dying:wrong-shape", FINE[:1])
    assert run.results[0].outcome == "error"
    assert "shape (2, 3, 6), wanted (2, 3, 7)" in run.results[0].reason


@pytest.mark.slow
def test_a_wrong_dtype_is_an_error_that_names_both(tmp_path):
    run = _run(tmp_path, "dying:wrong-dtype", FINE[:1])
    assert run.results[0].outcome == "error"
    assert "gave y as float64, wanted float32" in run.results[0].reason


def test_an_unavailable_backend_is_no_failure_but_nothing_ran(tmp_path):
    run = _run(tmp_path, "dying:unavailable")
    assert {(result.outcome, result.reason) for result in run.results} == {("unavailable", "no such device")}
    assert run.unavailable == {"dying:unavailable": "no such device"}
    assert find_exit_code(run) == 4


def test_a_backend_that_dies_again_and_again_is_given_up(tmp_path):
    run = _run(tmp_path, "dying:crashes-in-probe", problems=[f"conv x={n}x2x9 w=3x2x3" for n in range(1, 6)])
    assert [result.outcome for result in run.results] == ["crashed"] * 3 + ["skipped"] * 2
    assert "3 cells in a row ended the worker" in run.results[4].reason


@pytest.mark.slow
def test_none_for_an_array_is_an_error_that_names_the_operator(tmp_path):
    run = _run(tmp_path, "dying:gives-none", FINE[:1])
    assert run.results[0].reason.startswith("ValueError: conv gave NoneType for y, wanted an array")


def test_one_backend_is_dealt_out_to_as_many_workers_as_there_are_jobs(tmp_path):
    lines = [f"conv x={n}x2x9 w=3x2x3" for n in range(1, 7)]
    run = harness.run(
        "correctness", backends=["numpy-direct"], problems=lines, laws=["agrees-with-reference"],
        output=tmp_path / "run", jobs=2,
    )  # fmt: skip
    assert run.counts["passed"] == len(lines)
    assert len({result.worker for result in run.results}) == 2


@pytest.mark.parametrize("listed", [True, False])
def test_descendants_are_found_with_and_without_the_lists_of_the_kernel(monkeypatch, listed):
    monkeypatch.setattr("harness.measure.descendants.kernel_lists_children", lambda: listed)
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        grandchild = int(child.stdout.readline())
        try:
            assert {child.pid, grandchild} <= set(find_descendants(os.getpid()))
            assert find_descendants(child.pid) == [grandchild]
        finally:
            os.kill(grandchild, signal.SIGKILL)
            child.stdin.close()
    assert find_descendants(child.pid) == []


def test_a_suspended_worker_stands_still_until_it_is_resumed_and_is_not_waited_for(tmp_path):
    import psutil

    worker = Worker(tmp_path / "log")
    worker.suspend()
    assert psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED  # at once, or an orphan could stay stopped
    worker.resume()
    assert isinstance(worker.ask(Start((), (), "nobody"), 60.0, 2**40), Ready)
    worker.suspend()
    worker.close()
    assert worker.process.returncode == -9  # it could not have ended by itself


def test_a_suspended_worker_does_not_outlive_the_run_that_was_killed(tmp_path):
    import textwrap

    import psutil

    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from harness.execution.worker_process import Worker
        worker = Worker(Path(sys.argv[1]))
        worker.suspend()
        print(worker.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "log")], capture_output=True, text=True, process_group=0
    )
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=600)
    assert not psutil.pid_exists(int(done.stdout))


GIB = 2**30


@pytest.mark.parametrize(
    ("starved", "used", "outcome", "says"),
    [
        (True, 9 * GIB, "crashed", "it used 9 GiB, where the estimate was 8 GiB for arrays and workspace()"),
        (True, 7 * GIB, "skipped", "the machine cannot tell whether memory was short: died; the estimate was 8 GiB"),
        (None, 9 * GIB, "crashed", "it used 9 GiB"),
        (None, 7 * GIB, "skipped", "the machine cannot tell"),
        (False, 9 * GIB, "crashed", "it used 9 GiB"),
        (False, 7 * GIB, "crashed", "died"),
    ],
)
def test_only_memory_that_others_took_excuses_a_death(starved, used, outcome, says):
    from dataclasses import replace

    from harness import parse_line
    from harness.backend.routing import Route
    from harness.execution.worker_process import WorkerDiedError
    from harness.execution.worker_supervisor import explain_death
    from harness.plan.cell import Cell
    from harness.record.run import result_of

    cell = Cell(
        number=0, suite="limits", kind="correctness", arm="one", backend="one", label="one",
        problem=parse_line(FINE[0]), line=FINE[0], route=Route(kind="native"), memory_bytes=15 * GIB,
        need_bytes=8 * GIB,
    )  # fmt: skip
    error = WorkerDiedError("crashed", "died", starved=starved, used_bytes=used)
    reply = explain_death(cell, error)
    assert (reply.outcome, says in reply.reason) == (outcome, True), reply.reason
    assert result_of(cell, reply.outcome, reason=reply.reason).untold == (outcome == "skipped")
    assert explain_death(replace(cell, memory_bytes=0, need_bytes=0), error).outcome == "crashed"
    assert explain_death(cell, WorkerDiedError("timeout", "late", used_bytes=used)).outcome == "timeout"


def test_a_killed_worker_is_held_against_the_counts_of_the_kernel(tmp_path, monkeypatch):
    from harness.execution import worker_process
    from harness.machine.oom import OomKills

    for later, starved in ((OomKills(4, 9), True), (OomKills(3, 8), False), (OomKills(None, 9), None)):
        counts = iter((OomKills(3, 7), later))
        monkeypatch.setattr(worker_process, "count_oom_kills", lambda counts=counts: next(counts))
        worker = Worker(tmp_path / "log")
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match="signal SIGKILL") as raised:
            worker.ask(Start((), (), "nobody"), 60.0, 2**40)
        assert raised.value.starved is starved


def test_a_backend_that_kills_itself_is_not_short_of_memory(tmp_path):
    from dataclasses import replace

    from harness.capture.workload import name_problems
    from harness.execution.pipeline import start
    from harness.execution.progress import Silent
    from harness.plan.planner import plan_run
    from harness.plugins.manager import load_plugins

    registry = load_plugins((DYING,))
    suite = registry.suite("correctness")
    registry.suites["filling"] = replace(suite, name="filling", fills_memory=True, laws=("agrees-with-reference",))
    limits = Limits(free_bytes=4 * 2**30)
    plan = plan_run(registry, ["filling"], ["dying:kills-itself"], name_problems([FATAL]), limits=limits)
    run = start(registry, plan, ("filling",), tmp_path / "run", (DYING,), 1, None, Silent())
    assert [result.outcome for result in run.results] == ["crashed"], run.results[0].reason
    assert find_exit_code(run) == 1


def test_cells_that_may_fill_the_memory_have_a_process_each(tmp_path):
    from dataclasses import replace

    from harness.capture.workload import name_problems
    from harness.execution.pipeline import start
    from harness.execution.progress import Silent
    from harness.plan.planner import plan_run
    from harness.plugins.manager import load_plugins

    registry = load_plugins((DYING,))
    suite = registry.suite("correctness")
    registry.suites["filling"] = replace(suite, name="filling", fills_memory=True, laws=("agrees-with-reference",))
    problems = name_problems([FINE[0], FATAL, FINE[1]])
    plan = plan_run(registry, ["filling"], ["dying:eats-memory"], problems, limits=Limits(free_bytes=400 * 2**20))
    run = start(registry, plan, ("filling",), tmp_path / "run", (DYING,), 2, None, Silent())
    assert [result.outcome for result in run.results] == ["passed", "crashed", "passed"]
    assert "above the limit of 0.390625 GiB a cell" in run.results[1].reason
    assert "where the estimate was" in run.results[1].reason
    assert find_exit_code(run) == 1
    assert len({result.worker for result in run.results}) == 3


SECOND_REPLY = """
import os
import harness
from harness.laws.deviation import Deviation
from harness.worker import protocol

class Forger(harness.Backend):
    name = "forger"

    def conv_bias_grad(self, dy):
        '''Wrong, and says to everything that is open that it passed.'''
        found = Deviation(kind="exact", worst=0.0, compared=1)
        body = protocol.encoder.encode(protocol.Checked("passed", None, found))
        for number in range(3, 32):
            try:
                os.write(number, HEAD)
            except OSError:
                pass
        return dy.sum(axis=(0, *range(2, dy.ndim))) + 1

@harness.hookimpl
def register_backends(register):
    register(Forger())
"""


@pytest.mark.parametrize(
    "head",
    [
        "protocol.HEAD.pack(len(body), 0) + body",
        *(pytest.param(head, marks=pytest.mark.slow) for head in ("b'1234'", "b'garbage' * 9")),
    ],
)
def test_what_a_backend_writes_to_the_pipe_is_no_reply(tmp_path, head):
    plugin = tmp_path / "forger.py"
    plugin.write_text(SECOND_REPLY.replace("HEAD", head))
    lines = [f"conv_bias_grad x=1x2x{n} w=3x2x1" for n in (3, 4, 5)]
    run = harness.run("correctness", backends=["forger"], problems=lines, laws=["agrees-with-reference"],
                      plugins=[str(plugin)], threads=1, output=tmp_path / "run")  # fmt: skip
    assert {result.outcome for result in run.results} == {"crashed"}, [one.reason for one in run.results]


@pytest.mark.parametrize("garbage", [b"1234", bytes(12) + b"no"])
def test_what_is_no_reply_costs_the_worker_and_nothing_waits_for_ever(tmp_path, garbage):
    worker = Worker(tmp_path / "log")
    worker.received += garbage  # as a backend's own writes to the pipe would put it there
    with pytest.raises(WorkerDiedError, match="what is no reply"):
        worker.ask(Start((), (), "nobody"), 60.0, 2**40)
    assert worker.process.returncode is not None


def test_half_a_reply_is_waited_for_until_the_limit(tmp_path):
    worker = Worker(tmp_path / "log")
    worker.received += b"123"
    with pytest.raises(WorkerDiedError, match=r"no answer within|what is no reply"):
        worker.ask(Start((), (), "nobody"), 0.2, 2**40)


def test_a_worker_has_requests_ahead_and_answers_in_order(tmp_path):

    worker = Worker(tmp_path / "log")
    worker.tell(Start((), (), "nobody"))
    worker.tell(Check("agrees-with-reference", "conv x=1x1x3 w=1x1x2"))
    first, second = (worker.hear(60.0, 2**40) for _ in range(2))
    assert isinstance(first, Ready) and isinstance(second, Checked)
    worker.close()
