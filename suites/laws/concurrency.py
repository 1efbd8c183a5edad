"""Laws of concurrency: two calls at the same time give the same answers as each call alone."""

from __future__ import annotations

import itertools
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any

import numpy as np

import harness
from harness import BackendUnderTest, Deviation, Problem, law, statement, worst_of
from harness.laws import PreparedCall
from harness.problems import Sizes, make_arrays
from suites.laws import neighbours
from suites.laws.alone import Answers, Case, Outputs, is_chosen, make_case, make_case_of

SWITCH_S = 1e-6  # how long a thread keeps the interpreter while another one waits for it
POLL_S, ASLEEP, PATIENCE = 0.005, 4, 400  # see `_Interrupted.wait`
MOST_PLACES = 20  # in one call, where others are put in between: evenly spread where there are more lines
MOST_SHAPES = 16  # met first by two calls at once, each with another line of the first call between
RING = 4  # buffers that calls may take in turns: so many calls in a row reach each of them
MANY_IMAGES = 32  # make calls so long that those of two threads overlap, on two processors
IN_A_ROW = 4  # calls of a thread before it looks at the answers
LEAST_CALLS, MOST_CALLS = 4, 400  # of each thread
OVERLAP_S = 0.006  # of processor time in each thread at least: calls of some microseconds are made very often
PATIENCE_OF_ALL_S = 60.0  # then the threads are held to wait for each other

HERE = os.path.dirname(__file__)
SKIPPED = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (os.path.dirname(harness.__file__), os.path.dirname(np.__file__), HERE, sysconfig.get_path("stdlib"))
)
SITE = os.path.realpath(sysconfig.get_path("purelib")) + os.sep


@dataclass(frozen=True, slots=True)
class Stage(Answers):
    """Answers, and the thread in which calls are interrupted: one for all, as libraries make a team for each thread."""

    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))


@dataclass(frozen=True, slots=True)
class Caller:
    """One of several callers at once: its case, the way it calls, and its name in messages."""

    case: Case
    make: Callable[[], PreparedCall]

    @classmethod
    def of(cls, case: Case, call: PreparedCall) -> Caller:
        """Make the same call each time."""
        return cls(case, lambda: call)


