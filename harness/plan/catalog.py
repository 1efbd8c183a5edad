"""The catalog: everything that a plan can name, and the errors for unknown names."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.backend.base import Backend
from harness.errors import unknown
from harness.laws.law import Law
from harness.networks.architecture import Architecture
from harness.plan.suite import ProblemSet, Suite


@dataclass(slots=True)
class Catalog:
    """Backends, suites, laws, problem sets and networks by name."""

    backends: dict[str, Backend] = field(default_factory=dict)
    suites: dict[str, Suite] = field(default_factory=dict)
    laws: dict[str, Law] = field(default_factory=dict)
    problems: dict[str, ProblemSet] = field(default_factory=dict)
    networks: dict[str, Architecture] = field(default_factory=dict)

    @property
    def listed(self) -> tuple[str, ...]:
        """Names of the backends that are tested by default."""
        return tuple(name for name, backend in self.backends.items() if backend.listed)

    def backend(self, name: str) -> Backend:
        """Return a backend by name. Raises UsageError that lists the known names."""
        if name not in self.backends:
            raise unknown("backend", name, self.backends, "python -m harness list backends")
        return self.backends[name]

    def suite(self, name: str) -> Suite:
        """Return a suite by name. Raises UsageError that lists the known names."""
        if name not in self.suites:
            raise unknown("suite", name, self.suites, "python -m harness list suites")
        return self.suites[name]

    def law(self, name: str) -> Law:
        """Return a law by name. Raises UsageError that lists the known names."""
        if name not in self.laws:
            raise unknown("law", name, self.laws, "python -m harness list laws")
        return self.laws[name]

    def network(self, name: str) -> Architecture:
        """Return an architecture by name. Raises UsageError that lists the known names."""
        if name not in self.networks:
            raise unknown("network", name, self.networks, "python -m harness list networks")
        return self.networks[name]
