"""Routes and their reasons."""

import pytest

import harness
from harness.backend.routing import Route, find_route, refusal_reason
from harness.plugins.manager import Registry
from harness.worker.host.answer import State, answer
from harness.worker.protocol import Start

PROBLEM = harness.parse_line("conv x=1x2x9 w=3x2x3")


class Terse(harness.Backend):
    """A backend whose answers are set by a test."""

    name = "terse"

    def __init__(self, says):
        self.says = says

    def conv(self, x, w, b, window):
        raise NotImplementedError

    def probe(self):
        return self.says

    def supports(self, problem):
        return self.says


@pytest.mark.parametrize(
    ("says", "reason"),
    [(None, None), ("no such device", "no such device"), ("", "terse does not support it and gives no reason")],
)
def test_a_refusal_has_a_reason_and_support_has_none(says, reason):
    assert refusal_reason(Terse(says), PROBLEM) == reason
    route = find_route(Terse(says), PROBLEM)
    assert (route.kind, route.reason) == ("native" if reason is None else "unsupported", reason)


@pytest.mark.parametrize(("says", "reason"), [(None, None), ("", None), ("no such device", "no such device")])
def test_a_probe_without_a_reason_is_carried_as_none(says, reason):
    start = Start(plugins=(), extra=(), backend="terse")
    assert answer(State(registry=Registry(backends={"terse": Terse(says)}), start=start), start).reason == reason


def test_the_words_of_a_route():
    assert [str(Route(kind="native")), str(Route(kind="derived", via="conv"))] == ["native", "derived via conv"]
    assert str(Route(kind="unsupported", reason="too large")) == "unsupported: too large"
    assert str(Route(kind="unsupported")) == "unsupported"
