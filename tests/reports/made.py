"""Runs made by hand, to hold reports to results that are known."""

from pathlib import Path

from harness.checking.deviation import Deviation
from harness.plugins.route import Route
from harness.record.run import Ending, Header, Result, Run

PLAIN = "conv x=1x2x9 w=3x2x3"


def observe(backend, law, observed, line=PLAIN, outcome="passed", **more):
    """A result of a law that looks at a declaration; no deviation where nothing was observed."""
    found = Deviation(kind="declared", worst=0.0 if outcome == "passed" else 2.0, compared=1, observed=observed)
    return result(backend, law, line, outcome, found if observed else None, **more)


def measure(backend, bits, line=PLAIN, outcome="passed", law="agrees-with-reference", vacuous=0):
    """A comparison of ten real numbers with the reference; bits None where there was no error."""
    worst = 0.5 if outcome == "passed" else 2.0
    found = Deviation(kind="bound", worst=worst, compared=10, vacuous=vacuous, effective_bits=bits)
    return result(backend, law, line, outcome, found)


def fail(backend="mine", line=PLAIN, **deviation):
    """A result of the reference's law that failed, with the reason that the harness gives it."""
    found = Deviation(**{
        "kind": "bound", "worst": 9.0, "compared": 10, "what": "y", "index": (0, 2, 1), "got": 3.5, "wanted": 1.25,
        "bound": 1e-6, **deviation,
    })  # fmt: skip
    return result(backend, "agrees-with-reference", line, "failed", found, reason=found.describe())


def result(backend, law, line, outcome, deviation, **more):
    """A result of any law, or of a timed cell where there is no law."""
    return Result(
        cell=0, suite="correctness", kind="correctness" if law else "speed", backend=backend, label="row", problem=line,
        law=law, formula=f"formula of {law}" if law else "", outcome=outcome, route=Route(kind="native"),
        deviation=deviation, **more,
    )  # fmt: skip


def make_run(*results, complete=True):
    """A run of these results, in their order."""
    backends = tuple(dict.fromkeys(one.backend for one in results))
    header = Header(
        format=1, created="", command="harness run", suites=("correctness",), backends=backends, cells=len(results),
        environment={},
    )  # fmt: skip
    return Run(path=Path("made"), header=header, results=results, ending=Ending(complete=complete))
