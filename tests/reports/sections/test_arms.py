"""Reports of a comparison of arms: headline, effects, rows, reasons of dropped blocks; and the files with them."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

import reports
from harness.analysis.analyse import analyse
from harness.analysis.arm_comparison import compare_to_base
from harness.analysis.arm_rows import effects, groups_of
from harness.analysis.schemas import VERDICT_COLUMNS, schema_table
from harness.plugins.manager import load_plugins
from reports.forest import STRIP_H, forests, make_strip
from reports.headline import judge_analysis
from reports.sections.arms import arm_rows, cut, dropped_reasons
from reports.words import ratio_words
from tests.reports.made import compare_arms, make_run, measure, spread, time_cell

EVERY = (("slow", 1.2), ("same", 1.0), ("fast", 0.8), ("near", 1.01))  # `near` lies on the bound: never decided


def _line(number):
    return f"conv x={number + 1}x2x9 w=3x2x3"


def _cells(suite="speed-short", arms=("base", "new"), ratios=EVERY, start=0, dropped=()):
    found = []
    for n, (label, ratio) in enumerate(ratios):
        more = {"suite": suite, "label": label}
        found.append(time_cell(start + 2 * n, arms[0], spread(1000.0), _line(n), dropped=dropped, **more))
        found.append(time_cell(start + 2 * n + 1, arms[1], spread(1000.0 * ratio, share=0.002), _line(n), **more))
    return found


@pytest.fixture(scope="module")
def run():
    crash = time_cell(9, "new", [], _line(8), outcome="crashed", reason="signal 11", label="gone")
    return compare_arms(*_cells(), time_cell(8, "base", spread(500.0), _line(8), label="gone"), crash)


@pytest.fixture(scope="module")
def qualification():
    return compare_arms(
        *_cells("qualify", ("a", "a:again"), [("one", 1.0), ("two", 1.0)]),
        *_cells("qualify+10", ("a", "a:again"), [("one", 1.1), ("two", 1.1)], start=4),
        families=(("a", "a"), ("a:again", "a")),
    )  # fmt: skip


def _write(run, name, folder):
    return {path.name: path for path in load_plugins().reporter(name).write(analyse(run), folder)}


def test_the_headline_counts_the_cells_of_every_verdict(run):
    verdict = judge_analysis(analyse(run))
    assert verdict.text == (
        "1 cell is wrong, of 10 that ran; 1 cell slower, 1 missing, 1 faster, 1 the same, 1 inconclusive"
    )
    assert verdict.state == "bad"
    assert "A change of 1 % counts." in verdict.detail
    assert "The machine can tell: 0 % of the blocks were left out, at most 20 % may be." in verdict.detail


@pytest.mark.parametrize(
    ("labels", "state", "text"),
    [
        (("same",), "good", "1 cell the same"),
        (("same", "fast"), "good", "1 cell faster, 1 the same"),
        (("same", "near"), "open", "1 cell the same, 1 inconclusive"),
        (("same", "slow"), "bad", "1 cell slower, 1 the same"),
        ((), "open", "Nothing was compared"),
    ],
)
def test_the_state_is_that_of_the_worst_verdict(labels, state, text):
    passed = [] if labels else [measure("base", 24.0, vacuous=0)]
    made = compare_arms(*_cells(ratios=[(label, ratio) for label, ratio in EVERY if label in labels]), *passed)
    verdict = judge_analysis(analyse(made))
    assert (verdict.state, verdict.text) == (state, text)


def test_a_busy_machine_or_an_end_too_early_is_no_success():
    cells = _cells(ratios=[("same", 1.0)])
    busy = compare_arms(*_cells(ratios=[("same", 1.0)], dropped=dict.fromkeys(range(0, 26, 2), "too busy")))
    verdict = judge_analysis(analyse(busy))
    assert verdict.state == "open"
    assert verdict.text == "1 cell the same"
    assert "The machine cannot tell: 25 % of the blocks were left out, at most 20 % may be." in verdict.detail
    torn = judge_analysis(analyse(replace(compare_arms(*cells), ending=None)))
    assert torn.state == "open"
    assert torn.incomplete.startswith("INCOMPLETE")


def test_reasons_that_differ_in_numbers_alone_are_one():
    reasons = {
        1: "the hypervisor took 17% of its time",
        3: "the hypervisor took 8% of its time",
        4: "clock fell to 0.5",
    }
    made = compare_arms(*_cells(ratios=[("same", 1.0)], dropped=reasons))
    assert dropped_reasons(made) == [("the hypervisor took … of its time", 2), ("clock fell to …", 1)]


def test_rows_are_worst_first_and_follow_their_schema(run):
    frame = reports.verdicts_frame(run)
    assert list(frame.columns) == [column.name for column in VERDICT_COLUMNS]
    assert frame["verdict"].to_list() == ["SLOWER", "MISSING", "INCONCLUSIVE", "FASTER", "SAME"]
    assert frame["label"].to_list() == ["slow", "gone", "near", "fast", "same"]
    slow, gone = frame.iloc[0], frame.iloc[1]
    assert slow["ratio"] == pytest.approx(1.2, rel=0.002)
    assert slow["ratio_low"] < slow["ratio"] < slow["ratio_high"]
    assert (slow["arm"], slow["base"], slow["base_cell"], slow["cell"], slow["passes"]) == ("new", "base", 0, 1, 13)
    assert slow["new_ns"] / slow["base_ns"] == pytest.approx(1.2, rel=0.002)
    assert (gone["reason"], gone["outcome"], gone["base_outcome"]) == ("new: crashed: signal 11", "crashed", "passed")
    assert pd.isna(gone["ratio"]) and pd.isna(gone["new_ns"]) and gone["base_ns"] > 0
    assert frame["slowdown"].isna().all()
    assert schema_table("verdicts")["column"].to_list() == list(frame.columns)


def test_the_largest_ratio_of_a_verdict_comes_first():
    made = compare_arms(*_cells(ratios=[("some", 1.1), ("more", 1.3), ("less", 1.05)]))
    assert reports.verdicts_frame(made)["label"].to_list() == ["more", "some", "less"]


def test_effects_are_those_of_the_standing(run):
    arm_comparison = compare_to_base(run)
    (effect,) = effects(arm_comparison)
    assert effect.ratio == arm_comparison.overall["new"]
    assert (effect.arm, effect.base, effect.group, effect.cells) == ("new", "base", "", 4)


def test_a_qualification_is_grouped_by_its_known_slow_downs(qualification):
    arm_comparison = compare_to_base(qualification)
    assert [(group.slowdown, group.title, len(group.rows)) for group in groups_of(arm_comparison)] == [
        (0.0, "identical arms", 2), (0.1, "slowed down by 10 %", 2),
    ]  # fmt: skip
    assert [(e.group, round(e.ratio.value, 2)) for e in effects(arm_comparison)] == [
        ("identical arms", 1.0), ("slowed down by 10 %", 1.1),
    ]  # fmt: skip
    verdict = judge_analysis(analyse(qualification))
    assert verdict.text == "0 of 2 identical pairs called different"
    assert "Slow-downs found: 10 % in 2 of 2 cells." in verdict.detail
    assert verdict.state == "good"


def test_identical_arms_alone_do_not_say_what_is_found():
    verdict = judge_analysis(analyse(compare_arms(*_cells("qualify", ratios=[("one", 1.0), ("two", 1.01)]))))
    assert (verdict.state, verdict.text) == ("open", "0 of 2 identical pairs called different, 1 inconclusive")
    verdict = judge_analysis(analyse(compare_arms(*_cells("qualify", ratios=[("one", 1.0)]))))
    assert (verdict.state, verdict.text) == ("open", "0 of 1 identical pair called different")


def test_a_false_alarm_or_a_missed_slow_down_is_told():
    made = compare_arms(
        *_cells("qualify", ratios=[("one", 1.1), ("two", 1.0)]),
        *_cells("qualify+1", ratios=[("one", 1.01)], start=4),
        *_cells("qualify+10", ratios=[("one", 1.0)], start=6),
    )
    verdict = judge_analysis(analyse(made))
    assert verdict.text == "1 of 2 identical pairs called different"
    assert verdict.state == "bad"
    assert "Slow-downs found: 1 % in 0 of 1, 10 % in 0 of 1 cells." in verdict.detail
    assert "a slow-down of 10% was found in 0 of 1 cells" in verdict.detail


def test_arms_are_shown_as_they_were(run):
    assert arm_rows(compare_to_base(run)) == [
        ("base", "mine", "", "0123456789", "/usr/bin/python"),
        ("new", "mine", "base", "1123456789 with changes", "/usr/bin/python"),
    ]


def test_a_cut_shares_the_room_and_counts_the_rest(qualification):
    groups = groups_of(compare_to_base(qualification))
    assert [(len(rows), more) for _, rows, more in cut(groups, 3)] == [(1, 1), (2, 0)]
    assert [(len(rows), more) for _, rows, more in cut(groups, 60)] == [(2, 0), (2, 0)]


def test_ratios_have_the_digits_that_a_small_change_needs(run):
    (estimate,) = compare_to_base(run).overall.values()
    assert ratio_words(replace(estimate, value=1.00104, low=1e-9, high=22.149)) == ("1.0010", "< 0.001 to 22.15")
    assert ratio_words(None) == ("", "")


def test_a_forest_has_every_ratio_sorted_with_band_and_colours(run, qualification):
    (figure,) = forests(compare_to_base(run))
    layout, traces = figure.spec["layout"], {trace["name"]: trace for trace in figure.spec["data"]}
    assert set(traces) == {"SLOWER", "FASTER", "SAME", "INCONCLUSIVE"}
    assert [name.strip() for name in layout["yaxis"]["ticktext"]] == ["slow", "near", "same", "fast"]
    assert {name: trace["y"] for name, trace in traces.items()} == {
        "SLOWER": [0], "INCONCLUSIVE": [1], "SAME": [2], "FASTER": [3],
    }  # fmt: skip
    assert len({trace["marker"]["color"] for trace in traces.values()}) == 4
    band = next(shape for shape in layout["shapes"] if shape["type"] == "rect")
    assert (band["x0"], band["x1"]) == (pytest.approx(1 / 1.01), 1.01)
    low, high = layout["xaxis"]["range"]
    assert low < 0.8 and high > 1.2
    slowed = forests(compare_to_base(qualification))[1]
    assert slowed.title == "a:again, slowed down by 10 %"
    assert [shape["x0"] for shape in slowed.spec["layout"]["shapes"] if shape["type"] == "line"] == [1.0, 1.1]


def test_far_ratios_get_a_logarithmic_axis_and_far_intervals_are_cut():
    ratios = [("same", 1.0), ("ten", 10.0)]
    cells = _cells(ratios=ratios)
    wild = [1000.0 * 1000.0 ** ((-1) ** n) for n in range(13)]  # an interval of many decades around 1
    cells += [time_cell(4, "base", spread(1000.0), _line(5)), time_cell(5, "new", wild, _line(5), label="wild")]
    axis = forests(compare_to_base(compare_arms(*cells)))[0].spec["layout"]["xaxis"]
    assert axis["type"] == "log"
    assert -2.8 < axis["range"][0] < axis["range"][1] < 2.8


def test_a_strip_has_a_dot_for_every_pass_in_order(run):
    rows = {row.new.label: row for row in compare_to_base(run).rows}
    strip = make_strip(rows["slow"], 0.01)
    assert strip is not None
    assert len(strip.dots) == 13
    xs, ys = ([dot[axis] for dot in strip.dots] for axis in (0, 1))
    assert xs == sorted(set(xs))
    assert max(ys) < strip.band[0] < strip.one < sum(strip.band) < STRIP_H  # slower lies above the band
    assert strip.dots[1][2] == "pass 2: 1.1976"
    assert make_strip(rows["gone"], 0.01) is None


def test_every_format_leads_with_the_verdicts(run, tmp_path):
    text = _write(run, "markdown", tmp_path)["report.md"].read_text()
    assert text.index("1 cell slower") < text.index("## Verdicts") < text.index("## Arms") < text.index("## Outcomes")
    rows = [line for line in text.splitlines() if re.match(r"\| (SLOWER|MISSING|INCONCLUSIVE|FASTER|SAME) ", line)]
    assert rows[0] == (
        "| SLOWER | new | base | `conv x=1x2x9 w=3x2x3` | 1.200 | 1.198 to 1.202 | 13 |  | 1.00 µs | 1.20 µs "
        "| 5.00 µs + 9.00 µs | 5.00 µs + 9.00 µs | never |"
    )
    assert "| new | mine | base | 1123456789 with changes | `/usr/bin/python` |" in text
    page = _write(run, "html", tmp_path)["report.html"].read_text()
    assert page.index('<section id="verdicts">') < page.index('<section id="about">')
    assert page.count('<svg class="strip"') == 4
    assert 'id="forest-0"' in page and "forest-0" in json.loads(
        re.search(r'id="figures-data">(.*?)</script>', page, re.DOTALL)[1]
    )
    for name in ("csv", "parquet"):
        file = _write(run, name, tmp_path)[f"verdicts.{name}"]
        stored = pd.read_csv(file) if name == "csv" else pd.read_parquet(file)
        assert stored["verdict"].to_list() == ["SLOWER", "MISSING", "INCONCLUSIVE", "FASTER", "SAME"]


def test_a_long_comparison_fits_a_comment(tmp_path):
    many = compare_arms(*_cells(ratios=[(f"{40 * 'a long name '}{n}", 1.0 + (n % 3) / 50) for n in range(150)]))
    text = _write(many, "markdown", tmp_path)["report.md"].read_text()
    assert len(text) < 65536
    assert sum(bool(re.match(r"\| (SLOWER|SAME) ", line)) for line in text.splitlines()) == 60
    assert "and 90 more cells, in verdicts.csv." in text


def test_a_qualification_shows_its_groups(qualification, tmp_path):
    text = _write(qualification, "markdown", tmp_path)["report.md"].read_text()
    assert text.index("### Identical arms") < text.index("### Slowed down by 10 %")
    page = _write(qualification, "html", tmp_path)["report.html"].read_text()
    assert "<h3>Identical arms</h3>" in page and "<h3>Slowed down by 10 %</h3>" in page
    assert "Dotted: the known slow-down." in page


def test_names_of_arms_are_escaped(tmp_path):
    nasty = "<img src=x>|`a`"
    made = compare_arms(*_cells(arms=("base", nasty)), families=(("base", "f"), (nasty, "f")))
    page = _write(made, "html", tmp_path)["report.html"].read_text()
    assert "<img src=x" not in page
    text = _write(made, "markdown", tmp_path)["report.md"].read_text()
    assert "| SLOWER | &lt;img src=x>\\|\\`a\\` | base |" in text


def test_a_run_without_a_gate_has_no_verdicts(tmp_path):
    plain = make_run(measure("mine", 24.0))
    assert analyse(plain).verdicts is None
    assert "verdicts.csv" not in _write(plain, "csv", tmp_path)
    assert "Verdicts" not in _write(plain, "markdown", tmp_path)["report.md"].read_text()
    assert 'id="verdicts"' not in _write(plain, "html", tmp_path)["report.html"].read_text()
