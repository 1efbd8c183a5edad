"""Claims held against plugins and a plan: unknown names are refused, rows that match no cell are found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from harness.errors import UsageError, unknown
from harness.plan.arm import parse_arm
from harness.plan.catalog import Catalog
from harness.plan.cell import MAJORITY, Cell
from harness.plan.claims.read import read_claims
from harness.plan.claims.rows import TIMED, Claims, Scope


def check_names(claims: Claims, backends: Collection[str], laws: Collection[str]) -> None:
    """Raise UsageError, with the row and the nearest name, for a backend or a law that no plugin brings.

    claims: to check. backends, laws: known names.
    """
    for name, scope in claims.scopes:
        try:
            backend = parse_arm(scope.backend).backend
        except UsageError as error:
            raise UsageError(f"{claims.file}: {name}: backend: {error}") from None
        if backend not in backends:
            told = unknown("backend", backend, backends, "python -m harness list backends")
            raise UsageError(f"{claims.file}: {name}: {told}; load its plugin with --plugin")
    known = {*laws, TIMED, MAJORITY}
    for number, fault in enumerate(claims.faults, 1):
        if fault.law not in known:
            told = unknown("law", fault.law, known, "python -m harness list laws")
            raise UsageError(f"{claims.file}: fault {number}: {told}")


def find_stale(claims: Claims, cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return the names of rows that match no cell of a plan, such as "fault 2"."""
    lines: dict[tuple[str, str], dict[str, set[str]]] = {}
    for cell in cells:
        lines.setdefault((cell.backend, cell.arm), {}).setdefault(cell.law or TIMED, set()).add(cell.line)
    laws = {f"fault {number}": fault.law for number, fault in enumerate(claims.faults, 1)}
    return tuple(name for name, scope in claims.scopes if not _is_asked(scope, laws.get(name), lines))


def _is_asked(scope: Scope, law: str | None, lines: Mapping[tuple[str, str], Mapping[str, Collection[str]]]) -> bool:
    for (backend, arm), by_law in lines.items():
        if scope.is_about(backend, arm):
            asked = by_law.values() if law is None else [by_law.get(law, ())]
            if any(scope.covers(line) for group in asked for line in group):
                return True
    return False


def load_claims(path: str | Path, catalog: Catalog) -> Claims:
    """Read a file of claims for a run, and hold its names against those of plugins.

    path: of the file. catalog: backends and laws by name. Raises UsageError.
    """
    claims = read_claims(path)
    check_names(claims, catalog.backends, catalog.laws)
    return claims
