"""One Markdown document of a run or a comparison, for a pull request, a job summary or a terminal; below 1 MiB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.descriptions import describe_outcome
from harness.analysis.repeating import repeat_command
from reports import bugs, coverage, markdown_networks
from reports.markdown_syntax import cell, code, escape, fit, section, table
from reports.number_format import count, format_interval, format_number, format_percent, format_time, shorten

if TYPE_CHECKING:
    import pandas as pd

    from harness import Result, Run
    from harness.analysis.arm_comparison import ArmComparison, Row
    from harness.analysis.run_comparison import Comparison
    from reports.facts import FailureGroup, Verdict

COMMENT_ROOM, COMMENT_ROWS = 18_000, 60  # where arms were compared, all must fit a comment of 65536 characters
COMMENT_REASON = 160
ROOM = 400_000  # characters of one long section; the two that there may be stay below 1 MiB together
SHARE_OF_NETWORKS = 4  # of that room; their long tables are on the page
MOST_FAILURES, EACH_FAILURES = 120, 10
LONGEST = 1000  # characters of a reason
LONGEST_VALUE = 90  # characters of one observed value
QUIET = frozenset({"SAME", "UNCHANGED"})


def write(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write report.md."""
    path = folder / "report.md"
    path.write_text("\n".join(_run_lines(run)) + "\n", encoding="utf-8")
    return (path,)


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.md."""
    path = folder / "comparison.md"
    path.write_text("\n".join(_comparison_lines(comparison)) + "\n", encoding="utf-8")
    return (path,)


def _run_lines(run: Run) -> Iterator[str]:
    from reports.arm_comparison import compared, judge_arms
    from reports.facts import failure_groups, judge_run, run_facts, unavailable_backends
    from reports.frames import frame

    results, arm_comparison = frame(run), compared(run)
    room = COMMENT_ROOM if arm_comparison else ROOM
    yield from _head(f"Run {run.path.name}", judge_arms(arm_comparison) if arm_comparison else judge_run(run))
    if arm_comparison:
        yield from _standing(arm_comparison)
        yield from ("", "## Machine and command", "")
    yield from (f"- {name}: {code(value)}" for name, value in run_facts(run))
    yield from _outcomes(results)
    yield from _settings(run)
    unavailable = unavailable_backends(run)
    if unavailable:
        yield from ("", "## Unavailable backends", "")
        yield from (f"- {escape(name)}: {escape(shorten(why, LONGEST))}" for name, why in unavailable.items())
    skipped = describe_outcome(run, "skipped")
    if skipped:
        yield from ("", "## Skipped", "", *(f"- {escape(shorten(line, LONGEST))}" for line in skipped))
    yield from fit(bugs.markdown(run), "known bugs", room)
    yield from fit(_failures(run, failure_groups(run, MOST_FAILURES, EACH_FAILURES)), "failures", room)
    yield from _laws(results)
    yield from fit(markdown_networks.networks(run), "lines on networks", room // SHARE_OF_NETWORKS)
    yield from markdown_networks.learning(run)
    yield from markdown_networks.gallery(run)
    yield from _semantics(results)
    yield from _arithmetic(results)
    if not arm_comparison:  # arms are compared on problems that were chosen for that
        yield from coverage.markdown(run)
    yield from fit(_speed(results), "rows", room)


def _head(title: str, verdict: Verdict) -> Iterator[str]:
    yield f"# {escape(title)}"
    yield ""
    if verdict.incomplete:
        yield from (f"**{escape(verdict.incomplete)}**", "")
    yield f"**{escape(verdict.text)}.** {escape(verdict.detail)}".rstrip()
    yield ""
    for line in verdict.overdrawn:
        yield from (f"**{escape(line)}.**", "")


def _standing(arm_comparison: ArmComparison) -> Iterator[str]:
    """Effects, verdicts by cell, why blocks were left out, and the arms."""
    from reports.arm_comparison import arm_rows, cut, dropped_reasons, effects, groups_of, ratio_words

    found = effects(arm_comparison)
    if found:
        yield from ("## Effect over all cells", "")
        rows = [
            [escape(e.arm), escape(e.base), *([e.group] if e.group else []), str(e.cells), *ratio_words(e.ratio)]
            for e in found
        ]
        column = ["slow-down"] if found[0].group else []
        yield from table(["arm", "base", *column, "cells", "new/base", "95 % interval"], rows, numbers=3)
        yield ""
    yield from ("## Verdicts", "")
    for group, shown, more in cut(groups_of(arm_comparison), COMMENT_ROWS):
        if group.title:
            yield from (f"### {group.title.capitalize()}", "")
        yield from _verdicts(arm_comparison, shown)
        if more:
            yield from ("", f"and {count(more, 'more cell')}, in verdicts.csv.")
        yield ""
    reasons = dropped_reasons(arm_comparison.run)
    if reasons:
        yield "Blocks that were left out:"
        yield from ("", *(f"- {number}: {escape(reason)}" for reason, number in reasons), "")
    yield from ("## Arms", "")
    rows = [[*map(escape, arm[:4]), code(arm[4]) if arm[4] else ""] for arm in arm_rows(arm_comparison)]
    yield from table(["arm", "backend", "base", "revision", "interpreter"], rows, numbers=0)


def _verdicts(arm_comparison: ArmComparison, rows: Iterable[Row]) -> Iterator[str]:
    from reports.arm_comparison import ratio_words, setup_words, verdict_row

    lines = []
    for row in rows:
        made = verdict_row(arm_comparison, row)
        words = [escape(made[name]) for name in ("verdict", "arm", "base")]
        times = ["" if made[name] is None else format_time(made[name]) for name in ("base_ns", "new_ns")]
        why = escape(shorten(made["reason"], COMMENT_REASON))
        lines.append(
            [*words, code(made["problem"]), *ratio_words(row.judgement.ratio), str(made["passes"]), why, *times,
             *(setup_words(made, side) for side in ("base", "new")), made["pays"]]
        )  # fmt: skip
    head = ("verdict", "arm", "base", "problem", "new/base", "95 % interval", "passes", "why", "base time", "new time",
            "base prepare + first call", "new prepare + first call", "pays")  # fmt: skip
    yield from table(head, lines, numbers=0)


def _outcomes(results: pd.DataFrame) -> Iterator[str]:
    from reports.frames import STATUSES, outcome_counts, timed

    if results.empty:
        return
    counts = outcome_counts(results)
    times = timed(results)["backend"].value_counts()
    shown = [status for status in STATUSES if counts[status].any()]
    rows = [
        [escape(name), *(str(counts.at[name, s] or "") for s in shown), str(times.get(name, "") or "")]
        for name in counts.index
    ]
    yield from section("Outcomes", "Number of cells; `passed` leaves out those that prove nothing.")
    yield from table(["backend", *shown, "timed"], rows, numbers=len(shown) + 1)


def _settings(run: Run) -> Iterator[str]:
    """Outcomes by arm, where arms of one backend differ in settings."""
    from harness.analysis.switches import count_columns, describe_observed_sets, setting_rows

    found = setting_rows(run)
    if not found:
        return
    columns = count_columns(found)
    rows = [
        [
            escape(row.backend), code(row.setting) if row.setting else "nothing",
            escape(describe_observed_sets(row.observed)) or "not told",
            *(str(row.counts.get(name) or "") for name in columns),
        ]
        for row in found
    ]  # fmt: skip
    yield from section("Settings", "Laws by what is set for the backend's processes, and what its libraries say.")
    yield from table(["backend", "set", "libraries use", *columns], rows, numbers=len(columns))


def _failures(run: Run, groups: Sequence[FailureGroup]) -> Iterator[str]:
    from harness.analysis.switches import explain_settings

    if not groups:
        return
    yield from ("", "## Failures")
    only = explain_settings(run)
    for group in groups:
        number = len(group.results) + group.more
        yield from ("", f"### {escape(group.backend)}, {escape(group.law or 'timing')}: {number} wrong", "")
        if group.formula:
            yield from (f"Law: {code(group.formula)}", "")
        for result in group.results:
            yield _failure(run, result, only.get(result.cell, ""))
        if group.more:
            yield from ("", f"and {group.more} more of this kind, in results.csv.")


def _failure(run: Run, result: Result, only: str) -> str:
    from harness.analysis.descriptions import describe_failure

    words = {name: escape(shorten(text, LONGEST)) for name, text in describe_failure(result, only)}
    return "\n".join((
        f"- {result.outcome}: {words.pop('reason')}",
        *(f"  - {name}: {text}" for name, text in words.items()),
        f"  - problem: {code(result.problem)}",
        f"  - repeat: {code(repeat_command(run.header, result))}",
    ))  # fmt: skip


def _laws(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import backend_order, law_words, plain_records
    from reports.frames import law_table

    cells = {(row["law"], row["backend"]): row for row in plain_records(law_table(results).reset_index())}
    if not cells:
        return
    backends = backend_order(results, [backend for _, backend in cells])
    rows = []
    for law in dict.fromkeys(law for law, _ in cells):
        words = [law_words(cells[law, b]) if (law, b) in cells else ("", "") for b in backends]
        rows.append([escape(law), *(cell(main, note) for main, note in words)])
    yield from section("Laws", "Passed of those that ran; `worst` is the largest error in units of its bound.")
    yield from table(["law", *map(escape, backends)], rows, numbers=len(backends))


def _semantics(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import semantics_rows

    backends, found = semantics_rows(results)
    if not found:
        return
    yield from section(
        "Declared semantics",
        "What each backend was seen to do where it may choose and must say so; the most frequent value first.",
        "`differs`: not all do the same on the same problem. Bold: not what the backend declares, or wrong.",
    )
    rows = []
    for row in found:
        shown = (row.cells.get(name, ((), False)) for name in backends)
        cells = [cell("; ".join(shorten(value, LONGEST_VALUE) for value in values), wrong=bad) for values, bad in shown]
        rows.append([escape(row.law), "yes" if row.differs else "", *cells])
    yield from table(["law", "differs", *map(escape, backends)], rows, numbers=0)


def _arithmetic(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import arithmetic_rows, arithmetic_words

    backends, found = arithmetic_rows(results)
    if not found:
        return
    yield from section(
        "Arithmetic",
        "Fewest effective bits over all comparisons with the float64 reference on normal and uniform data, and what",
        "probes measured: the significand that survives in inputs → in sums.",
        "Bold: not what the backend declares, or beyond a bound.",
    )
    rows = []
    for row in found:
        shown = (arithmetic_words(row.cells[b]) if b in row.cells else ("", "", True) for b in backends)
        cells = [cell(main, note, wrong=not well) for main, note, well in shown]
        rows.append([escape(row.operator), escape(row.dtype), *cells])
    yield from table(["operator", "dtype", *map(escape, backends)], rows, numbers=len(backends))


def _speed(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import backend_order, speed_rows

    found = speed_rows(results)
    if not found:
        return
    backends = backend_order(results, [name for row in found for name in row.cells])
    yield from section(
        "Times",
        "Median time of a call, its 95 % interval, GFLOP/s, and share of this machine's GEMM rate in the same dtype.",
        "Bold: the fastest native operator of the row. * derived from other operators, not ranked.",
        "~ the ends of the interval are a factor of 1.5 or more apart; overlapping intervals do not tell two apart.",
        "Last in the brackets: what planning and the first call took, which no median holds.",
        "† interval over the samples of one process, not over processes.",
    )
    rows = []
    for row in found:
        label = f"{row.label} ×{row.multiplicity}" if row.multiplicity > 1 else row.label
        cells = [_time_cell(row.cells.get(name), name == row.fastest) for name in backends]
        rows.append([escape(label), row.operator, *cells, code(row.problem)])
    yield from table(["label", "operator", *map(escape, backends), "problem"], rows, numbers=0)


def _time_cell(timed: dict[str, Any] | None, fastest: bool) -> str:
    from reports.facts import time_words

    if timed is None:
        return ""
    time = escape(time_words(timed))
    one = "†" if timed["interval"] == "one process" else ""
    parts = [f"{format_interval(timed['low_ns'], timed['high_ns'])}{one}"]
    if timed["gflops"] is not None:
        parts.append(f"{format_number(timed['gflops'])} GFLOP/s")
    if timed["peak_fraction"] is not None:
        parts.append(format_percent(timed["peak_fraction"]))
    parts.append(f"prepare {format_time(timed['prepare_ns'])}, first call {format_time(timed['first_call_ns'])}")
    return f"{f'**{time}**' if fastest else time} ({'; '.join(parts)})"


def _comparison_lines(comparison: Comparison) -> Iterator[str]:
    from harness.analysis.run_comparison import VERDICTS
    from reports.facts import judge_comparison, plain_records, run_facts
    from reports.frames import comparison_frame

    base, new = comparison.base, comparison.new
    yield from _head(f"{base.path.name} against {new.path.name}", judge_comparison(comparison))
    yield f"A change of time counts beyond {comparison.threshold:.0%}, with the whole interval of its ratio."
    if comparison.obstacles:
        yield from ("", "**Times are not comparable**: the environments differ (base / new).", "")
        yield from (f"- {escape(obstacle)}" for obstacle in comparison.obstacles)
    sides = {"base": dict(run_facts(base)), "new": dict(run_facts(new))}
    names = dict.fromkeys([*sides["base"], *sides["new"]])
    yield from ("", "## Runs", "")
    rows = [[name, *(escape(side.get(name, "")) for side in sides.values())] for name in names]
    yield from table(["", *sides], rows, numbers=0)
    counts = [[name, str(number)] for name, number in comparison.counts.items() if number]
    if counts:
        yield from ("", "## Verdicts", "", *table(["verdict", "cells"], counts, numbers=1))
    changed = [row for row in plain_records(comparison_frame(comparison)) if row["verdict"] not in QUIET]
    changed.sort(key=lambda row: VERDICTS.index(row["verdict"]))
    yield from fit(_changes(changed), "changes", ROOM)


def _changes(changed: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not changed:
        return
    yield from ("", "## Changes", "", f"{count(len(changed), 'cell')}; new/base with its 95 % interval.", "")
    rows = []
    for row in changed:
        ratio = ""
        if row["ratio"] is not None:
            ratio = f"{row['ratio']:.3f} ({row['ratio_low']:.3f} to {row['ratio_high']:.3f})"
        words = [escape(shorten(row[name], LONGEST)) for name in ("verdict", "backend", "law")]
        rows.append([*words, ratio, code(row["problem"]), escape(shorten(row["reason"], LONGEST))])
    yield from table(["verdict", "backend", "law", "new/base", "problem", "why"], rows, numbers=0)
