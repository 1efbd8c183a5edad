"""Readers of older formats: entries of a journal, brought to the current format before they are decoded.

What later formats record was told by names before: the role of a law by the name of the law, and a known slow-down by
the name of its suite, `qualify+3` for 3 %.
"""

from __future__ import annotations

from typing import Any

ROLES_BEFORE_3 = {
    "agrees-with-reference": "reference", "arithmetic-is-declared": "arithmetic", "network-equals-autograd": "network",
}  # fmt: skip
QUALIFY_BEFORE_3 = "qualify"


def upgrade_entry(entry: dict[str, Any], format: int) -> dict[str, Any]:
    """Return an entry of a journal as the current format has it.

    entry: a decoded line. format: of the run, from its header.
    """
    if format < 3 and entry.get("type") == "result":
        result = entry["result"]
        role = ROLES_BEFORE_3.get(result.get("law", ""), "")
        return {**entry, "result": {**result, "role": role, "slowdown": _read_slowdown(result.get("suite", ""))}}
    return entry


def _read_slowdown(suite: str) -> float | None:
    name, _, percent = suite.partition("+")
    return None if name != QUALIFY_BEFORE_3 else float(percent) / 100 if percent else 0.0
