"""Calls that meet in the backend's process are judged outside of it."""

from types import SimpleNamespace

import numpy as np
import pytest

import harness
from harness.laws.meeting import LEAST_CALLS, MOST_CALLS, Caller, Overlapping
from harness.worker.hosted import meetings
from harness.worker.hosted.meetings import HostedMeetings
from tests.conftest import ROOT

PLUGINS = [str(ROOT / "tests" / "hostile" / "meeting.py"), str(ROOT / "tests" / "faulty" / "state.py")]
LINE = "conv x=2x3x5x6 w=5x3x3x2 stride=2,1 pad=1:0,0:1 data=integer"
OUTCOMES = {
    "im2col": ("passed", ""),
    "faulty:shared-scratch": ("failed", "at state.py:"),
    "meeting:approves-itself": ("failed", "at state.py:"),
    "meeting:plans-share-scratch": ("failed", "of the problem in the middle of which"),
    "meeting:exits-in-a-thread": ("failed", "raised SystemExit"),
    "meeting:leaves-answers-out": ("crashed", "wanted the answers of all callers"),
    "meeting:stops-nowhere": ("crashed", "wanted the answers of all calls at each stop"),
    "meeting:leaves-stops-out": ("crashed", "wanted the answers of all calls at each stop"),
}


@pytest.mark.parametrize(
    "names",
    [("meeting:approves-itself",), pytest.param(tuple(OUTCOMES), marks=pytest.mark.slow)],
    ids=["wrong", "all"],
)
def test_what_meets_is_judged_elsewhere(tmp_path, names):
    run = harness.run(
        "correctness", backends=names, problems=[LINE], laws=["calls-at-once-agree"], plugins=PLUGINS,
        output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    found = {result.arm: result for result in run.results}
    assert {name: one.outcome for name, one in found.items()} == {name: OUTCOMES[name][0] for name in names}, {
        name: one.reason for name, one in found.items()
    }
    for name in names:
        assert OUTCOMES[name][1] in (found[name].reason or ""), found[name].reason


PROBLEM = harness.parse_line(LINE)
ANSWER = {"y": np.zeros(PROBLEM.y, np.float32)}


class UntrueError(Exception):
    """Stands for the end of the backend's process."""


def _let_overlap(answers, monkeypatch, *, least_s):
    """Answers as the judge takes them from a reply that comes at once, where calls take at least so long."""
    monkeypatch.setattr(meetings, "OVERLAP_S", least_s)
    call = SimpleNamespace(call=SimpleNamespace(request=lambda outputs: None))
    monkeypatch.setattr(meetings, "HeldPreparedCall", SimpleNamespace)
    host = SimpleNamespace(
        ask_on=lambda request, placed: Overlapping(answers, ended=True), expect=lambda reply, kind: reply,
        take_outputs=lambda reply, names: reply, end_unexpected=lambda reply, wanted: UntrueError(wanted),
    )  # fmt: skip
    callers = [Caller(PROBLEM, call)] * 2
    return HostedMeetings(host, lambda problem, arrays: dict(arrays)).overlap(callers).answers


def test_calls_at_once_take_the_time_that_they_were_given(monkeypatch):
    few, many = (ANSWER,) * LEAST_CALLS, (ANSWER,) * MOST_CALLS
    assert _let_overlap((few, few), monkeypatch, least_s=0.0) == (few, few)
    assert _let_overlap((many, many), monkeypatch, least_s=1e9) == (many, many)
    for answers in ((few, few), (many, few)):
        with pytest.raises(UntrueError):
            _let_overlap(answers, monkeypatch, least_s=1e9)


@pytest.mark.parametrize("answers", [(), ((ANSWER,) * LEAST_CALLS,), ((ANSWER,), (ANSWER,)), ((), ())])
def test_no_answer_is_left_out(answers, monkeypatch):
    with pytest.raises(UntrueError):
        _let_overlap(answers, monkeypatch, least_s=0.0)


def test_an_exception_is_the_last_answer_and_a_wrong_form_is_one(monkeypatch):
    raised, bad = ValueError("no"), {"y": np.zeros(3, np.float32)}
    first, second = _let_overlap(((raised,), (bad,) * LEAST_CALLS), monkeypatch, least_s=0.0)
    assert first == (raised,)
    assert all(isinstance(one, ValueError) for one in second)
