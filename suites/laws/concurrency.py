"""Laws of concurrency: two calls at the same time give the same answers as each call alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness import BackendUnderTest, Deviation, Problem, law, statement, worst_of
from harness.laws import PATIENCE_OF_ALL_S, Caller, Meetings, PreparedCall
from harness.problems import Sizes, make_arrays
from suites.laws import neighbours
from suites.laws.alone import Answers, Case, Outputs, is_chosen, make_case, make_case_of

MOST_PLACES = 20  # in one call, where others are put in between: evenly spread where there are more lines
MOST_SHAPES = 16  # met first by two calls at once, each with another line of the first call between
RING = 4  # buffers that calls may take in turns: so many calls in a row reach each of them
MANY_IMAGES = 32  # make calls so long that those of two threads overlap, on two processors


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Answers):
    """Answers of calls that meet."""

    meetings: Meetings


@dataclass(frozen=True, slots=True)
class Party:
    """One of several callers at once: its case, and its call, or None if it prepares one each time."""

    case: Case
    call: PreparedCall | None

    @property
    def caller(self) -> Caller:
        """The caller."""
        return Caller(self.case.problem, self.call, None if self.call else self.case.arrays)


@law(tolerance="exact", when=is_chosen)
def calls_at_once_agree(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) and g(z), called at the same time by different threads, are f(x) and g(z)

    The same arrays, other data of the same shapes, another window, batch, dtype and operator; plain methods, calls
    prepared before, and calls prepared meanwhile. First one call is stopped at the lines of the backend's own Python,
    and others are made in between; then threads call all at once. The bits are those of the call alone where the
    backend is deterministic. Where it declares that it is not reentrant, calls take turns, and nothing else is asked.
    """
    alone = Answers(subject)
    with subject.together():
        parties = list(_parties(alone, problem))
    if not all(subject.numerics(one.case.problem).reentrant for one in parties):
        turns = [_judge(alone, one, _try(one), "in turn") for one in (*parties, *parties)]
        return replace(worst_of(*turns), observed="asked one at a time, as declared")
    with subject.meet() as meetings:
        answers = Stage(subject, alone.known, alone.alone, meetings=meetings)
        found = worst_of(*_check_all(answers, problem, parties))
    return replace(found, observed="as alone" if found.passed else "not as alone")


def _check_all(answers: Stage, problem: Problem, parties: Sequence[Party]) -> Iterator[Deviation]:
    """Every caller alone, then every way of calling at once, until an answer is wrong."""
    for found in _try_all(answers, problem, parties):
        yield found
        if not found.passed:
            return


def _try_all(answers: Stage, problem: Problem, parties: Sequence[Party]) -> Iterator[Deviation]:
    first, same, half, *rest, last = parties
    many = (MANY_IMAGES, *problem.x[1:])
    for one in parties:
        yield _listen(answers, one)
    yield interrupt(answers, first, (same, last), (half, *rest), spread(count_lines(answers, first), MOST_PLACES))
    yield from _interrupt_first_uses(answers, problem)
    yield overlap(answers, _new_pair(answers, problem, many))
    if answers.plans(problem):
        plans = [Party(one.case, answers.prepared(one.case)) for one in (first, half, last)]
        for plan in plans:
            yield _judge(answers, plan, _try(plan), "through a prepared call")
        yield interrupt(answers, plans[0], plans[1:], (), spread(count_lines(answers, plans[0]), MOST_PLACES))
        yield overlap(answers, _planned(answers, _new_pair(answers, problem, many)))


def _listen(answers: Answers, one: Party) -> Deviation:
    """Judge a caller that is alone, and keep the bits of its answer."""
    return answers.judge_alone(one.case, _get_call(one).answer())


def _get_call(one: Party) -> PreparedCall:
    assert one.call is not None
    return one.call


def _try(one: Party) -> Outputs | BaseException:
    """Make a call; return its outputs, or the exception that it raised."""
    try:
        return _get_call(one).answer()
    except Exception as error:
        return error


def _parties(answers: Answers, problem: Problem) -> Iterator[Party]:
    """The problem itself, the same on the very same arrays, the same with another first array, and others near it.

    On the same arrays one sees what the other has borrowed. The last has another window of the same shapes, and all
    other data: whatever calls share is then not as the interrupted call has left it.
    """
    base, first = make_case("the problem", problem), problem.operator.inputs[0]
    arrays = answers.own(base)
    yield Party(base, answers.plain(base, arrays))
    same = make_case_of("the problem on the same arrays", problem, base.arrays)
    yield Party(same, answers.plain(same, arrays))
    other = problem.with_(seed=problem.seed + 7)
    half = make_case_of(f"another {first}", problem, {**base.arrays, first: make_arrays(other)[first]})
    yield Party(half, answers.plain(half, {**arrays, first: answers.own(half)[first]}))
    near = (
        *neighbours.near_batches(problem)[-1:],
        *neighbours.near_forms(problem)[1:2],
        *neighbours.near_operators(problem)[:1],
        ("other data", other),
        *_first_taken(answers, neighbours.near_windows(problem), "padding on the other side"),
    )
    for case in answers.cases(near):
        yield Party(case, answers.plain(case))


