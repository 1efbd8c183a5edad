"""Settings of one backend in which a result is wrong: arms that differ only in environment variables."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.plan.arm import parse_arm
from harness.record.run import WRONG, Result, Run

PROVES_NOTHING = "proves nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """An arm among the arms of its backend that differ only in settings.

    plain: the arm without its settings. setting: empty if nothing is set.
    observed: settings reported by its libraries.
    counts: results of laws by outcome; results that prove nothing are counted separately.
    """

    arm: str
    plain: str
    setting: str
    observed: Mapping[str, str]
    counts: Mapping[str, int]

    @property
    def wrong(self) -> int:
        """Number of wrong results."""
        return sum(self.counts.get(outcome, 0) for outcome in WRONG)

    @property
    def reported(self) -> str:
        """Settings that its libraries reported, in one line; empty if there are none."""
        return ", ".join(f"{name} {value}" for name, value in self.observed.items())


def setting_rows(run: Run) -> list[SettingRow]:
    """Return one row for each arm of a backend with several settings, in their order; empty without such a backend."""
    grouped = _group_arms(run)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for result in run.results if grouped else ():
        if result.kind == "correctness":
            counts[result.arm][PROVES_NOTHING if result.vacuous else result.outcome] += 1
    return [
        SettingRow(
            arm=name, plain=of, setting=setting, observed=run.instruction_sets.get(name, {}), counts=counts[name]
        )
        for of, arms in grouped.items()
        for name, setting in arms.items()
    ]


def explain_settings(run: Run) -> dict[int, str]:
    """Map the number of a wrong cell to the settings in which it is wrong, if it is right in others."""
    grouped = _group_arms(run)
    groups = {name: of for of, arms in grouped.items() for name in arms}
    cells: dict[tuple[str, str, str, str], list[Result]] = defaultdict(list)
    for result in run.results if groups else ():
        if result.arm in groups and result.kind == "correctness":
            cells[groups[result.arm], result.suite, result.problem, result.law].append(result)
    found: dict[int, str] = {}
    for (of, *_), results in cells.items():
        wrong = [result for result in results if result.outcome in WRONG]
        right = [result.arm for result in results if result.outcome == "passed" and not result.vacuous]
        if wrong and right:
            text = _tell_apart(run, grouped[of], [result.arm for result in wrong], right)
            found |= {result.cell: text for result in wrong}
    return found


def _group_arms(run: Run) -> dict[str, dict[str, str]]:
    """Settings by arm, grouped by the arm without them; only groups of several arms."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for record in run.header.arms:
        arm = parse_arm(record.text or record.backend)
        settings = ",".join(f"{name}={value}" for name, value in arm.environment.settings)
        found[arm.backend + arm.environment.place.text][record.name] = settings
    return {of: arms for of, arms in found.items() if len(arms) > 1 and any(arms.values())}


def _tell_apart(run: Run, settings: Mapping[str, str], wrong: Iterable[str], right: Iterable[str]) -> str:
    """Difference between wrong arms and right ones: a setting, or the instruction set that a library reports."""
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
