"""An honest backend is never accused, whatever the operator, the dtype and the regime of the data."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from harness.laws.subject import BackendUnderTest
from harness.measure.block import LONG_NS, Timed
from harness.measure.pairs import decide
from harness.problems.data import make_arrays
from harness.problems.line import parse_line
from harness.worker.host.execute import time_block
from harness.worker.host.fetches import Fetches, copy_plainly
from harness.worker.host.honesty import STIRRED, find_lazy, find_remembered, stir
from harness.worker.host.timed_problem import open_session, sample, time_truly
from harness.worker.outcome import CannotTellError, LieError
from harness.worker.protocol import Prepare, Sample, Sampled
from tests.asking import make_ready

LINES = (
    "conv x=2x4x9x9 w=6x2x3x3 bias stride=2 pad=1 groups=2",
    "conv x=2x4x9x9 w=4x4x3x3 flip",
    "conv_input_grad x=2x4x9 w=3x4x3",
    "conv_weight_grad x=2x4x9 w=3x4x3",
    "conv_bias_grad x=2x4x9 w=3x4x3",
    "conv_transpose x=2x4x5x5 w=4x3x3x3 stride=2",
    "max_pool x=2x4x8x8 kernel=2x2 stride=2",
    "max_pool_grad x=2x4x8x8 kernel=2x2 stride=2",
    "avg_pool x=2x4x8x8 kernel=2x2 stride=2",
    "avg_pool_grad x=2x4x8x8 kernel=2x2 stride=2",
)
REGIMES = ("normal", "uniform", "wide", "integer", "onehot", "negative", "zeros", "nonfinite")


def _pair_lines_and_regimes():
    """Pair every line with every regime; two or three regimes of each line, and lines of each regime, are quick."""
    for place, line in enumerate(LINES):
        for number, regime in enumerate(REGIMES):
            yield pytest.param(line, regime, marks=[pytest.mark.slow] if (place + number) % 3 else [])


@pytest.mark.parametrize(("line", "regime"), list(_pair_lines_and_regimes()))
def test_an_honest_backend_is_timed(registry, line, regime):
    session, reply = make_ready(registry.backends["right"], f"{line} data={regime}")
    assert reply.outcome == "passed", reply.reason
    for _ in range(3):
        assert isinstance(time_block(session, Sample(budget_ns=1, warm_ns=1, least=1)), Sampled)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_an_honest_backend_is_timed_in_every_dtype(registry, dtype):
    _, reply = make_ready(registry.backends["right"], f"{LINES[0]} dtype={dtype}")
    assert reply.outcome == "passed", reply.reason


@pytest.mark.parametrize("regime", sorted(STIRRED))
def test_a_stirred_element_is_another_one_each_time(regime):
    problem = parse_line(f"{LINES[0]} data={regime}")
    arrays = make_arrays(problem)
    for number in range(20):
        before = arrays["x"].copy()
        stir(arrays["x"], regime, number)
        assert (arrays["x"] != before).sum() == 1


def test_contents_move_on_from_block_to_block_and_kernels_stay(registry):
    seen, kernels = _sample_thrice(registry, f"{LINES[0]} data=integer")
    assert (seen[0] != seen[1]).any()
    assert (seen[0] == seen[2]).all()
    assert all((kernel == kernels[0]).all() for kernel in kernels)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
def test_every_number_is_new_in_every_block_where_contents_are_renewed(registry, dtype, layout):
    seen, kernels = _sample_thrice(registry, f"{LINES[0]} dtype={dtype} layout={layout}")
    assert all((a != b).mean() > 0.9 for a, b in itertools.combinations(seen, 2))  # 7 bits may come again by chance
    assert all((kernel == kernels[0]).all() for kernel in kernels)


def _sample_thrice(registry, line):
    """Contents of the first member's x and w after each of three blocks."""
    session = open_session(
        BackendUnderTest(registry.backends["right"], parse_line(line)), Prepare(problem=line, number=0)
    )
    found = []
    for _ in range(3):
        sample(session, Sample(budget_ns=1, warm_ns=0, least=20))
        found.append(tuple(session.devices[0][name].copy() for name in ("x", "w")))
    return tuple(zip(*found, strict=True))


def test_a_clock_of_a_sample_that_stands_still_is_seen_and_an_honest_one_is_not(registry):
    subject = BackendUnderTest(registry.backends["right"], parse_line(LINES[0]))
    session = open_session(subject, Prepare(problem=LINES[0], number=0))
    assert "behind" in session.disagree(40_000, 400_000)
    assert "ahead" in session.disagree(400_000, 40_000)
    assert session.disagree(400_000, 400_500) is None


@pytest.mark.parametrize(
    ("answers", "guilty", "found"),
    [
        ("1" * 23, 0.75, True),
        ("0" * 5, 0.75, False),
        ("110" * 200, 0.75, None),
        ("1" * 22 + "0" * 20, 0.75, False),
        ("0" + "1" * 25, 0.75, True),
        ("1" * 16, 0.9, True),
        ("0" * 2, 0.9, False),
        ("1" * 15, 0.95, True),
        ("0" * 2, 0.95, False),
        ("1101" + "1" * 30, 0.95, True),
    ],
)
def test_pairs_are_asked_until_they_agree(answers, guilty, found):
    left = iter(answers)
    assert decide(lambda: next(left) == "1", guilty) is found


@pytest.mark.parametrize("guilty", [0.75, 0.9, 0.95])
@pytest.mark.parametrize("chance", [0.1, 0.4, 0.5])
def test_chance_accuses_once_in_ten_thousand_times_however_uneven_times_are(chance, guilty):
    rng = random.Random(7)
    assert sum(decide(lambda: rng.random() < chance, guilty) is True for _ in range(2000)) <= (chance == 0.5)


