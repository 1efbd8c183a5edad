"""Whole networks: time and error on each backend, and the best backend of each layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import Operator
from harness.analysis import NetworkRow
from harness.networks import WORKS, Work, split_line
from harness.record import WRONG
from reports.figures import COLOURS, Figure, make_figure, specs
from reports.html import plot_text
from reports.markdown_syntax import cell, code, escape, section, table
from reports.number_format import count, format_bytes, format_interval, format_number, format_time, shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis
    from harness.analysis import Choice, Portfolio

BEST = "best of each layer"
MOST_LAYERS = 12  # of a portfolio in Markdown; the slowest ones
LONGEST_REASON = 90  # characters; the section of failures has the whole text
FARTHEST = 10  # larger margins and gains are shown as "> 10", and those below the reciprocal as "< 0.1"
CUT = 6  # the figure ends at that multiple of the least sum of a backend, so that fast ones stay visible


Cell = tuple[str, tuple[str, ...], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A backend's row of a network as text: for each of HEADS a value, notes, and True if it is wrong."""

    backend: str
    cells: tuple[Cell, ...]

    @property
    def wrong(self) -> bool:
        """True if anything is wrong."""
        return any(wrong for _, _, wrong in self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWords:
    """The rows of one network on one input, with title and note. absent: unavailable backends."""

    title: str
    note: str
    rows: tuple[Words, ...]
    absent: tuple[str, ...]


HEADS = ("forward", "step", "step / forward", "largest error", "laws", "memory of a step")


def network_words(every: Sequence[NetworkRow]) -> list[NetworkWords]:
    """Return all networks as shown; reasons of unavailable backends are listed with the outcomes."""
    groups: dict[tuple[str, str], list[NetworkRow]] = defaultdict(list)
    for row in every:
        groups[row.network, row.given].append(row)
    found = []
    for (network, given), rows in groups.items():
        parameters = next((number for row in rows if (number := row.figure("parameters")) is not None), None)
        shown = [row for row in rows if not _unavailable(row)]
        found.append(
            NetworkWords(
                title=" ".join(filter(None, (network, given))), rows=tuple(map(_row_words, shown)),
                note="" if parameters is None else f"{parameters:,.0f} parameters",
                absent=tuple(row.arm for row in rows if row not in shown),
            )
        )  # fmt: skip
    return found


def _unavailable(row: NetworkRow) -> bool:
    return {result.outcome for result in (*row.speed.values(), *row.laws)} == {"unavailable"}


def _row_words(row: NetworkRow) -> Words:
    ratio, worst = row.step_to_forward, row.worst
    broken = (f"broken: {', '.join(row.broken)}",) if row.broken else ()
    cells: tuple[Cell, ...] = (
        *(_time_cell(row, work) for work in WORKS),
        (format_number(ratio) if ratio is not None else "", (), False),
        (f"{format_number(worst)} of its bound" if worst is not None else "", (), worst is not None and not worst <= 1),
        (f"{row.passed} of {row.ran} passed" if row.ran else "", (*broken, *row.idle), bool(broken)),
        _memory_cell(row),
    )
    return Words(backend=row.arm, cells=cells)


def _time_cell(row: NetworkRow, work: Work) -> Cell:
    time, rate = row.time(work), row.gflops(work)
    if time is None:
        why = shorten(row.why(work) or "", LONGEST_REASON)
        return "", (why,) if why else (), work in row.speed and row.speed[work].outcome in WRONG
    notes = [format_interval(time.low, time.high), *(["one process"] if time.over == "one process" else [])]
    return format_time(time.value), (*notes, *([f"{format_number(rate)} GFLOP/s"] if rate else [])), False


def _memory_cell(row: NetworkRow) -> Cell:
    if row.measured("step") is None:
        return "", (), False
    held = row.figure("activation bytes", "step")
    sizes = {"measured growth": row.memory("memory_bytes"), "workspace": row.memory("workspace_bytes")}
    notes = tuple(f"{name} {format_bytes(number)}" for name, number in sizes.items() if number)
    return f"{format_bytes(held)} of activations" if held else "", notes, False


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioWords:
    """A portfolio as shown: headline, layers by decreasing time, layers without a time, and figure.

    cut: True if the figure cuts long bars.
    """

    title: str
    text: str
    layers: tuple[tuple[str, ...], ...]
    untimed: tuple[str, ...]
    figure: Figure
    cut: bool


LAYER_HEADS = ("layer", "how often", "best", "time", "second", "second / best", "95 % interval", "problem")


def portfolio_words(portfolios: Sequence[Portfolio]) -> list[PortfolioWords]:
    """Return the text of every portfolio."""
    return [_words_of(number, found) for number, found in enumerate(portfolios)]


def _words_of(number: int, found: Portfolio) -> PortfolioWords:
    network, work, given = split_line(found.network)
    ordered = sorted(found.choices, key=lambda one: -one.count * one.times_ns[one.best])
    single = f"{found.best}, {format_time(found.singles_ns[found.best])}" if found.best else "none has all layers"
    return PortfolioWords(
        title=" ".join(filter(None, (network, work, given))), untimed=found.untimed,
        text=f"Best single backend: {single}; best of each layer: {format_time(found.mixed_ns)}. {_gain_words(found)}",
        layers=tuple(map(_layer_words, ordered)), figure=_draw(number, found), cut=_end(found) < _longest(found),
    )  # fmt: skip


def _gain_words(found: Portfolio) -> str:
    """Gain of a portfolio with its interval, or the reason why it is unknown."""
    gain, missing = found.gain, len(found.unjudged)
    if gain is None:
        why = "too few of their passes count" if found.best else "there is nothing to compare it with"
        return f"What a portfolio gains cannot be told: {why}."
    sure = "" if gain.low > 1 else "; that it is faster at all is not sure"
    over = f" It leaves out {count(missing, 'layer')} of which too few passes count." if missing else ""
    value, low, high = map(_ratio, (gain.value, gain.low, gain.high))
    return (
        f"A portfolio is {value} times as fast (95 % interval {low} to {high}{sure}), each choice made by passes that "
        f"do not judge it.{over}"
    )


def _layer_words(choice: Choice) -> tuple[str, ...]:
    margin, ratio, interval = choice.margin, "", ""
    if margin is not None:
        clear = "" if margin.low > 1 else " (open)"
        ratio, interval = _ratio(margin.value), f"{_ratio(margin.low)} to {_ratio(margin.high)}{clear}"
    elif choice.second:
        ratio, interval = _ratio(choice.times_ns[choice.second] / choice.times_ns[choice.best]), "one pass (open)"
    layer = f"{choice.label.partition('/')[2] or choice.label} {_operator(choice)}"
    best = format_time(choice.times_ns[choice.best])
    return layer, f"×{choice.count}", choice.best, best, choice.second or "none", ratio, interval, choice.problem


def _ratio(value: float) -> str:
    """Format a ratio; ends of intervals of few passes may be extreme."""
    return "< 0.1" if value < 1 / FARTHEST else f"{value:.2f}" if value <= FARTHEST else f"> {FARTHEST}"


def _operator(choice: Choice) -> str:
    return choice.problem.split(maxsplit=1)[0]


def _longest(found: Portfolio) -> float:
    return max(found.singles_ns.values(), default=found.mixed_ns)


def _end(found: Portfolio) -> float:
    """End of the axis of the figure, in ns."""
    return min(_longest(found), CUT * min(found.singles_ns.values(), default=found.mixed_ns))


def _draw(number: int, found: Portfolio) -> Figure:
    """Bars of the summed time of every backend that has all layers, and of the best of each layer, by operator."""
    sums = dict(sorted(found.singles_ns.items(), key=lambda item: -item[1])) | {BEST: found.mixed_ns}
    spent = _spend(found)
    data = [
        {
            "type": "bar", "orientation": "h", "name": operator.value, "y": [plot_text(bar) for bar in sums],
            "x": [float(f"{spent[bar, operator.value] / 1e6:.4g}") for bar in sums],
            "marker": {"color": COLOURS[place % len(COLOURS)],
                       "pattern": {"shape": "/" if place >= len(COLOURS) else ""}},
            "hovertemplate": f"%{{y}}, {operator.value}: %{{x:.3g}} ms<extra></extra>",
        }
        for place, operator in enumerate(Operator) if any(spent[bar, operator.value] for bar in sums)
    ]  # fmt: skip
    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": "sum over the layers (ms)"}, "range": [0, 1.02 * _end(found) / 1e6]},
        "yaxis": {"automargin": True, "tickvals": [plot_text(bar) for bar in sums],
                  "ticktext": [f"{plot_text(bar)}  <b>{format_time(ns)}</b> " for bar, ns in sums.items()]},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "margin": {"t": 40, "b": 45, "l": 10, "r": 15},
    }  # fmt: skip
    return make_figure(f"portfolio-{number}", split_line(found.network)[0], 130 + 28 * len(sums), data, layout)


