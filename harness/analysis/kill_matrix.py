"""The kill matrix: which law catches which planted fault, which laws catch nothing, and which faults survive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.record.run import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The first problem on which a law distinguished a fault from a right implementation, and its result."""

    law: str
    fault: str
    problem: str
    outcome: Outcome
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KillMatrix:
    """Laws x faults.

    kills: by (law, fault); a pair without an entry was not caught. tried: number of applications of laws.
    complete: True if every law was tried on every fault.
    """

    faults: tuple[str, ...]
    laws: tuple[str, ...]
    kills: Mapping[tuple[str, str], Kill]
    tried: int = 0
    complete: bool = True

    def killers(self, fault: str) -> tuple[str, ...]:
        """Laws that catch a fault."""
        return tuple(law for law in self.laws if (law, fault) in self.kills)

    def killed(self, law: str) -> tuple[str, ...]:
        """Faults that a law catches."""
        return tuple(fault for fault in self.faults if (law, fault) in self.kills)

    @property
    def survivors(self) -> tuple[str, ...]:
        """Faults that no law catches."""
        return tuple(fault for fault in self.faults if not self.killers(fault))

    @property
    def idle(self) -> tuple[str, ...]:
        """Laws that catch no fault."""
        return tuple(law for law in self.laws if not self.killed(law))

    @property
    def unique(self) -> dict[str, tuple[str, ...]]:
        """Map each law that is the only one to catch some faults to those faults."""
        found: dict[str, list[str]] = {}
        for fault in self.faults:
            killers = self.killers(fault)
            if len(killers) == 1:
                found.setdefault(killers[0], []).append(fault)
        return {law: tuple(faults) for law, faults in found.items()}

    @property
    def smallest(self) -> tuple[str, ...]:
        """A small set of laws that catches every fault that any law catches, by greedy set cover."""
        left, chosen = set(self.faults) - set(self.survivors), []
        while left:
            best = max(self.laws, key=lambda law: len(left & set(self.killed(law))))
            chosen.append(best)
            left -= set(self.killed(best))
        return tuple(chosen)
