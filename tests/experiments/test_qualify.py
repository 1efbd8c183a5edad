from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.arm_comparison import compare_to_base
from harness.analysis.qualification import qualify_run
from harness.experiments.qualify import AGAIN, NotQualifiedError, make_arms, name_suites, store_run
from harness.plugins.manager import load_plugins
from tests.reports.made import compare_arms, spread, time_cell

FAMILIES = (("im2col", "im2col"), (f"im2col{AGAIN}", "im2col"))


def _pair(number, new_ns, suite, passes=13):
    line = f"conv x={number}x2x9 w=3x2x3"
    return (time_cell(2 * number, "im2col", spread(1000, passes), line, suite=suite),
            time_cell(2 * number + 1, f"im2col{AGAIN}", spread(new_ns, passes)[::-1], line, suite=suite))  # fmt: skip


def test_every_backend_is_compared_with_itself_and_suites_exist():
    registry = load_plugins()
    arms = make_arms(registry, ["im2col", "torch"])
    assert [(arm.name, arm.family) for arm in arms] == [
        ("im2col", "im2col"), ("im2col:again", "im2col"), ("torch", "torch"), ("torch:again", "torch"),
    ]  # fmt: skip
    names = name_suites((0.01, 0.03, 0.05, 0.1))
    assert names == ("qualify", "qualify+1", "qualify+3", "qualify+5", "qualify+10")
    slowdowns = [registry.suite(name).timing.slowdown for name in names]
    assert slowdowns == [0.0, 0.01, 0.03, 0.05, 0.1]
    dealt = [item.problem for name in names[1:] for item in registry.suite(name).problems()]
    assert sorted(dealt, key=str) == sorted((item.problem for item in registry.suite("qualify").problems()), key=str)


def test_known_work_is_added_to_all_arms_but_the_first():
    from harness.plan.planner import plan_run

    registry = load_plugins()
    plan = plan_run(registry, ["qualify+10"], arms=make_arms(registry, ["im2col"]))
    assert {(cell.arm, cell.slowdown) for cell in plan.cells} == {("im2col", 0.0), ("im2col:again", 0.1)}


def test_alarms_and_findings_are_counted():
    cells = [_pair(1, 1000, "qualify"), _pair(2, 1060, "qualify"), _pair(3, 1100, "qualify+10"),
             _pair(4, 1000, "qualify+10"), _pair(5, 1030, "qualify+3")]  # fmt: skip
    run = compare_arms(*(one for pair in cells for one in pair), families=FAMILIES)
    found = qualify_run(run, compare_to_base(run))
    assert (found.cells, found.alarms, found.false_suites, found.environment[:5]) == (2, 1, 1, "f00d-")
    assert found.powers == {"0.1": (1, 2), "0.03": (1, 1)}
    assert 0.055 < found.floor < 0.065


UNTOLD = "the machine cannot tell whether its times are true: too few samples"


@pytest.mark.parametrize(
    ("passes", "spoil", "told", "code"),
    [
        (5, {}, "by 5 passes, wanted 6 at least; give a larger --budget", 5),
        (6, {"outcome": "error", "reason": "ValueError"}, "by a run that is wrong or incomplete", 1),
        (6, {"outcome": "skipped", "reason": UNTOLD}, "by a run with times that may not be true", 5),
        (6, {}, None, 0),
    ],
    ids=["few passes", "wrong", "untold", "enough"],
)  # fmt: skip
def test_what_shows_too_little_qualifies_nothing(tmp_path, monkeypatch, passes, spoil, told, code):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    new, again = _pair(1, 1000, "qualify", passes)
    run = compare_arms(new, replace(again, **spoil), families=FAMILIES)
    if told is None:
        assert store_run(run).total.cells == 1
    else:
        with pytest.raises(NotQualifiedError) as raised:
            store_run(run)
        assert (str(raised.value), raised.value.exit_code) == (f"nothing is qualified {told}", code)
    assert any(Path(tmp_path).iterdir()) == (told is None)
