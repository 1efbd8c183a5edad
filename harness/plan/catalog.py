"""The catalog: everything that a plan can name, and the errors for names that nothing has."""

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
        """Names of the backends that are asked where none is named."""
        return tuple(name for name, backend in self.backends.items() if backend.listed)

    def backend(self, name: str) -> Backend:
        """Backend by name, or the error that lists the known ones."""
        if name not in self.backends:
            raise unknown("backend", name, self.backends, "python -m harness list backends")
        return self.backends[name]

    def suite(self, name: str) -> Suite:
        """Suite by name, or the error that lists the known ones."""
        if name not in self.suites:
            raise unknown("suite", name, self.suites, "python -m harness list suites")
        return self.suites[name]

    def law(self, name: str) -> Law:
        """Law by name, or the error that lists the known ones."""
        if name not in self.laws:
            raise unknown("law", name, self.laws, "python -m harness list laws")
        return self.laws[name]

    def network(self, name: str) -> Architecture:
        """Architecture by name, or the error that lists the known ones."""
        if name not in self.networks:
            raise unknown("network", name, self.networks, "python -m harness list networks")
        return self.networks[name]
