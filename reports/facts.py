"""What a run says, as values that every format shows in its own way: verdict, environment, failures, times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.analysis.descriptions import describe_overdrawn
from harness.networks.problem import WORD
from harness.problems.operator import Operator
from harness.record.run import OUTCOMES, RAN, WRONG, Result, Run
from reports.frames import (
    ARITHMETIC_LAW,
    PROVES_NOTHING,
    ROW_KEY,
    SEMANTICS_COLUMNS,
    arithmetic_table,
    semantics_table,
    timed,
)
from reports.number_format import count, format_duration, format_number, format_time

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.run_comparison import Comparison
    from harness.analysis.statistics import Estimate

_CLASS = re.compile(r"inputs in ([^,;]+), sums in ([^,;]+)")  # the class of arithmetic, as its law writes it
_GUESS = re.compile(r" \(TF32 or float16\)")
UNCERTAIN = 1.5  # upper over lower end of an interval, from which on a time is marked as rough
State = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run or a comparison comes to, in words.

    incomplete: where it stopped, empty where it came to its end.
    overdrawn: a line for each backend of which too large a share of the passed results proves nothing.
    """

    state: State
    text: str
    detail: str
    incomplete: str
    overdrawn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Wrong results of one backend under one law (none for timed cells); `more` were left out."""

    backend: str
    law: str
    formula: str
    results: tuple[Result, ...]
    more: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticsRow:
    """A law that looks at a declaration: what each backend does (most frequent first), and whether it says so."""

    law: str
    formula: str
    differs: bool
    cells: dict[str, tuple[tuple[str, ...], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticRow:
    """Precision under one operator, dtype and math: a record of the arithmetic table for every backend that has one."""

    operator: str
    dtype: str
    cells: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    """One timed problem: a record of the frame for every backend that has a time.

    fastest: the fastest backend with a native operator, None where all routes are derived; derived ones are not ranked.
    reference_ns: its time, or the least time where none is native.
    """

    suite: str
    label: str
    operator: str
    problem: str
    dtype: str
    multiplicity: int
    cells: dict[str, dict[str, Any]]
    fastest: str | None
    reference_ns: float


def judge_run(run: Run) -> Verdict:
    """Give the verdict on a run: what is wrong, or that all is well, and what did not run."""
    counts = run.counts
    wrong, ran = sum(counts[o] for o in WRONG), sum(counts[o] for o in RAN)
    idle = _list_counts({o: counts[o] for o in OUTCOMES if o not in RAN})
    notes = [f"Did not run: {idle}."] if idle else []
    overdrawn = describe_overdrawn(run.overdrawn)
    if run.vacuous and not overdrawn:
        notes.append(f"{run.vacuous} of those that passed prove nothing.")
    state: State = "good" if run.complete else "open"
    if wrong:
        state, text = "bad", f"{count(wrong, 'cell is', 'cells are')} wrong, of {ran} that ran"
        notes.insert(0, f"{_list_counts({o: counts[o] for o in OUTCOMES if o in WRONG})}.".capitalize())
    elif not ran:
        state, text = "open", "Nothing ran"
    else:
        text = "The only cell that ran passed" if ran == 1 else f"All {ran} cells that ran passed"
    if overdrawn and state != "bad":
        state, text = "bad", f"{text}, but too many prove nothing"
    return Verdict(
        state=state, text=text, detail=" ".join(notes), incomplete=describe_incomplete(run), overdrawn=tuple(overdrawn)
    )


def describe_incomplete(run: Run) -> str:
    """Why and where a run stopped; empty for a complete one."""
    if run.complete:
        return ""
    why = run.ending.reason if run.ending and run.ending.reason else "stopped"
    torn = "; the last line of its journal was torn and is left out" if run.torn else ""
    return f"INCOMPLETE: {why} after {len(run.results)} of {count(run.header.cells, 'cell')}{torn}"


def judge_comparison(comparison: Comparison) -> Verdict:
    """Give the verdict on a comparison: broken or slower or missing cells first."""
    counts = comparison.counts
    named = {name: counts[name] for name in ("BROKEN", "SLOWER", "MISSING") if counts[name]}
    state: State
    if named:
        state, text = "bad", ", ".join(f"{n} {name.lower()}" for name, n in named.items())
    elif not comparison.told:
        state, text = "open", "Nothing could be compared"
    else:
        state, text = "good", "Nothing is broken, slower or missing"
        if counts["INCONCLUSIVE"]:
            state, text = "open", f"{text}, but {count(counts['INCONCLUSIVE'], 'cell is', 'cells are')} inconclusive"
    parts = [(which, describe_incomplete(run)) for which, run in (("base", comparison.base), ("new", comparison.new))]
    incomplete = "; ".join(f"the {which} run is {why}" for which, why in parts if why)
    detail = _list_counts({name.lower(): n for name, n in counts.items() if name not in named})
    return Verdict(
        state="open" if incomplete and state == "good" else state,
        text=text,
        detail=f"Of {count(len(comparison.changes), 'cell')}: {detail}." if detail else "",
        incomplete=incomplete,
    )


def _list_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


def run_facts(run: Run) -> list[tuple[str, str]]:
    """Machine, versions, peaks and command of a run, by name; only what is known."""
    header, env = run.header, run.header.environment
    libraries = {**env.get("libraries", {})}
    for versions in run.versions.values():
        libraries |= versions
    git = env.get("git") or {}
    facts = [
        ("Command", header.command),
        ("Begun", header.created),
        ("Took", _took(run)),
        ("Machine", f"{env.get('cpu', '?')}, {env.get('cores', '?')} cores, {env.get('memory_gib', '?')} GiB"),
        ("Threads", f"{env['threads']} where times are taken" if "threads" in env else ""),
        ("System", f"{env.get('system', '?')} {env.get('kernel', '')} {env.get('machine', '')}"),
        ("Python", str(env.get("python", "?"))),
        ("Libraries", _pairs(libraries)),
        *((f"Peak, {peak.device}", _peak(peak.gemm_gflops, peak.copy_gbs)) for peak in run.peaks),
        ("Revision", f"{git['revision']}{', with changes' if git.get('dirty') else ''}" if git.get("revision") else ""),
        ("Variables", " ".join(f"{name}={value}" for name, value in env.get("variables", {}).items())),
        ("Plugins", ", ".join(header.plugins)),
        ("Fingerprint", str(env.get("fingerprint", ""))),
        ("Run", f"{run.path}, format {header.format}"),
    ]
    return [(name, value) for name, value in facts if value]


def _took(run: Run) -> str:
    if run.ending is None:
        return ""
    whole = format_duration(run.ending.seconds)
    if not run.ending.speed_wall_s:
        return whole
    share = run.ending.timed_s / run.ending.speed_wall_s
    passes = [one for result in run.results if result.measurement is not None for one in result.measurement.passes]
    spent = sum(one.spent_ns for one in passes)
    verified = f"; {sum(one.verify_ns for one in passes) / spent:.0%} verifying" if spent else ""
    inside = f"{format_duration(run.ending.timed_s)} inside timed calls, {share:.0%} of the timing part"
    return f"{whole}; {inside}{verified}"


def _peak(gemm: dict[str, float], copy_gbs: float) -> str:
    rates = ", ".join(f"{format_number(rate)} GFLOP/s in {dtype}" for dtype, rate in gemm.items())
    return f"GEMM {rates}; copy {format_number(copy_gbs)} GB/s"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def failure_groups(run: Run, most: int, each: int) -> list[FailureGroup]:
    """Wrong results by backend and law, at most `each` of a group and about `most` in all, but one of every group."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in run.results:
        if result.outcome in WRONG:
            groups.setdefault((result.backend, result.law), []).append(result)
    share = max(1, min(each, most // max(1, len(groups))))
    return [
        FailureGroup(
            backend=backend, law=law, formula=found[0].formula, results=tuple(found[:share]),
            more=max(0, len(found) - share),
        )
        for (backend, law), found in groups.items()
    ]  # fmt: skip


def semantics_rows(results: pd.DataFrame) -> tuple[list[str], list[SemanticsRow]]:
    """Backends and laws of declared semantics, those on which backends differ first; arithmetic has its own table."""
    table = semantics_table(results)
    wrong = results[results["outcome"].isin(list(WRONG))]
    broken = set(zip(wrong["law"], wrong["backend"], strict=True))
    backends = [str(name) for name in table.columns[len(SEMANTICS_COLUMNS) :]]
    rows = [
        SemanticsRow(
            law=row["law"], formula=row["formula"], differs=row["differs"],
            cells={b: (tuple(row[b].split("; ")), (row["law"], b) in broken) for b in backends if row[b]},
        )
        for row in plain_records(table) if row["law"] != ARITHMETIC_LAW
    ]  # fmt: skip
    return backends, sorted(rows, key=lambda row: not row.differs)


def arithmetic_rows(results: pd.DataFrame) -> tuple[list[str], list[ArithmeticRow]]:
    """Backends and the operators and dtypes under which any of them rounds, in the order of operators."""
    grouped: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for record in plain_records(arithmetic_table(results)):
        dtype = record["dtype"] if record["math"] == "ieee" else f"{record['dtype']} math={record['math']}"
        grouped.setdefault((record["operator"], dtype), {})[record["backend"]] = record
    dtypes = list(dict.fromkeys(dtype for _, dtype in grouped))
    order = [*(operator.value for operator in Operator), WORD]  # networks stand last
    rows = [
        ArithmeticRow(operator=operator, dtype=dtype, cells=cells)
        for (operator, dtype), cells in sorted(
            grouped.items(), key=lambda item: (order.index(item[0][0]), dtypes.index(item[0][1]))
        )
        if any(cell["least_bits"] is not None or cell["arithmetic"] for cell in cells.values())
    ]
    return backend_order(results, [backend for row in rows for backend in row.cells]), rows


def arithmetic_words(cell: dict[str, Any]) -> tuple[str, str, bool]:
    """One backend's precision: fewest effective bits, the class with what else there is to know, and if all is well."""
    bits = "" if cell["least_bits"] is None else format_number(cell["least_bits"], 3)
    if not bits and cell["comparisons"]:
        bits = "failed" if cell["failed"] else "no error"
    notes = (
        _CLASS.sub(r"\1 → \2", _GUESS.sub("", cell["arithmetic"] or "")),
        "not as declared" if cell["as_declared"] is False else "",
        f"{cell['failed']} of {cell['comparisons']} failed" if cell["failed"] else "",
        f"{cell['proves_nothing']} {PROVES_NOTHING}" if cell["proves_nothing"] else "",
    )
    well = not cell["failed"] and cell["as_declared"] is not False
    return bits or "–", ", ".join(note for note in notes if note), well


def speed_rows(results: pd.DataFrame) -> list[SpeedRow]:
    """Give the timed problems in the plan's order."""
    grouped: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for record in plain_records(timed(results)):
        grouped.setdefault(tuple(record[name] for name in ROW_KEY), {})[record["backend"]] = record
    return [_speed_row(cells) for cells in grouped.values()]


def _speed_row(cells: dict[str, dict[str, Any]]) -> SpeedRow:
    one = next(iter(cells.values()))
    native = {name: cell["median_ns"] for name, cell in cells.items() if cell["route"] == "native"}
    fastest = min(native, key=lambda name: native[name]) if native else None
    return SpeedRow(
        suite=one["suite"], label=one["label"], operator=one["operator"], problem=one["problem"], dtype=one["dtype"],
        multiplicity=one["multiplicity"], cells=cells, fastest=fastest,
        reference_ns=native[fastest] if fastest else min(cell["median_ns"] for cell in cells.values()),
    )  # fmt: skip


def ratios_to_fastest(run: Run, results: pd.DataFrame) -> dict[int, Estimate]:
    """Time over that of the row's fastest native backend by cell, from the passes in which both took turns.

    Cells of format 1, and of arms of another family, took no turns with it and are absent.
    """
    from harness.analysis.statistics import log_ratios
    from harness.analysis.verdicts import estimate_centre

    family = {arm.name: arm.family for arm in run.header.arms}
    passes = {result.cell: result.measurement.passes for result in run.results if result.measurement is not None}
    found = {}
    for row in speed_rows(results):
        if row.fastest is None:
            continue
        best = passes[row.cells[row.fastest]["cell"]]
        for name, cell in row.cells.items():
            own = passes[cell["cell"]]
            turns = family.get(name) == family.get(row.fastest) and all(one.blocks for one in (*best, *own))
            if name != row.fastest and turns and len(ratios := log_ratios(best, own)) > 1:
                found[cell["cell"]] = estimate_centre(ratios)
    return found


def plain_records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Give the rows as dictionaries of plain Python values, None where a value is missing."""
    columns = [table[name].astype(object).where(table[name].notna(), None).tolist() for name in table.columns]
    names = [str(name) for name in table.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def time_words(cell: dict[str, Any]) -> str:
    """Write a median time: ~ where its interval is wide, * where the operator is derived and so is not ranked."""
    rough = "~" if cell["high_ns"] > UNCERTAIN * cell["low_ns"] else ""
    return rough + format_time(cell["median_ns"]) + ("*" if cell["route"] == "derived" else "")


def law_words(row: dict[str, Any]) -> tuple[str, str]:
    """One law on one backend: passed of those that ran, and what else there is to know."""
    idle = row["planned"] - row["ran"]
    notes = (
        f"worst {format_number(row['worst'], 2)}" if row["worst"] is not None else "",
        f"{row['proves_nothing']} {PROVES_NOTHING}" if row["proves_nothing"] else "",
        f"{idle} did not run" if idle else "",
    )
    return f"{row['passed']}/{row['ran']}" if row["ran"] else "–", ", ".join(note for note in notes if note)


def unavailable_backends(run: Run) -> dict[str, str]:
    """Backends that could not be used and why; from what they said and from their results."""
    found = {r.backend: r.reason for r in run.results if r.outcome == "unavailable"}
    return {**found, **run.unavailable}


def sweep_point(label: str) -> tuple[str, float] | None:
    """Axis and value of a label such as sweep-kernel/3, or None for any other label."""
    head, _, tail = label.partition("/")
    if not head.startswith("sweep-"):
        return None
    try:
        return head.removeprefix("sweep-"), float(tail)
    except ValueError:
        return None


def backend_order(results: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Sort the names in the order in which the run named its backends."""
    order = list(results.attrs.get("backends", ()))
    return sorted(dict.fromkeys(names), key=lambda name: order.index(name) if name in order else len(order))
