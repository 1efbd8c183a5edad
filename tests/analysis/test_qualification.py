import pytest

from harness.analysis.qualification import (
    Qualification,
    name_environment,
    qualification_file,
    read_qualification,
    write_qualification,
)
from harness.errors import UsageError

GOOD = Qualification(environment="f", created="today", cells=40, alarms=0, powers={"0.1": (38, 40)}, floor=0.01)


@pytest.fixture(autouse=True)
def _state(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def test_a_machine_that_finds_what_is_slow_and_nothing_else_is_qualified():
    assert GOOD.failures == ()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"alarms": 4}, "4 of 40 identical pairs were called different"),
        ({"powers": {"0.1": (20, 40)}}, "a slow-down of 10% was found in 20 of 40 cells, wanted 80%"),
        ({"powers": {}}, "a slow-down of 10% was found in 0 of 0 cells"),
        ({"floor": 0.3}, "identical pairs differed by up to 30.0%"),
        ({"dropped": 0.5}, "50% of the blocks were disturbed"),
    ],
)
def test_every_way_to_fail_is_named(change, reason):
    from dataclasses import replace

    (found,) = replace(GOOD, **change).failures
    assert reason in found


def test_counts_add_up():
    total = GOOD.plus(Qualification(environment="f", created="later", cells=40, alarms=1, false_suites=1,
                                    powers={"0.1": (40, 40), "0.03": (1, 4)}, floor=0.02, dropped=0.1))  # fmt: skip
    assert (total.cells, total.alarms, total.suites, total.false_suites) == (80, 1, 2, 1)
    assert total.powers == {"0.1": (78, 80), "0.03": (1, 4)}
    assert (total.floor, total.dropped, total.created) == (0.02, 0.1, "later")
    assert total.plus(GOOD).floor == GOOD.floor  # a bad hour is not held against a machine for ever


def test_a_qualification_holds_for_threads_and_variables_too():
    one = {"fingerprint": "f", "threads": 2, "variables": {"OMP_NUM_THREADS": "2"}}
    others = [{**one, "threads": 1}, {**one, "variables": {}}, {**one, "fingerprint": "g"}]
    assert len({name_environment(each) for each in (one, *others)}) == 4
    assert name_environment({**one, "load": 3.0}) == name_environment(one)


def test_what_is_stored_is_read_again_and_nothing_is_none():
    assert read_qualification("f") is None
    write_qualification(GOOD)
    assert read_qualification("f") == GOOD


def test_a_damaged_file_is_one_clear_line():
    write_qualification(GOOD)
    qualification_file("f").write_text('{"cells": 4')
    with pytest.raises(UsageError, match=r"qualification is damaged: .*remove it and run `qualify` again"):
        read_qualification("f")
