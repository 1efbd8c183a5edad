"""Whole networks: what each takes on each backend, how far it is from the truth, and the best backend of each layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.network.problem import is_network_line, split_line
from harness.record.run import RAN, WRONG
from reports.figures import COLOURS, Figure, make_figure
from reports.text import format_interval, format_number, format_time

if TYPE_CHECKING:
    from harness.record.run import Result, Run
    from harness.timing.portfolio import Choice, Portfolio
    from harness.timing.statistics import Estimate

WHOLE_LAW = "network-equals-autograd"
WORKS = ("forward", "step")
MIB = 2**20
BEST = "best of each layer"
MOST_LAYERS = 12  # of a portfolio that Markdown shows, those that take longest


@dataclass(slots=True, kw_only=True)
class NetworkRow:
    """One network on one backend.

    given: what it was timed on, as fields of its line. timed: by pass, verified results alone; why: by pass or "laws",
    the reason where there is nothing. laws: results of laws on this network, on whatever input.
    """

    network: str
    given: str
    backend: str
    timed: dict[str, Result] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    laws: list[Result] = field(default_factory=list)

    @property
    def worst(self) -> float | None:
        """Largest error of the whole network in units of its bound."""
        found = [r.deviation.worst for r in self.laws if r.law == WHOLE_LAW and r.deviation is not None]
        return max(found, default=None)

    @property
    def asked(self) -> int:
        """Number of laws that ran."""
        return sum(result.outcome in RAN for result in self.laws)

    @property
    def broken(self) -> list[str]:
        """Names of laws that are broken."""
        return sorted({result.law for result in self.laws if result.outcome in WRONG})

    def figure(self, name: str, work: str = "step") -> float | None:
        """A figure that a result of this network shows: parameters, operations or activation bytes."""
        results = [self.timed[work]] if work in self.timed else [*self.timed.values(), *self.laws]
        for result in results:
            exhibit = result.deviation.exhibit if result.deviation is not None else None
            if exhibit is not None and name in exhibit.figures:
                return exhibit.figures[name]
        return None

    def time(self, work: str) -> Estimate | None:
        """Median time of a pass."""
        from harness.timing.statistics import estimate_time

        measurement = self.timed[work].measurement if work in self.timed else None
        return estimate_time(measurement) if measurement is not None else None

    def memory(self, name: str) -> int | None:
        """Most bytes of a step that a pass measured (memory_bytes) or declared (workspace_bytes)."""
        measurement = self.timed["step"].measurement if "step" in self.timed else None
        found = [getattr(one, name) for one in measurement.passes] if measurement is not None else []
        return max(found, default=0) or None


def network_rows(run: Run) -> list[NetworkRow]:
    """A row for every network, input and backend, in the order of the run."""
    rows: dict[tuple[str, str, str], NetworkRow] = {}
    laws: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in run.results:
        if not is_network_line(result.problem):
            continue
        network, work, given = split_line(result.problem)
        if result.kind != "speed":
            laws[network, result.backend].append(result)
            continue
        row = rows.setdefault(
            (network, given, result.backend), NetworkRow(network=network, given=given, backend=result.backend)
        )
        if result.outcome == "passed" and result.measurement is not None and not result.vacuous:
            row.timed[work] = result
        else:
            row.why[work] = f"{result.outcome}: {result.reason}"
    known = {(network, backend) for network, _, backend in rows}
    for network, backend in laws:
        if (network, backend) not in known:
            rows[network, "", backend] = NetworkRow(network=network, given="", backend=backend)
    for row in rows.values():
        row.laws = laws.get((row.network, row.backend), [])
        idle = [result for result in row.laws if result.outcome not in RAN]
        if idle:
            row.why["laws"] = f"{idle[0].outcome}: {idle[0].reason}"
    order = {name: place for place, name in enumerate(dict.fromkeys(row.network for row in rows.values()))}
    return sorted(rows.values(), key=lambda row: (order[row.network], row.given))


def network_records(run: Run) -> list[dict[str, Any]]:
    """The same as records, with the columns of NETWORK_COLUMNS."""
    return [_record(row) for row in network_rows(run)]


def _record(row: NetworkRow) -> dict[str, Any]:
    values: dict[str, Any] = {
        "network": row.network, "given": row.given, "backend": row.backend, "parameters": row.figure("parameters"),
        "activation_bytes": row.figure("activation bytes"), "memory_bytes": row.memory("memory_bytes"),
        "workspace_bytes": row.memory("workspace_bytes"), "worst": row.worst, "laws_ran": row.asked,
        "laws_broken": ", ".join(row.broken), "reason": "; ".join(dict.fromkeys(row.why.values())),
    }  # fmt: skip
    for work in WORKS:
        time, operations = row.time(work), row.figure("operations", work) if work in row.timed else None
        values |= {f"{work}_ns": None, f"{work}_low_ns": None, f"{work}_high_ns": None, f"{work}_gflops": None}
        if time is not None:
            values |= {f"{work}_ns": time.value, f"{work}_low_ns": time.low, f"{work}_high_ns": time.high}
            values[f"{work}_gflops"] = operations / time.value if operations else None
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A row in words; `well` is False where something is wrong."""

    network: str
    backend: str
    cells: tuple[tuple[str, str], ...]
    well: bool


HEADS = ("forward", "step", "largest error", "laws", "parameters", "memory of a step")


def network_words(run: Run) -> list[Words]:
    """The rows as they are shown: pairs of a value and a note below it, under HEADS.

    Backends that are unavailable are left out: that is said once, where the outcomes are.
    """
    rows = network_rows(run)
    counted = {row.network: count for row in rows if (count := row.figure("parameters")) is not None}
    return [
        _row_words(row, counted.get(row.network)) for row in rows if row.timed or row.backend not in run.unavailable
    ]


