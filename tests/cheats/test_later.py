"""A backend that is honest when it is asked first, and leaves its work undone later, has no time in the end."""

import itertools
import math
import re
from functools import partial

import pytest

import harness
from harness import BackendUnderTest, parse_line
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from harness.worker.host.execute import prepare, time_block
from harness.worker.host.fetches import Fetches
from harness.worker.outcome import CannotTellError
from harness.worker.protocol import Prepare, Sample, Sampled
from tests.cheats import later
from tests.cheats.once import time_once
from tests.conftest import ROOT
from tests.faulty.right import Right

PROBLEM = "conv x=8x1x28x28 w=6x1x5x5"
LATER = str(ROOT / "tests" / "cheats" / "later.py")
BLOCKS = 40  # of 2 samples or more: a cheat in a fifth of the calls is not looked at in one of 10 000 runs


def _ask(backend, problem):
    """The first reply about a block that is no time; None if every block has times."""
    session, reply = prepare(
        lambda: BackendUnderTest(backend, parse_line(problem)), Prepare(problem=problem, number=0, probe=True)
    )
    if session is None:
        return reply
    replies = (time_block(session, Sample(budget_ns=20_000_000, warm_ns=0, least=2)) for _ in range(BLOCKS))
    return next((one for one in replies if not isinstance(one, Sampled)), None)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind is later.LazyLater else pytest.mark.slow) for kind in later.IN_CALLS]
)
def test_work_that_is_left_undone_later_is_found(kind):
    found = _ask(kind(), PROBLEM)
    assert found is not None, "every block has times"
    assert "results are computed when they are looked at" in found.reason
    assert found.accuses or found.outcome == "skipped"  # a busy machine may not be able to tell


@pytest.mark.parametrize("kind", [later.LazyUntilStored, later.LazyUntilAnythingIsRead])
def test_work_that_any_next_function_does_has_no_time(kind):
    found = _ask(kind(), PROBLEM)
    assert found is not None, "every block has times"
    assert re.search("when they are looked at|when any array is brought to the host next", found.reason)
    assert found.accuses or found.outcome == "skipped"


@pytest.mark.slow
def test_answers_that_are_remembered_later_are_found():
    found = _ask(later.RemembersLater(), f"{PROBLEM} data=integer")
    assert found is not None and "answers are remembered" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize("kind", later.IN_PASSES[::2])
def test_no_pass_is_free(tmp_path, monkeypatch, kind):
    monkeypatch.setenv(later.COUNTED, str(tmp_path / "count"))
    run = harness.run(
        "speed-short", backends=[kind.name], problems=[PROBLEM], plugins=[LATER], output=tmp_path / "run", jobs=1
    )
    (result,) = run.results
    assert result.measurement is None, result.outcome
    assert find_exit_code(run) in (ExitCode.WRONG, ExitCode.CANNOT_TELL)


@pytest.mark.slow
def test_the_fifth_pass_is_not_free_either(tmp_path, monkeypatch):
    monkeypatch.setenv(later.COUNTED, str(tmp_path / "count"))
    run = time_once(tmp_path, LATER, later.LazyFromFifthPass.name, PROBLEM, passes=6)
    (result,) = run.results
    assert (tmp_path / "count").stat().st_size >= 5, "its lazy passes were reached"
    assert result.measurement is None, result.outcome
    assert find_exit_code(run) in (ExitCode.WRONG, ExitCode.CANNOT_TELL)


def _find(monkeypatch, first, pairs):
    """Finding after a block of a right backend with these fetches, in us, and then these pairs."""
    from harness.worker.host import deferred

    def make(times, plain_first=False):
        return Fetches(*(1000 * one for one in times), plain_first)

    monkeypatch.setattr(
        deferred,
        "look_closely",
        lambda session, request, flush: map(make, pairs(flush), itertools.cycle((False, True))),
    )
    session, _ = prepare(
        lambda: BackendUnderTest(Right(), parse_line(PROBLEM)), Prepare(problem=PROBLEM, number=0, probe=False)
    )
    session.fetches = [make(first)]
    return deferred.find_deferred(session, Sample(budget_ns=1, warm_ns=0, least=2))


