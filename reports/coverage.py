"""What was asked: conditions of the model of dispatch by backend and operator, with what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.memo import remember_last
from harness.analysis.tables import Column
from reports.markdown_syntax import escape, section, table
from reports.number_format import count, shorten

if TYPE_CHECKING:
    import pandas as pd

    from harness.generate.dispatch.coverage import Coverage
    from harness.problems.operator import Operator
    from harness.record.run import Run

COVERAGE_COLUMNS = (
    Column("backend", "string", "", "backend under test"),
    Column("operator", "string", "", "operator of the problems"),
    Column("factor", "string", "", "what the condition looks at"),
    Column("condition", "string", "", "condition of the model of dispatch"),
    Column(
        "state", "string", "", "asked; not run: planned only; never asked: in no problem of the plan; or impossible"
    ),
    Column("asked", "int64", "1", "distinct problems that meet the condition and were asked"),
    Column("planned", "int64", "1", "distinct problems of the plan that meet it"),
    Column("pairs_asked", "int64", "1", "conditions of other factors that some asked problem meets as well"),
    Column("pairs_possible", "int64", "1", "conditions of other factors that some problem can meet as well"),
)
GAP_COLUMNS = (
    Column("backend", "string", "", "backend under test"),
    Column("operator", "string", "", "operator of the problems"),
    Column("condition", "string", "", "a condition of the model of dispatch"),
    Column("other", "string", "", "a condition of another factor that can hold with it and was not asked with it"),
    Column("state", "string", "", "not run: planned only; never asked: in no problem of the plan"),
)
MOST_GAPS = 30  # lines of an operator on the page
MOST_OTHERS = 12  # conditions in a line
LONGEST_NAMES = 240  # characters of conditions in a field of the Markdown table
HEADS = ("backend", "operator", "problems asked", "pairs asked", "never asked", "planned, not run")
NOTE = (
    "Conditions by which libraries choose code, and how many distinct problems met them. A problem was asked where a "
    "cell of it ran and proves something. Pairs are of different factors; pairs that no problem can meet are left out."
)

Found = Mapping[str, Mapping["Operator", "Coverage"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One backend as it is shown.

    rows: factor (empty where it repeats), condition, and for each operator a text and a class of its colour.
    gaps: for each operator the lines of what was not asked, and how many lines were left out.
    """

    backend: str
    summary: str
    operators: tuple[str, ...]
    rows: list[tuple[str, str, list[tuple[str, str]]]]
    pairs: list[str]
    gaps: list[tuple[str, list[str], int]]


@remember_last
def _coverage(run: Run) -> Found:
    from harness.analysis.coverage import run_coverage

    return run_coverage(run)


def coverage_words(run: Run) -> list[Words]:
    """Return what the page shows: a table and the gaps of every backend."""
    return [_words(backend, coverages) for backend, coverages in _coverage(run).items()]


def _words(backend: str, coverages: Mapping[Operator, Coverage]) -> Words:
    from harness.generate.dispatch.coverage import table_rows

    rows, last = [], ""
    for factor, name in table_rows(coverages.values()):
        cells = [_cell(one, one.number_of(name)) for one in coverages.values()]
        rows.append(("" if factor == last else factor, name, cells))
        last = factor
    asked, possible = (
        sum(getattr(one, name) for one in coverages.values()) for name in ("pairs_asked", "pairs_possible")
    )
    never, idle = (sum(len(_alone(one, state)) for one in coverages.values()) for state in ("never asked", "not run"))
    parts = [f"{asked} of {possible} pairs asked"]
    parts += [f"never asked: {count(never, 'condition')}"] if never else []
    parts += [f"planned but not run: {idle}"] if idle else []
    return Words(
        backend=backend, summary=" · ".join(parts), operators=tuple(coverages), rows=rows,
        pairs=[f"{one.pairs_asked}/{one.pairs_possible}" for one in coverages.values()],
        gaps=[gap for operator, one in coverages.items() if (gap := _gap_lines(operator, one))[1]],
    )  # fmt: skip


