"""Sections of the Markdown document on whole networks, learning and the gallery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.markdown_syntax import cell, code, escape, section, table
from reports.number_format import count

if TYPE_CHECKING:
    from harness import Run


def networks(run: Run) -> Iterator[str]:
    """Passes over whole networks by backend, and what the best backend of each layer would give."""
    from reports.networks import HEADS, LAYER_HEADS, MOST_LAYERS, network_words, portfolio_words

    found = network_words(run)
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
    for one in portfolio_words(run):
        yield from ("", f"### {escape(one.title)}, layer by layer", "", escape(one.text), "")
        layers = [[*map(escape, words[:-1]), code(words[-1])] for words in one.layers[:MOST_LAYERS]]
        yield from table(list(LAYER_HEADS), layers, numbers=0)
        if len(one.layers) > MOST_LAYERS:
            yield from ("", f"and {count(len(one.layers) - MOST_LAYERS, 'more layer')}, in the HTML report.")
        if one.untimed:
            yield from ("", f"No backend has a time for {', '.join(map(code, one.untimed))}.")


def learning(run: Run) -> Iterator[str]:
    """What each backend learnt."""
    from reports.learning import HEADS, find_learners

    found = find_learners(run)
    if not found:
        return
    yield from section(
        "Learning",
        "LeNet-5 on handwritten digits by plain gradient descent; the HTML report draws the curves. Bold: wrong.",
    )
    rows = [[cell(one.backend, wrong=not one.well), *(cell(main, note) for main, note in one.words)] for one in found]
    yield from table(["backend", *HEADS], rows, numbers=0)


def gallery(run: Run) -> Iterator[str]:
    """Brightness and differences of the pictures that each kernel makes."""
    from reports.gallery import field_words, gallery_backends, gallery_rows, row_words

    found = gallery_rows(run)
    if not found:
        return
    backends = gallery_backends(found)
    yield from section(
        "Gallery",
        "Brightness of a photograph under each kernel, which follows its sum, and the largest difference of a pixel",
        "from the reference in units of its bound. Bold: wrong. The HTML report shows the pictures.",
    )
    rows = []
    for row in found:
        shown = (field_words(row.results.get(name)) for name in backends)
        cells = [cell(main, note, wrong=not well) for main, note, well in shown]
        rows.append([escape(row.title), *row_words(row), *cells])
    head = ["law", "sum", "brightness wanted", *map(escape, backends)]
    yield from table(head, rows, numbers=len(head) - 1)
