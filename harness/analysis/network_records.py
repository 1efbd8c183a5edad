"""Records of the table of whole networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.analysis.networks import NetworkRow
from harness.networks.graph import WORKS


def network_records(rows: Sequence[NetworkRow]) -> list[dict[str, Any]]:
    """Return a record for each row, with the columns NETWORK_COLUMNS."""
    return [_record(row) for row in rows]


def _record(row: NetworkRow) -> dict[str, Any]:
    reasons = [f"{work}: {why}" for work in WORKS if (why := row.why(work))]
    values: dict[str, Any] = {
        "network": row.network, "given": row.given, "arm": row.arm, "backend": row.backend,
        "parameters": row.figure("parameters"),
        "step_to_forward": row.step_to_forward, "activation_bytes": row.figure("activation bytes", "step"),
        "memory_bytes": row.memory("memory_bytes"), "workspace_bytes": row.memory("workspace_bytes"),
        "worst": row.worst, "laws_ran": row.ran, "laws_passed": row.passed, "laws_broken": ", ".join(row.broken),
        "reason": "; ".join((*reasons, *row.idle)) or None,
    }  # fmt: skip
    for work in WORKS:
        time = row.time(work)
        ends = (time.value, time.low, time.high) if time is not None else (None, None, None)
        values |= dict(zip((f"{work}_ns", f"{work}_low_ns", f"{work}_high_ns"), ends, strict=True))
        values[f"{work}_gflops"] = row.gflops(work)
    return values
