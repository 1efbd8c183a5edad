"""The problems of the suite correctness over which all laws are spread; the others are asked one law."""

from suites.correctness import apart_problems

APART = apart_problems()
ASKED = [one.problem for one in APART]


def list_asked(law):
    """Return the problems on which the suite asks a law."""
    return [one.problem for one in APART if law.name not in one.spared and law.applies(one.problem)]
