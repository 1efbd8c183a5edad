"""Thread counts of cells: evenly distributed, the same in every run, and both for the laws on a problem."""

import zlib

import pytest

from harness.machine.threads import ALL, ONE, count_threads, deal_threads
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins


@pytest.mark.slow  # plans the whole suite
def test_half_of_the_cells_get_all_threads_and_most_problems_get_both():
    cells = [cell for cell in plan_run(load_plugins(), ["correctness"], ["im2col"]).cells if cell.decided is None]
    wide = sum(cell.threads == ALL for cell in cells)
    assert 0.45 < wide / len(cells) < 0.55
    by_problem = {}
    for cell in cells:
        by_problem.setdefault(cell.line, []).append(cell.threads)
    many = [set(threads) for threads in by_problem.values() if len(threads) >= 4]
    assert sum(threads == {ONE, ALL} for threads in many) > 0.85 * len(many)


def test_the_same_cell_is_dealt_the_same_number_in_every_process():
    assert zlib.crc32(b"tap-probe conv x=1x2x9 w=3x2x3") == 0x3774C4
    assert deal_threads("conv x=1x2x9 w=3x2x3", "tap-probe") == ONE


def test_threads_that_are_asked_for_are_given_to_every_cell():
    plan = plan_run(load_plugins(), ["correctness"], ["im2col"], threads=3)
    assert {cell.threads for cell in plan.cells} == {3}


def test_all_is_more_than_one_on_any_machine():
    assert [count_threads(ALL, cores) for cores in (1, 2, 64)] == [2, 2, 64]
    assert count_threads(ONE, 64) == 1
