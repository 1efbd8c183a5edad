"""Processor time of a whole process tree, tested by an amount of work, not by its duration."""

import os
import signal
import subprocess
import sys

import pytest

from harness.measure.processor_time import (
    describe_excess,
    is_excessive,
    list_descendants,
    make_waited,
    own_ns,
    process_ns,
    tree_ns,
    wait_until_stopped,
    waited_ns,
)

MS = 1_000_000
BURNT_NS = 50 * MS
TREE = """
import os, sys, time
from harness.measure.processor_time import adopt_orphans, descendants_ns
adopt_orphans()
if os.fork() == 0:
    if os.fork() == 0:
        if {apart}:
            os.setsid()
        while True:
            pass
    os._exit(0)
os.wait()
while descendants_ns() < {burnt}:
    time.sleep(0.01)
print("burnt", flush=True)
sys.stdin.read()
"""


def test_the_clock_of_another_process_is_its_own():
    before, other, after = own_ns(), process_ns(os.getpid()), own_ns()
    assert before <= other <= after
    assert process_ns(2**22 + 1) == 0


@pytest.mark.parametrize("apart", [False, True])
def test_a_grandchild_that_left_its_parent_and_its_group_is_counted_from_inside_and_outside(apart):
    code = TREE.format(apart=apart, burnt=BURNT_NS)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    ) as process:
        assert process.stdout.readline() == "burnt\n"
        (child,) = list_descendants(process.pid)
        assert tree_ns(process.pid) >= process_ns(process.pid) + BURNT_NS // 2
        os.kill(child, signal.SIGKILL)
        process.stdin.close()


def test_children_that_have_ended_are_counted():
    begun = tree_ns(os.getpid())
    burn = f"import time\nwhile time.process_time_ns() < {4 * BURNT_NS}: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert tree_ns(os.getpid()) - begun >= 3 * BURNT_NS  # beyond ticks of 10 ms


@pytest.mark.parametrize(
    ("blocks", "allowed", "excess"),
    [
        ([(20, 10, 0), (19, 10, 0)], 1, True),
        ([(20, 10, 0), (19, 10, 0)], 2, False),
        ([(20, 10, 0), (19, 10, 0)], None, False),
        ([(10.9, 10, 0), (10.9, 10, 0)], 1, False),
        ([(20, 10, 0), (10, 10, 0)], 1, False),  # in one block only
        ([(0.2, 0.1, 0)], 1, False),  # too little to be sure
        ([(50, 10, 0)], 3, True),
        ([(20, 100, 80), (20, 100, 79)], 1, False),  # a busy machine
        ([(40, 100, 80), (40, 100, 79)], 1, True),  # the same, and as much again on another thread
        ([(120, 100, 80), (121, 100, 79)], 2, False),
        ([], 1, False),
    ],
)
def test_more_processor_time_than_the_threads_can_have_is_too_much(blocks, allowed, excess):
    found = describe_excess([tuple(MS * value for value in block) for block in blocks], allowed)
    assert bool(found) is excess


def test_an_excess_is_said_with_its_numbers():
    assert describe_excess([(40 * MS, 100 * MS, 80 * MS)], 1) == (
        "more threads than allowed: 40.0 ms of processor time in 100.0 ms of calls; 1 thread has at most 20.0 ms there"
    )


def test_a_thread_knows_how_long_it_waited_and_others_know_it_too():
    inside, outside = make_waited(), waited_ns(os.getpid())
    assert waited_ns(os.getpid()) >= outside
    assert inside() <= inside()
    assert waited_ns(2**22 + 1) == 0


def test_a_process_is_waited_for_until_it_stands_still(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        process.send_signal(signal.SIGSTOP)
        assert wait_until_stopped(process.pid)
        used = process_ns(process.pid)
        assert process_ns(process.pid) == used
        process.send_signal(signal.SIGCONT)
        monkeypatch.setattr("harness.measure.processor_time.STOP_S", 0.0)
        assert not wait_until_stopped(process.pid)
        process.kill()
    assert wait_until_stopped(process.pid)


@pytest.mark.parametrize(
    ("long", "short", "allowed", "found"),
    [
        ((100, 100, 0), (10, 10, 0), 1, False),
        ((200, 100, 0), (20, 10, 0), 1, True),
        ((200, 100, 0), (20, 10, 0), 2, False),
        ((40, 400, 360), (30, 30, 0), 1, False),  # it had no core
        ((80, 400, 360), (10, 10, 0), 1, True),  # another thread had one meanwhile
        ((130, 100, 0), (40, 10, 0), 1, False),  # what every block costs
    ],
)
def test_a_pair_of_blocks_speaks_of_more_threads_if_the_longer_one_has_less_to_spare(long, short, allowed, found):
    assert is_excessive(*(tuple(MS * value for value in block) for block in (long, short)), allowed) is found
