"""Runs made by hand, to hold reports to results that are known."""

from dataclasses import replace
from pathlib import Path

from harness.backend.routing import Route
from harness.laws.attachments import Attachments
from harness.laws.deviation import Deviation
from harness.plan.gate import Gate
from harness.record.passes import Block, Measurement, Pass
from harness.record.run import FORMAT, ArmRecord, Ending, Header, Result, Run

PLAIN = "conv x=1x2x9 w=3x2x3"
FIGURES = {"parameters": 1234.0, "operations": 5e5, "activation bytes": 2.0 * 2**20}  # of a network


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
    """A result of the reference's law that failed, with the harness's own reason."""
    found = Deviation(**{
        "kind": "bound", "worst": 9.0, "compared": 10, "what": "y", "index": (0, 2, 1), "got": 3.5, "wanted": 1.25,
        "bound": 1e-6, **deviation,
    })  # fmt: skip
    return result(backend, "agrees-with-reference", line, "failed", found, reason=found.describe())


ROLES = {
    "agrees-with-reference": "reference", "arithmetic-is-declared": "arithmetic", "network-equals-autograd": "network",
}  # fmt: skip


def result(backend, law, line, outcome, deviation, **more):
    """A result of any law, or of a timed cell where there is no law."""
    more = {"role": ROLES.get(law, ""), "arm": backend, **more}
    return Result(
        cell=0, suite="correctness", kind="correctness" if law else "speed", backend=backend, label="row", problem=line,
        law=law, formula=f"formula of {law}" if law else "", outcome=outcome, route=Route(kind="native"),
        deviation=deviation, **more,
    )  # fmt: skip


def make_run(*results, complete=True):
    """A run of these results, in their order."""
    arms = tuple(dict.fromkeys(one.arm for one in results))
    header = Header(
        format=FORMAT, created="", command="harness run", suites=("correctness",), arm_names=arms, cells=len(results),
        environment={},
    )  # fmt: skip
    return Run(path=Path("made"), header=header, results=results, ending=Ending(complete=complete))


def time_cell(number, arm, medians_ns, line=PLAIN, suite="speed-short", dropped=(), **more):
    """A timed cell: a pass for every median, of two blocks of three samples each around it.

    dropped: reasons by number of the block over all passes, such as {1: "too busy"}.
    """
    dropped = dict(dropped)
    passes = tuple(
        Pass(
            number=n, process=100 + n, loops=10, warmups=2, clock="host", device="cpu", prepare_ns=5000,
            first_call_ns=9000, samples_ns=(0.9 * ns, ns, 1.2 * ns) * 2, host_ns=60.0 * ns, memory_bytes=4096 * (n + 1),
            workspace_bytes=64,
            blocks=tuple(
                Block(
                    visit=2 * b, count=3, warmups=1, wall_ns=7000, control_ns=800, dropped=dropped.get(2 * n + b),
                    readings={"steal_ticks": 1.0, "load1": 0.5},
                )
                for b in (0, 1)
            ),
        )
        for n, ns in enumerate(medians_ns)
    )  # fmt: skip
    outcome = more.pop("outcome", "passed")
    if suite.startswith("qualify"):
        more.setdefault("slowdown", float(suite.partition("+")[2] or 0) / 100)
    return Result(
        cell=number, suite=suite, kind="speed", arm=arm, backend=more.pop("backend", arm),
        label=more.pop("label", f"row {line}"), problem=line, law="", outcome=outcome, route=Route(kind="native"),
        **more, measurement=Measurement(passes=passes) if passes else None,
    )  # fmt: skip


def time_network(number, backend, line, medians_ns, parts=None, **more):
    """A timed pass over a network of these layers, by problem line and how often; one of PLAIN where none are given."""
    attachments = Attachments(figures=FIGURES, parts={PLAIN: 1} if parts is None else parts)
    found = Deviation(kind="bound", worst=0.5, compared=9, attachments=attachments)
    return time_cell(number, backend, medians_ns, line, **{"suite": "networks-speed", "deviation": found, **more})


def check_network(backend, worst, law="network-equals-autograd", line="network made step n=2 size=8"):
    """A law of whole networks, broken where the error is beyond its bound."""
    found = Deviation(kind="norm", worst=worst, compared=9, what="norm of the error of y")
    well = worst <= 1
    return result(backend, law, line, "passed" if well else "failed", found, reason=None if well else "far off")


def compare_arms(*results, families=(("base", "f"), ("new", "f")), delta=0.01, budget_s=60.0, dirty=True):
    """A complete run that compared these arms; the first of a family is its base."""
    arms = tuple(
        ArmRecord(
            name=name, backend="mine", family=family, revision=f"{n}123456789abcdef", interpreter="/usr/bin/python",
            dirty=dirty and n > 0,
        )
        for n, (name, family) in enumerate(families)
    )  # fmt: skip
    header = Header(
        format=FORMAT, created="2026-01-01T00:00:00", command="harness versus", suites=("speed-short",),
        cells=len(results), arm_names=tuple(arm.name for arm in arms), environment={"fingerprint": "f00d"}, arms=arms,
        gate=Gate(delta=delta, budget_s=budget_s),
    )  # fmt: skip
    results = tuple(replace(one, backend="mine") for one in results)
    return Run(path=Path("made"), header=header, results=results, ending=Ending(complete=True))


def spread(centre_ns, passes=13, share=0.001):
    """Medians of passes around a centre, alternately above and below it."""
    return [centre_ns * (1 + share * (-1) ** n * (1 + n % 3)) for n in range(passes)]