@law(tolerance="exact", when=is_chosen, inside=True)
def calls_at_once_agree(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) and g(z), called at the same time by different threads, are f(x) and g(z)

    The same arrays, other data of the same shapes, another window, batch, dtype and operator; plain methods, calls
    prepared before, and calls prepared meanwhile. First one call is stopped at the lines of the backend's own Python,
    and others are made in between; then threads call all at once. The bits are those of the call alone where the
    backend is deterministic. Where it declares that it is not reentrant, calls take turns, and nothing else is asked.
    """
    answers = Stage(subject)
    callers = list(_callers(answers, problem))
    if not all(answers.subject.numerics(one.case.problem).reentrant for one in callers):
        turns = [_attempt(answers, one, "in turn") for one in (*callers, *callers)]
        return replace(worst_of(*turns), observed="asked one at a time, as declared")
    with answers.pool:
        found = worst_of(*_check_all(answers, problem, callers))
    return replace(found, observed="as alone" if found.passed else "not as alone")


def _check_all(answers: Stage, problem: Problem, callers: Sequence[Caller]) -> Iterator[Deviation]:
    """Every caller alone, then every way of calling at once, until an answer is wrong."""
    first, same, half, *rest, last = callers
    lines = count_lines(answers, first)
    ways: list[Callable[[], Deviation]] = [partial(_listen, answers, one) for one in callers]
    ways.append(lambda: interrupt(answers, first, (same, last), (half, *rest), spread(lines, MOST_PLACES)))
    for number, line in enumerate(spread(lines, MOST_SHAPES)):
        shape = (1, *problem.x[1:-1], problem.x[-1] + 1 + number)
        ways.append(partial(_interrupt_first_use, answers, problem, shape, line, RING if number % 2 else 1))
    ways.append(lambda: overlap(answers, _new_pair(answers, problem, (MANY_IMAGES, *problem.x[1:]))))
    if answers.plans(problem):
        plans = [Caller.of(one.case, answers.prepared(one.case)) for one in (first, half, last)]
        ways += [
            lambda: interrupt(answers, plans[0], plans[1:], (), spread(count_lines(answers, plans[0]), MOST_PLACES)),
            lambda: overlap(answers, _planned(answers, _new_pair(answers, problem, (MANY_IMAGES, *problem.x[1:])))),
        ]
    for way in ways:
        found = way()
        yield found
        if not found.passed:
            return


def _listen(answers: Answers, one: Caller) -> Deviation:
    """Judge a caller that is alone, and keep the bits of its answer."""
    call = one.make()
    return answers.judge_alone(one.case, answers.fetch(one.case, call, call.run()))


def _callers(answers: Answers, problem: Problem) -> Iterator[Caller]:
    """The problem itself, the same on the very same arrays, the same with another first array, and others near it.

    On the same arrays one sees what the other has borrowed. The last has another window of the same shapes, and all
    other data: whatever calls share is then not as the interrupted call has left it.
    """
    base, first = make_case("the problem", problem), problem.operator.inputs[0]
    arrays = answers.own(base)
    yield Caller.of(base, answers.plain(base, arrays))
    same = make_case_of("the problem on the same arrays", problem, base.arrays)
    yield Caller.of(same, answers.plain(same, arrays))
    other = problem.with_(seed=problem.seed + 7)
    half = make_case_of(f"another {first}", problem, {**base.arrays, first: make_arrays(other)[first]})
    yield Caller.of(half, answers.plain(half, {**arrays, first: answers.own(half)[first]}))
    near = (
        *neighbours.near_batches(problem)[-1:],
        *neighbours.near_forms(problem)[1:2],
        *neighbours.near_operators(problem)[:1],
        ("other data", other),
        *_first_taken(answers, neighbours.near_windows(problem), "padding on the other side"),
    )
    for case in answers.cases(near):
        yield Caller.of(case, answers.plain(case))


def _first_taken(answers: Answers, near: neighbours.Neighbours, best: str) -> neighbours.Neighbours:
    """One neighbour that the backend takes, the best if it is among them."""
    taken = sorted((one for one in near if answers.takes(one[1])), key=lambda one: one[0] != best)
    return tuple(taken[:1])


def _interrupt_first_use(answers: Stage, problem: Problem, x: Sizes, line: int, calls: int) -> Deviation:
    """Stop the first call of a shape at one line, and make others of that shape there: they find what is ready."""
    first, second = _new_pair(answers, problem, x)
    return interrupt(answers, first, (second,) * calls, (), (line,))


def _planned(answers: Answers, pair: tuple[Caller, Caller]) -> tuple[Caller, Caller]:
    """Results of `pair` through prepared calls: one that is prepared before, and one that is prepared each time."""
    first, second = (one.case for one in pair)
    return Caller.of(first, answers.prepared(first)), Caller(second, lambda: answers.prepared(second))


def _new_pair(answers: Answers, problem: Problem, x: Sizes) -> tuple[Caller, Caller]:
    """Two callers of one shape that is met here first: what is made at first use is made by both at once."""
    one = problem.with_(x=x, seed=problem.seed + 11)
    first, second = make_case("a new shape", one), make_case("a new shape, other data", one.with_(seed=one.seed + 1))
    return Caller.of(first, answers.plain(first)), Caller.of(second, answers.plain(second))


# --- one call in the middle of another ------------------------------------------------------------------------------


def interrupt(
    answers: Stage, first: Caller, always: Sequence[Caller], turns: Sequence[Caller], stops: Sequence[int]
) -> Deviation:
    """Make a call in a thread, stop it at lines of the backend, and make others in this thread meanwhile.

    What overlaps does not depend on the machine: where a call stops at every line of Python that the backend runs, the
    others lie between each line and the one before. A wrong answer is asked for again with one stop, to name the line.

    always: made at every stop, the last one last; turns: one of them at each stop, before these.
    stops: the lines where the call stops, numbered from 1 in the order in which each is met first.
    """
    found = _interrupt_at(answers, first, always, turns, stops)
    if found.passed or len(stops) == 1:
        return found
    single = (_interrupt_at(answers, first, always, turns, (stop,)) for stop in stops)
    return next((one for one in single if not one.passed), found)


def _interrupt_at(
    answers: Stage, first: Caller, always: Sequence[Caller], turns: Sequence[Caller], stops: Sequence[int]
) -> Deviation:
    call, parts = first.make(), list[Deviation]()
    thread = _Interrupted(lambda: answers.fetch(first.case, call, call.run()), frozenset(stops))
    left = itertools.cycle(turns)

    def work() -> None:
        for one in (*itertools.islice(left, 1), *always):
            parts.append(_attempt(answers, one, f"made while a call of {first.case.what} stood at {thread.place}"))

    error = thread.serve(answers.pool, work)
    names = ", ".join(dict.fromkeys(one.case.what for one in (*turns, *always)))
    how = f"in the middle of which, {'last ' if len(stops) > 1 else ''}at {thread.place}, was called: {names}"
    if error is not None:
        return worst_of(statement(False, _raised(first, error, how)), *parts)
    assert thread.outputs is not None
    return worst_of(answers.judge_bits(first.case, thread.outputs, how), *parts)


def count_lines(answers: Stage, one: Caller) -> int:
    """Return the number of different lines of the backend that a call runs."""
    call = one.make()
    thread = _Interrupted(lambda: answers.fetch(one.case, call, call.run()), ())
    thread.serve(answers.pool, lambda: None)
    return len(thread.visited)


def spread(lines: int, most: int) -> tuple[int, ...]:
    """Numbers of all lines, or of `most` of them, evenly spread."""
    chosen = min(lines, most)
    return tuple(1 + number * lines // chosen for number in range(chosen))


def _attempt(answers: Answers, one: Caller, how: str) -> Deviation:
    """Make a call and judge its outputs; an error is its deviation."""
    try:
        call = one.make()
        outputs = answers.fetch(one.case, call, call.run())
    except Exception as error:
        return statement(False, _raised(one, error, how))
    return answers.judge_bits(one.case, outputs, how)


def _raised(one: Caller, error: BaseException, how: str) -> str:
    return f"{one.case.what} raised {type(error).__name__}: {' '.join(str(error).split())}, {how}"


class _Interrupted:
    """A call in a thread of its own that stops at lines of the backend and lets the thread that serves it work."""

    def __init__(self, call: Callable[[], Outputs], stops: Container[int]) -> None:
        self.call, self.stops = call, stops
        self.outputs: Outputs | None = None
        self.error: BaseException | None = None
        self.server, self.place = threading.get_native_id(), ""
        self.turns: SimpleQueue[bool] = SimpleQueue()  # True: stopped at a line; False: over
        self.done = threading.Semaphore(0)
        self.owed = False  # whether the work of an earlier stop still goes on, as it waits for a lock of this call
        self.visited: set[tuple[Any, int]] = set()

    def serve(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> BaseException | None:
        """Start the call, and do the work whenever it stops; give what the call raised, or None."""
        running = pool.submit(self._run)
        while self.turns.get():
            work()
            self.done.release()
        running.result()
        return self.error

    def _run(self) -> None:
        with np.errstate(all="ignore"):
            sys.settrace(self._enter)
            try:
                self.outputs = self.call()
            except BaseException as error:
                self.error = error
            finally:
                sys.settrace(None)
                self.turns.put(False)

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Follow the lines of a function of the backend; those of the harness and of Python itself run through."""
        return self._step if _is_backend(frame.f_code.co_filename) else None

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        line = (frame.f_code, frame.f_lineno)
        if event == "line" and line not in self.visited:
            self.visited.add(line)
            if len(self.visited) in self.stops:
                self._stop(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")
        return self._step

    def _stop(self, place: str) -> None:
        if self.owed and not self.done.acquire(blocking=False):
            return
        self.place = place
        self.turns.put(True)
        self.owed = not self.wait()

    def wait(self) -> bool:
        """Wait for the work of the serving thread; give up where it sleeps, as it does before a lock of this call.

        A thread that merely gets no processor does not sleep. Looked at every POLL_S; ASLEEP times in a row are
        enough, and PATIENCE times altogether.
        """
        asleep = 0
        for _ in range(PATIENCE):
            if self.done.acquire(timeout=POLL_S):
                return True
            asleep = asleep + 1 if _sleeps(self.server) else 0
            if asleep == ASLEEP:
                break
        return False


def _sleeps(thread: int) -> bool:
    """True if a thread of this process waits for something, or if the system does not report it."""
    try:
        with open(f"/proc/self/task/{thread}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("R", "D")
    except (OSError, IndexError):
        return True


_known_files: dict[str, bool] = {}


def _is_backend(path: str) -> bool:
    """True if a file belongs neither to the harness, nor to a law, nor to Python or NumPy."""
    if path not in _known_files:
        real = os.path.realpath(path)
        *others, python = SKIPPED
        own = real.startswith(tuple(others)) or (real.startswith(python) and not real.startswith(SITE))
        _known_files[path] = not own and not path.startswith("<")
    return _known_files[path]


# --- all at once ----------------------------------------------------------------------------------------------------


def overlap(answers: Answers, callers: Sequence[Caller]) -> Deviation:
    """Make every call in a thread of its own, again and again, all threads from one start on.

    No thread ends before every one has made LEAST_CALLS and has worked for OVERLAP_S, so that all of them overlap; the
    interpreter changes threads as often as it can meanwhile. Answers are looked at when some calls have been made one
    right after the other: that is time in which no call overlaps.
    """
    counts, found = [0] * len(callers), list[Deviation]()
    how = f"while {', '.join(one.case.what for one in callers)} were called by {len(callers)} threads"
    start = threading.Barrier(len(callers))

    def work(number: int) -> None:
        one = callers[number]
        with np.errstate(all="ignore"):
            start.wait()
            end = time.thread_time() + OVERLAP_S
            while counts[number] < MOST_CALLS and (min(counts) < LEAST_CALLS or time.thread_time() < end):
                part = _attempt_some(answers, one, how)
                counts[number] += IN_A_ROW
                if not part.passed or counts[number] == IN_A_ROW:
                    found.append(part)
                if not part.passed:
                    counts[number] = MOST_CALLS

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(len(callers))]
    with _quick_switches():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_OF_ALL_S)
    if any(thread.is_alive() for thread in threads):
        return statement(False, f"calls did not end within {PATIENCE_OF_ALL_S:.0f} s, {how}")
    return worst_of(*found)


def _attempt_some(answers: Answers, one: Caller, how: str) -> Deviation:
    """Make some calls right after each other, then judge all of their outputs."""
    try:
        calls = [one.make() for _ in range(IN_A_ROW)]
        results = [call.run() for call in calls]
        outputs = [answers.fetch(one.case, call, result) for call, result in zip(calls, results, strict=True)]
    except Exception as error:
        return statement(False, _raised(one, error, how))
    return worst_of(*(answers.judge_bits(one.case, each, how) for each in outputs))


@contextmanager
def _quick_switches() -> Iterator[None]:
    """Let threads that hold the interpreter give it up as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
