"""The judge is not the accused: what a backend does to its own process changes no outcome but its own."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.plan.cell import Limits
from harness.worker.host.declared import state_facts
from harness.worker.hosted.output import MOST_BYTES
from tests.conftest import ROOT
from tests.faulty.right import Right

HOSTILE = str(ROOT / "tests" / "faulty" / "hostile.py")
LINE = "conv x=2x2x9 w=3x2x3 data=integer"
REPLY = "the channel of the backend's process holds what is no reply"
OUTCOMES = {
    "patches-comparison": ("failed", "wrong"),
    "patches-numpy": ("failed", "wrong"),
    "patches-later": ("failed", "wrong"),
    "traces": ("failed", "wrong"),
    "writes-a-reply": ("crashed", REPLY),
    "writes-garbage": ("crashed", REPLY),
    "closes-all-descriptors": ("crashed", "died"),
    "exits-with-0": ("crashed", "exit code 0"),
    "sys-exit-0": ("crashed", "exit code 0"),
    "keyboard-interrupt": ("crashed", "KeyboardInterrupt"),
    "kills-its-parent": ("crashed", "signal SIGKILL"),
    "raises-usage-error": ("error", "use it in another way"),
    "raises-what-has-no-text": ("error", "its text raises ValueError"),
    "raises-surrogates": ("error", "ValueError"),
    "object-array": ("error", "dtype object"),
    "equals-everything": ("failed", "wrong"),
    "writes-beyond-its-input": ("failed", "memory around x was written by the call"),
    "writes-before-its-input": ("failed", "memory around x was written by the call"),
}  # fmt: skip
SLOW = {  # a quick one does much the same
    "sys-exit-0", "raises-usage-error", "equals-everything", "patches-numpy",
    "patches-later", "traces", "writes-garbage", "keyboard-interrupt", "raises-what-has-no-text",
    "raises-surrogates", "writes-before-its-input", "closes-all-descriptors", "object-array",
}  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in OUTCOMES])
def test_a_hostile_backend_is_found_out(tmp_path, name):
    outcome, reason = OUTCOMES[name]
    run = harness.run(
        "correctness", backends=[f"hostile:{name}"], problems=[LINE], laws=["agrees-with-reference"],
        plugins=[HOSTILE], output=tmp_path / "run", limits=Limits(time_s=30.0), jobs=1,
    )  # fmt: skip
    assert [(result.outcome, reason in (result.reason or "")) for result in run.results] == [(outcome, True)], [
        result.reason for result in run.results
    ]
    assert find_exit_code(run) == 1


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("accepts-itself-when-timed",), LINE),
        pytest.param(("accuses-itself",), LINE, marks=pytest.mark.slow),
        pytest.param(
            ("accepts-itself-when-timed", "accuses-itself"), "conv x=2x3x8x8 w=4x3x3x3", marks=pytest.mark.slow
        ),
    ],
)
def test_a_timed_answer_is_judged_elsewhere(tmp_path, names, line):
    run = harness.run(
        "speed-short", backends=[f"hostile:{name}" for name in names], problems=[line], plugins=[HOSTILE],
        output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert [result.outcome for result in run.results] == ["failed"] * len(names), [one.reason for one in run.results]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("invents-inputs", "its process names inputs that were never drawn"),
        pytest.param("shows-nothing", "its process gave nothing to be judged", marks=pytest.mark.slow),
    ],
)
def test_only_answers_on_inputs_of_the_judge_count(tmp_path, name, reason):
    run = harness.run(
        "speed-short", backends=[f"hostile:{name}"], problems=["conv x=2x3x8x8 w=4x3x3x3"], plugins=[HOSTILE],
        output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert [(result.outcome, reason in result.reason) for result in run.results] == [("failed", True)]


def test_a_backend_sees_no_file_of_the_run_and_its_last_words_are_kept(tmp_path):
    run = harness.run(
        "correctness", backends=["hostile:prints"], problems=[LINE], laws=["agrees-with-reference"],
        plugins=[HOSTILE], output=tmp_path / "run", limits=Limits(time_s=60.0), jobs=1,
    )  # fmt: skip
    assert [result.outcome for result in run.results] == ["crashed"]
    assert "signal SIGSEGV" in run.results[0].reason
    log = (tmp_path / "run" / "workers" / "hostile:prints.log").read_bytes()
    assert b"it has pipe:" in log and str(tmp_path / "run").encode() not in log
    assert b"its last words" in log and b"bytes of output left out" in log
    assert len(log) < MOST_BYTES + 2**20


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("halves-samples", "its process claims samples of"),
        pytest.param("halves-all-times", "were asked for", marks=pytest.mark.slow),
    ],
)
def test_the_times_of_a_block_are_those_that_were_asked_for(tmp_path, name, reason):
    run = harness.run(
        "speed-short", backends=[f"hostile:{name}"], problems=["conv x=2x3x8x8 w=4x3x3x3"], plugins=[HOSTILE],
        output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert [(result.outcome, reason in result.reason) for result in run.results] == [("error", True)]


@pytest.mark.slow
def test_answers_with_every_number_of_threads_are_judged_elsewhere(tmp_path):
    """Pools: right, wrong in a part, and deaf to the limit."""
    run = harness.run(
        "correctness",
        backends=["hostile:patches-comparison", "im2col", "faulty:rest-of-three", "faulty:limit-ignored"],
        problems=[LINE.replace("2x2x9", "5x2x9")], laws=["threads-agree"], output=tmp_path / "run", jobs=1,
        plugins=[HOSTILE, HOSTILE.replace("hostile.py", "threads.py")],
    )  # fmt: skip
    found = {result.arm: result for result in run.results}
    assert {name: one.outcome for name, one in found.items()} == {
        "hostile:patches-comparison": "failed", "im2col": "passed", "faulty:rest-of-three": "failed",
        "faulty:limit-ignored": "failed",
    }, {name: one.reason for name, one in found.items()}  # fmt: skip
    assert "with 3 threads" in found["faulty:rest-of-three"].reason
    assert "set_threads(1) is ignored" in found["faulty:limit-ignored"].reason


@pytest.mark.slow  # a quick test asks what is timed of a network
@pytest.mark.parametrize("fields", ["", " mixed=numpy-direct"])
def test_layers_of_a_network_are_judged_elsewhere(tmp_path, fields):
    run = harness.run(
        "networks", backends=["hostile:patches-comparison"], problems=[f"network lenet5 step n=2{fields}"],
        plugins=[HOSTILE], output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    found = {result.law: result.outcome for result in run.results}
    found.pop("parameters-are-those-published", None)
    assert found and set(found.values()) == {"failed"}, found


def test_a_timed_network_is_judged_elsewhere(tmp_path):
    run = harness.run(
        "speed-short", backends=["hostile:accepts-itself-when-timed"], problems=["network lenet5 forward"],
        plugins=[HOSTILE], output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert [result.outcome for result in run.results] == ["failed"]
    assert "conv: " in run.results[0].reason


@pytest.mark.slow
def test_a_right_network_is_timed(tmp_path):
    run = harness.run(
        "speed-short", backends=["im2col"], problems=["network lenet5 step n=2"], output=tmp_path / "run", jobs=1
    )
    assert [result.outcome for result in run.results] == ["passed"], run.results[0].reason
    assert "parameters" in run.results[0].deviation.attachments.figures


def test_a_route_without_a_reason_has_none():
    class Decides(Right):
        name = "decides"

        def supports(self, problem):
            return None

    assert state_facts(Decides(), harness.parse_line(LINE)).route().reason is None


def test_a_time_without_a_judgement_is_an_error(tmp_path):
    run = harness.run(
        "speed-short", backends=["hostile:claims-times"], problems=[LINE, "conv x=3x2x9 w=3x2x3 data=integer"],
        plugins=[HOSTILE], output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert {result.outcome for result in run.results} == {"error"}
    assert "claims times without answers that were verified" in run.results[1].reason


def test_no_process_outlives_a_killed_command(tmp_path):
    """The command is killed while a call holds the interpreter of the backend's process."""
    command = subprocess.Popen(
        [
            sys.executable, "-m", "harness", "run", "correctness", "--plugin", HOSTILE, "--jobs", "1",
            "--backend", "hostile:holds-the-interpreter", "--problem", LINE, "--law", "agrees-with-reference",
            "--output", str(tmp_path / "run"),
        ],
        cwd=ROOT, env={**os.environ, "HOSTILE_BEGAN": str(tmp_path / "began")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        family = _wait_for_call(psutil.Process(command.pid), tmp_path / "began")
        assert len(family) >= 2  # judge and host
        os.kill(command.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(family, timeout=90)
        assert not alive
    finally:
        command.kill()
        command.wait()


def _wait_for_call(command, began):
    """The descendants of a command, when one of them has begun the call."""
    deadline = time.monotonic() + 120
    while not began.exists():
        assert time.monotonic() < deadline, "the call never began"
        time.sleep(0.05)
    return command.children(recursive=True)
