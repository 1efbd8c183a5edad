"""The drawn problems of `harness.generate`, small enough for tests that compute them with plain loops."""

from harness.generate import strategy
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import MATHS, REGIMES


def problems(*, largest=4, dtypes=DTYPES, regimes=REGIMES, operators=tuple(Operator)):
    return strategy.problems(
        operators=operators, largest=largest, dtypes=dtypes, regimes=regimes, maths=MATHS, tails=False, hollow=True
    )
