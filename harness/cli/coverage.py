"""`harness list coverage RUN`: print the conditions of the model of dispatch that a run asked, and the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.table import Table

    from harness.generate.dispatch.coverage import Coverage, Gap
    from harness.problems.operator import Operator
    from harness.record.run import Run

MOST_GAPS = 12  # lines of an operator without --all
MOST_OTHERS = 8  # conditions in such a line


def print_coverage(
    console: Console, run: Run, backends: tuple[str, ...], operators: tuple[str, ...], law: str | None, *, every: bool
) -> None:
    """Print the table of conditions, the numbers of pairs, and the pairs that were not asked, backend by backend.

    console: to print on. run: the run to show. backends, operators: show only these, all of the run by default.
    law: count only its cells, or None for all. every: True to print all lines.
    Raises UsageError for a name that the run does not have.
    """
    from rich.markup import escape

    found = choose(run, backends, operators, law)
    if not run.complete:
        console.print(f"INCOMPLETE: {len(run.results)} of {run.header.cells} cells; what they ask is shown.")
    for backend, coverages in found.items():
        console.print(f"[bold]{escape(backend)}[/bold]: problems that met a condition and were asked")
        console.print(conditions_table(coverages))
        console.print(pairs_table(coverages))
        for operator, coverage in coverages.items():
            _print_gaps(console, operator, coverage, every=every)
        console.print()


def choose(
    run: Run, backends: tuple[str, ...], operators: tuple[str, ...], law: str | None
) -> dict[str, dict[Operator, Coverage]]:
    """Return the coverage of the named backends and operators.

    run: the run to count. backends, operators: names, empty for all. law: count only its cells, or None for all.
    Raises UsageError for a name that the run does not have, and if no cell matches.
    """
    from harness.analysis.coverage import cells_of_operators, operator_of, run_coverage
    from harness.problems.operator import Operator

    see = f"python -m harness list coverage {run.path}"
    cells = list(cells_of_operators(run))
    if not cells:
        raise UsageError(
            f"nothing to count: got '{run.path}', which has no cell of an operator; wanted a run of problem lines, "
            "such as `python -m harness run correctness` makes"
        )
    for name in operators:
        if name not in Operator.__members__:
            raise unknown("operator", name, Operator.__members__, "python -m harness list operators")
    for kind, names, known in (
        ("backend", backends, {one.arm for one in cells}),
        ("operator", operators, {operator_of(one) for one in cells}),
        ("law", (law,) if law is not None else (), {one.law for one in cells if one.law}),
    ):
        for name in names:
            if name not in known:
                raise unknown(f"{kind} of the run", name, known, see)
    found = run_coverage(run, law, backends, operators)
    if not found:
        raise UsageError(f"nothing to count: no cell of '{run.path}' is of all that was named; see `{see}`")
    return found


def conditions_table(coverages: Mapping[Operator, Coverage]) -> Table:
    """Return the table of conditions by operators: numbers of problems, or `never` or `not run`."""
    from rich.markup import escape

    from harness.cli.terminal import plain_table
    from harness.generate.dispatch.coverage import list_conditions

    table = plain_table("factor", "condition", *coverages, numbers=len(coverages))
    last = ""
    for factor, name in list_conditions(coverages.values()):
        cells = [_cell(coverage, coverage.number_of(name)) for coverage in coverages.values()]
        table.add_row("" if factor == last else factor, escape(name), *cells)
        last = factor
    return table


def _cell(coverage: Coverage, number: int | None) -> str:
    if number is None:
        return ""
    state = coverage.state(number, number)
    if state == "asked":
        return str(coverage.asked[number, number])
    return {"never asked": "[red]never[/red]", "not run": "[yellow]not run[/yellow]", "impossible": ""}[state]


def pairs_table(coverages: Mapping[Operator, Coverage]) -> Table:
    """Return the table of pairs of conditions of different factors: numbers of possible, asked and missing ones."""
    from harness.cli.terminal import plain_table

    heads = ("problems", "asked", "pairs possible", "asked", "not run", "never asked")
    table = plain_table("operator", *heads, numbers=len(heads))
    for operator, one in coverages.items():
        states = [one.state(*pair) for pair in one.missing]
        numbers = (one.problems_planned, one.problems_asked, one.pairs_possible, one.pairs_asked,
                   states.count("not run"), states.count("never asked"))  # fmt: skip
        table.add_row(operator.value, *map(str, numbers))
    return table


def _print_gaps(console: Console, operator: Operator, coverage: Coverage, *, every: bool) -> None:
    from harness.generate.dispatch.coverage import list_gaps

    gaps = list_gaps(coverage)
    if not gaps:
        console.print(f"{operator}: every pair was asked")
        return
    shown = gaps if every else gaps[:MOST_GAPS]
    console.print(f"{operator}, not asked:")
    for gap in shown:
        console.print(f"    {describe_gap(gap, None if every else MOST_OTHERS)}", markup=False, soft_wrap=True)
    if len(gaps) > len(shown):
        console.print(f"    ... {len(gaps) - len(shown)} more lines; --all shows them")


def describe_gap(gap: Gap, most: int | None = None) -> str:
    """Return a line: state of the condition, its name, and the conditions with which it was not combined."""
    names = [one.name for one in gap.others]
    if gap.condition is None:
        return f"{gap.state:<11}  with anything: {'; '.join(names)}"
    more = f"; and {len(names) - most} more" if most is not None and len(names) > most else ""
    return f"{gap.state:<11}  {gap.condition.name}  with  {'; '.join(names[:most])}{more}"
