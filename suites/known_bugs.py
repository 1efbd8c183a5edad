"""Suite `known-bugs`: public reports of wrong implementations, checked against the installed libraries.

The reports stand in data/known_bugs.toml. Other suites ask every backend every problem; this one asks each report of
the backends that it names.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from functools import cache
from importlib import resources

import msgspec

from harness import Law, NamedProblem, Problem, ProblemSet, Suite, UsageError, hookimpl
from harness.plan import KnownBug

NAME = "known-bugs"
TABLE = "data/known_bugs.toml"
SOURCE = "problem lines of public reports of wrong implementations"


@cache
def known_bugs() -> tuple[KnownBug, ...]:
    """Every known bug of the table. Raises UsageError where it cannot be read."""
    return read_bugs(resources.files("suites").joinpath(TABLE).read_text(encoding="utf-8"), TABLE)


def read_bugs(text: str, name: str) -> tuple[KnownBug, ...]:
    """Known bugs from TOML; raises UsageError for an unknown field, a missing one, or a contradiction."""
    try:
        rows = tomllib.loads(text).get("bug", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: {error}; wanted TOML with tables [[bug]]") from None
    fields = {field.name for field in dataclasses.fields(KnownBug)}
    found = []
    for place, row in enumerate(rows, start=1):
        where = f"{name}: bug {place} ({row.get('project', 'without a project')}#{row.get('number', 0)})"
        for field in row:
            if field not in fields:
                raise UsageError(f"{where}: got the field '{field}', wanted one of {', '.join(sorted(fields))}")
        try:
            bug = msgspec.convert(row, KnownBug)
        except msgspec.ValidationError as error:
            raise UsageError(f"{where}: {error}") from None
        _check(bug, where)
        found.append(bug)
    return tuple(found)


def _check(bug: KnownBug, where: str) -> None:
    """Raise UsageError for contradictions that types cannot express."""
    if bool(bug.number) == bool(bug.name):
        raise UsageError(f"{where}: got number {bug.number} and name '{bug.name}', wanted one of them")
    if bool(bug.seen) == bool(bug.unseen):
        raise UsageError(f"{where}: wanted where it was seen, or why it cannot be seen here: `seen` or `unseen`")
    if not (bug.backends and bug.lines and bug.laws and bug.shows):
        raise UsageError(f"{where}: wanted at least one backend, line, law and outcome")


def find_gaps(reaches: Callable[[Problem], bool]) -> list[str]:
    """Name the bugs on which the table and a generator of problems disagree, a line each.

    reaches: whether the generator can draw a problem. A row whose lines it cannot all draw says why in `domain`, and
    only such a row does.
    """
    gaps = []
    for bug in known_bugs():
        outside = [problem.line for problem in bug.problems if not reaches(problem)]
        if outside and not bug.domain:
            gaps.append(f"{bug.id}: the generator cannot draw '{outside[0]}', and the row does not say why")
        if bug.domain and not outside:
            gaps.append(f"{bug.id}: the generator can draw all its lines, and the row says '{bug.domain}'")
    return gaps


def bug_problems() -> tuple[NamedProblem, ...]:
    """All lines, under the names of their reports."""
    return tuple(NamedProblem(name=bug.id, problem=problem) for bug in known_bugs() for problem in bug.problems)


def law_names() -> tuple[str, ...]:
    """Every law that a report names."""
    return tuple(dict.fromkeys(law for bug in known_bugs() for law in bug.laws))


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the suite."""
    register(
        Suite(
            name=NAME,
            kind="correctness",
            description="public reports of wrong implementations: present, absent, or does not apply here",
            problems=bug_problems,
            bugs=known_bugs,
            laws=law_names(),
            budget_s=60.0,
        )
    )


@hookimpl
def register_problems(register: Callable[[ProblemSet], None]) -> None:
    """Register the lines as a problem set."""
    register(ProblemSet(name=NAME, description=SOURCE, problems=bug_problems))
