"""Vote stage: every backend's worker answers; an outvoted backend is named, with the law that it breaks and where."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.execution.worker_supervisor import WorkerSupervisor
from harness.laws.consensus import VOTERS, Verdict, vote
from harness.laws.deviation import Deviation, statement
from harness.plan.cell import MAJORITY_FORMULA, Cell
from harness.plugins.manager import Registry
from harness.problems.problem import Problem
from harness.record.run import WRONG, Outcome, Result, result_of
from harness.worker.protocol import Answered, Checked

SILENT = Deviation(kind="structure", worst=0.0, compared=0, what="nothing that could be compared")


def hold_vote(registry: Registry, supervisors: Mapping[str, WorkerSupervisor], cells: Sequence[Cell]) -> list[Result]:
    """Ask the backends for their outputs on one problem and compare them; return one result for each cell.

    registry: plugins of this process.
    supervisors: by arm.
    cells: all of one problem, one for each arm.
    """
    from harness.worker.voting import read_outputs

    problem = cells[0].problem
    assert isinstance(problem, Problem), "the plan decides networks by itself"
    replies = {cell.arm: supervisors[cell.arm].answer(cell) for cell in cells}
    answers = {
        name: (read_outputs(reply), registry.backend(supervisors[name].backend).numerics_for(problem))
        for name, (reply, _, _) in replies.items() if isinstance(reply, Answered)
    }  # fmt: skip
    verdict = vote(problem, answers)
    results = []
    for cell in cells:
        reply, seconds, pid = replies[cell.arm]
        if isinstance(reply, Checked):
            outcome, reason, deviation = reply.outcome, reply.reason, None
        else:
            outcome, reason, deviation = judge_voter(verdict, cell.arm, len(answers))
        if outcome == "failed" and cell.arm in verdict.odd:
            reason = f"{reason}; {blame(registry, supervisors[cell.arm], cell)}"
        results.append(
            result_of(
                cell, outcome, reason=reason, deviation=deviation, formula=MAJORITY_FORMULA, seconds=seconds, worker=pid
            )
        )
    return results


def judge_voter(verdict: Verdict, name: str, voters: int) -> tuple[Outcome, str | None, Deviation | None]:
    """Return outcome, reason and deviation of one voter.

    verdict: of the vote.
    name: of the voter.
    voters: number of answers.
    A voter passes if it belongs to the majority, or, with a deviation that proves nothing, if it cannot be compared or
    no answers contradict each other. It fails if the majority contradicts it, or if answers contradict each other
    without a majority. With fewer than VOTERS answers and no contradiction it is skipped.
    """
    if name in verdict.odd:
        deviation = verdict.odd[name]
        return "failed", f"alone against {', '.join(verdict.majority)}: {deviation.describe()}", deviation
    if name in verdict.majority:
        others = [other for other in verdict.majority if other != name]
        return "passed", None, statement(True, f"agrees with {', '.join(others)}")
    if voters < VOTERS and not verdict.contradiction:
        return "skipped", verdict.text, None
    if name in verdict.silent or not verdict.contradiction:
        return "passed", None, SILENT
    return "failed", f"no majority: {verdict.text}", statement(False, verdict.text)


def blame(registry: Registry, supervisor: WorkerSupervisor, cell: Cell) -> str:
    """Describe the first law of the suite that an outvoted backend breaks, on whole numbers and on the problem itself.

    registry: plugins of this process.
    supervisor: of the outvoted backend.
    cell: of the vote.
    The comparison with the reference comes last: it only says that an answer is wrong, while another law says in which
    way.
    """
    names = sorted(registry.suite(cell.suite).laws, key=lambda name: registry.law(name).role == "reference")
    problems = dict.fromkeys((cell.problem.with_(data="integer"), cell.problem))
    for name, problem in itertools.product(names, problems):
        law = registry.law(name)
        if law.applies(problem):
            asked = replace(cell, kind="correctness", law=name, problem=problem, line=problem.line)
            found = supervisor.check(asked, law.formula)
            if found.outcome in WRONG:
                return f"it breaks {name}, {law.formula}, on {problem.line}: {found.reason or found.outcome}"
    return "it breaks no law by itself"
