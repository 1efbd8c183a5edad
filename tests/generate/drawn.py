"""Problems as the search draws them."""

from hypothesis import HealthCheck, Phase, given, seed, settings

QUIET = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


def draw(strategy, count=200):
    """Problems as the search draws them: by tens, each ten with a seed of its own."""
    drawn = []
    for number in range(count // 10):

        @seed(number)
        @settings(max_examples=10, phases=(Phase.generate,), **QUIET)
        @given(strategy)
        def keep(problem):
            drawn.append(problem)

        keep()
    return drawn
