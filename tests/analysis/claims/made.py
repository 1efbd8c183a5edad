"""Results and runs with claims, made by hand."""

import datetime
from dataclasses import replace

from harness.backend.routing import Route
from harness.laws.deviation import Deviation
from harness.plan.claims.rows import Claims, KnownFault, Promise, Scope
from tests.reports.made import make_run, result

LINE, HALF = "conv x=1x2x9 w=3x2x3", "conv x=1x2x9 w=3x2x3 dtype=float16"
WRONG = "y[0]: got 1, wanted -1 exactly; got the wanted value negated"
PROMISE = Promise(scope=Scope(backend="mine", operators=("conv",)))
FAULT = KnownFault(
    scope=Scope(backend="mine", problems=("conv *dtype=float16*",)), law="tap-probe", outcome="failed",
    diagnosis="*got the wanted value negated*", reason="sign", link="https://example.org/1",
    expires=datetime.date(2027, 3, 31),
)  # fmt: skip
GOOD = Deviation(kind="exact", worst=0.0, compared=4)
NOTHING = Deviation(kind="bound", worst=0.0, compared=4, vacuous=4)
NO_ROUTE = Route(kind="unsupported", reason="mine has no conv")


def cell(outcome="passed", line=LINE, law="tap-probe", backend="mine", worst=9.0, **more):
    """A result, with what its outcome needs."""
    found = {"passed": GOOD, "failed": Deviation(kind="bound", worst=worst, compared=4)}.get(outcome)
    deviation = more.pop("deviation", found)
    if outcome == "failed":
        more.setdefault("reason", WRONG)
    if outcome == "unsupported":
        more.setdefault("route", NO_ROUTE)
    route = more.pop("route", Route(kind="native"))
    return replace(result(backend, law, line, outcome, deviation, **more), route=route)


def judged(*results, promises=(PROMISE,), faults=(), created="2027-01-01T00:00:00+0000"):
    """A run of these results with claims."""
    run = make_run(*(replace(one, cell=number) for number, one in enumerate(results)))
    claims = Claims(file="claims.toml", promises=tuple(promises), faults=tuple(faults))
    return replace(run, header=replace(run.header, claims=claims, created=created))
