"""Text of a file of claims: rows in a fixed order, each with a comment that counts its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from harness.analysis.claims.observe import Group, Observed, SeenFault
from harness.analysis.claims.words import count
from harness.analysis.inert_text import make_inert
from harness.plan.claims.read import FORMAT
from harness.plan.claims.rows import KnownFault, Scope
from harness.record.run import Run

HEAD = (
    "Promises and known faults (docs/claims.md). A run with --claims FILE fails where a promise is broken.",
    "Written by `python -m harness claims observe`; edit what is not meant as a promise.",
)


def write_claims(run: Run, observed: Observed) -> str:
    """Return the text of a file with these claims; the text of one run is always the same."""
    blocks = [_comment(*HEAD, f"Seen in a run of {', '.join(run.header.suites)}.") + _encode({"format": FORMAT})]
    blocks += map(_write_group, observed.groups)
    blocks += [_comment(*_say_outside(observed.outside))] if observed.outside else []
    blocks += map(_write_fault, observed.faults)
    return "\n".join(blocks)


def _write_group(group: Group) -> str:
    return _comment(f"{count(group.cells, 'cell')}, such as {group.example}") + _encode(
        {"promise": [_scope_fields(group.scope)]}
    )


def _write_fault(seen: SeenFault) -> str:
    kept = ", as in the earlier file" if seen.kept else ""
    return _comment(f"{count(seen.cells, 'cell')}{kept}") + _encode({"fault": [_fault_fields(seen.fault)]})


def _say_outside(outside: Mapping[str, int]) -> Iterator[str]:
    yield "Supported, but promised by no row: problems of the same operator, dtype, layout, axes and windows are not."
    yield "A promise with patterns (problems = [...]) can tell them apart."
    yield from (f"{name}: {count(number, 'cell')}" for name, number in outside.items())


def _scope_fields(scope: Scope) -> dict[str, Any]:
    """Fields of a scope; a field that permits everything is left out."""
    return {name: value for name, value in asdict(scope).items() if name == "backend" or value not in ((), None)} | (
        {"windows": scope.windows} if scope.windows is not None else {}
    )


def _fault_fields(fault: KnownFault) -> dict[str, Any]:
    own = {
        "law": fault.law, "outcome": fault.outcome, "diagnosis": fault.diagnosis, "worst": fault.worst,
        "reason": fault.reason, "link": fault.link, "expires": fault.expires, "strict": fault.strict or None,
    }  # fmt: skip
    return _scope_fields(fault.scope) | {name: value for name, value in own.items() if value is not None}


def _comment(*lines: str) -> str:
    return "".join(f"# {make_inert(line)}\n" for line in lines)


def _encode(table: Mapping[str, Any]) -> str:
    return msgspec.toml.encode(table).decode()
