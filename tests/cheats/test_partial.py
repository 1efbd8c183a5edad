"""Partial caches save nothing in a timed call, and other work than the requested is not timed.

Counts, not times: of images that were looked up while calls were timed.
"""

import pytest

from harness import BackendUnderTest, parse_line
from harness.plugins.manager import load_plugins
from harness.worker.host.timed_problem import open_session, sample
from harness.worker.outcome import WrongAnswerError
from harness.worker.protocol import Prepare, Sample
from tests.cheats.once import time_until_told
from tests.conftest import ROOT

PARTIAL = str(ROOT / "tests" / "cheats" / "partial.py")
SHORT = "conv x=10x1x4x4 w=1x1x3x3"
LONG = "conv x=10x8x24x24 w=16x8x3x3 pad=1"
REMEMBER = ("half", "fifth", "tenth", "images", "hash", "upper-bits")
SOON = "incremental"  # on every problem by the quick tests, too
NAMES = (*(f"remembers-{what}" for what in REMEMBER), "incremental")


@pytest.fixture(scope="module")
def cheats():
    return load_plugins([PARTIAL]).backends


def _open(backend, line):
    return open_session(BackendUnderTest(backend, parse_line(line)), Prepare(problem=line, number=1, probe=False))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param(name, line, marks=[] if name == SOON or line == SHORT else pytest.mark.slow)
        for name in NAMES
        for line in (SHORT, LONG, f"{SHORT} dtype=float64", f"{LONG} data=wide", f"{LONG} data=uniform")
    ],
)
def test_nothing_can_be_looked_up_in_a_timed_call(cheats, name, line):
    backend, seen = cheats[f"cheat:{name}"], []
    for _ in range(4):  # upper bits alone may come again by chance, once in about ten times, but not every time
        try:
            session = _open(backend, line)
            backend.computed = backend.taken = 0
            done = sample(session, Sample(budget_ns=1_000_000, warm_ns=0, least=3))
        except WrongAnswerError as error:  # upper bits came again for other contents, and the answer was looked at
            seen.append((backend.computed, backend.taken, str(error)))
            continue
        seen.append((backend.computed, backend.taken))
        if seen[-1] == (10 * session.ready.loops * len(done.samples_ns), 0):
            return
    raise AssertionError(f"computed and looked up: {seen}")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_formats_are_drawn_anew_before_their_contents_come_again(cheats, dtype):
    backend = cheats["cheat:remembers-half"]
    session = _open(backend, f"{SHORT} dtype={dtype}")
    backend.computed = backend.taken = 0
    done = sample(session, Sample(budget_ns=1, warm_ns=0, least=600 // session.ready.loops + 1))
    assert backend.computed == 10 * session.ready.loops * len(done.samples_ns) > 6000
    assert backend.taken == 0


@pytest.mark.parametrize("name", NAMES)
def test_the_same_cheats_look_up_what_they_can_where_contents_stay(cheats, name):
    backend = cheats[f"cheat:{name}"]
    session = _open(backend, SHORT)
    session.members[0].run()
    backend.taken = 0
    session.members[0].run()
    assert backend.taken > 0


@pytest.mark.parametrize("line", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["right-at-first", "right-on-known"])
def test_answers_are_looked_at_that_nobody_can_tell_beforehand(cheats, name, line):
    backend = cheats[f"cheat:{name}"]
    session = _open(backend, line)
    with pytest.raises(WrongAnswerError, match="in a timed call"):
        for _ in range(3):
            sample(session, Sample(budget_ns=1, warm_ns=0, least=200))


@pytest.mark.parametrize("name", ["right-on-known", pytest.param("finishes-in-the-gap", marks=pytest.mark.slow)])
def test_other_work_than_what_was_asked_for_has_no_time(tmp_path, name):
    (result,) = time_until_told(tmp_path, PARTIAL, f"cheat:{name}", LONG).results
    assert result.outcome in ("failed", "error"), result.reason
    assert result.measurement is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ignores-threads", "works-elsewhere"])
def test_more_threads_than_allowed_are_an_error_with_numbers(tmp_path, name):
    (result,) = time_until_told(tmp_path, PARTIAL, f"cheat:{name}", LONG).results
    assert (result.outcome, result.measurement) == ("error", None), result.reason
    assert "more threads than allowed" in result.reason
    assert "1 thread has at most" in result.reason


@pytest.mark.slow
def test_a_long_plan_is_shown_and_no_error(tmp_path):
    from harness.analysis.tables import result_rows

    run = time_until_told(tmp_path, PARTIAL, "cheat:plans-long", LONG)
    (row,) = result_rows(run)
    assert row["outcome"] == "passed", row["reason"]
    assert row["prepare_ns"] >= 50e6
    assert row["cores"] > 0
