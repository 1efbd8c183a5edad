"""The best backend of each layer of a network, and what a portfolio of backends gives over the best single one.

A layer that is chosen because it came out fast in some passes came out fast partly by luck. The gain is therefore taken
pass by pass: for each pass, every layer's backend (and the single backend) is chosen by all other passes, and only the
pass that was left out says what the choice costs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.record.run import Result, Run
from harness.timing.sequential import STUDENT
from harness.timing.statistics import Estimate, log_ratios, pass_values
from harness.timing.verdict import estimate_centre

Times = Mapping[int, float]  # ns of a call, by pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One distinct operator of a network: how often it occurs, its time by backend, and who is best.

    margin: second best over best, over the passes in which both were timed; None where there is no second, or one pass.
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
    has all. mixed_ns: the sum of the best of each layer. gain: best / mixed, pass by pass with choices made by the
    others; None with fewer than two passes. untimed: problem lines that no backend has a time for.
    """

    network: str
    choices: tuple[Choice, ...]
    singles_ns: Mapping[str, float]
    best: str
    mixed_ns: float
    gain: Estimate | None
    untimed: tuple[str, ...]


def find_portfolios(run: Run) -> tuple[Portfolio, ...]:
    """One portfolio for every network pass of the run whose layers were timed as well, by problem line.

    The layers of a pass are told by its own result, whichever backend it is of.
    """
    timed: dict[str, dict[str, Result]] = {}
    for result in run.results:
        if result.kind == "speed" and result.outcome == "passed" and result.measurement is not None:
            timed.setdefault(result.problem, {}).setdefault(result.backend, result)
    parts: dict[str, Mapping[str, int]] = {}
    for result in run.results:
        exhibit = result.deviation.exhibit if result.deviation is not None else None
        if result.kind == "speed" and exhibit is not None and exhibit.parts:
            parts.setdefault(result.problem, exhibit.parts)
    return tuple(
        build_portfolio(network, layers, timed) for network, layers in parts.items() if any(p in timed for p in layers)
    )


def build_portfolio(network: str, parts: Mapping[str, int], timed: Mapping[str, Mapping[str, Result]]) -> Portfolio:
    """The portfolio of one pass.

    parts: problem lines with how often each occurs; timed: results by line and backend.
    """
    known = {line: {name: _times(result) for name, result in timed[line].items()} for line in parts if line in timed}
    layers = {line: {name: times for name, times in found.items() if times} for line, found in known.items()}
    layers = {line: found for line, found in layers.items() if found}
    centres = {line: {name: _centre(times.values()) for name, times in found.items()} for line, found in layers.items()}
    choices = tuple(_choose(line, parts[line], centres[line], timed[line]) for line in layers)
    complete = _complete(centres)
    singles = {name: sum(parts[line] * centres[line][name] for line in centres) for name in complete}
    return Portfolio(
        network=network, choices=choices, singles_ns=singles, best=min(singles, key=singles.__getitem__, default=""),
        mixed_ns=sum(choice.count * choice.times_ns[choice.best] for choice in choices),
        gain=_find_gain(layers, parts), untimed=tuple(line for line in parts if line not in layers),
    )  # fmt: skip


def _times(result: Result) -> Times:
    return {} if result.measurement is None else pass_values(result.measurement.passes)


def _centre(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def _complete(centres: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Backends that have a time for every layer."""
    found = [set(names) for names in centres.values()]
    return sorted(set.intersection(*found)) if found else []


def _choose(line: str, count: int, centres: Mapping[str, float], results: Mapping[str, Result]) -> Choice:
    order = sorted(centres, key=centres.__getitem__)
    best, second = order[0], order[1] if len(order) > 1 else ""
    margin = None
    if second:
        fast, slow = results[best].measurement, results[second].measurement
        assert fast is not None and slow is not None
        margin = _over_passes(log_ratios(fast.passes, slow.passes))
    return Choice(
        problem=line, label=results[best].label, count=count, times_ns=centres, best=best, second=second, margin=margin
    )


def _find_gain(layers: Mapping[str, Mapping[str, Times]], parts: Mapping[str, int]) -> Estimate | None:
    """best / mixed over passes, each choice made without the pass that judges it."""
    passes = sorted(set.intersection(*(set(t) for found in layers.values() for t in found.values()))) if layers else []
    gains = []
    for number in passes if len(passes) > 1 else []:
        others = [other for other in passes if other != number]
        guess = {
            line: {name: _centre(times[other] for other in others) for name, times in found.items()}
            for line, found in layers.items()
        }
        complete = _complete(guess)
        if not complete:
            return None
        single = min(complete, key=lambda name: sum(parts[line] * guess[line][name] for line in guess))
        alone = sum(parts[line] * found[single][number] for line, found in layers.items())
        mixed = sum(
            parts[line] * found[min(guess[line], key=guess[line].__getitem__)][number] for line, found in layers.items()
        )
        gains.append(math.log(alone / mixed))
    return _over_passes(gains)


def _over_passes(logs: Sequence[float]) -> Estimate | None:
    """The centre of log ratios with its interval over passes; None with fewer than two."""
    return estimate_centre(logs, STUDENT) if len(logs) > 1 else None
