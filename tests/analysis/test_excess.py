"""Limits of a gate for some of its cells: what they change, and that none is switched off unseen."""

from dataclasses import replace

import msgspec
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.gate_conclusion import conclude_gate
from harness.exit_codes import ExitCode
from harness.plan.gate import Gate
from harness.plan.limits_reading import read_limits
from reports.ci_findings import judge_cells, judge_whole
from tests.reports.made import compare_arms, measure, spread, time_cell

SAME, SLOWER = spread(1000.0), spread(1030.0)
CONV, POOL = "conv x=1x2x9 w=3x2x3", "max_pool x=1x2x9 kernel=3"
MIB = 2**20


def _analyse(*results, limits=(), resolve=0.0):
    run = compare_arms(*(replace(one, cell=number) for number, one in enumerate(results)))
    gate = replace(run.header.gate, armed=True, whole=True, resolve=resolve, limits=read_limits("limits", limits))
    return analyse(replace(run, header=replace(run.header, gate=gate)))


def _judge(*results, **more):
    return _analyse(*results, **more).gate_report


def _need(result, memory=0, workspace=0):
    passes = tuple(
        replace(one, memory_bytes=memory, workspace_bytes=workspace) for one in result.measurement.passes
    )  # fmt: skip
    return replace(result, measurement=replace(result.measurement, passes=passes))


def _pair(memory, workspace=(0, 0), new=SAME):
    cells = time_cell(0, "base", SAME), time_cell(1, "new", new)
    return [_need(*one) for one in zip(cells, memory, workspace, strict=True)]


@pytest.mark.parametrize(
    ("limit", "finding", "idle"),
    [
        ({"suite": "speed-short", "delta": "5%"}, "SAME", 0),
        ({"operators": ["conv"], "delta": 0.05}, "SAME", 0),
        ({"backend": "mine", "delta": "5%"}, "SAME", 0),
        ({"problems": ["conv *w=3x2x3"], "delta": "5%"}, "SAME", 0),
        ({"dtypes": ["float32"], "delta": "5%"}, "SAME", 0),
        ({"delta": "5%"}, "SAME", 0),
        ({"suite": "speed", "delta": "5%"}, "SLOWER", 1),
        ({"operators": ["max_pool"], "delta": "5%"}, "SLOWER", 1),
        ({"backend": "other", "delta": "5%"}, "SLOWER", 1),
        ({"dtypes": ["float16"], "delta": "5%"}, "SLOWER", 1),
        ({"bits": 1}, "SLOWER", 1),  # times have no bits
    ],
)
def test_a_limit_changes_what_counts_in_its_cells_and_one_without_cells_is_said(limit, finding, idle):
    analysis = _analyse(time_cell(0, "base", SAME), time_cell(1, "new", SLOWER), limits=[limit])
    report = analysis.gate_report
    assert [cell.finding for cell in report.cells] == [finding]
    assert report.exit_code == (ExitCode.SLOWER if finding == "SLOWER" else ExitCode.OK)
    assert len(report.idle_limits) == idle
    said = [found.message for found in judge_whole(analysis) if found.kind == "limit"]
    assert len(said) == idle and all("held for no cell" in one for one in said)


def test_a_limit_makes_one_cell_stricter_beside_others_and_a_later_row_replaces_an_earlier_one():
    cells = [
        time_cell(0, "base", SAME), time_cell(1, "new", SLOWER), time_cell(2, "base", SAME, POOL),
        time_cell(3, "new", SLOWER, POOL),
    ]  # fmt: skip
    rows = [{"delta": "20%"}, {"operators": ["max_pool"], "delta": "1%"}]
    report = _judge(*cells, limits=rows)
    assert {cell.new.problem: cell.finding for cell in report.cells} == {CONV: "SAME", POOL: "SLOWER"}
    turned = _judge(*cells, limits=rows[::-1])
    assert {cell.finding for cell in turned.cells} == {"SAME"}


