"""Arming of gates: the check that this machine's verdicts can be trusted, and the settings of a gate."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from harness.analysis.qualification import Qualification, name_environment, qualification_file, read_qualification
from harness.plan.counting import Counting
from harness.plan.gate import DELTA, BaseBroken, Gate
from harness.plan.limits import Limit
from harness.problems.validation import check_one_of
from harness.record.environment import describe_environment

PER_CELL_S = 10.0
LEAST_BUDGET_S = 60.0


def read_known(threads: int | None) -> Qualification | None:
    """Read what is known of the verdicts of this machine; None where it was never qualified.

    threads: number of threads of the workers; verdicts are known for one number of threads alone.
    """
    return read_qualification(name_environment(describe_environment(threads)))


def make_gate(
    delta: float | None, known: Qualification | None, budget_s: float | None, cells: int, *, armed: bool
) -> Gate:  # fmt: skip
    """Make the gate of a comparison.

    delta: relative change that counts; by default 1 %, or the floor that the machine is known to have.
    known: what is known of the machine. budget_s: wall time of all passes; by default ten seconds for each of `cells`
    cells, and a minute at least. armed: True if the verdicts make the exit code.
    """
    floor = known.floor if known and not known.failures else 0.0
    return Gate(
        delta=max(DELTA, floor) if delta is None else delta,
        budget_s=max(LEAST_BUDGET_S, PER_CELL_S * cells) if budget_s is None else budget_s, armed=armed,
    )  # fmt: skip


def arm_gate(
    delta: float | None, resolve: float, threads: int | None, *, unqualified: bool, base_broken: BaseBroken = "fail",
    limits: tuple[Limit, ...] = (), counting: Counting | None = None,
) -> Gate:  # fmt: skip
    """Make the armed gate of two versions; it compares no times where the machine's verdicts cannot be trusted.

    delta: see `make_gate`. resolve: undecided cells pass where a slow-down of this share is ruled out; 0: none passes.
    threads: number of threads of the workers. unqualified: True to compare times on a machine never qualified.
    base_broken, limits: see `Gate`. Raises UsageError for another word of `base_broken`.
    counting: how instructions are counted, for which no machine has to be qualified.
    """
    check_one_of("base_broken", base_broken, get_args(BaseBroken))
    if counting is not None:
        return Gate(
            delta=counting.delta, armed=True, whole=True, resolve=resolve, base_broken=base_broken, limits=limits
        )  # fmt: skip
    known = read_known(threads)
    gate = replace(make_gate(delta, known, None, 0, armed=True), limits=limits)
    reason = None if known is None and unqualified else refuse(gate, known)
    if reason is not None and known is None:
        reason += ", or go on without knowing (--unqualified)"
    return replace(gate, whole=True, resolve=resolve, base_broken=base_broken, untimed=reason)


def refuse(gate: Gate, known: Qualification | None) -> str | None:
    """Return the reason why a gate may not be armed here; None where it may, or is not armed."""
    if not gate.armed:
        return None
    if known is None:
        return "this machine is not qualified; run `python -m harness qualify` here first"
    if known.failures:
        return (
            f"this machine failed its qualification: {'; '.join(known.failures)}; qualify it again, or forget what is "
            f"known of it by removing {qualification_file(known.environment)}"
        )
    least = min([gate.delta, *(one.delta for one in gate.limits if one.delta is not None)])
    if least < known.delta:
        return f"delta is {least:g}, but this machine is qualified for changes of {known.delta:g} and more"
    return None