def _row_words(row: NetworkRow, parameters: float | None) -> Words:
    worst = row.worst
    passed = sum(result.outcome == "passed" for result in row.laws)
    laws = f"{passed} of {row.asked} passed" if row.asked else ""
    note = "broken: " + ", ".join(row.broken) if row.broken else row.why.get("laws", "")
    cells = (
        *(_time_words(row, work) for work in WORKS),
        (f"{format_number(worst)} of its bound" if worst is not None else "", ""),
        (laws, note),
        (f"{parameters:,.0f}" if parameters else "", ""),
        _memory_words(row),
    )
    return Words(
        network=" ".join(filter(None, (row.network, row.given))), backend=row.backend, cells=cells,
        well=not row.broken and not any(why.split(":")[0] in WRONG for why in row.why.values()),
    )  # fmt: skip


def _time_words(row: NetworkRow, work: str) -> tuple[str, str]:
    time = row.time(work)
    if time is None:
        return "", row.why.get(work, "")
    operations = row.figure("operations", work)
    rate = f", {format_number(operations / time.value)} GFLOP/s" if operations else ""
    within = " (one process)" if time.over == "one process" else ""
    return format_time(time.value), f"{format_interval(time.low, time.high)}{within}{rate}"


def _memory_words(row: NetworkRow) -> tuple[str, str]:
    held, grown, space = row.figure("activation bytes"), row.memory("memory_bytes"), row.memory("workspace_bytes")
    notes = [f"workspace {_mib(space)}"] * bool(space) + [f"measured growth {_mib(grown)}"] * bool(grown)
    return (f"{_mib(held)} of activations", ", ".join(notes)) if held and "step" in row.timed else ("", "")


def _mib(count: float | None) -> str:
    return f"{format_number((count or 0) / MIB)} MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioWords:
    """A portfolio as it is shown: a headline, its layers, longest first, and its picture."""

    title: str
    text: str
    layers: tuple[tuple[str, ...], ...]
    untimed: tuple[str, ...]
    figure: Figure


LAYER_HEADS = ("layer", "times", "best", "time", "second", "second / best", "95 % interval", "problem")


def portfolio_words(run: Run) -> list[PortfolioWords]:
    """Every pass over a network whose layers were timed."""
    from harness.timing.portfolio import find_portfolios

    return [_words_of(number, found) for number, found in enumerate(find_portfolios(run))]


def _words_of(number: int, found: Portfolio) -> PortfolioWords:
    network, work, given = split_line(found.network)
    single = f"{found.best} alone {format_time(found.singles_ns[found.best])}" if found.best else "no backend has all"
    text = f"Sum over the layers: {single}; the best of each layer {format_time(found.mixed_ns)}"
    if found.gain is not None:
        gain = found.gain
        sure = "" if gain.low > 1 else ", which is no gain for sure"
        text += (
            f"; a portfolio is {gain.value:.3f} times as fast ({gain.low:.3f} to {gain.high:.3f}{sure}), "
            "each choice judged by a pass that did not make it"
        )
    ordered = sorted(found.choices, key=lambda one: -one.count * one.times_ns[one.best])
    return PortfolioWords(
        title=" ".join(filter(None, (network, work, given))), text=text, untimed=found.untimed,
        layers=tuple(map(_layer_words, ordered)), figure=_draw(number, found),
    )  # fmt: skip


def _layer_words(choice: Choice) -> tuple[str, ...]:
    margin = choice.margin
    ratio = "" if margin is None else f"{margin.value:.2f}"
    interval = "" if margin is None else f"{margin.low:.2f} to {margin.high:.2f}{'' if margin.low > 1 else ' (open)'}"
    best = format_time(choice.times_ns[choice.best])
    layer = f"{choice.label.partition('/')[2] or choice.label} {choice.problem.split(maxsplit=1)[0]}"
    second = choice.second or "none"
    return layer, f"×{choice.count}", choice.best, best, second, ratio, interval, choice.problem


def _draw(number: int, found: Portfolio) -> Figure:
    """Bars of the summed time of every backend that has all layers, and of the best of each, by operator."""
    import html

    operators = list(dict.fromkeys(choice.problem.split(maxsplit=1)[0] for choice in found.choices))
    names = sorted(found.singles_ns, key=lambda name: -found.singles_ns[name])
    bars = [*names, BEST]
    data = [
        {
            "type": "bar", "orientation": "h", "name": operator, "y": [html.escape(bar) for bar in bars],
            "x": [round(sum(_spent(found.choices, operator, bar)) / 1e6, 4) for bar in bars],
            "marker": {"color": COLOURS[place % len(COLOURS)]}, "hovertemplate": "%{y}, " + operator + ": %{x:.3g} ms",
        }
        for place, operator in enumerate(operators)
    ]  # fmt: skip
    layout = {
        "barmode": "stack", "xaxis": {"title": {"text": "sum over the layers (ms)"}}, "yaxis": {"automargin": True},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "margin": {"t": 40, "b": 45, "l": 10, "r": 15},
    }  # fmt: skip
    return make_figure(f"portfolio-{number}", split_line(found.network)[0], 140 + 28 * len(bars), data, layout)


def _spent(choices: Sequence[Choice], operator: str, bar: str) -> Iterator[float]:
    for choice in choices:
        if choice.problem.split(maxsplit=1)[0] == operator:
            yield (
                choice.count * choice.times_ns[bar if bar in choice.times_ns and bar != "best of each" else choice.best]
            )
