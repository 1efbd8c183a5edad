"""Readers of older formats: headers and entries of a journal, brought to the current format before they are decoded.

Before format 3, names carried the role of a law (by the name of the law) and a known slow-down (by the name of its
suite: `qualify+3` is 3 %). Before format 4, the attachments of a deviation were called its exhibit. Before format 5,
the field `backend` held the name of the arm, and no reason was an empty one. Before format 6, so was no text that says
why something is so and has another name than `reason`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

ROLES_BEFORE_3 = {
    "agrees-with-reference": "reference", "arithmetic-is-declared": "arithmetic", "network-equals-autograd": "network",
}  # fmt: skip
QUALIFY_BEFORE_3 = "qualify"
ATTACHMENTS = {"exhibit": "attachments"}  # the name before format 4, and now
HeaderType = TypeVar("HeaderType")


class _Numbered(msgspec.Struct, frozen=True):
    format: int


def decode_header(raw: bytes, kind: type[HeaderType]) -> HeaderType:
    """Decode a header of any format.

    raw: contents of the file. kind: class with the wanted fields of the current format.
    Raises msgspec.MsgspecError if a field is missing or has another type.
    """
    number = msgspec.json.decode(raw, type=_Numbered).format
    if number >= 6:
        return msgspec.json.decode(raw, type=kind)
    return msgspec.convert(upgrade_header(msgspec.json.decode(raw, type=dict[str, Any]), number), kind)


def upgrade_header(header: dict[str, Any], format: int) -> dict[str, Any]:
    """Return a header as the current format has it.

    header: as decoded. format: of the run.
    """
    names = {"backends": "arm_names"} if format < 5 else {}
    header = {names.get(name, name): value for name, value in header.items()}
    if format < 6 and header.get("gate"):
        header["gate"] = _drop_empty("untimed", header["gate"])
    if format < 6 and header.get("bugs"):
        header["bugs"] = [
            _drop_empty("hindrance", bug) | {"bug": _drop_empty("domain", bug["bug"])} for bug in header["bugs"]
        ]
    return header


def upgrade_entry(entry: dict[str, Any], format: int, backend_of: Mapping[str, str]) -> dict[str, Any]:
    """Return an entry of a journal as the current format has it.

    entry: a decoded line. format: of the run, from its header. backend_of: backend of each arm of the run.
    """
    if entry.get("type") == "result":
        return {**entry, "result": _upgrade_result(entry["result"], format, backend_of)}
    if entry.get("type") == "backend" and format < 5:
        return {**_drop_empty("reason", entry), **_name_arm(entry, backend_of), "type": "arm"}
    if entry.get("type") == "end" and format < 5:
        return {**entry, "ending": _drop_empty("reason", entry["ending"])}
    if entry.get("type") == "pass" and format < 6:
        return {**entry, "samples": _upgrade_pass(entry["samples"])}
    return entry


def _upgrade_result(result: dict[str, Any], format: int, backend_of: Mapping[str, str]) -> dict[str, Any]:
    result = dict(result)
    if format < 3:
        result["role"] = ROLES_BEFORE_3.get(result.get("law", ""), "")
        result["slowdown"] = _read_slowdown(result.get("suite", ""))
    if format < 4 and (deviation := result.get("deviation")):
        result["deviation"] = {ATTACHMENTS.get(name, name): value for name, value in deviation.items()}
    if format < 5:
        result = _drop_empty("reason", result) | _name_arm(result, backend_of)
        result["route"] = _drop_empty("reason", result["route"])
    if format < 6 and (deviation := result.get("deviation")):
        result["deviation"] = _drop_empty("idle", deviation)
    return result


def _upgrade_pass(samples: Mapping[str, Any]) -> dict[str, Any]:
    blocks = samples.get("blocks", ())
    return {**samples, "blocks": [_drop_empty("dropped", block) for block in blocks]}


def _drop_empty(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields in which a text that says why is null if it is empty or missing."""
    return {**fields, name: fields.get(name) or None}


def _name_arm(fields: Mapping[str, Any], backend_of: Mapping[str, str]) -> dict[str, str]:
    """Names of the arm and of its backend, from fields in which `backend` is the name of the arm."""
    arm = fields["backend"]
    return {"arm": arm, "backend": backend_of.get(arm, arm)}


def _read_slowdown(suite: str) -> float | None:
    name, _, percent = suite.partition("+")
    return None if name != QUALIFY_BEFORE_3 else float(percent) / 100 if percent else 0.0
