"""What a worker does with a cell: apply a law, or verify and time a call."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from harness.checking.deviation import Deviation
from harness.checking.law import Law
from harness.checking.subject import NotExactError, Prepared, Subject
from harness.checking.verify import verify
from harness.errors import HarnessError
from harness.plugins.backend import Backend
from harness.plugins.route import UnsupportedError
from harness.record.run import Pass
from harness.spec.data import make_arrays
from harness.spec.line import parse_line
from harness.spec.problem import Problem
from harness.timing.sample import sample, time_once
from harness.worker.protocol import Answer, Answered, Block, Check, Checked, Time

Found = TypeVar("Found", Checked, Answered)


def check(backend: Backend, law: Law, request: Check) -> Checked:
    """Apply a law; whatever the backend raises is its error, not the worker's end."""
    problem = parse_line(request.problem)
    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are data here, not accidents
        return _guard(lambda: _judge(law.check(Subject(backend, problem), problem)))


def time_problem(backend: Backend, request: Time) -> Checked:
    """Verify a call on the very arrays, process and plan that are then timed; no time without a passing check."""
    problem = parse_line(request.problem)
    return _guard(lambda: _time(Subject(backend, problem), problem, request))


def answer(backend: Backend, request: Answer) -> Checked | Answered:
    """The outputs of a problem as the backend's plain methods give them."""
    problem = parse_line(request.problem)

    def work() -> Answered:
        outputs = Subject(backend, problem).run(problem, make_arrays(problem))
        return Answered({name: Block(a.shape, a.astype(np.float64).tobytes()) for name, a in outputs.items()})

    with np.errstate(all="ignore"):
        return _guard(work)


def read_outputs(answered: Answered) -> dict[str, np.ndarray]:
    """The arrays of an answer."""
    return {name: np.frombuffer(b.data, np.float64).reshape(b.shape) for name, b in answered.outputs.items()}


def _guard(work: Callable[[], Found]) -> Found | Checked:
    try:
        return work()
    except NotExactError as error:
        return Checked("skipped", str(error))
    except UnsupportedError as error:
        return Checked("unsupported", str(error))
    except MemoryError:
        return Checked("error", "MemoryError: out of memory")
    except Exception as error:
        return Checked("error", describe_error(error))


def _judge(deviation: Deviation) -> Checked:
    if deviation.passed:
        return Checked("passed", "", deviation)
    return Checked("failed", deviation.describe(), deviation)


def _time(subject: Subject, problem: Problem, request: Time) -> Checked:
    begun = time.perf_counter_ns()
    arrays = make_arrays(problem)
    prepared, prepare_ns = time_once(lambda: subject.prepare(problem, arrays))
    result, first_ns = time_once(prepared.run)
    outputs = prepared.fetch(result)
    deviation, verify_ns = time_once(lambda: verify(problem, subject.numerics(problem), arrays, outputs))
    if not deviation.passed:
        return _judge(deviation)
    found = sample(prepared.call, subject.backend.synchronize, request.budget_ns, request.least_samples)
    late, again_ns = time_once(lambda: _check_last(problem, subject, prepared, arrays, outputs, found.last))
    if late is not None and not late.passed:
        return Checked("failed", f"in the last timed call: {late.describe()}", late)
    samples = Pass(
        number=request.number, process=os.getpid(), loops=found.loops, warmups=found.warmups,
        clock=subject.backend.clock, device=subject.backend.device,
        prepare_ns=prepare_ns, first_call_ns=first_ns, samples_ns=found.samples_ns,
        verify_ns=verify_ns + again_ns, spent_ns=time.perf_counter_ns() - begun,
    )  # fmt: skip
    return Checked("passed", "", deviation, samples)


def _check_last(
    problem: Problem,
    subject: Subject,
    prepared: Prepared,
    arrays: dict[str, np.ndarray],
    first: dict[str, np.ndarray],
    last: object,
) -> Deviation | None:
    """The last timed call's outputs: the verified bits again, or verified afresh."""
    outputs = prepared.fetch(last)
    if all(np.array_equal(outputs[name], first[name]) for name in first):
        return None
    return verify(problem, subject.numerics(problem), arrays, outputs)


def describe_error(error: Exception) -> str:
    """One line: the error, and where in the backend it was raised."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, HarnessError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"[:600]
