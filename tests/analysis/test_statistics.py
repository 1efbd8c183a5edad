import math
from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.statistics import (
    STUDENT,
    estimate_ratio,
    estimate_time,
    log_ratios,
    pass_values,
    student_quantile,
)
from harness.measure.estimator import steady
from harness.record.passes import Block, Measurement, Pass


def measurement(*passes):
    return Measurement(
        passes=tuple(
            Pass(number=i, process=i, loops=1, warmups=2, clock="host", device="cpu", prepare_ns=1, first_call_ns=1,
                 samples_ns=tuple(map(float, samples)))
            for i, samples in enumerate(passes)
        )
    )  # fmt: skip


def test_the_process_is_the_unit_of_replication():
    many = measurement([100] * 1000, [110] * 1000, [121] * 1000)
    few = measurement([100], [110], [121])
    assert estimate_time(many) == estimate_time(few)
    found = estimate_time(few)
    assert found.value == pytest.approx(110)
    # log medians are 0.0953 apart: s = 0.0953, Student's t for 2 degrees of freedom 4.303
    half = 4.302653 * math.log(1.1) / math.sqrt(3)
    assert found.high / found.value == pytest.approx(math.exp(half))
    assert found.over == "processes"


def test_one_process_gives_an_interval_that_is_marked_so():
    found = estimate_time(measurement(range(1, 102)))
    assert found.over == "one process"
    assert (found.low, found.value, found.high) == (41, 51, 61)


def test_intervals_cover_as_often_as_they_say():
    rng, hits, tries = np.random.default_rng(1), 0, 400
    for _ in range(tries):
        found = estimate_time(measurement(*([math.exp(x)] for x in rng.normal(5, 0.1, 4))))
        hits += found.low <= math.exp(5) <= found.high
    assert 0.92 <= hits / tries <= 0.98


def test_a_ratio_of_identical_measurements_is_one():
    found = estimate_ratio(measurement([100], [100]), measurement([100], [100]))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_ratio_has_welchs_interval():
    base, new = measurement([100], [102], [98]), measurement([150], [153], [147])
    found = estimate_ratio(base, new)
    assert found.value == pytest.approx(1.5, rel=1e-3)
    assert 1.4 < found.low < found.value < found.high < 1.6


def test_a_single_pass_gives_no_ratio():
    assert estimate_ratio(measurement([100]), measurement([100], [101])) is None


def test_a_block_is_compared_by_its_first_decile():
    assert steady(range(101)) == 10
    assert steady([7.0]) == 7.0
    assert steady([1.0, 2.0]) == pytest.approx(1.1)
    assert steady([5, 5, 5, 5, 5, 5, 5, 5, 5, 500]) == 5  # one interruption is not seen


def _blocks(*blocks, number=0):
    """A pass of these blocks; blocks that begin with None were left out."""
    (one,) = measurement([value for block in blocks for value in block if value is not None]).passes
    counts = [Block(visit=n, count=sum(v is not None for v in block), dropped=None if block[0] is not None else "steal")
              for n, block in enumerate(blocks)]  # fmt: skip
    return replace(one, number=number, blocks=tuple(counts))


def test_blocks_are_weighed_alike_and_those_left_out_do_not_count():
    one = _blocks([100.0] * 50, [400.0], [None, 9.0, 9.0])
    assert pass_values([one])[0] == pytest.approx(200)
    assert pass_values([_blocks([None, 100.0])]) == {}


def test_ratios_pair_passes_by_their_number():
    base = [_blocks([100.0], number=0), _blocks([None, 1.0], number=1), _blocks([100.0], number=2)]
    new = [_blocks([110.0], number=0), _blocks([500.0], number=1), _blocks([121.0], number=2)]
    assert log_ratios(base, new) == pytest.approx([math.log(1.1), math.log(1.21)])


def test_a_single_pass_that_counts_speaks_without_the_blocks_left_out():
    found = estimate_time(Measurement(passes=(_blocks([None, 1.0]), _blocks([100.0], [None, 1.0], number=1))))
    assert (found.value, found.over) == (100.0, "one process")


def test_quantiles_of_the_table_are_those_of_scipy():
    from scipy.special import stdtrit

    for freedom in (1, 2, 7, len(STUDENT), len(STUDENT) + 1, 2.5):
        assert student_quantile(freedom) == pytest.approx(stdtrit(freedom, 0.975), rel=1e-9)
    table = [stdtrit(freedom, 0.975) for freedom in range(1, len(STUDENT) + 1)]
    assert list(STUDENT) == pytest.approx(table, rel=1e-9)
