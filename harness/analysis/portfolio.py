"""The best backend of each layer of a network, and the gain of a portfolio of backends over the best single one.

A backend that was chosen because it was fast in some passes was partly lucky (selection bias). The gain is therefore
cross-validated: for each pass, the backend of every layer (and the single backend) is chosen by all other passes, and
only the pass that was left out determines the cost of the choice. Disturbed passes are left out for each layer
separately, because hardly any pass is undisturbed in all layers of a deep network.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.sequential import STUDENT
from harness.analysis.statistics import Estimate, estimate_time, pass_values
from harness.analysis.verdicts import estimate_centre
from harness.record.run import Result, Run

Times = Mapping[int, float]  # ns of a call, by number of the pass; passes that do not count are absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One distinct problem of a network: how often it occurs, its time by backend, and the best backend.

    margin: second best over best, over the passes in which both count; None without a second one, or with fewer than
    two such passes.
    """

    problem: str
    label: str
    count: int
    times_ns: Mapping[str, float]
    best: str
    second: str
    margin: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """A pass over a network, by its layers.

    singles_ns: sum over the layers for each backend that has a time for all of them.
    best: the fastest of these; empty if there is none. mixed_ns: sum of the best times of all layers.
    gain: best / mixed, cross-validated over passes; None if it cannot be estimated.
    unjudged: problem lines that are not part of the gain, because fewer than two of their passes count.
    untimed: problem lines without a time on any backend.
    """

    network: str
    choices: tuple[Choice, ...]
    singles_ns: Mapping[str, float]
    best: str
    mixed_ns: float
    gain: Estimate | None
    unjudged: tuple[str, ...]
    untimed: tuple[str, ...]


def find_portfolios(run: Run) -> tuple[Portfolio, ...]:
    """Return one portfolio for every network pass of the run whose layers were timed too.

    The result of the pass itself, on any backend, lists its layers. Only verified times count.
    """
    timed: dict[str, dict[str, Result]] = {}
    speed = [result for result in run.results if result.kind == "speed"]
    for result in speed:
        if result.outcome == "passed" and not result.vacuous and result.measurement is not None:
            timed.setdefault(result.problem, {}).setdefault(result.arm, result)
    parts: dict[str, Mapping[str, int]] = {}
    for result in speed:
        if result.attachments is not None and result.attachments.parts:
            parts.setdefault(result.problem, result.attachments.parts)
    return tuple(
        build_portfolio(network, layers, timed) for network, layers in parts.items() if any(p in timed for p in layers)
    )


def build_portfolio(network: str, parts: Mapping[str, int], timed: Mapping[str, Mapping[str, Result]]) -> Portfolio:
    """Build the portfolio of one pass.

    network: problem line of the pass. parts: number of occurrences by problem line of a layer.
    timed: results by problem line and backend.
    """
    layers = {line: timed[line] for line in parts if line in timed}
    choices = tuple(_choose(line, parts[line], found) for line, found in layers.items())
    complete = sorted(set.intersection(*(set(one.times_ns) for one in choices))) if choices else []
    singles = {name: sum(one.count * one.times_ns[name] for one in choices) for name in complete}
    counted = {line: {name: _times(result) for name, result in found.items()} for line, found in layers.items()}
    judged = {line: found for line, found in counted.items() if len(_common(found)) > 1}
    return Portfolio(
        network=network, choices=choices, singles_ns=singles, best=min(singles, key=singles.__getitem__, default=""),
        mixed_ns=sum(one.count * one.times_ns[one.best] for one in choices),
        gain=_find_gain(judged, parts, complete) if judged and complete else None,
        unjudged=tuple(line for line in layers if line not in judged),
        untimed=tuple(line for line in parts if line not in layers),
    )  # fmt: skip


def _times(result: Result) -> Times:
    return {} if result.measurement is None else pass_values(result.measurement.passes)


def _common(found: Mapping[str, Times]) -> set[int]:
    """Passes that count for all backends of a layer."""
    return set.intersection(*(set(times) for times in found.values()))


def _choose(line: str, count: int, results: Mapping[str, Result]) -> Choice:
    times = {name: estimate_time(one.measurement).value for name, one in results.items() if one.measurement is not None}
    order = sorted(times, key=times.__getitem__)
    best, second = order[0], order[1] if len(order) > 1 else ""
    logs = []
    if second:
        fast, slow = _times(results[best]), _times(results[second])
        logs = [math.log(slow[number] / fast[number]) for number in sorted(fast.keys() & slow.keys())]
    return Choice(
        problem=line, label=results[best].label, count=count, times_ns=times, best=best, second=second,
        margin=estimate_centre(logs, STUDENT) if len(logs) > 1 else None,
    )  # fmt: skip


def _find_gain(
    layers: Mapping[str, Mapping[str, Times]], parts: Mapping[str, int], complete: Sequence[str]
) -> Estimate:
    """best / mixed with its 95 % interval, by the jackknife over passes, because layers may lack passes.

    The choices for two passes share most of their data, so the gains are not independent: the interval is widened by
    the correction of Nadeau and Bengio (2003, Inference for the Generalization Error) for cross-validation.
    layers: times of every backend by line, with at least two common passes.
    complete: backends with times for all layers.
    """
    common = {line: _common(found) for line, found in layers.items()}
    numbers = sorted(set.union(*common.values()))
    costs: dict[int, dict[str, tuple[float, float]]] = {}  # by pass and line: single backend, chosen backend
    for number in numbers:
        guess = {
            line: {name: _centre(times[other] for other in common[line] - {number}) for name, times in found.items()}
            for line, found in layers.items()
        }
        sums = {name: sum(parts[line] * guess[line][name] for line in guess) for name in complete}
        single = min(sums, key=sums.__getitem__)
        costs[number] = {
            line: (found[single][number], found[min(guess[line], key=guess[line].__getitem__)][number])
            for line, found in layers.items()
            if number in common[line]
        }
    whole = _log_gain(costs, parts, layers, numbers)
    without = [_log_gain(costs, parts, layers, [other for other in numbers if other != number]) for number in numbers]
    n = len(numbers)
    mean, spread = statistics.fmean(without), (n - 1) * math.sqrt(1 + n / (n - 1))
    return estimate_centre([whole + spread * (mean - one) for one in without], STUDENT)


def _log_gain(
    costs: Mapping[int, Mapping[str, tuple[float, float]]],
    parts: Mapping[str, int],
    lines: Iterable[str],
    numbers: Sequence[int],
) -> float:
    """log(single / chosen), summed over the layers, each with the geometric mean of its passes among `numbers`."""
    alone = mixed = 0.0
    for line in lines:
        found = [costs[number][line] for number in numbers if line in costs[number]]
        alone += parts[line] * _centre(pair[0] for pair in found)
        mixed += parts[line] * _centre(pair[1] for pair in found)
    return math.log(alone / mixed)


def _centre(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))
