"""Failures: causes of wrong results by backend, with a command that repeats the smallest of each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.analysis import describe_failure, repeat_command
from reports.markdown_syntax import code, escape
from reports.number_format import shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis, Result

MOST_SHOWN, EACH_SHOWN = 250, 1  # on the page
MOST_LISTED, EACH_LISTED = 120, 1  # in Markdown
LONGEST, LONGEST_NAME = 1000, 120  # characters of a reason, and of the line to which a failure is folded


def page(analysis: Analysis) -> dict[str, Any]:
    """Return groups of wrong results, and functions that describe and repeat one."""

    def describe(result: Result) -> list[tuple[str, str]]:
        return describe_failure(result, analysis.wrong_only_in.get(result.cell, ""))

    def name(result: Result) -> str:
        said = dict(describe(result))
        return shorten(said.get("where") or said["reason"], LONGEST_NAME)

    return {
        "failures": analysis.failures(MOST_SHOWN, EACH_SHOWN), "describe": describe,
        "name": name,
        "command_for": partial(repeat_command, analysis.run.header),
    }  # fmt: skip


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield causes of wrong results by backend; nothing if there are none."""
    groups = analysis.failures(MOST_LISTED, EACH_LISTED)
    if not groups:
        return
    yield from ("", "## Failures")
    for group in groups:
        number = len(group.results) + group.more
        yield from ("", f"### {escape(group.arm)}, {escape(group.law)}: {number} wrong", "")
        if group.formula:
            yield from (f"Law {escape(group.results[0].law)}: {code(group.formula)}", "")
        for result in group.results:
            yield _failure(analysis, result)
        if group.more:
            yield from ("", f"and {group.more} more with this cause, in results.csv.")
        if group.others:
            yield from ("", f"and {group.others} more with other causes, in results.csv.")


def _failure(analysis: Analysis, result: Result) -> str:
    words = {
        name: escape(shorten(text, LONGEST))
        for name, text in describe_failure(result, analysis.wrong_only_in.get(result.cell, ""))
    }
    return "\n".join((
        f"- {result.outcome}: {words.pop('reason')}",
        *(f"  - {name}: {text}" for name, text in words.items()),
        f"  - problem: {code(result.problem)}",
        f"  - repeat: {code(repeat_command(analysis.run.header, result))}",
    ))  # fmt: skip


FAILURES = Section(page=page, markdown=markdown, lines="failures")