@pytest.mark.parametrize("guilty", [0.75, 0.9, 0.95])
def test_what_is_remembered_is_found(guilty):
    rng = random.Random(7)
    assert sum(decide(lambda: rng.random() < guilty + 0.04, guilty) is True for _ in range(2000)) > 1900


def _find_lazy(monkeypatch, registry, times):
    """Finding about an honest backend whose fetches take the times of an endless iterator, in us."""
    session = open_session(
        BackendUnderTest(registry.backends["right"], parse_line(LINES[0])), Prepare(problem=LINES[0], number=0)
    )
    firsts = []

    def measure(session, flush, first):
        firsts.append((first, flush is not None))
        lazy, plain, call = next(times)
        return Fetches(lazy_ns=1000 * lazy, plain_ns=1000 * plain, call_ns=1000 * call)

    monkeypatch.setattr("harness.worker.host.honesty.time_fetches", measure)
    return find_lazy(session), firsts


def test_results_that_are_computed_when_they_are_looked_at_are_found(monkeypatch, registry):
    found, firsts = _find_lazy(monkeypatch, registry, itertools.repeat((900, 100, 5)))
    assert found.endswith("bringing one to the host takes 900 us, an equal array 100 us, the call itself 5 us")
    assert firsts == [(number % 2, flush) for flush in (False, True) for number in range(23)]


def test_one_slow_fetch_or_one_on_cores_that_cache_it_accuses_nobody(monkeypatch, registry):
    assert _find_lazy(monkeypatch, registry, iter([(9000, 1, 5), *[(1, 1, 5)] * 9]))[0] is None
    cached = iter([(900, 100, 5)] * 23 + [(100, 100, 5)] * 9)  # slow until the caches are written over
    assert _find_lazy(monkeypatch, registry, cached)[0] is None


def test_a_fetch_is_held_against_the_call_of_its_own_pair(monkeypatch, registry):
    assert _find_lazy(monkeypatch, registry, itertools.repeat((900, 100, 9000)))[0] is None


def test_fetches_that_never_agree_cannot_be_told(monkeypatch, registry):
    times = itertools.chain([(900, 100, 5)] * 23, itertools.cycle([(900, 100, 5)] * 5 + [(1, 1, 5)] * 3))
    with pytest.raises(
        CannotTellError, match=r"^the machine cannot tell whether results are computed when .* in 120 pa"
    ):
        _find_lazy(monkeypatch, registry, times)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_plain_copy_has_the_form_of_the_answer(order):
    a = np.asarray(np.arange(24.0).reshape(2, 3, 4), order=order)
    made = copy_plainly(a)
    assert (made == a).all()
    assert (made.strides, made.dtype, made.flags.writeable) == (a.strides, a.dtype, True)
    assert copy_plainly(a[:0]).shape == (0, 3, 4)


@pytest.mark.parametrize(("samples", "blocks"), [(2, 7), (5, 3), (50, 3)])
def test_clocks_that_disagree_in_every_sample_of_several_blocks_are_a_lie(monkeypatch, registry, samples, blocks):
    session = open_session(
        BackendUnderTest(registry.backends["right"], parse_line(LINES[0])), Prepare(problem=LINES[0], number=0)
    )
    made = []

    def measure(*_):
        made.append(Timed(samples_ns=(1.0,) * samples, clocks=((1e6, 9e6),) * samples, timed_ns=1, warmups=0))
        return made[-1]

    monkeypatch.setattr("harness.worker.host.timed_problem.time_block", measure)
    with pytest.raises(LieError, match="the clock runs behind"):
        time_truly(session, Sample(budget_ns=1, warm_ns=0, least=2))
    assert len(made) == blocks
    right = Timed(samples_ns=(1.0, 1.0), clocks=((1e6, 9e6), (1e6, 1e6)), timed_ns=1, warmups=0)
    monkeypatch.setattr("harness.worker.host.timed_problem.time_block", lambda *_: right)
    assert time_truly(session, Sample(budget_ns=1, warm_ns=0, least=2)) is right  # one was interrupted


class SaidClock:
    """A clock that says of a call what `say` says of its number and of what its inputs hold."""

    name = "host"

    def __init__(self, session, say):
        self.session, self.say, self.number = session, say, -1

    def time(self, run):
        self.number += 1
        member = next(n for n, call in enumerate(self.session.ready.calls) if call is run)
        took_ns = self.say(self.number, self.session.devices[member]["x"].tobytes())
        return run(), took_ns, took_ns


def _ask_with(registry, data, say):
    """Finding about an honest backend whose calls take as long as `say` says."""
    line = f"{LINES[0]} data={data}"
    session = open_session(
        BackendUnderTest(registry.backends["right"], parse_line(line)), Prepare(problem=line, number=0)
    )
    session.ready = replace(session.ready, clock=SaidClock(session, say), single_ns=2 * LONG_NS)
    return find_remembered(session)


@pytest.mark.parametrize("data", ["normal", "integer"])
@pytest.mark.parametrize("slow", [0, 1, 2])
def test_a_call_that_is_slow_by_its_place_in_a_pair_accuses_nobody(registry, data, slow):
    assert _ask_with(registry, data, lambda number, _: LONG_NS * (2 if number % 3 == slow else 1)) is None


@pytest.mark.parametrize("data", ["normal", "integer"])
def test_what_remembers_nothing_but_its_last_call_is_found(registry, data):
    last = []

    def say(_, contents):
        known = [contents] == last
        last[:] = [contents]
        return LONG_NS if known else 2 * LONG_NS

    assert "answers are remembered" in _ask_with(registry, data, say)
