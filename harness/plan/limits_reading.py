"""Reading of the limits of a gate: each row is checked, and what cannot be used is one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from harness.errors import UsageError, unknown
from harness.plan.arm import parse_arm
from harness.plan.catalog import Catalog
from harness.plan.claims.read import SCOPE, read_scope
from harness.plan.limits import VALUES, Limit

TABLE = "limits"  # of [tool.harness]
KEYS = ("suite", *SCOPE, *VALUES)
MOST_MEMORY, MOST_BITS = 100.0, 1024.0
SEE = "see docs/ci.md"


def read_limits(where: str, rows: object) -> tuple[Limit, ...]:
    """Check decoded rows, and return them. Raises UsageError, with the row, for what cannot be used.

    where: they stand, for messages. rows: a list of tables with the keys of KEYS.
    """
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise UsageError(f"{where}: got {rows!r:.80}, wanted rows that begin with [[tool.harness.{TABLE}]]; {SEE}")
    return tuple(_read_limit(f"{where} {number}", row) for number, row in enumerate(rows, 1))


def _read_limit(where: str, row: Mapping[str, Any]) -> Limit:
    for key in row:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise UsageError(f"{where}: got key '{key:.80}', wanted one of {', '.join(KEYS)}; {hint}{SEE}")
    if not any(name in row for name in VALUES):
        raise UsageError(f"{where}: got none of {', '.join(VALUES)}, wanted at least one, as delta = '5%'; {SEE}")
    suite = row.get("suite", "")
    if not isinstance(suite, str) or ("suite" in row and not suite):
        raise UsageError(f"{where}: suite: got {suite!r:.80}, wanted the name of one suite; {SEE}")
    scope = read_scope(where, {name: value for name, value in row.items() if name not in ("suite", *VALUES)}, "")
    return Limit(
        suite=suite, scope=scope, delta=_read_share(where, row, "delta", 1.0),
        memory=_read_share(where, row, "memory", MOST_MEMORY), bits=_read_number(where, row, "bits", MOST_BITS, ""),
    )  # fmt: skip


def _read_share(where: str, row: Mapping[str, Any], key: str, most: float) -> float | None:
    """Return a share that may be written in percent, as '5%'."""
    value = row.get(key)
    if isinstance(value, str) and value.strip().endswith("%"):
        with suppress(ValueError):
            row = {key: float(value.strip()[:-1]) / 100}
    return _read_number(where, row, key, most, ", as a share or in percent, such as '5%'")


def _read_number(where: str, row: Mapping[str, Any], key: str, most: float, also: str) -> float | None:
    value = row.get(key)
    if key not in row:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < most:
        raise UsageError(f"{where}: {key}: got {value!r:.80}, wanted a number between 0 and {most:g}{also}; {SEE}")
    return float(value)


def check_limits(limits: Iterable[Limit], catalog: Catalog) -> tuple[Limit, ...]:
    """Return the rows. Raises UsageError for a suite or a backend that no plugin brings: a row would hold for nothing.

    limits: to check. catalog: known names.
    """
    rows = tuple(limits)
    for number, limit in enumerate(rows, 1):
        where = f"[tool.harness] {TABLE} {number}"
        if limit.suite and limit.suite not in catalog.suites:
            told = unknown("suite", limit.suite, catalog.suites, "python -m harness list suites")
            raise UsageError(f"{where}: {told}")
        if limit.scope.backend and parse_arm(limit.scope.backend).backend not in catalog.backends:
            told = unknown("backend", limit.scope.backend, catalog.backends, "python -m harness list backends")
            raise UsageError(f"{where}: {told}; load its plugin with --plugin")
    return rows
