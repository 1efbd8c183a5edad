"""What a run says of whole networks: by network, input and backend the verified times, laws, and what is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.networks.problem import is_network_line, split_line
from harness.record.run import RAN, WRONG, Measurement, Result, Run

if TYPE_CHECKING:
    from harness.analysis.statistics import Estimate

WORKS = ("forward", "step")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One network on one backend.

    given: what it was timed on, as fields of its line. speed: results of timed passes, by work. laws: results of laws
    on this network, on whatever input.
    """

    network: str
    given: str
    backend: str
    speed: Mapping[str, Result]
    laws: tuple[Result, ...]

    def measured(self, work: str) -> Measurement | None:
        """Passes of a timed work; None where it was not timed, or its answers are not verified."""
        found = self.speed.get(work)
        return None if found is None or found.outcome != "passed" or found.vacuous else found.measurement

    def why(self, work: str) -> str:
        """Why a work has no time; empty where it has one, or was not asked for one."""
        found = self.speed.get(work)
        if found is None or self.measured(work) is not None:
            return ""
        return "its check proves nothing" if found.vacuous else f"{found.outcome}: {found.reason}"

    def time(self, work: str) -> Estimate | None:
        """Median time of a pass."""
        from harness.analysis.statistics import estimate_time

        measurement = self.measured(work)
        return estimate_time(measurement) if measurement is not None else None

    def gflops(self, work: str) -> float | None:
        """Operations of all layers over the time, in GFLOP/s."""
        time, operations = self.time(work), self.figure("operations", work)
        return operations / time.value if time is not None and operations else None

    def figure(self, name: str, work: str = "") -> float | None:
        """What results of this network show: parameters; operations or activation bytes of a work."""
        for result in (*self.speed.values(), *self.laws) if not work else filter(None, (self.speed.get(work),)):
            if result.exhibit is not None and name in result.exhibit.figures:
                return result.exhibit.figures[name]
        return None

    def memory(self, name: str) -> int | None:
        """Most bytes of a step that a pass measured (memory_bytes) or declared (workspace_bytes); None for none."""
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
        """Number of those that passed and prove something."""
        return sum(result.outcome == "passed" and not result.vacuous for result in self.laws)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of laws that are broken."""
        return tuple(dict.fromkeys(result.law for result in self.laws if result.outcome in WRONG))

    @property
    def idle(self) -> tuple[str, ...]:
        """Laws that did not run, or prove nothing, with the reason; those that share one are counted."""
        found = Counter((result.outcome, result.reason) for result in self.laws if result.outcome not in RAN)
        names = {(result.outcome, result.reason): result.law for result in self.laws}
        told = [f"{names[key] if n == 1 else f'{n} laws'} {key[0]}: {key[1]}" for key, n in found.items()]
        return (*told, *(f"{result.law} proves nothing" for result in self.laws if result.vacuous))

    @property
    def wrong(self) -> bool:
        """Whether a law is broken, or a timed pass is not what it must be."""
        return bool(self.broken) or any(result.outcome in WRONG for result in self.speed.values())


def network_rows(run: Run) -> tuple[NetworkRow, ...]:
    """A row for every network, input and backend that was timed, or asked for its error, in the order of the plan."""
    speed: dict[tuple[str, str, str], dict[str, Result]] = defaultdict(dict)
    laws: dict[tuple[str, str], list[Result]] = defaultdict(list)
    networks: dict[str, None] = {}
    for result in sorted(run.results, key=lambda result: result.cell):
        if is_network_line(result.problem):
            network, work, given = split_line(result.problem)
            networks[network] = None
            if result.kind == "speed":
                speed[network, given, result.backend].setdefault(work, result)
            else:
                laws[network, result.backend].append(result)
    timed = {(network, backend) for network, _, backend in speed}
    asked = [key for key, found in laws.items() if any(result.role == "network" for result in found)]
    keys = [*speed, *((network, "", backend) for network, backend in asked if (network, backend) not in timed)]
    order, backends = list(networks), run.header.backends
    keys.sort(key=lambda key: (order.index(key[0]), key[1], backends.index(key[2])))
    return tuple(
        NetworkRow(
            network=network, given=given, backend=backend, speed=speed.get((network, given, backend), {}),
            laws=tuple(laws.get((network, backend), ())),
        )
        for network, given, backend in keys
    )  # fmt: skip
