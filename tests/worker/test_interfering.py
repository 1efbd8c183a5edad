"""Every read ends with the limit of its cell, or at once where the bytes are no reply; a start has its own limit."""

import os
import signal
import struct

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.execution import worker_process, worker_supervisor
from harness.execution.worker_process import Worker, WorkerDiedError
from harness.plan.cell import Limits
from harness.worker.protocol import HEAD, Ready, Start
from tests.conftest import ROOT

INTERFERING = str(ROOT / "tests" / "hostile" / "interfering.py")
LINE = "conv x=2x2x9 w=3x2x3 data=integer"
LATE = "no answer within the limit of 2 s a cell"
OUTCOMES = {
    "four-bytes": ("timeout", LATE),
    "half-a-head": ("timeout", LATE),
    "claims-2-gib": ("crashed", "got a frame of 2147483648 bytes, wanted at most 67108864"),
    "one-byte-at-a-time": ("timeout", LATE),
    "questions": ("crashed", "got a question where there is nothing to judge"),
    "flood": ("crashed", "got bytes that answer no request"),
    "another-kind": ("crashed", "got Value, wanted outputs"),
}
QUICK = ("one-byte-at-a-time", "another-kind")  # of each outcome one
ENOUGH = 2**40


def _choose_limits(name):
    """Little time for a cell that is waited for to its end, and enough for one that ends by itself."""
    return Limits(time_s=2.0 if OUTCOMES.get(name, ("",))[0] == "timeout" else 60.0)


def _run(tmp_path, name):
    return harness.run(
        "correctness", backends=[f"interfering:{name}"], problems=[LINE], laws=["agrees-with-reference"],
        plugins=[INTERFERING], output=tmp_path / "run", limits=_choose_limits(name), jobs=1,
    )  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one not in QUICK)) for one in OUTCOMES])
def test_what_a_backend_writes_to_its_channel_costs_its_cell_alone(tmp_path, name):
    outcome, reason = OUTCOMES[name]
    run = _run(tmp_path, name)
    assert [(result.outcome, reason in result.reason) for result in run.results] == [(outcome, True)], [
        result.reason for result in run.results
    ]
    assert find_exit_code(run) == 1


def test_a_reply_of_another_kind_ends_no_command(tmp_path):
    run = harness.run(
        "speed-short", backends=["interfering:forges-a-peak"], problems=[LINE, "conv x=3x2x9 w=3x2x3 data=integer"],
        plugins=[INTERFERING], output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert [result.outcome for result in run.results] == ["error", "crashed"]
    assert "got Measured to " in run.results[1].reason


def test_a_start_has_its_own_limit_and_says_it(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_supervisor, "START_S", 5.0)
    run = _run(tmp_path, "hangs-in-probe")
    (result,) = run.results
    assert result.outcome == "timeout"
    assert "no answer within the limit of 5 s for a start, which loads the plugins and asks probe()" in result.reason


@pytest.mark.slow
def test_a_long_reason_is_cut_before_it_is_recorded(tmp_path):
    run = _run(tmp_path, "talks-in-probe")
    (result,) = run.results
    assert result.outcome == "unavailable" and len(result.reason) < 20_000
    assert (run.path / "journal.jsonl").stat().st_size < 100_000


def test_a_request_that_nobody_takes_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_process, "SEND_S", 0.2)
    worker = Worker(tmp_path / "log")
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(WorkerDiedError, match="took no request out of its pipe for") as raised:
        worker.tell(Start(("n" * 2**22,), (), "nobody"))
    assert raised.value.outcome == "timeout" and worker.process.returncode is not None


@pytest.mark.parametrize(
    "received",
    [
        b"1234567890123",
        HEAD.pack(2**32 - 1, 0),
        struct.pack("<IQ", 4, 5) + b"good",
        b"\x00" * 2**20,
    ],
)
def test_the_pipe_of_the_judge_holds_only_replies(tmp_path, received):
    worker = Worker(tmp_path / "log")
    worker.received += received
    with pytest.raises(WorkerDiedError, match="what is no reply") as raised:
        worker.ask(Start((), (), "nobody"), 60.0, ENOUGH)
    assert raised.value.outcome == "crashed" and worker.process.returncode is not None


def test_a_reply_that_never_ends_is_waited_for_until_the_limit(tmp_path):
    worker = Worker(tmp_path / "log")
    assert isinstance(worker.ask(Start((), (), "nobody"), 60.0, ENOUGH), Ready)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.tell(Start((), (), "nobody"))
    worker.received += HEAD.pack(100, worker.tickets[0]) + b"x"
    with pytest.raises(WorkerDiedError, match=r"no answer within the limit of 0.2 s a cell"):
        worker.hear(0.2, ENOUGH)
    assert worker.process.returncode is not None
