"""In which settings of one backend an answer is wrong: arms that are the same but for environment variables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.plan.arm import parse_arm
from harness.record.run import OUTCOMES, WRONG, Result, Run

PROVES_NOTHING = "proves nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """An arm among those of its backend that differ in settings alone.

    backend: the arm without its settings. setting: empty where nothing is set. observed: what its libraries said.
    counts: results of laws by outcome, those that prove nothing apart.
    """

    arm: str
    backend: str
    setting: str
    observed: Mapping[str, str]
    counts: Mapping[str, int]

    @property
    def wrong(self) -> int:
        """Number of wrong results."""
        return sum(self.counts.get(outcome, 0) for outcome in WRONG)


def setting_rows(run: Run) -> list[SettingRow]:
    """One row for each arm of a backend that was asked with several settings, in their order; none without any."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for result in run.results:
        if result.kind == "correctness":
            counts[result.backend][PROVES_NOTHING if result.vacuous else result.outcome] += 1
    return [
        SettingRow(
            arm=name, backend=of, setting=setting, observed=run.instruction_sets.get(name, {}), counts=counts[name]
        )
        for of, arms in _group_arms(run).items()
        for name, setting in arms.items()
    ]


def count_columns(rows: Sequence[SettingRow]) -> list[str]:
    """The outcomes that occur in rows, in their usual order."""
    usual = [*OUTCOMES[:1], PROVES_NOTHING, *OUTCOMES[1:]]
    return [name for name in usual if any(row.counts.get(name) for row in rows)]


def describe_observed_sets(observed: Mapping[str, str]) -> str:
    """What libraries said, in one line."""
    return ", ".join(f"{name} {value}" for name, value in observed.items())


def explain_settings(run: Run) -> dict[int, str]:
    """For wrong results, by number of cell: in which settings the same cell is wrong, where it is right in others."""
    grouped = _group_arms(run)
    groups = {name: of for of, arms in grouped.items() for name in arms}
    cells: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    for result in run.results:
        if result.backend in groups and result.kind == "correctness":
            cells[groups[result.backend], result.suite, result.problem, result.law].append(result)
    found: dict[int, str] = {}
    for (of, *_), results in cells.items():
        wrong = [result for result in results if result.outcome in WRONG]
        right = [result.backend for result in results if result.outcome == "passed" and not result.vacuous]
        if wrong and right:
            text = _tell_apart(run, grouped[of], [result.backend for result in wrong], right)
            found |= {result.cell: text for result in wrong}
    return found


def _group_arms(run: Run) -> dict[str, dict[str, str]]:
    """Settings by arm, by the arm without them; only groups of several arms."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for record in run.header.arms:
        arm = parse_arm(record.text or record.backend)
        settings = ",".join(f"{name}={value}" for name, value in arm.environment.settings)
        found[arm.backend + arm.environment.place.text][record.name] = settings
    return {of: arms for of, arms in found.items() if len(arms) > 1 and any(arms.values())}


def _tell_apart(run: Run, settings: Mapping[str, str], wrong: Iterable[str], right: Iterable[str]) -> str:
    """What wrong arms have and right ones do not: a setting, or what a library says that it uses."""
    wrong, right = list(wrong), list(right)
    if all(settings[arm] for arm in wrong):
        return f"with {_join(settings[arm] for arm in wrong)}; right with {_join(_name(settings[a]) for a in right)}"
    seen = run.instruction_sets
    for library in dict.fromkeys(name for arm in wrong for name in seen.get(arm, ())):
        bad, good = ([seen.get(arm, {}).get(library, "") for arm in arms] for arms in (wrong, right))
        if "" not in (*bad, *good) and not set(bad) & set(good):
            return f"where {library} uses {_join(bad)}; right where it uses {_join(good)}"
    return f"{_join(_name(settings[arm]) for arm in wrong)}; right with {_join(_name(settings[arm]) for arm in right)}"


def _name(setting: str) -> str:
    return setting or "nothing set"


def _join(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