def _spend(found: Portfolio) -> Mapping[tuple[str, str], float]:
    """Summed times in ns, by bar and operator."""
    spent: dict[tuple[str, str], float] = defaultdict(float)
    for choice in found.choices:
        for name in found.singles_ns:
            spent[name, _operator(choice)] += choice.count * choice.times_ns[name]
        spent[BEST, _operator(choice)] += choice.count * choice.times_ns[choice.best]
    return spent


def page(analysis: Analysis) -> dict[str, Any]:
    """Return networks by backend, and their portfolios with figures."""
    portfolios = portfolio_words(analysis.portfolios)
    return {
        "networks": network_words(analysis.networks), "network_heads": HEADS, "portfolios": portfolios,
        "layer_heads": LAYER_HEADS, "figures": specs(one.figure for one in portfolios),
    }  # fmt: skip


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield passes over whole networks by backend, and portfolios; nothing without networks."""
    found = network_words(analysis.networks)
    if not found:
        return
    yield from section(
        "Networks",
        "Median time of a pass over the whole network, and the largest error of all outputs and gradients against",
        "automatic differentiation in float64, in units of a bound that follows from the depth. Bold: wrong.",
    )
    lines = []
    for network in found:
        title = cell(network.title, network.note)
        for row in network.rows:
            words = (cell(main, "; ".join(notes), wrong=wrong) for main, notes, wrong in row.cells)
            lines.append([title, escape(row.backend), *words])
    yield from table(["network", "backend", *HEADS], lines, numbers=0)
    if absent := dict.fromkeys(name for network in found for name in network.absent):
        yield from ("", f"Unavailable: {escape(', '.join(absent))}.")
    for one in portfolio_words(analysis.portfolios):
        yield from ("", f"### {escape(one.title)}, layer by layer", "", escape(one.text), "")
        layers = [[*map(escape, words[:-1]), code(words[-1])] for words in one.layers[:MOST_LAYERS]]
        yield from table(list(LAYER_HEADS), layers, numbers=0)
        if len(one.layers) > MOST_LAYERS:
            yield from ("", f"and {count(len(one.layers) - MOST_LAYERS, 'more layer')}, in the HTML report.")
        if one.untimed:
            yield from ("", f"No backend has a time for {', '.join(map(code, one.untimed))}.")


NETWORKS = Section(page=page, markdown=markdown, lines="lines on networks", share=4)
