"""Problems as drawn by the search."""

from hypothesis import HealthCheck, Phase, given, seed, settings

QUIET = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


def draw(strategy, count=200):
    """Draw problems like the search: in groups of ten, each with its own seed."""
    drawn = []
    for number in range(count // 10):

        @seed(number)
        @settings(max_examples=10, phases=(Phase.generate,), **QUIET)
        @given(strategy)
        def keep(problem):
            drawn.append(problem)

        keep()
    return drawn
