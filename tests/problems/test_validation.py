"""Public constructors: what is converted, and what is refused in one clear line."""

import numpy as np
import pytest

from harness import (  # fmt: skip
    Architecture,
    GeometryError,
    NamedProblem,
    Numerics,
    Operator,
    Problem,
    ProblemSet,
    Reporter,
    Suite,
    Timing,
    UsageError,
    Window,
    parse_line,
)
from harness.laws.law import Law

WINDOW = Window.of(1, padding=1)
GOOD = parse_line("conv x=1x2x9 w=3x2x3 pad=1")


def _problem(**changes):
    return Problem(**{"operator": Operator.conv, "x": (1, 2, 9), "w": (3, 2, 3), "window": WINDOW, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"operator": "conv"},
        {"x": [1, 2, 9]},
        {"w": [3, 2, 3]},
        {"x": tuple(np.array([1, 2, 9]))},
        {"x": [np.int64(1), 2, np.int32(9)]},
        {"window": Window(stride=[1], padding=[[1, 1]], dilation=[1])},
        {"window": Window(stride=(np.int64(1),), padding=([1, 1],), dilation=(1,))},
        {"window": Window.of(1, padding=[(1, 1)])},
    ],
)
def test_a_problem_of_names_and_lists_is_the_same_problem(changes):
    problem = _problem(**changes)
    assert problem == GOOD and hash(problem) == hash(GOOD) and problem.line == GOOD.line
    assert type(problem.operator) is Operator and {*map(type, (*problem.x, *problem.w))} == {int}


def test_lists_are_converted_everywhere():
    problem = Problem(
        operator="conv_transpose", x=[1, 3, 9], w=[3, 2, 3], window=Window.of(1, stride=2), output_padding=[1]
    )  # fmt: skip
    assert parse_line(problem.line) == problem and hash(problem)
    pool = Problem(
        operator="max_pool", x=[1, 2, 9], window=Window(stride=[2], padding=[(0, 0)], dilation=[1], kernel=[2])
    )
    assert parse_line(pool.line) == pool and hash(pool)
    assert GOOD.with_(operator="conv_input_grad").operator is Operator.conv_input_grad
    assert NamedProblem(name="n", problem=GOOD, laws=["tap-probe"]).laws == ("tap-probe",)
    suite = Suite(name="s", kind="correctness", description="", laws=["tap-probe"], parts=["speed"])
    assert (suite.laws, suite.parts) == (("tap-probe",), ("speed",)) and hash(suite)
    assert Architecture(name="a", description="", input=[3, 8, 8], build=print, small=8).input == (3, 8, 8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"operator": "convv"}, "unknown operator: got 'convv', wanted one of"),
        ({"operator": None}, "unknown operator: got 'None'"),
        ({"x": 9}, "x: got 9, wanted N, C and 1 to 3 sizes"),
        ({"x": "1x2x9"}, "x: got '1x2x9', wanted"),
        ({"x": (1.0, 2, 9)}, "x: got (1.0, 2, 9), wanted"),
        ({"x": (1, 2, "9")}, "x: got (1, 2, '9'), wanted"),
        ({"w": {3: 1}}, "w: got {3: 1}, wanted O, C/groups and a size per axis"),
        ({"window": {"stride": 1}}, "window: got {'stride': 1}, wanted a harness.Window"),
        ({"bias": "yes"}, "bias: got 'yes', wanted True or False"),
        ({"seed": 1.5}, "seed: got 1.5, wanted a whole number"),
        ({"dtype": np.dtype("float32")}, "unknown dtype: got 'dtype('float32')', wanted one of"),
    ],
)
def test_a_problem_of_wrong_types_says_which(changes, words):
    with pytest.raises((UsageError, GeometryError)) as caught:
        _problem(**changes)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Window(stride=1, padding=((0, 0),), dilation=(1,)), "stride: got 1, wanted a number per axis"),
        (lambda: Window(stride=(1,), padding=(1,), dilation=(1,)), "padding: got 1, wanted begin and end per axis"),
        (lambda: Window(stride=(1,), padding=((0, 0, 0),), dilation=(1,)), "padding: got ((0, 0, 0),), wanted begin"),
        (lambda: Window(stride=(1,), padding=1, dilation=(1,)), "padding: got 1, wanted begin and end per axis"),
        (lambda: Window.of(1, groups=1.0), "groups: got 1.0, wanted a whole number"),
        (lambda: Window.of(1, kernel=3), "kernel: got 3, wanted a number per axis"),
        (lambda: Window.of(1, ceil_mode="no"), "ceil_mode: got 'no', wanted True or False"),
        (lambda: Numerics(algorithm="ftt"), "unknown Numerics algorithm: got 'ftt', wanted one of direct, fft"),
        (lambda: Numerics(accumulator="float32"), "Numerics accumulator: got 'float32', wanted a dict"),
        (lambda: Numerics(accumulator={"float16": "flaot32"}), "got 'flaot32'"),
        (lambda: Numerics(rounds_input_to="tf23"), "did you mean 'tf32'?"),
        (lambda: Numerics(ties="frist"), "unknown Numerics ties: got 'frist'"),
        (lambda: Numerics(deterministic="no"), "Numerics deterministic: got 'no', wanted True or False"),
        (lambda: Numerics(tile=0), "Numerics tile: got 0"),
        (lambda: Numerics(algorithm="winograd", tile=8), "Numerics tile: got 8, wanted one of 2, 4, 6"),
        (lambda: NamedProblem(name="n", problem="conv x=1x2x9"), "problem: got 'conv x=1x2x9', wanted a harness.Prob"),
        (lambda: NamedProblem(name="n", problem=GOOD, multiplicity=0), "multiplicity: got 0"),
        (lambda: NamedProblem(name="n", problem=GOOD, laws="a"), "laws: got 'a', wanted a tuple of names"),
        (lambda: ProblemSet(name="p", description="", problems=()), "ProblemSet 'p', problems: got ()"),
        (lambda: Timing(passes=0), "Timing passes: got 0"),
        (lambda: Timing(blocks=3), "Timing blocks: got 3, wanted an even number"),
        (lambda: Timing(mode="warm"), "unknown Timing mode: got 'warm'"),
        (lambda: Timing(sample_s=float("nan")), "Timing sample_s: got nan"),
        (lambda: Suite(name="s", kind="sped", description=""), "got 'sped', wanted one of consensus, correctness"),
        (lambda: Suite(name="a b", kind="speed", description=""), "Suite name: got 'a b', wanted a word"),
        (lambda: Suite(name="s", kind="speed", description="", budget_s=0), "budget_s: got 0, wanted seconds above 0"),
        (lambda: Suite(name="s", kind="speed", description="", timing=3), "timing: got 3, wanted a harness.Timing"),
        (lambda: Suite(name="s", kind="speed", description="", bugs=()), "bugs: got (), wanted a function, or None"),
        (lambda: Reporter(name="r", description="", write=None), "write: got None, wanted a function"),
        (lambda: Architecture(name="a", description="", input=3, build=print, small=8), "input: got 3, wanted chan"),
        (lambda: Architecture(name="a", description="", input=(3, 8), build=1, small=8), "build: got 1, wanted a func"),
        (lambda: Law(name="l", formula="", remarks="", tolerance="exat", applies=print, needs=print, check=print),
         "unknown tolerance of law 'l': got 'exat', wanted one of bound, declared, exact"),
    ],
)  # fmt: skip
def test_other_constructors_say_what_is_wrong(make, words):
    with pytest.raises(UsageError) as caught:
        make()
    assert words in str(caught.value) and "\n" not in str(caught.value)