def _first_taken(answers: Answers, near: neighbours.Neighbours, best: str) -> neighbours.Neighbours:
    """One neighbour that the backend takes, the best if it is among them."""
    taken = sorted((one for one in near if answers.takes(one[1])), key=lambda one: one[0] != best)
    return tuple(taken[:1])


def _interrupt_first_uses(answers: Stage, problem: Problem) -> Iterator[Deviation]:
    """Stop the first call of a shape at one line, and make others of that shape there: they find what is ready.

    The lines of a first call are counted on one more shape: it may run more than later calls do.
    """
    shapes = [(1, *problem.x[1:-1], problem.x[-1] + 1 + number) for number in range(MOST_SHAPES + 1)]
    lines = count_lines(answers, _new_pair(answers, problem, shapes.pop())[0])
    for number, (x, line) in enumerate(zip(shapes, spread(lines, MOST_SHAPES), strict=False)):
        first, second = _new_pair(answers, problem, x)
        yield interrupt(answers, first, (second,) * (RING if number % 2 else 1), (), (line,))


def _planned(answers: Answers, pair: tuple[Party, Party]) -> tuple[Party, Party]:
    """Results of `pair` through prepared calls: one that is prepared before, and one that is prepared each time."""
    first, second = (one.case for one in pair)
    return Party(first, answers.prepared(first)), Party(second, None)


def _new_pair(answers: Answers, problem: Problem, x: Sizes) -> tuple[Party, Party]:
    """Two callers of one shape that is met here first: what is made at first use is made by both at once."""
    one = problem.with_(x=x, seed=problem.seed + 11)
    first, second = make_case("a new shape", one), make_case("a new shape, other data", one.with_(seed=one.seed + 1))
    return Party(first, answers.plain(first)), Party(second, answers.plain(second))


# --- one call in the middle of another ------------------------------------------------------------------------------


def interrupt(
    answers: Stage, first: Party, always: Sequence[Party], turns: Sequence[Party], stops: Sequence[int]
) -> Deviation:
    """Make a call in a thread, stop it at lines of the backend, and make others meanwhile.

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
    answers: Stage, first: Party, always: Sequence[Party], turns: Sequence[Party], stops: Sequence[int]
) -> Deviation:
    found = answers.meetings.interrupt(
        first.caller, [one.caller for one in always], [one.caller for one in turns], stops
    )
    parts, turn = list[Deviation](), itertools.cycle(turns)
    for stop in found.stops:
        how = f"made while a call of {first.case.what} stood at {stop.place}"
        made = (*itertools.islice(turn, 1), *always)
        parts += (_judge(answers, one, taken, how) for one, taken in zip(made, stop.answers, strict=True))
    names = ", ".join(dict.fromkeys(one.case.what for one in (*turns, *always)))
    place = found.stops[-1].place if found.stops else ""
    how = f"in the middle of which, {'last ' if len(stops) > 1 else ''}at {place}, was called: {names}"
    return worst_of(_judge(answers, first, found.answer, how), *parts)


def count_lines(answers: Stage, one: Party) -> int:
    """Return the number of different lines of the backend that a call runs.

    A first call runs more than later ones do, such as imports, so that stops spread over its lines would miss
    the lines of a later call; count when the call to be stopped has been made once.
    """
    return answers.meetings.interrupt(one.caller, (), (), ()).lines


def spread(lines: int, most: int) -> tuple[int, ...]:
    """Numbers of all lines, or of `most` of them, evenly spread."""
    chosen = min(lines, most)
    return tuple(1 + number * lines // chosen for number in range(chosen))


def _judge(answers: Answers, one: Party, taken: Outputs | BaseException, how: str) -> Deviation:
    """Judge an answer; an error is its deviation."""
    if isinstance(taken, BaseException):
        text = f"{type(taken).__name__}: {' '.join(str(taken).split())}"
        return statement(False, f"{one.case.what} raised {text}, {how}")
    return answers.judge_bits(one.case, taken, how)


# --- all at once ----------------------------------------------------------------------------------------------------


def overlap(answers: Stage, parties: Sequence[Party]) -> Deviation:
    """Make every call in a thread of its own, again and again, all threads from one start on."""
    found = answers.meetings.overlap([one.caller for one in parties])
    how = f"while {', '.join(one.case.what for one in parties)} were called by {len(parties)} threads"
    if not found.ended:
        return statement(False, f"calls did not end within {PATIENCE_OF_ALL_S:.0f} s, {how}")
    return worst_of(
        *(_judge(answers, one, taken, how) for one, some in zip(parties, found.answers, strict=True) for taken in some)
    )
