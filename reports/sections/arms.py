"""The comparison of arms: effects, verdicts by cell, dropped blocks, and the arms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.analysis import Group, effects, groups_of, verdict_row
from reports.figures import specs
from reports.forest import STRIP_H, STRIP_W, forests, make_strip
from reports.markdown_syntax import code, escape, table
from reports.number_format import count, format_time, shorten
from reports.sections.section import Section
from reports.words import ratio_words, setup_words

if TYPE_CHECKING:
    from harness import Analysis, Run
    from harness.analysis import ArmComparison, Row

MOST_VERDICTS = 600  # on the page
COMMENT_ROWS = 60  # in Markdown, which must fit a comment of 65536 characters
COMMENT_REASON = 160
REVISION = 10  # characters of an abbreviated revision
_NUMBER = re.compile(r"\d[\d.]*%?")


def page(analysis: Analysis) -> dict[str, Any]:
    """Return effects, verdicts by cell with their strips, figures and arms; None if no arms were compared."""
    arm_comparison = analysis.verdicts
    if arm_comparison is None:
        return {"arm_comparison": None}
    delta, counts = arm_comparison.gate.delta, arm_comparison.delta_of
    groups = [
        (
            group.title, len(group.rows), more,
            [
                (verdict_row(arm_comparison, r), ratio_words(r.judgement.ratio), make_strip(r, counts(r)))
                for r in shown
            ],
        )
        for group, shown, more in cut(groups_of(arm_comparison), MOST_VERDICTS)
    ]  # fmt: skip
    drawn = forests(arm_comparison)
    shown = {
        "setup_words": setup_words,
        "effects": [(effect, *ratio_words(effect.ratio)) for effect in effects(arm_comparison)], "groups": groups,
        "reasons": dropped_reasons(arm_comparison.run), "arms": arm_rows(arm_comparison),
        "forests": drawn,
        "delta": f"{100 * delta:.3g}", "width": STRIP_W, "height": STRIP_H,
        "unseen": sum(row.judgement.ratio is None for row in arm_comparison.rows), "can_tell": arm_comparison.can_tell,
        "slowed": any(row.new.slowdown for row in arm_comparison.rows),
    }  # fmt: skip
    return {"arm_comparison": shown, "figures": specs(drawn)}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield effects, verdicts by cell, reasons for dropped blocks, and the arms; nothing if no arms were compared."""
    arm_comparison = analysis.verdicts
    if arm_comparison is None:
        return
    found = effects(arm_comparison)
    if found:
        yield from ("## Effect over all cells", "")
        rows = [
            [escape(e.arm), escape(e.base), *([e.group] if e.group else []), str(e.cells), *ratio_words(e.ratio)]
            for e in found
        ]
        column = ["slow-down"] if found[0].group else []
        yield from table(["arm", "base", *column, "cells", "new/base", "95 % interval"], rows, numbers=3)
        yield ""
    yield from ("## Verdicts", "")
    for group, shown, more in cut(groups_of(arm_comparison), COMMENT_ROWS):
        if group.title:
            yield from (f"### {group.title.capitalize()}", "")
        yield from _verdicts(arm_comparison, shown)
        if more:
            yield from ("", f"and {count(more, 'more cell')}, in verdicts.csv.")
        yield ""
    reasons = dropped_reasons(arm_comparison.run)
    if reasons:
        yield "Blocks that were left out:"
        yield from ("", *(f"- {number}: {escape(reason)}" for reason, number in reasons), "")
    yield from ("## Arms", "")
    rows = [[*map(escape, arm[:4]), code(arm[4]) if arm[4] else ""] for arm in arm_rows(arm_comparison)]
    yield from table(["arm", "backend", "base", "revision", "interpreter"], rows, numbers=0)


def _verdicts(arm_comparison: ArmComparison, rows: Iterable[Row]) -> Iterator[str]:
    lines = []
    for row in rows:
        made = verdict_row(arm_comparison, row)
        words = [escape(made[name]) for name in ("verdict", "arm", "base")]
        times = ["" if made[name] is None else format_time(made[name]) for name in ("base_ns", "new_ns")]
        why = escape(shorten(made["reason"] or "", COMMENT_REASON))
        lines.append(
            [*words, code(made["problem"]), *ratio_words(row.judgement.ratio), str(made["passes"]), why, *times,
             *(setup_words(made, side) for side in ("base", "new")), made["pays"]]
        )  # fmt: skip
    head = ("verdict", "arm", "base", "problem", "new/base", "95 % interval", "passes", "why", "base time", "new time",
            "base prepare + first call", "new prepare + first call", "pays")  # fmt: skip
    yield from table(head, lines, numbers=0)


def cut(groups: Sequence[Group], most: int) -> list[tuple[Group, tuple[Row, ...], int]]:
    """Distribute `most` shown rows over the groups: for each group, the worst rows and the number of hidden ones."""
    shares, left = {}, most
    for number, group in enumerate(sorted(groups, key=lambda group: len(group.rows))):
        shares[group.slowdown] = min(len(group.rows), left // (len(groups) - number))  # larger groups share the rest
        left -= shares[group.slowdown]
    return [(group, group.rows[: (n := shares[group.slowdown])], len(group.rows) - n) for group in groups]


ARMS = Section(page=page, markdown=markdown)


def dropped_reasons(run: Run) -> list[tuple[str, int]]:
    """Count the dropped blocks by reason, most frequent first.

    Reasons that differ only in numbers are counted as one.
    """
    blocks = (b for r in run.results if r.measurement is not None for one in r.measurement.passes for b in one.blocks)
    return Counter(_NUMBER.sub("…", block.dropped) for block in blocks if block.dropped).most_common()


def arm_rows(arm_comparison: ArmComparison) -> list[tuple[str, str, str, str, str]]:
    """Return name, backend, base (empty for a base), revision with its mark, and interpreter of every arm."""
    bases = arm_comparison.run.header.base_of
    return [
        (
            arm.name, arm.backend, "" if (base := bases.get(arm.name, "")) == arm.name else base,
            f"{arm.revision[:REVISION]}{' with changes' if arm.dirty else ''}", arm.interpreter,
        )
        for arm in arm_comparison.run.header.arms
    ]  # fmt: skip
