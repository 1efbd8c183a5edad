"""Counts of processes killed for want of memory, in trees of files like those of the system."""

import pytest

from harness.machine.oom import OomKills, count_oom_kills

V1 = "under_oom 0\noom_kill {}\n"
V2 = "low 0\nhigh 0\nmax 12\noom 9\noom_kill {}\noom_group_kill 7\n"


def _write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_own_group_counts_in_version_2(tmp_path):
    _write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "memory\n")
    _write(tmp_path, "proc/self/cgroup", "0::/user/one\n")
    _write(tmp_path, "sys/fs/cgroup/user/memory.events", V2.format(8))
    _write(tmp_path, "sys/fs/cgroup/user/one/memory.events", V2.format(3))
    _write(tmp_path, "proc/vmstat", "nr_free_pages 7\noom_kill 11\n")
    assert count_oom_kills(tmp_path) == OomKills(group=3, machine=11)


def test_the_own_group_counts_in_version_1(tmp_path):
    _write(tmp_path, "proc/self/cgroup", "4:memory:/jobs/one\n")
    _write(tmp_path, "sys/fs/cgroup/memory/jobs/one/memory.oom_control", V1.format(5))
    _write(tmp_path, "sys/fs/cgroup/memory/memory.oom_control", V1.format(1))
    assert count_oom_kills(tmp_path) == OomKills(group=5, machine=None)


def test_a_system_without_counts_has_none(tmp_path):
    assert count_oom_kills(tmp_path) == OomKills()
    _write(tmp_path, "proc/vmstat", "oom_kill many\n")
    assert count_oom_kills(tmp_path) == OomKills()


@pytest.mark.parametrize(
    ("before", "later", "starved"),
    [
        (OomKills(3, 7), OomKills(4, 8), True),
        (OomKills(3, 7), OomKills(3, 8), False),  # of another group
        (OomKills(None, 7), OomKills(None, 7), False),
        (OomKills(None, 7), OomKills(None, 8), None),  # of whom, is not known
        (OomKills(), OomKills(), None),
    ],
)
def test_a_kill_of_another_group_explains_nothing(before, later, starved):
    assert before.explain(later) is starved
