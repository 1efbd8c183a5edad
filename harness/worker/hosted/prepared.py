"""Calls in the backend's process, and their outputs, as laws take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.laws.subject import PreparedCall, check_form
from harness.problems.arrays import Array, Outputs
from harness.problems.calling import name_outputs
from harness.problems.problem import Problem
from harness.problems.reference import turn
from harness.worker.hosted.backend import HeldCall


@dataclass(frozen=True, slots=True)
class HeldPreparedCall(PreparedCall):
    """A call in the backend's process; it is made and its outputs are fetched by one message."""

    call: HeldCall

    def answer(self) -> dict[str, Array]:
        """Call once; return the outputs by name. Raises ValueError for a wrong shape or dtype."""
        return take_answer(self.problem, self.call.fetch())

    def fetch(self, result: Outputs) -> dict[str, Array]:
        """Return the outputs by name as new NumPy arrays. Raises ValueError for a wrong shape or dtype."""
        return take_answer(self.problem, self.call.backend.to_hosts(name_outputs(self.problem, result)))


def take_answer(problem: Problem, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return outputs that came from the backend's process. Raises ValueError for a wrong shape or dtype."""
    for name, a in outputs.items():
        check_form(problem, name, a)
    return turn(problem, outputs)
