"""Every cheat is caught, by the reason that it deserves, and none of its times is shown; an honest backend is not."""

import re

import pytest

import harness
from harness import BackendUnderTest, parse_line
from harness.analysis.exit_code import find_exit_code
from tests.cheats.once import time_until_told
from tests.conftest import ROOT

CHEATS = str(ROOT / "tests" / "cheats" / "timing.py")
PROBLEM = "conv x=4x16x32x32 w=16x16x3x3 pad=1"


KNOWN = {
    "remembers-address": "answers do not follow one changed element",
    "lazy": "results are computed when they are looked at",
    "remembers-contents": "answers are remembered: a call on inputs changed just before takes",
    "remembers-fingerprint": "answers do not follow one changed element",
    "plans-the-answer": "answers do not follow one changed element",
    "unfinished": "changed after synchronisation|answers do not follow one changed element",
    "unfinished-for-long": "changed after synchronisation|answers do not follow one changed element",
    "patched-clock": "its clock runs behind",
}
SOON = ("lazy",)
WRONG = ("remembers-address", "remembers-fingerprint", "plans-the-answer")  # the judge sees it itself
MAYBE_WRONG = ("unfinished", "unfinished-for-long")


@pytest.mark.parametrize(
    "cheat", [pytest.param(name, marks=[] if name in SOON else pytest.mark.slow) for name in KNOWN]
)
def test_a_cheat_is_caught_and_has_no_time(tmp_path, cheat):
    run = _time(tmp_path, cheat)
    (result,) = run.results
    # what is unfinished is wrong when it is judged, or was right then and has changed: that depends on the machine
    seen = cheat in WRONG or (cheat in MAYBE_WRONG and "wanted" in result.reason)
    assert (result.outcome, result.measurement) == ("failed" if seen else "error", None), result.reason
    assert re.search(KNOWN[cheat], result.reason)
    assert find_exit_code(run) == 1


def test_an_honest_backend_is_timed(tmp_path):
    (result,) = _time(tmp_path, "honest").results
    assert result.outcome == "passed", result.reason
    assert len(result.measurement.passes) == 1


@pytest.mark.parametrize("cheat", ["remembers-address", "plans-the-answer"])
def test_what_is_stale_is_wrong_in_a_timed_call_even_where_nothing_was_asked(registry, cheat, monkeypatch):
    from harness.plugins.manager import load_plugins
    from harness.worker.host.timed_problem import Session, open_session, sample
    from harness.worker.outcome import WrongAnswerError
    from harness.worker.protocol import Prepare, Sample

    backend = load_plugins([CHEATS]).backends[f"cheat:{cheat}"]
    subject = BackendUnderTest(backend, parse_line(PROBLEM))
    session = open_session(subject, Prepare(problem=PROBLEM, number=1, probe=False))
    monkeypatch.setattr(Session, "disagree", lambda *times: None)  # a busy machine interrupts each sample of such calls
    with pytest.raises(WrongAnswerError, match="in a timed call"):
        sample(session, Sample(budget_ns=1, warm_ns=0, least=20))


def _time(tmp_path, cheat):
    run = time_until_told(tmp_path, CHEATS, f"cheat:{cheat}", PROBLEM)
    assert isinstance(run, harness.Run)
    return run