def _cell(coverage: Coverage, number: int | None) -> tuple[str, str]:
    """Return the text of a field and its class: a shade for each decade of the number of problems."""
    if number is None:
        return "", ""
    state = coverage.state(number, number)
    if state == "asked":
        text = str(coverage.asked[number, number])
        return text, f"h{min(4, len(text))}"
    return {"never asked": ("never", "law-bad"), "not run": ("not run", "law-open"), "impossible": ("", "")}[state]


def _gap_lines(operator: Operator, coverage: Coverage) -> tuple[str, list[str], int]:
    from harness.generate.dispatch.coverage import list_gaps

    gaps = list_gaps(coverage)
    lines = []
    for gap in gaps[:MOST_GAPS]:
        names = [one.name for one in gap.others]
        more = f"; and {len(names) - MOST_OTHERS} more" if len(names) > MOST_OTHERS else ""
        with_ = f"{gap.condition.name} with" if gap.condition is not None else "with anything:"
        lines.append(f"{gap.state}: {with_} {'; '.join(names[:MOST_OTHERS])}{more}")
    return operator.value, lines, len(gaps) - len(lines)


def _alone(coverage: Coverage, state: str) -> list[str]:
    """Return the names of conditions that were not asked at all and are in this state."""
    return [coverage.conditions[n].name for n in coverage.missing_alone if coverage.state(n, n) == state]


def _count_names(names: list[str]) -> str:
    return f"{len(names)}: {escape(shorten('; '.join(names), LONGEST_NAMES))}" if names else ""


def markdown(run: Run) -> Iterator[str]:
    """Make the section of the Markdown document; nothing where the run has no cells of operators."""
    found = _coverage(run)
    if not found:
        return
    rows = []
    for backend, coverages in found.items():
        for operator, one in coverages.items():
            names = [_count_names(_alone(one, state)) for state in ("never asked", "not run")]
            pairs = f"{one.pairs_asked} of {one.pairs_possible}"
            rows.append([escape(backend), operator.value, str(one.problems_asked), pairs, *names])
    yield from section("What was asked", f"{NOTE} The pairs that were not asked are in coverage-pairs.csv.")
    yield from table(HEADS, rows, numbers=0)


def coverage_frames(run: Run) -> dict[str, pd.DataFrame]:
    """Return the tables `coverage` and `coverage-pairs`, with the columns of COVERAGE_COLUMNS and GAP_COLUMNS."""
    from reports.frames import make_frame

    found = _coverage(run)
    return {
        "coverage": make_frame(run, list(_coverage_rows(found)), COVERAGE_COLUMNS),
        "coverage-pairs": make_frame(run, list(_gap_rows(found)), GAP_COLUMNS),
    }


def _coverage_rows(found: Found) -> Iterator[dict[str, Any]]:
    for backend, coverages in found.items():
        for operator, one in coverages.items():
            for n, condition in enumerate(one.conditions):
                possible = one.possible[n].copy()
                possible[n] = False
                yield {
                    "backend": backend, "operator": operator.value, "factor": condition.factor,
                    "condition": condition.name, "state": one.state(n, n), "asked": int(one.asked[n, n]),
                    "planned": int(one.planned[n, n]), "pairs_asked": int((possible & (one.asked[n] > 0)).sum()),
                    "pairs_possible": int(possible.sum()),
                }  # fmt: skip


def _gap_rows(found: Found) -> Iterator[dict[str, Any]]:
    for backend, coverages in found.items():
        for operator, one in coverages.items():
            for a, b in one.missing:
                yield {
                    "backend": backend, "operator": operator.value, "condition": one.conditions[a].name,
                    "other": one.conditions[b].name, "state": one.state(a, b),
                }  # fmt: skip
