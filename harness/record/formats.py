"""Readers of older formats: entries of a journal, brought to the current format before they are decoded.

Before format 3, names carried the role of a law (by the name of the law) and a known slow-down (by the name of its
suite: `qualify+3` is 3 %). Before format 4, the attachments of a deviation were called its exhibit.
"""

from __future__ import annotations

from typing import Any

ROLES_BEFORE_3 = {
    "agrees-with-reference": "reference", "arithmetic-is-declared": "arithmetic", "network-equals-autograd": "network",
}  # fmt: skip
QUALIFY_BEFORE_3 = "qualify"
ATTACHMENTS = {"exhibit": "attachments"}  # the name before format 4, and now


def upgrade_entry(entry: dict[str, Any], format: int) -> dict[str, Any]:
    """Return an entry of a journal as the current format has it.

    entry: a decoded line. format: of the run, from its header.
    """
    if format >= 4 or entry.get("type") != "result":
        return entry
    result = dict(entry["result"])
    if format < 3:
        result["role"] = ROLES_BEFORE_3.get(result.get("law", ""), "")
        result["slowdown"] = _read_slowdown(result.get("suite", ""))
    if deviation := result.get("deviation"):
        result["deviation"] = {ATTACHMENTS.get(name, name): value for name, value in deviation.items()}
    return {**entry, "result": result}


def _read_slowdown(suite: str) -> float | None:
    name, _, percent = suite.partition("+")
    return None if name != QUALIFY_BEFORE_3 else float(percent) / 100 if percent else 0.0
