"""One Markdown document of a run or a comparison, for a pull request, a job summary or a terminal; below 1 MiB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.text import count, format_interval, format_number, format_percent, format_time, shorten

if TYPE_CHECKING:
    import pandas as pd

    from harness import Result, Run
    from harness.timing.compare import Comparison
    from harness.timing.standing import Row, Standing
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
    from reports.facts import failure_groups, judge_run, run_facts, unavailable_backends
    from reports.frames import frame
    from reports.standing import compared, judge_standing

    results, standing = frame(run), compared(run)
    room = COMMENT_ROOM if standing else ROOM
    yield from _head(f"Run {run.path.name}", judge_standing(standing) if standing else judge_run(run))
    if standing:
        yield from _standing(standing)
        yield from ("", "## Machine and command", "")
    yield from (f"- {name}: {_code(value)}" for name, value in run_facts(run))
    yield from _outcomes(results)
    unavailable = unavailable_backends(run)
    if unavailable:
        yield from ("", "## Unavailable backends", "")
        yield from (f"- {_escape(name)}: {_escape(shorten(why, LONGEST))}" for name, why in unavailable.items())
    skipped = run.why("skipped")
    if skipped:
        yield from ("", "## Skipped", "", *(f"- {_escape(shorten(line, LONGEST))}" for line in skipped))
    yield from _fit(_failures(run, failure_groups(run, MOST_FAILURES, EACH_FAILURES)), "failures", room)
    yield from _laws(results)
    yield from _fit(_networks(run), "lines on networks", room // SHARE_OF_NETWORKS)
    yield from _learning(run)
    yield from _gallery(run)
    yield from _semantics(results)
    yield from _arithmetic(results)
    yield from _fit(_speed(results), "rows", room)


def _head(title: str, verdict: Verdict) -> Iterator[str]:
    yield f"# {_escape(title)}"
    yield ""
    if verdict.incomplete:
        yield from (f"**{_escape(verdict.incomplete)}**", "")
    yield f"**{_escape(verdict.text)}.** {_escape(verdict.detail)}".rstrip()
    yield ""
    for line in verdict.overdrawn:
        yield from (f"**{_escape(line)}.**", "")


def _standing(standing: Standing) -> Iterator[str]:
    """Effects, verdicts by cell, why blocks were left out, and the arms."""
    from reports.standing import arm_rows, cut, dropped_reasons, effects, groups_of, ratio_words

    found = effects(standing)
    if found:
        yield from ("## Effect over all cells", "")
        rows = [
            [_escape(e.arm), _escape(e.base), *([e.group] if e.group else []), str(e.cells), *ratio_words(e.ratio)]
            for e in found
        ]
        column = ["slow-down"] if found[0].group else []
        yield from _table(["arm", "base", *column, "cells", "new/base", "95 % interval"], rows, numbers=3)
        yield ""
    yield from ("## Verdicts", "")
    for group, shown, more in cut(groups_of(standing), COMMENT_ROWS):
        if group.title:
            yield from (f"### {group.title.capitalize()}", "")
        yield from _verdicts(standing, shown)
        if more:
            yield from ("", f"and {count(more, 'more cell')}, in verdicts.csv.")
        yield ""
    reasons = dropped_reasons(standing.run)
    if reasons:
        yield "Blocks that were left out:"
        yield from ("", *(f"- {number}: {_escape(reason)}" for reason, number in reasons), "")
    yield from ("## Arms", "")
    rows = [[*map(_escape, arm[:4]), _code(arm[4]) if arm[4] else ""] for arm in arm_rows(standing)]
    yield from _table(["arm", "backend", "base", "revision", "interpreter"], rows, numbers=0)


def _verdicts(standing: Standing, rows: Iterable[Row]) -> Iterator[str]:
    from reports.standing import ratio_words, verdict_row

    lines = []
    for row in rows:
        made = verdict_row(standing, row)
        words = [_escape(made[name]) for name in ("verdict", "arm", "base")]
        times = ["" if made[name] is None else format_time(made[name]) for name in ("base_ns", "new_ns")]
        why = _escape(shorten(made["reason"], COMMENT_REASON))
        lines.append(
            [*words, _code(made["problem"]), *ratio_words(row.judgement.ratio), str(made["passes"]), why, *times]
        )
    head = ("verdict", "arm", "base", "problem", "new/base", "95 % interval", "passes", "why", "base time", "new time")
    yield from _table(head, lines, numbers=0)


def _fit(lines: Iterable[str], what: str, room: int = ROOM) -> Iterator[str]:
    """Give the lines as long as there is room for them, and how many were left out."""
    left = 0
    for line in lines:
        room -= len(line.encode())
        if room < 0:
            left += bool(line)
        else:
            yield line
    if left:
        yield from ("", f"There are more {what} than have room here ({left} lines); results.csv has them all.")


def _outcomes(results: pd.DataFrame) -> Iterator[str]:
    from reports.frames import STATUSES, outcome_counts, timed

    if results.empty:
        return
    counts = outcome_counts(results)
    times = timed(results)["backend"].value_counts()
    shown = [status for status in STATUSES if counts[status].any()]
    rows = [
        [_escape(name), *(str(counts.at[name, s] or "") for s in shown), str(times.get(name, "") or "")]
        for name in counts.index
    ]
    yield from ("", "## Outcomes", "", "Number of cells; `passed` leaves out those that prove nothing.", "")
    yield from _table(["backend", *shown, "timed"], rows, numbers=len(shown) + 1)


def _failures(run: Run, groups: Sequence[FailureGroup]) -> Iterator[str]:
    if not groups:
        return
    yield from ("", "## Failures")
    for group in groups:
        number = len(group.results) + group.more
        yield from ("", f"### {_escape(group.backend)}, {_escape(group.law or 'timing')}: {number} wrong", "")
        if group.formula:
            yield from (f"Law: {_code(group.formula)}", "")
        for result in group.results:
            yield _failure(run, result)
        if group.more:
            yield from ("", f"and {group.more} more of this kind, in results.csv.")


def _failure(run: Run, result: Result) -> str:
    from harness.record.run import describe_failure

    words = {name: _escape(shorten(text, LONGEST)) for name, text in describe_failure(result)}
    return "\n".join((
        f"- {result.outcome}: {words.pop('reason')}",
        *(f"  - {name}: {text}" for name, text in words.items()),
        f"  - problem: {_code(result.problem)}",
        f"  - repeat: {_code(run.command_for(result))}",
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
        rows.append([_escape(law), *(f"{main} ({note})" if note else main for main, note in words)])
    yield from ("", "## Laws", "", "Passed of those that ran; `worst` is the largest error in units of its bound.", "")
    yield from _table(["law", *map(_escape, backends)], rows, numbers=len(backends))


def _networks(run: Run) -> Iterator[str]:
    from reports.networks import HEADS, LAYER_HEADS, MOST_LAYERS, network_words, portfolio_words

    found = network_words(run)
    if not found:
        return
    yield from ("", "## Networks", "")
    yield "Median time of a pass over the whole network, and the largest error of all outputs and gradients against"
    yield "automatic differentiation in float64, in units of a bound that follows from the depth. Bold: wrong."
    yield ""
    lines = []
    for network in found:
        title = _escape(f"{network.title} ({network.note})" if network.note else network.title)
        lines += [[title, _escape(row.backend), *(_network_cell(*cell) for cell in row.cells)] for row in network.rows]
    yield from _table(["network", "backend", *HEADS], lines, numbers=0)
    if absent := dict.fromkeys(name for network in found for name in network.absent):
        yield from ("", f"Unavailable: {_escape(', '.join(absent))}.")
    for one in portfolio_words(run):
        yield from ("", f"### {_escape(one.title)}, layer by layer", "", _escape(one.text), "")
        layers = [[*map(_escape, words[:-1]), _code(words[-1])] for words in one.layers[:MOST_LAYERS]]
        yield from _table(list(LAYER_HEADS), layers, numbers=0)
        if len(one.layers) > MOST_LAYERS:
            yield from ("", f"and {count(len(one.layers) - MOST_LAYERS, 'more layer')}, in the HTML report.")
        if one.untimed:
            yield from ("", f"No backend has a time for {', '.join(map(_code, one.untimed))}.")


def _network_cell(main: str, notes: Sequence[str], wrong: bool) -> str:
    note = "; ".join(notes)
    text = _escape(f"{main} ({note})" if main and note else main or note)
    return f"**{text}**" if wrong else text


def _learning(run: Run) -> Iterator[str]:
    from reports.learning import HEADS, find_learners

    found = find_learners(run)
    if not found:
        return
    yield from ("", "## Learning", "")
    yield "LeNet-5 on handwritten digits by plain gradient descent; the HTML report draws the curves. Bold: wrong."
    yield ""
    rows = []
    for one in found:
        cells = [_escape(f"{main} ({note})" if main and note else main or note) for main, note in one.words]
        rows.append([_escape(one.backend) if one.well else f"**{_escape(one.backend)}**", *cells])
    yield from _table(["backend", *HEADS], rows, numbers=0)


def _gallery(run: Run) -> Iterator[str]:
    from reports.gallery import field_words, gallery_backends, gallery_rows, row_words

    found = gallery_rows(run)
    if not found:
        return
    backends = gallery_backends(found)
    yield from ("", "## Gallery", "")
    yield "Brightness of a photograph under each kernel, which follows its sum, and the largest difference of a pixel"
    yield "from the reference in units of its bound. Bold: wrong. The HTML report shows the pictures."
    yield ""
    rows = []
    for row in found:
        cells = []
        for main, note, well in (field_words(row.results.get(name)) for name in backends):
            text = _escape(f"{main} ({note})" if note else main)
            cells.append(text if well else f"**{text}**")
        rows.append([_escape(row.title), *row_words(row), *cells])
    head = ["law", "sum", "brightness wanted", *map(_escape, backends)]
    yield from _table(head, rows, numbers=len(head) - 1)


def _semantics(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import semantics_rows

    backends, found = semantics_rows(results)
    if not found:
        return
    yield from ("", "## Declared semantics", "")
    yield "What each backend was seen to do where it may choose and must say so; the most frequent value first."
    yield "`differs`: not all do the same on the same problem. Bold: not what the backend declares, or wrong."
    yield ""
    rows = []
    for row in found:
        cells = []
        for values, wrong in (row.cells.get(name, ((), False)) for name in backends):
            text = _escape("; ".join(shorten(value, LONGEST_VALUE) for value in values))
            cells.append(f"**{text}**" if wrong else text)
        rows.append([_escape(row.law), "yes" if row.differs else "", *cells])
    yield from _table(["law", "differs", *map(_escape, backends)], rows, numbers=0)


def _arithmetic(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import arithmetic_rows, arithmetic_words

    backends, found = arithmetic_rows(results)
    if not found:
        return
    yield from ("", "## Arithmetic", "")
    yield "Fewest effective bits over all comparisons with the float64 reference on normal and uniform data, and what"
    yield "probes measured: the significand that survives in inputs → in sums."
    yield "Bold: not what the backend declares, or beyond a bound."
    yield ""
    rows = []
    for row in found:
        cells = []
        for main, note, well in (
            arithmetic_words(row.cells[b]) if b in row.cells else ("", "", True) for b in backends
        ):
            text = _escape(f"{main} ({note})" if note else main)
            cells.append(text if well else f"**{text}**")
        rows.append([_escape(row.operator), _escape(row.dtype), *cells])
    yield from _table(["operator", "dtype", *map(_escape, backends)], rows, numbers=len(backends))


def _speed(results: pd.DataFrame) -> Iterator[str]:
    from reports.facts import backend_order, speed_rows

    found = speed_rows(results)
    if not found:
        return
    backends = backend_order(results, [name for row in found for name in row.cells])
    yield from ("", "## Times", "")
    yield "Median time of a call, its 95 % interval, GFLOP/s, and share of this machine's GEMM rate in the same dtype."
    yield "Bold: the fastest native operator of the row. * derived from other operators, not ranked."
    yield "~ the ends of the interval are a factor of 1.5 or more apart; overlapping intervals do not tell two apart."
    yield "† interval over the samples of one process, not over processes."
    yield ""
    rows = []
    for row in found:
        label = f"{row.label} ×{row.multiplicity}" if row.multiplicity > 1 else row.label
        cells = [_time_cell(row.cells.get(name), name == row.fastest) for name in backends]
        rows.append([_escape(label), row.operator, *cells, _code(row.problem)])
    yield from _table(["label", "operator", *map(_escape, backends), "problem"], rows, numbers=0)


def _time_cell(cell: dict[str, Any] | None, fastest: bool) -> str:
    from reports.facts import time_words

    if cell is None:
        return ""
    time = _escape(time_words(cell))
    one = "†" if cell["interval"] == "one process" else ""
    parts = [f"{format_interval(cell['low_ns'], cell['high_ns'])}{one}"]
    if cell["gflops"] is not None:
        parts.append(f"{format_number(cell['gflops'])} GFLOP/s")
    if cell["peak_fraction"] is not None:
        parts.append(format_percent(cell["peak_fraction"]))
    return f"{f'**{time}**' if fastest else time} ({'; '.join(parts)})"


def _comparison_lines(comparison: Comparison) -> Iterator[str]:
    from harness.timing.compare import VERDICTS
    from reports.facts import judge_comparison, plain_records, run_facts
    from reports.frames import comparison_frame

    base, new = comparison.base, comparison.new
    yield from _head(f"{base.path.name} against {new.path.name}", judge_comparison(comparison))
    yield f"A change of time counts beyond {comparison.threshold:.0%}, with the whole interval of its ratio."
    if comparison.obstacles:
        yield from ("", "**Times are not comparable**: the environments differ (base / new).", "")
        yield from (f"- {_escape(obstacle)}" for obstacle in comparison.obstacles)
    sides = {"base": dict(run_facts(base)), "new": dict(run_facts(new))}
    names = dict.fromkeys([*sides["base"], *sides["new"]])
    yield from ("", "## Runs", "")
    rows = [[name, *(_escape(side.get(name, "")) for side in sides.values())] for name in names]
    yield from _table(["", *sides], rows, numbers=0)
    counts = [[name, str(number)] for name, number in comparison.counts.items() if number]
    if counts:
        yield from ("", "## Verdicts", "", *_table(["verdict", "cells"], counts, numbers=1))
    changed = [row for row in plain_records(comparison_frame(comparison)) if row["verdict"] not in QUIET]
    changed.sort(key=lambda row: VERDICTS.index(row["verdict"]))
    yield from _fit(_changes(changed), "changes")


def _changes(changed: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not changed:
        return
    yield from ("", "## Changes", "", f"{count(len(changed), 'cell')}; new/base with its 95 % interval.", "")
    rows = []
    for row in changed:
        ratio = ""
        if row["ratio"] is not None:
            ratio = f"{row['ratio']:.3f} ({row['ratio_low']:.3f} to {row['ratio_high']:.3f})"
        words = [_escape(shorten(row[name], LONGEST)) for name in ("verdict", "backend", "law")]
        rows.append([*words, ratio, _code(row["problem"]), _escape(shorten(row["reason"], LONGEST))])
    yield from _table(["verdict", "backend", "law", "new/base", "problem", "why"], rows, numbers=0)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> Iterator[str]:
    """Make a table; the last `numbers` columns are right-aligned."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---:' if n >= len(head) - numbers else '---' for n in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _escape(text: str) -> str:
    """Text that Markdown and HTML leave alone, on one line."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in flat)


def _code(text: str) -> str:
    """Text as a code span, whatever quotes it has."""
    flat, fence = " ".join(text.split()), "`"
    while fence in flat:
        fence += "`"
    edge = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{edge}{flat}{edge}{fence}"
