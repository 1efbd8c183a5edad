"""Every law of whole networks holds for a right backend and is broken by a faulty one."""

from dataclasses import replace

import pytest

from harness.laws.networks.subject import NetworkUnderTest
from harness.networks.problem import parse_network
from harness.record.run import WRONG
from suites.laws import networks
from suites.laws.networks import LAWS
from tests.asking import ask
from tests.faulty.backward import InputGradFlipped, WeightGradFlipped
from tests.faulty.right import Right
from tests.networks.small import NETWORKS, SMOOTH

FLOAT32, FLOAT64 = "network {} step n=2", "network {} step dtype=float64"
BY_NAME = {law.name: law for law in LAWS}


@pytest.fixture
def networks_registry(registry):
    return replace(registry, networks=NETWORKS)


def _outcomes(backend, registry, line):
    return {
        law.name: ask(backend, law, line, registry)
        for law in LAWS if law.applies(parse_network(line, registry.networks))
    }  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("fields", [FLOAT32, FLOAT64, FLOAT32 + " mixed=numpy-direct"])
def test_laws_hold_for_a_right_backend(name, fields, networks_registry):
    found = _outcomes(Right(), networks_registry, fields.format(name))
    assert found
    assert {reply.outcome for reply in found.values()} == {"passed"}, found


def test_every_law_is_asked_of_some_problem():
    lines = [FLOAT32.format("smooth"), FLOAT64.format("smooth"), FLOAT32.format("smooth") + " mixed=numpy-direct"]
    problems = [parse_network(line, NETWORKS) for line in lines]
    assert all(any(law.applies(problem) for problem in problems) for law in LAWS)
    assert not any(law.applies(parse_network("network smooth forward", NETWORKS)) for law in LAWS)


@pytest.mark.parametrize("fault", [InputGradFlipped, WeightGradFlipped])
@pytest.mark.parametrize(
    ("law", "fields"),
    [
        ("error-terms-layer-by-layer", FLOAT32),
        ("network-equals-autograd", FLOAT32),
        ("mixed-backends-agree", FLOAT32 + " mixed=numpy-direct"),
        ("loss-follows-its-gradient", FLOAT64),
    ],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_laws_are_broken_by_wrong_gradients(law, fields, name, fault, networks_registry):
    assert ask(fault(), BY_NAME[law], fields.format(name), networks_registry).outcome in WRONG


def test_a_graph_that_is_not_the_published_one_is_seen(networks_registry):
    other = replace(SMOOTH, published=SMOOTH.published + 1)
    registry = replace(networks_registry, networks={"smooth": other})
    found = ask(Right(), networks.parameters_are_those_published, FLOAT32.format("smooth"), registry)
    assert found.outcome == "failed"
    assert f"wanted {SMOOTH.published + 1}" in found.reason


def test_a_partner_computes_every_other_operator_and_what_is_lacking(networks_registry):
    problem = parse_network(FLOAT32.format("branched") + " mixed=numpy-direct", NETWORKS)
    backends = networks_registry.backends
    right = NetworkUnderTest(Right(), problem, backends["numpy-direct"])
    assert right.theirs == {"max", "up"}  # of stem, max, strided, up, pool
    fft = NetworkUnderTest(backends["fft"], problem, backends["numpy-direct"])
    assert "max" in fft.theirs
    assert ask(backends["fft"], networks.mixed_backends_agree, problem.line, networks_registry).outcome == "passed"


def test_what_a_backend_lacks_and_nobody_stands_in_for_is_unsupported(networks_registry):
    fft = networks_registry.backends["fft"]
    found = ask(fft, networks.network_equals_autograd, FLOAT32.format("branched"), networks_registry)
    assert (found.outcome, found.reason) == ("unsupported", "fft has no max_pool")


def test_a_backend_is_not_mixed_with_itself(networks_registry):
    direct = networks_registry.backends["numpy-direct"]
    line = FLOAT32.format("smooth") + " mixed=numpy-direct"
    assert ask(direct, networks.mixed_backends_agree, line, networks_registry).outcome == "unsupported"


class SlightlyWrong(Right):
    """Kernel gradients are too large by a ten-thousandth."""

    def conv_weight_grad(self, dy, x, w_shape, window):
        return 1.0001 * super().conv_weight_grad(dy, x, w_shape, window)


@pytest.mark.parametrize("name", NETWORKS)
def test_small_errors_of_gradients_are_seen_by_the_taylor_test(name, networks_registry):
    found = ask(SlightlyWrong(), networks.loss_follows_its_gradient, FLOAT64.format(name), networks_registry)
    assert found.outcome == "failed"
    assert "in h, wanted 2" in found.reason


@pytest.mark.parametrize(
    ("remainders", "passed"),
    [
        ([1e-2, 1e-2 / 16, 1e-2 / 256], True),
        ([1e-2, 1e-2 / 4, 1e-2 / 16], False),
        ([1e-2, 1e-2 / 16, 1e-2 / 64], False),
        ([1e-2, 1e-2 / 4, 1e-2 / 64, 1e-2 / 1024], True),
        ([1e-2, 1e-2 / 16, 1e-2 / 256, 1e-2 / 256], False),
        ([1e-2, 1e-2 / 16, 1e-9, 2e-9], True),
        ([0.0, 0.0], True),
    ],
)
def test_the_order_of_a_remainder_is_that_of_its_last_falls_above_rounding(remainders, passed):
    assert networks.judge_remainders(remainders, [1.0] * len(remainders), 1e-8).passed == passed


def test_a_taylor_test_of_which_rounding_hides_everything_proves_nothing():
    hidden, seen = (
        networks.judge_remainders([1e-9, 1e-9], [1e-9] * 2, 1e-8),
        networks.judge_remainders([0.0], [1.0], 1e-8),
    )
    assert hidden.proves_nothing
    assert not seen.proves_nothing
