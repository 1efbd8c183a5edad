"""Right but different implementations under every law, 1 000 seeds each; a single alarm is a failure.

`python -m pytest tests/benchmarks/bench_false_alarms.py -n 2`; some minutes on two cores.
"""

import random
from collections import Counter
from pathlib import Path

import pytest

from harness import Operator, parse_line
from harness.backend.routing import find_route
from harness.generate.build import Choices, build_problem, fitting_regimes, spread_choices
from harness.generate.domains import TINY, VOLUME
from harness.plugins.manager import load_plugins
from harness.record.run import WRONG
from suites.laws import all_laws
from tests.asking import ask

SEEDS = 1000
CONTROLS = Path(__file__).parent.parent / "controls"
NAMES = ("control:shuffled", "control:blocked", "control:tf32", "control:winograd-2", "control:winograd-4", "fft")


def any_problem(rng):
    """A problem of any operator, window, dtype and regime."""
    axes = rng.choice((1, 2, 2, 3))
    tier, operator = VOLUME if axes == 3 else TINY, rng.choice(list(Operator))
    dtype = rng.choice(("float32", "float32", "float64", "float16"))
    data = rng.choice(fitting_regimes(operator, dtype))

    def each(domain):
        return tuple(rng.choice(domain) for _ in range(axes))

    choices = Choices(
        operator=operator, out=each(tier.size), kernel=each(tier.kernel), stride=each(tier.stride),
        dilation=each(tier.dilation), begin=each(tier.padding), end=each(tier.padding), remainder=each(tier.stride),
        batch=rng.choice(tier.batch), channels=rng.choice(tier.channels), groups=rng.choice(tier.groups),
        outputs=rng.choice(tier.outputs), bias=rng.random() < 0.5, flip=rng.random() < 0.2, ceil=rng.random() < 0.5,
        exclude_pad=rng.random() < 0.5, dtype=dtype,
        math=rng.choice(("ieee", "tf32")), layout=rng.choice(("channels-first", "channels-last")), data=data,
        seed=rng.randrange(2**31),
    )  # fmt: skip
    return build_problem(spread_choices(choices, tier))


def filtered_problem(rng):
    """A 3x3 convolution of stride 1, or its input gradient, which minimal filtering can do."""
    n, c, o, h, w = (rng.randint(1, most) for most in (3, 40, 5, 16, 16))
    pads = [rng.randint(0, 3) for _ in range(4)]
    operator = rng.choice(("conv", "conv_input_grad"))
    bias = " bias" if operator == "conv" and rng.random() < 0.5 else ""
    data = rng.choice(fitting_regimes(Operator.conv, "float32"))
    return parse_line(
        f"{operator} x={n}x{c}x{h + 2}x{w + 2} w={o}x{c}x3x3{bias} pad={pads[0]}:{pads[1]},{pads[2]}:{pads[3]} "
        f"dtype={rng.choice(('float32', 'float64'))} data={data} seed={rng.randrange(2**31)}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_false_alarm(name, benchmark):
    registry = load_plugins([str(path) for path in sorted(CONTROLS.glob("*.py"))])
    backend, laws, outcomes, alarms = registry.backend(name), all_laws(), Counter(), []
    draw = filtered_problem if "winograd" in name else any_problem

    def run():
        for seed in range(SEEDS):
            problem = draw(random.Random(seed))
            while find_route(backend, problem).kind == "unsupported":
                seed += SEEDS
                problem = draw(random.Random(seed))
            for law in laws:
                if law.applies(problem):
                    found = ask(backend, law, problem.line)
                    outcomes[found.outcome] += 1
                    if found.outcome in WRONG:
                        alarms.append(f"{law.name} on {problem.line}: {found.reason}")

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(seeds=SEEDS, alarms=len(alarms), **outcomes)
    print(f"{name}: {SEEDS} seeds, {sum(outcomes.values())} applications of laws, {dict(outcomes)}")
    assert not alarms, "\n".join(alarms[:20])
