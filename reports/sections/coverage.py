"""Coverage: conditions of the model of dispatch, by backend and operator, and gaps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.markdown_syntax import escape, section, table
from reports.number_format import count, shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness import Analysis, Operator
    from harness.generate import Coverage, CoverageState

MOST_GAPS = 30  # lines of an operator on the page
MOST_OTHERS = 12  # conditions in a line
LONGEST_NAMES = 240  # characters of conditions in a field of the Markdown table
HEADS = ("backend", "operator", "problems asked", "pairs asked", "never asked", "planned, not run")
NOTE = (
    "Conditions by which libraries choose code, and how many distinct problems met them. A problem was asked where a "
    "cell of it ran and proves something. Pairs are of different factors; pairs that no problem can meet are left out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One backend as shown.

    rows: factor (empty if repeated), condition, and for each operator a text and the class of its colour.
    gaps: for each operator, the lines of combinations that were not asked, and the number of hidden lines.
    """

    backend: str
    summary: str
    operators: tuple[str, ...]
    rows: list[tuple[str, str, list[tuple[str, str]]]]
    pairs: list[str]
    gaps: list[tuple[str, list[str], int]]


def coverage_words(found: Mapping[str, Mapping[Operator, Coverage]]) -> list[Words]:
    """Return a table and the gaps of every backend."""
    return [_words(backend, coverages) for backend, coverages in found.items()]


def _words(backend: str, coverages: Mapping[Operator, Coverage]) -> Words:
    from harness.generate import list_conditions

    rows, last = [], ""
    for factor, name in list_conditions(coverages.values()):
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
    """Text of a field, and its class: a shade for each decade of the number of problems."""
    if number is None:
        return "", ""
    state = coverage.state(number, number)
    if state == "asked":
        text = str(coverage.asked[number, number])
        return text, f"h{min(4, len(text))}"
    return {"never asked": ("never", "law-bad"), "not run": ("not run", "law-open"), "impossible": ("", "")}[state]


def _gap_lines(operator: Operator, coverage: Coverage) -> tuple[str, list[str], int]:
    from harness.generate import list_gaps

    gaps = list_gaps(coverage)
    lines = []
    for gap in gaps[:MOST_GAPS]:
        names = [one.name for one in gap.others]
        more = f"; and {len(names) - MOST_OTHERS} more" if len(names) > MOST_OTHERS else ""
        with_ = f"{gap.condition.name} with" if gap.condition is not None else "with anything:"
        lines.append(f"{gap.state}: {with_} {'; '.join(names[:MOST_OTHERS])}{more}")
    return operator.value, lines, len(gaps) - len(lines)


def _alone(coverage: Coverage, state: CoverageState) -> list[str]:
    """Names of the conditions that were not asked at all and are in this state."""
    return [coverage.conditions[n].name for n in coverage.missing_alone if coverage.state(n, n) == state]


def _count_names(names: list[str]) -> str:
    return f"{len(names)}: {escape(shorten('; '.join(names), LONGEST_NAMES))}" if names else ""


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield the section; nothing if the run has no cells of operators, or compared arms."""
    if analysis.verdicts is not None or not analysis.coverage:  # problems of a comparison of arms are chosen for that
        return
    rows = []
    for backend, coverages in analysis.coverage.items():
        for operator, one in coverages.items():
            names = [_count_names(_alone(one, state)) for state in ("never asked", "not run")]
            pairs = f"{one.pairs_asked} of {one.pairs_possible}"
            rows.append([escape(backend), operator.value, str(one.problems_asked), pairs, *names])
    yield from section("What was asked", f"{NOTE} The pairs that were not asked are in coverage-pairs.csv.")
    yield from table(HEADS, rows, numbers=0)


def page(analysis: Analysis) -> dict[str, Any]:
    """Return conditions and gaps by backend; empty if arms were compared, on problems chosen for that."""
    shown = [] if analysis.verdicts is not None else coverage_words(analysis.coverage)
    return {"coverage": shown, "coverage_note": NOTE}


COVERAGE = Section(page=page, markdown=markdown)
