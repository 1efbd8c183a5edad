"""Hunt for conditioned faults: the problems of the default suite that strike one, and the first that kills it."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.problems import LAW
from harness.problems.operator import Operator
from harness.record.run import WRONG
from suites.correctness import asked_problems
from suites.laws import all_laws
from tests.asking import ask
from tests.planting.calls import as_seen
from tests.planting.conditioned import Conditioned

ADDED = ("dispatch/", "counts/", "layers/", "rare/", "precise/")  # problems that stand for the model of dispatch


class Pool:
    """Problems of one operator, cheap ones first, and for every condition where it holds; made when it is asked for."""

    def __init__(self, operator, problems):
        self.problems = sorted(problems, key=lambda problem: problem.flops + 100 * problem.bytes)
        self.seen = [as_seen(problem) for problem in self.problems]
        self.conditions = {one.name: one.holds for one in conditions_for(operator)}
        self.columns = {}

    def column(self, name):
        """Return for every problem whether a condition of the model holds."""
        if name not in self.columns:
            holds = self.conditions[name]
            self.columns[name] = np.fromiter(map(holds, self.seen), bool, len(self.seen))
        return self.columns[name]

    def struck(self, plan):
        """Return the problems on which all conditions of a plan hold."""
        found = np.ones(len(self.seen), bool)
        for name in plan.conditions:
            found &= self.column(name)
        places = np.flatnonzero(found)
        return [self.problems[at] for at in places if plan.also is None or plan.also(self.seen[at])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunted:
    """Outcome of a fault.

    problem: the one that killed it, empty if it survives. struck: number of problems on which its conditions hold.
    asked:
    number of them that were asked. changed: number on which its spoil changed the answer; on the others it is no fault.
    """

    problem: str
    struck: int
    asked: int
    changed: int


@cache
def suite_pool(operator, dispatch=True):
    """Return the problems of suite `correctness` for an operator, with or without those on specialised paths."""
    asked = [one for one in asked_problems() if dispatch or not one.name.startswith(ADDED)]
    return Pool(operator, [one.problem for one in asked if one.problem.operator is operator])


def find_killer(fault, first=""):
    """Return the first problem on which a backend that is wrong in some of its methods is caught, or None.

    first: how the names of the problems begin that are asked before all others; of these, cheap ones come first.
    """
    for operator in Operator:
        if operator.value in vars(type(fault)):
            named = [one.problem for one in asked_problems() if first and one.name.startswith(first)]
            early = [problem for problem in named if problem.operator is operator]
            for problem in (*early, *suite_pool(operator).problems):
                if ask(fault, anchor(), problem.line).outcome in WRONG:
                    return problem
    return None


@cache
def anchor():
    """Return the law that compares with the reference."""
    return next(law for law in all_laws() if law.name == LAW)


def hunt(plan, dispatch=True):
    """Ask the law that compares with the reference of a fault's problems in turn, until the fault is killed."""
    backend, struck = Conditioned(plan), suite_pool(plan.operator, dispatch).struck(plan)
    changed = 0
    for number, one in enumerate(struck):
        backend.changed = False
        killed = ask(backend, anchor(), one.line).outcome in WRONG
        changed += backend.changed
        if killed:
            return Hunted(problem=one.line, struck=len(struck), asked=number + 1, changed=changed)
    return Hunted(problem="", struck=len(struck), asked=len(struck), changed=changed)


def list_survivors(plans):
    """Return what became of those faults that nothing kills, by their names."""
    found = {plan.title: hunt(plan) for plan in plans}
    return {title: one for title, one in found.items() if not one.problem}