HIDES, HONEST, SLOW_COPY = (900, 100, 5), (100, 100, 5), (100, 900, 5)


def test_what_a_block_shows_is_looked_at_closely(monkeypatch):
    assert _find(monkeypatch, HONEST, lambda flush: iter(())) is None  # nothing is asked
    found = _find(monkeypatch, HIDES, lambda flush: iter([HIDES] * 100))
    assert found.endswith(
        "in 16 of 16 timed calls, bringing one to the host takes 900 us, an equal array 100 us, the call itself 5 us"
    )


def test_one_slow_copy_accuses_nobody(monkeypatch):
    assert _find(monkeypatch, HIDES, lambda flush: iter([HONEST] * 479 + [SLOW_COPY])) is None
    assert _find(monkeypatch, HIDES, lambda flush: iter([HIDES, SLOW_COPY, HONEST] * 100)) is None


def test_a_result_that_other_caches_hold_accuses_nobody(monkeypatch):
    assert _find(monkeypatch, HIDES, lambda flush: iter([HONEST if flush else HIDES] * 100)) is None


def test_work_that_is_rarely_left_undone_is_found(monkeypatch):
    assert _find(monkeypatch, HIDES, lambda flush: iter([*[HONEST] * 4, HIDES] * 100)) is not None


def test_time_that_ends_before_the_pairs_suffice_acquits_nobody(monkeypatch):
    monkeypatch.setattr("harness.worker.host.deferred.CLOSE_S", 0.0)
    with pytest.raises(CannotTellError, match="the machine cannot tell"):
        _find(monkeypatch, HIDES, lambda flush: iter([HONEST]))


def test_the_first_copy_that_is_slow_whichever_it_is_has_no_time_and_accuses_nobody(monkeypatch):
    with pytest.raises(CannotTellError, match="when any array is brought to the host next"):
        _find(monkeypatch, HIDES, lambda flush: itertools.cycle([HIDES, SLOW_COPY]))


@pytest.mark.parametrize(("late", "told"), [(20, True), (5, False)])
def test_an_order_that_is_not_decided_is_told_where_it_shows_often(monkeypatch, late, told):
    from harness.worker.host import deferred

    pairs = [Fetches(9e5, 1e5, 5e3)] * late + [Fetches(1e5, 1e5, 5e3)] * (100 - late)
    monkeypatch.setattr(deferred, "look_closely", lambda session, request, flush: iter(pairs))
    monkeypatch.setattr(deferred, "decide_signs", lambda ask, **limits: [ask() for _ in pairs] and None)
    ask = partial(deferred.check_order, None, Sample(budget_ns=1, warm_ns=0, least=2), pairs, until=math.inf)
    if told:
        with pytest.raises(CannotTellError, match="when any array is brought to the host next"):
            ask()
    else:
        ask()


@pytest.mark.parametrize(
    ("lazy_us", "plain_us", "call_us", "hides"),
    [
        (400, 100, 300, True),
        (400, 100, 500, False),  # less than half of a short call
        (1500, 100, 9000, True),  # a seventh of a long call, and 15 copies
        (700, 90, 9000, False),  # a copy that may be slow for another reason
        (1500, 300, 9000, False),
    ],
)
def test_a_part_of_a_long_call_is_work_where_it_is_many_copies(lazy_us, plain_us, call_us, hides):
    lazy, plain, call = (1e3 * one for one in (lazy_us, plain_us, call_us))
    assert Fetches(lazy, plain, call).hides_work is hides
    assert (Fetches(lazy, plain, call).sign, Fetches(plain, lazy, call).sign) == (int(hides), -int(hides))


def test_signs_that_do_not_decide_cannot_be_told(monkeypatch):
    with pytest.raises(CannotTellError, match="the machine cannot tell whether results are computed when"):
        _find(monkeypatch, HIDES, lambda flush: iter(([HIDES] * 3 + [HONEST] * 56 + [SLOW_COPY]) * 8))
