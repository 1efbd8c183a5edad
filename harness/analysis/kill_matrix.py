"""The kill matrix: which law catches which planted fault; what catches nothing, and what survives, shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The first problem on which a law told a fault from a right implementation, and how."""

    law: str
    fault: str
    problem: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KillMatrix:
    """Laws x faults. `tried` counts the applications of laws; `complete` is whether every law met every fault."""

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
        """Laws that are the only one to catch some faults, with those faults."""
        found: dict[str, list[str]] = {}
        for fault in self.faults:
            killers = self.killers(fault)
            if len(killers) == 1:
                found.setdefault(killers[0], []).append(fault)
        return {law: tuple(faults) for law, faults in found.items()}

    @property
    def smallest(self) -> tuple[str, ...]:
        """A small set of laws that catches all that can be caught: each time the law that adds most (greedy cover)."""
        left, chosen = set(self.faults) - set(self.survivors), []
        while left:
            best = max(self.laws, key=lambda law: len(left & set(self.killed(law))))
            chosen.append(best)
            left -= set(self.killed(best))
        return tuple(chosen)
