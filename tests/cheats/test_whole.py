"""A backend that deceives in timed passes of a network has no time, and one that does not is not called wrong."""

from dataclasses import replace
from functools import partial

import pytest

from harness.record.run import CANNOT_TELL, WRONG
from harness.worker.host import timed_problem
from harness.worker.host.execute import choose_subject, prepare, time_block
from harness.worker.protocol import Prepare, Sample, Sampled
from tests.cheats import whole
from tests.networks.small import NETWORKS

LINE = "network smooth step n=8 K=2"
BLOCKS = 12


@pytest.fixture
def ask(registry):
    """The first reply about a pass that is no time; None if all blocks have times."""

    def first_reply(backend, blocks=BLOCKS):
        chosen = partial(choose_subject, replace(registry, networks=NETWORKS), backend, LINE)
        session, reply = prepare(chosen, Prepare(problem=LINE, number=0, probe=True))
        if session is None:
            return reply
        replies = (time_block(session, Sample(budget_ns=1_000_000, warm_ns=0, least=2)) for _ in range(blocks))
        return next((one for one in replies if not isinstance(one, Sampled)), None)

    return first_reply


@pytest.mark.parametrize("kind", whole.WRONG_WHEN_TIMED)
def test_an_answer_of_the_first_block_is_verified(ask, kind):
    found = ask(kind(), blocks=1)
    assert found is not None and found.outcome == "failed", found


def test_answers_of_later_blocks_are_verified_too(ask, monkeypatch):
    monkeypatch.setattr(timed_problem, "VERIFIED_ONE_IN", 1)
    found = ask(whole.WrongInLaterPasses())
    assert found is not None and found.outcome == "failed"


@pytest.mark.parametrize("kind", whole.LATE)
def test_gradients_that_come_later_have_no_time(ask, kind):
    found = ask(kind())
    assert found is not None, "every block has times"
    assert found.outcome in (*WRONG, "skipped"), found


def test_gradients_that_come_after_they_are_read_are_wrong(ask):
    found = ask(whole.GradientsInAThread(), blocks=1)
    assert found is not None and found.outcome == "failed", found


def test_an_honest_backend_is_not_called_wrong(ask):
    found = ask(whole.SlowUntilTimed())
    assert found is None or (found.outcome == "skipped" and found.reason.startswith(CANNOT_TELL)), found