def test_an_undecided_cell_resolves_at_its_own_limit_where_that_is_larger():
    noisy = [time_cell(0, "base", SAME), time_cell(1, "new", spread(1100.0, share=0.004))]
    assert _judge(*noisy, limits=[{"delta": "10%"}], resolve=0.05).exit_code == ExitCode.CANNOT_TELL
    assert _judge(*noisy, limits=[{"delta": "20%"}], resolve=0.05).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("memory", "workspace", "finding"),
    [
        ((100 * MIB, 105 * MIB), (0, 0), "SAME"),
        ((100 * MIB, 115 * MIB), (0, 0), "MORE MEMORY"),
        ((115 * MIB, 100 * MIB), (0, 0), "SAME"),
        ((4096, MIB), (0, 0), "SAME"),  # what an allocator does by itself
        ((0, 8 * MIB), (0, 0), "MORE MEMORY"),
        ((100 * MIB, 100 * MIB), (64, 128), "MORE MEMORY"),
        ((100 * MIB, 100 * MIB), (0, 1), "MORE MEMORY"),
        ((0, 0), (64, 64), "INCONCLUSIVE"),  # no peak can be read
    ],
)
def test_memory_and_workspace_are_verdicts_with_a_limit_and_none_without(memory, workspace, finding):
    cells = _pair(memory, workspace)
    report = _judge(*cells, limits=[{"memory": "10%"}])
    assert [cell.finding for cell in report.cells] == [finding]
    assert report.exit_code == {"SAME": 0, "MORE MEMORY": 3, "INCONCLUSIVE": 5}[finding]
    assert [cell.finding for cell in _judge(*cells).cells] == ["SAME"]
    if finding == "MORE MEMORY":
        assert "growth of 10 % is allowed; its time: SAME" in report.cells[0].reason
        assert conclude_gate(report).startswith("failed: 1 MORE MEMORY; mine, time, ")


def test_one_disturbed_process_makes_no_verdict_on_memory():
    base, new = _pair((100 * MIB, 100 * MIB))
    first, *others = new.measurement.passes
    odd = replace(new.measurement, passes=(replace(first, memory_bytes=900 * MIB), *others))
    assert _judge(base, replace(new, measurement=odd), limits=[{"memory": 0.1}]).cells[0].finding == "SAME"


def test_more_memory_counts_where_the_time_is_slower_faster_or_accepted_too():
    for new, said in ((SLOWER, "SLOWER"), (spread(900.0), "FASTER"), (SAME[:4], "INCONCLUSIVE")):
        cells = _pair((100 * MIB, 200 * MIB), new=new)
        report = _judge(*cells, limits=[{"memory": "10%"}])
        assert report.cells[0].finding == "MORE MEMORY" and report.exit_code == ExitCode.SLOWER
        assert said in report.cells[0].reason or "passes before" in report.cells[0].reason
    too_few = _judge(*(replace(one, measurement=replace(one.measurement, passes=one.measurement.passes[:2]))
                       for one in _pair((100 * MIB, 200 * MIB))), limits=[{"memory": "10%"}])  # fmt: skip
    assert too_few.cells[0].finding == "INCONCLUSIVE" and "2 of at least 3 passes" in too_few.cells[0].reason


@pytest.mark.parametrize(
    ("was", "now", "finding"),
    [
        (20.0, 19.5, "UNCHANGED"),
        (20.0, 12.0, "LESS PRECISE"),
        (12.0, 20.0, "UNCHANGED"),
        (None, 20.0, "LESS PRECISE"),
        (20.0, None, "UNCHANGED"),
    ],
)
def test_bits_that_are_lost_are_a_verdict_with_a_limit(was, now, finding):
    cells = [replace(measure(arm, bits), arm=arm) for arm, bits in (("base", was), ("new", now))]
    report = _judge(*cells, limits=[{"bits": 1}])
    assert [cell.finding for cell in report.cells] == [finding] and not report.idle_limits
    assert report.exit_code == (ExitCode.SLOWER if finding == "LESS PRECISE" else ExitCode.OK)
    assert [cell.finding for cell in _judge(*cells).cells] == ["UNCHANGED"]


def test_services_see_what_is_beyond_a_limit_as_a_failure_with_a_command():
    analysis = _analyse(*_pair((100 * MIB, 200 * MIB)), limits=[{"memory": "10%"}])
    found = [found for _, _, found in judge_cells(analysis) if found is not None and found.kind == "MORE MEMORY"]
    assert [one.level for one in found] == ["failure"]
    assert [name for name, _ in found[0].details] == ["problem", "repeat"]
    assert len(analysis.verdicts.rows) == 1  # its time is shown all the same


def test_limits_are_kept_in_the_header_of_a_run():
    rows = [{"problems": ["conv *"], "windows": [], "delta": "5%"}, {"suite": "correctness", "bits": 2, "memory": 0.1}]
    gate = Gate(limits=read_limits("limits", rows))
    assert msgspec.json.decode(msgspec.json.encode(gate), type=Gate) == gate
