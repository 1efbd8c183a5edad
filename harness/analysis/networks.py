"""Results of whole networks: verified times and laws by network, input and backend, and reasons for gaps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.networks.graph import Work
from harness.networks.problem import is_network_line, split_line
from harness.record.passes import Measurement
from harness.record.run import RAN, WRONG, Result, Run

if TYPE_CHECKING:
    from harness.analysis.statistics import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One network on one arm.

    given: input of the timed passes, as fields of the problem line. speed: results of timed passes, by work.
    laws: results of laws on this network, on any input.
    """

    network: str
    given: str
    arm: str
    backend: str
    speed: Mapping[Work, Result]
    laws: tuple[Result, ...]

    def measured(self, work: Work) -> Measurement | None:
        """Return the passes of a timed work; None if it was not timed, or its outputs are not verified."""
        found = self.speed.get(work)
        return None if found is None or found.outcome != "passed" or found.vacuous else found.measurement

    def why(self, work: Work) -> str | None:
        """Return the reason why a work has no time; None if it has one, or was not timed at all."""
        found = self.speed.get(work)
        if found is None or self.measured(work) is not None:
            return None
        return "its check proves nothing" if found.vacuous else found.told

    def time(self, work: Work) -> Estimate | None:
        """Return the median time of a pass; None if there is no verified time."""
        from harness.analysis.statistics import estimate_time

        measurement = self.measured(work)
        return estimate_time(measurement) if measurement is not None else None

    def gflops(self, work: Work) -> float | None:
        """Return the operations of all layers over the time, in GFLOP/s; None if either is unknown."""
        time, operations = self.time(work), self.figure("operations", work)
        return operations / time.value if time is not None and operations else None

    @property
    def step_to_forward(self) -> float | None:
        """Time of a step over that of a forward pass; None if either has no time."""
        forward, step = self.time("forward"), self.time("step")
        return step.value / forward.value if forward is not None and step is not None else None

    def figure(self, name: str, work: Work | Literal[""] = "") -> float | None:
        """Return a figure that results of this network show; None if none shows it.

        name: such as parameters, operations or activation bytes. work: look only at the timed pass of this work.
        """
        for result in (*self.speed.values(), *self.laws) if not work else filter(None, (self.speed.get(work),)):
            if result.attachments is not None and name in result.attachments.figures:
                return result.attachments.figures[name]
        return None

    def memory(self, name: str) -> int | None:
        """Return the maximum over the passes of a step, in bytes; None if unknown or 0.

        name: memory_bytes (measured) or workspace_bytes (declared).
        """
        measurement = self.measured("step")
        return max((getattr(one, name) for one in measurement.passes), default=0) or None if measurement else None

    @property
    def worst(self) -> float | None:
        """Largest error of the whole network in units of its bound."""
        found = [r.deviation.worst for r in self.laws if r.role == "network" and r.deviation is not None]
        return max(found, default=None)

    @property
    def ran(self) -> int:
        """Number of applications of laws that ran."""
        return sum(result.outcome in RAN for result in self.laws)

    @property
    def passed(self) -> int:
        """Number of applications of laws that passed and prove something."""
        return sum(result.outcome == "passed" and not result.vacuous for result in self.laws)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of broken laws."""
        return tuple(dict.fromkeys(result.law for result in self.laws if result.outcome in WRONG))

    @property
    def idle(self) -> tuple[str, ...]:
        """Laws that did not run or prove nothing, with the reason; laws with the same reason are counted."""
        found = Counter(result.told for result in self.laws if result.outcome not in RAN)
        names = {result.told: result.law for result in self.laws}
        told = [f"{names[words] if n == 1 else f'{n} laws'} {words}" for words, n in found.items()]
        return (*told, *(f"{result.law} proves nothing" for result in self.laws if result.vacuous))

    @property
    def wrong(self) -> bool:
        """True if a law is broken, or the result of a timed pass is wrong."""
        return bool(self.broken) or any(result.outcome in WRONG for result in self.speed.values())


def network_rows(run: Run) -> tuple[NetworkRow, ...]:
    """Return a row for every network, input and arm that was timed or tested by WHOLE_LAW.

    Sorted by the order of networks in the plan, then input, then arm.
    """
    speed: dict[tuple[str, str, str], dict[Work, Result]] = defaultdict(dict)
    laws: dict[tuple[str, str], list[Result]] = defaultdict(list)
    networks: dict[str, None] = {}
    backend_of: dict[str, str] = {}
    networks_of = {line for line in {result.problem for result in run.results} if is_network_line(line)}
    of_networks = (result for result in run.results if result.problem in networks_of) if networks_of else ()
    for result in sorted(of_networks, key=lambda result: result.cell):
        network, work, given = split_line(result.problem)
        networks[network], backend_of[result.arm] = None, result.backend
        if result.kind == "speed":
            speed[network, given, result.arm].setdefault(work, result)
        else:
            laws[network, result.arm].append(result)
    timed = {(network, arm) for network, _, arm in speed}
    asked = [key for key, found in laws.items() if any(result.role == "network" for result in found)]
    keys = [*speed, *((network, "", arm) for network, arm in asked if (network, arm) not in timed)]
    order, arms = list(networks), run.header.arm_names
    keys.sort(key=lambda key: (order.index(key[0]), key[1], arms.index(key[2])))
    return tuple(
        NetworkRow(
            network=network, given=given, arm=arm, backend=backend_of[arm], speed=speed.get((network, given, arm), {}),
            laws=tuple(laws.get((network, arm), ())),
        )
        for network, given, arm in keys
    )  # fmt: skip
