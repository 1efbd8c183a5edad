"""Processor time of the law of the reference: in judge and host, in one process, and of an empty message.

`python -m tests.benchmarks.bench_reference --backend im2col --problems 500 --threads 1` draws them from the plan of
suite `correctness`. Libraries of the judge have one thread, those of the host as many as `--threads` says.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from functools import partial

from harness.laws.subject import BackendUnderTest
from harness.machine.threads import THREAD_VARIABLES, sleep_at_once


def main() -> None:
    """Print milliseconds a problem, of several rounds: the first warms up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="im2col")
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1, help="of the host")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    from harness.execution.worker_supervisor import law_plugins, plugins_for
    from harness.measure.processor_time import process_ns
    from harness.plan.planner import plan_run
    from harness.plugins.manager import load_plugins
    from harness.problems.line import parse_line
    from harness.worker.__main__ import State, answer
    from harness.worker.outcome import check
    from harness.worker.protocol import Check, Checked, Start
    from harness.worker.wire.messages import Describe

    registry = load_plugins()
    law = registry.law("agrees-with-reference")
    cells = plan_run(registry, ["correctness"], [given.backend], laws=[law.name]).cells
    lines = [cell.line for cell in cells if cell.decided is None and not cell.isolate]
    lines = random.Random(1).sample(lines, min(given.problems, len(lines)))
    state = State()
    plugins, laws = plugins_for(registry, given.backend), law_plugins(registry)
    answer(state, Start(plugins=plugins, extra=(), backend=given.backend, laws=laws, threads=given.threads))
    assert state.host is not None, "a host was started"
    pid, host = state.host.process.pid, state.host
    for number in range(given.rounds):
        judge_ns, host_ns = time.process_time_ns(), process_ns(pid)
        replies = [answer(state, Check(law=law.name, problem=line)) for line in lines]
        judge_ns, host_ns = time.process_time_ns() - judge_ns, process_ns(pid) - host_ns
        passed = sum(isinstance(reply, Checked) and reply.outcome == "passed" for reply in replies)
        say(f"round {number}, {passed} passed", judge_ns, host_ns, len(lines))
    judge_ns, host_ns = time.process_time_ns(), process_ns(pid)
    for _ in lines:
        host.ask(Describe(()))
    say("an empty message", time.process_time_ns() - judge_ns, process_ns(pid) - host_ns, len(lines))
    host.close()
    backend = registry.backends[given.backend]
    for number in range(given.rounds):
        begun_ns = time.process_time_ns()
        for line in lines:
            check(partial(BackendUnderTest, backend, parse_line(line)), law)
        say(f"round {number} in one process", time.process_time_ns() - begun_ns, 0, len(lines))


def say(what: str, judge_ns: int, host_ns: int, count: int) -> None:
    """Print milliseconds for one of `count`."""
    print(f"{what}: judge {judge_ns / count / 1e6:.3f} ms, host {host_ns / count / 1e6:.3f} ms", flush=True)


if __name__ == "__main__":
    if os.environ.get(THREAD_VARIABLES[0]) != "1":  # read by the libraries when they are loaded: start again
        names = dict.fromkeys(THREAD_VARIABLES, "1") | dict(sleep_at_once(os.environ))
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.benchmarks.bench_reference", *sys.argv[1:]],
            {**os.environ, **names},
        )
    main()
