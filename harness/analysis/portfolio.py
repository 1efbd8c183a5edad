"""The best backend of each layer of a network, and what a portfolio of backends gives over the best single one.

A layer that is chosen because it came out fast in some passes came out fast partly by luck. The gain is therefore taken
pass by pass: for each pass, every layer's backend (and the single backend) is chosen by all other passes, and only the
pass that was left out says what the choice costs. Disturbed passes are left out layer by layer, as everywhere: hardly a
pass is quiet from the first layer of a deep network to the last.
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

Times = Mapping[int, float]  # ns of a call, by pass that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One distinct operator of a network: how often it occurs, its time by backend, and who is best.

    margin: second best over best, over the passes in which both count; None where there is no second, or one pass.
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
    """A pass over a network by its layers.

    singles_ns: sums over the layers of each backend that has all of them. best: the fastest of these; empty where none
    has all. mixed_ns: the sum of the best of each layer. gain: best / mixed, each choice judged by a pass that did not
    make it; None where nothing can be judged. unjudged: problem lines that are not in the gain, as fewer than two of
    their passes count. untimed: problem lines that no backend has a time for.
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
    """One portfolio for every network pass of the run whose layers were timed as well, by problem line.

    The layers of a pass are told by its own result, whichever backend it is of. Only verified times count.
    """
    timed: dict[str, dict[str, Result]] = {}
    for result in run.results:
        verified = result.outcome == "passed" and not result.vacuous
        if result.kind == "speed" and verified and result.measurement is not None:
            timed.setdefault(result.problem, {}).setdefault(result.backend, result)
    parts: dict[str, Mapping[str, int]] = {}
    for result in run.results:
        if result.kind == "speed" and result.exhibit is not None and result.exhibit.parts:
            parts.setdefault(result.problem, result.exhibit.parts)
    return tuple(
        build_portfolio(network, layers, timed) for network, layers in parts.items() if any(p in timed for p in layers)
    )


def build_portfolio(network: str, parts: Mapping[str, int], timed: Mapping[str, Mapping[str, Result]]) -> Portfolio:
    """The portfolio of one pass.

    parts: problem lines with how often each occurs; timed: results by line and backend.
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
    """The passes in which all backends of a layer count."""
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
    """best / mixed with its 95 % interval: the jackknife over passes, as layers may lack some.

    Two passes are judged by choices that share most of what made them, so their gains are not independent: the interval
    is widened as Nadeau and Bengio (2003, Inference for the Generalization Error) widen that of cross-validation.
    layers: times of every backend by line, at least two passes each that all have; complete: backends with all layers.
    """
    common = {line: _common(found) for line, found in layers.items()}
    numbers = sorted(set.union(*common.values()))
    costs: dict[int, dict[str, tuple[float, float]]] = {}  # by pass and line: of the single backend, and of the chosen
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
    """log(single / chosen), summed over the layers, each with the mean of its passes among these."""
    alone = mixed = 0.0
    for line in lines:
        found = [costs[number][line] for number in numbers if line in costs[number]]
        alone += parts[line] * _centre(pair[0] for pair in found)
        mixed += parts[line] * _centre(pair[1] for pair in found)
    return math.log(alone / mixed)


def _centre(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))
